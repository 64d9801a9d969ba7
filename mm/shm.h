/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared anonymous memory (MAP_SHARED|MAP_ANONYMOUS): the pages belong to an object, so that
 * processes related by fork agree on pages touched after the fork. The object holds one reference on
 * each of its frames; every page-table leaf holds another.
 *
 * Lock: shm.lock, below mm.lock.
 */
#ifndef NACRE_MM_SHM_H
#define NACRE_MM_SHM_H

#include "mm/internal.h"

struct shm;

struct shm *shm_create(struct mm_system *sys, uint64_t bytes);
struct shm *shm_get(struct shm *s);
void shm_put(struct shm *s);
uint64_t shm_id(const struct shm *s);
uint64_t shm_pages(const struct shm *s);
/*
 * The frame of page `index`, allocated at need, with a reference for the caller. FRAME_NONE: no memory.
 * With `allocate` false FRAME_NONE also means that the page was never touched.
 */
uint32_t shm_frame(struct shm *s, uint64_t index, bool allocate);
/* MADV_REMOVE: pages [index, index+n) read as zeroes from now on, wherever they are mapped. */
void shm_zero(struct shm *s, uint64_t index, uint64_t n);

#endif
