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

#endif
