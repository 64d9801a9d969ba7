/* SPDX-License-Identifier: Apache-2.0 */
/* getrlimit(2), setrlimit(2), prlimit(2). */
#include "runtime/task/cred.h"
#include "runtime/task/timer.h"

#define RLIMITS 16
#define NR_OPEN_MAX 1048576u /* fs.nr_open: no descriptor limit above it */

uint64_t process_rlimit(struct process *p, int resource)
{
	uint64_t v;

	pthread_mutex_lock(&p->sig_lock);
	v = p->rlimits[resource].rlim_cur;
	pthread_mutex_unlock(&p->sig_lock);
	return v;
}

static int rlimit_set(struct task *t, struct process *p, unsigned res, const struct rlimit64 *new,
		      struct rlimit64 *old)
{
	bool may_raise = cred_capable(t->cred, CAP_SYS_RESOURCE);
	int err = 0;

	if (new && new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (new && res == RLIMIT_NOFILE && new->rlim_max > NR_OPEN_MAX)
		return -EPERM;
	pthread_mutex_lock(&p->sig_lock);
	*old = p->rlimits[res];
	if (new && new->rlim_max > old->rlim_max && !may_raise)
		err = -EPERM;
	else if (new)
		p->rlimits[res] = *new;
	pthread_mutex_unlock(&p->sig_lock);
	return err;
}

/* mm checks these itself and keeps its own copy. */
static void rlimit_tell_mm(struct process *p, struct task *any)
{
	struct mm *mm = task_get_mm(any);

	if (!mm)
		return;
	mm_set_limits(mm, process_rlimit(p, RLIMIT_AS), process_rlimit(p, RLIMIT_DATA),
		      process_rlimit(p, RLIMIT_STACK));
	mm_put(mm);
}

/* prlimit(2): every id of the target is the caller's real one, or CAP_SYS_RESOURCE. */
static bool rlimit_may_touch(struct task *t, struct task *other)
{
	const struct cred *c = t->cred;
	struct cred *oc;
	bool ok;

	if (other->process == t->process || cred_capable(c, CAP_SYS_RESOURCE))
		return true;
	oc = task_get_cred(other);
	ok = c->uid == oc->uid && c->uid == oc->euid && c->uid == oc->suid && c->gid == oc->gid &&
	     c->gid == oc->egid && c->gid == oc->sgid;
	cred_put(oc);
	return ok;
}

static int64_t rlimit_do(struct task *t, pid_t pid, unsigned res, uint64_t new_addr,
			 uint64_t old_addr)
{
	struct rlimit64 new, old;
	struct task *other;
	int err;

	if (res >= RLIMITS)
		return -EINVAL;
	if (new_addr && mm_copy_in(t->mm, &new, GVA(new_addr), sizeof(new)))
		return -EFAULT;
	if (pid == 0) {
		task_get(t);
		other = t;
	} else {
		other = task_find(t->kernel, pid);
		if (!other)
			return -ESRCH;
	}
	err = rlimit_may_touch(t, other)
		      ? rlimit_set(t, other->process, res, new_addr ? &new : NULL, &old)
		      : -EPERM;
	if (!err && new_addr && (res == RLIMIT_AS || res == RLIMIT_DATA || res == RLIMIT_STACK))
		rlimit_tell_mm(other->process, other);
	if (!err && new_addr && res == RLIMIT_CPU)
		timer_set_cpu_limit(other->process);
	task_put(other);
	if (!err && old_addr && mm_copy_out(t->mm, GVA(old_addr), &old, sizeof(old)))
		err = -EFAULT;
	return err;
}

int64_t sys_prlimit64(struct task *t, const uint64_t a[6])
{
	return rlimit_do(t, (pid_t)a[0], (unsigned)a[1], a[2], a[3]);
}

int64_t sys_getrlimit(struct task *t, const uint64_t a[6])
{
	return a[1] ? rlimit_do(t, 0, (unsigned)a[0], 0, a[1]) : -EFAULT;
}

int64_t sys_setrlimit(struct task *t, const uint64_t a[6])
{
	return a[1] ? rlimit_do(t, 0, (unsigned)a[0], a[1], 0) : -EFAULT;
}
