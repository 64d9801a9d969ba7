/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 descriptors (Intel SDM volume 3, 4.5 and 4.10.2.3). NX is assumed to be enabled.
 *
 * G is never set: loading CR3 must drop everything. D is always set in a leaf: nothing here reads it,
 * and a clear D costs a walk (and under shadow paging a trap) at the first store. A held leaf keeps
 * its address inverted, so that speculation through a not-present entry (L1 terminal fault) reaches
 * no memory that exists.
 */
#ifndef NACRE_MM_PAGETABLE_X86_64_H
#define NACRE_MM_PAGETABLE_X86_64_H

#include "mm/pagetable.h"
#include "mm/tlb.h"

#define PT_TLB_RANGE_PAGES TLB_RANGE_PAGES_X86

/* Live entries may be changed in any way, as long as a flush follows. */
#define PT_BREAK_BEFORE_MAKE 0
/* Loading another root drops every translation: there are no PCIDs. */
#define PT_TLB_TAGGED 0
/* A fault drops the cached translation that caused it: more permissions need no flush. */
#define PT_FLUSH_GAINS 0

#define X86_PTE_P	   ((pte_t)1 << 0)
#define X86_PTE_RW	   ((pte_t)1 << 1)
#define X86_PTE_US	   ((pte_t)1 << 2)
#define X86_PTE_A	   ((pte_t)1 << 5)
#define X86_PTE_D	   ((pte_t)1 << 6)
#define X86_PTE_PS	   ((pte_t)1 << 7)
#define X86_PTE_HELD	   ((pte_t)1 << 9) /* software: ignored by hardware */
#define X86_PTE_NX	   ((pte_t)1 << 63)
#define X86_PTE_ADDR	   ((pte_t)0x000ffffffffff000)

static inline pte_t pte_page(gpa_t pa, unsigned perm)
{
	return pa.v | X86_PTE_P | X86_PTE_D | (perm & PT_WRITE ? X86_PTE_RW : 0) |
	       (perm & PT_USER ? X86_PTE_US : 0) | (perm & PT_EXEC ? 0 : X86_PTE_NX);
}

static inline pte_t pte_block(gpa_t pa, unsigned perm)
{
	return pte_page(pa, perm) | X86_PTE_PS;
}

/* A table entry grants everything; the leaves restrict. */
static inline pte_t pte_table(gpa_t pa, bool user)
{
	return pa.v | X86_PTE_P | X86_PTE_RW | X86_PTE_A | (user ? X86_PTE_US : 0);
}

static inline bool pte_present(pte_t e)
{
	return e & X86_PTE_P;
}

static inline bool pte_held(pte_t e)
{
	return (e & (X86_PTE_P | X86_PTE_HELD)) == X86_PTE_HELD;
}

/* Meaningful at level 2 only. */
static inline bool pte_is_block(pte_t e)
{
	return e & X86_PTE_PS;
}

static inline gpa_t pte_pa(pte_t e)
{
	return GPA((pte_held(e) ? ~e : e) & X86_PTE_ADDR);
}

static inline unsigned pte_perm(pte_t e)
{
	return (e & X86_PTE_RW ? PT_WRITE : 0) | (e & X86_PTE_NX ? 0 : PT_EXEC) |
	       (e & X86_PTE_US ? PT_USER : 0);
}

/* May a TLB hold the translation of this present leaf? */
static inline bool pte_maybe_cached(pte_t e)
{
	return e & X86_PTE_A;
}

static inline pte_t pte_set_accessed(pte_t e)
{
	return e | X86_PTE_A;
}

static inline pte_t pte_clear_accessed(pte_t e)
{
	return pte_held(e) ? e : e & ~X86_PTE_A;
}

/* The same page (or block) with other permissions. */
static inline pte_t pte_with_perm(pte_t e, unsigned perm)
{
	return pte_page(pte_pa(e), perm) | (e & (X86_PTE_PS | X86_PTE_A));
}

static inline pte_t pte_hold(pte_t e)
{
	return (~e & X86_PTE_ADDR) | (e & X86_PTE_PS) | X86_PTE_HELD;
}

/* Entry `index` of the table that replaces a block, present or held. */
static inline pte_t pte_split(pte_t block, unsigned index)
{
	gpa_t pa = GPA(pte_pa(block).v + (uint64_t)index * PAGE_SIZE);

	if (pte_held(block))
		return pte_hold(pte_page(pa, 0));
	return pte_page(pa, pte_perm(block)) | (block & X86_PTE_A);
}

/* Instruction fetches see stores by themselves. */
static inline void pt_sync_code(void *host, size_t len)
{
	(void)host;
	(void)len;
}

#endif
