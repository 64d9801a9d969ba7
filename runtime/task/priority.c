/* SPDX-License-Identifier: Apache-2.0 */
/* getpriority(2), setpriority(2): nice values, one a process. */
#include "runtime/task/cred.h"

#define NICE_MIN (-20)
#define NICE_MAX 19

struct priority_walk {
	struct task *t;
	int nice;
	bool set;
	int ret; /* get: best 20 - nice; set: -errno or 0 */
};

static void priority_set_one(struct priority_walk *w, struct process *p, const struct cred *oc)
{
	struct task *t = w->t;
	const struct cred *c = t->cred;
	bool cap = cred_capable(c, CAP_SYS_NICE);

	if (!cap && c->euid != oc->uid && c->euid != oc->euid) {
		w->ret = -EPERM;
		return;
	}
	/* RLIMIT_NICE 1..40 stands for nice 19..-20 (getrlimit(2)) */
	if (w->nice < atomic_load(&p->nice) && !cap &&
	    (uint64_t)(20 - w->nice) > process_rlimit(p, RLIMIT_NICE)) {
		w->ret = -EACCES;
		return;
	}
	if (w->ret == -ESRCH)
		w->ret = 0;
	atomic_store(&p->nice, w->nice);
}

static void priority_visit(struct priority_walk *w, struct process *p, const struct cred *oc)
{
	int shown = 20 - atomic_load(&p->nice);

	if (w->set)
		priority_set_one(w, p, oc);
	else if (shown > w->ret)
		w->ret = shown;
}

static struct cred *process_cred_locked(struct process *p)
{
	struct task *any = process_any_task_locked(p);

	return any ? task_get_cred(any) : NULL;
}

static void priority_walk_locked(struct priority_walk *w, int which, uint32_t who)
{
	struct task *t = w->t;

	list_for_each(l, &t->kernel->processes) {
		struct process *p = list_entry(l, struct process, all_link);
		struct cred *oc = process_cred_locked(p);
		bool match = false;

		if (!oc)
			continue;
		if (which == PRIO_PROCESS)
			match = p->pid == (who ? (pid_t)who : t->process->pid);
		else if (which == PRIO_PGRP)
			match = p->pgid == (who ? (pid_t)who : t->process->pgid);
		else
			match = oc->uid == (who ? who : t->cred->uid);
		if (match)
			priority_visit(w, p, oc);
		cred_put(oc);
	}
}

static int64_t priority_walk(struct priority_walk *w, int which, uint32_t who)
{
	struct kernel *k = w->t->kernel;

	if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER)
		return -EINVAL;
	pthread_mutex_lock(&k->tasks_lock);
	if (which == PRIO_PROCESS && who) { /* a thread stands for its process */
		struct task *other = task_find_locked(k, (pid_t)who);

		if (other)
			who = (uint32_t)other->process->pid;
	}
	priority_walk_locked(w, which, who);
	pthread_mutex_unlock(&k->tasks_lock);
	return w->ret;
}

int64_t sys_getpriority(struct task *t, const uint64_t a[6])
{
	struct priority_walk w = {.t = t, .ret = -ESRCH};

	return priority_walk(&w, (int)a[0], (uint32_t)a[1]);
}

int64_t sys_setpriority(struct task *t, const uint64_t a[6])
{
	struct priority_walk w = {.t = t, .set = true, .nice = (int)a[2], .ret = -ESRCH};

	if (w.nice < NICE_MIN)
		w.nice = NICE_MIN;
	if (w.nice > NICE_MAX)
		w.nice = NICE_MAX;
	return priority_walk(&w, (int)a[0], (uint32_t)a[1]);
}
