/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: open files, space accounting, extended attributes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/tmpfs.h"

/*
 * Space is what the memfds hold, looked up after each change. Pages that a guest fills through a
 * mapping are counted at the file's next write or truncation.
 */
void tmpfs_settle(struct vnode *v)
{
	struct tmpnode *n = tmpnode_of(v);
	struct kstat st;

	if (n->memfd < 0 || host_fstat(n->memfd, &st) < 0)
		return;
	pthread_mutex_lock(&n->fs->lock);
	atomic_fetch_add(&n->fs->used_bytes, st.blocks * 512 - n->charged);
	n->charged = st.blocks * 512;
	pthread_mutex_unlock(&n->fs->lock);
}

/* How much of a write of len bytes at pos fits. */
static int64_t tmpfs_reserve(struct vnode *v, int64_t pos, uint64_t len)
{
	struct tmpnode *n = tmpnode_of(v);
	uint64_t used, room, have;
	struct kstat st;

	if (len > INT64_MAX)
		len = INT64_MAX;
	if (!n->fs->max_bytes)
		return (int64_t)len;
	used = atomic_load(&n->fs->used_bytes);
	room = used < n->fs->max_bytes ? n->fs->max_bytes - used : 0;
	if (page_up((uint64_t)pos + len) - page_down(pos) <= room)
		return (int64_t)len;
	/* Tight: overwriting what is there needs nothing new, if the file has no holes. */
	if (host_fstat(n->memfd, &st) < 0)
		return -EIO;
	have = st.blocks * 512 >= st.size ? page_up(st.size) : page_down(pos);
	if (have < (uint64_t)pos)
		have = page_down(pos);
	room += have;
	if ((uint64_t)pos >= room)
		return -ENOSPC;
	return (int64_t)(room - (uint64_t)pos < len ? room - (uint64_t)pos : len);
}

int tmpfs_statfs(struct vnode *v, struct statfs *out)
{
	struct tmpfs *fs = tmpnode_of(v)->fs;
	uint64_t used = atomic_load(&fs->used_bytes), inodes = atomic_load(&fs->used_inodes);

	memset(out, 0, sizeof(*out));
	out->f_type = tmpfs_type.magic;
	out->f_bsize = out->f_frsize = 4096;
	out->f_namelen = VFS_NAME_MAX;
	if (fs->max_bytes) {
		out->f_blocks = fs->max_bytes / 4096;
		out->f_bfree = fs->max_bytes > used ? (fs->max_bytes - used) / 4096 : 0;
		out->f_bavail = out->f_bfree;
	}
	if (fs->max_inodes) {
		out->f_files = fs->max_inodes;
		out->f_ffree = fs->max_inodes > inodes ? fs->max_inodes - inodes : 0;
	}
	return 0;
}

/* ---- directories ---- */

static unsigned char dirent_type(uint32_t type)
{
	return (unsigned char)(type >> 12);
}

static uint64_t parent_ino(struct vnode *v)
{
	uint64_t ino;

	pthread_mutex_lock(&vnode_tree_lock);
	ino = v->parent ? v->parent->ino : v->ino;
	pthread_mutex_unlock(&vnode_tree_lock);
	return ino;
}

/* Emits under the lock: emit only fills a buffer of the kernel's. */
static int emit_entries(struct tmpnode *d, struct dir_emit *emit, int64_t *pos)
{
	pthread_mutex_lock(&d->fs->lock);
	list_for_each(l, &d->order) {
		struct tmpentry *e = list_entry(l, struct tmpentry, order_link);

		if (e->cookie + 1 <= (uint64_t)*pos)
			continue;
		if (emit->emit(emit, e->name, e->node->v.ino, dirent_type(e->node->v.type),
			       e->cookie + 1))
			break;
		*pos = (int64_t)e->cookie + 1;
	}
	pthread_mutex_unlock(&d->fs->lock);
	return 0;
}

static int tmpdir_readdir(struct file *f, struct task *t, struct dir_emit *emit, int64_t *pos)
{
	struct vnode *v = f->path.node;

	(void)t;
	if (*pos == 0) {
		if (emit->emit(emit, ".", v->ino, DT_DIR, 1))
			return 0;
		*pos = 1;
	}
	if (*pos == 1) {
		if (emit->emit(emit, "..", parent_ino(v), DT_DIR, 2))
			return 0;
		*pos = 2;
	}
	return emit_entries(tmpnode_of(v), emit, pos);
}

