/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd(2): reading takes signals from the reader's own queues, whoever made the descriptor.
 *
 * poll has no reader when it is asked without a waiter, or for an epoll instance; then the process
 * that made the descriptor is looked at, with the private queues of all its threads.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/signal_internal.h"
#include "runtime/task/timer.h"

struct signalfd {
	_Atomic uint64_t mask;
	struct process *owner; /* a reference */
};

static void siginfo_out(struct signalfd_siginfo *o, const guest_siginfo_t *i)
{
	memset(o, 0, sizeof(*o));
	o->ssi_signo = (uint32_t)i->si_signo;
	o->ssi_errno = i->si_errno;
	o->ssi_code = i->si_code;
	if (i->si_code == SI_TIMER) {
		o->ssi_tid = (uint32_t)i->si_timerid;
		o->ssi_overrun = (uint32_t)i->si_overrun;
		o->ssi_ptr = (uint64_t)(uintptr_t)i->si_ptr;
		o->ssi_int = i->si_int;
	} else if (i->si_signo == SIGCHLD && i->si_code > 0) {
		o->ssi_pid = (uint32_t)i->si_pid;
		o->ssi_uid = i->si_uid;
		o->ssi_status = i->si_status;
		o->ssi_utime = (uint64_t)i->si_utime;
		o->ssi_stime = (uint64_t)i->si_stime;
	} else if ((SIGBIT(i->si_signo) & SIGSET_SYNCHRONOUS) && i->si_code > 0 &&
		   i->si_code != SI_KERNEL) {
		o->ssi_addr = (uint64_t)(uintptr_t)i->si_addr;
	} else if (i->si_signo == SIGIO && i->si_code > 0 && i->si_code != SI_KERNEL) {
		o->ssi_band = (uint32_t)i->si_band;
		o->ssi_fd = i->si_fd;
	} else {
		o->ssi_pid = (uint32_t)i->si_pid;
		o->ssi_uid = i->si_uid;
		o->ssi_ptr = (uint64_t)(uintptr_t)i->si_ptr;
		o->ssi_int = i->si_int;
	}
}

static int take_one(struct task *t, struct signalfd *s, guest_siginfo_t *info)
{
	int sig;

	pthread_mutex_lock(&t->process->sig_lock);
	sig = signal_take_locked(t, atomic_load(&s->mask), info);
	/* A stop signal read here stops nobody. */
	if (sig && (SIGBIT(sig) & SIGSET_STOP))
		t->process->stop_dequeued = false;
	pthread_mutex_unlock(&t->process->sig_lock);
	if (sig && info->si_code == SI_TIMER)
		timer_signal_taken(t->process, info);
	return sig;
}

static int wait_one(struct task *t, struct signalfd *s, guest_siginfo_t *info)
{
	struct waiter w;
	int sig, ret = 0;

	waiter_init(&w, t);
	waitq_add(&t->process->signalfd_wait, &w, POLLIN);
	for (;;) {
		task_prepare_park(t);
		sig = take_one(t, s, info);
		if (sig)
			break;
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
		if (ret)
			break;
	}
	waitq_remove(&w);
	return sig ? sig : -ERESTARTSYS;
}

static int64_t signalfd_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct signalfd *s = f->data;
	struct signalfd_siginfo out;
	guest_siginfo_t info;
	int64_t done = 0;

	(void)pos;
	if (to->resid < sizeof(out))
		return -EINVAL;
	while (to->resid >= sizeof(out)) {
		int sig = take_one(t, s, &info);

		if (!sig && done)
			break;
		if (!sig && (atomic_load(&f->flags) & O_NONBLOCK))
			return -EAGAIN;
		if (!sig)
			sig = wait_one(t, s, &info);
		if (sig < 0)
			return sig;
		siginfo_out(&out, &info);
		if (uio_write_to_guest(to, &out, sizeof(out)) != (int64_t)sizeof(out))
			return done ? done : -EFAULT;
		done += (int64_t)sizeof(out);
	}
	return done;
}

static uint32_t signalfd_poll(struct file *f, struct waiter *w)
{
	struct signalfd *s = f->data;
	struct process *p = w && w->task ? w->task->process : s->owner;
	uint64_t set;

	if (w)
		waitq_add(&p->signalfd_wait, w, w->events);
	pthread_mutex_lock(&p->sig_lock);
	set = p->shared_pending.set;
	list_for_each(n, &p->tasks) {
		struct task *t = list_entry(n, struct task, group_link);

		if (!w || !w->task || w->task == t)
			set |= t->pending.set;
	}
	pthread_mutex_unlock(&p->sig_lock);
	return set & atomic_load(&s->mask) ? POLLIN | POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->data;

	process_put(s->owner);
	free(s);
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.release = signalfd_release,
};

static int64_t signalfd_new(struct task *t, uint64_t mask, int flags)
{
	struct signalfd *s = calloc(1, sizeof(*s));
	struct file *f;
	int fd;

	if (!s)
		return -ENOMEM;
	f = file_alloc(&signalfd_ops, O_RDWR | ((unsigned)flags & O_NONBLOCK));
	if (!f) {
		free(s);
		return -ENOMEM;
	}
	atomic_init(&s->mask, mask);
	process_get(t->process);
	s->owner = t->process;
	f->data = s;
	f->anon_name = "anon_inode:[signalfd]";
	fd = fd_install(t, f, 0, flags & SFD_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

static int64_t signalfd_change(struct task *t, int fd, uint64_t mask)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &signalfd_ops) {
		file_put(f);
		return -EINVAL;
	}
	atomic_store(&((struct signalfd *)f->data)->mask, mask);
	waitq_wake(&t->process->signalfd_wait, POLLIN, 0);
	file_put(f);
	return fd;
}

int64_t sys_signalfd4(struct task *t, const uint64_t a[6])
{
	int fd = (int)a[0], flags = (int)a[3];
	uint64_t mask;

	if (a[2] != sizeof(mask))
		return -EINVAL;
	if (mm_copy_in(t->mm, &mask, GVA(a[1]), sizeof(mask)))
		return -EFAULT;
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~SIGSET_KERNEL_ONLY;
	return fd == -1 ? signalfd_new(t, mask, flags) : signalfd_change(t, fd, mask);
}

int64_t sys_signalfd(struct task *t, const uint64_t a[6])
{
	return sys_signalfd4(t, (const uint64_t[6]){a[0], a[1], a[2], 0});
}
