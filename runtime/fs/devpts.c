/* SPDX-License-Identifier: Apache-2.0 */
/* devpts: a directory of "ptmx" and the slaves of the pseudo-terminals that exist. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "runtime/fs/tty_priv.h"

#define DEVPTS_MAGIC 0x1cd1
#define PTMX_INO 2
#define PTS_INO(i) (3u + (unsigned)(i))

struct ptsfs {
	atomic_uint refs; /* one per node */
	struct kernel *kernel;
	uint64_t dev;
	uint32_t ptmx_mode;
	struct timespec born;
};

struct pts_node {
	struct vnode v;
	struct ptsfs *fs;
	struct tty *tty; /* slaves: a reference */
};

static const struct vnode_ops pts_dir_ops, pts_dev_ops;

/* The device number slaves that were opened through no path say they are on. */
static _Atomic uint64_t last_dev;

uint64_t devpts_dev(void)
{
	return atomic_load(&last_dev);
}

static struct pts_node *node_of(struct vnode *v)
{
	return container_of(v, struct pts_node, v);
}

static struct vnode *node_new(struct ptsfs *fs, const struct vnode_ops *ops, uint32_t type,
			      uint64_t ino)
{
	struct pts_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	vnode_init(&n->v, ops, type);
	n->v.volatile_links = true;
	n->v.dev = fs->dev;
	n->v.ino = ino;
	n->fs = fs;
	atomic_fetch_add(&fs->refs, 1);
	return &n->v;
}

static void pts_release(struct vnode *v)
{
	struct pts_node *n = node_of(v);

	if (n->tty)
		tty_put(n->tty);
	if (atomic_fetch_sub(&n->fs->refs, 1) == 1)
		free(n->fs);
	free(n);
}

static int pts_lookup(struct vnode *dir, struct task *t, const char *name, struct vnode **out)
{
	struct ptsfs *fs = node_of(dir)->fs;
	struct tty *y;
	char *end;
	unsigned long i;

	(void)t;
	if (!strcmp(name, "ptmx")) {
		*out = node_new(fs, &pts_dev_ops, S_IFCHR, PTMX_INO);
		return *out ? 0 : -ENOMEM;
	}
	if (*name < '0' || *name > '9' || (*name == '0' && name[1]))
		return -ENOENT;
	i = strtoul(name, &end, 10);
	y = *end ? NULL : pts_by_index(i < PTS_MAX ? (unsigned)i : PTS_MAX);
	if (!y)
		return -ENOENT;
	*out = node_new(fs, &pts_dev_ops, S_IFCHR, PTS_INO(i));
	if (!*out) {
		tty_put(y);
		return -ENOMEM;
	}
	node_of(*out)->tty = y;
	return 0;
}

static int pts_getattr(struct vnode *v, struct kstat *out)
{
	struct pts_node *n = node_of(v);

	*out = (struct kstat){.dev = n->fs->dev,
			      .ino = v->ino,
			      .nlink = v->type == S_IFDIR ? 2 : 1,
			      .mode = v->type | (v->type == S_IFDIR ? 0755 : n->fs->ptmx_mode),
			      .blksize = 1024};
	out->atime = out->mtime = out->ctime = out->btime = n->fs->born;
	if (v->type == S_IFDIR)
		return 0;
	out->rdev = makedev(5, 2);
	if (n->tty) {
		pthread_mutex_lock(&n->tty->lock);
		out->rdev = n->tty->rdev;
		out->mode = S_IFCHR | n->tty->mode;
		out->uid = n->tty->uid;
		out->gid = n->tty->gid;
		pthread_mutex_unlock(&n->tty->lock);
		clock_gettime(CLOCK_REALTIME, &out->atime);
		out->mtime = out->atime;
	}
	return 0;
}

static int pts_setattr(struct vnode *v, const struct kattr *a)
{
	struct tty *y = node_of(v)->tty;

	if (!y)
		return v->type == S_IFCHR && !(a->valid & (KATTR_UID | KATTR_GID)) ? 0 : -EPERM;
	pthread_mutex_lock(&y->lock);
	if (a->valid & KATTR_MODE)
		y->mode = a->mode & 0777;
	if (a->valid & KATTR_UID)
		y->uid = a->uid;
	if (a->valid & KATTR_GID)
		y->gid = a->gid;
	pthread_mutex_unlock(&y->lock);
	return 0;
}

static int pts_dev_open(struct vnode *v, struct task *t, int flags, struct file **out)
{
	struct pts_node *n = node_of(v);

	return n->tty ? pts_open(t, n->tty, (unsigned)flags, out) : ptmx_open(t, flags, out);
}

static int pts_statfs(struct vnode *v, struct statfs *out)
{
	(void)v;
	memset(out, 0, sizeof(*out));
	out->f_type = DEVPTS_MAGIC;
	out->f_bsize = out->f_frsize = 4096;
	out->f_namelen = 255;
	return 0;
}

static int pts_readdir(struct file *f, struct task *t, struct dir_emit *d, int64_t *pos)
{
	/* Positions: 0 ".", 1 "..", 2 ptmx, 3 + i: slave i. */
	static const char *const fixed[3] = {".", "..", "ptmx"};
	int i;

	(void)f, (void)t;
	for (; *pos < 3; ++*pos)
		if (d->emit(d, fixed[*pos], *pos < 2 ? 1 : PTMX_INO, *pos < 2 ? DT_DIR : DT_CHR,
			    (uint64_t)*pos + 1))
			return 0;
	while ((i = pts_next((int)*pos - 3)) >= 0) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		if (d->emit(d, name, PTS_INO(i), DT_CHR, (uint64_t)i + 4))
			return 0;
		*pos = i + 4;
	}
	return 0;
}

static const struct file_ops pts_dir_file_ops = {.readdir = pts_readdir, .seek = file_seek_endless};

static int pts_dir_open(struct vnode *v, struct task *t, int flags, struct file **out)
{
	(void)v, (void)t;
	*out = file_alloc(&pts_dir_file_ops, (unsigned)flags);
	return *out ? 0 : -ENFILE;
}

static const struct vnode_ops pts_dir_ops = {
	.lookup = pts_lookup,
	.getattr = pts_getattr,
	.open = pts_dir_open,
	.statfs = pts_statfs,
	.release = pts_release,
};
static const struct vnode_ops pts_dev_ops = {
	.getattr = pts_getattr,
	.setattr = pts_setattr,
	.open = pts_dev_open,
	.statfs = pts_statfs,
	.release = pts_release,
};

static int devpts_mount(struct kernel *k, const char *options, struct vnode **root, char *err,
			size_t errlen)
{
	struct ptsfs *fs = calloc(1, sizeof(*fs));
	const char *mode = options ? strstr(options, "ptmxmode=") : NULL;

	if (!fs) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	fs->kernel = k;
	fs->dev = vfs_new_dev();
	atomic_store(&last_dev, fs->dev);
	fs->ptmx_mode = mode ? (uint32_t)strtoul(mode + 9, NULL, 8) & 0777 : 0;
	clock_gettime(CLOCK_REALTIME, &fs->born);
	*root = node_new(fs, &pts_dir_ops, S_IFDIR, 1);
	if (!*root) {
		free(fs);
		return -ENOMEM;
	}
	return 0;
}

const struct fs_type devpts_type = {"devpts", DEVPTS_MAGIC, devpts_mount};
