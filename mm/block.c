/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 2 MiB blocks for large private anonymous areas. Each of a block's 512 frames keeps its own reference
 * count, so that splitting a block needs nothing but a table.
 *
 * Only with nested paging: a shadowing hypervisor keeps 4 KiB translations of its own behind a block
 * (so nothing is gained), and takes a level-2 entry that changes from block to table for the same
 * table it knew.
 */
#include "mm/fault.h"

/* Would 512 frames more still leave enough? */
static bool block_affordable(struct mm_system *sys)
{
	uint32_t used = atomic_load_explicit(&sys->frames.used, memory_order_relaxed);

	return used + PT_ENTRIES < sys->frames.nframes / 4 * 3;
}

bool block_populate(struct edit *e, const struct area *a, uint64_t va)
{
	struct mm *mm = e->mm;
	uint64_t start = va & ~(BLOCK_SIZE - 1);
	pte_t *level2;
	uint32_t first;

	if (mm->sys->shadow || a->flags & AREA_NOHUGE || a->end - a->start < MM_BLOCK_AREA)
		return false;
	if (start < a->start || start + BLOCK_SIZE > a->end || !block_affordable(mm->sys))
		return false;
	level2 = pt_level2_make(mm, va);
	if (!level2 || pt_read(level2) || !frame_alloc_block(mm->sys, &first))
		return false;
	edit_fill_block(e, level2, start, pte_block(frame_gpa(mm->sys, first), area_perm(a)));
	count(&mm->sys->n.faults_around, PT_ENTRIES);
	return true;
}

int block_write_fault(struct edit *e, const struct area *a, uint64_t va)
{
	struct mm *mm = e->mm;
	pte_t *level2 = pt_level2(mm, va, NULL);
	uint32_t first = gpa_frame(mm->sys, pte_pa(pt_read(level2)));

	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (!cow_exclusive(mm->sys, first + i))
			return pt_split(mm, level2, va);
	edit_perm_block(e, level2, va & ~(BLOCK_SIZE - 1), area_perm(a), false);
	return 0;
}
