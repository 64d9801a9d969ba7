/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc shows of an address space. */
#include <stdio.h>
#include <string.h>

#include "mm/edit.h"

static void describe(const struct mm *mm, const struct area *a, struct mm_area_info *out)
{
	memset(out, 0, offsetof(struct mm_area_info, name));
	out->rss_pages = out->private_pages = 0;
	out->name[0] = 0;
	out->start = a->start;
	out->end = a->end;
	out->prot = a->prot;
	out->shared = a->flags & AREA_SHARED;
	out->growsdown = a->flags & AREA_GROWSDOWN;
	out->stack = a->start <= mm->layout.start_stack.v && mm->layout.start_stack.v < a->end;
	out->heap = mm->brk_start < mm->brk && !a->backing && !a->shm &&
		    a->start < page_up(mm->brk) && a->end > mm->brk_start;
	if (a->backing) {
		out->offset = a->offset;
		out->dev = a->backing->dev;
		out->ino = a->backing->ino;
	}
	if (a->name)
		snprintf(out->name, sizeof out->name, "%s", a->name);
	else if (a->backing && a->backing->ops->describe)
		a->backing->ops->describe(a->backing, out->name, sizeof out->name);
	else if (a->shm)
		snprintf(out->name, sizeof out->name, "/dev/zero (deleted)");
	else if (out->heap)
		snprintf(out->name, sizeof out->name, "[heap]");
	else if (out->stack)
		snprintf(out->name, sizeof out->name, "[stack]");
}

static void count_pages(struct mm *mm, const struct area *a, struct mm_area_info *out)
{
	uint64_t next;

	for (uint64_t va = a->start; va < a->end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(mm, va, &span), *table;

		next = pt_next(va, a->end, span);
		if (!level2 || !pt_read(level2))
			continue;
		table = pt_table_of(mm, level2);
		if (!table) {
			out->rss_pages += PT_ENTRIES;
			out->private_pages += PT_ENTRIES;
			continue;
		}
		for (uint64_t p = va; p < next; p += PAGE_SIZE) {
			pte_t leaf = pt_read(&table[pt_index(p, 1)]);
			uint32_t frame = leaf ? gpa_frame(mm->sys, pte_pa(leaf)) : FRAME_NONE;

			out->rss_pages += leaf != 0;
			out->private_pages += frame != FRAME_NONE && !(a->flags & AREA_SHARED) &&
					      frame_refs(mm->sys, frame) == 1;
		}
	}
}

int mm_for_each_area(struct mm *mm, bool with_rss, int (*fn)(const struct mm_area_info *, void *),
		     void *arg)
{
	struct mm_area_info info;
	int ret = 0;

	pthread_mutex_lock(&mm->lock);
	for (unsigned i = 0; i < mm->areas.n && !ret; i++) {
		describe(mm, &mm->areas.v[i], &info);
		if (with_rss)
			count_pages(mm, &mm->areas.v[i], &info);
		ret = fn(&info, arg);
	}
	pthread_mutex_unlock(&mm->lock);
	return ret;
}

void mm_get_usage(struct mm *mm, struct mm_usage *out)
{
	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&mm->lock);
	out->vm_bytes = mm->vm_pages << PAGE_SHIFT;
	out->vm_peak = mm->vm_peak << PAGE_SHIFT;
	out->rss_pages = mm->rss;
	out->rss_peak = mm->rss_peak;
	out->data_bytes = mm->data_pages << PAGE_SHIFT;
	out->stack_bytes = mm->stack_pages << PAGE_SHIFT;
	out->text_bytes = page_up(mm->layout.end_code.v) - page_down(mm->layout.start_code.v);
	out->areas = mm->areas.n;
	for (unsigned i = 0; i < mm->areas.n; i++) {
		const struct area *a = &mm->areas.v[i];
		struct mm_area_info info = {0};

		if (!a->backing && !a->shm)
			continue;
		count_pages(mm, a, &info);
		out->shared_pages += info.rss_pages - info.private_pages;
	}
	pthread_mutex_unlock(&mm->lock);
}