static const struct file_ops tmpdir_ops = {
	.seek = file_seek_endless,
	.readdir = tmpdir_readdir,
};

int tmpfs_open(struct vnode *v, struct task *t, int flags, struct file **out)
{
	struct tmpnode *n = tmpnode_of(v);
	struct hostfile *hf;
	int fd, ret;

	(void)t;
	if (v->type == S_IFDIR) {
		*out = file_alloc(&tmpdir_ops, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC));
		return *out ? 0 : -ENOMEM;
	}
	if (n->memfd < 0)
		return -ENXIO;
	/* A description of its own: appending uses the host's offset. */
	fd = host_reopen(n->fs->kernel->host_proc_fd, n->memfd, O_RDWR | (flags & O_APPEND));
	if (fd < 0)
		return fd;
	ret = hostfile_create(n->fs->kernel, fd, flags & ~O_DIRECT, out);
	if (ret)
		return ret;
	hf = (*out)->data;
	hf->reserve = tmpfs_reserve;
	hf->settle = tmpfs_settle;
	return 0;
}

/* ---- extended attributes ---- */

static struct tmpxattr **xattr_find(struct tmpnode *n, const char *name)
{
	struct tmpxattr **x = &n->xattrs;

	while (*x && strcmp((*x)->name, name) != 0)
		x = &(*x)->next;
	return x;
}

static void xattr_free(struct tmpxattr *x)
{
	free(x->name);
	free(x);
}

void tmpfs_free_xattrs(struct tmpnode *n)
{
	while (n->xattrs) {
		struct tmpxattr *x = n->xattrs;

		n->xattrs = x->next;
		xattr_free(x);
	}
}

int64_t tmpfs_getxattr(struct vnode *v, const char *name, void *buf, size_t cap)
{
	struct tmpnode *n = tmpnode_of(v);
	struct tmpxattr *x;
	int64_t ret = -ENODATA;

	pthread_mutex_lock(&n->fs->lock);
	x = *xattr_find(n, name);
	if (x) {
		ret = (int64_t)x->len;
		if (cap && x->len > cap)
			ret = -ERANGE;
		else if (cap)
			memcpy(buf, x->value, x->len);
	}
	pthread_mutex_unlock(&n->fs->lock);
	return ret;
}

int tmpfs_setxattr(struct vnode *v, const char *name, const void *buf, size_t len, int flags)
{
	struct tmpnode *n = tmpnode_of(v);
	struct tmpxattr *x = malloc(sizeof(*x) + len), **at, *old;
	int ret = 0;

	if (!x)
		return -ENOMEM;
	x->name = strdup(name);
	if (!x->name) {
		free(x);
		return -ENOMEM;
	}
	x->len = len;
	memcpy(x->value, buf, len);
	pthread_mutex_lock(&n->fs->lock);
	at = xattr_find(n, name);
	old = *at;
	if (old && flags & 1) /* XATTR_CREATE */
		ret = -EEXIST;
	else if (!old && flags & 2) /* XATTR_REPLACE */
		ret = -ENODATA;
	if (!ret) {
		x->next = old ? old->next : NULL;
		*at = x;
		clock_gettime(CLOCK_REALTIME, &n->ctime);
	} else {
		old = x;
	}
	pthread_mutex_unlock(&n->fs->lock);
	if (old)
		xattr_free(old);
	return ret;
}

int64_t tmpfs_listxattr(struct vnode *v, char *buf, size_t cap)
{
	struct tmpnode *n = tmpnode_of(v);
	size_t total = 0;

	pthread_mutex_lock(&n->fs->lock);
	for (struct tmpxattr *x = n->xattrs; x; x = x->next) {
		size_t len = strlen(x->name) + 1;

		if (cap && total + len <= cap)
			memcpy(buf + total, x->name, len);
		total += len;
	}
	pthread_mutex_unlock(&n->fs->lock);
	return cap && total > cap ? -ERANGE : (int64_t)total;
}

int tmpfs_removexattr(struct vnode *v, const char *name)
{
	struct tmpnode *n = tmpnode_of(v);
	struct tmpxattr **at, *x;

	pthread_mutex_lock(&n->fs->lock);
	at = xattr_find(n, name);
	x = *at;
	if (x) {
		*at = x->next;
		clock_gettime(CLOCK_REALTIME, &n->ctime);
	}
	pthread_mutex_unlock(&n->fs->lock);
	if (!x)
		return -ENODATA;
	xattr_free(x);
	return 0;
}
