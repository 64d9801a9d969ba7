/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the receiving side: actions, masks, waiting for signals, alternate stacks. */
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/signal_internal.h"
#include "runtime/task/timer.h"

/* SA_* the kernel knows; others are cleared, so that programs can probe (sigaction(2)). */
#define SA_KNOWN 0xdc000807ull

static int sigset_in(struct task *t, uint64_t addr, uint64_t size, uint64_t *out)
{
	if (size != sizeof(*out))
		return -EINVAL;
	return mm_copy_in(t->mm, out, GVA(addr), sizeof(*out));
}

int64_t sys_rt_sigaction(struct task *t, const uint64_t a[6])
{
	struct process *p = t->process;
	struct sigaction_guest act = {0}, old;
	uint64_t sig = (uint32_t)a[0];
	bool ignores;

	if (a[3] != sizeof(uint64_t))
		return -EINVAL;
	if (a[1] && mm_copy_in(t->mm, &act, GVA(a[1]), sizeof(act)))
		return -EFAULT;
	if (!sig_valid(sig) || (a[1] && (SIGBIT(sig) & SIGSET_KERNEL_ONLY)))
		return -EINVAL;
	act.flags &= SA_KNOWN;
	act.mask &= ~SIGSET_KERNEL_ONLY;
	ignores = act.handler == HANDLER_IGN ||
		  (act.handler == HANDLER_DFL && (SIGBIT(sig) & SIGSET_IGNORE));

	pthread_mutex_lock(&p->sig_lock);
	pthread_mutex_lock(&t->sighand->lock);
	old = t->sighand->action[sig];
	if (a[1])
		t->sighand->action[sig] = act;
	pthread_mutex_unlock(&t->sighand->lock);
	/* POSIX: a pending signal that becomes ignored is discarded, blocked or not. */
	if (a[1] && ignores)
		signal_flush_all_locked(p, SIGBIT(sig));
	pthread_mutex_unlock(&p->sig_lock);

	if (a[2] && mm_copy_out(t->mm, GVA(a[2]), &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

int64_t sys_rt_sigprocmask(struct task *t, const uint64_t a[6])
{
	uint64_t old = t->sig_blocked, set;

	if (a[3] != sizeof(uint64_t))
		return -EINVAL;
	if (a[1]) {
		if (mm_copy_in(t->mm, &set, GVA(a[1]), sizeof(set)))
			return -EFAULT;
		switch ((int)a[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_mask(t, set);
	}
	if (a[2] && mm_copy_out(t->mm, GVA(a[2]), &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

int64_t sys_rt_sigpending(struct task *t, const uint64_t a[6])
{
	uint64_t set;

	if (a[1] > sizeof(set))
		return -EINVAL;
	set = signal_pending_set(t) & t->sig_blocked;
	return mm_copy_out(t->mm, GVA(a[0]), &set, a[1]);
}

static int64_t wait_for_signal(struct task *t)
{
	int ret;

	do {
		task_prepare_park(t);
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
	} while (!ret);
	return -ERESTARTNOHAND;
}

int64_t sys_rt_sigsuspend(struct task *t, const uint64_t a[6])
{
	uint64_t set;
	int ret = sigset_in(t, a[0], a[1], &set);

	if (ret)
		return ret;
	signal_set_temp_mask(t, set);
	return wait_for_signal(t);
}

int64_t sys_pause(struct task *t, const uint64_t a[6])
{
	(void)a;
	return wait_for_signal(t);
}

/* Sleeps until one of `set` is pending; t->sig_wait makes senders pick and wake this thread. */
static int timedwait(struct task *t, uint64_t set, uint64_t deadline, guest_siginfo_t *info)
{
	struct process *p = t->process;
	int sig = 0, ret = 0;

	for (;;) {
		task_prepare_park(t);
		pthread_mutex_lock(&p->sig_lock);
		sig = signal_take_locked(t, set, info);
		t->sig_wait = sig ? 0 : set;
		pthread_mutex_unlock(&p->sig_lock);
		if (sig || ret || !deadline)
			break;
		ret = task_park(t, deadline, NULL, 0);
	}
	pthread_mutex_lock(&p->sig_lock);
	t->sig_wait = 0;
	pthread_mutex_unlock(&p->sig_lock);
	if (sig)
		return sig;
	return ret == -EINTR ? -EINTR : -EAGAIN;
}

int64_t sys_rt_sigtimedwait(struct task *t, const uint64_t a[6])
{
	uint64_t set, deadline = DEADLINE_NONE;
	guest_siginfo_t info;
	struct timespec ts;
	int sig, ret = sigset_in(t, a[0], a[3], &set);

	if (ret)
		return ret;
	if (a[2]) {
		if (mm_copy_in(t->mm, &ts, GVA(a[2]), sizeof(ts)))
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = timespec_to_ns(&ts);
		if (deadline)
			deadline = deadline_after(monotonic_ns(), deadline);
	}
	sig = timedwait(t, set & ~SIGSET_KERNEL_ONLY, deadline, &info);
	if (sig < 0)
		return sig;
	if (info.si_code == SI_TIMER)
		timer_signal_taken(t->process, &info);
	if (a[1] && mm_copy_out(t->mm, GVA(a[1]), &info, sizeof(info)))
		return -EFAULT;
	return sig;
}

/* ---- coming back ---- */

/* Writes no result: the registers, the result among them, are the frame's. */
int64_t sys_rt_sigreturn(struct task *t, const uint64_t a[6])
{
	(void)a;
	if (arch_sigreturn(t))
		signal_force_segv(t, 0);
	return 0;
}

int64_t sys_restart_syscall(struct task *t, const uint64_t a[6])
{
	int64_t (*fn)(struct task *t, struct restart_block *r) = t->restart.fn;

	(void)a;
	t->restart.fn = NULL;
	return fn ? fn(t, &t->restart) : -EINTR;
}
