/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs(5): the tree. File data is in one memfd a file, so that mapping it is as for host files. */
#include "runtime/fs/tmpfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct timespec now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts;
}

static int node_new(struct tmpfs *fs, const struct kattr *a, struct tmpnode **out)
{
	struct tmpnode *n;

	if (fs->max_inodes && atomic_load(&fs->used_inodes) >= fs->max_inodes)
		return -ENOSPC;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	vnode_init(&n->v, &tmpfs_ops, a->mode);
	n->memfd = -1;
	if (S_ISREG(a->mode)) {
		n->memfd = memfd_create("tmpfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (n->memfd < 0) {
			free(n);
			return (int)host_errno();
		}
	}
	n->fs = fs;
	n->mode = a->mode;
	n->uid = a->uid;
	n->gid = a->gid;
	n->nlink = S_ISDIR(a->mode) ? 2 : 1;
	n->atime = n->mtime = n->ctime = n->btime = now();
	list_init(&n->order);
	n->next_cookie = 3; /* 0, 1, 2: the start, "." and ".." */
	n->v.dev = fs->dev;
	pthread_mutex_lock(&fs->lock);
	n->v.ino = fs->next_ino++;
	pthread_mutex_unlock(&fs->lock);
	atomic_fetch_add(&fs->used_inodes, 1);
	atomic_fetch_add(&fs->refs, 1);
	*out = n;
	return 0;
}

static void fs_put(struct tmpfs *fs)
{
	if (atomic_fetch_sub(&fs->refs, 1) == 1) {
		pthread_mutex_destroy(&fs->lock);
		free(fs);
	}
}

/* A directory that dies with entries belongs to a file system that is unmounted: drop them too. */
static void tmpfs_release(struct vnode *v)
{
	struct tmpnode *n = tmpnode_of(v);
	struct tmpfs *fs = n->fs;

	list_for_each_safe(l, &n->order) {
		struct tmpentry *e = list_entry(l, struct tmpentry, order_link);

		list_del(&e->order_link);
		vnode_put(&e->node->v);
		free(e);
	}
	free(n->buckets);
	free(n->target);
	tmpfs_free_xattrs(n);
	if (n->memfd >= 0)
		close(n->memfd);
	atomic_fetch_sub(&fs->used_bytes, n->charged);
	atomic_fetch_sub(&fs->used_inodes, 1);
	free(n);
	fs_put(fs);
}

/*
 * Nodes hold their parent and parents their entries: take the tree apart when nobody can reach it any
 * more. Not by recursion, since a guest chose its depth: each directory's entries join the root's.
 */
void tmpfs_unmounted(struct vnode *root)
{
	struct tmpnode *top;

	if (root->ops != &tmpfs_ops)
		return;
	top = tmpnode_of(root);
	while (!list_empty(&top->order)) {
		struct tmpentry *e = list_entry(top->order.next, struct tmpentry, order_link);
		struct tmpnode *n = e->node;
		struct vnode *parent = n->v.parent;

		list_del(&e->order_link);
		free(e);
		list_for_each_safe(l, &n->order) {
			list_del(l);
			list_add_tail(&top->order, l);
		}
		n->v.parent = NULL;
		vnode_put(parent);
		vnode_put(&n->v);
	}
}

/* ---- directory entries; fs->lock held ---- */

static size_t name_hash(const char *s)
{
	size_t h = 0xcbf29ce484222325u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	return h ^ h >> 32;
}

static struct tmpentry *entry_find(struct tmpnode *d, const char *name)
{
	if (!d->nbuckets)
		return NULL;
	list_for_each(l, &d->buckets[name_hash(name) & (d->nbuckets - 1)]) {
		struct tmpentry *e = list_entry(l, struct tmpentry, hash_link);

		if (!strcmp(e->name, name))
			return e;
	}
	return NULL;
}

static int dir_rehash(struct tmpnode *d)
{
	size_t n = d->nbuckets ? d->nbuckets * 4 : 16;
	struct list *b = malloc(n * sizeof(*b));

	if (!b)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list_init(&b[i]);
	list_for_each(l, &d->order) {
		struct tmpentry *e = list_entry(l, struct tmpentry, order_link);

		list_add(&b[name_hash(e->name) & (n - 1)], &e->hash_link);
	}
	free(d->buckets);
	d->buckets = b;
	d->nbuckets = n;
	return 0;
}

