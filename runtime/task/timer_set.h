/* SPDX-License-Identifier: Apache-2.0 */
/* The timers of one process, and CPU clocks; shared by the timer files only. */
#ifndef NACRE_RUNTIME_TASK_TIMER_SET_H
#define NACRE_RUNTIME_TASK_TIMER_SET_H

#include <pthread.h>

#include "runtime/task/task.h"
#include "runtime/task/timer.h"

/* ---- CPU clocks (guest_clock.c) ---- */

enum cpu_clock_kind { CPU_CLOCK_TOTAL, CPU_CLOCK_USER };

struct cpu_clock_ref {
	enum cpu_clock_kind kind;
	pid_t id, pid; /* the process; 0: the caller's */
	pid_t tid;     /* not 0: one thread of it */
};
/* False: not a CPU clock id. */
bool cpu_clock_decode(struct task *t, int clock, struct cpu_clock_ref *out);
/* 0, or -EINVAL when the thread is gone. Takes sig_lock only. */
int cpu_clock_read(struct process *p, const struct cpu_clock_ref *c, uint64_t *ns);
/*
 * A CPU clock cannot call us: how long to sleep until `left` ns of CPU time can have been used at
 * the earliest, when every host CPU works for the process.
 */
uint64_t cpu_clock_wait(uint64_t left);

/* ---- the set ---- */

/* Expiry on a clock: interval and POSIX timers alike. Protected by timer_set.lock. */
struct guest_timer {
	struct ktimer kt;
	struct timer_set *set;
	bool armed;
	int clock;		     /* CLOCK_*; ignored with cpu */
	bool cpu;
	struct cpu_clock_ref cpu_ref;
	uint64_t next_ns;	     /* on its clock */
	uint64_t interval_ns;	     /* 0: once */
	uint64_t last_cpu_ns;	     /* at the last poll */
	unsigned idle_polls;	     /* polls that saw no progress */

	int signo, notify;	     /* notify: SIGEV_*; interval timers send plain kernel signals */
	bool posix;
	int id;
	pid_t tid;		     /* SIGEV_THREAD_ID */
	uint64_t value;		     /* sigev_value */
	int overrun_last;	     /* of the signal last delivered */
};

struct timer_set {
	struct process *process;
	pthread_mutex_t lock;
	struct guest_timer itimer[3]; /* ITIMER_REAL, _VIRTUAL, _PROF */
	struct guest_timer cpu_limit; /* RLIMIT_CPU; next_ns: when it says something next */
	struct guest_timer **posix;   /* by id; NULL: free */
	size_t nposix, nused;
};

void guest_timer_init(struct guest_timer *gt, struct timer_set *set);
/* Now on the timer's clock. */
uint64_t guest_timer_now(const struct guest_timer *gt);
/* lock held. value 0 disarms; relative values count from now. 0 or -errno. */
int guest_timer_set_locked(struct guest_timer *gt, uint64_t value, uint64_t interval, bool absolute);
/* lock held: time left, at least 1 ns while armed, 0 when not. */
uint64_t guest_timer_left_locked(const struct guest_timer *gt);
/* POSIX timers go. No lock held. */
void posix_timers_clear(struct timer_set *ts);

#endif
