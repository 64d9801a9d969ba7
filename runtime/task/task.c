/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and processes as objects: references, look-up, permission to touch one another. */
#include "runtime/task/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/task/clone.h"
#include "runtime/task/cred.h"
#include "runtime/task/pid.h"
#include "runtime/task/seccomp.h"
#include "runtime/task/timer.h"

/* ---- life ---- */

struct process *process_alloc(struct kernel *k)
{
	struct process *p = calloc(1, sizeof(*p));
	struct timespec now;

	if (!p)
		return NULL;
	p->kernel = k;
	atomic_init(&p->refs, 1);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all_link);
	list_init(&p->tasks);
	signal_process_init(p);
	waitq_init(&p->child_wait);
	waitq_init(&p->exit_wait);
	pthread_cond_init(&p->thread_gone, NULL);
	atomic_init(&p->dumpable, 1);
	clock_gettime(CLOCK_BOOTTIME, &now);
	p->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	p->timers = timer_set_create(p);
	if (!p->timers) {
		process_put(p);
		return NULL;
	}
	return p;
}

void process_get(struct process *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void process_put(struct process *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (p->timers)
		timer_set_destroy(p->timers);
	signal_process_destroy(p);
	waitq_destroy(&p->child_wait);
	waitq_destroy(&p->exit_wait);
	pthread_cond_destroy(&p->thread_gone);
	free(p);
}

struct task *task_alloc(struct kernel *k)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->kernel = k;
	atomic_init(&t->refs, 1);
	list_init(&t->group_link);
	pthread_mutex_init(&t->lock, NULL);
	signal_task_init(t);
	t->syscall_nr = -1;
	t->sched.timerslack_ns = 50000;
	if (cpu_thread_create(k->platform, &t->cpu)) {
		task_put(t);
		return NULL;
	}
	return t;
}