/* Takes over the reference to n. */
static int entry_add(struct tmpnode *d, const char *name, struct tmpnode *n)
{
	size_t len = strlen(name) + 1;
	struct tmpentry *e = malloc(sizeof(*e) + len);

	if (!e || (d->count >= d->nbuckets && dir_rehash(d) < 0)) {
		free(e);
		return -ENOMEM;
	}
	memcpy(e->name, name, len);
	e->node = n;
	e->cookie = d->next_cookie++;
	list_add(&d->buckets[name_hash(name) & (d->nbuckets - 1)], &e->hash_link);
	list_add_tail(&d->order, &e->order_link);
	d->count++;
	d->mtime = d->ctime = now();
	return 0;
}

/* The caller drops the node's reference when the lock is released. */
static struct tmpnode *entry_remove(struct tmpnode *d, struct tmpentry *e)
{
	struct tmpnode *n = e->node;

	list_del(&e->hash_link);
	list_del(&e->order_link);
	free(e);
	d->count--;
	d->mtime = d->ctime = now();
	return n;
}

static int tmpfs_lookup(struct vnode *dir, struct task *t, const char *name, struct vnode **out)
{
	struct tmpnode *d = tmpnode_of(dir);
	struct tmpentry *e;

	(void)t;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	pthread_mutex_lock(&d->fs->lock);
	e = entry_find(d, name);
	if (e)
		*out = vnode_get(&e->node->v);
	pthread_mutex_unlock(&d->fs->lock);
	return e ? 0 : -ENOENT;
}

/* Enter a new node; takes over the reference, also on failure. */
static int tmpfs_enter(struct tmpnode *d, const char *name, struct tmpnode *n)
{
	int ret = 0;

	vnode_set_place(&n->v, &d->v, name);
	pthread_mutex_lock(&d->fs->lock);
	if (!d->nlink)
		ret = -ENOENT;
	else if (entry_find(d, name))
		ret = -EEXIST;
	else
		ret = entry_add(d, name, n);
	if (!ret && n->v.type == S_IFDIR)
		d->nlink++;
	pthread_mutex_unlock(&d->fs->lock);
	if (ret)
		vnode_put(&n->v);
	return ret;
}

static int make(struct vnode *dir, const char *name, const struct kattr *a, uint32_t type,
		uint64_t rdev, const char *target, struct vnode **out)
{
	struct tmpnode *d = tmpnode_of(dir), *n;
	struct kattr attr = *a;
	int ret;

	attr.mode = type | (a->mode & 07777);
	ret = node_new(d->fs, &attr, &n);
	if (ret)
		return ret;
	n->rdev = rdev;
	if (target) {
		n->target = strdup(target);
		if (!n->target) {
			vnode_put(&n->v);
			return -ENOMEM;
		}
	}
	if (out)
		vnode_get(&n->v);
	ret = tmpfs_enter(d, name, n);
	if (out && ret)
		vnode_put(&n->v);
	else if (out)
		*out = &n->v;
	return ret;
}

static int tmpfs_create(struct vnode *dir, const char *name, const struct kattr *a,
			struct vnode **out)
{
	return make(dir, name, a, S_IFREG, 0, NULL, out);
}

static int tmpfs_mkdir(struct vnode *dir, const char *name, const struct kattr *a)
{
	return make(dir, name, a, S_IFDIR, 0, NULL, NULL);
}

static int tmpfs_mknod(struct vnode *dir, const char *name, const struct kattr *a, uint64_t rdev)
{
	return make(dir, name, a, a->mode & S_IFMT ? a->mode & S_IFMT : S_IFREG, rdev, NULL, NULL);
}

static int tmpfs_symlink(struct vnode *dir, const char *name, const char *target,
			 const struct kattr *a)
{
	struct kattr attr = *a;

	attr.mode = 0777;
	return make(dir, name, &attr, S_IFLNK, 0, target, NULL);
}

int tmpfs_tmpfile(struct vnode *dir, const struct kattr *attr, struct vnode **out)
{
	struct kattr a = *attr;
	struct tmpnode *n;
	int ret;

	a.mode = S_IFREG | (attr->mode & 07777);
	ret = node_new(tmpnode_of(dir)->fs, &a, &n);
	if (ret)
		return ret;
	n->nlink = 0;
	*out = &n->v;
	return 0;
}

