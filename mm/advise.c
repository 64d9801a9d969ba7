/* SPDX-License-Identifier: Apache-2.0 */
/* madvise(2), mlock(2), munlock(2). */
#include <errno.h>
#include <fcntl.h>

#include "mm/fault.h"
#include "mm/shm.h"

/* Values that older headers lack (asm-generic/mman-common.h). */
#define ADV_COLD	    20
#define ADV_PAGEOUT	    21
#define ADV_POPULATE_READ   22
#define ADV_POPULATE_WRITE  23
#define ADV_DONTNEED_LOCKED 24
#define ADV_COLLAPSE	    25

/* Set and clear area flags over [start, end), which lies in one area. 0 or -ENOMEM. */
static int change_flags(struct mm *mm, uint64_t start, uint64_t end, unsigned set, unsigned clear)
{
	struct area *a = area_find(mm, start);
	int ret;

	if (((a->flags | set) & ~clear) == a->flags)
		return 0;
	ret = area_reserve(mm, 2);
	if (ret)
		return ret;
	area_split(mm, start);
	area_split(mm, end);
	a = area_find(mm, start);
	a->flags = (a->flags | set) & ~clear;
	return 0;
}

static int drop_pages(struct edit *e, uint64_t start, uint64_t end)
{
	int ret = pt_split_edges(e->mm, start, end);

	if (!ret)
		edit_zap(e, start, end);
	return ret;
}

static int remove_pages(struct edit *e, const struct area *a, uint64_t start, uint64_t end)
{
	int ret;

	if (!(a->flags & AREA_SHARED))
		return -EINVAL;
	if (!(a->prot & PROT_WRITE))
		return -EACCES;
	if (a->flags & AREA_LOCKED)
		return -EINVAL;
	ret = drop_pages(e, start, end);
	if (ret)
		return ret;
	edit_sync(e);
	if (a->shm)
		shm_zero(a->shm, area_offset(a, start) >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT);
	else if (fallocate(a->backing->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   (off_t)area_offset(a, start), (off_t)(end - start)) < 0)
		return -errno;
	return 0;
}

/* MADV_POPULATE_*: unlike population ahead of demand, failure is reported. */
static int populate(struct edit *e, const struct area *a, uint64_t start, uint64_t end, bool write)
{
	if (write ? !(a->prot & PROT_WRITE) : !a->prot)
		return -EINVAL;
	fault_populate(e, start, end);
	for (uint64_t va = start; va < end; va += PAGE_SIZE) {
		int ret = fault_resolve(e, va, write ? MM_ACCESS_WRITE : MM_ACCESS_READ);

		if (ret)
			return ret == -ENXIO ? -EFAULT : -ENOMEM;
	}
	return 0;
}

static int advise_area(struct edit *e, uint64_t start, uint64_t end, int advice)
{
	struct mm *mm = e->mm;
	struct area a = *area_find(mm, start);

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
		if (a.flags & AREA_LOCKED || (advice == MADV_FREE && !area_anon_private(&a)))
			return -EINVAL;
		return drop_pages(e, start, end);
	case ADV_DONTNEED_LOCKED:
		return drop_pages(e, start, end);
	case MADV_REMOVE:
		return remove_pages(e, &a, start, end);
	case MADV_DONTFORK:
		return change_flags(mm, start, end, AREA_DONTFORK, 0);
	case MADV_DOFORK:
		return change_flags(mm, start, end, 0, AREA_DONTFORK);
	case MADV_WIPEONFORK:
		if (!area_anon_private(&a))
			return -EINVAL;
		return change_flags(mm, start, end, AREA_WIPEONFORK, 0);
	case MADV_KEEPONFORK:
		return change_flags(mm, start, end, 0, AREA_WIPEONFORK);
	case MADV_DONTDUMP:
		return change_flags(mm, start, end, AREA_DONTDUMP, 0);
	case MADV_DODUMP:
		return change_flags(mm, start, end, 0, AREA_DONTDUMP);
	case MADV_HUGEPAGE:
		return change_flags(mm, start, end, 0, AREA_NOHUGE);
	case MADV_NOHUGEPAGE:
		return change_flags(mm, start, end, AREA_NOHUGE, 0);
	case ADV_POPULATE_READ:
	case ADV_POPULATE_WRITE:
		return populate(e, &a, start, end, advice == ADV_POPULATE_WRITE);
	case MADV_WILLNEED:
		if (a.backing)
			fault_populate(e, start, end);
		return 0;
	default: /* hints about access patterns: nothing to do */
		return 0;
	}
}

static bool known_advice(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case ADV_COLD:
	case ADV_PAGEOUT:
	case ADV_POPULATE_READ:
	case ADV_POPULATE_WRITE:
	case ADV_DONTNEED_LOCKED:
	case ADV_COLLAPSE:
		return true;
	default:
		return false;
	}
}

/* Apply fn to each area's part of the range; holes are skipped and reported at the end. */
static int each_part(struct edit *e, uint64_t start, uint64_t end,
		     int (*fn)(struct edit *, uint64_t, uint64_t, int), int arg)
{
	bool hole = false;
	uint64_t va = start;

	while (va < end) {
		unsigned i = area_index(e->mm, va);
		uint64_t to;
		int ret;

		if (i == e->mm->areas.n || e->mm->areas.v[i].start >= end)
			return -ENOMEM;
		if (e->mm->areas.v[i].start > va) {
			hole = true;
			va = e->mm->areas.v[i].start;
		}
		to = e->mm->areas.v[i].end < end ? e->mm->areas.v[i].end : end;
		ret = fn(e, va, to, arg);
		if (ret)
			return ret;
		va = to;
	}
	return hole ? -ENOMEM : 0;
}

int mm_advise(struct mm *mm, gva_t addr, uint64_t len, int advice)
{
	uint64_t end = addr.v + page_up(len);
	struct edit e;
	int ret;

	if (!known_advice(advice) || addr.v & ~PAGE_MASK || (len && !page_up(len)) || end < addr.v)
		return -EINVAL;
	if (end == addr.v)
		return 0;
	edit_begin(&e, mm);
	ret = each_part(&e, addr.v, end, advise_area, advice);
	area_merge(mm, addr.v, end);
	edit_end(&e);
	return ret;
}

static int lock_area(struct edit *e, uint64_t start, uint64_t end, int lock)
{
	int ret = change_flags(e->mm, start, end, lock ? AREA_LOCKED : 0, lock ? 0 : AREA_LOCKED);

	if (!ret && lock)
		fault_populate(e, start, end);
	return ret;
}

int mm_lock_range(struct mm *mm, gva_t addr, uint64_t len, bool lock)
{
	uint64_t start = page_down(addr.v), end = page_up(addr.v + len);
	struct edit e;
	int ret;

	if (addr.v + len < addr.v || end < start)
		return -EINVAL;
	if (start == end)
		return 0;
	edit_begin(&e, mm);
	ret = each_part(&e, start, end, lock_area, lock);
	area_merge(mm, start, end);
	edit_end(&e);
	return ret;
}
