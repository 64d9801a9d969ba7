/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page-table pages: whole groups of the arena that never hold data again, so that no stale or forged
 * data page is ever walked as a table.
 *
 * Shadow paging: the hypervisor remembers what a page-table page held when it last walked it, and
 * does not see the host rewrite it. A page given to another address space too early would show that
 * one the memory of the first. So freed pages stay in limbo until platform_drop_tables(), which
 * costs 31 us and makes every address space fault its shadow in again: done once for many pages.
 */
#include <stdlib.h>
#include <string.h>

#include "mm/edit.h"
#include "mm/internal.h"

#define TABLE_LIMBO 512u /* pages: 2 MiB, the tables of some 40 processes */

static bool push(uint32_t **v, uint32_t *n, uint32_t *cap, uint32_t page)
{
	if (*n == *cap) {
		uint32_t want = *cap ? *cap * 2 : 256;
		uint32_t *grown = realloc(*v, want * sizeof **v);

		if (!grown)
			return false;
		*v = grown;
		*cap = want;
	}
	(*v)[(*n)++] = page;
	return true;
}

/* A page that cannot be recorded for want of host memory is lost, which is safe. */
static void recycle_locked(struct mm_system *sys, uint32_t page)
{
	struct table_pool *t = &sys->tables;

	if (push(&t->free, &t->nfree, &t->free_cap, page))
		count(&sys->n.tables_recycled, 1);
}

static void drop_shadows_locked(struct mm_system *sys)
{
	struct table_pool *t = &sys->tables;

	if (TLB_SITE(SITE_TABLE_DROP)) {
		platform_drop_tables(sys->platform);
		count(&sys->n.shadow_drops, 1);
	}
	while (t->nlimbo)
		recycle_locked(sys, t->limbo[--t->nlimbo]);
}

void table_drop_shadows(struct mm_system *sys)
{
	pthread_mutex_lock(&sys->table_lock);
	drop_shadows_locked(sys);
	pthread_mutex_unlock(&sys->table_lock);
}

uint32_t table_alloc(struct mm_system *sys)
{
	struct table_pool *t = &sys->tables;
	uint32_t page = FRAME_NONE;
	bool zero = false;

	pthread_mutex_lock(&sys->table_lock);
	if (!t->nfree && t->fresh == t->fresh_end) {
		uint32_t group = frame_take_groups(sys, 1);

		if (group != FRAME_NONE) {
			t->fresh = group;
			t->fresh_end = group + GROUP_FRAMES;
		} else if (t->nlimbo) {
			drop_shadows_locked(sys);
		}
	}
	if (t->nfree) {
		page = t->free[--t->nfree];
		zero = true;
	} else if (t->fresh < t->fresh_end) {
		page = t->fresh++;
	}
	if (page != FRAME_NONE)
		t->pages++;
	pthread_mutex_unlock(&sys->table_lock);
	if (zero)
		memset(frame_host(sys, page), 0, PAGE_SIZE);
	return page;
}

void table_free(struct mm_system *sys, const uint32_t *pages, unsigned n)
{
	struct table_pool *t = &sys->tables;

	pthread_mutex_lock(&sys->table_lock);
	t->pages -= n;
	for (unsigned i = 0; i < n; i++)
		if (!sys->shadow)
			recycle_locked(sys, pages[i]);
		else
			push(&t->limbo, &t->nlimbo, &t->limbo_cap, pages[i]);
	if (t->nlimbo >= TABLE_LIMBO)
		drop_shadows_locked(sys);
	pthread_mutex_unlock(&sys->table_lock);
}

void table_pool_destroy(struct mm_system *sys)
{
	free(sys->tables.free);
	free(sys->tables.limbo);
}
