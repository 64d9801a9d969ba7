/* SPDX-License-Identifier: Apache-2.0 */
/* A process's timers: expiry, interval timers (getitimer(2), alarm(2)), life of the set. */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/timer_set.h"

#define IDLE_POLLS_MAX 5 /* a CPU timer of a sleeping process is polled 32 times more rarely at most */

/* Shorter intervals than this are counted (overruns), not fired one by one. */
#define INTERVAL_LEAST_NS 100000u

/* ---- expiry ---- */

uint64_t guest_timer_now(const struct guest_timer *gt)
{
	struct timespec ts = {0};
	uint64_t ns = 0;

	if (gt->cpu) {
		cpu_clock_read(gt->set->process, &gt->cpu_ref, &ns);
		return ns;
	}
	clock_gettime(gt->clock, &ts);
	return timespec_to_ns(&ts);
}

static int arm_locked(struct guest_timer *gt, uint64_t now)
{
	uint64_t wait;

	if (!gt->cpu)
		return ktimer_arm(&gt->kt, deadline_of_clock(gt->clock, gt->next_ns));
	wait = cpu_clock_wait(gt->next_ns > now ? gt->next_ns - now : 0) << gt->idle_polls;
	return ktimer_arm(&gt->kt, deadline_after(monotonic_ns(), wait));
}

static void cpu_progress(struct guest_timer *gt, uint64_t now)
{
	if (now != gt->last_cpu_ns)
		gt->idle_polls = 0;
	else if (gt->idle_polls < IDLE_POLLS_MAX)
		gt->idle_polls++;
	gt->last_cpu_ns = now;
}

static int send(const struct guest_timer *gt, uint64_t overrun)
{
	struct process *p = gt->set->process;
	guest_siginfo_t info;

	if (!gt->posix)
		return signal_send_timer(p, 0, gt->signo, NULL);
	if (gt->notify == SIGEV_NONE)
		return 0;
	memset(&info, 0, sizeof(info));
	info.si_signo = gt->signo;
	info.si_code = SI_TIMER;
	info.si_timerid = gt->id;
	info.si_overrun = overrun > INT32_MAX ? INT32_MAX : (int)overrun;
	info.si_ptr = (void *)(uintptr_t)gt->value;
	return signal_send_timer(p, gt->tid, gt->signo, &info);
}

/* On the timer thread. The signal is sent under the set's lock, so that a deleted timer is silent. */
static void expired(struct ktimer *kt)
{
	struct guest_timer *gt = container_of(kt, struct guest_timer, kt);
	uint64_t now, times = 1;

	pthread_mutex_lock(&gt->set->lock);
	if (!gt->armed)
		goto out;
	now = guest_timer_now(gt);
	if (gt->cpu)
		cpu_progress(gt, now);
	if (now < gt->next_ns) {
		arm_locked(gt, now);
		goto out;
	}
	if (gt->interval_ns) {
		times = 1 + (now - gt->next_ns) / gt->interval_ns;
		gt->next_ns += times * gt->interval_ns;
	} else {
		gt->armed = false;
	}
	if (send(gt, times - 1) == -ESRCH)
		gt->armed = false;
	if (gt->armed && !gt->cpu && gt->interval_ns < INTERVAL_LEAST_NS)
		ktimer_arm(kt, monotonic_ns() + INTERVAL_LEAST_NS);
	else if (gt->armed)
		arm_locked(gt, now);
out:
	pthread_mutex_unlock(&gt->set->lock);
}

/*
 * setrlimit(2), RLIMIT_CPU: SIGXCPU at the soft limit and every second from there, SIGKILL at the hard
 * one. On the timer thread.
 */
static void cpu_limit_expired(struct ktimer *kt)
{
	struct guest_timer *gt = container_of(kt, struct guest_timer, kt);
	struct process *p = gt->set->process;
	struct rlimit64 lim;
	uint64_t now;
	int ret = 0;

	pthread_mutex_lock(&gt->set->lock);
	if (!gt->armed)
		goto out;
	pthread_mutex_lock(&p->sig_lock);
	lim = p->rlimits[RLIMIT_CPU];
	pthread_mutex_unlock(&p->sig_lock);
	now = guest_timer_now(gt);
	cpu_progress(gt, now);
	if (lim.rlim_max != RLIM64_INFINITY && now / NSEC_PER_SEC >= lim.rlim_max) {
		signal_send_timer(p, 0, SIGKILL, NULL);
		ret = -ESRCH;
	} else if (now >= gt->next_ns) {
		gt->next_ns += NSEC_PER_SEC;
		ret = signal_send_timer(p, 0, SIGXCPU, NULL);
	}
	gt->armed = ret != -ESRCH && arm_locked(gt, now) == 0;
out:
	pthread_mutex_unlock(&gt->set->lock);
}

void timer_set_cpu_limit(struct process *p)
{
	struct guest_timer *gt = &p->timers->cpu_limit;
	uint64_t soft;

	pthread_mutex_lock(&gt->set->lock);
	pthread_mutex_lock(&p->sig_lock);
	soft = p->rlimits[RLIMIT_CPU].rlim_cur;
	pthread_mutex_unlock(&p->sig_lock);
	if (soft > UINT64_MAX / NSEC_PER_SEC / 2)
		guest_timer_set_locked(gt, 0, 0, true);
	else /* none at all is taken for one second */
		guest_timer_set_locked(gt, (soft ? soft : 1) * NSEC_PER_SEC, 0, true);
	pthread_mutex_unlock(&gt->set->lock);
}

void guest_timer_init(struct guest_timer *gt, struct timer_set *set)
{
	memset(gt, 0, sizeof(*gt));
	gt->set = set;
	ktimer_init(&gt->kt, expired);
}

