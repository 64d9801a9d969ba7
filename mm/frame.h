/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames: 4 KiB pages of the arena, numbered from 0. Runs are handed out contiguous wherever the
 * free space allows it, because invalidation works on contiguous host runs.
 *
 * The arena is cut into groups of 512 frames (2 MiB). Groups never used are known to hold zeroes
 * (the memfd is sparse); in the others a bit per frame says whether it must be cleared before it is
 * handed out. Groups that become wholly free are punched out of the memfd in batches. The arena is
 * registered with the platform in chunks, when the allocator first reaches them: the hypervisor's
 * own bookkeeping grows with what is registered.
 *
 * Lock: mm_system.frame_lock, a leaf; everything here takes it itself. Reference counts are atomic.
 */
#ifndef NACRE_MM_FRAME_H
#define NACRE_MM_FRAME_H

#include <pthread.h>
#include <stdatomic.h>

#include "mm/mm.h"

#define FRAME_NONE   UINT32_MAX
#define GROUP_FRAMES 512u

/*
 * `pins` counts host system calls that use the frame (mm_pin). Each pin also holds a reference.
 * Immutable after creation otherwise.
 */
struct frame {
	_Atomic uint32_t refs;
	_Atomic uint32_t pins;
};

enum group_state {
	GROUP_UNTOUCHED, /* above the high-water mark */
	GROUP_PARTIAL,	 /* on the partial list */
	GROUP_FULL,	 /* on no list */
	GROUP_DIRTY,	 /* wholly free, memory still committed: on the dirty list */
	GROUP_CLEAN,	 /* wholly free and punched out: on the clean list */
	GROUP_TABLES,	 /* belongs to the page-table pool or to a fixed run, for good */
};

struct group {
	uint64_t free[GROUP_FRAMES / 64];  /* bit set: free */
	uint64_t dirty[GROUP_FRAMES / 64]; /* bit set: may hold something but zeroes */
	uint16_t nfree;
	uint16_t nfree_dirty;
	uint8_t state;
	uint32_t prev, next; /* list links, FRAME_NONE ends */
};

struct group_list {
	uint32_t head, tail, count;
};

/* Protected by mm_system.frame_lock unless said otherwise. */
struct frame_pool {
	int fd;			/* the memfd; immutable */
	char *host;		/* base of its mapping; immutable */
	gpa_t gpa;		/* where the guest sees it; immutable */
	uint32_t nframes;	/* immutable */
	uint32_t ngroups;	/* immutable */
	struct frame *frame;	/* nframes of them, lazily faulted */
	struct group *group;	/* ngroups of them, lazily faulted */
	uint32_t high_water;	/* groups from here on were never used */
	uint32_t registered;	/* groups the platform knows about */
	uint32_t current;	/* group the last run came from, or FRAME_NONE */
	uint32_t free_dirty;	/* committed frames that are free */
	uint32_t partial_bound; /* of them, before partly used groups are scanned for punching */
	struct group_list partial, dirty, clean;
	_Atomic uint32_t used;
	uint32_t peak;
};

int frame_pool_create(struct mm_system *sys, uint64_t bytes);
void frame_pool_destroy(struct mm_system *sys);

/*
 * Allocate up to `want` contiguous frames, each with one reference; zeroed if asked. Returns how many
 * (at least 1) with the first in *first, or 0: no frame left.
 */
unsigned frame_alloc(struct mm_system *sys, unsigned want, bool zero, uint32_t *first);
/* A whole aligned 2 MiB of zeroed frames, one reference each. False: none to spare. */
bool frame_alloc_block(struct mm_system *sys, uint32_t *first);
/* `groups` whole adjacent groups, zeroed, taken out of circulation for good. FRAME_NONE: none. */
uint32_t frame_take_groups(struct mm_system *sys, unsigned groups);

void frame_get(struct mm_system *sys, uint32_t frame);
/* Drop one reference on each of `n` frames; those that reach zero are free. */
void frame_put(struct mm_system *sys, uint32_t first, unsigned n);
unsigned frame_refs(struct mm_system *sys, uint32_t frame);

/* Enough left to populate ahead of demand? */
bool frame_plenty(struct mm_system *sys);

/* Return committed free memory to the host when there is much of it. Called without frame_lock. */
void frame_punch(struct mm_system *sys);

/* For frame_punch.c: the lists, with frame_lock held. */
void frame_list_remove_locked(struct frame_pool *p, struct group_list *list, uint32_t g);
void frame_list_push_locked(struct frame_pool *p, struct group_list *list, uint32_t g,
			    enum group_state state);
#define FRAME_KEEP_GROUPS  2u	 /* wholly free groups that stay committed: 4 MiB */
#define FRAME_PUNCH_GROUPS 4u	 /* ... until this many are, and a batch goes at once */
#define FRAME_KEEP_FREE	   2048u /* committed free frames (8 MiB) that scattered groups may hold */
#define FRAME_PUNCH_RUN	   16u	 /* and the shortest run worth a system call then */

#endif
