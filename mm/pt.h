/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking and building page tables. The address space's lock is held. Non-leaf entries, once made,
 * stay until the address space dies (an emptied table is kept), so that nothing but leaves needs
 * flushing; the exception is a 2 MiB block that becomes a table (pt_split), which its caller's flush
 * covers.
 */
#ifndef NACRE_MM_PT_H
#define NACRE_MM_PT_H

#include "mm/internal.h"

static inline pte_t pt_read(const pte_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* Replace an entry that may be live; returns what it was, with the accessed bit as of that instant. */
static inline pte_t pt_swap(pte_t *slot, pte_t entry)
{
	return __atomic_exchange_n(slot, entry, __ATOMIC_ACQ_REL);
}

/* The level-2 entry for va, or NULL: then *span (if given) is how much the missing table covers. */
pte_t *pt_level2(struct mm *mm, uint64_t va, uint64_t *span);
/* The same, building what is missing; NULL: no page for a table. */
pte_t *pt_level2_make(struct mm *mm, uint64_t va);
/* The level-1 table behind a level-2 entry, or NULL if it is empty or a block. */
pte_t *pt_table_of(struct mm *mm, const pte_t *level2);
/* The level-1 entry for va; NULL if there is no table or a block stands there. */
pte_t *pt_slot(struct mm *mm, uint64_t va);
/* The same, building what is missing. The caller has dealt with blocks. */
pte_t *pt_slot_make(struct mm *mm, uint64_t va);
/* The leaf that translates va, of either size (0: none). */
pte_t pt_leaf(struct mm *mm, uint64_t va, gpa_t *pa);

/*
 * Turn the block that translates va into a table of the same pages. No flush: see above, except where a live entry may only
 * be broken before another is made. 0 or -ENOMEM.
 */
int pt_split(struct mm *mm, pte_t *level2, uint64_t va);
/* Split the blocks that `start` and `end` cut. */
int pt_split_edges(struct mm *mm, uint64_t start, uint64_t end);

/* Supervisor mapping below an arbitrary root table: for the kernel half. */
int pt_map_kernel(struct mm_system *sys, uint32_t root, uint64_t va, gpa_t pa, unsigned perm);

/* Free every page-table page of the user half and the root itself. */
void pt_destroy(struct mm_system *sys, uint32_t root);

/* The next 2 MiB boundary above va, or end. */
static inline uint64_t pt_next(uint64_t va, uint64_t end, uint64_t span)
{
	uint64_t next = (va & ~(span - 1)) + span;

	return next < end && next > va ? next : end;
}

#endif
