/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>

#include "runtime/loader/stack.h"

/* AT_HWCAP on x86 is the EDX word of CPUID leaf 1, which guest user code reads natively as well. */
uint64_t arch_hwcap(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

/*
 * Bit 1 would promise RDFSBASE and friends at user level, which depends on CR4.FSGSBASE inside the
 * guest: not promised, programs use arch_prctl(2).
 */
uint64_t arch_hwcap2(void)
{
	return 0;
}
