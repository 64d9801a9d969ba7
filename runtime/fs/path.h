/* SPDX-License-Identifier: Apache-2.0 */
/* Path resolution inside the VFS core: more than vfs_lookup() gives to others. */
#ifndef NACRE_RUNTIME_FS_PATH_H
#define NACRE_RUNTIME_FS_PATH_H

#include "runtime/fs/vfs.h"

/*
 * A final magic link whose object has no place in the tree (a pipe in /proc/PID/fd) resolves to the
 * link's own node, which vfs_open_path() then opens through its open op.
 */
#define LOOKUP_OBJECT 16u

/* resolve: RESOLVE_* of openat2(2). */
int vfs_walk(struct task *t, int dirfd, const char *path, unsigned flags, uint64_t resolve,
	     struct vpath *out);
/* The directory of the last component, which may be "." or ".."; *slash: the path ends in '/'. */
int vfs_lookup_parent(struct task *t, int dirfd, const char *path, uint64_t resolve,
		      struct vpath *out, char last[256], bool *slash);
/* The same, with relative paths counted from *base when it is given. */
int vfs_walk_from(struct task *t, const struct vpath *base, int dirfd, const char *path,
		  unsigned flags, uint64_t resolve, struct vpath *out);
int vfs_parent_from(struct task *t, const struct vpath *base, int dirfd, const char *path,
		    uint64_t resolve, struct vpath *out, char last[256], bool *slash);
/* A child by name, seen through what is mounted on it. */
int vfs_child(struct task *t, const struct vpath *dir, const char *name, struct vpath *out);
int vfs_start(struct task *t, int dirfd, const char *path, struct vpath *out);

#endif
