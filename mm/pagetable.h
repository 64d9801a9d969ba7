/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page-table descriptors. Each architecture's header gives the same static functions over pte_t;
 * nothing else in mm/ knows a bit of a descriptor. Four levels of 512 entries, 4 KiB pages:
 * level 4 is the root, level 2 may hold 2 MiB blocks, level 1 holds pages.
 *
 * A leaf is in one of three states: none (0); present; *held*: not present for the hardware, but
 * still naming a page the area owns (PROT_NONE).
 *
 * Accessed bit: a leaf is made with it clear, and the hardware (or a shadowing hypervisor, which
 * sets it while it walks) sets it before it caches the translation. So a present leaf whose bit is
 * clear at the atomic exchange that replaces it is in no TLB, and needs no flush. A present leaf is
 * therefore only ever changed by atomic exchange or compare-and-exchange. (x86: Intel SDM volume 3,
 * 4.10.2.3. KVM's shadow paging sets the bit in its walk and does not look ahead through entries that
 * lack it; seen to hold under PVM too.)
 */
#ifndef NACRE_MM_PAGETABLE_H
#define NACRE_MM_PAGETABLE_H

#include "mm/types.h"

typedef uint64_t pte_t;

#define PT_ROOT_LEVEL 4
#define PT_ENTRIES 512u
#define PT_INDEX_BITS 9

/* Permissions of a leaf; a user page that is present can always be read. */
#define PT_WRITE 1u
#define PT_EXEC 2u
#define PT_USER 4u

static inline unsigned pt_index(uint64_t va, int level)
{
	return (unsigned)(va >> (PAGE_SHIFT + PT_INDEX_BITS * (level - 1))) & (PT_ENTRIES - 1);
}

/* Bytes one entry of a table at this level spans. */
static inline uint64_t pt_span(int level)
{
	return PAGE_SIZE << (PT_INDEX_BITS * (level - 1));
}

/* Tests that run no guest may ask for the other architecture's. */
#if defined(NACRE_GUEST_ARM64)
#include "mm/pagetable_arm64.h"
#elif defined(NACRE_GUEST_X86_64) || defined(__x86_64__)
#include "mm/pagetable_x86_64.h"
#elif defined(__aarch64__)
#include "mm/pagetable_arm64.h"
#else
#error "no page-table descriptors for this architecture"
#endif

#endif
