/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/area.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/internal.h"
#include "mm/shm.h"

unsigned area_perm(const struct area *a)
{
	return PT_USER | (a->prot & PROT_WRITE ? PT_WRITE : 0) |
	       (a->prot & PROT_EXEC ? PT_EXEC : 0);
}

unsigned area_index(const struct mm *mm, uint64_t addr)
{
	unsigned lo = 0, hi = mm->areas.n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (mm->areas.v[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct area *area_find(struct mm *mm, uint64_t addr)
{
	unsigned i = area_index(mm, addr);

	return i < mm->areas.n && mm->areas.v[i].start <= addr ? &mm->areas.v[i] : NULL;
}

bool area_overlaps(const struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned i = area_index(mm, start);

	return i < mm->areas.n && mm->areas.v[i].start < end;
}

int area_reserve(struct mm *mm, unsigned extra)
{
	struct area_list *l = &mm->areas;
	unsigned cap = l->cap ? l->cap : 32;
	struct area *v;

	if (l->n + extra > MM_MAX_AREAS)
		return -ENOMEM;
	if (l->n + extra <= l->cap)
		return 0;
	while (cap < l->n + extra)
		cap *= 2;
	v = realloc(l->v, cap * sizeof *v);
	if (!v)
		return -ENOMEM;
	l->v = v;
	l->cap = cap;
	return 0;
}

void area_account(struct mm *mm, const struct area *a, int sign)
{
	uint64_t pages = sign < 0 ? -area_pages(a) : area_pages(a);
	bool stack = a->flags & (AREA_GROWSDOWN | AREA_STACK);

	mm->vm_pages += pages;
	if (mm->vm_pages > mm->vm_peak)
		mm->vm_peak = mm->vm_pages;
	if (stack)
		mm->stack_pages += pages;
	else if (!(a->flags & AREA_SHARED) && a->prot & PROT_WRITE)
		mm->data_pages += pages;
	else if (a->prot & PROT_EXEC)
		mm->exec_pages += pages;
}

void area_refs_get(struct mm *mm, const struct area *a)
{
	if (a->backing) {
		mm_backing_get(a->backing);
		window_ref(mm->sys, a->win);
	}
	if (a->shm)
		shm_get(a->shm);
}

void area_refs_put(struct mm_system *sys, const struct area *a)
{
	if (a->backing) {
		window_put(sys, a->win);
		mm_backing_put(a->backing);
	}
	if (a->shm)
		shm_put(a->shm);
}

static void insert_at(struct mm *mm, unsigned i, const struct area *a)
{
	struct area_list *l = &mm->areas;

	memmove(&l->v[i + 1], &l->v[i], (l->n - i) * sizeof *l->v);
	l->v[i] = *a;
	l->n++;
}

void area_remove_at(struct mm *mm, unsigned i)
{
	struct area_list *l = &mm->areas;

	l->n--;
	memmove(&l->v[i], &l->v[i + 1], (l->n - i) * sizeof *l->v);
}

static bool alike(const struct area *a, const struct area *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
	       a->backing == b->backing && a->win == b->win && a->shm == b->shm &&
	       a->name == b->name &&
	       (area_anon_private(a) || a->offset + (a->end - a->start) == b->offset);
}

void area_merge(struct mm *mm, uint64_t start, uint64_t end)
{
	unsigned i = area_index(mm, start ? start - 1 : 0);

	while (i + 1 < mm->areas.n && mm->areas.v[i].start <= end) {
		struct area *a = &mm->areas.v[i];

		if (!alike(a, a + 1)) {
			i++;
			continue;
		}
		/* The neighbour holds its own references: none of these is the last. */
		area_refs_put(mm->sys, a + 1);
		a->end = a[1].end;
		area_remove_at(mm, i + 1);
	}
}

void area_insert(struct mm *mm, const struct area *a)
{
	insert_at(mm, area_index(mm, a->start), a);
	area_account(mm, a, 1);
	area_merge(mm, a->start, a->end);
}

void area_split(struct mm *mm, uint64_t addr)
{
	unsigned i = area_index(mm, addr);
	struct area upper;

	if (i == mm->areas.n || mm->areas.v[i].start >= addr)
		return;
	upper = mm->areas.v[i];
	if (!area_anon_private(&upper))
		upper.offset += addr - upper.start;
	upper.start = addr;
	area_refs_get(mm, &upper);
	mm->areas.v[i].end = addr;
	insert_at(mm, i + 1, &upper);
}
