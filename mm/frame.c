/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mm/internal.h"

/* Where the guest sees the arena: above the legacy hole below 4 GiB. */
#define ARENA_GPA ((uint64_t)1 << 32)

/*
 * What is registered with the platform at a time: each chunk as large as all before it, within these
 * bounds. KVM keeps about 10 bytes a page for a slot, and clears them when it is created: 0.1 ms for
 * 256 MiB, which a small container need not wait for.
 */
#define ARENA_CHUNK_MIN 8u
#define ARENA_CHUNK_MAX 128u

/* Groups in the chunk that starts at group `first`. */
static uint32_t chunk_groups(const struct frame_pool *p, uint32_t first)
{
	uint32_t n = first < ARENA_CHUNK_MIN   ? ARENA_CHUNK_MIN
		     : first > ARENA_CHUNK_MAX ? ARENA_CHUNK_MAX
					       : first;

	return n < p->ngroups - first ? n : p->ngroups - first;
}

static void list_init(struct group_list *l)
{
	l->head = l->tail = FRAME_NONE;
	l->count = 0;
}

void frame_list_push_locked(struct frame_pool *p, struct group_list *list, uint32_t g,
			    enum group_state state)
{
	p->group[g].state = (uint8_t)state;
	p->group[g].prev = FRAME_NONE;
	p->group[g].next = list->head;
	if (list->head != FRAME_NONE)
		p->group[list->head].prev = g;
	else
		list->tail = g;
	list->head = g;
	list->count++;
}

void frame_list_remove_locked(struct frame_pool *p, struct group_list *list, uint32_t g)
{
	struct group *gr = &p->group[g];

	if (gr->prev != FRAME_NONE)
		p->group[gr->prev].next = gr->next;
	else
		list->head = gr->next;
	if (gr->next != FRAME_NONE)
		p->group[gr->next].prev = gr->prev;
	else
		list->tail = gr->prev;
	list->count--;
}

static void *map_lazily(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int frame_pool_create(struct mm_system *sys, uint64_t bytes)
{
	struct frame_pool *p = &sys->frames;

	bytes = (bytes + BLOCK_SIZE - 1) & ~(BLOCK_SIZE - 1);
	p->gpa = GPA(ARENA_GPA);
	p->nframes = (uint32_t)(bytes >> PAGE_SHIFT);
	p->ngroups = (uint32_t)(bytes >> BLOCK_SHIFT);
	p->current = FRAME_NONE;
	list_init(&p->partial);
	list_init(&p->dirty);
	list_init(&p->clean);
	p->fd = memfd_create("nacre-arena", MFD_CLOEXEC);
	if (p->fd < 0)
		return -errno;
	if (ftruncate(p->fd, (off_t)bytes) < 0)
		return -errno;
	p->host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->fd, 0);
	if (p->host == MAP_FAILED) {
		p->host = NULL;
		return -errno;
	}
	p->frame = map_lazily((size_t)p->nframes * sizeof *p->frame);
	p->group = map_lazily((size_t)p->ngroups * sizeof *p->group);
	return p->frame && p->group ? 0 : -ENOMEM;
}

void frame_pool_destroy(struct mm_system *sys)
{
	struct frame_pool *p = &sys->frames;
	uint64_t bytes = (uint64_t)p->nframes << PAGE_SHIFT;

	for (uint32_t g = 0, n; g < p->registered; g += n) {
		n = chunk_groups(p, g);

		platform_unmap_memory(sys->platform, GPA(p->gpa.v + ((uint64_t)g << BLOCK_SHIFT)),
				      (uint64_t)n << BLOCK_SHIFT);
	}
	if (p->host)
		munmap(p->host, bytes);
	if (p->frame)
		munmap(p->frame, (size_t)p->nframes * sizeof *p->frame);
	if (p->group)
		munmap(p->group, (size_t)p->ngroups * sizeof *p->group);
	if (p->fd >= 0)
		close(p->fd);
}

/* Make groups below `end` known to the platform. */
static bool register_to_locked(struct mm_system *sys, uint32_t end)
{
	struct frame_pool *p = &sys->frames;

	while (p->registered < end) {
		uint64_t at = (uint64_t)p->registered << BLOCK_SHIFT;
		uint32_t n = chunk_groups(p, p->registered);

		if (platform_map_memory(sys->platform, GPA(p->gpa.v + at), p->host + at,
					(uint64_t)n << BLOCK_SHIFT, true) < 0)
			return false;
		p->registered += n;
	}
	return true;
}

