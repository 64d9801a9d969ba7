/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Areas (VMAs): a sorted array of disjoint intervals. mm.lock is held for everything here. Pointers
 * into the array are good until the next insertion, removal, split or merge.
 */
#ifndef NACRE_MM_AREA_H
#define NACRE_MM_AREA_H

#include "mm/mm.h"

struct window;
struct shm;

#define AREA_SHARED	(1u << 0)
#define AREA_GROWSDOWN	(1u << 1)
#define AREA_LOCKED	(1u << 2)
#define AREA_NORESERVE	(1u << 3)
#define AREA_DONTFORK	(1u << 4)
#define AREA_WIPEONFORK (1u << 5)
#define AREA_DONTDUMP	(1u << 6)
#define AREA_NOHUGE	(1u << 7)
#define AREA_STACK	(1u << 8) /* counts as stack: RLIMIT_DATA does not apply */

struct area {
	uint64_t start, end;
	unsigned prot;	/* PROT_READ | PROT_WRITE | PROT_EXEC */
	unsigned flags; /* AREA_* */
	/* References, one per area: backing and win together, or shm, or none (private anonymous). */
	struct mm_backing *backing;
	struct window *win;
	struct shm *shm;
	uint64_t offset; /* bytes into backing or shm */
	const char *name;
};

struct area_list {
	struct area *v;
	unsigned n, cap;
};

static inline uint64_t area_pages(const struct area *a)
{
	return (a->end - a->start) >> PAGE_SHIFT;
}

static inline bool area_anon_private(const struct area *a)
{
	return !a->backing && !a->shm;
}

/* Offset into the area's object of the page at va. */
static inline uint64_t area_offset(const struct area *a, uint64_t va)
{
	return a->offset + (va - a->start);
}

/* The leaf permissions the area grants a page it may write to. */
unsigned area_perm(const struct area *a);

/* Index of the first area that ends above addr (may be past the last). */
unsigned area_index(const struct mm *mm, uint64_t addr);
/* The area that contains addr, or NULL. */
struct area *area_find(struct mm *mm, uint64_t addr);
/* Does any area intersect [start, end)? */
bool area_overlaps(const struct mm *mm, uint64_t start, uint64_t end);

/* Make sure that `extra` areas can be added without failing. 0 or -ENOMEM (the count limit too). */
int area_reserve(struct mm *mm, unsigned extra);
/*
 * Add an area whose room was reserved, joining it with neighbours as Linux does. Takes over its
 * references. The interval is free.
 */
void area_insert(struct mm *mm, const struct area *a);
/* Cut the area that contains addr strictly inside; room for one was reserved. */
void area_split(struct mm *mm, uint64_t addr);
/* Join neighbours that have become alike in and around [start, end). */
void area_merge(struct mm *mm, uint64_t start, uint64_t end);
/* Drop area i without touching its references or its pages. */
void area_remove_at(struct mm *mm, unsigned i);
/* Move an area's bounds or flags' accounting: call with sign -1 before the change, +1 after it. */
void area_account(struct mm *mm, const struct area *a, int sign);

void area_refs_get(struct mm *mm, const struct area *a);
void area_refs_put(struct mm_system *sys, const struct area *a);

#endif
