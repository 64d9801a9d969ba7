/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's vDSO (vdso(7)): clocks answered at user level from the clock page, and the system call
 * where the page is too old or does not know the clock. Freestanding; runs inside the guest.
 */
#define NR_clock_gettime 113
#define NR_clock_getres 114
#define NR_gettimeofday 169

#include "runtime/loader/vdso/clock.h"

static inline long call2(long nr, const void *a, const void *b)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = (long)a;
	register const void *x1 __asm__("x1") = b;

	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
}

/* The physical counter: unlike the virtual one it has no offset, so the host reads the same. */
static inline uint64_t read_counter(void)
{
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntpct_el0" : "=r"(now)::"memory");
	return now;
}

EXPORT int __kernel_clock_gettime(int id, struct guest_timespec *ts)
{
	return vdso_clock_gettime(id, ts);
}

EXPORT int __kernel_gettimeofday(struct guest_timeval *tv, struct guest_timezone *tz)
{
	return vdso_gettimeofday(tv, tz);
}

EXPORT int __kernel_clock_getres(int id, struct guest_timespec *ts)
{
	return vdso_clock_getres(id, ts);
}

/* Handlers return here. Unwinders know the two instructions; the link script fixes the address. */
__asm__(".pushsection .sigreturn, \"ax\"\n"
	".globl __kernel_rt_sigreturn\n"
	".type __kernel_rt_sigreturn, %function\n"
	"	nop\n" /* unwinders look for the function of the address before the return address */
	"__kernel_rt_sigreturn:\n"
	"	mov x8, #139\n"
	"	svc #0\n"
	".size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn\n"
	".popsection\n");