int guest_timer_set_locked(struct guest_timer *gt, uint64_t value, uint64_t interval, bool absolute)
{
	uint64_t now = guest_timer_now(gt);
	int ret;

	gt->armed = value != 0;
	gt->interval_ns = interval;
	gt->idle_polls = 0;
	gt->last_cpu_ns = now;
	if (!value) {
		ktimer_disarm(&gt->kt);
		return 0;
	}
	gt->next_ns = absolute ? value : deadline_after(now, value);
	ret = arm_locked(gt, now);
	if (ret)
		gt->armed = false;
	return ret;
}

uint64_t guest_timer_left_locked(const struct guest_timer *gt)
{
	uint64_t now;

	if (!gt->armed)
		return 0;
	now = guest_timer_now(gt);
	return gt->next_ns > now ? gt->next_ns - now : 1;
}

/* ---- the set ---- */

struct timer_set *timer_set_create(struct process *p)
{
	struct timer_set *ts = calloc(1, sizeof(*ts));
	static const int signo[3] = {SIGALRM, SIGVTALRM, SIGPROF};

	if (!ts)
		return NULL;
	ts->process = p;
	pthread_mutex_init(&ts->lock, NULL);
	for (int i = 0; i < 3; i++) {
		guest_timer_init(&ts->itimer[i], ts);
		ts->itimer[i].signo = signo[i];
		ts->itimer[i].clock = CLOCK_MONOTONIC;
		ts->itimer[i].cpu = i != ITIMER_REAL;
	}
	ts->itimer[ITIMER_VIRTUAL].cpu_ref.kind = CPU_CLOCK_USER;
	guest_timer_init(&ts->cpu_limit, ts);
	ts->cpu_limit.cpu = true;
	ktimer_init(&ts->cpu_limit.kt, cpu_limit_expired);
	return ts;
}

void timer_set_exec(struct timer_set *ts)
{
	posix_timers_clear(ts);
}

void timer_set_destroy(struct timer_set *ts)
{
	if (!ts)
		return;
	pthread_mutex_lock(&ts->lock);
	for (int i = 0; i < 3; i++)
		ts->itimer[i].armed = false;
	ts->cpu_limit.armed = false;
	pthread_mutex_unlock(&ts->lock);
	for (int i = 0; i < 3; i++)
		ktimer_cancel(&ts->itimer[i].kt);
	ktimer_cancel(&ts->cpu_limit.kt);
	posix_timers_clear(ts);
	pthread_mutex_destroy(&ts->lock);
	free(ts);
}

/* ---- getitimer, setitimer, alarm ---- */

struct guest_itimerval {
	int64_t interval_sec, interval_usec, value_sec, value_usec;
};

static void itimer_read_locked(const struct guest_timer *gt, struct guest_itimerval *out)
{
	/* Rounded up: an armed timer never shows 0. */
	uint64_t left = (guest_timer_left_locked(gt) + 999) / 1000, every = gt->interval_ns / 1000;

	*out = (struct guest_itimerval){
		.interval_sec = gt->armed ? (int64_t)(every / 1000000) : 0,
		.interval_usec = gt->armed ? (int64_t)(every % 1000000) : 0,
		.value_sec = (int64_t)(left / 1000000),
		.value_usec = (int64_t)(left % 1000000),
	};
}

static bool timeval_ns(int64_t sec, int64_t usec, uint64_t *ns)
{
	struct timespec ts = {.tv_sec = sec};

	if (sec < 0 || usec < 0 || usec >= 1000000)
		return false;
	ts.tv_nsec = usec * 1000;
	*ns = timespec_to_ns(&ts);
	return true;
}

int64_t sys_getitimer(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_itimerval v;

	if (a[0] > ITIMER_PROF)
		return -EINVAL;
	pthread_mutex_lock(&ts->lock);
	itimer_read_locked(&ts->itimer[a[0]], &v);
	pthread_mutex_unlock(&ts->lock);
	return mm_copy_out(t->mm, GVA(a[1]), &v, sizeof(v));
}

int64_t sys_setitimer(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_itimerval v = {0}, old;
	uint64_t value, interval;
	int ret;

	if (a[1] && mm_copy_in(t->mm, &v, GVA(a[1]), sizeof(v)))
		return -EFAULT;
	if (!timeval_ns(v.value_sec, v.value_usec, &value) ||
	    !timeval_ns(v.interval_sec, v.interval_usec, &interval) || a[0] > ITIMER_PROF)
		return -EINVAL;
	pthread_mutex_lock(&ts->lock);
	itimer_read_locked(&ts->itimer[a[0]], &old);
	ret = guest_timer_set_locked(&ts->itimer[a[0]], value, interval, false);
	pthread_mutex_unlock(&ts->lock);
	if (!ret && a[2])
		ret = mm_copy_out(t->mm, GVA(a[2]), &old, sizeof(old));
	return ret;
}

int64_t sys_alarm(struct task *t, const uint64_t a[6])
{
	struct timer_set *ts = t->process->timers;
	struct guest_itimerval old;
	int ret;

	pthread_mutex_lock(&ts->lock);
	itimer_read_locked(&ts->itimer[ITIMER_REAL], &old);
	ret = guest_timer_set_locked(&ts->itimer[ITIMER_REAL], (uint32_t)a[0] * NSEC_PER_SEC, 0, false);
	pthread_mutex_unlock(&ts->lock);
	if (ret)
		return ret;
	/* To the nearest second, but a pending alarm never reads as none. */
	if (old.value_usec >= 500000 || (!old.value_sec && old.value_usec))
		old.value_sec++;
	return old.value_sec;
}
