/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acting on signals before a task returns to user mode: default actions, handler frames, and what
 * becomes of the interrupted system call (signal(7), "Interruption of system calls").
 */
#include "runtime/arch/arch.h"
#include "runtime/syscall/strace.h"
#include "runtime/task/signal_internal.h"
#include "runtime/task/timer.h"

int signal_take_locked(struct task *t, uint64_t from, guest_siginfo_t *info)
{
	struct process *p = t->process;
	int sig = sigqueue_take(p, &t->pending, from, info);

	if (!sig)
		sig = sigqueue_take(p, &p->shared_pending, from, info);
	if (sig && (SIGBIT(sig) & SIGSET_STOP))
		p->stop_dequeued = true;
	return sig;
}

struct delivery {
	int sig; /* 0: none left; -1: the task ends */
	guest_siginfo_t info;
	struct sigaction_guest act;
	uint64_t mask; /* what sigreturn restores */
};

/* SA_RESETHAND and the handler's mask. The frame is already built. */
static void enter_handler(struct task *t, const struct delivery *d)
{
	struct process *p = t->process;
	uint64_t mask;

	pthread_mutex_lock(&p->sig_lock);
	mask = t->sig_blocked | d->act.mask;
	if (!(d->act.flags & SA_NODEFER))
		mask |= SIGBIT(d->sig);
	t->restore_saved_blocked = false;
	pthread_mutex_unlock(&p->sig_lock);
	signal_set_mask(t, mask);
}

/* With sig_lock held; clears attention before it looks, so that later arrivals set it again. */
static void take_next(struct task *t, struct delivery *d)
{
	struct sighand *sh = t->sighand;

	atomic_store(&t->attention, false);
	d->sig = signal_take_locked(t, ~t->sig_blocked, &d->info);
	if (!d->sig)
		return;
	pthread_mutex_lock(&sh->lock);
	d->act = sh->action[d->sig];
	if ((d->act.flags & SA_RESETHAND) && d->act.handler > HANDLER_IGN)
		sh->action[d->sig].handler = HANDLER_DFL;
	pthread_mutex_unlock(&sh->lock);
	d->mask = t->restore_saved_blocked ? t->sig_saved_blocked : t->sig_blocked;
}

/* Returns true when the signal wants a handler frame, or nothing is left to do. */
static bool act_on(struct task *t, struct delivery *d)
{
	struct process *p = t->process;
	uint64_t bit;

	if (!d->sig)
		return true;
	if (d->info.si_code == SI_TIMER)
		timer_signal_taken(p, &d->info);
	strace_signal(t, d->sig, &d->info);
	bit = SIGBIT(d->sig);
	if (d->act.handler == HANDLER_IGN)
		return false;
	if (d->act.handler != HANDLER_DFL)
		return true;
	if (bit & SIGSET_IGNORE)
		return false;
	if (p->unkillable && !(bit & SIGSET_KERNEL_ONLY))
		return false;
	if (bit & SIGSET_STOP) {
		if (d->sig == SIGSTOP || !signal_pgrp_orphaned(p))
			signal_stop_group(t, d->sig);
		return false;
	}
	process_exit_group(p, d->sig);
	d->sig = -1;
	return true;
}

/* The next signal with a handler, everything else dealt with on the way. */
static void next_delivery(struct task *t, struct delivery *d)
{
	struct process *p = t->process;

	for (;;) {
		bool notify, stop;

		pthread_mutex_lock(&p->sig_lock);
		if (atomic_load(&t->exit_requested)) {
			pthread_mutex_unlock(&p->sig_lock);
			d->sig = -1;
			return;
		}
		notify = p->stop_notify || p->cont_notify;
		stop = (p->stopped || p->stop_pending) && !p->group_exec &&
		       !((t->pending.set | p->shared_pending.set) & SIGBIT(SIGKILL));
		if (!notify && !stop)
			take_next(t, d);
		pthread_mutex_unlock(&p->sig_lock);
		if (notify)
			signal_stop_notify(p);
		else if (stop)
			signal_stop_wait(t);
		else if (act_on(t, d))
			return;
	}
}

/* ---- the interrupted call ---- */

static bool is_restart(int64_t result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

/* A handler is about to run: EINTR, or the call again after it. */
static void restart_with_handler(struct task *t, int64_t result, const struct delivery *d)
{
	bool again = result == -ERESTARTNOINTR ||
		     (result == -ERESTARTSYS && (d->act.flags & SA_RESTART));

	if (again)
		arch_restart_syscall(&t->regs, arch_syscall_nr(&t->regs));
	else
		arch_set_result(&t->regs, -EINTR);
}

static void restart_without_handler(struct task *t, int64_t result)
{
	bool block = result == -ERESTART_RESTARTBLOCK;

	arch_restart_syscall(&t->regs,
			     block ? ARCH_NR_RESTART_SYSCALL : arch_syscall_nr(&t->regs));
}

static void restore_mask(struct task *t)
{
	if (!t->restore_saved_blocked)
		return;
	t->restore_saved_blocked = false;
	signal_set_mask(t, t->sig_saved_blocked);
}

bool signal_deliver(struct task *t, bool in_syscall, int64_t result)
{
	bool restart = in_syscall && is_restart(result);
	struct delivery d;

	if (in_syscall && !restart)
		arch_set_result(&t->regs, result);
	/* A call that completed delivers signals by the original mask (pselect(2), ppoll(2)). */
	if (!restart && result != -EINTR)
		restore_mask(t);
	for (;;) {
		next_delivery(t, &d);
		if (d.sig < 0)
			return false;
		if (!d.sig) {
			bool again;

			if (restart)
				restart_without_handler(t, result);
			restart = false;
			restore_mask(t);
			pthread_mutex_lock(&t->process->sig_lock);
			again = signal_unblocked_locked(t) != 0;
			pthread_mutex_unlock(&t->process->sig_lock);
			if (!again)
				return true;
			continue; /* the original mask lets more through */
		}
		if (restart)
			restart_with_handler(t, result, &d);
		restart = false;
		if (arch_signal_frame(t, d.sig, &d.act, &d.info, d.mask))
			signal_force_segv(t, d.sig);
		else
			enter_handler(t, &d);
	}
}
