/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the sending side: kill(2), tgkill(2), rt_sigqueueinfo(2). */
#include <string.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/signal_internal.h"

static void info_user(struct task *t, int sig, int code, guest_siginfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = code;
	info->si_pid = t->process->pid;
	info->si_uid = t->cred->uid;
}

/* Signal 0 only asks for permission. tasks_lock held. */
static int send_process_locked(struct task *t, struct process *p, int sig,
			       const guest_siginfo_t *info)
{
	if (!task_may_signal(t, p, sig))
		return -EPERM;
	return sig ? signal_send_process(p, sig, info) : 0;
}

/* kill(-pgid), kill(0): success if any could be signalled. */
static int send_group_locked(struct task *t, pid_t pgid, int sig, const guest_siginfo_t *info)
{
	bool sent = false;
	int ret = -ESRCH;

	list_for_each(n, &t->kernel->processes) {
		struct process *p = list_entry(n, struct process, all_link);

		if (p->pgid != pgid)
			continue;
		ret = send_process_locked(t, p, sig, info);
		sent |= !ret;
	}
	return sent ? 0 : ret;
}

/* kill(-1): everybody but init and the caller; those that may not be signalled do not matter. */
static int send_all_locked(struct task *t, int sig, const guest_siginfo_t *info)
{
	bool any = false;
	int ret = 0;

	list_for_each(n, &t->kernel->processes) {
		struct process *p = list_entry(n, struct process, all_link);
		int err;

		if (p == t->kernel->init || p == t->process)
			continue;
		any = true;
		err = send_process_locked(t, p, sig, info);
		if (err != -EPERM)
			ret = err;
	}
	return any ? ret : -ESRCH;
}

int64_t sys_kill(struct task *t, const uint64_t a[6])
{
	struct kernel *k = t->kernel;
	pid_t pid = (pid_t)a[0];
	uint64_t sig = (uint32_t)a[1];
	guest_siginfo_t info;
	struct process *p;
	int ret;

	if (sig > GUEST_NSIG)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	info_user(t, (int)sig, SI_USER, &info);
	pthread_mutex_lock(&k->tasks_lock);
	if (pid > 0) {
		struct task *target = task_find_locked(k, pid);

		/* As Linux does, a thread's id names its process too. */
		p = process_find_locked(k, pid);
		if (!p && target)
			p = target->process;
		ret = p ? send_process_locked(t, p, (int)sig, &info) : -ESRCH;
	} else if (pid == -1) {
		ret = send_all_locked(t, (int)sig, &info);
	} else {
		ret = send_group_locked(t, pid ? -pid : t->process->pgid, (int)sig, &info);
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

/* tgid <= 0: whatever process the thread is in (tkill). */
static int send_thread(struct task *t, pid_t tgid, pid_t tid, int sig, const guest_siginfo_t *info)
{
	struct kernel *k = t->kernel;
	struct task *target;
	int ret = -ESRCH;

	pthread_mutex_lock(&k->tasks_lock);
	target = task_find_locked(k, tid);
	if (target && (tgid <= 0 || target->process->pid == tgid)) {
		if (!task_may_signal(t, target->process, sig))
			ret = -EPERM;
		else
			ret = sig ? signal_send_task(target, sig, info) : 0;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

int64_t sys_tgkill(struct task *t, const uint64_t a[6])
{
	pid_t tgid = (pid_t)a[0], tid = (pid_t)a[1];
	uint64_t sig = (uint32_t)a[2];
	guest_siginfo_t info;

	if (tgid <= 0 || tid <= 0 || sig > GUEST_NSIG)
		return -EINVAL;
	info_user(t, (int)sig, SI_TKILL, &info);
	return send_thread(t, tgid, tid, (int)sig, &info);
}

int64_t sys_tkill(struct task *t, const uint64_t a[6])
{
	pid_t tid = (pid_t)a[0];
	uint64_t sig = (uint32_t)a[1];
	guest_siginfo_t info;

	if (tid <= 0 || sig > GUEST_NSIG)
		return -EINVAL;
	info_user(t, (int)sig, SI_TKILL, &info);
	return send_thread(t, 0, tid, (int)sig, &info);
}

/* Nobody may pose as the kernel or as kill(2) towards another process (rt_sigqueueinfo(2)). */
static int info_from_guest(struct task *t, uint64_t addr, int sig, pid_t to, guest_siginfo_t *info)
{
	if (mm_copy_in(t->mm, info, GVA(addr), sizeof(*info)))
		return -EFAULT;
	info->si_signo = sig;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && to != t->process->pid &&
	    to != t->tid)
		return -EPERM;
	return 0;
}

int64_t sys_rt_sigqueueinfo(struct task *t, const uint64_t a[6])
{
	struct kernel *k = t->kernel;
	pid_t pid = (pid_t)a[0];
	uint64_t sig = (uint32_t)a[1];
	guest_siginfo_t info;
	struct process *p;
	struct task *target;
	int ret = info_from_guest(t, a[2], (int)sig, pid, &info);

	if (ret)
		return ret;
	if (sig > GUEST_NSIG)
		return -EINVAL;
	pthread_mutex_lock(&k->tasks_lock);
	target = task_find_locked(k, pid);
	p = process_find_locked(k, pid);
	if (!p && target)
		p = target->process;
	ret = p ? send_process_locked(t, p, (int)sig, &info) : -ESRCH;
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

int64_t sys_rt_tgsigqueueinfo(struct task *t, const uint64_t a[6])
{
	pid_t tgid = (pid_t)a[0], tid = (pid_t)a[1];
	uint64_t sig = (uint32_t)a[2];
	guest_siginfo_t info;
	int ret = info_from_guest(t, a[3], (int)sig, tid, &info);

	if (ret)
		return ret;
	if (tgid <= 0 || tid <= 0 || sig > GUEST_NSIG)
		return -EINVAL;
	return send_thread(t, tgid, tid, (int)sig, &info);
}
