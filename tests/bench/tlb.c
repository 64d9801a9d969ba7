/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What flushing costs the thread that asks for it and a thread that does not: one thread walks a working
 * set, another makes a storm of calls that each take some translations away.
 *
 *	tlb CALLS PAGES		calls in a storm; pages of the working set
 *
 * Prints, a line a storm: its name, nanoseconds a round of calls takes and how many of them are processor
 * time, nanoseconds an access of the walking thread takes of its processor time, accesses it made in a
 * millisecond of the clock on the wall.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096
#define SMALL 4	  /* pages of a short mapping */
#define STRIDE 61 /* pages from one access to the next: prime, so that all are visited */
#define WARM_ROUNDS 20

static volatile char *hot_set;
static unsigned hot_pages;
static volatile char *page; /* what the storm of mprotect is about */
static atomic_bool warm, stop;

struct walk {
	uint64_t accesses;
	int64_t processor_ns, wall_ns;
};

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void must(int bad, const char *what)
{
	if (!bad)
		return;
	perror(what);
	exit(1);
}

static volatile char *map(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	must(p == MAP_FAILED, "mmap");
	return p;
}

static void walk_once(void)
{
	/* A line of its own in each page, so that the caches do not collide. */
	for (unsigned i = 0, at = 0; i < hot_pages; i++, at = (at + STRIDE) % hot_pages)
		hot_set[(size_t)at * PAGE + at % 64 * 64]++;
}

static void *walk(void *arg)
{
	struct walk *w = arg;
	int64_t processor, wall;

	for (int i = 0; i < WARM_ROUNDS; i++)
		walk_once();
	processor = now(CLOCK_THREAD_CPUTIME_ID);
	wall = now(CLOCK_MONOTONIC);
	warm = true;
	while (!stop) {
		walk_once();
		w->accesses += hot_pages;
	}
	w->wall_ns = now(CLOCK_MONOTONIC) - wall;
	w->processor_ns = now(CLOCK_THREAD_CPUTIME_ID) - processor;
	return NULL;
}

static void wait_a_little(void)
{
	struct timespec ts = {0, 200000};

	nanosleep(&ts, NULL);
}

static void protect_page(void)
{
	page[0] = 1;
	must(mprotect((void *)page, PAGE, PROT_READ), "mprotect");
	must(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

static void map_and_unmap(void)
{
	volatile char *p = map(SMALL);

	for (int i = 0; i < SMALL; i++)
		p[i * PAGE] = 1;
	must(munmap((void *)p, SMALL * PAGE), "munmap");
}

static void run(const char *name, void (*round)(void), unsigned rounds)
{
	struct walk w = {0};
	pthread_t t;
	int64_t wall, processor;

	warm = stop = false;
	must(pthread_create(&t, NULL, walk, &w), "pthread_create");
	while (!warm)
		wait_a_little();
	wall = now(CLOCK_MONOTONIC);
	processor = now(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < rounds; i++)
		round();
	processor = now(CLOCK_THREAD_CPUTIME_ID) - processor;
	wall = now(CLOCK_MONOTONIC) - wall;
	stop = true;
	pthread_join(t, NULL);
	printf("%s %.1f %.1f %.3f %.1f\n", name, (double)wall / rounds, (double)processor / rounds,
	       (double)w.processor_ns / (double)w.accesses,
	       (double)w.accesses * 1e6 / (double)w.wall_ns);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;

	hot_pages = argc > 2 ? (unsigned)atoi(argv[2]) : 256;
	hot_set = map(hot_pages);
	page = map(1);
	run("nothing", wait_a_little, 200);
	run("mprotect", protect_page, rounds);
	run("munmap", map_and_unmap, rounds);
	return 0;
}