void task_get(struct task *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

void task_put(struct task *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (t->cpu)
		cpu_thread_destroy(t->cpu);
	if (t->sighand)
		sighand_put(t->sighand);
	cred_put(t->cred);
	seccomp_chain_put(atomic_load(&t->seccomp));
	process_put(t->process);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int task_publish_locked(struct task *t)
{
	struct kernel *k = t->kernel;
	struct process *p = t->process;
	int err = pid_attach(k->pids, t->tid, PID_TASK, t);

	if (err)
		return err;
	if (t->tid == p->pid) {
		err = pid_attach(k->pids, p->pid, PID_PROCESS, p);
		if (err) {
			pid_detach(k->pids, t->tid, PID_TASK);
			return err;
		}
		process_get(p);
		list_add_tail(&k->processes, &p->all_link);
	}
	k->ntasks++;
	p->ntasks++;
	atomic_fetch_add(&p->live, 1);
	pthread_mutex_lock(&p->sig_lock);
	list_add_tail(&p->tasks, &t->group_link);
	signal_task_joined_locked(t);
	/* who asked the group to end has walked the list before we entered it */
	if (p->group_exiting || p->group_exec) {
		atomic_store(&t->exit_requested, true);
		atomic_store(&t->attention, true);
	}
	pthread_mutex_unlock(&p->sig_lock);
	atomic_fetch_add_explicit(&k->tasks_created, 1, memory_order_relaxed);
	return 0;
}

/* ---- look-up ---- */

struct task *task_find_locked(struct kernel *k, pid_t tid)
{
	return pid_lookup(k->pids, tid, PID_TASK);
}

struct process *process_find_locked(struct kernel *k, pid_t pid)
{
	return pid_lookup(k->pids, pid, PID_PROCESS);
}

struct task *task_find(struct kernel *k, pid_t tid)
{
	struct task *t;

	pthread_mutex_lock(&k->tasks_lock);
	t = task_find_locked(k, tid);
	if (t)
		task_get(t);
	pthread_mutex_unlock(&k->tasks_lock);
	return t;
}

struct process *process_find(struct kernel *k, pid_t pid)
{
	struct process *p;

	pthread_mutex_lock(&k->tasks_lock);
	p = process_find_locked(k, pid);
	if (p)
		process_get(p);
	pthread_mutex_unlock(&k->tasks_lock);
	return p;
}

struct task *process_any_task_locked(struct process *p)
{
	return list_empty(&p->tasks) ? NULL : list_entry(p->tasks.next, struct task, group_link);
}

struct task *process_any_task(struct process *p)
{
	struct task *t;

	pthread_mutex_lock(&p->sig_lock);
	t = process_any_task_locked(p);
	if (t)
		task_get(t);
	pthread_mutex_unlock(&p->sig_lock);
	return t;
}

pid_t process_ppid(struct process *p)
{
	pid_t pid;

	pthread_mutex_lock(&p->kernel->tasks_lock);
	pid = p->parent ? p->parent->pid : 0;
	pthread_mutex_unlock(&p->kernel->tasks_lock);
	return pid;
}

/* ---- what other threads may look at ---- */

struct mm *task_get_mm(struct task *t)
{
	struct mm *mm;

	pthread_mutex_lock(&t->lock);
	mm = t->mm ? mm_get(t->mm) : NULL;
	pthread_mutex_unlock(&t->lock);
	return mm;
}

struct fdtable *task_get_files(struct task *t)
{
	struct fdtable *files;

	pthread_mutex_lock(&t->lock);
	files = t->files ? fdtable_get(t->files) : NULL;
	pthread_mutex_unlock(&t->lock);
	return files;
}

struct fs_context *task_get_fs(struct task *t)
{
	struct fs_context *fs;

	pthread_mutex_lock(&t->lock);
	fs = t->fs ? fs_context_get(t->fs) : NULL;
	pthread_mutex_unlock(&t->lock);
	return fs;
}

struct cred *task_get_cred(struct task *t)
{
	struct cred *c;

	pthread_mutex_lock(&t->lock);
	c = cred_get(t->cred);
	pthread_mutex_unlock(&t->lock);
	return c;
}

void task_set_cred(struct task *t, struct cred *c)
{
	struct cred *old;

	pthread_mutex_lock(&t->lock);
	old = t->cred;
	t->cred = c;
	pthread_mutex_unlock(&t->lock);
	cred_put(old);
	task_update_answers(t);
}

void task_update_answers(struct task *t)
{
	struct cpu_answers a = {
		.pid = t->process->pid,
		.tid = t->tid,
		.uid = t->cred->uid,
		.euid = t->cred->euid,
		.gid = t->cred->gid,
		.egid = t->cred->egid,
		.ask = t->seccomp_strict || atomic_load(&t->seccomp), /* filters see every call */
	};

	cpu_set_answers(t->cpu, &a);
}

void task_interrupt(struct task *t)
{
	atomic_store(&t->attention, true);
	task_wake(t);
	pthread_mutex_lock(&t->lock);
	if (t->cpu)
		cpu_kick(t->cpu);
	pthread_mutex_unlock(&t->lock);
}

/* ---- ending a group ---- */

void process_exit_group_locked(struct process *p, int status)
{
	if (!p->group_exiting) {
		p->group_exiting = true;
		p->group_exit_status = status;
	}
	list_for_each(l, &p->tasks) {
		struct task *t = list_entry(l, struct task, group_link);

		if (!atomic_exchange(&t->exit_requested, true))
			task_interrupt(t);
	}
}

void process_exit_group(struct process *p, int status)
{
	pthread_mutex_lock(&p->sig_lock);
	process_exit_group_locked(p, status);
	pthread_mutex_unlock(&p->sig_lock);
}

void process_oom_kill(struct process *p)
{
	if (p->kernel->log_fd >= 0)
		dprintf(p->kernel->log_fd, "nacre: out of memory: killed process %d (%s)\n", p->pid,
			p->exe);
	atomic_fetch_add_explicit(&p->kernel->oom_kills, 1, memory_order_relaxed);
	process_exit_group(p, SIGKILL);
}

/* ---- permission ---- */

/* kill(2): real or effective uid against the target's real or saved uid, or CAP_KILL. */
bool task_may_signal(struct task *t, struct process *p, int sig)
{
	const struct cred *c = t->cred;
	struct task *other;
	struct cred *oc;
	bool ok;

	if (p == t->process)
		return true;
	other = process_any_task(p);
	if (!other) /* a zombie: nothing happens to it */
		return cred_capable(c, CAP_KILL) || c->euid == p->owner_uid ||
		       c->uid == p->owner_uid;
	oc = task_get_cred(other);
	ok = c->euid == oc->suid || c->euid == oc->uid || c->uid == oc->suid ||
	     c->uid == oc->uid || cred_capable(c, CAP_KILL);
	cred_put(oc);
	task_put(other);
	/* SIGCONT may go anywhere within the session (a shell and its job) */
	return ok || (sig == SIGCONT && p->session == t->process->session);
}

/* ptrace(2), "Ptrace access mode checking", PTRACE_MODE_READ_FSCREDS. */
bool task_may_ptrace(struct task *t, struct task *target)
{
	const struct cred *c = t->cred;
	struct cred *oc;
	bool ok;

	if (t->process == target->process)
		return true;
	if (cred_capable(c, CAP_SYS_PTRACE))
		return true;
	oc = task_get_cred(target);
	ok = c->fsuid == oc->euid && c->fsuid == oc->suid && c->fsuid == oc->uid &&
	     c->fsgid == oc->egid && c->fsgid == oc->sgid && c->fsgid == oc->gid &&
	     atomic_load(&target->process->dumpable) == 1 &&
	     !(oc->cap_permitted & ~c->cap_permitted);
	cred_put(oc);
	return ok;
}
