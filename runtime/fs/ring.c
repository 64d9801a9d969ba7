/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 4096u /* first allocation, bytes */

void ring_init(struct ring *r, size_t capacity)
{
	*r = (struct ring){.capacity = capacity};
}

void ring_free(struct ring *r)
{
	free(r->buf);
	ring_init(r, r->capacity);
}

/* Contiguous bytes from offset `at`, at most n. */
static size_t ring_run(const struct ring *r, size_t at, size_t n)
{
	return r->size - at < n ? r->size - at : n;
}

static int ring_resize(struct ring *r, size_t size)
{
	uint8_t *buf = malloc(size);

	if (!buf)
		return -ENOMEM;
	if (r->used)
		ring_peek(r, buf, r->used);
	free(r->buf);
	r->buf = buf;
	r->size = size;
	r->head = 0;
	return 0;
}

int ring_reserve(struct ring *r, size_t n)
{
	size_t size = r->size ? r->size : RING_FIRST;

	while (size < r->used + n)
		size *= 2;
	return size == r->size ? 0 : ring_resize(r, size);
}

int ring_set_capacity(struct ring *r, size_t capacity)
{
	if (r->used > capacity)
		return -EBUSY;
	if (r->size > capacity && ring_resize(r, capacity))
		return -ENOMEM;
	r->capacity = capacity;
	return 0;
}

void ring_put(struct ring *r, const void *src, size_t n)
{
	size_t tail = (r->head + r->used) & (r->size - 1);
	size_t run = ring_run(r, tail, n);

	memcpy(r->buf + tail, src, run);
	memcpy(r->buf, (const uint8_t *)src + run, n - run);
	r->used += n;
}

void ring_peek(const struct ring *r, void *dst, size_t n)
{
	size_t run = ring_run(r, r->head, n);

	memcpy(dst, r->buf + r->head, run);
	memcpy((uint8_t *)dst + run, r->buf, n - run);
}

void ring_drop(struct ring *r, size_t n)
{
	r->used -= n;
	/* Starting over at 0 keeps a ring that is drained each time within its first pages. */
	r->head = r->used ? (r->head + n) & (r->size - 1) : 0;
}

int64_t ring_to_uio(struct ring *r, struct uio *to, size_t n)
{
	size_t done = 0;

	if (n > r->used)
		n = r->used;
	while (done < n) {
		size_t run = ring_run(r, r->head, n - done);
		int64_t got = uio_write_to_guest(to, r->buf + r->head, run);

		if (got <= 0)
			return done ? (int64_t)done : got;
		ring_drop(r, (size_t)got);
		done += (size_t)got;
		if ((size_t)got < run)
			break;
	}
	return (int64_t)done;
}

int64_t ring_from_uio(struct ring *r, struct uio *from, size_t n)
{
	size_t done = 0;
	int ret = ring_reserve(r, n);

	if (ret)
		return ret;
	while (done < n) {
		size_t tail = (r->head + r->used) & (r->size - 1);
		size_t run = ring_run(r, tail, n - done);
		int64_t got = uio_read_from_guest(from, r->buf + tail, run);

		if (got <= 0)
			return done ? (int64_t)done : got;
		r->used += (size_t)got;
		done += (size_t)got;
		if ((size_t)got < run)
			break;
	}
	return (int64_t)done;
}