static int tmpfs_link(struct vnode *dir, const char *name, struct vnode *target)
{
	struct tmpnode *d = tmpnode_of(dir), *n = tmpnode_of(target);
	int ret;

	if (target->ops != &tmpfs_ops || n->fs != d->fs)
		return -EXDEV;
	vnode_get(target);
	pthread_mutex_lock(&d->fs->lock);
	ret = entry_find(d, name) ? -EEXIST : entry_add(d, name, n);
	if (!ret) {
		n->nlink++;
		n->ctime = now();
	}
	pthread_mutex_unlock(&d->fs->lock);
	if (ret)
		vnode_put(target);
	else if (!target->parent)
		vnode_set_place(target, dir, name);
	return ret;
}

static int remove_entry(struct vnode *dir, const char *name, bool want_dir)
{
	struct tmpnode *d = tmpnode_of(dir), *n = NULL;
	struct tmpentry *e;
	int ret = 0;

	pthread_mutex_lock(&d->fs->lock);
	e = entry_find(d, name);
	if (!e)
		ret = -ENOENT;
	else if (want_dir && e->node->v.type != S_IFDIR)
		ret = -ENOTDIR;
	else if (!want_dir && e->node->v.type == S_IFDIR)
		ret = -EISDIR;
	else if (want_dir && e->node->count)
		ret = -ENOTEMPTY;
	if (!ret) {
		n = entry_remove(d, e);
		n->nlink -= want_dir ? 2 : 1;
		n->ctime = now();
		d->nlink -= want_dir;
	}
	pthread_mutex_unlock(&d->fs->lock);
	if (n)
		vnode_put(&n->v);
	return ret;
}

static int tmpfs_unlink(struct vnode *dir, const char *name)
{
	return remove_entry(dir, name, false);
}

static int tmpfs_rmdir(struct vnode *dir, const char *name)
{
	return remove_entry(dir, name, true);
}

/* Is `dir` inside (or the same as) n? */
static bool is_beneath(struct vnode *n, struct vnode *dir)
{
	bool ret = false;

	pthread_mutex_lock(&vnode_tree_lock);
	for (; dir && !ret; dir = dir->parent)
		ret = dir == n;
	pthread_mutex_unlock(&vnode_tree_lock);
	return ret;
}

