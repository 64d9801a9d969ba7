/* SPDX-License-Identifier: Apache-2.0 */
/* In-memory file system: shared by its tree (tmpfs.c) and its files and limits (tmpfs_file.c). */
#ifndef NACRE_RUNTIME_FS_TMPFS_H
#define NACRE_RUNTIME_FS_TMPFS_H

#include "runtime/fs/vfs_internal.h"

struct tmpfs {
	struct kernel *kernel;
	atomic_uint refs;     /* one a node */
	pthread_mutex_t lock; /* protects the tree: entries, link counts, attributes, xattrs */
	uint64_t dev;
	uint64_t max_bytes, max_inodes; /* 0: no limit */
	atomic_ullong used_bytes, used_inodes;
	uint64_t next_ino;
};

struct tmpnode;
struct tmpentry {
	struct list hash_link, order_link;
	uint64_t cookie; /* readdir position, ascending in order of creation */
	struct tmpnode *node; /* a reference */
	char name[];
};

struct tmpxattr {
	struct tmpxattr *next;
	char *name;
	size_t len;
	unsigned char value[];
};

struct tmpnode {
	struct vnode v;
	struct tmpfs *fs;
	/* protected by fs->lock */
	uint32_t mode, uid, gid, nlink;
	uint64_t rdev;
	struct timespec atime, mtime, ctime, btime;
	struct tmpxattr *xattrs;
	/* directories */
	struct list *buckets, order;
	size_t nbuckets, count;
	uint64_t next_cookie;
	/* symlinks: the text; regular files: memfd */
	char *target;
	int memfd;
	uint64_t charged; /* bytes accounted for the memfd */
};
static inline struct tmpnode *tmpnode_of(struct vnode *n)
{
	return container_of(n, struct tmpnode, v);
}

int tmpfs_open(struct vnode *n, struct task *t, int flags, struct file **out);
/* fs->lock held where they change the node. */
int64_t tmpfs_getxattr(struct vnode *n, const char *name, void *buf, size_t cap);
int tmpfs_setxattr(struct vnode *n, const char *name, const void *buf, size_t len, int flags);
int64_t tmpfs_listxattr(struct vnode *n, char *buf, size_t cap);
int tmpfs_removexattr(struct vnode *n, const char *name);
void tmpfs_free_xattrs(struct tmpnode *n);
/* Bring the account of n's memfd up to date. */
void tmpfs_settle(struct vnode *n);
int tmpfs_statfs(struct vnode *n, struct statfs *out);

/* No mount has this root any more: free its tree. Does nothing for another file system's. */
void tmpfs_unmounted(struct vnode *root);

#endif
