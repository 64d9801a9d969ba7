/* SPDX-License-Identifier: Apache-2.0 */
/* The proc file system's nodes and directories; what its files say is in the tables. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/proc_node.h"
#include "runtime/task/pid.h"

#define PROC_MAGIC 0x9fa0
#define POS_DYNAMIC 1024 /* directory positions of pids and descriptors start here */
#define ONLY_AT_OPEN ((unsigned)(O_CREAT | O_TRUNC | O_EXCL)) /* no flags of the description */

struct procfs {
	atomic_uint refs; /* one per node */
	struct kernel *kernel;
	uint64_t dev;
	struct timespec born;
};

static const struct vnode_ops proc_ops, proc_magic_ops, proc_magic_open_ops;
static const struct file_ops proc_dir_ops;

/* ---- context ---- */

int proc_ctx_get(struct proc_node *n, struct task *reader, struct proc_ctx *c)
{
	*c = (struct proc_ctx){
		.k = n->fs->kernel, .reader = reader, .fd = n->fd, .name = n->row->name};
	if (!n->pid)
		return 0;
	c->p = process_find(c->k, n->pid);
	if (!c->p)
		return -ESRCH;
	c->thread = n->tid != 0;
	if (!n->tid) {
		c->task = process_any_task(c->p);
		return 0;
	}
	c->task = task_find(c->k, n->tid);
	if (c->task && c->task->process == c->p)
		return 0;
	if (c->task)
		task_put(c->task);
	process_put(c->p);
	return -ESRCH;
}

void proc_ctx_put(struct proc_ctx *c)
{
	if (c->task)
		task_put(c->task);
	if (c->p)
		process_put(c->p);
}

/* ptrace(2)'s access rule, for what a process keeps to itself. */
static int ctx_check_private(const struct proc_ctx *c)
{
	if (!c->reader || !c->task || c->reader->process == c->p)
		return 0;
	return task_may_ptrace(c->reader, c->task) ? 0 : -EACCES;
}

/* ---- nodes ---- */

static uint64_t node_ino(const struct proc_row *row, pid_t pid, pid_t tid, int fd)
{
	uint64_t h = 1469598103934665603u;

	for (const char *s = row->name; *s; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211u;
	h = (h ^ (uintptr_t)row) * 1099511628211u;
	h = (h ^ (uint32_t)pid) * 1099511628211u;
	h = (h ^ (uint32_t)tid) * 1099511628211u;
	h = (h ^ (uint32_t)fd) * 1099511628211u;
	return (h >> 16) | (uint64_t)1 << 32;
}

static struct vnode *node_new(struct procfs *fs, const struct proc_row *row, pid_t pid, pid_t tid,
			      int fd)
{
	struct proc_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	vnode_init(&n->v,
		   !row->magic ? &proc_ops
		   : row->open ? &proc_magic_open_ops
			       : &proc_magic_ops,
		   row->mode & S_IFMT);
	n->v.volatile_links = true;
	n->v.dev = fs->dev;
	n->v.ino = node_ino(row, pid, tid, fd);
	n->fs = fs;
	n->row = row;
	n->pid = pid;
	n->tid = tid;
	n->fd = fd;
	atomic_fetch_add(&fs->refs, 1);
	return &n->v;
}

static void proc_release(struct vnode *v)
{
	struct proc_node *n = proc_node_of(v);

	if (atomic_fetch_sub(&n->fs->refs, 1) == 1)
		free(n->fs);
	free(n);
}

/* A number without leading zeros or anything behind it, else -1. */
static int parse_number(const char *s)
{
	long v = 0;

	if (!*s || (*s == '0' && s[1]))
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > INT32_MAX / 10 - 1)
			return -1;
		v = v * 10 + (*s - '0');
	}
	return (int)v;
}