/* fs->lock held. What rename(2) demands of the two ends. */
static int rename_check(struct tmpnode *nd, struct tmpentry *from, struct tmpentry *to,
			unsigned flags)
{
	if (!from || (flags & RENAME_EXCHANGE && !to))
		return -ENOENT;
	if (to && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (!nd->nlink)
		return -ENOENT;
	if (is_beneath(&from->node->v, &nd->v))
		return -EINVAL;
	if (!to || flags & RENAME_EXCHANGE || to->node == from->node)
		return 0;
	if (from->node->v.type == S_IFDIR && to->node->v.type != S_IFDIR)
		return -ENOTDIR;
	if (from->node->v.type != S_IFDIR && to->node->v.type == S_IFDIR)
		return -EISDIR;
	return to->node->v.type == S_IFDIR && to->node->count ? -ENOTEMPTY : 0;
}

static void dir_moved(struct tmpnode *n, struct tmpnode *from, struct tmpnode *to)
{
	if (n->v.type == S_IFDIR && from != to) {
		from->nlink--;
		to->nlink++;
	}
}

/* fs->lock held; an allocation failure is the only way to fail, before anything changed. */
static int rename_move(struct tmpnode *od, struct tmpentry *from, struct tmpnode *nd,
		       const char *nname, struct tmpentry *to, struct tmpnode **victim)
{
	struct tmpnode *n = from->node;

	if (to) {
		*victim = to->node;
		to->node = n;
		nd->mtime = nd->ctime = now();
		if ((*victim)->v.type == S_IFDIR) {
			(*victim)->nlink = 0;
			nd->nlink--;
		} else {
			(*victim)->nlink--;
		}
		(*victim)->ctime = now();
	} else {
		int ret = entry_add(nd, nname, n);

		if (ret)
			return ret;
	}
	entry_remove(od, from);
	dir_moved(n, od, nd);
	n->ctime = now();
	return 0;
}

static int tmpfs_rename(struct vnode *odir, const char *oname, struct vnode *ndir, const char *nname,
			unsigned flags)
{
	struct tmpnode *od = tmpnode_of(odir), *nd = tmpnode_of(ndir), *victim = NULL;
	struct tmpnode *moved = NULL, *other = NULL;
	struct tmpentry *from, *to;
	int ret;

	if (ndir->ops != &tmpfs_ops || od->fs != nd->fs)
		return -EXDEV;
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	pthread_mutex_lock(&od->fs->lock);
	from = entry_find(od, oname);
	to = entry_find(nd, nname);
	ret = rename_check(nd, from, to, flags);
	if (!ret && flags & RENAME_EXCHANGE && is_beneath(&to->node->v, odir))
		ret = -EINVAL;
	if (!ret && to && to->node == from->node)
		goto out; /* two names of one file: nothing to do */
	if (!ret && flags & RENAME_EXCHANGE) {
		moved = from->node;
		other = to->node;
		from->node = other;
		to->node = moved;
		dir_moved(moved, od, nd);
		dir_moved(other, nd, od);
		vnode_get(&other->v);
	} else if (!ret) {
		moved = from->node;
		ret = rename_move(od, from, nd, nname, to, &victim);
		if (ret)
			moved = NULL;
	}
	if (moved)
		vnode_get(&moved->v);
out:
	pthread_mutex_unlock(&od->fs->lock);
	if (moved) {
		vnode_set_place(&moved->v, ndir, nname);
		vnode_put(&moved->v);
	}
	if (other) {
		vnode_set_place(&other->v, odir, oname);
		vnode_put(&other->v);
	}
	if (victim)
		vnode_put(&victim->v);
	return ret;
}

/* ---- attributes ---- */

static int tmpfs_getattr(struct vnode *v, struct kstat *out)
{
	struct tmpnode *n = tmpnode_of(v);
	struct kstat data = {0};

	if (n->memfd >= 0)
		host_fstat(n->memfd, &data);
	pthread_mutex_lock(&n->fs->lock);
	*out = (struct kstat){
		.dev = v->dev, .ino = v->ino, .rdev = n->rdev,
		.mode = v->type | (n->mode & 07777), .nlink = n->nlink, .uid = n->uid, .gid = n->gid,
		.blksize = 4096, .atime = n->atime, .mtime = n->mtime, .ctime = n->ctime,
		.btime = n->btime,
	};
	if (n->memfd >= 0) {
		out->size = data.size;
		out->blocks = data.blocks;
		/* Writes and mappings date the memfd, and utimes is passed on to it. */
		out->mtime = data.mtime;
		if (data.mtime.tv_sec > out->ctime.tv_sec)
			out->ctime = data.mtime;
	} else if (v->type == S_IFDIR) {
		out->size = n->count * 20 + 40;
	} else if (n->target) {
		out->size = strlen(n->target);
	}
	pthread_mutex_unlock(&n->fs->lock);
	return 0;
}

static void set_time(struct timespec *dst, const struct timespec *src)
{
	if (src->tv_nsec == UTIME_NOW)
		*dst = now();
	else if (src->tv_nsec != UTIME_OMIT)
		*dst = *src;
}

static int tmpfs_setattr(struct vnode *v, const struct kattr *a)
{
	struct tmpnode *n = tmpnode_of(v);
	int ret = 0;

	if (a->valid & KATTR_SIZE) {
		if (n->memfd < 0)
			return -EINVAL;
		if (ftruncate(n->memfd, a->size) < 0)
			return (int)host_errno();
		tmpfs_settle(v);
	}
	pthread_mutex_lock(&n->fs->lock);
	if (a->valid & (KATTR_UID | KATTR_GID) && v->type != S_IFDIR)
		n->mode &= ~(uint32_t)(S_ISUID | (n->mode & S_IXGRP ? S_ISGID : 0));
	if (a->valid & KATTR_UID)
		n->uid = a->uid;
	if (a->valid & KATTR_GID)
		n->gid = a->gid;
	if (a->valid & KATTR_MODE && v->type == S_IFLNK)
		ret = -EOPNOTSUPP;
	else if (a->valid & KATTR_MODE)
		n->mode = v->type | (a->mode & 07777);
	if (a->valid & KATTR_ATIME)
		set_time(&n->atime, &a->atime);
	if (a->valid & KATTR_MTIME) {
		struct timespec past[2] = {{0, UTIME_OMIT}, a->mtime};

		set_time(&n->mtime, &a->mtime);
		if (n->memfd >= 0)
			futimens(n->memfd, past);
	}
	n->ctime = now();
	pthread_mutex_unlock(&n->fs->lock);
	return ret;
}

static int64_t tmpfs_readlink(struct vnode *v, struct task *t, char *buf, size_t cap)
{
	struct tmpnode *n = tmpnode_of(v);
	size_t len;

	(void)t;
	if (!n->target)
		return -EINVAL;
	len = strlen(n->target);
	if (len > cap)
		len = cap;
	memcpy(buf, n->target, len);
	return (int64_t)len;
}

const struct vnode_ops tmpfs_ops = {
	.lookup = tmpfs_lookup,
	.getattr = tmpfs_getattr,
	.setattr = tmpfs_setattr,
	.readlink = tmpfs_readlink,
	.open = tmpfs_open,
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.getxattr = tmpfs_getxattr,
	.setxattr = tmpfs_setxattr,
	.listxattr = tmpfs_listxattr,
	.removexattr = tmpfs_removexattr,
	.statfs = tmpfs_statfs,
	.release = tmpfs_release,
};

/* ---- mounting ---- */

/* "64m", "50%": percentages are of the host's memory. False: not a size. */
static bool parse_size(const char *s, uint64_t *out)
{
	char *end;
	unsigned long long v = strtoull(s, &end, 10);

	if (end == s)
		return false;
	switch (*end | 0x20) {
	case 'k':
		v <<= 10, end++;
		break;
	case 'm':
		v <<= 20, end++;
		break;
	case 'g':
		v <<= 30, end++;
		break;
	default:
		if (*end == '%') {
			v = v * ((uint64_t)sysconf(_SC_PHYS_PAGES) * 4096 / 100);
			end++;
		}
	}
	*out = v;
	return *end == 0;
}

static bool parse_option(const char *o, struct tmpfs *fs, struct kattr *a)
{
	uint64_t v;

	if (!strncmp(o, "size=", 5))
		return parse_size(o + 5, &fs->max_bytes);
	if (!strncmp(o, "nr_blocks=", 10) && parse_size(o + 10, &v)) {
		fs->max_bytes = v * 4096;
		return true;
	}
	if (!strncmp(o, "nr_inodes=", 10))
		return parse_size(o + 10, &fs->max_inodes);
	if (!strncmp(o, "mode=", 5)) {
		a->mode = S_IFDIR | (strtoul(o + 5, NULL, 8) & 07777);
		return true;
	}
	if (!strncmp(o, "uid=", 4)) {
		a->uid = strtoul(o + 4, NULL, 10);
		return true;
	}
	if (!strncmp(o, "gid=", 4)) {
		a->gid = strtoul(o + 4, NULL, 10);
		return true;
	}
	return true; /* huge=, mpol=, inode64 and what else changes nothing here */
}

static int tmpfs_mount(struct kernel *k, const char *options, struct vnode **root, char *err,
		       size_t errlen)
{
	struct tmpfs *fs = calloc(1, sizeof(*fs));
	struct kattr a = {.mode = S_IFDIR | S_ISVTX | 0777};
	char *copy = strdup(options ? options : ""), *save = NULL;
	struct tmpnode *n = NULL;
	int ret = fs && copy ? 0 : -ENOMEM;

	for (char *o = copy ? strtok_r(copy, ",", &save) : NULL; !ret && o;
	     o = strtok_r(NULL, ",", &save)) {
		if (!parse_option(o, fs, &a)) {
			snprintf(err, errlen, "tmpfs: bad option \"%s\"", o);
			ret = -EINVAL;
		}
	}
	if (!ret) {
		fs->kernel = k;
		pthread_mutex_init(&fs->lock, NULL);
		fs->dev = vfs_new_dev();
		fs->next_ino = 1;
		ret = node_new(fs, &a, &n);
	}
	free(copy);
	if (ret) {
		free(fs);
		return ret;
	}
	*root = &n->v;
	return 0;
}

const struct fs_type tmpfs_type = {.name = "tmpfs", .magic = 0x01021994, .mount = tmpfs_mount};
