/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO's clocks, for every architecture: included by its vdso.c, which defines read_counter(),
 * call2() and the numbers NR_*, and exports the functions under its own names. Freestanding; runs
 * inside the guest.
 */
#ifndef NACRE_RUNTIME_LOADER_VDSO_CLOCK_H
#define NACRE_RUNTIME_LOADER_VDSO_CLOCK_H

#include "runtime/loader/vdso_data.h"

#define NS_PER_SEC 1000000000ull

#define EXPORT __attribute__((visibility("default")))

struct guest_timespec {
	int64_t tv_sec, tv_nsec;
};
struct guest_timeval {
	int64_t tv_sec, tv_usec;
};
struct guest_timezone {
	int32_t minutes_west, dst_time;
};

extern const volatile struct vdso_data vvar_page __attribute__((visibility("hidden")));

/* The counter, not read before the sequence count was loaded. */
static inline uint64_t read_counter(void);

/* A system call of two arguments; what it returns, -errno included. */
static inline long call2(long nr, const void *a, const void *b);

/* Nanoseconds of the clock, or 0: not known here. */
static uint64_t clock_ns(int id)
{
	int coarse, index = vdso_clock_index(id, &coarse);
	uint64_t ns, ticks, counter;
	uint32_t seq;

	if (index < 0)
		return 0;
	do {
		seq = __atomic_load_n(&vvar_page.seq, __ATOMIC_ACQUIRE);
		if (seq & 1) {
			/* Written by a host thread that may not be running: spinning is no use. */
			return 0;
		}
		if (!vvar_page.usable)
			return 0;
		counter = read_counter();
		ticks = counter - vvar_page.counter_base;
		/* A counter a few ticks behind another core's: no time has passed. */
		if ((int64_t)ticks < 0)
			ticks = 0;
		if (ticks > vvar_page.counter_span)
			return 0;
		ns = vvar_page.clock[index].base_ns +
		     vdso_scale(ticks, vvar_page.clock[index].mult);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&vvar_page.seq, __ATOMIC_RELAXED) != seq);
	return coarse ? ns - ns % VDSO_COARSE_NS : ns;
}

/* clock_gettime(2), gettimeofday(2), clock_getres(2); 0 or -errno. */
static int vdso_clock_gettime(int id, struct guest_timespec *ts)
{
	uint64_t ns = clock_ns(id);

	if (!ns)
		return (int)call2(NR_clock_gettime, (const void *)(long)id, ts);
	ts->tv_sec = (int64_t)(ns / NS_PER_SEC);
	ts->tv_nsec = (int64_t)(ns % NS_PER_SEC);
	return 0;
}

static int vdso_gettimeofday(struct guest_timeval *tv, struct guest_timezone *tz)
{
	uint64_t ns = clock_ns(0);

	if (!ns)
		return (int)call2(NR_gettimeofday, tv, tz);
	if (tv) {
		tv->tv_sec = (int64_t)(ns / NS_PER_SEC);
		tv->tv_usec = (int64_t)(ns % NS_PER_SEC / 1000);
	}
	if (tz)
		tz->minutes_west = tz->dst_time = 0;
	return 0;
}

static int vdso_clock_getres(int id, struct guest_timespec *ts)
{
	int coarse;

	if (vdso_clock_index(id, &coarse) < 0)
		return (int)call2(NR_clock_getres, (const void *)(long)id, ts);
	if (ts) {
		ts->tv_sec = 0;
		ts->tv_nsec = coarse ? VDSO_COARSE_NS : 1;
	}
	return 0;
}

#endif
