/* SPDX-License-Identifier: Apache-2.0 */
/* Root, working directory, umask; reading directories; mount(2), which a container is refused. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"

int64_t sys_getcwd(struct task *t, const uint64_t a[6])
{
	char buf[VFS_PATH_MAX];
	struct kstat st;
	struct vpath cwd;
	int64_t len;

	fs_context_get_cwd(t->fs, &cwd);
	len = vpath_getattr(&cwd, &st);
	if (!len && !st.nlink)
		len = -ENOENT;
	if (!len)
		len = vfs_path_text(t, &cwd, buf, sizeof(buf));
	vpath_put(&cwd);
	if (len < 0)
		return len;
	if ((uint64_t)len + 1 > a[1])
		return -ERANGE;
	return mm_copy_out(t->mm, GVA(a[0]), buf, len + 1) < 0 ? -EFAULT : len + 1;
}

/* Takes over the reference in p. */
static int set_place(struct task *t, struct vpath *p, bool root)
{
	struct vpath old;
	int ret = p->node->type != S_IFDIR ? -ENOTDIR : perm_node(t, p, X_OK);

	if (ret) {
		vpath_put(p);
		return ret;
	}
	pthread_mutex_lock(&t->fs->lock);
	old = root ? t->fs->root : t->fs->cwd;
	*(root ? &t->fs->root : &t->fs->cwd) = *p;
	pthread_mutex_unlock(&t->fs->lock);
	vpath_put(&old);
	return 0;
}

int64_t sys_chdir(struct task *t, const uint64_t a[6])
{
	struct vpath p;
	int ret = at_lookup(t, AT_FDCWD, a[0], 0, &p);

	return ret ? ret : set_place(t, &p, false);
}

int64_t sys_fchdir(struct task *t, const uint64_t a[6])
{
	struct file *f = fd_get(t, (int)a[0]);
	struct vpath p;

	if (!f)
		return -EBADF;
	p = f->path;
	vpath_get(&p);
	file_put(f);
	return p.node ? set_place(t, &p, false) : -ENOTDIR;
}

int64_t sys_chroot(struct task *t, const uint64_t a[6])
{
	struct vpath p;
	int ret = at_lookup(t, AT_FDCWD, a[0], 0, &p);

	if (ret)
		return ret;
	if (!cred_capable(t->cred, CAP_SYS_CHROOT)) {
		vpath_put(&p);
		return -EPERM;
	}
	return set_place(t, &p, true);
}

int64_t sys_umask(struct task *t, const uint64_t a[6])
{
	uint32_t old;

	pthread_mutex_lock(&t->fs->lock);
	old = t->fs->umask;
	t->fs->umask = (uint32_t)a[0] & 0777;
	pthread_mutex_unlock(&t->fs->lock);
	return old;
}

/* The mount tree is the container's configuration; a guest cannot change it, whoever it is. */
int64_t sys_mount(struct task *t, const uint64_t a[6])
{
	(void)t, (void)a;
	return -EPERM;
}

int64_t sys_umount2(struct task *t, const uint64_t a[6])
{
	(void)t, (void)a;
	return -EPERM;
}

int64_t sys_pivot_root(struct task *t, const uint64_t a[6])
{
	(void)t, (void)a;
	return -EPERM;
}

/* ---- reading directories ---- */

#define DENTS_MAX 65536

struct dents {
	struct dir_emit emit;
	char *buf;
	size_t cap, len;
	bool old;      /* getdents(2): the type stands in the record's last byte */
	bool too_small; /* not even one record fits */
};

/* The records of getdents(2) and getdents64(2); both start with ino, off, reclen. */
static int dents_emit(struct dir_emit *e, const char *name, uint64_t ino, unsigned char type,
		      uint64_t next)
{
	struct dents *d = container_of(e, struct dents, emit);
	size_t n = strlen(name) + 1, head = d->old ? 18 : 19;
	size_t reclen = (head + n + (d->old ? 1 : 0) + 7) & ~(size_t)7;
	uint16_t len16 = (uint16_t)reclen;
	char *r = d->buf + d->len;

	if (reclen > d->cap - d->len) {
		d->too_small = !d->len;
		return 1;
	}
	memset(r, 0, reclen);
	memcpy(r, &ino, 8);
	memcpy(r + 8, &next, 8);
	memcpy(r + 16, &len16, 2);
	memcpy(r + head, name, n);
	r[d->old ? reclen - 1 : 18] = (char)type;
	d->len += reclen;
	return 0;
}

static int64_t do_getdents(struct task *t, const uint64_t a[6], bool old)
{
	struct dents d = {.emit.emit = dents_emit, .old = old, .cap = (uint32_t)a[2]};
	struct kstat st;
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (d.cap > DENTS_MAX)
		d.cap = DENTS_MAX;
	d.buf = malloc(d.cap + 1);
	if (!f->ops->readdir)
		ret = -ENOTDIR;
	else if (!d.buf)
		ret = -ENOMEM;
	else if (f->path.node && !vpath_getattr(&f->path, &st) && !st.nlink)
		ret = -ENOENT;
	if (!ret) {
		pthread_mutex_lock(&f->pos_lock);
		ret = f->ops->readdir(f, t, &d.emit, &f->pos);
		pthread_mutex_unlock(&f->pos_lock);
	}
	if (ret >= 0 && d.too_small)
		ret = -EINVAL;
	if (ret >= 0)
		ret = mm_copy_out(t->mm, GVA(a[1]), d.buf, d.len) < 0 ? -EFAULT : (int64_t)d.len;
	free(d.buf);
	file_put(f);
	return ret;
}

int64_t sys_getdents(struct task *t, const uint64_t a[6])
{
	return do_getdents(t, a, true);
}

int64_t sys_getdents64(struct task *t, const uint64_t a[6])
{
	return do_getdents(t, a, false);
}
