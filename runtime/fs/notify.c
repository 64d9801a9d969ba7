/* SPDX-License-Identifier: Apache-2.0 */
/* Reports to inotify: an event concerns the node and, with its name, the directory it is in. */
#include <stdio.h>
#include <fcntl.h>
#include <string.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/vfs_internal.h"

/* The directory and name of a node, by where it is now. False: it has none. */
static bool node_place(struct vnode *n, struct vnode **dir, char name[256])
{
	char text[VFS_PATH_MAX];
	bool found = false;

	*dir = NULL;
	if (vnode_is_host(n)) {
		const char *slash;

		if (hostfs_text(n, text, sizeof(text)) <= 0 || hostfs_parent(n, dir) < 0)
			return false;
		slash = strrchr(text, '/');
		snprintf(name, 256, "%.255s", slash ? slash + 1 : text);
		return true;
	}
	pthread_mutex_lock(&vnode_tree_lock);
	if (n->parent && n->name && strlen(n->name) < 256) {
		*dir = vnode_get(n->parent);
		snprintf(name, 256, "%.255s", n->name);
		found = true;
	}
	pthread_mutex_unlock(&vnode_tree_lock);
	return found;
}

void vfs_notify_node(struct vnode *n, uint32_t mask)
{
	struct vnode *dir;
	char name[256];

	if (!atomic_load_explicit(&inotify_watches, memory_order_relaxed))
		return;
	if (n->type == S_IFDIR)
		mask |= IN_ISDIR;
	inotify_event(n, mask, 0, NULL);
	if (node_place(n, &dir, name)) {
		inotify_event(dir, mask, 0, name);
		vnode_put(dir);
	}
}

void vfs_notify_file(struct file *f, uint32_t mask)
{
	if (f->path.node && !(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_PATH))
		vfs_notify_node(f->path.node, mask);
}
