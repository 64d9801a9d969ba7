/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/pt.h"

#include <errno.h>

#include "mm/tlb.h"

#define USER_ROOT_ENTRIES 256u /* the lower half */

static pte_t *table_at(struct mm_system *sys, pte_t entry)
{
	return (pte_t *)gpa_host(sys, pte_pa(entry));
}

static pte_t *root_of(struct mm_system *sys, uint32_t root)
{
	return (pte_t *)frame_host(sys, root);
}

/* Vacant entries are filled with a release store: hardware walks without a lock. */
static void publish(pte_t *slot, pte_t entry)
{
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
}

pte_t *pt_level2(struct mm *mm, uint64_t va, uint64_t *span)
{
	pte_t *table;

	if (mm->root == FRAME_NONE) {
		if (span)
			*span = pt_span(PT_ROOT_LEVEL);
		return NULL;
	}
	table = root_of(mm->sys, mm->root);
	for (int level = PT_ROOT_LEVEL; level > 2; level--) {
		pte_t entry = table[pt_index(va, level)];

		if (!pte_present(entry)) {
			if (span)
				*span = pt_span(level);
			return NULL;
		}
		table = table_at(mm->sys, entry);
	}
	return &table[pt_index(va, 2)];
}

static pte_t *make_below(struct mm_system *sys, uint32_t root, uint64_t va, int down_to, bool user)
{
	pte_t *table = root_of(sys, root);

	for (int level = PT_ROOT_LEVEL; level > down_to; level--) {
		pte_t *slot = &table[pt_index(va, level)];

		if (!*slot) {
			uint32_t page = table_alloc(sys);

			if (page == FRAME_NONE)
				return NULL;
			publish(slot, pte_table(frame_gpa(sys, page), user));
		} else if (level == 2 && pte_is_block(*slot)) {
			return NULL;
		}
		table = table_at(sys, *slot);
	}
	return &table[pt_index(va, down_to)];
}

pte_t *pt_level2_make(struct mm *mm, uint64_t va)
{
	return mm->root == FRAME_NONE ? NULL : make_below(mm->sys, mm->root, va, 2, true);
}

pte_t *pt_table_of(struct mm *mm, const pte_t *level2)
{
	pte_t entry = pt_read(level2);

	return pte_present(entry) && !pte_is_block(entry) ? table_at(mm->sys, entry) : NULL;
}

pte_t *pt_slot(struct mm *mm, uint64_t va)
{
	pte_t *level2 = pt_level2(mm, va, NULL);
	pte_t *table = level2 ? pt_table_of(mm, level2) : NULL;

	return table ? &table[pt_index(va, 1)] : NULL;
}

pte_t *pt_slot_make(struct mm *mm, uint64_t va)
{
	return mm->root == FRAME_NONE ? NULL : make_below(mm->sys, mm->root, va, 1, true);
}

pte_t pt_leaf(struct mm *mm, uint64_t va, gpa_t *pa)
{
	pte_t *level2 = pt_level2(mm, va, NULL), *table, entry;

	if (!level2)
		return 0;
	entry = pt_read(level2);
	table = pt_table_of(mm, level2);
	if (table) {
		entry = pt_read(&table[pt_index(va, 1)]);
		*pa = pte_pa(entry);
	} else {
		*pa = GPA(pte_pa(entry).v + (va & (BLOCK_SIZE - 1) & PAGE_MASK));
	}
	return entry;
}

int pt_split(struct mm *mm, pte_t *level2, uint64_t va)
{
	pte_t block = pt_read(level2), *table;
	uint32_t page = table_alloc(mm->sys);

	if (page == FRAME_NONE)
		return -ENOMEM;
	/*
	 * The hardware may set the block's accessed bit until the exchange; the pages are made as if
	 * it had, which costs a flush at most.
	 */
	if (pte_present(block))
		block = pte_set_accessed(block);
	table = root_of(mm->sys, page);
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		table[i] = pte_split(block, i);
	if (PT_BREAK_BEFORE_MAKE && pte_present(block) && TLB_SITE(SITE_SPLIT_BREAK)) {
		pt_swap(level2, 0);
		/* By any address in it an invalidation retires the whole block. */
		tlb_stage_range(mm_root_id(mm), va & ~(BLOCK_SIZE - 1), 1,
				pte_perm(block) & PT_EXEC);
		if (TLB_SITE(SITE_SPLIT_FLUSH))
			platform_flush_now(mm->sys->platform);
	}
	pt_swap(level2, pte_table(frame_gpa(mm->sys, page), true));
	return 0;
}

static int split_at(struct mm *mm, uint64_t va)
{
	pte_t *level2;

	if (!(va & (BLOCK_SIZE - 1)))
		return 0;
	level2 = pt_level2(mm, va, NULL);
	return level2 && pte_is_block(*level2) ? pt_split(mm, level2, va) : 0;
}

int pt_split_edges(struct mm *mm, uint64_t start, uint64_t end)
{
	int ret = split_at(mm, start);

	return ret ? ret : split_at(mm, end);
}

int pt_map_kernel(struct mm_system *sys, uint32_t root, uint64_t va, gpa_t pa, unsigned perm)
{
	pte_t *slot = make_below(sys, root, va, 1, perm & PT_USER);

	if (!slot)
		return -ENOMEM;
	publish(slot, pte_set_accessed(pte_page(pa, perm)));
	return 0;
}

struct table_batch {
	uint32_t page[128];
	unsigned n;
};

static void batch_add(struct mm_system *sys, struct table_batch *b, uint32_t page)
{
	b->page[b->n++] = page;
	if (b->n == sizeof b->page / sizeof b->page[0]) {
		table_free(sys, b->page, b->n);
		b->n = 0;
	}
}

static void destroy_table(struct mm_system *sys, struct table_batch *b, uint32_t page, int level)
{
	const pte_t *table = root_of(sys, page);
	unsigned n = level == PT_ROOT_LEVEL ? USER_ROOT_ENTRIES : PT_ENTRIES;

	for (unsigned i = 0; level > 1 && i < n; i++)
		if (pte_present(table[i]) && !(level == 2 && pte_is_block(table[i])))
			destroy_table(sys, b, gpa_frame(sys, pte_pa(table[i])), level - 1);
	batch_add(sys, b, page);
}

void pt_destroy(struct mm_system *sys, uint32_t root)
{
	struct table_batch b = {.n = 0};

	destroy_table(sys, &b, root, PT_ROOT_LEVEL);
	if (b.n)
		table_free(sys, b.page, b.n);
}
