/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How tasks and processes end. Order of a task's end: locks and words other threads wait on (robust
 * futexes, clear_child_tid, vfork), what it shares (memory, descriptors, directories), then the
 * lists; the last task of a process makes it a zombie, which its parent reaps.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/fs/tty.h"
#include "runtime/syscall/ipc.h"
#include "runtime/syscall/strace.h"
#include "runtime/task/clone.h"
#include "runtime/task/exec.h"
#include "runtime/task/futex.h"
#include "runtime/task/loop.h"
#include "runtime/task/pgrp.h"
#include "runtime/task/pid.h"
#include "runtime/task/timer.h"
#include "runtime/task/usage.h"

/* ---- what a task shares ---- */

bool task_drop_mm(struct task *t)
{
	struct mm *mm = t->mm;
	atomic_uint *users = t->mm_users;
	bool last;

	if (!mm)
		return false;
	pthread_mutex_lock(&t->lock);
	t->mm = NULL;
	t->mm_users = NULL;
	pthread_mutex_unlock(&t->lock);
	last = atomic_fetch_sub(users, 1) == 1;
	if (last) {
		free(users);
		mm_teardown(mm);
	}
	mm_put(mm);
	return last;
}

void task_replace_files(struct task *t, struct fdtable *files)
{
	struct fdtable *old = t->files;

	if (!files)
		return;
	pthread_mutex_lock(&t->lock);
	t->files = files;
	pthread_mutex_unlock(&t->lock);
	fdtable_put(old, t);
}

static void task_release_shared(struct task *t)
{
	struct fdtable *files = t->files;
	struct fs_context *fs = t->fs;

	futex_exit_robust(t);
	futex_wake_clear_tid(t);
	task_drop_mm(t);
	task_vfork_done(t);
	/* still t->files: closing may look at the table (record locks, epoll) */
	fdtable_put(files, t);
	pthread_mutex_lock(&t->lock);
	t->files = NULL;
	t->fs = NULL;
	pthread_mutex_unlock(&t->lock);
	fs_context_put(fs);
}

static void task_release_cpu(struct task *t)
{
	struct cpu_thread *cpu = t->cpu;

	cpu_release(cpu);
	pthread_mutex_lock(&t->lock);
	t->cpu = NULL;
	pthread_mutex_unlock(&t->lock);
	cpu_thread_destroy(cpu);
}

/* ---- parent and children ---- */

static bool parent_ignores_children(struct process *parent)
{
	struct sigaction_guest act = {.handler = (uintptr_t)SIG_IGN};
	struct task *any;

	pthread_mutex_lock(&parent->sig_lock);
	any = process_any_task_locked(parent);
	if (any)
		sighand_action(any->sighand, SIGCHLD, &act);
	pthread_mutex_unlock(&parent->sig_lock);
	return act.handler == (uintptr_t)SIG_IGN || act.flags & SA_NOCLDWAIT;
}

static void child_exit_info(const struct process *p, guest_siginfo_t *info)
{
	int status = p->exit_status;

	*info = (guest_siginfo_t){.si_signo = p->exit_signal};
	info->si_pid = p->pid;
	info->si_uid = p->owner_uid;
	if (WIFSIGNALED(status)) {
		info->si_code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		info->si_status = WTERMSIG(status);
	} else {
		info->si_code = CLD_EXITED;
		info->si_status = WEXITSTATUS(status);
	}
	info->si_utime = p->usage.ru_utime.tv_sec * 100 + p->usage.ru_utime.tv_usec / 10000;
	info->si_stime = p->usage.ru_stime.tv_sec * 100 + p->usage.ru_stime.tv_usec / 10000;
}

/* Tell a zombie's parent. The zombie is reaped at once when nobody will wait for it. */
static void process_notify_parent_locked(struct process *p)
{
	struct process *parent = p->parent;
	guest_siginfo_t info;
	bool ignored;

	if (!parent) {
		process_reap_locked(p);
		return;
	}
	ignored = p->exit_signal == SIGCHLD && parent_ignores_children(parent);
	if (p->exit_signal > 0 && p->exit_signal <= GUEST_NSIG) {
		child_exit_info(p, &info);
		signal_send_process(parent, p->exit_signal, &info);
	}
	if (ignored)
		process_reap_locked(p);
	waitq_wake(&parent->child_wait, 0, 0);
}

void process_reap_locked(struct process *p)
{
	struct kernel *k = p->kernel;

	list_del(&p->sibling);
	p->parent = NULL;
	list_del(&p->all_link);
	pid_detach(k->pids, p->pid, PID_PROCESS);
	process_leave_group_locked(p);
	process_leave_session_locked(p);
	k->nzombies--;
	process_put(p); /* the list's */
}

/* Who takes p's children: the nearest ancestor that asked for it, else init (prctl(2)). */
static struct process *process_reaper_locked(struct process *p)
{
	struct kernel *k = p->kernel;

	for (struct process *a = p->parent; a; a = a->parent)
		if (a->child_subreaper && !a->zombie)
			return a;
	return k->init && k->init != p && !k->init_gone ? k->init : NULL;
}

