/* SPDX-License-Identifier: Apache-2.0 */
/* nanosleep(2), clock_nanosleep(2). */
#include "runtime/syscall/syscall.h"
#include "runtime/task/timer_set.h"

static int64_t sleep_restart(struct task *t, struct restart_block *r);

static int sleep_until(struct task *t, uint64_t deadline)
{
	int ret;

	do {
		task_prepare_park(t);
		ret = task_park(t, deadline, NULL, 0);
	} while (!ret);
	/* A time that has come counts for more than a signal. */
	return deadline <= monotonic_ns() ? -ETIMEDOUT : ret;
}

/* Interrupted: the rest goes to rem and, if no handler runs, is slept by restart_syscall(2). */
static int64_t sleep_interrupted(struct task *t, uint64_t deadline, uint64_t rem)
{
	uint64_t now = monotonic_ns();
	struct timespec left = ns_to_timespec(deadline > now ? deadline - now : 0);

	if (deadline <= now)
		return 0;
	if (rem && mm_copy_out(t->mm, GVA(rem), &left, sizeof(left)))
		return -EFAULT;
	t->restart = (struct restart_block){
		.fn = sleep_restart, .deadline_ns = deadline, .arg = {rem}};
	return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_relative(struct task *t, uint64_t deadline, uint64_t rem)
{
	return sleep_until(t, deadline) == -ETIMEDOUT ? 0 : sleep_interrupted(t, deadline, rem);
}

static int64_t sleep_restart(struct task *t, struct restart_block *r)
{
	return sleep_relative(t, r->deadline_ns, r->arg[0]);
}

/* CPU clocks: look again whenever the time could have come. */
static int64_t sleep_cpu(struct task *t, const struct cpu_clock_ref *c, uint64_t until, bool absolute,
			 uint64_t rem)
{
	uint64_t now;
	int ret = cpu_clock_read(t->process, c, &now);

	if (!ret && !absolute)
		until = deadline_after(now, until);
	while (!ret && now < until) {
		if (sleep_until(t, monotonic_ns() + cpu_clock_wait(until - now)) == -EINTR) {
			struct timespec left = ns_to_timespec(until - now);

			if (absolute)
				return -ERESTARTNOHAND;
			return rem && mm_copy_out(t->mm, GVA(rem), &left, sizeof(left)) ? -EFAULT
											: -EINTR;
		}
		ret = cpu_clock_read(t->process, c, &now);
	}
	return ret;
}

int64_t sys_nanosleep(struct task *t, const uint64_t a[6])
{
	struct timespec ts;

	if (mm_copy_in(t->mm, &ts, GVA(a[0]), sizeof(ts)))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	if (!ts.tv_sec && !ts.tv_nsec)
		return 0;
	return sleep_relative(t, deadline_after(monotonic_ns(), timespec_to_ns(&ts)), a[1]);
}

int64_t sys_clock_nanosleep(struct task *t, const uint64_t a[6])
{
	int clock = (int)a[0];
	bool absolute = a[1] & TIMER_ABSTIME;
	struct cpu_clock_ref c;
	struct timespec ts;
	uint64_t ns;

	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
	    clock == CLOCK_MONOTONIC_COARSE)
		return -EOPNOTSUPP;
	if (clock > CLOCK_TAI || clock == 10)
		return -EINVAL;
	if (mm_copy_in(t->mm, &ts, GVA(a[2]), sizeof(ts)))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	ns = timespec_to_ns(&ts);
	if (cpu_clock_decode(t, clock, &c))
		return c.tid == t->tid || (c.pid && c.pid != t->process->pid)
			       ? -EINVAL
			       : sleep_cpu(t, &c, ns, absolute, a[3]);
	if (clock < 0)
		return -EINVAL;
	if (absolute)
		return sleep_until(t, deadline_of_clock(clock, ns)) == -EINTR ? -ERESTARTNOHAND : 0;
	return ns ? sleep_relative(t, deadline_after(monotonic_ns(), ns), a[3]) : 0;
}
