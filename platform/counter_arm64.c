/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/platform.h"

/*
 * The guest's vDSO reads the physical counter, which has no offset; on a host's user level the
 * virtual one has none either.
 */
uint64_t cpu_counter(void)
{
	uint64_t now;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now)::"memory");
	return now;
}
