/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "mm/map.h"

#define LOW_START	((uint64_t)0x40000000) /* MAP_32BIT: Linux searches this range on x86-64 */
#define LOW_END		((uint64_t)0x80000000)
#define BOTTOM_UP_START (MM_TASK_SIZE / 3 & PAGE_MASK)

/* Where the space below an area ends: growing stacks keep a gap. */
static uint64_t area_floor(const struct area *a)
{
	if (!(a->flags & AREA_GROWSDOWN))
		return a->start;
	return a->start > MM_STACK_GAP ? a->start - MM_STACK_GAP : 0;
}

bool place_free(const struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned i = area_index(mm, start);

	return i == mm->areas.n ||
	       (mm->areas.v[i].start >= end && area_floor(&mm->areas.v[i]) >= end);
}

/* The highest start in [from, to) of len free bytes; 0: none. */
static uint64_t search_down(const struct mm *mm, uint64_t from, uint64_t to, uint64_t len,
			    uint64_t align)
{
	unsigned i = area_index(mm, to);

	/* The area at or above `to` may keep a gap that reaches below it. */
	if (i < mm->areas.n && area_floor(&mm->areas.v[i]) < to)
		to = area_floor(&mm->areas.v[i]);
	for (;;) {
		uint64_t below = i ? mm->areas.v[i - 1].end : 0;
		uint64_t start;

		if (below < from)
			below = from;
		if (to >= len) {
			start = (to - len) & ~(align - 1);
			if (start >= below)
				return start;
		}
		if (!i || below == from)
			return 0;
		to = area_floor(&mm->areas.v[--i]);
	}
}

static uint64_t search_up(const struct mm *mm, uint64_t from, uint64_t to, uint64_t len,
			  uint64_t align)
{
	uint64_t start = (from + align - 1) & ~(align - 1);

	for (unsigned i = area_index(mm, from); start <= to && len <= to - start; i++) {
		if (i == mm->areas.n || area_floor(&mm->areas.v[i]) >= start + len)
			return start;
		if (mm->areas.v[i].end > start)
			start = (mm->areas.v[i].end + align - 1) & ~(align - 1);
	}
	return 0;
}

int64_t place_find(struct mm *mm, uint64_t hint, uint64_t len, bool low, uint64_t align)
{
	uint64_t start;

	if (len > MM_TASK_SIZE - MM_MIN_ADDR)
		return -ENOMEM;
	if (hint && hint >= MM_MIN_ADDR && hint <= MM_TASK_SIZE - len &&
	    (!low || hint + len <= LOW_END) && place_free(mm, hint, hint + len))
		return (int64_t)hint;
	if (low) {
		start = search_up(mm, LOW_START, LOW_END, len, PAGE_SIZE);
		return start ? (int64_t)start : -ENOMEM;
	}
	start = search_down(mm, MM_MIN_ADDR, mm->layout.mmap_base.v, len, align);
	if (!start && align > PAGE_SIZE)
		start = search_down(mm, MM_MIN_ADDR, mm->layout.mmap_base.v, len, PAGE_SIZE);
	if (!start)
		start = search_up(mm, BOTTOM_UP_START, MM_TASK_SIZE, len, PAGE_SIZE);
	return start ? (int64_t)start : -ENOMEM;
}

bool map_within_limits(const struct mm *mm, uint64_t pages, unsigned prot, unsigned area_flags,
		       uint64_t gone)
{
	if (mm->vm_pages - gone + pages > mm->limit_as >> PAGE_SHIFT)
		return false;
	if (prot & PROT_WRITE && !(area_flags & (AREA_SHARED | AREA_GROWSDOWN | AREA_STACK)))
		return mm->data_pages + pages <= mm->limit_data >> PAGE_SHIFT;
	return true;
}

uint64_t map_pages_in(const struct mm *mm, uint64_t start, uint64_t end)
{
	uint64_t pages = 0;

	for (unsigned i = area_index(mm, start); i < mm->areas.n && mm->areas.v[i].start < end;
	     i++) {
		const struct area *a = &mm->areas.v[i];
		uint64_t from = a->start > start ? a->start : start;
		uint64_t to = a->end < end ? a->end : end;

		pages += (to - from) >> PAGE_SHIFT;
	}
	return pages;
}
