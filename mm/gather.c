/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested paging: what the calling thread's operations freed waits here until its own vCPU has
 * flushed; the other vCPUs already have. Two generations: what the slot still describes, and what
 * has been taken with it and is being flushed.
 *
 * The list grows with what one system call frees, in runs of frames; it is bounded by the arena. Host
 * memory running out loses the frames for good, which wastes them but lets nobody see them.
 */
#include <stdlib.h>

#include "mm/edit.h"

struct gathered {
	struct mm_system *sys;
	struct window *win; /* or a run of frames */
	struct frame_run run;
};

static _Thread_local struct {
	struct gathered *v;
	unsigned n, cap;
	unsigned taken; /* the first `taken` wait for a flush that is under way */
	bool registered;
} list;

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

static void release(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct gathered *g = &list.v[i];

		if (g->win)
			window_put(g->sys, g->win);
		else
			frame_put(g->sys, g->run.first, g->run.n);
	}
	for (unsigned i = n; i < list.n; i++)
		list.v[i - n] = list.v[i];
	list.n -= n;
	list.taken = 0;
}

/* The thread has no vCPU any more: the platform had that one flush before anyone uses it again. */
static void thread_exit(void *unused)
{
	(void)unused;
	release(list.n);
	free(list.v);
	list.v = NULL;
	list.cap = 0;
}

static void make_key(void)
{
	pthread_key_create(&exit_key, thread_exit);
}

static void add(struct gathered g)
{
	if (list.n == list.cap) {
		unsigned cap = list.cap ? list.cap * 2 : 64;
		struct gathered *v = realloc(list.v, cap * sizeof *v);

		if (!v)
			return;
		list.v = v;
		list.cap = cap;
	}
	if (!list.registered) {
		pthread_once(&exit_once, make_key);
		pthread_setspecific(exit_key, &list);
		list.registered = true;
	}
	list.v[list.n++] = g;
}

void gather_frames(struct mm_system *sys, const struct frame_run *runs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		add((struct gathered){.sys = sys, .run = runs[i]});
		count(&sys->n.deferred_frames, runs[i].n);
	}
}

void gather_window(struct mm_system *sys, struct window *w)
{
	add((struct gathered){.sys = sys, .win = w});
}

void gather_taken(void)
{
	list.taken = list.n;
}

bool gather_pending(void)
{
	return list.n;
}

void mm_flush_executed(void)
{
	if (list.taken)
		release(list.taken);
}
