/* SPDX-License-Identifier: Apache-2.0 */
/* Address spaces: creation, references, teardown, and what execve records about them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/check.h"
#include "mm/edit.h"
#include "mm/ledger.h"

/* Until execve chooses: room for a stack of the usual limit and Linux's minimal gap above it. */
#define DEFAULT_MMAP_BASE (MM_TASK_SIZE - ((uint64_t)128 << 20))

int mm_create(struct mm_system *sys, struct mm **out)
{
	struct mm *mm = calloc(1, sizeof *mm);
	pte_t *root, *kernel;

	if (!mm)
		return -ENOMEM;
	mm->root = table_alloc(sys);
	if (mm->root == FRAME_NONE) {
		free(mm);
		return -ENOMEM;
	}
	mm->root_id = platform_new_root(sys->platform, frame_gpa(sys, mm->root));
	if (!mm->root_id) {
		table_free(sys, &mm->root, 1);
		free(mm);
		return -ENOMEM;
	}
	root = (pte_t *)frame_host(sys, mm->root);
	kernel = (pte_t *)frame_host(sys, sys->kernel_root);
	memcpy(root + PT_ENTRIES / 2, kernel + PT_ENTRIES / 2, PAGE_SIZE / 2);
	atomic_init(&mm->refs, 1);
	mm->sys = sys;
	mm->id = atomic_fetch_add(&sys->next_id, 1);
	mm->limit_as = mm->limit_data = UINT64_MAX;
	mm->limit_stack = (uint64_t)8 << 20;
	mm->layout.mmap_base = GVA(DEFAULT_MMAP_BASE);
	pthread_mutex_init(&mm->lock, NULL);
	if (sys->ledger)
		ledger_new_space(sys->ledger, mm);
	*out = mm;
	return 0;
}

struct mm *mm_get(struct mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
	return mm;
}

/*
 * The frames of a dying address space need no flush one by one: the platform lets go of its root, and
 * nothing ever loads it again; its tables are not reused before that is certain.
 */
static void zap_unreachable(struct mm *mm, const struct area *a)
{
	uint64_t next;

	for (uint64_t va = a->start; va < a->end; va = next) {
		uint64_t span = BLOCK_SIZE;
		pte_t *level2 = pt_level2(mm, va, &span), *table;
		unsigned n;

		next = pt_next(va, a->end, span);
		if (!level2 || !pt_read(level2))
			continue;
		table = pt_table_of(mm, level2);
		if (!table) {
			frame_put(mm->sys, gpa_frame(mm->sys, pte_pa(*level2)), PT_ENTRIES);
			*level2 = 0;
			continue;
		}
		for (uint64_t p = va; p < next; p += n * PAGE_SIZE) {
			pte_t *slot = &table[pt_index(p, 1)];
			uint32_t first = *slot ? gpa_frame(mm->sys, pte_pa(*slot)) : FRAME_NONE;

			/* Contiguous frames go in one call. */
			for (n = 1; first != FRAME_NONE && p + n * PAGE_SIZE < next && slot[n] &&
				    gpa_frame(mm->sys, pte_pa(slot[n])) == first + n;
			     n++)
				;
			if (first != FRAME_NONE)
				frame_put(mm->sys, first, n);
			memset(slot, 0, n * sizeof *slot);
		}
	}
}

void mm_teardown(struct mm *mm)
{
	struct area_list areas;
	uint32_t root;

	pthread_mutex_lock(&mm->lock);
	root = mm->root;
	areas = mm->areas;
	if (root != FRAME_NONE) {
		check_edit_locked(mm, true);
		if (mm->sys->ledger)
			ledger_drop_space(mm->sys->ledger, mm_root_id(mm));
		if (TLB_SITE(SITE_FORGET_ROOT))
			platform_forget_root(mm->sys->platform, mm_root_id(mm));
		for (unsigned i = 0; i < areas.n; i++)
			zap_unreachable(mm, &areas.v[i]);
		mm->root = FRAME_NONE;
		pt_destroy(mm->sys, root);
	}
	memset(&mm->areas, 0, sizeof mm->areas);
	mm->rss = mm->vm_pages = mm->data_pages = mm->stack_pages = mm->exec_pages = 0;
	pthread_mutex_unlock(&mm->lock);
	for (unsigned i = 0; i < areas.n; i++)
		area_refs_put(mm->sys, &areas.v[i]);
	free(areas.v);
}

void mm_put(struct mm *mm)
{
	if (!mm || atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) != 1)
		return;
	mm_teardown(mm);
	pthread_mutex_destroy(&mm->lock);
	free(mm);
}

uint64_t mm_root(const struct mm *mm)
{
	return mm->root == FRAME_NONE ? 0 : mm_root_id(mm);
}

struct mm_system *mm_system_of(struct mm *mm)
{
	return mm->sys;
}

void mm_set_layout(struct mm *mm, const struct mm_layout *layout)
{
	pthread_mutex_lock(&mm->lock);
	mm->layout = *layout;
	if (!mm->layout.mmap_base.v)
		mm->layout.mmap_base = GVA(DEFAULT_MMAP_BASE);
	pthread_mutex_unlock(&mm->lock);
}

void mm_get_layout(struct mm *mm, struct mm_layout *out)
{
	pthread_mutex_lock(&mm->lock);
	*out = mm->layout;
	pthread_mutex_unlock(&mm->lock);
}

void mm_set_limits(struct mm *mm, uint64_t as_bytes, uint64_t data_bytes, uint64_t stack_bytes)
{
	pthread_mutex_lock(&mm->lock);
	mm->limit_as = as_bytes;
	mm->limit_data = data_bytes;
	mm->limit_stack = stack_bytes;
	pthread_mutex_unlock(&mm->lock);
}
