/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "mm/internal.h"

/* Registered with the platform at a time: as much as is registered, within these bounds. */
#define WINDOW_CHUNK_MIN ((uint64_t)16 << 20)
#define WINDOW_CHUNK	 ((uint64_t)256 << 20)
#define WINDOW_ROUND	 ((uint64_t)64 << 10) /* extents are widened to this */
/* A file up to this size is mapped whole: the loader maps one library in five pieces. */
#define WINDOW_WHOLE ((uint64_t)256 << 20)
/* Idle windows kept, and the longest one worth it: they hold on to the file's disk space. */
#define WINDOW_IDLE_MAX	  48u
#define WINDOW_IDLE_BYTES ((uint64_t)64 << 20)

int window_pool_create(struct mm_system *sys, gpa_t gpa, uint64_t bytes)
{
	struct window_pool *p = &sys->windows;

	p->gpa = gpa;
	p->bytes = (bytes + WINDOW_CHUNK - 1) & ~(WINDOW_CHUNK - 1);
	p->host =
		mmap(NULL, p->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->host == MAP_FAILED) {
		p->host = NULL;
		return -errno;
	}
	return 0;
}

/* Powers of two that add up to WINDOW_CHUNK, then WINDOW_CHUNK: the span is a multiple of it. */
static uint64_t chunk_bytes(uint64_t start)
{
	return start < WINDOW_CHUNK_MIN ? WINDOW_CHUNK_MIN
	       : start > WINDOW_CHUNK	? WINDOW_CHUNK
					: start;
}

static int register_to_locked(struct mm_system *sys, uint64_t end)
{
	struct window_pool *p = &sys->windows;

	while (p->registered < end) {
		uint64_t n = chunk_bytes(p->registered);
		int ret = platform_map_memory(sys->platform, GPA(p->gpa.v + p->registered),
					      p->host + p->registered, n, true);

		if (ret < 0)
			return -ENOMEM;
		p->registered += n;
	}
	return 0;
}

static unsigned bucket_of(uint64_t dev, uint64_t ino)
{
	return (unsigned)((ino * 0x9e3779b97f4a7c15u ^ dev) >> 40) % WINDOW_BUCKETS;
}

static void idle_remove_locked(struct window_pool *p, struct window *w)
{
	*(w->idle_prev ? &w->idle_prev->idle_next : &p->idle_head) = w->idle_next;
	*(w->idle_next ? &w->idle_next->idle_prev : &p->idle_tail) = w->idle_prev;
	w->idle_prev = w->idle_next = NULL;
	p->idle--;
}

static void idle_push_locked(struct window_pool *p, struct window *w)
{
	w->idle_prev = NULL;
	w->idle_next = p->idle_head;
	*(p->idle_head ? &p->idle_head->idle_prev : &p->idle_tail) = w;
	p->idle_head = w;
	p->idle++;
}

