/* SPDX-License-Identifier: Apache-2.0 */
/* mremap(2). Page-table entries move, data does not. */
#include <errno.h>

#include "mm/fault.h"
#include "mm/map.h"
#include "mm/shm.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct remap {
	uint64_t old, old_len, new_len, new_addr;
	unsigned flags;
};

static int move_page(struct edit *e, pte_t *from, uint64_t old, uint64_t new)
{
	pte_t *to = pt_slot_make(e->mm, new);

	if (!to)
		return -ENOMEM;
	edit_fill(e, to, new, pte_clear_accessed(edit_take(e, from, old, false)));
	return 0;
}

/* Move a whole block where the new place allows. False: it has to be moved page by page. */
static bool move_block(struct edit *e, pte_t *from, uint64_t old, uint64_t new)
{
	pte_t *to;

	if (new &(BLOCK_SIZE - 1))
		return false;
	to = pt_level2_make(e->mm, new);
	if (!to || pt_read(to))
		return false;
	edit_fill_block(e, to, new, pte_clear_accessed(edit_take(e, from, old, true)));
	return true;
}

/*
 * Move the pages of [old, old+len) to the vacant [new, new+len). On failure what has not moved is
 * dropped by the caller's unmapping, as the kernel would kill the process then; tables are
 * prepared first, so that it does not come to that.
 */
static int move_pages(struct edit *e, uint64_t old, uint64_t new, uint64_t len)
{
	struct mm *mm = e->mm;
	uint64_t end = old + len, next;

	for (uint64_t va = old; va < end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(mm, va, &span), *table;

		next = pt_next(va, end, span);
		if (!level2 || !pt_read(level2))
			continue;
		if (pte_is_block(pt_read(level2))) {
			if (move_block(e, level2, va, new + (va - old)))
				continue;
			if (pt_split(mm, level2, va))
				return -ENOMEM;
		}
		table = pt_table_of(mm, level2);
		for (uint64_t p = va; p < next; p += PAGE_SIZE) {
			pte_t *slot = &table[pt_index(p, 1)];

			if (pt_read(slot) && move_page(e, slot, p, new + (p - old)))
				return -ENOMEM;
		}
	}
	return 0;
}

/* Build the tables that the pages will need, before anything is changed. */
static int prepare_tables(struct mm *mm, uint64_t old, uint64_t new, uint64_t len)
{
	uint64_t next;

	for (uint64_t va = old; va < old + len; va = next) {
		uint64_t span = BLOCK_SIZE, to = new + (va - old);
		pte_t *level2 = pt_level2(mm, va, &span);

		next = pt_next(va, old + len, span);
		if (!level2 || !pt_read(level2))
			continue;
		if (pte_is_block(pt_read(level2)) && !(to & (BLOCK_SIZE - 1))) {
			pte_t *there = pt_level2_make(mm, to);

			if (!there)
				return -ENOMEM;
			if (!pt_read(there))
				continue;
		}
		if (pte_is_block(pt_read(level2)) && pt_split(mm, level2, va))
			return -ENOMEM;
		if (!pt_slot_make(mm, to) || !pt_slot_make(mm, to + (next - va) - PAGE_SIZE))
			return -ENOMEM;
	}
	return 0;
}

static int move_area(struct edit *e, const struct remap *r, uint64_t new)
{
	struct mm *mm = e->mm;
	uint64_t len = r->old_len < r->new_len ? r->old_len : r->new_len;
	struct area a = *area_find(mm, r->old);
	int ret = area_reserve(mm, 4);

	if (!ret)
		ret = pt_split_edges(mm, r->old, r->old + len);
	if (!ret)
		ret = prepare_tables(mm, r->old, new, len);
	if (!ret)
		ret = edit_reserve_dead(e, 2);
	if (ret)
		return ret;
	if (!area_anon_private(&a))
		a.offset = area_offset(&a, r->old);
	a.start = new;
	a.end = new + r->new_len;
	if (a.backing && a.offset + r->new_len > a.win->off + a.win->len) {
		struct window *wider;

		ret = window_get(mm->sys, a.backing, a.offset, r->new_len, a.win->writable, &wider);
		if (ret)
			return ret;
		/* Pages of the old window cannot move into an area of another: let them fault. */
		edit_zap(e, r->old, r->old + len);
		a.win = wider;
		mm_backing_get(a.backing);
	} else {
		area_refs_get(mm, &a);
	}
	ret = move_pages(e, r->old, new, len);
	a.flags &= ~AREA_GROWSDOWN;
	area_insert(mm, &a);
	if (r->flags & MREMAP_DONTUNMAP) {
		area_split(mm, r->old);
		area_split(mm, r->old + r->old_len);
		area_find(mm, r->old)->flags &= ~AREA_LOCKED;
	} else if (r->old_len) {
		edit_unmap(e, r->old, r->old + r->old_len, 0);
	}
	if (a.flags & AREA_LOCKED)
		fault_populate(e, a.start, a.end);
	return ret;
}

