/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of tasks and processes. A guest thread is a host thread, and guest code counts as the
 * host thread's time, so the host's accounting is the guest's: what runs in the guest and in the
 * application kernel is user time, what the host kernel does for it is system time.
 */
#include <string.h>

#include "runtime/task/usage.h"

static uint64_t timeval_ns(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000000u + (uint64_t)tv.tv_usec * 1000u;
}

static struct timeval ns_timeval(uint64_t ns)
{
	return (struct timeval){.tv_sec = (time_t)(ns / 1000000000u),
				.tv_usec = (suseconds_t)(ns % 1000000000u / 1000u)};
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void task_begin_usage(struct task *t)
{
	clockid_t clock;

	getrusage(RUSAGE_THREAD, &t->usage_base);
	t->cpu_base_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	atomic_store(&t->stime_ns, 0);
	if (pthread_getcpuclockid(pthread_self(), &clock) == 0)
		t->cpu_clock = clock;
}

/* Take a sample of the calling thread's system time: the clock gives only the sum. */
static void task_sample_self(struct task *t, struct rusage *ru)
{
	getrusage(RUSAGE_THREAD, ru);
	atomic_store(&t->stime_ns, timeval_ns(ru->ru_stime) - timeval_ns(t->usage_base.ru_stime));
}

void task_cpu_times(struct task *t, uint64_t *user_ns, uint64_t *sys_ns)
{
	uint64_t total, sys;
	struct rusage ru;

	*user_ns = *sys_ns = 0;
	if (!t->cpu_clock)
		return; /* has not run yet */
	if (pthread_equal(t->thread, pthread_self()))
		task_sample_self(t, &ru);
	total = clock_ns(t->cpu_clock);
	if (total <= t->cpu_base_ns)
		return;
	total -= t->cpu_base_ns;
	sys = atomic_load(&t->stime_ns);
	if (sys > total)
		sys = total;
	*sys_ns = sys;
	*user_ns = total - sys;
}

static void rusage_add(struct rusage *to, const struct rusage *from)
{
	to->ru_utime = ns_timeval(timeval_ns(to->ru_utime) + timeval_ns(from->ru_utime));
	to->ru_stime = ns_timeval(timeval_ns(to->ru_stime) + timeval_ns(from->ru_stime));
	if (from->ru_maxrss > to->ru_maxrss)
		to->ru_maxrss = from->ru_maxrss;
	to->ru_minflt += from->ru_minflt;
	to->ru_majflt += from->ru_majflt;
	to->ru_inblock += from->ru_inblock;
	to->ru_oublock += from->ru_oublock;
	to->ru_nvcsw += from->ru_nvcsw;
	to->ru_nivcsw += from->ru_nivcsw;
}

/* The calling thread's usage since the task began. */
static void task_usage_self(struct task *t, struct rusage *out)
{
	uint64_t user, sys;
	struct rusage now;

	memset(out, 0, sizeof(*out));
	task_sample_self(t, &now);
	task_cpu_times(t, &user, &sys);
	out->ru_utime = ns_timeval(user);
	out->ru_stime = ns_timeval(sys);
	out->ru_minflt = now.ru_minflt - t->usage_base.ru_minflt;
	out->ru_majflt = now.ru_majflt - t->usage_base.ru_majflt;
	out->ru_inblock = now.ru_inblock - t->usage_base.ru_inblock;
	out->ru_oublock = now.ru_oublock - t->usage_base.ru_oublock;
	out->ru_nvcsw = now.ru_nvcsw - t->usage_base.ru_nvcsw;
	out->ru_nivcsw = now.ru_nivcsw - t->usage_base.ru_nivcsw;
	if (t->mm) {
		struct mm_usage mu;

		mm_get_usage(t->mm, &mu);
		out->ru_maxrss = (long)(mu.rss_peak * PAGE_SIZE / 1024);
	}
}

void task_end_usage_locked(struct task *t)
{
	struct rusage ru;

	task_usage_self(t, &ru);
	rusage_add(&t->process->usage, &ru);
	t->cpu_clock = 0;
}

void process_cpu_times(struct process *p, uint64_t *user_ns, uint64_t *sys_ns)
{
	uint64_t user, sys;

	pthread_mutex_lock(&p->sig_lock);
	*user_ns = timeval_ns(p->usage.ru_utime);
	*sys_ns = timeval_ns(p->usage.ru_stime);
	list_for_each(l, &p->tasks) {
		task_cpu_times(list_entry(l, struct task, group_link), &user, &sys);
		*user_ns += user;
		*sys_ns += sys;
	}
	pthread_mutex_unlock(&p->sig_lock);
}

static void process_usage(struct task *t, struct rusage *out)
{
	struct process *p = t->process;
	struct rusage self;
	uint64_t user, sys;

	task_usage_self(t, &self);
	process_cpu_times(p, &user, &sys);
	pthread_mutex_lock(&p->kernel->tasks_lock);
	*out = p->usage;
	pthread_mutex_unlock(&p->kernel->tasks_lock);
	rusage_add(out, &self);
	out->ru_utime = ns_timeval(user);
	out->ru_stime = ns_timeval(sys);
}

int rusage_copy_out(struct task *t, uint64_t addr, const struct rusage *ru)
{
	/* struct rusage is 18 longs on every 64-bit Linux; the unused ones are 0 */
	int64_t out[18] = {
		ru->ru_utime.tv_sec, ru->ru_utime.tv_usec, ru->ru_stime.tv_sec,
		ru->ru_stime.tv_usec, ru->ru_maxrss,	   [8] = ru->ru_minflt,
		[9] = ru->ru_majflt, [11] = ru->ru_inblock, [12] = ru->ru_oublock,
		[16] = ru->ru_nvcsw, [17] = ru->ru_nivcsw,
	};

	return mm_copy_out(t->mm, GVA(addr), out, sizeof(out));
}

void process_fold_usage_locked(struct process *parent, const struct process *child)
{
	rusage_add(&parent->children_usage, &child->usage);
	rusage_add(&parent->children_usage, &child->children_usage);
}

void process_total_usage_locked(const struct process *p, struct rusage *out)
{
	*out = p->usage;
	rusage_add(out, &p->children_usage);
}

int64_t sys_getrusage(struct task *t, const uint64_t a[6])
{
	struct rusage ru;

	switch ((int)a[0]) {
	case RUSAGE_SELF:
		process_usage(t, &ru);
		break;
	case RUSAGE_CHILDREN:
		pthread_mutex_lock(&t->kernel->tasks_lock);
		ru = t->process->children_usage;
		pthread_mutex_unlock(&t->kernel->tasks_lock);
		break;
	case 1: /* RUSAGE_THREAD */
		task_usage_self(t, &ru);
		break;
	default:
		return -EINVAL;
	}
	return rusage_copy_out(t, a[1], &ru);
}

int64_t sys_times(struct task *t, const uint64_t a[6])
{
	const uint64_t tick = 10000000; /* USER_HZ is 100 */
	struct timespec now;
	uint64_t user, sys;
	int64_t out[4];

	process_cpu_times(t->process, &user, &sys);
	out[0] = (int64_t)(user / tick);
	out[1] = (int64_t)(sys / tick);
	pthread_mutex_lock(&t->kernel->tasks_lock);
	out[2] = (int64_t)(timeval_ns(t->process->children_usage.ru_utime) / tick);
	out[3] = (int64_t)(timeval_ns(t->process->children_usage.ru_stime) / tick);
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	if (a[0] && mm_copy_out(t->mm, GVA(a[0]), out, sizeof(out)))
		return -EFAULT;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 100 + now.tv_nsec / (long)tick;
}
