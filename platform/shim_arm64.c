/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the arm64 shim in place: text, doorbell, per-vCPU memory, system registers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

/* System-call numbers the shim can answer (asm-generic/unistd.h). */
enum {
	NR_SCHED_YIELD = 124,
	NR_GETPID = 172,
	NR_GETUID = 174,
	NR_GETEUID = 175,
	NR_GETGID = 176,
	NR_GETEGID = 177,
	NR_GETTID = 178
};
#define ASK_HOST UINT64_MAX

/*
 * SCTLR_EL1: MMU, caches, stack alignment checks; programs may do DC ZVA, cache maintenance by
 * address, read CTR_EL0, WFE. A WFI would block the vCPU: it traps. No pointer authentication, no
 * MTE, no BTI. The rest is RES1 or as the architecture without the feature behaves.
 */
#define SCTLR_BITS                                                                            \
	(1ull << 0 | 1ull << 2 | 1ull << 3 | 1ull << 4 | 1ull << 7 | 1ull << 8 | 1ull << 11 | \
	 1ull << 12 | 1ull << 14 | 1ull << 15 | 1ull << 18 | 1ull << 20 | 1ull << 22 |        \
	 1ull << 23 | 1ull << 26 | 1ull << 28 | 1ull << 29)
#define MAIR_BITS 0xffull	/* index 0: normal memory, write-back, allocating */
#define CPACR_BITS (3ull << 20) /* FP and SIMD; SVE and SME trap */
#define CNTKCTL_BITS 3ull	/* programs read both counters, no timers */

/*
 * TCR_EL1: 47 bits of user address by TTBR0 (MM_TASK_SIZE), 48 of the kernel half by TTBR1; 4 KiB
 * granules, write-back inner-shareable walks; the top byte of user addresses is ignored, as Linux has
 * it.
 */
#define TCR_BITS                                                                               \
	(17ull | 1ull << 8 | 1ull << 10 | 3ull << 12 | 16ull << 16 | 1ull << 24 | 1ull << 26 | \
	 3ull << 28 | 2ull << 30 | 1ull << 37)
#define TCR_IPS_SHIFT 32
#define TCR_AS (1ull << 36)
#define MMFR0_PARANGE 0xfu
#define PARANGE_48 5u

_Static_assert(MM_TASK_SIZE < (uint64_t)1 << 47, "TCR_EL1.T0SZ");

int arch_shim_install(struct platform *p, struct mm_system *sys, char *err, size_t errlen)
{
	size_t text = (size_t)(shim_text_end - shim_text_start);
	size_t cpu_pages = (p->max_vcpus + 1) * (SHIM_CPU_STRIDE / PAGE_SIZE);
	gpa_t text_gpa, cpu_gpa;
	void *host, *cpus;

	int ret = mm_system_alloc_fixed(sys, 1, &text_gpa, &host);
	if (!ret)
		ret = mm_system_alloc_fixed(sys, cpu_pages, &cpu_gpa, &cpus);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_TEXT_VA), text_gpa, 1, false, true);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_DOORBELL_VA), GPA(SHIM_DOORBELL_GPA), 1,
					   true, false);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_CPU_VA), cpu_gpa, cpu_pages, true, false);
	if (!ret) {
		memcpy(host, shim_text_start, text);
		__builtin___clear_cache(host, (char *)host + text);
		p->shim_cpus = cpus;
		ret = flush_boot(p);
	}
	if (ret)
		snprintf(err, errlen, "cannot place the shim in guest memory: %s", strerror(-ret));
	return ret;
}

void arch_vcpu_boot(struct platform *p, struct vcpu *v, struct nacre_boot *boot)
{
	uint64_t va = SHIM_CPU_VA + (uint64_t)v->index * SHIM_CPU_STRIDE;
	uint8_t *host = p->shim_cpus + (size_t)v->index * SHIM_CPU_STRIDE;
	uint64_t empty = mm_system_kernel_root(p->mm).v;
	uint64_t parange = p->caps.arm_mmfr0 & MMFR0_PARANGE;

	v->shim = (struct shim_cpu *)host;
	v->answers = (uint64_t *)(host + SHIM_ANSWERS_OFFSET);
	for (unsigned i = 0; i < SHIM_ANSWERS; i++)
		v->answers[i] = ASK_HOST;
	v->shim->ttbr0 = empty;
	boot->arm64 = (struct nacre_boot_arm64){
		.pc = SHIM_TEXT_VA + SHIM_RESUME,
		.sp = va,
		.sctlr = SCTLR_BITS,
		.tcr = TCR_BITS | (parange < PARANGE_48 ? parange : PARANGE_48) << TCR_IPS_SHIFT |
		       (flush_asid_bits(p) == 16 ? TCR_AS : 0),
		.mair = MAIR_BITS,
		.ttbr0 = empty,
		.ttbr1 = empty,
		.vbar = SHIM_TEXT_VA,
		.cpacr = CPACR_BITS,
		.cntkctl = CNTKCTL_BITS,
	};
}

void arch_load_answers(struct platform *p, struct vcpu *v, const struct cpu_answers *a)
{
	bool inside = !p->no_inside && !a->ask;

	v->answers[NR_GETPID] = inside ? (uint64_t)a->pid : ASK_HOST;
	v->answers[NR_GETTID] = inside ? (uint64_t)a->tid : ASK_HOST;
	v->answers[NR_GETUID] = inside ? a->uid : ASK_HOST;
	v->answers[NR_GETEUID] = inside ? a->euid : ASK_HOST;
	v->answers[NR_GETGID] = inside ? a->gid : ASK_HOST;
	v->answers[NR_GETEGID] = inside ? a->egid : ASK_HOST;
}

void arch_set_yield_answer(struct vcpu *v, bool inside)
{
	__atomic_store_n(&v->answers[NR_SCHED_YIELD], inside ? 0 : ASK_HOST, __ATOMIC_RELAXED);
}
