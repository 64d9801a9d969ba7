/* SPDX-License-Identifier: Apache-2.0 */
/* msync(2), mincore(2). */
#include <errno.h>
#include <string.h>

#include "mm/edit.h"
#include "mm/shm.h"

/*
 * The part of [va, end) that one area covers: *to is its end, *win (with a reference) its window if it
 * is a shared file area. -ENOMEM: no area at va; *to is where the next one begins.
 */
static int part_at(struct mm *mm, uint64_t va, uint64_t end, uint64_t *to, struct window **win,
		   uint64_t *at)
{
	unsigned i;
	struct area *a;
	int ret = 0;

	*win = NULL;
	*to = end;
	pthread_mutex_lock(&mm->lock);
	i = area_index(mm, va);
	a = i < mm->areas.n ? &mm->areas.v[i] : NULL;
	if (!a || a->start >= end) {
		ret = -ENOMEM;
	} else if (a->start > va) {
		*to = a->start;
		ret = -ENOMEM;
	} else {
		*to = a->end < end ? a->end : end;
		if (a->win && a->flags & AREA_SHARED) {
			*win = a->win;
			*at = a->win->base + (area_offset(a, va) - a->win->off);
			window_ref(mm->sys, a->win);
		}
	}
	pthread_mutex_unlock(&mm->lock);
	return ret;
}

int mm_sync(struct mm *mm, gva_t addr, uint64_t len, int flags)
{
	uint64_t end = addr.v + page_up(len), to, at = 0;
	int ret = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || addr.v & ~PAGE_MASK ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr.v)
		return -ENOMEM;
	for (uint64_t va = addr.v; va < end; va = to) {
		struct window *win;
		int err = part_at(mm, va, end, &to, &win, &at);

		if (err)
			ret = err;
		if (win) {
			/* Without the lock: this waits for a disk. */
			if (flags & MS_SYNC &&
			    msync(mm->sys->windows.host + at, to - va, MS_SYNC) < 0)
				err = -errno;
			window_put(mm->sys, win);
			if (err)
				return err;
		}
	}
	return ret;
}

static void area_incore(struct mm *mm, const struct area *a, uint64_t from, uint64_t to,
			uint8_t *vec)
{
	for (uint64_t va = from; va < to; va += PAGE_SIZE, vec++) {
		gpa_t pa;
		pte_t leaf = pt_leaf(mm, va, &pa);
		uint64_t at;

		if (a->backing && gpa_frame(mm->sys, pa) == FRAME_NONE) {
			/* Resident means in the page cache, mapped or not. */
			at = a->win->base + (area_offset(a, va) - a->win->off);
			if (mincore(mm->sys->windows.host + at, PAGE_SIZE, vec) < 0)
				*vec = 0;
		} else {
			*vec = pte_present(leaf) || pte_held(leaf);
		}
	}
}

int mm_incore(struct mm *mm, gva_t addr, uint64_t len, uint8_t *vec)
{
	uint64_t end = addr.v + page_up(len);
	int ret = 0;

	if (addr.v & ~PAGE_MASK)
		return -EINVAL;
	if (end < addr.v || end > MM_TASK_SIZE)
		return -ENOMEM;
	pthread_mutex_lock(&mm->lock);
	for (uint64_t va = addr.v; va < end && !ret;) {
		struct area *a = area_find(mm, va);
		uint64_t to;

		if (!a) {
			ret = -ENOMEM;
			break;
		}
		to = a->end < end ? a->end : end;
		area_incore(mm, a, va, to, vec + ((va - addr.v) >> PAGE_SHIFT));
		va = to;
	}
	pthread_mutex_unlock(&mm->lock);
	return ret;
}