/* Checks that need the area: Linux's vma_to_resize(). */
static int check_source(struct mm *mm, const struct remap *r)
{
	const struct area *a = area_find(mm, r->old);

	if (!a)
		return -EFAULT;
	if (!r->old_len && !(a->flags & AREA_SHARED))
		return -EINVAL;
	if (r->flags & MREMAP_DONTUNMAP && a->name)
		return -EINVAL;
	if (r->old_len > a->end - r->old)
		return -EFAULT;
	if (a->backing && area_offset(a, r->old) + r->new_len < r->new_len)
		return -EINVAL;
	if (r->new_len > r->old_len &&
	    !map_within_limits(mm, (r->new_len - r->old_len) >> PAGE_SHIFT, a->prot, a->flags, 0))
		return -ENOMEM;
	if (r->flags & MREMAP_DONTUNMAP &&
	    !map_within_limits(mm, r->new_len >> PAGE_SHIFT, a->prot, a->flags, 0))
		return -ENOMEM;
	return 0;
}

/* MREMAP_FIXED, or MREMAP_DONTUNMAP. */
static int64_t remap_to(struct edit *e, struct remap *r)
{
	struct mm *mm = e->mm;
	uint64_t new = r->new_addr;
	int64_t place;
	int ret;

	if (r->flags & MREMAP_FIXED) {
		if (new & ~PAGE_MASK || r->new_len > MM_TASK_SIZE ||
		    new > MM_TASK_SIZE - r->new_len)
			return -EINVAL;
		if (r->old < new + r->new_len &&new < r->old + r->old_len)
			return -EINVAL;
		if (new < MM_MIN_ADDR)
			return -EPERM;
		ret = edit_unmap(e, new, new + r->new_len, 0);
		if (ret)
			return ret;
	}
	if (r->old_len > r->new_len) {
		ret = edit_unmap(e, r->old + r->new_len, r->old + r->old_len, 0);
		if (ret)
			return ret;
		r->old_len = r->new_len;
	}
	ret = check_source(mm, r);
	if (ret)
		return ret;
	if (!(r->flags & MREMAP_FIXED)) {
		place = place_find(mm, page_down(new), r->new_len, false, PAGE_SIZE);
		if (place < 0)
			return place;
		new = (uint64_t)place;
	}
	ret = move_area(e, r, new);
	return ret ? ret : (int64_t) new;
}

static bool grow_in_place(struct edit *e, const struct remap *r)
{
	struct mm *mm = e->mm;
	struct area *a = area_find(mm, r->old);
	uint64_t end = r->old + r->new_len;

	if (a->end != r->old + r->old_len || !r->old_len || end > MM_TASK_SIZE ||
	    !place_free(mm, a->end, end))
		return false;
	if (a->backing && area_offset(a, end) > a->win->off + a->win->len)
		return false;
	area_account(mm, a, -1);
	a->end = end;
	area_account(mm, a, 1);
	if (a->flags & AREA_LOCKED)
		fault_populate(e, r->old + r->old_len, end);
	area_merge(mm, r->old, end);
	return true;
}

static int64_t remap_locked(struct edit *e, struct remap *r)
{
	struct mm *mm = e->mm;
	int64_t place;
	int ret;

	if (!area_find(mm, r->old))
		return -EFAULT;
	if (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		return remap_to(e, r);
	if (r->old_len >= r->new_len) {
		ret = r->old_len > r->new_len
			      ? edit_unmap(e, r->old + r->new_len, r->old + r->old_len, 0)
			      : 0;
		return ret ? ret : (int64_t)r->old;
	}
	ret = check_source(mm, r);
	if (ret)
		return ret;
	if (grow_in_place(e, r))
		return (int64_t)r->old;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	place = place_find(mm, 0, r->new_len, false, PAGE_SIZE);
	if (place < 0)
		return place;
	ret = move_area(e, r, (uint64_t)place);
	return ret ? ret : place;
}

int64_t mm_remap(struct mm *mm, gva_t old, uint64_t old_len, uint64_t new_len, unsigned flags,
		 gva_t new_addr)
{
	struct remap r = {.old = old.v,
			  .old_len = page_up(old_len),
			  .new_len = page_up(new_len),
			  .new_addr = new_addr.v,
			  .flags = flags};
	struct edit e;
	int64_t ret;

	if (flags & ~(unsigned)(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP) ||
	    (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)) ||
	    (flags & MREMAP_DONTUNMAP && r.old_len != r.new_len) || old.v & ~PAGE_MASK ||
	    !r.new_len)
		return -EINVAL;
	if (old.v > MM_TASK_SIZE || r.old_len > MM_TASK_SIZE - old.v || r.old_len < old_len)
		return -EFAULT;
	if (r.new_len > MM_TASK_SIZE)
		return -ENOMEM;
	edit_begin(&e, mm);
	ret = remap_locked(&e, &r);
	edit_end(&e);
	return ret;
}
