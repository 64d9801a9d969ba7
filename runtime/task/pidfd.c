/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), and the file behind them. */
#include "runtime/task/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

static bool process_reaped(struct process *p)
{
	bool reaped;

	pthread_mutex_lock(&p->kernel->tasks_lock);
	reaped = list_empty(&p->all_link);
	pthread_mutex_unlock(&p->kernel->tasks_lock);
	return reaped;
}

static uint32_t pidfd_poll(struct file *f, struct waiter *w)
{
	struct process *p = f->data;
	bool gone;

	if (w)
		waitq_add(&p->exit_wait, w, POLLIN);
	pthread_mutex_lock(&p->kernel->tasks_lock);
	gone = p->zombie;
	pthread_mutex_unlock(&p->kernel->tasks_lock);
	return gone ? POLLIN | POLLRDNORM : 0;
}

static void pidfd_release(struct file *f)
{
	process_put(f->data);
}

static const struct file_ops pidfd_ops = {
	.poll = pidfd_poll,
	.release = pidfd_release,
};

int pidfd_install(struct task *t, struct process *p, unsigned flags)
{
	struct file *f = file_alloc(&pidfd_ops, O_RDWR | flags);
	int fd;

	if (!f)
		return -ENOMEM;
	process_get(p);
	f->data = p;
	f->anon_name = "anon_inode:[pidfd]";
	fd = fd_install(t, f, 0, true);
	if (fd < 0)
		file_put(f);
	return fd;
}

struct process *pidfd_process(const struct file *f)
{
	return f->ops == &pidfd_ops ? f->data : NULL;
}

int64_t sys_pidfd_open(struct task *t, const uint64_t a[6])
{
	pid_t pid = (pid_t)a[0];
	unsigned flags = (unsigned)a[1];
	struct process *p;
	int fd;

	if (flags & ~(unsigned)O_NONBLOCK || pid <= 0)
		return -EINVAL;
	p = process_find(t->kernel, pid);
	if (!p) {
		struct task *other = task_find(t->kernel, pid);

		if (!other)
			return -ESRCH;
		task_put(other);
		return -EINVAL; /* a thread that leads no group */
	}
	fd = pidfd_install(t, p, flags);
	process_put(p);
	return fd;
}

/* The siginfo a caller may forge for another process: rt_sigqueueinfo(2)'s rule. */
static int pidfd_copy_info(struct task *t, struct process *p, int sig, uint64_t addr,
			   guest_siginfo_t *info)
{
	if (!addr) {
		info->si_signo = sig;
		info->si_code = SI_USER;
		info->si_pid = t->process->pid;
		info->si_uid = t->cred->uid;
		return 0;
	}
	if (mm_copy_in(t->mm, info, GVA(addr), sizeof(*info)))
		return -EFAULT;
	if (info->si_signo != sig)
		return -EINVAL;
	if (p != t->process && (info->si_code >= 0 || info->si_code == SI_TKILL))
		return -EPERM;
	return 0;
}

int64_t sys_pidfd_send_signal(struct task *t, const uint64_t a[6])
{
	int sig = (int)a[1];
	guest_siginfo_t info;
	struct process *p;
	struct file *f;
	int ret;

	if (a[3])
		return -EINVAL;
	f = fd_get(t, (int)a[0]);
	if (!f)
		return -EBADF;
	memset(&info, 0, sizeof(info));
	p = pidfd_process(f);
	if (!p)
		ret = -EBADF;
	else if (sig < 0 || sig > GUEST_NSIG)
		ret = -EINVAL;
	else
		ret = pidfd_copy_info(t, p, sig, a[2], &info);
	/* a zombie still takes signals, a reaped process is gone */
	if (ret == 0 && process_reaped(p))
		ret = -ESRCH;
	if (ret == 0 && !task_may_signal(t, p, sig))
		ret = -EPERM;
	if (ret == 0 && sig)
		ret = signal_send_process(p, sig, &info);
	file_put(f);
	return ret;
}

int64_t sys_pidfd_getfd(struct task *t, const uint64_t a[6])
{
	struct file *f = fd_get(t, (int)a[0]), *got = NULL;
	struct fdtable *files = NULL;
	struct process *p;
	struct task *other = NULL;
	int64_t ret = 0;

	if (!f)
		return -EBADF;
	p = pidfd_process(f);
	if (a[2])
		ret = -EINVAL;
	else if (!p)
		ret = -EBADF;
	else if (!(other = process_any_task(p)))
		ret = -ESRCH;
	else if (!task_may_ptrace(t, other))
		ret = -EPERM;
	else if (!(files = task_get_files(other)))
		ret = -ESRCH;
	else if (!(got = fdtable_file(files, (int)a[1])))
		ret = -EBADF;
	if (got) {
		ret = fd_install(t, got, 0, true);
		if (ret < 0)
			file_put(got);
	}
	if (files)
		fdtable_put(files, t);
	task_put(other);
	file_put(f);
	return ret;
}
