/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect(2). */
#include <errno.h>

#include "mm/fault.h"
#include "mm/map.h"

#define PROT_BITS    (PROT_READ | PROT_WRITE | PROT_EXEC)
#define PROT_SEM_BIT 0x8 /* PROT_SEM: accepted and without effect */

/*
 * What a page may be given: a private page is writable only when nobody else has it; the others are
 * copied at the first store.
 */
static unsigned page_perm(struct mm *mm, const struct area *a, pte_t leaf, unsigned pages)
{
	uint32_t frame = gpa_frame(mm->sys, pte_pa(leaf));
	unsigned perm = area_perm(a);

	if (!(perm & PT_WRITE))
		return perm;
	if (a->flags & AREA_SHARED)
		return a->backing && !a->win->writable ? perm & ~PT_WRITE : perm;
	if (frame == FRAME_NONE)
		return perm & ~PT_WRITE;
	for (unsigned i = 0; i < pages; i++)
		if (!cow_exclusive(mm->sys, frame + i))
			return perm & ~PT_WRITE;
	return perm;
}

static void protect_pages(struct edit *e, const struct area *a, uint64_t start, uint64_t end)
{
	struct mm *mm = e->mm;
	uint64_t next;
	bool hold = !a->prot;

	for (uint64_t va = start; va < end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(mm, va, &span), *table, leaf;

		next = pt_next(va, end, span);
		leaf = level2 ? pt_read(level2) : 0;
		if (!leaf)
			continue;
		table = pt_table_of(mm, level2);
		if (!table) {
			edit_perm_block(e, level2, va, page_perm(mm, a, leaf, PT_ENTRIES), hold);
			continue;
		}
		for (uint64_t p = va; p < next; p += PAGE_SIZE) {
			pte_t *slot = &table[pt_index(p, 1)];

			leaf = pt_read(slot);
			if (leaf)
				edit_perm(e, slot, p, page_perm(mm, a, leaf, 1), hold);
		}
	}
}

static int check_area(const struct mm *mm, const struct area *a, uint64_t pages, unsigned prot)
{
	if (a->backing && prot & PROT_EXEC && !a->backing->executable)
		return -EACCES;
	if (!(prot & PROT_WRITE) || a->prot & PROT_WRITE)
		return 0;
	if (a->flags & AREA_SHARED)
		return a->backing && !a->win->writable ? -EACCES : 0;
	return map_within_limits(mm, pages, prot, a->flags, pages) ? 0 : -ENOMEM;
}

/*
 * One area's part of the range. A private anonymous area that becomes writable is populated as a
 * new one would be: allocators reserve with PROT_NONE and open up piece by piece.
 */
static int protect_area(struct edit *e, uint64_t start, uint64_t end, unsigned prot)
{
	struct mm *mm = e->mm;
	struct area *a = area_find(mm, start);
	int ret = check_area(mm, a, (end - start) >> PAGE_SHIFT, prot);
	struct area now;
	bool opened;

	if (ret || a->prot == prot)
		return ret;
	ret = area_reserve(mm, 2);
	if (!ret)
		ret = pt_split_edges(mm, start, end);
	if (ret)
		return ret;
	area_split(mm, start);
	area_split(mm, end);
	a = area_find(mm, start);
	opened = !(a->prot & PROT_WRITE) && prot & PROT_WRITE && area_anon_private(a);
	area_account(mm, a, -1);
	a->prot = prot;
	area_account(mm, a, 1);
	now = *a;
	protect_pages(e, &now, start, end);
	if (opened && end - start <= MM_POPULATE_ANON * PAGE_SIZE && frame_plenty(mm->sys))
		fault_populate(e, start, end);
	return 0;
}

static int protect_range(struct edit *e, uint64_t start, uint64_t end, unsigned prot)
{
	struct mm *mm = e->mm;
	uint64_t va = start;
	int ret = 0;

	while (va < end && !ret) {
		struct area *a = area_find(mm, va);
		uint64_t to;

		if (!a)
			return -ENOMEM;
		to = a->end < end ? a->end : end;
		ret = protect_area(e, va, to, prot);
		va = to;
	}
	return ret;
}

int mm_protect(struct mm *mm, gva_t addr, uint64_t len, unsigned prot)
{
	unsigned grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	uint64_t start = addr.v, end;
	struct edit e;
	int ret = 0;

	prot &= ~(unsigned)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || start & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	end = start + page_up(len);
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(unsigned)(PROT_BITS | PROT_SEM_BIT))
		return -EINVAL;
	prot &= PROT_BITS;
	edit_begin(&e, mm);
	if (grows) {
		unsigned i = area_index(mm, start);
		struct area *a = i < mm->areas.n ? &mm->areas.v[i] : NULL;

		if (!a || a->start >= end)
			ret = -ENOMEM;
		else if (grows == PROT_GROWSUP || !(a->flags & AREA_GROWSDOWN))
			ret = -EINVAL;
		else
			start = a->start;
	}
	if (!ret)
		ret = protect_range(&e, start, end, prot);
	area_merge(mm, start, end);
	edit_end(&e);
	return ret;
}
