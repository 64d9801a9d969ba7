/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File windows: host mappings of file extents inside one reserved span of host address space that is
 * also a span of guest-physical space. A page of a mapped file is thus the host's page cache itself,
 * shared by every process of every container that maps it.
 *
 * A window holds no descriptor: the host mapping keeps the file, and so the {dev, ino} by which
 * windows are found cannot be reused while it stands. Every area of a file holds a reference to the
 * one window that covers its extent. Windows nobody refers to are kept for a while, since each
 * process start maps the same libraries, but not those of deleted or writable files, nor large
 * or many ones.
 *
 * Reading a window may raise SIGBUS (the file was truncated): only through mm/guarded_copy.h.
 *
 * Lock: window_pool.lock, below mm.lock.
 */
#ifndef NACRE_MM_WINDOW_H
#define NACRE_MM_WINDOW_H

#include <pthread.h>

#include "mm/mm.h"

struct window {
	struct window *next; /* hash chain */
	struct window *idle_prev, *idle_next;
	uint64_t dev, ino;  /* the host's, by fstat(2): what a guest sees may be made up */
	bool writable;	    /* host mapping is writable */
	bool worth_keeping; /* when idle */
	uint64_t off, len;  /* extent of the file, bytes */
	uint64_t base;	    /* offset into the span */
	unsigned refs;
};

#define WINDOW_BUCKETS 256u

struct window_pool {
	pthread_mutex_t lock;
	char *host;	/* base of the reserved span; immutable */
	gpa_t gpa;	/* where the guest sees it; immutable */
	uint64_t bytes; /* immutable */
	uint64_t registered;
	struct window *bucket[WINDOW_BUCKETS];
	struct window **by_base; /* sorted by base */
	unsigned count, cap;
	struct window *idle_head, *idle_tail; /* most recently idle first */
	unsigned idle;
};

int window_pool_create(struct mm_system *sys, gpa_t gpa, uint64_t bytes);
void window_pool_destroy(struct mm_system *sys);

/*
 * A window that covers [off, off+len) of the backing, new or shared. `writable`: stores must reach the
 * file. 0 or -errno as mmap(2).
 */
int window_get(struct mm_system *sys, const struct mm_backing *b, uint64_t off, uint64_t len,
	       bool writable, struct window **out);
void window_ref(struct mm_system *sys, struct window *w);
/* The last reference may go only when no vCPU can hold a translation into the window. */
void window_put(struct mm_system *sys, struct window *w);

#endif
