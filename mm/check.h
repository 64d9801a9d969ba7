/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants of an address space, checked by the tests after every operation. */
#ifndef NACRE_MM_CHECK_H
#define NACRE_MM_CHECK_H

#include "mm/mm.h"

/*
 * Areas are sorted, disjoint, not empty and account for vm_pages; every leaf lies in an area, grants
 * no more than it, names a page that is in use, and together they are rss. NULL, or what is wrong.
 */
const char *mm_check_invariants(struct mm *mm);
/*
 * The same with mm.lock held. `alone`: no other thread runs, so that a private page may be expected
 * to have one reference, where an unpin (mm_unpin()) could be half done.
 */
const char *check_invariants_locked(struct mm *mm, bool alone);

/*
 * An edit ends, or (`last`) an address space is about to be torn down; mm.lock is held. Builds with
 * --enable-debug check the invariants at every CHECK_EVERYth edit and at the end, unless there are more
 * leaves than CHECK_LEAVES to look at, and abort if one does not hold. Others do nothing. The build
 * chooses check_always.c or check_never.c.
 */
void check_edit_locked(struct mm *mm, bool last);
#define CHECK_EVERY 32u
#define CHECK_LEAVES 16384u

#endif
