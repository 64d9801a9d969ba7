/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which flushes may stay on the vCPU that executes them.
 *
 * A local instruction empties the TLB of the physical CPU it runs on, and of no other. It is enough
 * only if
 *   - no other vCPU can hold translations of the address space: one that has never run it, or has
 *     dropped what it had (x86-64: by loading another root), cannot; and
 *   - the vCPU cannot meet again what it left behind on a physical CPU it ran on earlier. A hypervisor
 *     sees to that by turning local maintenance into broadcasts (arm64's HCR_EL2.FB) or by flushing
 *     when a vCPU moves; and a vCPU that never leaves its CPU has left nothing behind: when it
 *     always runs on one host thread, and that thread on one CPU.
 * Everything else must reach every CPU.
 *
 *	other vCPUs | forced broadcast | flush on migration | pinned and sticky | scope
 *	some        | any              | any                | any               | inner-shareable
 *	none        | yes              | any                | any               | local
 *	none        | any              | yes                | any               | local
 *	none        | any              | any                | yes               | local
 *	none        | no               | no                 | no                | inner-shareable
 *
 * Inner-shareable means: on arm64 the ...IS instructions; on x86-64, which has none, a kick of every
 * vCPU concerned. Those kicks cannot reach what a vCPU left behind on another CPU, so on x86-64 a
 * backend without any of the guarantees is refused (platform_boot()).
 *
 * What the plugins say, and why (nacre-backend.h):
 *   - KVM on arm64 forces broadcasts: HCR_GUEST_FLAGS has HCR_FB and HCR_BSU_IS (Linux,
 *     arch/arm64/include/asm/kvm_arm.h). It does not flush when a vCPU moves: kvm_arch_vcpu_load() does
 *     so only where another vCPU of the same VM ran on that CPU in between.
 *   - KVM on x86-64 flushes: a vCPU that is loaded on another CPU than last has its translations
 *     flushed (VMX, vmx_vcpu_load_vmcs()) or gets a new ASID (SVM, pre_svm_run()).
 *   - Hypervisor.framework documents neither; a plugin for it states none.
 */
#ifndef NACRE_MM_SCOPE_H
#define NACRE_MM_SCOPE_H

#include <stdbool.h>

enum tlb_scope { TLB_LOCAL, TLB_INNER_SHAREABLE };

struct tlb_reach {
	unsigned others; /* vCPUs but the one that flushes that may hold the translations */
	bool forced_broadcast, flush_on_migration; /* the backend's guarantees */
	bool pinned; /* host threads that run vCPUs never change their physical CPU */
	bool sticky; /* a vCPU never changes its host thread */
};

static inline enum tlb_scope tlb_scope(const struct tlb_reach *r)
{
	bool leaves_nothing =
		r->forced_broadcast || r->flush_on_migration || (r->pinned && r->sticky);

	return r->others || !leaves_nothing ? TLB_INNER_SHAREABLE : TLB_LOCAL;
}

#endif
