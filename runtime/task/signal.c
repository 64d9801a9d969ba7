/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending signals: what is discarded, where it is queued, whom to rouse (signal(7), kill(2)).
 *
 * Everything here runs under the target's sig_lock. A pending bit is set before the thread is
 * interrupted, and task->attention is cleared only under sig_lock by the thread itself, so that a
 * signal sent is either seen by the look under way or causes another one.
 */
#include <string.h>

#include "runtime/task/signal_internal.h"
#include "runtime/task/timer.h"

void signal_process_init(struct process *p)
{
	pthread_mutex_init(&p->sig_lock, NULL);
	sigqueue_init(&p->shared_pending);
	waitq_init(&p->signalfd_wait);
	p->sig_queued = 0;
	p->stopped = p->stop_pending = p->stop_reported = p->continued_unreported = false;
	p->stop_notify = p->cont_notify = p->stop_dequeued = false;
}

void signal_process_destroy(struct process *p)
{
	sigqueue_flush(p, &p->shared_pending, ~0ull);
	waitq_destroy(&p->signalfd_wait);
	pthread_mutex_destroy(&p->sig_lock);
}

void signal_task_init(struct task *t)
{
	sigqueue_init(&t->pending);
	t->sig_blocked = t->sig_saved_blocked = t->sig_wait = 0;
	t->restore_saved_blocked = t->in_stop = false;
	t->altstack = (stack_t_guest){.flags = SS_DISABLE};
	t->restart.fn = NULL;
	atomic_init(&t->park_state, 0);
}

void signal_task_joined_locked(struct task *t)
{
	if (t->process->stop_pending || t->process->stopped)
		atomic_store(&t->attention, true);
}

void signal_task_left_locked(struct task *t)
{
	struct process *p = t->process;

	sigqueue_flush(p, &t->pending, ~0ull);
	signal_retarget_locked(p, t, p->shared_pending.set & ~t->sig_blocked);
	signal_stop_check_locked(p);
}

void signal_flush_all_locked(struct process *p, uint64_t set)
{
	sigqueue_flush(p, &p->shared_pending, set);
	list_for_each(n, &p->tasks)
		sigqueue_flush(p, &list_entry(n, struct task, group_link)->pending, set);
}

/* ---- choosing a thread ---- */

/* Would t take sig soon? A stopped thread takes nothing but SIGKILL. */
static bool task_wants(const struct task *t, int sig)
{
	if (atomic_load(&t->exit_requested))
		return false;
	if (sig == SIGKILL)
		return true;
	if (t->sig_wait & SIGBIT(sig))
		return true;
	return !(t->sig_blocked & SIGBIT(sig)) && !t->in_stop;
}

/* The leader if it is free, else a thread with nothing to deliver yet, else any that wants it. */
static struct task *choose_task(struct process *p, int sig)
{
	struct task *busy = NULL, *idle = NULL;

	list_for_each(n, &p->tasks) {
		struct task *t = list_entry(n, struct task, group_link);

		if (!task_wants(t, sig))
			continue;
		if (t->tid == p->pid)
			return t;
		if (!idle && !(t->pending.set & ~t->sig_blocked))
			idle = t;
		busy = t;
	}
	return idle ? idle : busy;
}

void signal_retarget_locked(struct process *p, struct task *except, uint64_t set)
{
	set &= p->shared_pending.set;
	list_for_each(n, &p->tasks) {
		struct task *t = list_entry(n, struct task, group_link);
		uint64_t takes = set & (~t->sig_blocked | t->sig_wait);

		if (!set)
			return;
		if (t == except || !takes || t->in_stop || atomic_load(&t->exit_requested))
			continue;
		task_interrupt(t);
		set &= ~takes;
	}
}

/* ---- sending ---- */

static bool handler_ignores(struct process *p, struct task *t, int sig, bool force)
{
	struct sigaction_guest act;

	sighand_action(t->sighand, sig, &act);
	if (act.handler == HANDLER_IGN)
		return true;
	if (act.handler != HANDLER_DFL)
		return false;
	if (p->unkillable && !(force && (SIGBIT(sig) & SIGSET_KERNEL_ONLY)))
		return true;
	return SIGBIT(sig) & SIGSET_IGNORE;
}

/* The effects a signal has by being sent, even if it is then ignored (signal(7), SIGCONT). */
static void send_side_effects(struct process *p, int sig)
{
	if (SIGBIT(sig) & SIGSET_STOP)
		signal_flush_all_locked(p, SIGBIT(SIGCONT));
	else if (sig == SIGCONT)
		signal_continue_locked(p);
}