/* Threads other than leaders are not listed, but their numbers name their group as that thread sees it. */
static pid_t group_of(struct kernel *k, pid_t nr)
{
	struct task *t;

	pthread_mutex_lock(&k->tasks_lock);
	t = process_find_locked(k, nr) ? NULL : task_find_locked(k, nr);
	if (t)
		nr = t->process->pid;
	pthread_mutex_unlock(&k->tasks_lock);
	return nr;
}

static int lookup_dynamic(struct proc_node *dir, struct task *t, const char *name,
			  struct vnode **out)
{
	const struct proc_row *row = NULL;
	int nr = parse_number(name), ret;
	struct proc_node at = *dir;
	struct proc_ctx c;

	if (nr < 0)
		return -ENOENT;
	at.row = dir->row;
	switch (dir->row->dynamic) {
	case PROC_PIDS:
		at.pid = group_of(dir->fs->kernel, nr);
		at.tid = at.pid == nr ? 0 : nr;
		row = &proc_pid_row;
		break;
	case PROC_TASKS:
		at.tid = nr;
		row = &proc_tid_row;
		break;
	case PROC_FDS:
	case PROC_FDINFOS:
		at.fd = nr;
		row = dir->row->dynamic == PROC_FDS ? &proc_fd_row : &proc_fdinfo_row;
		break;
	default:
		return -ENOENT;
	}
	if (!nr && dir->row->dynamic <= PROC_TASKS)
		return -ENOENT;
	ret = proc_ctx_get(&at, t, &c);
	if (ret)
		return -ENOENT;
	if (dir->row->dynamic >= PROC_FDS) {
		ret = ctx_check_private(&c);
		if (!ret && proc_fd_next(&c, nr) != nr)
			ret = -ENOENT;
	}
	proc_ctx_put(&c);
	if (ret)
		return ret;
	*out = node_new(dir->fs, row, at.pid, at.tid, at.fd);
	return *out ? 0 : -ENOMEM;
}

static int proc_lookup(struct vnode *v, struct task *t, const char *name, struct vnode **out)
{
	struct proc_node *dir = proc_node_of(v);

	if (v->type != S_IFDIR)
		return -ENOTDIR;
	for (const struct proc_row *r = dir->row->children; r && r->name; r++) {
		if (strcmp(r->name, name))
			continue;
		*out = node_new(dir->fs, r, dir->pid, dir->tid, 0);
		return *out ? 0 : -ENOMEM;
	}
	return lookup_dynamic(dir, t, name, out);
}

/* Files of a process belong to its effective ids, or to root when it may not be dumped. */
static void owner_of(const struct proc_ctx *c, struct kstat *out)
{
	struct cred *cr;

	if (!c->task || !atomic_load(&c->p->dumpable))
		return;
	cr = task_get_cred(c->task);
	out->uid = cr->euid;
	out->gid = cr->egid;
	cred_put(cr);
}

static int proc_getattr(struct vnode *v, struct kstat *out)
{
	struct proc_node *n = proc_node_of(v);
	struct proc_ctx c;
	int ret = proc_ctx_get(n, NULL, &c);

	if (ret)
		return -ENOENT;
	*out = (struct kstat){.dev = n->fs->dev,
			      .ino = v->ino,
			      .mode = n->row->mode,
			      .nlink = v->type == S_IFDIR ? 2 : 1,
			      .blksize = 1024};
	/* Programs ask here whether they have but one thread. */
	if (n->row->dynamic == PROC_TASKS && c.p) {
		pthread_mutex_lock(&c.k->tasks_lock);
		out->nlink += c.p->ntasks;
		pthread_mutex_unlock(&c.k->tasks_lock);
	}
	clock_gettime(CLOCK_REALTIME, &out->mtime);
	if (n->row->dynamic == PROC_PIDS)
		out->mtime = n->fs->born;
	out->atime = out->ctime = out->btime = out->mtime;
	if (c.p)
		owner_of(&c, out);
	proc_ctx_put(&c);
	return 0;
}

