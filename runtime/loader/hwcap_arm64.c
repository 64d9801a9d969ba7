/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/auxv.h>

#include "runtime/arch/arch.h"
#include "runtime/loader/stack.h"

/*
 * What the host offers, without the features whose state or configuration the guest does not get
 * (asm/hwcap.h): EVTSTRM (2), CPUID (11), SVE (22), PACA and PACG (30, 31).
 */
#define HWCAP_SUPPORTED 0x3fbff7fbull
/* DCPODP (0), FLAGM2, FRINT (7, 8), I8MM to RNG (13 to 16), ECV to RPRES (19 to 21). */
#define HWCAP2_SUPPORTED 0x0039e181ull

uint64_t arch_hwcap(void)
{
	return getauxval(AT_HWCAP) & HWCAP_SUPPORTED;
}

uint64_t arch_hwcap2(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_SUPPORTED;
}

/* The same by name. */
bool arch_hides_cpu_feature(const char *name)
{
	static const char *const hidden[] = {"evtstrm", "cpuid", "paca", "pacg",
					     "bti",	"mte",	 "mte3", "wfxt"};

	if (!strncmp(name, "sve", 3) || !strncmp(name, "sme", 3))
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (!strcmp(name, hidden[i]))
			return true;
	return false;
}
