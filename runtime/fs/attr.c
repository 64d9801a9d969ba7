/* SPDX-License-Identifier: Apache-2.0 */
/* chmod(2), chown(2), utimensat(2) and their families. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/time.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"
#include "runtime/task/idmap.h"

/* The place or, for files without one (memfd, pipe), just the file. */
struct target {
	struct vpath p;
	struct file *f;
};

static int target_fd(struct task *t, int fd, struct target *g)
{
	int ret = fd_get_io(t, fd, &g->f);

	if (ret)
		return ret;
	g->p = g->f->path;
	vpath_get(&g->p);
	return 0;
}

static int target_at(struct task *t, int dirfd, uint64_t upath, int flags, struct target *g)
{
	*g = (struct target){0};
	return at_lookup(t, dirfd, upath, flags, &g->p);
}

static void target_put(struct target *g)
{
	vpath_put(&g->p);
	file_put(g->f);
}

static int target_stat(struct target *g, struct kstat *st)
{
	return g->p.node ? vpath_getattr(&g->p, st) : file_stat(g->f, st);
}

static int target_set(struct target *g, const struct kattr *attr)
{
	int ret;

	if (!g->p.node)
		return 0; /* an anonymous object: its attributes are fixed, as good as set */
	ret = vpath_setattr(&g->p, attr);
	if (!ret)
		vfs_notify_node(g->p.node, IN_ATTRIB);
	return ret;
}

/* ---- mode ---- */

static int64_t change_mode(struct task *t, struct target *g, uint32_t mode)
{
	struct kattr attr = {.valid = KATTR_MODE, .mode = mode & 07777};
	struct kstat st;
	int ret = target_stat(g, &st);

	if (!ret && !perm_owner(t, &st))
		ret = -EPERM;
	if (!ret && attr.mode & S_ISGID && !cred_in_group(t->cred, st.gid) &&
	    !cred_capable(t->cred, CAP_FSETID))
		attr.mode &= ~(uint32_t)S_ISGID;
	if (!ret)
		ret = target_set(g, &attr);
	target_put(g);
	return ret;
}

static int64_t do_chmodat(struct task *t, int dirfd, uint64_t upath, uint32_t mode, int flags)
{
	struct target g;
	int ret = target_at(t, dirfd, upath, flags, &g);

	return ret ? ret : change_mode(t, &g, mode);
}

int64_t sys_chmod(struct task *t, const uint64_t a[6])
{
	return do_chmodat(t, AT_FDCWD, a[0], (uint32_t)a[1], 0);
}

int64_t sys_fchmodat(struct task *t, const uint64_t a[6])
{
	return do_chmodat(t, (int)a[0], a[1], (uint32_t)a[2], 0);
}

