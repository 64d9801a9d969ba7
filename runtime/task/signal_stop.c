/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Job control: stopping a whole process and continuing it.
 *
 * A thread that takes a stop signal sets p->stop_pending and interrupts the others; each halts in
 * signal_stop_wait(). When the last one has halted (or left by exiting), p->stopped replaces
 * stop_pending and one of the halted threads tells the parent. SIGCONT clears both flags and wakes
 * them. All flags are protected by sig_lock; telling the parent needs tasks_lock, which is taken
 * before sig_lock, so it happens later, by the first thread that sees stop_notify or cont_notify.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/task/pgrp.h"
#include "runtime/task/signal_internal.h"
#include "runtime/task/timer.h"

void signal_stop_check_locked(struct process *p)
{
	struct task *some = NULL;

	if (!p->stop_pending)
		return;
	list_for_each(n, &p->tasks) {
		some = list_entry(n, struct task, group_link);
		if (!some->in_stop)
			return;
	}
	if (!some)
		return;
	p->stop_pending = false;
	p->stopped = true;
	p->stop_reported = false;
	p->continued_unreported = false;
	p->stop_notify = true;
	task_interrupt(some);
}

void signal_continue_locked(struct process *p)
{
	signal_flush_all_locked(p, SIGSET_STOP);
	p->stop_dequeued = false;
	if (!p->stopped && !p->stop_pending)
		return;
	p->stopped = p->stop_pending = false;
	p->stop_notify = false;
	p->stop_reported = true;
	p->continued_unreported = true;
	p->cont_notify = true;
	list_for_each(n, &p->tasks)
		task_interrupt(list_entry(n, struct task, group_link));
}

void signal_stop_group(struct task *t, int sig)
{
	struct process *p = t->process;

	pthread_mutex_lock(&p->sig_lock);
	/* A SIGCONT or SIGKILL that came since the signal was taken cancels the stop. */
	if (p->stop_dequeued && !p->group_exiting && !p->group_exec) {
		p->stop_dequeued = false;
		if (!p->stopped) {
			p->stop_pending = true;
			p->stop_signal = sig;
		}
		list_for_each(n, &p->tasks)
			task_interrupt(list_entry(n, struct task, group_link));
	}
	pthread_mutex_unlock(&p->sig_lock);
}

void signal_stop_wait(struct task *t)
{
	struct process *p = t->process;

	pthread_mutex_lock(&p->sig_lock);
	while ((p->stopped || p->stop_pending) && !atomic_load(&t->exit_requested)) {
		bool notify;

		t->in_stop = true;
		signal_stop_check_locked(p);
		notify = p->stop_notify;
		task_prepare_park(t);
		pthread_mutex_unlock(&p->sig_lock);
		if (notify)
			signal_stop_notify(p);
		if (task_park_killable(t, DEADLINE_NONE) < 0) {
			pthread_mutex_lock(&p->sig_lock);
			break;
		}
		pthread_mutex_lock(&p->sig_lock);
	}
	t->in_stop = false;
	pthread_mutex_unlock(&p->sig_lock);
}

static long ticks(uint64_t ns)
{
	return (long)(ns / (NSEC_PER_SEC / 100)); /* USER_HZ is 100 in every Linux ABI here */
}

static void tell_parent_locked(struct process *p, int code, int status)
{
	struct process *parent = p->parent;
	struct sigaction_guest act = {0};
	struct task *t = process_any_task(p);
	uint64_t user = 0, system = 0;
	guest_siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGCHLD;
	info.si_code = code;
	info.si_pid = p->pid;
	info.si_status = status;
	if (t) {
		struct cred *c = task_get_cred(t);

		info.si_uid = c->uid;
		cred_put(c);
		task_put(t);
	}
	process_cpu_times(p, &user, &system);
	info.si_utime = ticks(user);
	info.si_stime = ticks(system);

	pthread_mutex_lock(&parent->sig_lock);
	t = process_any_task_locked(parent);
	if (t && t->sighand) {
		sighand_action(t->sighand, SIGCHLD, &act);
		if (act.handler != HANDLER_IGN && !(act.flags & SA_NOCLDSTOP))
			signal_send_locked(parent, NULL, SIGCHLD, &info, false);
	}
	pthread_mutex_unlock(&parent->sig_lock);
	waitq_wake(&parent->child_wait, 0, 0);
}

void signal_stop_notify(struct process *p)
{
	struct kernel *k = p->kernel;
	bool stop, cont;
	int sig;

	pthread_mutex_lock(&k->tasks_lock);
	pthread_mutex_lock(&p->sig_lock);
	stop = p->stop_notify;
	cont = p->cont_notify;
	sig = p->stop_signal;
	p->stop_notify = p->cont_notify = false;
	pthread_mutex_unlock(&p->sig_lock);
	if (p->parent && stop)
		tell_parent_locked(p, CLD_STOPPED, sig);
	if (p->parent && cont)
		tell_parent_locked(p, CLD_CONTINUED, SIGCONT);
	pthread_mutex_unlock(&k->tasks_lock);
}

/*
 * Orphaned (setpgid(2), POSIX): no member has a parent in another group of the same session.
 */
bool signal_pgrp_orphaned(struct process *p)
{
	struct kernel *k = p->kernel;
	bool orphaned;

	pthread_mutex_lock(&k->tasks_lock);
	orphaned = pgrp_is_orphaned_locked(k, p->pgid);
	pthread_mutex_unlock(&k->tasks_lock);
	return orphaned;
}