/* Linux lets chmod and chown of proc files fail with EPERM. */
static int proc_setattr(struct vnode *v, const struct kattr *a)
{
	(void)v;
	/* O_TRUNC on a writable file has no effect. */
	return a->valid & (KATTR_MODE | KATTR_UID | KATTR_GID) ? -EPERM : 0;
}

static int64_t proc_readlink(struct vnode *v, struct task *t, char *buf, size_t cap)
{
	struct proc_node *n = proc_node_of(v);
	struct proc_ctx c;
	int64_t ret;

	if (!n->row->link)
		return -EINVAL;
	ret = proc_ctx_get(n, t, &c);
	if (ret)
		return -ENOENT;
	ret = n->row->magic ? ctx_check_private(&c) : 0;
	if (!ret)
		ret = n->row->link(&c, buf, cap);
	proc_ctx_put(&c);
	return ret;
}

static int proc_follow(struct vnode *v, struct task *t, struct vpath *out)
{
	struct proc_node *n = proc_node_of(v);
	struct proc_ctx c;
	int ret = proc_ctx_get(n, t, &c);

	if (ret)
		return -ENOENT;
	ret = ctx_check_private(&c);
	if (!ret)
		ret = n->row->follow(&c, out);
	proc_ctx_put(&c);
	return ret;
}

static int proc_open(struct vnode *v, struct task *t, int flags, struct file **out)
{
	struct proc_node *n = proc_node_of(v);
	struct proc_ctx c;
	int ret = proc_ctx_get(n, t, &c);

	if (ret)
		return n->tid ? -ESRCH : -ENOENT;
	ret = n->row->private_ || n->row->magic ? ctx_check_private(&c) : 0;
	if (!ret && n->row->open) {
		ret = n->row->open(&c, flags, out);
	} else if (!ret && v->type == S_IFDIR) {
		*out = file_alloc(&proc_dir_ops, (unsigned)flags & ~ONLY_AT_OPEN);
		ret = *out ? 0 : -ENFILE;
	} else if (!ret) {
		ret = proc_text_open((int)((unsigned)flags & ~ONLY_AT_OPEN), out);
	}
	proc_ctx_put(&c);
	return ret;
}

static int proc_statfs(struct vnode *v, struct statfs *out)
{
	(void)v;
	memset(out, 0, sizeof(*out));
	out->f_type = PROC_MAGIC;
	out->f_bsize = out->f_frsize = 4096;
	out->f_namelen = 255;
	return 0;
}

#define PROC_COMMON_OPS                                                                            \
	.getattr = proc_getattr, .setattr = proc_setattr, .readlink = proc_readlink,               \
	.statfs = proc_statfs, .release = proc_release

static const struct vnode_ops proc_ops = {
	PROC_COMMON_OPS, .lookup = proc_lookup, .open = proc_open};
static const struct vnode_ops proc_magic_ops = {PROC_COMMON_OPS, .follow = proc_follow};
static const struct vnode_ops proc_magic_open_ops = {
	PROC_COMMON_OPS, .follow = proc_follow, .open = proc_open};

/* ---- directories ---- */

/* The next number >= nr of the directory, or -1. */
static int next_number(struct proc_node *dir, struct proc_ctx *c, int nr)
{
	int best = -1;

	if (dir->row->dynamic >= PROC_FDS)
		return proc_fd_next(c, nr);
	pthread_mutex_lock(&c->k->tasks_lock);
	if (dir->row->dynamic == PROC_PIDS) {
		list_for_each(l, &c->k->processes) {
			pid_t pid = list_entry(l, struct process, all_link)->pid;

			if (pid >= nr && (best < 0 || pid < best))
				best = pid;
		}
	} else if (c->p) {
		list_for_each(l, &c->p->tasks) {
			pid_t tid = list_entry(l, struct task, group_link)->tid;

			if (tid >= nr && (best < 0 || tid < best))
				best = tid;
		}
	}
	pthread_mutex_unlock(&c->k->tasks_lock);
	return best;
}