int64_t sys_fchmodat2(struct task *t, const uint64_t a[6])
{
	if ((int)a[3] & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return do_chmodat(t, (int)a[0], a[1], (uint32_t)a[2], (int)a[3]);
}

int64_t sys_fchmod(struct task *t, const uint64_t a[6])
{
	struct target g;
	int ret = target_fd(t, (int)a[0], &g);

	return ret ? ret : change_mode(t, &g, (uint32_t)a[1]);
}

/* ---- owner ---- */

static int may_chown(struct task *t, const struct kstat *st, uint32_t uid, uint32_t gid)
{
	bool owner = t->cred->fsuid == st->uid;

	if (cred_capable(t->cred, CAP_CHOWN))
		return 0;
	if (uid != (uint32_t)-1 && (!owner || uid != st->uid))
		return -EPERM;
	if (gid != (uint32_t)-1 && (!owner || (gid != st->gid && !cred_in_group(t->cred, gid))))
		return -EPERM;
	return 0;
}

static int64_t change_owner(struct task *t, struct target *g, uint32_t uid, uint32_t gid)
{
	struct kattr attr = {.uid = uid, .gid = gid};
	struct kstat st;
	int ret = target_stat(g, &st);

	if (uid != (uint32_t)-1)
		attr.valid |= KATTR_UID;
	if (gid != (uint32_t)-1)
		attr.valid |= KATTR_GID;
	if (!ret && (!idmap_takes_uid(&t->kernel->config.ids, uid) ||
		     !idmap_takes_gid(&t->kernel->config.ids, gid)))
		ret = -EINVAL;
	if (!ret)
		ret = may_chown(t, &st, uid, gid);
	if (!ret && attr.valid)
		ret = target_set(g, &attr);
	target_put(g);
	return ret;
}

static int64_t do_chownat(struct task *t, int dirfd, uint64_t upath, uint64_t uid, uint64_t gid,
			  int flags)
{
	struct target g;
	int ret = target_at(t, dirfd, upath, flags, &g);

	return ret ? ret : change_owner(t, &g, (uint32_t)uid, (uint32_t)gid);
}

int64_t sys_chown(struct task *t, const uint64_t a[6])
{
	return do_chownat(t, AT_FDCWD, a[0], a[1], a[2], 0);
}

int64_t sys_lchown(struct task *t, const uint64_t a[6])
{
	return do_chownat(t, AT_FDCWD, a[0], a[1], a[2], AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchownat(struct task *t, const uint64_t a[6])
{
	struct target g;
	char path[2];
	int ret;

	if ((int)a[4] & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	/* The descriptor itself, which may be one without a place. */
	if ((int)a[4] & AT_EMPTY_PATH && (int)a[0] != AT_FDCWD &&
	    mm_copy_in_str(t->mm, path, GVA(a[1]), sizeof(path)) == 0) {
		g.f = fd_get(t, (int)a[0]);
		if (!g.f)
			return -EBADF;
		g.p = g.f->path;
		vpath_get(&g.p);
		return change_owner(t, &g, (uint32_t)a[2], (uint32_t)a[3]);
	}
	ret = target_at(t, (int)a[0], a[1], (int)a[4], &g);
	return ret ? ret : change_owner(t, &g, (uint32_t)a[2], (uint32_t)a[3]);
}

int64_t sys_fchown(struct task *t, const uint64_t a[6])
{
	struct target g;
	int ret = target_fd(t, (int)a[0], &g);

	return ret ? ret : change_owner(t, &g, (uint32_t)a[1], (uint32_t)a[2]);
}

/* ---- times ---- */

static bool valid_nsec(const struct timespec *ts)
{
	return ts->tv_nsec == UTIME_NOW || ts->tv_nsec == UTIME_OMIT ||
	       (ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000);
}

/* ts NULL: both now. utimensat(2), "Permissions requirements". */
static int64_t change_times(struct task *t, struct target *g, const struct timespec *ts)
{
	static const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	struct kattr attr = {0};
	struct kstat st;
	bool both_now;
	int ret;

	if (!ts)
		ts = now;
	both_now = ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW;
	if (ts[0].tv_nsec != UTIME_OMIT)
		attr.valid |= KATTR_ATIME;
	if (ts[1].tv_nsec != UTIME_OMIT)
		attr.valid |= KATTR_MTIME;
	attr.atime = ts[0];
	attr.mtime = ts[1];
	ret = attr.valid ? target_stat(g, &st) : 0;
	if (!ret && attr.valid && !perm_owner(t, &st))
		ret = both_now ? perm_check(t, &st, W_OK) : -EPERM;
	if (!ret && attr.valid)
		ret = target_set(g, &attr);
	target_put(g);
	return ret;
}

static int64_t do_utimes(struct task *t, int dirfd, uint64_t upath, const struct timespec *ts,
			 int flags)
{
	struct target g;
	int ret;

	if (!upath && dirfd != AT_FDCWD)
		ret = target_fd(t, dirfd, &g);
	else
		ret = target_at(t, dirfd, upath, flags, &g);
	return ret ? ret : change_times(t, &g, ts);
}

int64_t sys_utimensat(struct task *t, const uint64_t a[6])
{
	struct timespec ts[2];

	if ((int)a[3] & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (a[2]) {
		if (mm_copy_in(t->mm, ts, GVA(a[2]), sizeof(ts)) < 0)
			return -EFAULT;
		if (!valid_nsec(&ts[0]) || !valid_nsec(&ts[1]))
			return -EINVAL;
	}
	return do_utimes(t, (int)a[0], a[1], a[2] ? ts : NULL, (int)a[3]);
}

static int64_t utimes_at(struct task *t, int dirfd, uint64_t upath, uint64_t utv)
{
	struct timeval tv[2];
	struct timespec ts[2];

	if (utv) {
		if (mm_copy_in(t->mm, tv, GVA(utv), sizeof(tv)) < 0)
			return -EFAULT;
		for (int i = 0; i < 2; i++) {
			if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
				return -EINVAL;
			ts[i] = (struct timespec){tv[i].tv_sec, tv[i].tv_usec * 1000};
		}
	}
	return do_utimes(t, dirfd, upath, utv ? ts : NULL, 0);
}

int64_t sys_utimes(struct task *t, const uint64_t a[6])
{
	return utimes_at(t, AT_FDCWD, a[0], a[1]);
}

int64_t sys_futimesat(struct task *t, const uint64_t a[6])
{
	return utimes_at(t, (int)a[0], a[1], a[2]);
}

int64_t sys_utime(struct task *t, const uint64_t a[6])
{
	int64_t sec[2];
	struct timespec ts[2];

	if (!a[1])
		return do_utimes(t, AT_FDCWD, a[0], NULL, 0);
	if (mm_copy_in(t->mm, sec, GVA(a[1]), sizeof(sec)) < 0)
		return -EFAULT;
	ts[0] = (struct timespec){sec[0], 0};
	ts[1] = (struct timespec){sec[1], 0};
	return do_utimes(t, AT_FDCWD, a[0], ts, 0);
}
