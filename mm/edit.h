/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An edit: one operation's changes to an address space's page table, from taking the lock to
 * dropping it. It collects what must be flushed and what may be released after that.
 *
 *   edit_begin(&e, mm);             takes mm.lock
 *   ... edit_fill, edit_clear, edit_perm, edit_repoint ...
 *   edit_end(&e);                   flushes, then releases, then unlocks
 *
 * Nested paging: edit_end() stages the calling thread's own flush (mm/tlb.h), has the other vCPUs
 * flush, and hands frames and windows to the thread's gather list, which mm_flush_executed()
 * releases. Shadow paging: it invalidates the old frames through the platform, merging contiguous
 * host runs, and releases at once.
 */
#ifndef NACRE_MM_EDIT_H
#define NACRE_MM_EDIT_H

#include "mm/pt.h"
#include "mm/tlb.h"

/* Shadow paging: more separate host runs than this, and forgetting everything is cheaper. */
#define EDIT_RUNS 64u
#define EDIT_PUTS 128u
#define EDIT_DEAD 8u

struct host_run {
	char *at;
	uint64_t len;
};
struct frame_run {
	uint32_t first, n;
};

struct edit {
	struct mm *mm;
	struct tlb_request req; /* what changed under a live translation: merged as in the slot */
	bool exec;
	bool changed; /* anything at all since the last commit */
	bool owed;    /* another thread's flush of this address space may not have executed yet */
	bool lost;    /* some translation allowed more than now: other vCPUs must flush too */
	struct host_run run[EDIT_RUNS]; /* shadow: host pages behind those translations */
	unsigned nruns;
	bool runs_overflow;
	struct frame_run put[EDIT_PUTS]; /* a reference to drop on each, after the flush */
	unsigned nputs;
	bool waited;			 /* some of it went to the gather list */
	struct area *dead;		 /* removed areas, whose references go after the flush */
	unsigned ndead, cap_dead;
	struct area dead_inline[EDIT_DEAD];
};

void edit_begin(struct edit *e, struct mm *mm);
/* After it no vCPU can use what the edit took away once the caller's own flush has run. */
void edit_end(struct edit *e);
/* Flush and release what has been collected so far, keeping the lock. */
void edit_sync(struct edit *e);

/* The entry is vacant. The reference to the page behind `entry` becomes the entry's. */
void edit_fill(struct edit *e, pte_t *slot, uint64_t va, pte_t entry);
void edit_fill_block(struct edit *e, pte_t *level2, uint64_t va, pte_t entry);
/* Remove a page; its reference is dropped after the flush. */
void edit_clear(struct edit *e, pte_t *slot, uint64_t va);
void edit_clear_block(struct edit *e, pte_t *level2, uint64_t va);
/* Other permissions for the same page; `hold`: none at all. */
void edit_perm(struct edit *e, pte_t *slot, uint64_t va, unsigned perm, bool hold);
void edit_perm_block(struct edit *e, pte_t *level2, uint64_t va, unsigned perm, bool hold);
/* Another page in place of a live one. The new reference becomes the entry's. */
void edit_repoint(struct edit *e, pte_t *slot, uint64_t va, pte_t entry);
/*
 * Break-before-make: hold the page's entry, so that after edit_settle() edit_repoint() or edit_perm()
 * may make another one. Several pages share one flush that way.
 */
void edit_break(struct edit *e, pte_t *slot, uint64_t va);
/* Have everything collected or staged so far flushed on every vCPU, now. */
void edit_settle(struct edit *e);
/* fork: take write permission away; either size. */
void edit_wrprotect(struct edit *e, pte_t *slot, uint64_t va, bool block);
/* Take a page out of one place to fill another with it: its reference moves along. */
pte_t edit_take(struct edit *e, pte_t *slot, uint64_t va, bool block);

/* Room for `n` more removed areas. 0 or -ENOMEM. */
int edit_reserve_dead(struct edit *e, unsigned n);
/* Remove area i; its references go after the flush. Room was reserved. */
void edit_kill_area(struct edit *e, unsigned i);

/* Clear every leaf in [start, end). Blocks cut by the bounds have been split. zap.c */
void edit_zap(struct edit *e, uint64_t start, uint64_t end);
/*
 * Remove the areas of [start, end), not yet their pages. 0 or -ENOMEM with nothing changed.
 * `extra`: areas the caller will insert afterwards.
 */
int edit_unmap_areas(struct edit *e, uint64_t start, uint64_t end, unsigned extra);
/* The same with their pages. */
int edit_unmap(struct edit *e, uint64_t start, uint64_t end, unsigned extra);

/* ---- gather.c: the thread's list of what waits for its own flush ---- */

void gather_frames(struct mm_system *sys, const struct frame_run *runs, unsigned n);
void gather_window(struct mm_system *sys, struct window *w);
/* The slot has been taken or cleared: what is on the list waits for that flush. */
void gather_taken(void);
/* Does the calling thread hold frames back? (Running it once would free them.) */
bool gather_pending(void);

#endif
