/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: dup(2), close(2), fcntl(2), flock(2), ioctl(2). */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/fs/fasync.h"
#include "runtime/fs/lock.h"
#include "runtime/fs/pipe.h"
#include "runtime/fs/vfs_internal.h"
#include "runtime/task/exec.h"

#define SETFL_FLAGS (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#define CLOSE_RANGE_CLOEXEC 4u
#endif

int64_t sys_close(struct task *t, const uint64_t a[6])
{
	return fd_close(t, (int)a[0]);
}

int64_t sys_close_range(struct task *t, const uint64_t a[6])
{
	unsigned flags = (unsigned)a[2];

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || (unsigned)a[0] > (unsigned)a[1])
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		struct fdtable *own = fdtable_copy(t->files);

		if (!own)
			return -ENOMEM;
		task_replace_files(t, own);
	}
	return fd_close_range(t, (unsigned)a[0], (unsigned)a[1], flags & CLOSE_RANGE_CLOEXEC);
}

static int64_t do_dup(struct task *t, int fd, int min, bool cloexec)
{
	struct file *f = fd_get(t, fd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install(t, f, min, cloexec);
	if (ret < 0)
		file_put(f);
	return ret;
}

static int64_t do_dup_at(struct task *t, int oldfd, int newfd, bool cloexec)
{
	struct file *f = fd_get(t, oldfd);
	int ret;

	if (!f)
		return -EBADF;
	ret = fd_install_at(t, f, newfd, cloexec);
	file_put(f);
	return ret;
}

int64_t sys_dup(struct task *t, const uint64_t a[6])
{
	return do_dup(t, (int)a[0], 0, false);
}

int64_t sys_dup2(struct task *t, const uint64_t a[6])
{
	if ((int)a[0] == (int)a[1])
		return fd_get_cloexec(t, (int)a[0]) < 0 ? -EBADF : (int)a[0];
	return do_dup_at(t, (int)a[0], (int)a[1], false);
}

int64_t sys_dup3(struct task *t, const uint64_t a[6])
{
	if ((int)a[2] & ~O_CLOEXEC || (int)a[0] == (int)a[1])
		return -EINVAL;
	return do_dup_at(t, (int)a[0], (int)a[1], (int)a[2] & O_CLOEXEC);
}

/* ---- fcntl ---- */

static int set_flags(struct file *f, unsigned want)
{
	unsigned old = atomic_load(&f->flags), new;

	do
		new = (old & ~(unsigned)SETFL_FLAGS) | (want & SETFL_FLAGS);
	while (!atomic_compare_exchange_weak(&f->flags, &old, new));
	return f->ops->set_flags ? f->ops->set_flags(f, new) : 0;
}

static int64_t fcntl_setfl(struct task *t, struct file *f, unsigned want)
{
	struct kstat st;

	if (want & O_NOATIME && !(atomic_load(&f->flags) & O_NOATIME) && file_stat(f, &st) == 0 &&
	    !perm_owner(t, &st))
		return -EPERM;
	return set_flags(f, want);
}

/* struct flock to an inclusive range. */
static int lock_range(struct file *f, const struct flock *fl, struct record_lock *l)
{
	int64_t base = 0, start, end;
	struct kstat st;

	if (fl->l_whence == SEEK_CUR) {
		pthread_mutex_lock(&f->pos_lock);
		base = f->pos;
		pthread_mutex_unlock(&f->pos_lock);
	} else if (fl->l_whence == SEEK_END) {
		if (file_stat(f, &st) < 0)
			return -EINVAL;
		base = (int64_t)st.size;
	} else if (fl->l_whence != SEEK_SET) {
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, fl->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (fl->l_len > 0) {
		if (__builtin_add_overflow(start, fl->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (fl->l_len < 0) {
		end = start - 1;
		start += fl->l_len;
		if (start < 0)
			return -EINVAL;
	} else {
		end = INT64_MAX;
	}
	l->start = start;
	l->end = end;
	return 0;
}

static int64_t fcntl_lock(struct task *t, struct file *f, int cmd, uint64_t addr)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	unsigned acc = atomic_load(&f->flags) & O_ACCMODE;
	struct record_lock l;
	struct flock fl;
	int ret;

	if (mm_copy_in(t->mm, &fl, GVA(addr), sizeof(fl)) < 0)
		return -EFAULT;
	if (!f->path.node)
		return -EINVAL;
	if ((fl.l_type != F_RDLCK && fl.l_type != F_WRLCK && fl.l_type != F_UNLCK) ||
	    (ofd && fl.l_pid))
		return -EINVAL;
	ret = lock_range(f, &fl, &l);
	if (ret)
		return ret;
	l.type = fl.l_type;
	l.ofd = ofd;
	l.owner = ofd ? (const void *)f : (const void *)t->files;
	l.pid = ofd ? -1 : t->process->pid;
	if (cmd != F_GETLK && cmd != F_OFD_GETLK) {
		if ((l.type == F_RDLCK && acc == O_WRONLY) || (l.type == F_WRLCK && acc == O_RDONLY))
			return -EBADF;
		return lock_set(t, f->path.node, &l, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
	}
	if (l.type == F_UNLCK)
		return -EINVAL;
	ret = lock_test(f->path.node, &l);
	if (ret)
		return ret;
	fl.l_type = (short)l.type;
	if (l.type != F_UNLCK) {
		fl.l_whence = SEEK_SET;
		fl.l_start = l.start;
		fl.l_len = l.end == INT64_MAX ? 0 : l.end - l.start + 1;
		fl.l_pid = l.pid;
	}
	return mm_copy_out(t->mm, GVA(addr), &fl, sizeof(fl)) < 0 ? -EFAULT : 0;
}

/* ---- who gets SIGIO ---- */

/* pos_lock held. */
static struct fasync *fasync_of(struct file *f)
{
	if (!f->fasync)
		f->fasync = calloc(1, sizeof(*f->fasync));
	return f->fasync;
}

static int64_t owner_set(struct task *t, struct file *f, int type, int32_t pid)
{
	struct fasync *fa;

	pthread_mutex_lock(&f->pos_lock);
	fa = fasync_of(f);
	if (fa) {
		fa->type = type;
		fa->pid = pid;
		fa->uid = t->cred->uid;
		fa->euid = t->cred->euid;
	}
	pthread_mutex_unlock(&f->pos_lock);
	return fa ? 0 : -ENOMEM;
}

static int64_t fcntl_owner(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct {
		int32_t type, pid;
	} ex = {F_OWNER_PID, 0};
	struct fasync *fa;
	int sig = 0;

	switch (cmd) {
	case F_SETOWN:
		if ((int)arg == INT32_MIN)
			return -EINVAL;
		return owner_set(t, f, (int)arg < 0 ? F_OWNER_PGRP : F_OWNER_PID, abs((int)arg));
	case F_SETOWN_EX:
		if (mm_copy_in(t->mm, &ex, GVA(arg), sizeof(ex)) < 0)
			return -EFAULT;
		if (ex.type < F_OWNER_TID || ex.type > F_OWNER_PGRP)
			return -EINVAL;
		return owner_set(t, f, ex.type, ex.pid);
	case F_SETSIG:
		if (arg > GUEST_NSIG)
			return -EINVAL;
		break;
	}
	pthread_mutex_lock(&f->pos_lock);
	fa = cmd == F_SETSIG ? fasync_of(f) : f->fasync;
	if (fa && cmd == F_SETSIG)
		fa->sig = (int)arg;
	if (fa) {
		ex.type = fa->type;
		ex.pid = fa->pid;
		sig = fa->sig;
	}
	pthread_mutex_unlock(&f->pos_lock);
	if (cmd == F_SETSIG)
		return fa ? 0 : -ENOMEM;
	if (cmd == F_GETSIG)
		return sig;
	if (cmd == F_GETOWN)
		return ex.type == F_OWNER_PGRP ? -ex.pid : ex.pid;
	return mm_copy_out(t->mm, GVA(arg), &ex, sizeof(ex)) < 0 ? -EFAULT : 0;
}

static int64_t fcntl_seals(struct file *f, int cmd, uint64_t arg)
{
	struct hostfile *hf = hostfile_of(f);
	int ret;

	if (!hf || !hf->memfd)
		return -EINVAL;
	if (cmd == F_ADD_SEALS && (atomic_load(&f->flags) & O_ACCMODE) == O_RDONLY)
		return -EPERM;
	ret = cmd == F_GET_SEALS ? fcntl(f->host_fd, F_GET_SEALS)
				 : fcntl(f->host_fd, F_ADD_SEALS, (int)arg);
	return ret < 0 ? host_errno() : ret;
}

/* What an O_PATH descriptor answers too (open(2), O_PATH). */
static bool works_on_path(int cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_SETFD ||
	       cmd == F_GETFL;
}

static int64_t fcntl_file(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_GETFL:
		return atomic_load(&f->flags);
	case F_SETFL:
		return fcntl_setfl(t, f, (unsigned)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return fcntl_lock(t, f, cmd, arg);
	case F_GETOWN:
	case F_SETOWN:
	case F_GETOWN_EX:
	case F_SETOWN_EX:
	case F_GETSIG:
	case F_SETSIG:
		return fcntl_owner(t, f, cmd, arg);
	case F_GETPIPE_SZ:
		return pipe_get_size(f);
	case F_SETPIPE_SZ:
		return pipe_set_size(f, t, (unsigned)arg);
	case F_GET_SEALS:
	case F_ADD_SEALS:
		return fcntl_seals(f, cmd, arg);
	case F_GETLEASE:
		return F_UNLCK;
	case F_SETLEASE:
		return arg == F_UNLCK ? 0 : -EAGAIN;
	}
	return -EINVAL;
}

int64_t sys_fcntl(struct task *t, const uint64_t a[6])
{
	int fd = (int)a[0], cmd = (int)a[1];
	struct file *f = fd_get(t, fd);
	int64_t ret;

	if (!f)
		return -EBADF;
	if (atomic_load(&f->flags) & O_PATH && !works_on_path(cmd)) {
		file_put(f);
		return -EBADF;
	}
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		file_put(f);
		if ((int)a[2] < 0 || a[2] >= process_rlimit(t->process, RLIMIT_NOFILE))
			return -EINVAL;
		return do_dup(t, fd, (int)a[2], cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		ret = fd_get_cloexec(t, fd);
		break;
	case F_SETFD:
		ret = fd_set_cloexec(t, fd, a[2] & FD_CLOEXEC);
		break;
	default:
		ret = fcntl_file(t, f, cmd, a[2]);
	}
	file_put(f);
	return ret;
}

int64_t sys_flock(struct task *t, const uint64_t a[6])
{
	int op = (int)a[1] & ~LOCK_NB;
	struct file *f;
	int64_t ret;

	/* Mandatory locks are gone; Linux says yes and does nothing. */
	if (op & LOCK_MAND)
		return 0;
	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	ret = fd_get_io(t, (int)a[0], &f);
	if (ret)
		return ret;
	ret = f->path.node ? lock_flock(t, f->path.node, f, op, !((int)a[1] & LOCK_NB)) : -EINVAL;
	file_put(f);
	return ret;
}

/* ---- ioctl ---- */

static int64_t ioctl_set_flag(struct task *t, struct file *f, unsigned flag, uint64_t addr)
{
	unsigned old = atomic_load(&f->flags);
	int on;

	if (mm_copy_in(t->mm, &on, GVA(addr), sizeof(on)) < 0)
		return -EFAULT;
	return set_flags(f, on ? old | flag : old & ~flag);
}

static int64_t ioctl_size(struct task *t, struct file *f, uint64_t addr)
{
	struct kstat st;
	int64_t size;

	if (file_stat(f, &st) < 0)
		return -EIO;
	size = (int64_t)st.blocks * 512;
	return mm_copy_out(t->mm, GVA(addr), &size, sizeof(size)) < 0 ? -EFAULT : 0;
}

int64_t sys_ioctl(struct task *t, const uint64_t a[6])
{
	unsigned cmd = (unsigned)a[1];
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		ret = fd_set_cloexec(t, (int)a[0], cmd == FIOCLEX);
		break;
	case FIONBIO:
		ret = ioctl_set_flag(t, f, O_NONBLOCK, a[2]);
		break;
	case FIOASYNC:
		ret = ioctl_set_flag(t, f, O_ASYNC, a[2]);
		break;
	case FIOQSIZE:
		ret = f->path.node && (f->path.node->type == S_IFREG || f->path.node->type == S_IFDIR)
			      ? ioctl_size(t, f, a[2])
			      : -ENOTTY;
		break;
	default:
		ret = f->ops->ioctl ? f->ops->ioctl(f, t, cmd, a[2]) : -ENOTTY;
	}
	file_put(f);
	return ret;
}
