/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stat(2), statx(2), access(2), readlink(2). The guest has the host's architecture, so the host's struct
 * stat and struct statx are the guest's too.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)

/* A magic link to something with no place (a pipe in /proc/PID/fd): ask the object. */
static int stat_object(struct task *t, struct vnode *link, struct kstat *st)
{
	struct file *f;
	int ret = link->ops->open(link, t, O_PATH, &f);

	if (ret)
		return link->ops->getattr(link, st);
	ret = file_stat(f, st);
	file_put(f);
	return ret;
}

int vfs_stat_path(struct task *t, int dirfd, const char *path, unsigned lookup, struct kstat *st,
		  struct vpath *where)
{
	struct vpath p;
	int ret = vfs_walk(t, dirfd, path, lookup | LOOKUP_OBJECT, 0, &p);

	if (ret)
		return ret;
	if (p.node->type == S_IFLNK && lookup & LOOKUP_FOLLOW && p.node->ops->open)
		ret = stat_object(t, p.node, st);
	else
		ret = vpath_getattr(&p, st);
	if (where && !ret)
		*where = p;
	else
		vpath_put(&p);
	return ret;
}

static int stat_fd(struct task *t, int fd, struct kstat *st)
{
	struct file *f = fd_get(t, fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = file_stat(f, st);
	file_put(f);
	return ret;
}

/* What the *at forms ask for; a NULL path with AT_EMPTY_PATH means the descriptor itself. */
static int stat_at(struct task *t, int dirfd, uint64_t upath, int flags, struct kstat *st)
{
	unsigned lookup = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	char path[VFS_PATH_MAX] = "";
	int ret = !upath && flags & AT_EMPTY_PATH ? 0 : path_copy_in(t, upath, path);

	if (ret)
		return ret;
	if (!path[0] && flags & AT_EMPTY_PATH && dirfd != AT_FDCWD)
		return stat_fd(t, dirfd, st);
	if (flags & AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	return vfs_stat_path(t, dirfd, path, lookup, st, NULL);
}

static int64_t stat_copy_out(struct task *t, const struct kstat *k, uint64_t addr)
{
	struct stat s;

	memset(&s, 0, sizeof(s));
	s.st_dev = k->dev;
	s.st_ino = k->ino;
	s.st_nlink = k->nlink;
	s.st_mode = k->mode;
	s.st_uid = k->uid;
	s.st_gid = k->gid;
	s.st_rdev = k->rdev;
	s.st_size = (int64_t)k->size;
	s.st_blksize = k->blksize;
	s.st_blocks = (int64_t)k->blocks;
	s.st_atim = k->atime;
	s.st_mtim = k->mtime;
	s.st_ctim = k->ctime;
	return mm_copy_out(t->mm, GVA(addr), &s, sizeof(s));
}

static int64_t do_stat(struct task *t, int dirfd, uint64_t upath, uint64_t out, int flags)
{
	struct kstat st;
	int ret;

	if (flags & ~STAT_FLAGS)
		return -EINVAL;
	ret = stat_at(t, dirfd, upath, flags, &st);
	return ret ? ret : stat_copy_out(t, &st, out);
}

int64_t sys_stat(struct task *t, const uint64_t a[6])
{
	return do_stat(t, AT_FDCWD, a[0], a[1], 0);
}

int64_t sys_lstat(struct task *t, const uint64_t a[6])
{
	return do_stat(t, AT_FDCWD, a[0], a[1], AT_SYMLINK_NOFOLLOW);
}

int64_t sys_newfstatat(struct task *t, const uint64_t a[6])
{
	return do_stat(t, (int)a[0], a[1], a[2], (int)a[3]);
}

int64_t sys_fstat(struct task *t, const uint64_t a[6])
{
	struct kstat st;
	int ret = stat_fd(t, (int)a[0], &st);

	return ret ? ret : stat_copy_out(t, &st, a[1]);
}

static struct statx_timestamp statx_time(struct timespec ts)
{
	return (struct statx_timestamp){.tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec};
}

int64_t sys_statx(struct task *t, const uint64_t a[6])
{
	int flags = (int)a[2];
	struct kstat k;
	struct statx s;
	int ret;

	if (flags & ~(STAT_FLAGS | AT_STATX_SYNC_TYPE) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (uint32_t)a[3] & 0x80000000u)
		return -EINVAL;
	ret = stat_at(t, (int)a[0], a[1], flags, &k);
	if (ret)
		return ret;
	memset(&s, 0, sizeof(s));
	s.stx_mask = STATX_BASIC_STATS;
	if (k.btime.tv_sec || k.btime.tv_nsec)
		s.stx_mask |= STATX_BTIME;
	s.stx_blksize = k.blksize;
	s.stx_nlink = k.nlink;
	s.stx_uid = k.uid;
	s.stx_gid = k.gid;
	s.stx_mode = (uint16_t)k.mode;
	s.stx_ino = k.ino;
	s.stx_size = k.size;
	s.stx_blocks = k.blocks;
	s.stx_atime = statx_time(k.atime);
	s.stx_btime = statx_time(k.btime);
	s.stx_ctime = statx_time(k.ctime);
	s.stx_mtime = statx_time(k.mtime);
	s.stx_rdev_major = major(k.rdev);
	s.stx_rdev_minor = minor(k.rdev);
	s.stx_dev_major = major(k.dev);
	s.stx_dev_minor = minor(k.dev);
	return mm_copy_out(t->mm, GVA(a[4]), &s, sizeof(s));
}

/* ---- access ---- */

static int64_t do_access(struct task *t, int dirfd, uint64_t upath, int mode, int flags)
{
	unsigned lookup = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct vpath p = {0};
	char path[VFS_PATH_MAX];
	struct kstat st;
	int ret;

	if (mode & ~(R_OK | W_OK | X_OK) || flags & ~(AT_EACCESS | STAT_FLAGS))
		return -EINVAL;
	ret = path_copy_in(t, upath, path);
	if (ret)
		return ret;
	if (!path[0] && flags & AT_EMPTY_PATH && dirfd != AT_FDCWD)
		ret = stat_fd(t, dirfd, &st);
	else
		ret = vfs_stat_path(t, dirfd, path, lookup | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
				    &st, &p);
	if (ret)
		return ret;
	if (mode)
		ret = flags & AT_EACCESS ? perm_check(t, &st, mode) : perm_check_real(t, &st, mode);
	if (!ret && mode & W_OK && p.node &&
	    (p.node->type == S_IFREG || p.node->type == S_IFDIR || p.node->type == S_IFLNK))
		ret = mount_writable(p.mount);
	if (p.node)
		vpath_put(&p);
	return ret;
}

int64_t sys_access(struct task *t, const uint64_t a[6])
{
	return do_access(t, AT_FDCWD, a[0], (int)a[1], 0);
}

int64_t sys_faccessat(struct task *t, const uint64_t a[6])
{
	return do_access(t, (int)a[0], a[1], (int)a[2], 0);
}

int64_t sys_faccessat2(struct task *t, const uint64_t a[6])
{
	return do_access(t, (int)a[0], a[1], (int)a[2], (int)a[3]);
}

/* ---- readlink ---- */

static int64_t do_readlink(struct task *t, int dirfd, uint64_t upath, uint64_t ubuf, int size)
{
	char path[VFS_PATH_MAX], text[VFS_PATH_MAX];
	struct vpath p;
	int64_t len;
	int ret;

	if (size <= 0)
		return -EINVAL;
	ret = path_copy_in(t, upath, path);
	/* An empty path names a symlink opened with O_PATH. */
	if (!ret)
		ret = vfs_walk(t, dirfd, path, dirfd == AT_FDCWD ? 0 : LOOKUP_EMPTY, 0, &p);
	if (ret)
		return ret;
	if (p.node->type != S_IFLNK)
		len = path[0] ? -EINVAL : -ENOENT;
	else
		len = p.node->ops->readlink ? p.node->ops->readlink(p.node, t, text, sizeof(text))
					    : -EINVAL;
	vpath_put(&p);
	if (len > size)
		len = size;
	if (len > 0 && mm_copy_out(t->mm, GVA(ubuf), text, len) < 0)
		return -EFAULT;
	return len;
}

int64_t sys_readlink(struct task *t, const uint64_t a[6])
{
	return do_readlink(t, AT_FDCWD, a[0], a[1], (int)a[2]);
}

int64_t sys_readlinkat(struct task *t, const uint64_t a[6])
{
	return do_readlink(t, (int)a[0], a[1], a[2], (int)a[3]);
}