static void process_give_away_children_locked(struct process *p)
{
	struct process *reaper = process_reaper_locked(p);
	struct task *any = reaper ? process_any_task_locked(reaper) : NULL;

	list_for_each_safe(l, &p->children) {
		struct process *c = list_entry(l, struct process, sibling);

		list_del(&c->sibling);
		c->parent = reaper;
		c->parent_tid = any ? any->tid : 0;
		c->exit_signal = SIGCHLD;
		if (reaper)
			list_add_tail(&reaper->children, &c->sibling);
		process_get(c); /* it may be reaped here */
		pgrp_check_orphaned_locked(c, p, NULL);
		if (c->zombie)
			process_notify_parent_locked(c);
		process_put(c);
	}
}

/* PR_SET_PDEATHSIG is about the thread that made the child, not its process. */
static void task_leave_children_locked(struct task *t)
{
	struct process *p = t->process;
	struct task *heir = NULL;

	list_for_each(l, &p->tasks)
		if (list_entry(l, struct task, group_link) != t)
			heir = list_entry(l, struct task, group_link);
	list_for_each(l, &p->children) {
		struct process *c = list_entry(l, struct process, sibling);

		if (c->parent_tid != t->tid)
			continue;
		if (heir)
			c->parent_tid = heir->tid;
		list_for_each(m, &c->tasks) {
			struct task *ct = list_entry(m, struct task, group_link);
			guest_siginfo_t info = {.si_signo = ct->pdeath_signal, .si_code = SI_USER};

			if (ct->pdeath_signal)
				signal_send_process(c, ct->pdeath_signal, &info);
		}
	}
}

/* pid_namespaces(7): with init every process goes. */
static void kernel_init_died_locked(struct kernel *k)
{
	k->init_gone = true;
	k->init_status = k->init->exit_status;
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p != k->init)
			process_exit_group(p, SIGKILL);
	}
}

void process_exit_notify_locked(struct process *p)
{
	struct kernel *k = p->kernel;

	pthread_mutex_lock(&p->sig_lock);
	if (p->group_exiting)
		p->exit_status = p->group_exit_status;
	pthread_mutex_unlock(&p->sig_lock);
	p->zombie = true;
	k->nzombies++;
	if (p == k->init)
		kernel_init_died_locked(k);
	process_give_away_children_locked(p);
	pgrp_check_orphaned_locked(p, p->parent, p);
	waitq_wake(&p->exit_wait, 0, 0);
	process_notify_parent_locked(p);
}

/* ---- the end of a task ---- */

/* Returns whether it was the process's last. */
static bool task_unlink(struct task *t)
{
	struct process *p = t->process;
	struct kernel *k = t->kernel;
	bool last;

	pthread_mutex_lock(&k->tasks_lock);
	task_leave_children_locked(t);
	pthread_mutex_lock(&p->sig_lock);
	task_end_usage_locked(t);
	list_del(&t->group_link);
	signal_task_left_locked(t);
	pthread_mutex_unlock(&p->sig_lock);
	last = --p->ntasks == 0;
	pid_detach(k->pids, t->tid, PID_TASK);
	if (t->tid == p->pid)
		p->exit_status = t->exit_status;
	pthread_cond_broadcast(&p->thread_gone);
	if (last) {
		p->owner_uid = t->cred->uid;
		process_exit_notify_locked(p);
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return last;
}

static int task_status(struct task *t)
{
	struct process *p = t->process;
	int status;

	pthread_mutex_lock(&p->sig_lock);
	status = p->group_exiting ? p->group_exit_status : t->exit_status;
	pthread_mutex_unlock(&p->sig_lock);
	return status;
}

void task_exit(struct task *t)
{
	struct process *p = t->process;
	struct kernel *k = t->kernel;
	struct mm_usage mu;

	strace_exit(t, task_status(t));
	mm_get_usage(t->mm, &mu);
	pthread_mutex_lock(&k->tasks_lock);
	if ((long)(mu.rss_peak * PAGE_SIZE / 1024) > p->usage.ru_maxrss)
		p->usage.ru_maxrss = (long)(mu.rss_peak * PAGE_SIZE / 1024);
	pthread_mutex_unlock(&k->tasks_lock);
	if (atomic_fetch_sub(&p->live, 1) == 1) {
		ipc_process_exit(p);
		if (p->session->sid == p->pid)
			tty_leader_exit(p);
	}
	task_release_shared(t);
	task_release_cpu(t);
	if (task_unlink(t) && p->done)
		p->done(p->exit_status, p->done_arg);
	task_put(t);

	/* from here on kernel_destroy() may run: it joins this host thread first */
	pthread_mutex_lock(&k->tasks_lock);
	if (--k->ntasks == 0) {
		pthread_cond_broadcast(&k->all_gone);
		if (k->ended_fd >= 0)
			eventfd_write(k->ended_fd, 1);
	}
	pthread_mutex_unlock(&k->tasks_lock);
}

/* ---- the calls ---- */

int64_t sys_exit(struct task *t, const uint64_t a[6])
{
	t->exit_status = (int)(a[0] & 0xff) << 8;
	atomic_store(&t->exit_requested, true);
	atomic_store(&t->attention, true);
	return 0;
}

int64_t sys_exit_group(struct task *t, const uint64_t a[6])
{
	process_exit_group(t->process, (int)(a[0] & 0xff) << 8);
	return 0;
}
