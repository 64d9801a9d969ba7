/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2), munmap(2), brk(2). */
#include "mm/map.h"

#include <errno.h>

#include "mm/fault.h"
#include "mm/shm.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#define MAP_TYPE_MASK 0x0fu
/* What MAP_SHARED_VALIDATE lets through (mman.h, LEGACY_MAP_MASK). */
#define MAP_KNOWN                                                                               \
	(MAP_TYPE_MASK | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |           \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | \
	 MAP_HUGETLB | ARCH_MAP_32BIT | MAP_FIXED_NOREPLACE)

static int check_type(const struct mm_map_args *m, unsigned *flags)
{
	const struct mm_backing *b = m->backing;

	*flags = 0;
	switch (m->flags & MAP_TYPE_MASK) {
	case MAP_SHARED_VALIDATE:
		if (m->flags & ~(unsigned)MAP_KNOWN)
			return -EOPNOTSUPP;
		__attribute__((fallthrough));
	case MAP_SHARED:
		*flags |= AREA_SHARED;
		if (b && m->prot & PROT_WRITE && !b->writable)
			return -EACCES;
		if (!b && m->flags & MAP_GROWSDOWN)
			return -EINVAL;
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (b && m->prot & PROT_EXEC && !b->executable)
		return -EPERM;
	if (b && m->flags & MAP_GROWSDOWN)
		return -EINVAL;
	/* No huge page was ever set aside, as on a host with nr_hugepages 0. */
	return m->flags & MAP_HUGETLB ? -ENOMEM : 0;
}

static int check_range(const struct mm_map_args *m, uint64_t *len)
{
	uint64_t addr = m->addr.v;

	if (!m->len)
		return -EINVAL;
	*len = page_up(m->len);
	if (!*len || *len > MM_TASK_SIZE)
		return -ENOMEM;
	if (m->offset & ~PAGE_MASK)
		return -EINVAL;
	if (m->backing && m->offset + *len < m->offset)
		return -EOVERFLOW;
	if (!(m->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return 0;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (addr > MM_TASK_SIZE - *len)
		return -ENOMEM;
	return addr < MM_MIN_ADDR ? -EPERM : 0;
}

static unsigned area_flags(unsigned map_flags)
{
	return (map_flags & MAP_GROWSDOWN ? AREA_GROWSDOWN : 0) |
	       (map_flags & MAP_LOCKED ? AREA_LOCKED : 0) |
	       (map_flags & MAP_NORESERVE ? AREA_NORESERVE : 0);
}

static int64_t choose_addr(struct mm *mm, const struct mm_map_args *m, uint64_t len)
{
	uint64_t addr = m->addr.v;
	bool big = !m->backing && len >= MM_BLOCK_AREA && !mm->sys->shadow;

	if (m->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (m->flags & MAP_FIXED_NOREPLACE && area_overlaps(mm, addr, addr + len))
			return -EEXIST;
		return (int64_t)addr;
	}
	if (addr) {
		addr = page_up(addr);
		if (addr < MM_MIN_ADDR)
			addr = MM_MIN_ADDR;
	}
	return place_find(mm, addr, len, m->flags & ARCH_MAP_32BIT, big ? BLOCK_SIZE : PAGE_SIZE);
}

/* Get the window or shared object the area needs; references are the area's. */
static int attach(struct mm *mm, const struct mm_map_args *m, struct area *a)
{
	uint64_t len = a->end - a->start;
	bool shared = a->flags & AREA_SHARED;
	int ret;

	if (m->backing) {
		ret = window_get(mm->sys, m->backing, m->offset, len,
				 shared && m->backing->writable, &a->win);
		if (ret)
			return ret;
		a->backing = mm_backing_get(m->backing);
		a->offset = m->offset;
	} else if (shared) {
		a->shm = shm_create(mm->sys, len);
		if (!a->shm)
			return -ENOMEM;
	}
	return 0;
}

/*
 * The dynamic linker maps a library read-only as a whole and then its segments over it: where the new
 * area shows the same page of the same file at the same address, the entry only changes its
 * permissions, which takes no flush as long as they grow.
 */
static void fill_file_over(struct edit *e, const struct area *a)
{
	uint64_t end = fault_file_end(a);

	/* All that goes, first: where breaking an entry takes a flush, one does for all of them. */
	for (uint64_t va = a->start; va < a->end; va += PAGE_SIZE) {
		pte_t *level2 = pt_level2(e->mm, va, NULL), *slot, old;

		if (level2 && pte_is_block(pt_read(level2)))
			edit_clear_block(e, level2, va);
		slot = pt_slot(e->mm, va);
		old = slot ? pt_read(slot) : 0;
		if (old &&
		    (va >= end || pte_pa(old).v != pte_pa(fault_window_leaf(e->mm, a, va)).v))
			edit_clear(e, slot, va);
	}
	for (uint64_t va = a->start; va < a->end && va < end; va += PAGE_SIZE) {
		pte_t leaf = fault_window_leaf(e->mm, a, va), *slot = pt_slot_make(e->mm, va);

		if (slot && pt_read(slot))
			edit_perm(e, slot, va, pte_perm(leaf), false);
		else if (slot)
			edit_fill(e, slot, va, leaf);
	}
}

/* What an area gets mapped by the call that makes it. The old pages of the range are still there. */
static void fill_new(struct edit *e, const struct area *a, bool populate)
{
	uint64_t pages = area_pages(a);

	if (a->backing && a->prot && pages <= MM_POPULATE_FILE) {
		/* Who has the file open for writing may expect to see writes until it makes its own. */
		if (a->flags & AREA_SHARED || !(a->prot & PROT_WRITE) || pages > MM_COPY_DATA ||
		    a->backing->writable) {
			fill_file_over(e, a);
		} else {
			edit_zap(e, a->start, a->end);
			fault_copy_data(e, a, a->start, a->end);
		}
		return;
	}
	edit_zap(e, a->start, a->end);
	if (!a->prot)
		return;
	if (populate)
		fault_populate(e, a->start, a->end);
	else if (!a->backing && pages <= MM_POPULATE_ANON && frame_plenty(e->mm->sys))
		fault_populate(e, a->start, a->end);
}

static int64_t map_locked(struct edit *e, const struct mm_map_args *m, uint64_t len, unsigned flags)
{
	struct mm *mm = e->mm;
	int64_t addr = choose_addr(mm, m, len);
	struct area a = {.prot = m->prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
			 .flags = flags | area_flags(m->flags),
			 .name = m->name};
	int ret;

	if (addr < 0)
		return addr;
	a.start = (uint64_t)addr;
	a.end = a.start + len;
	if (!map_within_limits(mm, len >> PAGE_SHIFT, a.prot, a.flags,
			       map_pages_in(mm, a.start, a.end)))
		return -ENOMEM;
	ret = attach(mm, m, &a);
	if (ret)
		return ret;
	ret = edit_unmap_areas(e, a.start, a.end, 1);
	if (ret) {
		area_refs_put(mm->sys, &a);
		return ret;
	}
	area_insert(mm, &a);
	fill_new(e, &a, m->populate || m->flags & (MAP_POPULATE | MAP_LOCKED));
	return addr;
}

int64_t mm_map(struct mm *mm, const struct mm_map_args *args)
{
	struct edit e;
	uint64_t len;
	unsigned flags;
	int64_t ret = check_range(args, &len);

	if (!ret)
		ret = check_type(args, &flags);
	if (ret)
		return ret;
	edit_begin(&e, mm);
	ret = mm->root == FRAME_NONE ? -ENOMEM : map_locked(&e, args, len, flags);
	edit_end(&e);
	return ret;
}

int mm_unmap(struct mm *mm, gva_t addr, uint64_t len)
{
	struct edit e;
	int ret;

	if (addr.v & ~PAGE_MASK || !len || addr.v > MM_TASK_SIZE || len > MM_TASK_SIZE - addr.v)
		return -EINVAL;
	len = page_up(len);
	edit_begin(&e, mm);
	ret = edit_unmap(&e, addr.v, addr.v + len, 0);
	edit_end(&e);
	return ret;
}

void mm_set_brk(struct mm *mm, gva_t start)
{
	pthread_mutex_lock(&mm->lock);
	mm->brk_start = mm->brk = start.v;
	pthread_mutex_unlock(&mm->lock);
}

static bool grow_heap(struct edit *e, uint64_t from, uint64_t to)
{
	struct mm *mm = e->mm;
	struct area a = {.start = from, .end = to, .prot = PROT_READ | PROT_WRITE};
	uint64_t pages = area_pages(&a);

	if (to > MM_TASK_SIZE || !place_free(mm, from, to) ||
	    !map_within_limits(mm, pages, a.prot, 0, 0) || area_reserve(mm, 1))
		return false;
	area_insert(mm, &a);
	if (pages > MM_POPULATE_ANON)
		to = from + MM_POPULATE_ANON * PAGE_SIZE;
	if (frame_plenty(mm->sys))
		fault_populate(e, from, to);
	return true;
}

gva_t mm_brk(struct mm *mm, gva_t want)
{
	struct edit e;
	uint64_t from, to, result;

	edit_begin(&e, mm);
	from = page_up(mm->brk);
	to = page_up(want.v);
	if (want.v >= mm->brk_start && mm->brk_start && want.v < MM_TASK_SIZE &&
	    want.v - mm->brk_start <= mm->limit_data) {
		if (to > from ? grow_heap(&e, from, to) : !edit_unmap(&e, to, from, 0))
			mm->brk = want.v;
	}
	result = mm->brk;
	edit_end(&e);
	return GVA(result);
}
