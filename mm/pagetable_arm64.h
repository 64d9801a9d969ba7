/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64 stage-1 descriptors, VMSAv8-64, 4 KiB granule (Arm ARM, D8.3). User tables are walked from
 * TTBR0 with 47 bits of address, the kernel half's own root from TTBR1.
 *
 * AF is always set: hardware that manages it (FEAT_HAFDBS) cannot be relied upon, and a clear AF
 * would cost a fault for every page. So any present leaf may be cached. User leaves are nG, tagged
 * with their address space's ASID; the kernel half is global.
 */
#ifndef NACRE_MM_PAGETABLE_ARM64_H
#define NACRE_MM_PAGETABLE_ARM64_H

#include "mm/pagetable.h"
#include "mm/tlb.h"

#define PT_TLB_RANGE_PAGES TLB_RANGE_PAGES_ARM64

/*
 * A live entry's output address or kind may only change through an invalid entry and an executed
 * flush (Arm ARM, D8.14.1).
 */
#define PT_BREAK_BEFORE_MAKE 1
/* Translations carry an ASID and outlive the loading of another root. */
#define PT_TLB_TAGGED 1
/*
 * A cached translation without the permission goes on faulting after the table grants it: the fault
 * does not drop it.
 */
#define PT_FLUSH_GAINS 1

#define ARM_PTE_VALID ((pte_t)1 << 0)
#define ARM_PTE_TABLE ((pte_t)1 << 1)	    /* level 2: a table; level 1 (a page): always set */
#define ARM_PTE_ATTR_NORMAL ((pte_t)0 << 2) /* MAIR_EL1 index 0: write-back memory */
#define ARM_PTE_USER ((pte_t)1 << 6)	    /* AP[1] */
#define ARM_PTE_RDONLY ((pte_t)1 << 7)	    /* AP[2] */
#define ARM_PTE_INNER ((pte_t)3 << 8)	    /* inner shareable */
#define ARM_PTE_AF ((pte_t)1 << 10)
#define ARM_PTE_NG ((pte_t)1 << 11)
#define ARM_PTE_PXN ((pte_t)1 << 53)
#define ARM_PTE_UXN ((pte_t)1 << 54)
#define ARM_PTE_HELD ((pte_t)1 << 55) /* software; without VALID, hardware reads nothing */
#define ARM_PTE_ADDR ((pte_t)0x0000fffffffff000)

/* User code never runs at EL1, nor the shim at EL0. */
static inline pte_t pte_page(gpa_t pa, unsigned perm)
{
	pte_t e = pa.v | ARM_PTE_VALID | ARM_PTE_TABLE | ARM_PTE_ATTR_NORMAL | ARM_PTE_INNER |
		  ARM_PTE_AF | (perm & PT_WRITE ? 0 : ARM_PTE_RDONLY);

	if (perm & PT_USER)
		return e | ARM_PTE_USER | ARM_PTE_NG | ARM_PTE_PXN |
		       (perm & PT_EXEC ? 0 : ARM_PTE_UXN);
	return e | ARM_PTE_UXN | (perm & PT_EXEC ? 0 : ARM_PTE_PXN);
}

static inline pte_t pte_block(gpa_t pa, unsigned perm)
{
	return pte_page(pa, perm) & ~ARM_PTE_TABLE;
}

/* A table entry grants everything; the leaves restrict. */
static inline pte_t pte_table(gpa_t pa, bool user)
{
	(void)user;
	return pa.v | ARM_PTE_VALID | ARM_PTE_TABLE;
}

static inline bool pte_present(pte_t e)
{
	return e & ARM_PTE_VALID;
}

static inline bool pte_held(pte_t e)
{
	return (e & (ARM_PTE_VALID | ARM_PTE_HELD)) == ARM_PTE_HELD;
}

/* Meaningful at level 2 only. */
static inline bool pte_is_block(pte_t e)
{
	return e & (ARM_PTE_VALID | ARM_PTE_HELD) && !(e & ARM_PTE_TABLE);
}

static inline gpa_t pte_pa(pte_t e)
{
	return GPA(e & ARM_PTE_ADDR);
}

static inline unsigned pte_perm(pte_t e)
{
	pte_t never = e & ARM_PTE_USER ? ARM_PTE_UXN : ARM_PTE_PXN;

	return (e & ARM_PTE_RDONLY ? 0 : PT_WRITE) | (e & never ? 0 : PT_EXEC) |
	       (e & ARM_PTE_USER ? PT_USER : 0);
}

/* May a TLB hold the translation of this present leaf? */
static inline bool pte_maybe_cached(pte_t e)
{
	return e & ARM_PTE_AF;
}

static inline pte_t pte_set_accessed(pte_t e)
{
	return e | ARM_PTE_AF;
}

static inline pte_t pte_clear_accessed(pte_t e)
{
	return e;
}

/* The same page (or block) with other permissions. */
static inline pte_t pte_with_perm(pte_t e, unsigned perm)
{
	pte_t kind = e & ARM_PTE_TABLE;

	return (pte_page(pte_pa(e), perm) & ~ARM_PTE_TABLE) | kind;
}

static inline pte_t pte_hold(pte_t e)
{
	return (e & (ARM_PTE_ADDR | ARM_PTE_TABLE)) | ARM_PTE_HELD;
}

/* Entry `index` of the table that replaces a block, present or held. */
static inline pte_t pte_split(pte_t block, unsigned index)
{
	gpa_t pa = GPA(pte_pa(block).v + (uint64_t)index * PAGE_SIZE);

	if (pte_held(block))
		return pte_hold(pte_page(pa, 0));
	return pte_page(pa, pte_perm(block));
}

/*
 * Code was written to this host page: instruction fetches must find it (Arm ARM, B2.4.4). By host
 * address, which reaches the same physical lines.
 */
static inline void pt_sync_code(void *host, size_t len)
{
	__builtin___clear_cache((char *)host, (char *)host + len);
}

#endif
