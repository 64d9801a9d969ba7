/* SPDX-License-Identifier: Apache-2.0 */
/* Clock ids, among them the CPU clocks (clock_getres(2), clock_getcpuclockid(3)), and conversions. */
#include <unistd.h>

#include "runtime/loader/loader.h"
#include "runtime/task/timer_set.h"

bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

uint64_t timespec_to_ns(const struct timespec *ts)
{
	uint64_t ns;

	if (__builtin_mul_overflow((uint64_t)ts->tv_sec, NSEC_PER_SEC, &ns) ||
	    __builtin_add_overflow(ns, (uint64_t)ts->tv_nsec, &ns) || ns > INT64_MAX)
		return INT64_MAX;
	return ns;
}

struct timespec ns_to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NSEC_PER_SEC),
				 .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

/* 2^63 ns are 292 years: far enough to stand for the times that do not fit. */
uint64_t deadline_after(uint64_t now, uint64_t delta)
{
	return delta > (uint64_t)INT64_MAX - now ? INT64_MAX : now + delta;
}

uint64_t deadline_of_clock(int clock, uint64_t abs_ns)
{
	struct timespec ts;
	uint64_t now;

	if (clock == CLOCK_MONOTONIC)
		return abs_ns;
	if (clock_gettime(clock, &ts))
		return 0;
	now = timespec_to_ns(&ts);
	return abs_ns <= now ? 0 : deadline_after(monotonic_ns(), abs_ns - now);
}

/* ---- CPU clocks ---- */

bool cpu_clock_decode(struct task *t, int clock, struct cpu_clock_ref *out)
{
	*out = (struct cpu_clock_ref){.kind = CPU_CLOCK_TOTAL};
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return true;
	if (clock == CLOCK_THREAD_CPUTIME_ID) {
		out->tid = t->tid;
		return true;
	}
	if (clock >= 0 || (clock & 3) == 3) /* 3: a clock behind a descriptor */
		return false;
	out->kind = (clock & 3) == 1 ? CPU_CLOCK_USER : CPU_CLOCK_TOTAL;
	out->id = ~(clock >> 3);
	if (clock & 4)
		out->tid = out->id ? out->id : t->tid;
	else
		out->pid = out->id;
	return true;
}

int cpu_clock_read(struct process *p, const struct cpu_clock_ref *c, uint64_t *ns)
{
	uint64_t user = 0, system = 0;
	int ret = c->tid ? -EINVAL : 0;

	if (!c->tid) {
		process_cpu_times(p, &user, &system);
	} else {
		pthread_mutex_lock(&p->sig_lock);
		list_for_each(n, &p->tasks) {
			struct task *t = list_entry(n, struct task, group_link);

			if (t->tid != c->tid)
				continue;
			task_cpu_times(t, &user, &system);
			ret = 0;
			break;
		}
		pthread_mutex_unlock(&p->sig_lock);
	}
	*ns = c->kind == CPU_CLOCK_USER ? user : user + system;
	return ret;
}

uint64_t cpu_clock_wait(uint64_t left)
{
	static long cpus;
	const uint64_t least = 1000000; /* 1 ms: Linux's own accuracy here is a tick */

	if (!cpus)
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
	left /= cpus > 0 ? (uint64_t)cpus : 1;
	return left > least ? left : least;
}

int guest_clock_get(struct task *t, int clock, struct timespec *out)
{
	struct cpu_clock_ref c;
	struct process *p;
	uint64_t ns;
	int ret;

	if (!cpu_clock_decode(t, clock, &c))
		return clock < 0 ? -EINVAL : vdso_clock(t->kernel, clock, out);
	/* Another process's clocks may be read, a foreign thread's may not. */
	p = c.pid ? process_find(t->kernel, c.pid) : t->process;
	if (!p)
		return -EINVAL;
	ret = cpu_clock_read(p, &c, &ns);
	if (c.pid)
		process_put(p);
	if (!ret)
		*out = ns_to_timespec(ns);
	return ret;
}
