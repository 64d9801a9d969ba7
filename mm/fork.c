/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: the child gets the parent's areas and page-table entries; private pages become read-only in
 * both until one of them stores to them. The child is invisible to everyone until mm_fork() returns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/fault.h"

struct fork {
	struct edit *e; /* the parent's */
	struct mm *child;
	const struct area *area;
	unsigned copies; /* pages that may still be copied ahead of need */
};

/* The child's entry: not accessed by it yet, and without write permission unless memory is shared. */
static pte_t child_leaf(const struct fork *f, pte_t leaf)
{
	if (!(f->area->flags & AREA_SHARED) && pte_present(leaf))
		leaf = pte_with_perm(leaf, pte_perm(leaf) & ~PT_WRITE);
	return pte_clear_accessed(leaf);
}

/* The child gets a copy now, and the parent's page stays as it is. */
static bool copy_page(struct fork *f, pte_t *to, pte_t leaf, uint32_t frame)
{
	struct mm_system *sys = f->child->sys;
	uint32_t copy;

	if (!frame_alloc(sys, 1, false, &copy))
		return false;
	memcpy(frame_host(sys, copy), frame_host(sys, frame), PAGE_SIZE);
	*to = pte_page(frame_gpa(sys, copy), pte_perm(leaf));
	f->child->rss++;
	return true;
}

/*
 * A host system call may be storing to the frame right now (mm_pin), for the parent: shared, the
 * data would go where the parent does not look once it has stored to the page itself.
 */
static bool pinned(struct mm_system *sys, uint32_t frame)
{
	return atomic_load_explicit(&sys->frames.frame[frame].pins, memory_order_acquire);
}

/* Worth copying at once (MM_FORK_COPY)? */
static bool hot(const struct fork *f, pte_t leaf)
{
	return f->copies && pte_present(leaf) && pte_maybe_cached(leaf) &&
	       pte_perm(leaf) & PT_WRITE &&
	       (f->area->flags & (AREA_GROWSDOWN | AREA_STACK) ||
		area_pages(f->area) <= MM_FORK_AREA);
}

static int fork_page(struct fork *f, pte_t *from, pte_t *to, uint64_t va)
{
	struct mm_system *sys = f->child->sys;
	pte_t leaf = pt_read(from);
	uint32_t frame = gpa_frame(sys, pte_pa(leaf));

	if (frame != FRAME_NONE) {
		if (!(f->area->flags & AREA_SHARED)) {
			if (pinned(sys, frame))
				return copy_page(f, to, leaf, frame) ? 0 : -ENOMEM;
			if (hot(f, leaf) && copy_page(f, to, leaf, frame)) {
				f->copies--;
				return 0;
			}
		}
		frame_get(sys, frame);
		if (!(f->area->flags & AREA_SHARED))
			edit_wrprotect(f->e, from, va, false);
	}
	*to = child_leaf(f, leaf);
	f->child->rss++;
	return 0;
}

static bool block_pinned(struct mm_system *sys, uint32_t first)
{
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		if (pinned(sys, first + i))
			return true;
	return false;
}

/* Share a block as a block. False: it must be split and shared page by page. */
static bool fork_block(struct fork *f, pte_t *from, uint64_t va)
{
	struct mm_system *sys = f->child->sys;
	pte_t leaf = pt_read(from), *to;
	uint32_t first = gpa_frame(sys, pte_pa(leaf));

	if (block_pinned(sys, first))
		return false;
	to = pt_level2_make(f->child, va);
	if (!to || *to)
		return false;
	for (unsigned i = 0; i < PT_ENTRIES; i++)
		frame_get(sys, first + i);
	edit_wrprotect(f->e, from, va, true);
	*to = child_leaf(f, leaf);
	f->child->rss += PT_ENTRIES;
	return true;
}

static int fork_pages(struct fork *f)
{
	struct mm *parent = f->e->mm;
	uint64_t next, end = f->area->end;

	for (uint64_t va = f->area->start; va < end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(parent, va, &span), *table, *to = NULL;

		next = pt_next(va, end, span);
		if (!level2 || !pt_read(level2))
			continue;
		if (pte_is_block(pt_read(level2))) {
			if (fork_block(f, level2, va))
				continue;
			if (pt_split(parent, level2, va))
				return -ENOMEM;
		}
		table = pt_table_of(parent, level2);
		for (uint64_t p = va; p < next; p += PAGE_SIZE) {
			pte_t *slot = &table[pt_index(p, 1)];

			if (!pt_read(slot))
				continue;
			if (!to) {
				to = pt_slot_make(f->child, va);
				if (!to)
					return -ENOMEM;
			}
			if (fork_page(f, slot, to + ((p - va) >> PAGE_SHIFT), p))
				return -ENOMEM;
		}
	}
	return 0;
}

static int fork_areas(struct edit *e, struct mm *child)
{
	struct mm *parent = e->mm;
	struct fork f = {.e = e, .child = child};
	int ret = area_reserve(child, parent->areas.n);

	if (frame_plenty(parent->sys))
		f.copies = MM_FORK_COPY;
	for (unsigned i = 0; i < parent->areas.n && !ret; i++) {
		struct area a = parent->areas.v[i];

		if (a.flags & AREA_DONTFORK)
			continue;
		a.flags &= ~AREA_LOCKED;
		area_refs_get(child, &a);
		child->areas.v[child->areas.n++] = a;
		area_account(child, &a, 1);
		f.area = &a;
		if (!(a.flags & AREA_WIPEONFORK))
			ret = fork_pages(&f);
	}
	return ret;
}

int mm_fork(struct mm *parent, struct mm **out)
{
	struct mm *child;
	struct edit e;
	int ret = mm_create(parent->sys, &child);

	if (ret)
		return ret;
	edit_begin(&e, parent);
	child->layout = parent->layout;
	child->brk_start = parent->brk_start;
	child->brk = parent->brk;
	child->limit_as = parent->limit_as;
	child->limit_data = parent->limit_data;
	child->limit_stack = parent->limit_stack;
	ret = parent->root == FRAME_NONE ? -ESRCH : fork_areas(&e, child);
	edit_end(&e);
	if (ret) {
		mm_put(child);
		return ret;
	}
	child->vm_peak = child->vm_pages;
	child->rss_peak = child->rss;
	*out = child;
	return 0;
}
