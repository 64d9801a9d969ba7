/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's vDSO (vdso(7)): clocks answered at user level from the clock page, and the system call
 * where the page is too old or does not know the clock. Freestanding; runs inside the guest.
 */
#define NR_gettimeofday 96
#define NR_time 201
#define NR_clock_gettime 228
#define NR_clock_getres 229
#define NR_getcpu 309

#include "runtime/loader/vdso/clock.h"

static inline long call2(long nr, const void *a, const void *b)
{
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return ret;
}

/* The fence keeps the read from being executed before the sequence count was loaded. */
static inline uint64_t read_counter(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
	return (uint64_t)hi << 32 | lo;
}

EXPORT int __vdso_clock_gettime(int id, struct guest_timespec *ts)
{
	return vdso_clock_gettime(id, ts);
}

EXPORT int __vdso_gettimeofday(struct guest_timeval *tv, struct guest_timezone *tz)
{
	return vdso_gettimeofday(tv, tz);
}

EXPORT int64_t __vdso_time(int64_t *out)
{
	uint64_t ns = clock_ns(0);
	int64_t now;

	if (!ns)
		return call2(NR_time, out, 0);
	now = (int64_t)(ns / NS_PER_SEC);
	if (out)
		*out = now;
	return now;
}

EXPORT int __vdso_clock_getres(int id, struct guest_timespec *ts)
{
	return vdso_clock_getres(id, ts);
}

EXPORT long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	(void)unused;
	if (!vvar_page.any_cpu)
		return call2(NR_getcpu, cpu, node);
	if (cpu)
		*cpu = 0;
	if (node)
		*node = 0;
	return 0;
}

EXPORT int clock_gettime(int, struct guest_timespec *)
	__attribute__((weak, alias("__vdso_clock_gettime")));
EXPORT int gettimeofday(struct guest_timeval *, struct guest_timezone *)
	__attribute__((weak, alias("__vdso_gettimeofday")));
EXPORT int64_t time(int64_t *) __attribute__((weak, alias("__vdso_time")));
EXPORT int clock_getres(int, struct guest_timespec *)
	__attribute__((weak, alias("__vdso_clock_getres")));
EXPORT long getcpu(uint32_t *, uint32_t *, void *) __attribute__((weak, alias("__vdso_getcpu")));
