/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched(7). Guest threads are host threads: affinity is the host's, policies and priorities are
 * remembered and reported but do not change how the host schedules the sandbox.
 */
#include <sched.h>
#include <string.h>

#include "runtime/loader/loader.h"
#include "runtime/task/cred.h"
#include "runtime/task/sched.h"

#define POLICY_OTHER 0
#define POLICY_FIFO 1
#define POLICY_RR 2
#define POLICY_BATCH 3
#define POLICY_IDLE 5
#define POLICY_DEADLINE 6
#define POLICY_RESET_ON_FORK 0x40000000
#define RT_PRIORITY_MAX 99

static bool policy_is_rt(int policy)
{
	return policy == POLICY_FIFO || policy == POLICY_RR;
}

static bool policy_is_fair(int policy)
{
	return policy == POLICY_OTHER || policy == POLICY_BATCH || policy == POLICY_IDLE;
}

/* The task of a pid argument with a reference; NULL: none. */
static struct task *sched_target(struct task *t, pid_t pid)
{
	if (pid)
		return task_find(t->kernel, pid);
	task_get(t);
	return t;
}

static bool sched_may_change(struct task *t, struct task *other)
{
	struct cred *oc;
	bool ok;

	if (other == t || cred_capable(t->cred, CAP_SYS_NICE))
		return true;
	oc = task_get_cred(other);
	ok = t->cred->euid == oc->uid || t->cred->euid == oc->euid;
	cred_put(oc);
	return ok;
}

/* ---- affinity ---- */

_Static_assert(sizeof(cpu_set_t) == sizeof(((struct sched_state *)0)->affinity),
	       "one bit for each CPU the host can name");

/* The CPUs the sandbox may use, as they were when it was made: before any thread was pinned. */
static void sched_host_set(struct kernel *k, uint64_t out[16])
{
	memcpy(out, k->host_affinity, sizeof(k->host_affinity));
}

static unsigned affinity_bytes(const uint64_t set[16])
{
	unsigned words = 16;

	while (words > 1 && !set[words - 1])
		words--;
	return words * 8;
}

static void task_affinity(struct task *t, uint64_t out[16])
{
	static const uint64_t none[16];

	memcpy(out, t->sched.affinity, sizeof(t->sched.affinity));
	if (!memcmp(out, none, sizeof(none)))
		sched_host_set(t->kernel, out);
}

void task_apply_affinity(struct task *t)
{
	uint64_t set[16];

	task_affinity(t, set);
	/* a sandbox whose host refuses stays correct, only less placed */
	(void)pthread_setaffinity_np(t->thread, sizeof(set), (const cpu_set_t *)set);
}

bool task_is_pinned(const struct task *t)
{
	for (unsigned i = 0; i < 16; i++)
		if (t->sched.affinity[i])
			return true;
	return false;
}

void task_reset_affinity(struct task *t)
{
	memset(t->sched.affinity, 0, sizeof(t->sched.affinity));
	task_apply_affinity(t);
}

int64_t sys_sched_getaffinity(struct task *t, const uint64_t a[6])
{
	unsigned len = (unsigned)a[1], bytes;
	uint64_t set[16], host[16];
	struct task *other;

	sched_host_set(t->kernel, host);
	bytes = affinity_bytes(host);
	if (len & 7 || len < bytes)
		return -EINVAL;
	other = sched_target(t, (pid_t)a[0]);
	if (!other)
		return -ESRCH;
	task_affinity(other, set);
	task_put(other);
	if (mm_copy_out(t->mm, GVA(a[2]), set, bytes))
		return -EFAULT;
	return bytes;
}

int64_t sys_sched_setaffinity(struct task *t, const uint64_t a[6])
{
	uint64_t want[16] = {0}, host[16], any = 0;
	size_t len = (unsigned)a[1];
	struct task *other;
	int64_t ret = 0;

	if (len > sizeof(want))
		len = sizeof(want);
	if (mm_copy_in(t->mm, want, GVA(a[2]), len))
		return -EFAULT;
	sched_host_set(t->kernel, host);
	for (unsigned i = 0; i < 16; i++)
		any |= want[i] &= host[i];
	other = sched_target(t, (pid_t)a[0]);
	if (!other)
		return -ESRCH;
	if (!sched_may_change(t, other)) {
		ret = -EPERM;
	} else if (!any) {
		ret = -EINVAL;
	} else {
		/* under tasks_lock the task's host thread cannot end */
		pthread_mutex_lock(&t->kernel->tasks_lock);
		if (!list_empty(&other->group_link)) {
			memcpy(other->sched.affinity, want, sizeof(want));
			task_apply_affinity(other);
		}
		pthread_mutex_unlock(&t->kernel->tasks_lock);
		vdso_affinity_changed(t->kernel);
	}
	task_put(other);
	return ret;
}

