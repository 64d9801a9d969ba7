/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX timers: timer_create(2), timer_settime(2), timer_getoverrun(2), timer_delete(2). */
#include <stdlib.h>
#include <string.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/cred.h"
#include "runtime/task/timer_set.h"

#define POSIX_TIMERS_MAX 65536u
#define GUEST_SIGEV_THREAD_ID 4

struct guest_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	uint8_t pad[44];
};

struct guest_itimerspec {
	struct timespec interval, value;
};

static struct guest_timer *timer_find_locked(struct timer_set *ts, uint64_t id)
{
	id = (uint32_t)id;
	return id < ts->nposix ? ts->posix[id] : NULL;
}

/* ---- creation ---- */

/* EOPNOTSUPP: clocks that can be read but have no timers. */
static int timer_clock(struct task *t, int clock, struct guest_timer *gt)
{
	gt->clock = clock;
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return 0;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		if (!cred_capable(t->cred, CAP_WAKE_ALARM))
			return -EPERM;
		gt->clock = clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : CLOCK_BOOTTIME;
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		break;
	}
	gt->cpu = true;
	if (!cpu_clock_decode(t, clock, &gt->cpu_ref))
		return -EINVAL;
	/* Only the process's own clocks: its timers must not outlive what they watch. */
	return gt->cpu_ref.pid && gt->cpu_ref.pid != t->process->pid ? -EINVAL : 0;
}

static bool own_thread(struct task *t, pid_t tid)
{
	bool found = false;

	pthread_mutex_lock(&t->process->sig_lock);
	list_for_each(n, &t->process->tasks)
		found |= list_entry(n, struct task, group_link)->tid == tid;
	pthread_mutex_unlock(&t->process->sig_lock);
	return found;
}

static int timer_notify(struct task *t, const struct guest_sigevent *ev, struct guest_timer *gt)
{
	gt->notify = ev->notify & ~GUEST_SIGEV_THREAD_ID;
	gt->signo = ev->signo;
	gt->value = ev->value;
	if (ev->notify == SIGEV_NONE)
		return 0;
	if (ev->notify == (SIGEV_SIGNAL | GUEST_SIGEV_THREAD_ID)) {
		if (!own_thread(t, ev->tid))
			return -EINVAL;
		gt->tid = ev->tid;
	} else if (ev->notify != SIGEV_SIGNAL && ev->notify != SIGEV_THREAD) {
		return -EINVAL;
	}
	return ev->signo > 0 && ev->signo <= GUEST_NSIG ? 0 : -EINVAL;
}

static int timer_insert_locked(struct timer_set *ts, struct guest_timer *gt)
{
	size_t id = 0;

	if (ts->nused >= process_rlimit(ts->process, RLIMIT_SIGPENDING) ||
	    ts->nused >= POSIX_TIMERS_MAX)
		return -EAGAIN;
	while (id < ts->nposix && ts->posix[id])
		id++;
	if (id == ts->nposix) {
		size_t n = ts->nposix ? 2 * ts->nposix : 8;
		struct guest_timer **v = realloc(ts->posix, n * sizeof(*v));

		if (!v)
			return -EAGAIN;
		memset(v + ts->nposix, 0, (n - ts->nposix) * sizeof(*v));
		ts->posix = v;
		ts->nposix = n;
	}
	ts->posix[id] = gt;
	ts->nused++;
	gt->id = (int)id;
	return 0;
}

static void timer_remove_locked(struct timer_set *ts, struct guest_timer *gt)
{
	gt->armed = false;
	ts->posix[gt->id] = NULL;
	ts->nused--;
}

