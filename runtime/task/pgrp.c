/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups and sessions: setpgid(2), setsid(2), and the rules of orphaned groups. */
#include "runtime/task/pgrp.h"

#include <stdlib.h>

#include "runtime/task/clone.h"
#include "runtime/task/pid.h"

struct session *session_alloc(pid_t sid)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->sid = sid;
	return s;
}

void session_put_locked(struct session *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

int process_join_group_locked(struct process *p, pid_t pgid)
{
	int err = pid_attach(p->kernel->pids, pgid, PID_GROUP, NULL);

	if (err)
		return err;
	process_leave_group_locked(p);
	p->pgid = pgid;
	return 0;
}

void process_leave_group_locked(struct process *p)
{
	if (p->pgid)
		pid_detach(p->kernel->pids, p->pgid, PID_GROUP);
	p->pgid = 0;
}

void process_leave_session_locked(struct process *p)
{
	if (!p->session)
		return;
	pid_detach(p->kernel->pids, p->session->sid, PID_SESSION);
	session_put_locked(p->session);
	p->session = NULL;
}

int process_new_session_locked(struct process *p)
{
	struct session *s = session_alloc(p->pid);
	int err;

	if (!s)
		return -ENOMEM;
	err = pid_attach(p->kernel->pids, p->pid, PID_SESSION, NULL);
	if (err) {
		free(s);
		return err;
	}
	err = process_join_group_locked(p, p->pid);
	if (err) {
		pid_detach(p->kernel->pids, p->pid, PID_SESSION);
		free(s);
		return err;
	}
	process_leave_session_locked(p);
	p->session = s;
	return 0;
}

/* ---- orphaned process groups (setpgid(2), "Orphaned process groups"; POSIX exit()) ---- */

/* Nobody but `ignored` ties the group to another group of its session. */
static bool pgrp_orphaned_locked(struct kernel *k, pid_t pgid, const struct process *ignored)
{
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->pgid != pgid || p == ignored || p->zombie || !p->parent)
			continue;
		if (p->parent->pgid != pgid && p->parent->session == p->session)
			return false;
	}
	return true;
}

static bool pgrp_has_stopped_locked(struct kernel *k, pid_t pgid)
{
	bool stopped = false;

	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->pgid != pgid || p->zombie)
			continue;
		pthread_mutex_lock(&p->sig_lock);
		stopped = p->stopped;
		pthread_mutex_unlock(&p->sig_lock);
		if (stopped)
			break;
	}
	return stopped;
}

bool pgrp_is_orphaned_locked(struct kernel *k, pid_t pgid)
{
	return pgrp_orphaned_locked(k, pgid, NULL);
}

void pgrp_check_orphaned_locked(struct process *p, struct process *parent,
				const struct process *ignored)
{
	struct kernel *k = p->kernel;

	if (!parent || parent->pgid == p->pgid || parent->session != p->session)
		return;
	if (!pgrp_orphaned_locked(k, p->pgid, ignored) || !pgrp_has_stopped_locked(k, p->pgid))
		return;
	signal_send_pgrp_locked(k, p->pgid, SIGHUP, NULL);
	signal_send_pgrp_locked(k, p->pgid, SIGCONT, NULL);
}

/* ---- the calls ---- */

/* Is pgid a group of the session? */
static bool pgrp_in_session_locked(struct kernel *k, pid_t pgid, const struct session *s)
{
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->pgid == pgid && p->session == s)
			return true;
	}
	return false;
}

static int setpgid_locked(struct task *t, pid_t pid, pid_t pgid)
{
	struct process *self = t->process, *p;

	p = process_find_locked(t->kernel, pid);
	if (!p)
		return -ESRCH;
	if (p->parent == self) {
		if (p->session != self->session)
			return -EPERM;
		if (p->execed)
			return -EACCES;
	} else if (p != self) {
		return -ESRCH;
	}
	if (p->session->sid == p->pid)
		return -EPERM;
	if (pgid != pid && !pgrp_in_session_locked(t->kernel, pgid, self->session))
		return -EPERM;
	if (p->pgid == pgid)
		return 0;
	return process_join_group_locked(p, pgid);
}

int64_t sys_setpgid(struct task *t, const uint64_t a[6])
{
	pid_t pid = (pid_t)a[0], pgid = (pid_t)a[1];
	int err;

	if (!pid)
		pid = t->process->pid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	pthread_mutex_lock(&t->kernel->tasks_lock);
	err = setpgid_locked(t, pid, pgid);
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return err;
}

/* The process that a pid argument names: 0 is the caller, threads count as their process. */
static struct process *process_arg_locked(struct task *t, pid_t pid)
{
	struct task *other;
	struct process *p;

	if (!pid)
		return t->process;
	p = process_find_locked(t->kernel, pid);
	if (p)
		return p;
	other = task_find_locked(t->kernel, pid);
	return other ? other->process : NULL;
}

int64_t sys_getpgid(struct task *t, const uint64_t a[6])
{
	struct process *p;
	int64_t ret;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	p = process_arg_locked(t, (pid_t)a[0]);
	ret = p ? p->pgid : -ESRCH;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

int64_t sys_getpgrp(struct task *t, const uint64_t a[6])
{
	const uint64_t self[6] = {0};

	(void)a;
	return sys_getpgid(t, self);
}

int64_t sys_getsid(struct task *t, const uint64_t a[6])
{
	struct process *p;
	int64_t ret;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	p = process_arg_locked(t, (pid_t)a[0]);
	ret = p ? p->session->sid : -ESRCH;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

int64_t sys_setsid(struct task *t, const uint64_t a[6])
{
	struct process *p = t->process;
	int64_t ret;

	(void)a;
	pthread_mutex_lock(&t->kernel->tasks_lock);
	if (p->session->sid == p->pid || pid_lookup(t->kernel->pids, p->pid, PID_GROUP))
		ret = -EPERM;
	else
		ret = process_new_session_locked(p);
	if (ret == 0)
		ret = p->pid;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}
