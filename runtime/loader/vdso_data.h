/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock page ("[vvar]"), one per container: written by the sandbox, read by the vDSO inside the
 * guest. Self-contained: also compiled into the vDSO, which has no C library.
 *
 * A reader takes seq (even), the fields it needs, and seq again; a change or an odd value means
 * retry. time = base + ((counter - counter_base) * mult >> VDSO_SHIFT), valid while counter -
 * counter_base <= counter_span; past that the reader makes the system call, which renews the page.
 */
#ifndef NACRE_RUNTIME_LOADER_VDSO_DATA_H
#define NACRE_RUNTIME_LOADER_VDSO_DATA_H

#include <stdint.h>

#define VDSO_SHIFT     32
#define VDSO_COARSE_NS 4000000u /* resolution of the *_COARSE clocks, as CONFIG_HZ=250 */

enum vdso_clock_id {
	VDSO_REALTIME,
	VDSO_MONOTONIC,
	VDSO_RAW,
	VDSO_BOOTTIME,
	VDSO_TAI,
	VDSO_CLOCKS
};

struct vdso_clock {
	uint64_t base_ns; /* the clock's value at counter_base */
	uint64_t mult;	  /* nanoseconds per counter tick, 32.32 fixed point */
};

struct vdso_data {
	uint32_t seq;
	uint32_t usable; /* 0: the counter cannot be used, always make the call */
	uint64_t counter_base, counter_span;
	struct vdso_clock clock[VDSO_CLOCKS];
	/*
	 * Non-zero: no task has restricted its affinity, so that CPU 0 of node 0 is a true answer to
	 * getcpu(2), which promises no more than a CPU the caller may have run on. Zero: make the call.
	 */
	uint32_t any_cpu;
};

/* Map a CLOCK_* number: the index into clock[], or -1; *coarse says that the value is rounded. */
static inline int vdso_clock_index(int id, int *coarse)
{
	*coarse = id == 5 || id == 6;
	switch (id) {
	case 0: /* CLOCK_REALTIME */
	case 5: /* CLOCK_REALTIME_COARSE */
		return VDSO_REALTIME;
	case 1: /* CLOCK_MONOTONIC */
	case 6: /* CLOCK_MONOTONIC_COARSE */
		return VDSO_MONOTONIC;
	case 4: /* CLOCK_MONOTONIC_RAW */
		return VDSO_RAW;
	case 7: /* CLOCK_BOOTTIME */
		return VDSO_BOOTTIME;
	case 11: /* CLOCK_TAI */
		return VDSO_TAI;
	default:
		return -1;
	}
}

static inline uint64_t vdso_scale(uint64_t ticks, uint64_t mult)
{
	return (uint64_t)(((unsigned __int128)ticks * mult) >> VDSO_SHIFT);
}

#endif