/* A thread that signals itself looks at attention on its way out: no kick needed. */
static void rouse_one(struct task *t)
{
	if (pthread_equal(t->thread, pthread_self()))
		atomic_store(&t->attention, true);
	else
		task_interrupt(t);
}

static void rouse(struct process *p, struct task *t, int sig)
{
	if (sig == SIGKILL) {
		p->stop_dequeued = false;
		list_for_each(n, &p->tasks)
			rouse_one(list_entry(n, struct task, group_link));
		return;
	}
	if (!t)
		t = choose_task(p, sig);
	else if (!task_wants(t, sig))
		t = NULL;
	if (t)
		rouse_one(t);
}

int signal_send_locked(struct process *p, struct task *t, int sig, const guest_siginfo_t *info,
		       bool force)
{
	struct task *target = t ? t : process_any_task_locked(p);
	bool must = force || !info || info->si_code > 0;
	int ret;

	if (!target || !target->sighand || list_empty(&p->tasks))
		return 0; /* a zombie: signals vanish */
	if (p->group_exiting && sig != SIGKILL)
		return 0;
	if (!(p->unkillable && sig == SIGSTOP && !force))
		send_side_effects(p, sig);
	if (!(target->sig_blocked & SIGBIT(sig)) && handler_ignores(p, target, sig, force))
		return 0;
	/* Standard signals are sent whatever the limit; it bounds the real-time queue. */
	ret = sigqueue_add(p, t ? &t->pending : &p->shared_pending, sig, info,
			   must || sig < GUEST_SIGRTMIN);
	if (ret)
		return ret;
	atomic_fetch_add_explicit(&p->kernel->signals_sent, 1, memory_order_relaxed);
	waitq_wake(&p->signalfd_wait, POLLIN, 0);
	rouse(p, t, sig);
	return 0;
}

int signal_send_task(struct task *t, int sig, const guest_siginfo_t *info)
{
	struct process *p = t->process;
	int ret = 0;

	pthread_mutex_lock(&p->sig_lock);
	if (!list_empty(&t->group_link))
		ret = signal_send_locked(p, t, sig, info, false);
	pthread_mutex_unlock(&p->sig_lock);
	return ret;
}

int signal_send_process(struct process *p, int sig, const guest_siginfo_t *info)
{
	int ret;

	pthread_mutex_lock(&p->sig_lock);
	ret = signal_send_locked(p, NULL, sig, info, false);
	pthread_mutex_unlock(&p->sig_lock);
	return ret;
}

int signal_send_timer(struct process *p, pid_t tid, int sig, const guest_siginfo_t *info)
{
	struct task *t = NULL;
	int ret = -ESRCH;

	pthread_mutex_lock(&p->sig_lock);
	list_for_each(n, &p->tasks)
		if (tid && list_entry(n, struct task, group_link)->tid == tid)
			t = list_entry(n, struct task, group_link);
	if (!list_empty(&p->tasks) && (t || !tid))
		ret = signal_send_locked(p, t, sig, info, false);
	pthread_mutex_unlock(&p->sig_lock);
	return ret;
}

int signal_send_external(struct process *p, int sig)
{
	guest_siginfo_t info;
	int ret;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = SI_USER; /* pid 0: the sender is outside the pid namespace */
	pthread_mutex_lock(&p->sig_lock);
	ret = signal_send_locked(p, NULL, sig, &info, true);
	pthread_mutex_unlock(&p->sig_lock);
	return ret;
}

int signal_send_pgrp_locked(struct kernel *k, pid_t pgid, int sig, const guest_siginfo_t *info)
{
	bool any = false;

	list_for_each(n, &k->processes) {
		struct process *p = list_entry(n, struct process, all_link);

		if (p->pgid != pgid)
			continue;
		any = true;
		signal_send_process(p, sig, info);
	}
	return any ? 0 : -ESRCH;
}

