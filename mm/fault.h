/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making pages present, inside an edit. All of these populate ahead of demand within the area, as
 * far as mm/internal.h's constants and the memory left allow.
 */
#ifndef NACRE_MM_FAULT_H
#define NACRE_MM_FAULT_H

#include "mm/edit.h"

/* mm_fault() with the lock held; also grows stacks. */
int fault_resolve(struct edit *e, uint64_t va, unsigned access);

/*
 * The host address of the byte at va, present and accessible as asked; NULL: *err is what mm_fault()
 * says. `force` ignores the area's missing write permission (private areas only).
 */
char *fault_host(struct edit *e, uint64_t va, unsigned access, bool force, int *err);

/*
 * Map every page of [start, end) that is missing and can be had; read-only where a copy would be
 * needed. Stops quietly when memory runs out.
 */
void fault_populate(struct edit *e, uint64_t start, uint64_t end);
/* Copy a private file area's pages now, mapped as the area allows. */
void fault_copy_data(struct edit *e, const struct area *a, uint64_t start, uint64_t end);

/* cow.c: give the mm its own copy at va (and around it, with `around`). 0, -ENXIO, -ENOMEM. */
int cow_break(struct edit *e, const struct area *a, uint64_t va, bool around);

/* No other address space has this frame of ours (host system calls on it do not count). */
bool cow_exclusive(struct mm_system *sys, uint32_t frame);

/* block.c: a 2 MiB block at va, if area, memory and tables allow. */
bool block_populate(struct edit *e, const struct area *a, uint64_t va);
/* A store to a block that is not writable: make it so, or split it. 0 or -ENOMEM. */
int block_write_fault(struct edit *e, const struct area *a, uint64_t va);

/* The first byte past the last page the file has now; ~0 for areas without a file. */
uint64_t fault_file_end(const struct area *a);
/* The leaf for a page of the area's window. */
pte_t fault_window_leaf(struct mm *mm, const struct area *a, uint64_t va);

#endif
