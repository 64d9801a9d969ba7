/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/shm.h"

#include <stdlib.h>
#include <string.h>

#define LEAF_PAGES 1024u /* frame numbers in one leaf of the object's index */

struct shm {
	atomic_uint refs;
	struct mm_system *sys; /* immutable */
	uint64_t id, pages;    /* immutable */
	pthread_mutex_t lock;
	uint32_t **leaf; /* frame number + 1, 0: never touched */
};

struct shm *shm_create(struct mm_system *sys, uint64_t bytes)
{
	struct shm *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->sys = sys;
	s->pages = bytes >> PAGE_SHIFT;
	s->leaf = calloc((s->pages + LEAF_PAGES - 1) / LEAF_PAGES, sizeof *s->leaf);
	if (!s->leaf) {
		free(s);
		return NULL;
	}
	s->id = atomic_fetch_add(&sys->next_id, 1);
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

struct shm *shm_get(struct shm *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void shm_put(struct shm *s)
{
	uint64_t leaves = (s->pages + LEAF_PAGES - 1) / LEAF_PAGES;

	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint64_t i = 0; i < leaves; i++) {
		for (unsigned k = 0; s->leaf[i] && k < LEAF_PAGES; k++)
			if (s->leaf[i][k])
				frame_put(s->sys, s->leaf[i][k] - 1, 1);
		free(s->leaf[i]);
	}
	free(s->leaf);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t shm_id(const struct shm *s)
{
	return s->id;
}

uint64_t shm_pages(const struct shm *s)
{
	return s->pages;
}

static uint32_t *entry_locked(struct shm *s, uint64_t index, bool allocate)
{
	uint32_t **leaf = &s->leaf[index / LEAF_PAGES];

	if (!*leaf && allocate)
		*leaf = calloc(LEAF_PAGES, sizeof **leaf);
	return *leaf ? &(*leaf)[index % LEAF_PAGES] : NULL;
}

uint32_t shm_frame(struct shm *s, uint64_t index, bool allocate)
{
	uint32_t *entry, frame = FRAME_NONE;

	pthread_mutex_lock(&s->lock);
	entry = entry_locked(s, index, allocate);
	if (entry && *entry)
		frame = *entry - 1;
	else if (entry && allocate && frame_alloc(s->sys, 1, true, &frame))
		*entry = frame + 1;
	if (frame != FRAME_NONE)
		frame_get(s->sys, frame);
	pthread_mutex_unlock(&s->lock);
	return frame;
}

void shm_zero(struct shm *s, uint64_t index, uint64_t n)
{
	pthread_mutex_lock(&s->lock);
	for (uint64_t i = index; i < index + n && i < s->pages; i++) {
		uint32_t *entry = entry_locked(s, i, false);

		if (!entry || !*entry)
			continue;
		if (frame_refs(s->sys, *entry - 1) == 1) {
			frame_put(s->sys, *entry - 1, 1);
			*entry = 0;
		} else {
			memset(frame_host(s->sys, *entry - 1), 0, PAGE_SIZE);
		}
	}
	pthread_mutex_unlock(&s->lock);
}