int signal_send_pgrp(struct kernel *k, pid_t pgid, int sig, const guest_siginfo_t *info)
{
	int ret;

	pthread_mutex_lock(&k->tasks_lock);
	ret = signal_send_pgrp_locked(k, pgid, sig, info);
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

/* ---- forced signals ---- */

/* Blocked or ignored, a forced signal ends the process; init too. */
static void force_locked(struct task *t, int sig, const guest_siginfo_t *info, bool reset)
{
	struct process *p = t->process;
	struct sigaction_guest *act = &t->sighand->action[sig];
	bool blocked = t->sig_blocked & SIGBIT(sig);

	pthread_mutex_lock(&t->sighand->lock);
	if (blocked || act->handler == HANDLER_IGN || reset)
		act->handler = HANDLER_DFL;
	if (act->handler == HANDLER_DFL)
		p->unkillable = false;
	pthread_mutex_unlock(&t->sighand->lock);
	t->sig_blocked &= ~SIGBIT(sig);
	/* Sent to the thread even if the process ignores what kill(2) could send. */
	sigqueue_flush(p, &t->pending, SIGBIT(sig));
	sigqueue_add(p, &t->pending, sig, info, true);
	atomic_store(&t->attention, true);
}

void signal_force_info(struct task *t, int sig, const guest_siginfo_t *info)
{
	pthread_mutex_lock(&t->process->sig_lock);
	force_locked(t, sig, info, false);
	pthread_mutex_unlock(&t->process->sig_lock);
}

void signal_force_fault(struct task *t, int sig, int code, uint64_t addr, int trapno, uint64_t err)
{
	guest_siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_addr = (void *)(uintptr_t)addr;
	t->trap_nr = trapno;
	t->trap_err = err;
	signal_force_info(t, sig, &info);
}

/* A SIGSEGV whose own frame cannot be built must not try again (force_sigsegv). */
void signal_force_segv(struct task *t, int during_sig)
{
	pthread_mutex_lock(&t->process->sig_lock);
	force_locked(t, SIGSEGV, NULL, during_sig == SIGSEGV);
	pthread_mutex_unlock(&t->process->sig_lock);
}

/* ---- questions ---- */

bool signal_ignored_or_blocked(struct task *t, int sig)
{
	struct sigaction_guest act;
	bool yes;

	pthread_mutex_lock(&t->process->sig_lock);
	sighand_action(t->sighand, sig, &act);
	yes = act.handler == HANDLER_IGN || (t->sig_blocked & SIGBIT(sig));
	pthread_mutex_unlock(&t->process->sig_lock);
	return yes;
}

uint64_t signal_pending_set(struct task *t)
{
	uint64_t set;

	pthread_mutex_lock(&t->process->sig_lock);
	set = t->pending.set | t->process->shared_pending.set;
	pthread_mutex_unlock(&t->process->sig_lock);
	return set;
}

bool signal_pending(struct task *t)
{
	struct process *p = t->process;
	uint64_t set;
	bool yes;

	if (atomic_load(&t->exit_requested))
		return true;
	if (!atomic_load(&t->attention))
		return false;
	pthread_mutex_lock(&p->sig_lock);
	set = t->pending.set | p->shared_pending.set;
	yes = (set & (~t->sig_blocked | t->sig_wait)) || p->stop_pending || p->stopped;
	pthread_mutex_unlock(&p->sig_lock);
	return yes;
}

bool signal_fatal_pending(struct task *t)
{
	struct process *p = t->process;
	bool yes;

	if (atomic_load(&t->exit_requested))
		return true;
	if (!atomic_load(&t->attention))
		return false;
	pthread_mutex_lock(&p->sig_lock);
	yes = (t->pending.set | p->shared_pending.set) & SIGBIT(SIGKILL);
	pthread_mutex_unlock(&p->sig_lock);
	return yes;
}

/* ---- masks ---- */

static void set_mask_locked(struct task *t, uint64_t mask)
{
	struct process *p = t->process;
	uint64_t newly = mask & ~SIGSET_KERNEL_ONLY & ~t->sig_blocked;

	t->sig_blocked = mask & ~SIGSET_KERNEL_ONLY;
	if (newly & p->shared_pending.set)
		signal_retarget_locked(p, t, newly);
	if (signal_unblocked_locked(t))
		atomic_store(&t->attention, true);
}

void signal_set_mask(struct task *t, uint64_t mask)
{
	pthread_mutex_lock(&t->process->sig_lock);
	set_mask_locked(t, mask);
	pthread_mutex_unlock(&t->process->sig_lock);
}

/* attention makes sure that signal_deliver() runs and restores the mask. */
void signal_set_temp_mask(struct task *t, uint64_t mask)
{
	pthread_mutex_lock(&t->process->sig_lock);
	if (!t->restore_saved_blocked)
		t->sig_saved_blocked = t->sig_blocked;
	t->restore_saved_blocked = true;
	set_mask_locked(t, mask);
	atomic_store(&t->attention, true);
	pthread_mutex_unlock(&t->process->sig_lock);
}

int signal_temp_mask_from_guest(struct task *t, uint64_t addr, uint64_t size)
{
	uint64_t mask;

	if (!addr)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (mm_copy_in(t->mm, &mask, GVA(addr), sizeof(mask)))
		return -EFAULT;
	signal_set_temp_mask(t, mask);
	return 0;
}
