/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/check.h"

#include "mm/edit.h"

struct census {
	struct mm *mm;
	bool alone; /* no other thread runs: reference counts stand still */
	uint64_t leaves;
	const char *wrong;
};

static void check_leaf(struct census *c, uint64_t va, pte_t leaf, unsigned pages)
{
	struct mm *mm = c->mm;
	struct area *a = area_find(mm, va);
	uint32_t frame = gpa_frame(mm->sys, pte_pa(leaf));
	uint64_t window = pte_pa(leaf).v - mm->sys->windows.gpa.v;

	c->leaves += pages;
	if (!a || va + pages * PAGE_SIZE > a->end)
		c->wrong = "a leaf outside any area";
	else if (!pte_present(leaf) && !pte_held(leaf))
		c->wrong = "a leaf neither present nor held";
	else if (pte_held(leaf) ? a->prot : !a->prot)
		c->wrong = "held is not PROT_NONE";
	else if (pte_present(leaf) && pte_perm(leaf) & ~area_perm(a))
		c->wrong = "a leaf grants more than its area";
	else if (frame == FRAME_NONE && (!a->win || window - a->win->base >= a->win->len))
		c->wrong = "a leaf names a page of no window of its area";
	else if (frame == FRAME_NONE && !(a->flags & AREA_SHARED) && pte_perm(leaf) & PT_WRITE &&
		 pte_present(leaf))
		c->wrong = "a private area can store to a file";
	for (unsigned i = 0; frame != FRAME_NONE && i < pages; i++) {
		unsigned refs = frame_refs(mm->sys, frame + i);

		if (!refs)
			c->wrong = "a leaf names a free frame";
		if (c->alone && refs > 1 && !(a->flags & AREA_SHARED) && pte_present(leaf) &&
		    pte_perm(leaf) & PT_WRITE &&
		    !atomic_load(&mm->sys->frames.frame[frame + i].pins))
			c->wrong = "a private page that others have is writable";
	}
}

static void check_table(struct census *c, const pte_t *table, int level, uint64_t base)
{
	unsigned n = level == PT_ROOT_LEVEL ? PT_ENTRIES / 2 : PT_ENTRIES;

	for (unsigned i = 0; i < n && !c->wrong; i++) {
		uint64_t va = base + i * pt_span(level);
		pte_t entry = table[i];

		if (!entry)
			continue;
		if (level == 1)
			check_leaf(c, va, entry, 1);
		else if (level == 2 && pte_is_block(entry))
			check_leaf(c, va, entry, PT_ENTRIES);
		else
			check_table(c, (const pte_t *)gpa_host(c->mm->sys, pte_pa(entry)),
				    level - 1, va);
	}
}

const char *check_invariants_locked(struct mm *mm, bool alone)
{
	struct census c = {.mm = mm, .alone = alone};
	uint64_t pages = 0, end = 0;

	for (unsigned i = 0; i < mm->areas.n; i++) {
		const struct area *a = &mm->areas.v[i];

		if (a->start < end || a->end <= a->start || (a->start | a->end) & ~PAGE_MASK ||
		    a->end > MM_TASK_SIZE)
			c.wrong = "areas out of order";
		if ((a->backing != NULL) != (a->win != NULL) ||
		    (a->win && (a->offset < a->win->off ||
				area_offset(a, a->end) > a->win->off + a->win->len)))
			c.wrong = "an area reaches beyond its window";
		end = a->end;
		pages += area_pages(a);
	}
	if (!c.wrong && pages != mm->vm_pages)
		c.wrong = "vm_pages is not the areas' sum";
	if (!c.wrong && mm->root != FRAME_NONE) {
		check_table(&c, (const pte_t *)frame_host(mm->sys, mm->root), PT_ROOT_LEVEL, 0);
		if (!c.wrong && c.leaves != mm->rss)
			c.wrong = "rss is not the number of leaves";
	}
	return c.wrong;
}

const char *mm_check_invariants(struct mm *mm)
{
	const char *wrong;

	pthread_mutex_lock(&mm->lock);
	wrong = check_invariants_locked(mm, true);
	pthread_mutex_unlock(&mm->lock);
	return wrong;
}
