/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7). The VFS reports what happened; with no watch anywhere a report costs one load. */
#ifndef NACRE_RUNTIME_FS_INOTIFY_H
#define NACRE_RUNTIME_FS_INOTIFY_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/inotify.h>

struct vnode;

extern atomic_uint inotify_watches; /* live watches in this sandbox */
void inotify_report(struct vnode *node, uint32_t mask, uint32_t cookie, const char *name);

/*
 * `node` is the watched object: the directory with `name` set for what happened to an entry
 * (IN_CREATE, IN_DELETE, IN_MOVED_*, and IN_OPEN, IN_MODIFY ... of a child), or the file itself with
 * name NULL (IN_DELETE_SELF, IN_MODIFY ...). IN_ISDIR is the caller's to add. IN_DELETE_SELF and
 * IN_UNMOUNT end the node's watches. cookie: pairs IN_MOVED_FROM with IN_MOVED_TO. No lock that an
 * inotify instance's poll hook could want may be held; vnode locks are fine.
 */
static inline void inotify_event(struct vnode *node, uint32_t mask, uint32_t cookie,
				 const char *name)
{
	if (atomic_load_explicit(&inotify_watches, memory_order_relaxed))
		inotify_report(node, mask, cookie, name);
}
uint32_t inotify_new_cookie(void);

#endif
