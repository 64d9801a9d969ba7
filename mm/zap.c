/* SPDX-License-Identifier: Apache-2.0 */
/* Removing pages and areas of a range. */
#include <errno.h>

#include "mm/edit.h"

static void zap_table(struct edit *e, pte_t *table, uint64_t start, uint64_t end)
{
	for (uint64_t va = start; va < end; va += PAGE_SIZE) {
		pte_t *slot = &table[pt_index(va, 1)];

		if (pt_read(slot))
			edit_clear(e, slot, va);
	}
}

void edit_zap(struct edit *e, uint64_t start, uint64_t end)
{
	uint64_t next;

	for (uint64_t va = start; va < end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(e->mm, va, &span), *table;

		next = pt_next(va, end, span);
		if (!level2 || !pt_read(level2))
			continue;
		table = pt_table_of(e->mm, level2);
		if (table)
			zap_table(e, table, va, next);
		else
			edit_clear_block(e, level2, va);
	}
}

int edit_unmap_areas(struct edit *e, uint64_t start, uint64_t end, unsigned extra)
{
	struct mm *mm = e->mm;
	unsigned i = area_index(mm, start), n = 0;
	int ret;

	while (i + n < mm->areas.n && mm->areas.v[i + n].start < end)
		n++;
	if (!n)
		return extra ? area_reserve(mm, extra) : 0;
	ret = area_reserve(mm, extra + 2);
	if (!ret)
		ret = edit_reserve_dead(e, n);
	if (!ret)
		ret = pt_split_edges(mm, start, end);
	if (ret)
		return ret;
	area_split(mm, start);
	area_split(mm, end);
	i = area_index(mm, start);
	for (; n && i < mm->areas.n && mm->areas.v[i].start < end; n--)
		edit_kill_area(e, i);
	return 0;
}

int edit_unmap(struct edit *e, uint64_t start, uint64_t end, unsigned extra)
{
	int ret = edit_unmap_areas(e, start, end, extra);

	if (!ret)
		edit_zap(e, start, end);
	return ret;
}
