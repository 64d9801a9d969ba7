/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: host timers on one lazily started thread, the guest's interval and POSIX timers, CPU clocks.
 *
 * Lock order: an object's own lock (timer set, timerfd) -> timer queue lock. Callbacks run on the
 * timer thread with no lock held, may take their object's lock, and may re-arm themselves.
 */
#ifndef NACRE_RUNTIME_TASK_TIMER_H
#define NACRE_RUNTIME_TASK_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct task;
struct process;
struct kernel;

#define NSEC_PER_SEC 1000000000ull

/* ---- host timers (timer_queue.c) ---- */

struct ktimer {
	void (*fn)(struct ktimer *kt);
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	size_t slot;	      /* heap index + 1, 0: not armed */
	bool cancelling; /* ktimer_cancel() waits for the callback: arming does nothing */
};
void ktimer_init(struct ktimer *kt, void (*fn)(struct ktimer *kt));
/* (Re-)arm. 0 or -ENOMEM / -EAGAIN when the thread or heap cannot grow. */
int ktimer_arm(struct ktimer *kt, uint64_t deadline_ns);
/* Disarm; a callback that is running may still finish. */
void ktimer_disarm(struct ktimer *kt);
/*
 * Disarm and wait for a running callback; kt may be freed afterwards. No lock the callback takes may
 * be held. The callback does not re-arm once its object says so.
 */
void ktimer_cancel(struct ktimer *kt);
/* Stop the timer thread; every timer is disarmed by now. */
void ktimer_shutdown(void);

/* ---- conversions ---- */

bool timespec_valid(const struct timespec *ts);
uint64_t timespec_to_ns(const struct timespec *ts); /* saturates */
struct timespec ns_to_timespec(uint64_t ns);
/* now + delta without wrapping into DEADLINE_NONE. */
uint64_t deadline_after(uint64_t now, uint64_t delta);
/* An absolute time of CLOCK_REALTIME, MONOTONIC, BOOTTIME, TAI ... as CLOCK_MONOTONIC, by now's offset. */
uint64_t deadline_of_clock(int clock, uint64_t abs_ns);

/* ---- clocks ---- */

/*
 * Any guest clock id: the vDSO's clocks, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID and the
 * dynamic CPU clock ids of clock_getcpuclockid(3) and pthread_getcpuclockid(3) (guest pids and tids).
 * 0 or -EINVAL.
 */
int guest_clock_get(struct task *t, int clock, struct timespec *out);

/* ---- the guest's timers ---- */

struct timer_set;
struct timer_set *timer_set_create(struct process *p); /* fork, new process: none armed */
/* execve: POSIX timers go, interval timers stay (execve(2)). */
void timer_set_exec(struct timer_set *ts);
/* The process's last thread is ending; waits for callbacks. No locks held. */
void timer_set_destroy(struct timer_set *ts);
/* RLIMIT_CPU of p was set (setrlimit(2)); watch it. No locks held. */
void timer_set_cpu_limit(struct process *p);
/* A SIGEV_SIGNAL timer's signal was taken from the queue: re-arms, fixes up si_overrun. */
void timer_signal_taken(struct process *p, void *siginfo);

#endif
