/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and (not) setting clocks. Real-time clocks come from the parameters of the vDSO's page. */
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "runtime/loader/loader.h"
#include "runtime/loader/vdso_data.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define NS_PER_SEC 1000000000ull
/* clock_getcpuclockid(3): ~pid in the upper bits, then "thread" and the kind of CPU time. */
#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_KIND	 3
#define CPU_CLOCK_PROF	 0
#define CPU_CLOCK_VIRT	 1
#define CPU_CLOCK_SCHED	 2

static uint64_t cpu_kind_ns(int kind, uint64_t user, uint64_t sys)
{
	return kind == CPU_CLOCK_VIRT ? user : user + sys;
}

/* CPU time of a thread or process named by a dynamic clock id. 0 or -EINVAL. */
static int cpu_clock(struct task *t, int id, uint64_t *ns)
{
	pid_t pid = (pid_t) ~(id >> 3);
	int kind = id & CPU_CLOCK_KIND;
	uint64_t user, sys;

	if (kind > CPU_CLOCK_SCHED)
		return -EINVAL;
	if (id & CPU_CLOCK_THREAD) {
		struct task *who = pid ? task_find(t->kernel, pid) : t;

		/* Another process's threads have no clock to show (posix_cpu_timers). */
		if (!who || who->process != t->process) {
			if (who)
				task_put(who);
			return -EINVAL;
		}
		task_cpu_times(who, &user, &sys);
		if (who != t || pid)
			task_put(who);
	} else {
		struct process *p = pid ? process_find(t->kernel, pid) : t->process;

		if (!p)
			return -EINVAL;
		process_cpu_times(p, &user, &sys);
		if (pid)
			process_put(p);
	}
	*ns = cpu_kind_ns(kind, user, sys);
	return 0;
}

/* Any clock that can be read. */
static int read_clock(struct task *t, int id, struct timespec *ts)
{
	uint64_t ns;
	int ret = vdso_clock(t->kernel, id, ts);

	if (!ret)
		return 0;
	switch (id) {
	case CLOCK_REALTIME_ALARM:
		return vdso_clock(t->kernel, CLOCK_REALTIME, ts);
	case CLOCK_BOOTTIME_ALARM:
		return vdso_clock(t->kernel, CLOCK_BOOTTIME, ts);
	case CLOCK_PROCESS_CPUTIME_ID:
		ret = cpu_clock(t, (int)(~0u << 3) | CPU_CLOCK_SCHED, &ns);
		break;
	case CLOCK_THREAD_CPUTIME_ID:
		ret = cpu_clock(t, (int)(~0u << 3) | CPU_CLOCK_THREAD | CPU_CLOCK_SCHED, &ns);
		break;
	default:
		ret = id < 0 ? cpu_clock(t, id, &ns) : -EINVAL;
	}
	if (!ret) {
		ts->tv_sec = (time_t)(ns / NS_PER_SEC);
		ts->tv_nsec = (long)(ns % NS_PER_SEC);
	}
	return ret;
}

int64_t sys_clock_gettime(struct task *t, const uint64_t a[6])
{
	struct timespec ts;
	int ret = read_clock(t, (int)a[0], &ts);

	return ret ? ret : mm_copy_out(t->mm, GVA(a[1]), &ts, sizeof(ts));
}

int64_t sys_clock_getres(struct task *t, const uint64_t a[6])
{
	struct timespec ts = {0, 1};
	int ret, coarse;

	ret = read_clock(t, (int)a[0], &ts);
	if (ret)
		return ret;
	vdso_clock_index((int)a[0], &coarse);
	ts = (struct timespec){0, coarse ? VDSO_COARSE_NS : 1};
	return a[1] ? mm_copy_out(t->mm, GVA(a[1]), &ts, sizeof(ts)) : 0;
}

int64_t sys_gettimeofday(struct task *t, const uint64_t a[6])
{
	struct timespec ts;
	int32_t zone[2] = {0, 0}; /* UTC: the container does not know the host's zone */
	int64_t tv[2];

	vdso_clock(t->kernel, CLOCK_REALTIME, &ts);
	tv[0] = ts.tv_sec;
	tv[1] = ts.tv_nsec / 1000;
	if (a[0] && mm_copy_out(t->mm, GVA(a[0]), tv, sizeof(tv)))
		return -EFAULT;
	if (a[1] && mm_copy_out(t->mm, GVA(a[1]), zone, sizeof(zone)))
		return -EFAULT;
	return 0;
}

int64_t sys_time(struct task *t, const uint64_t a[6])
{
	struct timespec ts;
	int64_t now;

	vdso_clock(t->kernel, CLOCK_REALTIME, &ts);
	now = ts.tv_sec;
	if (a[0] && mm_copy_out(t->mm, GVA(a[0]), &now, sizeof(now)))
		return -EFAULT;
	return now;
}

/* The clocks are the host's: no container may set them, whatever capability it believes to hold. */
static int64_t refuse_setting(struct task *t, uint64_t arg, size_t size)
{
	uint8_t copy[16];

	if (arg && mm_copy_in(t->mm, copy, GVA(arg), size))
		return -EFAULT;
	return -EPERM;
}

int64_t sys_settimeofday(struct task *t, const uint64_t a[6])
{
	if (!a[0] && !a[1])
		return 0;
	return refuse_setting(t, a[0], sizeof(struct timeval));
}

int64_t sys_clock_settime(struct task *t, const uint64_t a[6])
{
	if ((int)a[0] != CLOCK_REALTIME)
		return -EINVAL;
	return refuse_setting(t, a[1], sizeof(struct timespec));
}

/* Reading the state is everyone's right; changing it needs what no container has. */
static int64_t read_timex(struct task *t, uint64_t addr)
{
	struct timex tx;
	int state;

	if (mm_copy_in(t->mm, &tx, GVA(addr), sizeof(tx)))
		return -EFAULT;
	if (tx.modes && tx.modes != ADJ_OFFSET_SS_READ)
		return -EPERM;
	state = adjtimex(&tx);
	if (state < 0)
		return -errno;
	return mm_copy_out(t->mm, GVA(addr), &tx, sizeof(tx)) ? -EFAULT : state;
}

int64_t sys_adjtimex(struct task *t, const uint64_t a[6])
{
	return read_timex(t, a[0]);
}

int64_t sys_clock_adjtime(struct task *t, const uint64_t a[6])
{
	if ((int)a[0] != CLOCK_REALTIME)
		return -EOPNOTSUPP;
	return read_timex(t, a[1]);
}