int64_t sys_timer_create(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_sigevent ev = {.notify = SIGEV_SIGNAL, .signo = SIGALRM};
	struct guest_timer *gt;
	int ret;

	if (a[1] && mm_copy_in(t->mm, &ev, GVA(a[1]), sizeof(ev)))
		return -EFAULT;
	gt = malloc(sizeof(*gt));
	if (!gt)
		return -EAGAIN;
	guest_timer_init(gt, ts);
	gt->posix = true;
	ret = timer_clock(t, (int)a[0], gt);
	if (!ret)
		ret = timer_notify(t, &ev, gt);
	pthread_mutex_lock(&ts->lock);
	if (!ret)
		ret = timer_insert_locked(ts, gt);
	if (ret)
		goto fail;
	if (!a[1])
		gt->value = (uint64_t)gt->id;
	if (mm_copy_out(t->mm, GVA(a[2]), &gt->id, sizeof(gt->id))) {
		timer_remove_locked(ts, gt);
		ret = -EFAULT;
		goto fail;
	}
	pthread_mutex_unlock(&ts->lock);
	return 0;
fail:
	pthread_mutex_unlock(&ts->lock);
	free(gt);
	return ret;
}

/* ---- use ---- */

static void timer_read_locked(const struct guest_timer *gt, struct guest_itimerspec *out)
{
	out->interval = ns_to_timespec(gt->interval_ns);
	out->value = ns_to_timespec(guest_timer_left_locked(gt));
}

int64_t sys_timer_settime(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_itimerspec v, old;
	struct guest_timer *gt;
	int ret = -EINVAL;

	if (!a[2])
		return -EINVAL;
	if (mm_copy_in(t->mm, &v, GVA(a[2]), sizeof(v)))
		return -EFAULT;
	if (!timespec_valid(&v.value) || !timespec_valid(&v.interval))
		return -EINVAL;
	pthread_mutex_lock(&ts->lock);
	gt = timer_find_locked(ts, a[0]);
	if (gt) {
		timer_read_locked(gt, &old);
		ret = guest_timer_set_locked(gt, timespec_to_ns(&v.value), timespec_to_ns(&v.interval),
					     a[1] & TIMER_ABSTIME);
	}
	pthread_mutex_unlock(&ts->lock);
	if (!ret && a[3])
		ret = mm_copy_out(t->mm, GVA(a[3]), &old, sizeof(old));
	return ret;
}

int64_t sys_timer_gettime(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_itimerspec v;
	struct guest_timer *gt;

	pthread_mutex_lock(&ts->lock);
	gt = timer_find_locked(ts, a[0]);
	if (gt)
		timer_read_locked(gt, &v);
	pthread_mutex_unlock(&ts->lock);
	return gt ? mm_copy_out(t->mm, GVA(a[1]), &v, sizeof(v)) : -EINVAL;
}

int64_t sys_timer_getoverrun(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_timer *gt;
	int64_t ret;

	pthread_mutex_lock(&ts->lock);
	gt = timer_find_locked(ts, a[0]);
	ret = gt ? gt->overrun_last : -EINVAL;
	pthread_mutex_unlock(&ts->lock);
	return ret;
}

int64_t sys_timer_delete(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_timer *gt;

	pthread_mutex_lock(&ts->lock);
	gt = timer_find_locked(ts, a[0]);
	if (gt)
		timer_remove_locked(ts, gt);
	pthread_mutex_unlock(&ts->lock);
	if (!gt)
		return -EINVAL;
	ktimer_cancel(&gt->kt);
	free(gt);
	return 0;
}

void timer_signal_taken(struct process *p, void *siginfo)
{
	const guest_siginfo_t *info = siginfo;
	struct guest_timer *gt;

	pthread_mutex_lock(&p->timers->lock);
	gt = timer_find_locked(p->timers, (uint64_t)info->si_timerid);
	if (gt && gt->signo == info->si_signo)
		gt->overrun_last = info->si_overrun;
	pthread_mutex_unlock(&p->timers->lock);
}

void posix_timers_clear(struct timer_set *ts)
{
	for (;;) {
		struct guest_timer *gt = NULL;

		pthread_mutex_lock(&ts->lock);
		for (size_t i = 0; i < ts->nposix && !gt; i++)
			gt = ts->posix[i];
		if (gt)
			timer_remove_locked(ts, gt);
		pthread_mutex_unlock(&ts->lock);
		if (!gt)
			break;
		ktimer_cancel(&gt->kt);
		free(gt);
	}
	free(ts->posix);
	ts->posix = NULL;
	ts->nposix = 0;
}