/* Index of the first window at or above base. */
static unsigned lower_bound_locked(const struct window_pool *p, uint64_t base)
{
	unsigned lo = 0, hi = p->count;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (p->by_base[mid]->base < base)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void destroy_locked(struct window_pool *p, struct window *w)
{
	struct window **link = &p->bucket[bucket_of(w->dev, w->ino)];
	unsigned at = lower_bound_locked(p, w->base);

	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	p->count--;
	memmove(&p->by_base[at], &p->by_base[at + 1], (p->count - at) * sizeof(struct window *));
	mmap(p->host + w->base, w->len, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	free(w);
}

/* The lowest gap of len bytes; leaves its index in by_base in *at. */
static bool find_gap_locked(const struct window_pool *p, uint64_t len, uint64_t *base, unsigned *at)
{
	uint64_t from = 0;
	unsigned i;

	for (i = 0; i < p->count && p->by_base[i]->base - from < len; i++)
		from = p->by_base[i]->base + p->by_base[i]->len;
	*base = from;
	*at = i;
	return from <= p->bytes && len <= p->bytes - from;
}

static bool make_gap_locked(struct window_pool *p, uint64_t len, uint64_t *base, unsigned *at)
{
	while (!find_gap_locked(p, len, base, at)) {
		struct window *w = p->idle_tail;

		if (!w)
			return false;
		idle_remove_locked(p, w);
		destroy_locked(p, w);
	}
	return true;
}

static bool grow_index_locked(struct window_pool *p)
{
	unsigned cap = p->cap ? p->cap * 2 : 64;
	struct window **v;

	if (p->count < p->cap)
		return true;
	v = realloc(p->by_base, cap * sizeof *v);
	if (!v)
		return false;
	p->by_base = v;
	p->cap = cap;
	return true;
}

static struct window *lookup_locked(struct window_pool *p, const struct stat *st, uint64_t off,
				    uint64_t len, bool writable)
{
	struct window *w;

	for (w = p->bucket[bucket_of(st->st_dev, st->st_ino)]; w; w = w->next)
		if (w->dev == st->st_dev && w->ino == st->st_ino && (w->writable || !writable) &&
		    w->off <= off && off + len <= w->off + w->len)
			return w;
	return NULL;
}

/* Which extent to map for a request, given the file's size. */
static void choose_extent(uint64_t size, uint64_t *off, uint64_t *len)
{
	uint64_t end = *off + *len;

	if (size <= WINDOW_WHOLE && end <= WINDOW_WHOLE) {
		*off = 0;
		end = end > size ? end : size;
	}
	*off &= ~(WINDOW_ROUND - 1);
	end = (end + WINDOW_ROUND - 1) & ~(WINDOW_ROUND - 1);
	*len = end - *off;
}

static int create_locked(struct mm_system *sys, int fd, const struct stat *st, uint64_t off,
			 uint64_t len, bool writable, struct window **out)
{
	struct window_pool *p = &sys->windows;
	struct window **bucket = &p->bucket[bucket_of(st->st_dev, st->st_ino)], *w;
	unsigned at;
	uint64_t base;

	choose_extent(S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0, &off, &len);
	if (!grow_index_locked(p) || !make_gap_locked(p, len, &base, &at) ||
	    register_to_locked(sys, base + len) < 0)
		return -ENOMEM;
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	if (mmap(p->host + base, len, PROT_READ | (writable ? PROT_WRITE : 0),
		 MAP_SHARED | MAP_FIXED, fd, (off_t)off) == MAP_FAILED) {
		int err = errno;

		free(w);
		return -err;
	}
	*w = (struct window){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.writable = writable,
		.worth_keeping = !writable && st->st_nlink && len <= WINDOW_IDLE_BYTES,
		.off = off,
		.len = len,
		.base = base,
		.next = *bucket,
	};
	*bucket = w;
	memmove(&p->by_base[at + 1], &p->by_base[at], (p->count - at) * sizeof(struct window *));
	p->by_base[at] = w;
	p->count++;
	*out = w;
	return 0;
}

int window_get(struct mm_system *sys, const struct mm_backing *b, uint64_t off, uint64_t len,
	       bool writable, struct window **out)
{
	struct window_pool *p = &sys->windows;
	struct window *w;
	struct stat st;
	int ret = 0;

	if (fstat(b->fd, &st) < 0)
		return -errno;
	pthread_mutex_lock(&p->lock);
	w = lookup_locked(p, &st, off, len, writable);
	if (!w)
		ret = create_locked(sys, b->fd, &st, off, len, writable, &w);
	else if (!w->refs)
		idle_remove_locked(p, w);
	if (!ret) {
		w->refs++;
		*out = w;
	}
	pthread_mutex_unlock(&p->lock);
	return ret;
}

void window_ref(struct mm_system *sys, struct window *w)
{
	pthread_mutex_lock(&sys->windows.lock);
	w->refs++;
	pthread_mutex_unlock(&sys->windows.lock);
}

void window_put(struct mm_system *sys, struct window *w)
{
	struct window_pool *p = &sys->windows;

	pthread_mutex_lock(&p->lock);
	if (!--w->refs) {
		if (!w->worth_keeping) {
			destroy_locked(p, w);
		} else {
			idle_push_locked(p, w);
			if (p->idle > WINDOW_IDLE_MAX) {
				w = p->idle_tail;
				idle_remove_locked(p, w);
				destroy_locked(p, w);
			}
		}
	}
	pthread_mutex_unlock(&p->lock);
}

void mm_system_drop_idle(struct mm_system *sys, uint64_t dev, uint64_t ino)
{
	struct window_pool *p = &sys->windows;
	struct window *w, *prev;

	pthread_mutex_lock(&p->lock);
	for (w = p->idle_tail; w; w = prev) {
		prev = w->idle_prev;
		if (w->dev == dev && (!ino || w->ino == ino)) {
			idle_remove_locked(p, w);
			destroy_locked(p, w);
		}
	}
	pthread_mutex_unlock(&p->lock);
}

void window_pool_destroy(struct mm_system *sys)
{
	struct window_pool *p = &sys->windows;

	while (p->count)
		destroy_locked(p, p->by_base[p->count - 1]);
	for (uint64_t at = 0; at < p->registered; at += chunk_bytes(at))
		platform_unmap_memory(sys->platform, GPA(p->gpa.v + at), chunk_bytes(at));
	if (p->host)
		munmap(p->host, p->bytes);
	free(p->by_base);
}