static int emit_rows(struct proc_node *dir, struct dir_emit *d, int64_t *pos)
{
	int64_t i = 2;

	for (; *pos < 2; ++*pos)
		if (d->emit(d, *pos ? ".." : ".", dir->v.ino, DT_DIR, (uint64_t)*pos + 1))
			return 1;
	for (const struct proc_row *r = dir->row->children; r && r->name; r++, i++) {
		if (i < *pos)
			continue;
		if (d->emit(d, r->name, node_ino(r, dir->pid, dir->tid, 0),
			    (unsigned char)((r->mode & S_IFMT) >> 12), (uint64_t)i + 1))
			return 1;
		*pos = i + 1;
	}
	return 0;
}

static int proc_readdir(struct file *f, struct task *t, struct dir_emit *d, int64_t *pos)
{
	struct proc_node *dir = proc_node_of(f->path.node);
	enum proc_dynamic dyn = dir->row->dynamic;
	struct proc_ctx c;
	int nr, ret;

	if (*pos < POS_DYNAMIC && emit_rows(dir, d, pos))
		return 0;
	if (dyn == PROC_STATIC)
		return 0;
	ret = proc_ctx_get(dir, t, &c);
	if (ret)
		return -ENOENT;
	if (*pos < POS_DYNAMIC)
		*pos = POS_DYNAMIC;
	while ((nr = next_number(dir, &c, (int)(*pos - POS_DYNAMIC))) >= 0) {
		char name[16];
		const struct proc_row *row = dyn == PROC_PIDS	? &proc_pid_row
					     : dyn == PROC_TASKS ? &proc_tid_row
					     : dyn == PROC_FDS	? &proc_fd_row
								: &proc_fdinfo_row;
		uint64_t ino = node_ino(row, dyn == PROC_PIDS ? nr : dir->pid,
					dyn == PROC_TASKS ? nr : dir->tid, dyn >= PROC_FDS ? nr : 0);

		snprintf(name, sizeof(name), "%d", nr);
		if (d->emit(d, name, ino, (unsigned char)((row->mode & S_IFMT) >> 12),
			    (uint64_t)nr + POS_DYNAMIC + 1))
			break;
		*pos = (int64_t)nr + POS_DYNAMIC + 1;
	}
	proc_ctx_put(&c);
	return 0;
}

static const struct file_ops proc_dir_ops = {.readdir = proc_readdir, .seek = file_seek_endless};

/* ---- the file system ---- */

int proc_pass_through(struct kernel *k, const char *path, struct proc_text *x)
{
	char buf[4096];
	ssize_t n;
	int fd;

	if (k->host_proc_fd < 0)
		return -ENOENT;
	fd = openat(k->host_proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf, sizeof(buf))) > 0 && x->len < (8u << 20))
		proc_write(x, buf, (size_t)n);
	close(fd);
	return 0;
}

static int procfs_mount(struct kernel *k, const char *options, struct vnode **root, char *err,
			size_t errlen)
{
	static const struct proc_row root_row = {.name = "",
						 .mode = S_IFDIR | 0555,
						 .children = proc_root_rows,
						 .dynamic = PROC_PIDS};
	struct procfs *fs = calloc(1, sizeof(*fs));

	(void)options;
	*root = NULL;
	if (fs) {
		fs->kernel = k;
		fs->dev = vfs_new_dev();
		clock_gettime(CLOCK_REALTIME, &fs->born);
		*root = node_new(fs, &root_row, 0, 0, 0);
	}
	if (*root)
		return 0;
	free(fs);
	snprintf(err, errlen, "out of memory");
	return -ENOMEM;
}

const struct fs_type procfs_type = {"proc", PROC_MAGIC, procfs_mount};
