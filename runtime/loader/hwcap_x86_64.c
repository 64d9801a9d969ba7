/* SPDX-License-Identifier: Apache-2.0 */
#include <cpuid.h>
#include <string.h>
#include <stdatomic.h>

#include "runtime/arch/arch.h"
#include "runtime/loader/stack.h"

/*
 * AT_HWCAP on x86 is the EDX word of CPUID leaf 1, which guest user code reads natively as well. Asked
 * for once: where this process itself runs in a virtual machine, CPUID exits from that.
 */
uint64_t arch_hwcap(void)
{
	static atomic_uint seen; /* never 0 once known: every x86-64 processor has an FPU */
	unsigned a, b, c, d = atomic_load_explicit(&seen, memory_order_relaxed);

	if (!d && __get_cpuid(1, &a, &b, &c, &d))
		atomic_store_explicit(&seen, d, memory_order_relaxed);
	return d;
}

/*
 * Bit 1 would promise RDFSBASE and friends at user level, which depends on CR4.FSGSBASE inside the
 * guest: not promised, programs use arch_prctl(2).
 */
uint64_t arch_hwcap2(void)
{
	return 0;
}

/* There is no /dev/kvm in a container. */
bool arch_hides_cpu_feature(const char *name)
{
	return !strcmp(name, "vmx") || !strcmp(name, "svm") || !strcmp(name, "hypervisor");
}