/* The next group that was never used, on the clean list. */
static bool raise_high_water_locked(struct mm_system *sys)
{
	struct frame_pool *p = &sys->frames;
	uint32_t g = p->high_water;

	if (g == p->ngroups || !register_to_locked(sys, g + 1))
		return false;
	p->high_water++;
	memset(p->group[g].free, 0xff, sizeof p->group[g].free);
	p->group[g].nfree = GROUP_FRAMES;
	frame_list_push_locked(p, &p->clean, g, GROUP_CLEAN);
	return true;
}

/*
 * A group with free frames to make the current one: partly used ones first, then committed ones
 * (their memory is already paid for), then fresh ones.
 */
static bool choose_group_locked(struct mm_system *sys)
{
	struct frame_pool *p = &sys->frames;

	if (p->current != FRAME_NONE && p->group[p->current].nfree)
		return true;
	if (p->partial.count)
		p->current = p->partial.head;
	else if (p->dirty.count)
		p->current = p->dirty.head;
	else if (p->clean.count || raise_high_water_locked(sys))
		p->current = p->clean.head;
	else
		return false;
	return true;
}

static bool bit(const uint64_t *map, unsigned i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* The first run of at least `want` free frames, else the longest. Returns its length, 0: none. */
static unsigned find_run(const struct group *g, unsigned want, unsigned *at)
{
	unsigned best = 0, i = 0;

	while (i < GROUP_FRAMES) {
		unsigned start;

		if (!(g->free[i / 64] >> (i % 64))) {
			i = (i / 64 + 1) * 64;
			continue;
		}
		i += (unsigned)__builtin_ctzll(g->free[i / 64] >> (i % 64));
		for (start = i; i < GROUP_FRAMES && i - start < want && bit(g->free, i); i++)
			;
		if (i - start > best) {
			best = i - start;
			*at = start;
		}
		if (best == want)
			break;
	}
	return best;
}

static void count_used_locked(struct frame_pool *p, unsigned n)
{
	uint32_t used = atomic_load_explicit(&p->used, memory_order_relaxed) + n;

	atomic_store_explicit(&p->used, used, memory_order_relaxed);
	if (used > p->peak)
		p->peak = used;
}

static struct group_list *list_of(struct frame_pool *p, enum group_state s)
{
	return s == GROUP_PARTIAL ? &p->partial : s == GROUP_DIRTY ? &p->dirty : &p->clean;
}

/* Mark [at, at+n) of group g used; *was_dirty gets a bit per frame, n at most 64. */
static void take_run_locked(struct frame_pool *p, uint32_t g, unsigned at, unsigned n,
			    uint64_t *was_dirty)
{
	struct group *gr = &p->group[g];

	*was_dirty = 0;
	frame_list_remove_locked(p, list_of(p, gr->state), g);
	for (unsigned i = at; i < at + n; i++) {
		uint64_t b = (uint64_t)1 << (i % 64);

		if (gr->dirty[i / 64] & b) {
			*was_dirty |= (uint64_t)1 << (i - at);
			gr->nfree_dirty--;
			p->free_dirty--;
		}
		gr->free[i / 64] &= ~b;
		gr->dirty[i / 64] |= b;
		atomic_store_explicit(&p->frame[g * GROUP_FRAMES + i].refs, 1,
				      memory_order_relaxed);
	}
	gr->nfree = (uint16_t)(gr->nfree - n);
	if (gr->nfree)
		frame_list_push_locked(p, &p->partial, g, GROUP_PARTIAL);
	else
		gr->state = GROUP_FULL;
	count_used_locked(p, n);
}

unsigned frame_alloc(struct mm_system *sys, unsigned want, bool zero, uint32_t *first)
{
	struct frame_pool *p = &sys->frames;
	unsigned at = 0, n = 0;
	uint64_t dirty = 0;

	if (want > 64)
		want = 64;
	pthread_mutex_lock(&sys->frame_lock);
	if (choose_group_locked(sys)) {
		n = find_run(&p->group[p->current], want, &at);
		*first = p->current * GROUP_FRAMES + at;
		take_run_locked(p, p->current, at, n, &dirty);
	}
	pthread_mutex_unlock(&sys->frame_lock);
	for (unsigned i = 0; zero && i < n; i++)
		if (dirty >> i & 1)
			memset(frame_host(sys, *first + i), 0, PAGE_SIZE);
	return n;
}

bool frame_alloc_block(struct mm_system *sys, uint32_t *first)
{
	struct frame_pool *p = &sys->frames;
	bool zero = false;
	uint32_t g;

	pthread_mutex_lock(&sys->frame_lock);
	if (p->dirty.count) {
		g = p->dirty.head;
		zero = true;
	} else if (p->clean.count || raise_high_water_locked(sys)) {
		g = p->clean.head;
	} else {
		pthread_mutex_unlock(&sys->frame_lock);
		return false;
	}
	for (unsigned at = 0; at < GROUP_FRAMES; at += 64) {
		uint64_t dirty;

		take_run_locked(p, g, at, 64, &dirty);
	}
	pthread_mutex_unlock(&sys->frame_lock);
	*first = g * GROUP_FRAMES;
	if (zero)
		memset(frame_host(sys, *first), 0, BLOCK_SIZE);
	return true;
}

uint32_t frame_take_groups(struct mm_system *sys, unsigned groups)
{
	struct frame_pool *p = &sys->frames;
	uint32_t first = FRAME_NONE;

	pthread_mutex_lock(&sys->frame_lock);
	if (groups <= p->ngroups - p->high_water &&
	    register_to_locked(sys, p->high_water + groups)) {
		first = p->high_water * GROUP_FRAMES;
		for (unsigned i = 0; i < groups; i++)
			p->group[p->high_water++].state = GROUP_TABLES;
	} else if (groups == 1 && p->clean.count + p->dirty.count) {
		struct group_list *l = p->clean.count ? &p->clean : &p->dirty;
		uint32_t g = l->head;

		if (l == &p->dirty)
			memset(frame_host(sys, g * GROUP_FRAMES), 0, BLOCK_SIZE);
		p->free_dirty -= p->group[g].nfree_dirty;
		frame_list_remove_locked(p, l, g);
		p->group[g].state = GROUP_TABLES;
		p->group[g].nfree = 0;
		first = g * GROUP_FRAMES;
	}
	if (first != FRAME_NONE)
		for (uint32_t i = first; i < first + groups * GROUP_FRAMES; i++)
			atomic_store_explicit(&p->frame[i].refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&sys->frame_lock);
	return first;
}

void frame_get(struct mm_system *sys, uint32_t frame)
{
	atomic_fetch_add_explicit(&sys->frames.frame[frame].refs, 1, memory_order_relaxed);
}

unsigned frame_refs(struct mm_system *sys, uint32_t frame)
{
	return atomic_load_explicit(&sys->frames.frame[frame].refs, memory_order_acquire);
}

static void free_one_locked(struct frame_pool *p, uint32_t frame)
{
	uint32_t g = frame / GROUP_FRAMES, i = frame % GROUP_FRAMES;
	struct group *gr = &p->group[g];

	if (gr->nfree)
		frame_list_remove_locked(p, &p->partial, g);
	gr->free[i / 64] |= (uint64_t)1 << (i % 64);
	gr->nfree++;
	gr->nfree_dirty++;
	p->free_dirty++;
	if (gr->nfree == GROUP_FRAMES)
		frame_list_push_locked(p, &p->dirty, g, GROUP_DIRTY);
	else
		frame_list_push_locked(p, &p->partial, g, GROUP_PARTIAL);
	atomic_fetch_sub_explicit(&p->used, 1, memory_order_relaxed);
}

void frame_put(struct mm_system *sys, uint32_t first, unsigned n)
{
	struct frame_pool *p = &sys->frames;
	bool locked = false, much;

	for (uint32_t f = first; f < first + n; f++) {
		if (atomic_fetch_sub_explicit(&p->frame[f].refs, 1, memory_order_acq_rel) != 1)
			continue;
		if (!locked)
			pthread_mutex_lock(&sys->frame_lock);
		locked = true;
		free_one_locked(p, f);
	}
	if (!locked)
		return;
	much = p->dirty.count > FRAME_PUNCH_GROUPS || p->free_dirty > FRAME_KEEP_FREE;
	pthread_mutex_unlock(&sys->frame_lock);
	if (much)
		frame_punch(sys);
}

bool frame_plenty(struct mm_system *sys)
{
	uint32_t used = atomic_load_explicit(&sys->frames.used, memory_order_relaxed);

	return used < sys->frames.nframes - sys->frames.nframes / 4;
}
