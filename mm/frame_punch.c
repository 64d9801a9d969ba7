/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving free memory back to the host: fallocate(2) FALLOC_FL_PUNCH_HOLE on the arena. Groups are
 * taken off the lists while their memory goes, so that the lock is not held meanwhile.
 */
#include <fcntl.h>
#include <string.h>

#include "mm/internal.h"

static bool punch(struct frame_pool *p, uint32_t first, unsigned frames)
{
	return fallocate(p->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)first << PAGE_SHIFT, (off_t)frames << PAGE_SHIFT) == 0;
}

static void clean_group_locked(struct frame_pool *p, uint32_t g)
{
	struct group *gr = &p->group[g];

	p->free_dirty -= gr->nfree_dirty;
	gr->nfree_dirty = 0;
	memset(gr->dirty, 0, sizeof gr->dirty);
}

/* Wholly free groups, the longest unused first, adjacent ones in one call. */
static void punch_groups_locked(struct mm_system *sys)
{
	struct frame_pool *p = &sys->frames;
	uint32_t batch[64];
	unsigned n = 0;

	while (p->dirty.count > FRAME_KEEP_GROUPS && n < 64) {
		uint32_t g = p->dirty.tail, i = n++;

		frame_list_remove_locked(p, &p->dirty, g);
		p->group[g].state = GROUP_FULL;
		if (p->current == g)
			p->current = FRAME_NONE;
		for (; i && batch[i - 1] > g; i--)
			batch[i] = batch[i - 1];
		batch[i] = g;
	}
	pthread_mutex_unlock(&sys->frame_lock);
	for (unsigned i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && batch[i + run] == batch[i] + run; run++)
			;
		if (!punch(p, batch[i] * GROUP_FRAMES, run * GROUP_FRAMES))
			memset(frame_host(sys, batch[i] * GROUP_FRAMES), 0, run * BLOCK_SIZE);
	}
	pthread_mutex_lock(&sys->frame_lock);
	for (unsigned i = 0; i < n; i++) {
		clean_group_locked(p, batch[i]);
		frame_list_push_locked(p, &p->clean, batch[i], GROUP_CLEAN);
	}
}

/* Runs of free committed frames in a group that is partly in use. */
static void punch_partial_locked(struct frame_pool *p, uint32_t g)
{
	struct group *gr = &p->group[g];
	unsigned i = 0, start;

	while (i < GROUP_FRAMES) {
		for (start = i;
		     i < GROUP_FRAMES && (gr->free[i / 64] & gr->dirty[i / 64]) >> (i % 64) & 1;
		     i++)
			;
		if (i - start >= FRAME_PUNCH_RUN && punch(p, g * GROUP_FRAMES + start, i - start)) {
			for (unsigned k = start; k < i; k++)
				gr->dirty[k / 64] &= ~((uint64_t)1 << (k % 64));
			gr->nfree_dirty = (uint16_t)(gr->nfree_dirty - (i - start));
			p->free_dirty -= i - start;
		}
		i++;
	}
}

void frame_punch(struct mm_system *sys)
{
	struct frame_pool *p = &sys->frames;

	pthread_mutex_lock(&sys->frame_lock);
	if (p->dirty.count > FRAME_PUNCH_GROUPS || p->free_dirty > FRAME_KEEP_FREE)
		punch_groups_locked(sys);
	/*
	 * What is left in partly used groups is punched only when it is as much again as the bound,
	 * and the bound then moves with what could not be punched: no rescans for nothing.
	 */
	if (p->free_dirty > p->partial_bound) {
		for (uint32_t g = p->partial.head; g != FRAME_NONE; g = p->group[g].next)
			if (p->group[g].nfree_dirty >= FRAME_PUNCH_RUN)
				punch_partial_locked(p, g);
		p->partial_bound = p->free_dirty + FRAME_KEEP_FREE;
	}
	pthread_mutex_unlock(&sys->frame_lock);
}
