/* SPDX-License-Identifier: Apache-2.0 */
/* Where mappings go and whether they may: shared by mmap, brk and mremap. The lock is held. */
#ifndef NACRE_MM_MAP_H
#define NACRE_MM_MAP_H

#include "mm/edit.h"

/*
 * A free range of len bytes: at the hint if that is free, else the highest below the mmap base, else
 * the lowest above a third of the address space. The address or -ENOMEM. `low`: below 2 GiB (MAP_32BIT);
 * `align`: PAGE_SIZE or BLOCK_SIZE.
 */
int64_t place_find(struct mm *mm, uint64_t hint, uint64_t len, bool low, uint64_t align);
/* Is [start, end) free, the guard gap of a stack above included? */
bool place_free(const struct mm *mm, uint64_t start, uint64_t end);

/* Would `pages` more pages of this kind pass RLIMIT_AS or RLIMIT_DATA? `gone`: pages replaced. */
bool map_within_limits(const struct mm *mm, uint64_t pages, unsigned prot, unsigned area_flags,
		       uint64_t gone);
/* Pages of areas inside [start, end). */
uint64_t map_pages_in(const struct mm *mm, uint64_t start, uint64_t end);

#endif