/* ---- policies ---- */

static int sched_check(struct task *t, struct task *other, int policy, int priority)
{
	if (!policy_is_rt(policy) && !policy_is_fair(policy))
		return -EINVAL;
	if (policy_is_rt(policy) ? priority < 1 || priority > RT_PRIORITY_MAX : priority != 0)
		return -EINVAL;
	if (!sched_may_change(t, other))
		return -EPERM;
	if (policy_is_rt(policy) && !cred_capable(t->cred, CAP_SYS_NICE)) {
		uint64_t limit = process_rlimit(other->process, RLIMIT_RTPRIO);

		if (policy != other->sched.policy && !limit)
			return -EPERM;
		if (priority > other->sched.priority && (uint64_t)priority > limit)
			return -EPERM;
	}
	return 0;
}

static int64_t sched_change(struct task *t, pid_t pid, int policy, uint64_t param)
{
	struct task *other;
	int32_t priority;
	bool reset = false;
	int err;

	if (pid < 0 || !param)
		return -EINVAL;
	if (mm_copy_in(t->mm, &priority, GVA(param), sizeof(priority)))
		return -EFAULT;
	other = sched_target(t, pid);
	if (!other)
		return -ESRCH;
	if (policy < 0) {
		policy = other->sched.policy;
		reset = other->sched.reset_on_fork;
	} else {
		reset = policy & POLICY_RESET_ON_FORK;
		policy &= ~POLICY_RESET_ON_FORK;
	}
	err = sched_check(t, other, policy, priority);
	if (!err) {
		other->sched.policy = policy;
		other->sched.priority = priority;
		other->sched.reset_on_fork = reset;
	}
	task_put(other);
	return err;
}

int64_t sys_sched_setscheduler(struct task *t, const uint64_t a[6])
{
	if ((int)a[1] < 0)
		return -EINVAL;
	return sched_change(t, (pid_t)a[0], (int)a[1], a[2]);
}

int64_t sys_sched_setparam(struct task *t, const uint64_t a[6])
{
	return sched_change(t, (pid_t)a[0], -1, a[1]);
}

int64_t sys_sched_getscheduler(struct task *t, const uint64_t a[6])
{
	struct task *other;
	int64_t ret;

	if ((pid_t)a[0] < 0)
		return -EINVAL;
	other = sched_target(t, (pid_t)a[0]);
	if (!other)
		return -ESRCH;
	ret = other->sched.policy | (other->sched.reset_on_fork ? POLICY_RESET_ON_FORK : 0);
	task_put(other);
	return ret;
}

int64_t sys_sched_getparam(struct task *t, const uint64_t a[6])
{
	struct task *other;
	int32_t priority;

	if ((pid_t)a[0] < 0 || !a[1])
		return -EINVAL;
	other = sched_target(t, (pid_t)a[0]);
	if (!other)
		return -ESRCH;
	priority = other->sched.priority;
	task_put(other);
	return mm_copy_out(t->mm, GVA(a[1]), &priority, sizeof(priority));
}

static int64_t sched_priority_bound(int policy, int rt)
{
	if (policy_is_rt(policy))
		return rt;
	return policy_is_fair(policy) || policy == POLICY_DEADLINE ? 0 : -EINVAL;
}

int64_t sys_sched_get_priority_max(struct task *t, const uint64_t a[6])
{
	(void)t;
	return sched_priority_bound((int)a[0], RT_PRIORITY_MAX);
}

int64_t sys_sched_get_priority_min(struct task *t, const uint64_t a[6])
{
	(void)t;
	return sched_priority_bound((int)a[0], 1);
}

int64_t sys_sched_rr_get_interval(struct task *t, const uint64_t a[6])
{
	int64_t out[2] = {0, 4000000};
	struct task *other;

	if ((pid_t)a[0] < 0)
		return -EINVAL;
	other = sched_target(t, (pid_t)a[0]);
	if (!other)
		return -ESRCH;
	if (other->sched.policy == POLICY_RR)
		out[1] = 100000000;
	else if (other->sched.policy == POLICY_FIFO)
		out[1] = 0;
	task_put(other);
	return mm_copy_out(t->mm, GVA(a[1]), out, sizeof(out));
}

int64_t sys_sched_yield(struct task *t, const uint64_t a[6])
{
	(void)a;
	cpu_release(t->cpu);
	sched_yield();
	return 0;
}
