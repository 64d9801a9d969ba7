/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte ring whose storage grows with its content: nothing is allocated until something is put in.
 * Not locked: the owner does that.
 */
#ifndef NACRE_RUNTIME_FS_RING_H
#define NACRE_RUNTIME_FS_RING_H

#include <stdint.h>

#include "runtime/fs/uio.h"

struct ring {
	uint8_t *buf;
	size_t size;	 /* allocated bytes, a power of two or 0 */
	size_t capacity; /* most bytes it may hold, a power of two */
	size_t head, used;
};

void ring_init(struct ring *r, size_t capacity);
void ring_free(struct ring *r);
static inline size_t ring_used(const struct ring *r) { return r->used; }
static inline size_t ring_room(const struct ring *r) { return r->capacity - r->used; }
static inline size_t ring_capacity(const struct ring *r) { return r->capacity; }
/* Make storage for n more bytes, n <= room. 0 or -ENOMEM. */
int ring_reserve(struct ring *r, size_t n);
/* -EBUSY: more than that is in it. */
int ring_set_capacity(struct ring *r, size_t capacity);
/* Append host bytes; reserved before. */
void ring_put(struct ring *r, const void *src, size_t n);
/* Copy the first n <= used bytes without taking them; take n away. */
void ring_peek(const struct ring *r, void *dst, size_t n);
void ring_drop(struct ring *r, size_t n);
/* Bytes moved (at most n; n <= used, room), short at a fault, or -errno with nothing moved. */
int64_t ring_to_uio(struct ring *r, struct uio *to, size_t n);
int64_t ring_from_uio(struct ring *r, struct uio *from, size_t n);

#endif
