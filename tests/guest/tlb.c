/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What other threads may see of a change to the address space: once the call that made it has
 * returned, nothing of what was there before.
 *
 * One thread, the changer, takes some memory through numbered states. It says which state it begins to
 * bring about, and, when the call that does so has returned, that it is reached. Around each access
 * (a load, a store, or a call into the memory) a reader notes the state reached before it and the one
 * begun after it: what the access did must be possible in one of those and the states between. So the
 * check is exact: there is no time and no tolerance in it. The changer waits, most times, until every
 * reader has made an access wholly within the present state; so each of them has used, and may hold,
 * the translation that is taken away next.
 */
#include <setjmp.h>
#include <stdatomic.h>

#include "code.h"
#include "guest.h"

#define READERS 3 /* with the changer one for each of the runner's four vCPUs */
#define WORDS (PAGE / sizeof(uint64_t))
#define MOST 64 /* pages of the longest region */

struct outcome {
	int signal; /* 0: none */
	uint64_t value;
};

struct scene {
	void (*enter)(uint64_t s); /* bring about state s; state 0 is there from the start */
	struct outcome (*access)(unsigned reader);
	/* May reader's access have this outcome in state s, or (`entering`) on the way into it? */
	bool (*permits)(unsigned reader, uint64_t s, bool entering, struct outcome o);
};

struct reader {
	unsigned index;
	pthread_t thread;
	_Atomic uint64_t seen; /* the last state it made an access wholly within */
	uint64_t wrong, before, after;
	struct outcome outcome; /* the first wrong one */
};

static const struct scene *scene;
static _Atomic uint64_t begun, reached;
static atomic_bool stop;
static __thread jmp_buf landing;

static volatile uint64_t *region; /* MOST pages that the scenes change */
static unsigned pages;		  /* how many of them this time */

/* ---- the readers ---- */

static void on_fault(int sig)
{
	_longjmp(landing, sig);
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static struct outcome attempt(unsigned reader)
{
	int sig = _setjmp(landing);

	if (sig)
		return (struct outcome){.signal = sig};
	return scene->access(reader);
}

static bool possible(const struct scene *sc, unsigned reader, uint64_t before, uint64_t after,
		     struct outcome o)
{
	for (uint64_t s = before; s <= after; s++)
		if (sc->permits(reader, s, s > before, o))
			return true;
	return false;
}

static void *read_on(void *arg)
{
	struct reader *me = arg;
	unsigned n = 0, stint = me->index ? 16384 : 64;

	while (!stop) {
		uint64_t before = reached, after;

		synchronize_fetch();
		struct outcome o = attempt(me->index);
		atomic_thread_fence(memory_order_seq_cst);
		after = begun;
		if (!possible(scene, me->index, before, after, o) && !me->wrong++) {
			me->before = before;
			me->after = after;
			me->outcome = o;
		}
		if (before == after)
			me->seen = after;
		/* There may be fewer CPUs than threads. Some stay long: an emulator forgets at exits. */
		n += o.signal ? 512 : 1;
		if (n >= stint) {
			sched_yield();
			n = 0;
		}
	}
	return NULL;
}

static void await_readers(struct reader *r, uint64_t s)
{
	for (unsigned i = 0; i < READERS; i++)
		while (r[i].seen < s)
			sched_yield();
}

/* Two of three states are waited for, so that some changes also come in quick succession. */
static void play(const char *what, const struct scene *sc, uint64_t states)
{
	struct reader r[READERS] = {{0}};
	uint64_t wrong = 0;

	set_limit(80);
	catch_faults();
	scene = sc;
	begun = reached = 0;
	stop = false;
	for (unsigned i = 0; i < READERS; i++) {
		r[i].index = i;
		MUST(-pthread_create(&r[i].thread, NULL, read_on, &r[i]));
	}
	for (uint64_t s = 0; s < states; s++) {
		if (s % 7 < 5)
			await_readers(r, s);
		begun = s + 1;
		sc->enter(s + 1);
		reached = s + 1;
	}
	await_readers(r, states);
	stop = true;
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(r[i].thread, NULL);
		wrong += r[i].wrong;
		if (r[i].wrong)
			say("reader %u between %lu and %lu: signal %d, value %#lx", i, r[i].before,
			    r[i].after, r[i].outcome.signal, r[i].outcome.value);
	}
	say("%s, %u pages: wrong %lu", what, pages, wrong);
}

/* ---- the region ---- */

static bool faulted(struct outcome o)
{
	return o.signal == SIGSEGV;
}

static volatile uint64_t *spot(unsigned reader)
{
	unsigned page = reader == 0 ? 0 : reader == 1 ? pages - 1 : pages / 2;

	return region + page * WORDS;
}

static void *map_at(volatile void *at, int prot, int flags, int fd, off_t offset)
{
	void *p = mmap((void *)at, pages * PAGE, prot, MAP_FIXED | flags, fd, offset);

	MUST(p == MAP_FAILED ? -1 : 0);
	return p;
}

#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

/* The first word of the pages that are read says which state wrote it. */
static void write_state(uint64_t s)
{
	for (unsigned i = 0; i < READERS; i++)
		*spot(i) = s;
}

static void make_region(unsigned n)
{
	static char *at;

	if (!at)
		at = mmap(NULL, 3 * MOST * PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	MUST(at == MAP_FAILED ? -1 : 0);
	region = (volatile uint64_t *)at;
	pages = n;
	map_at(region, RW, ANONYMOUS, -1, 0);
	write_state(0);
}

/* Readers 0 and 1 load, reader 2 stores to a word of its own. */
static struct outcome load_or_store(unsigned reader)
{
	static uint64_t serial;

	if (reader < 2)
		return (struct outcome){.value = *spot(reader)};
	spot(2)[1] = ++serial;
	return (struct outcome){0};
}

/* ---- munmap ---- */

static void map_or_unmap(uint64_t s)
{
	if (s % 2) {
		MUST(munmap((void *)region, pages * PAGE));
	} else {
		map_at(region, RW, ANONYMOUS, -1, 0);
		write_state(s);
	}
}

static bool unmap_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (s % 2)
		return faulted(o);
	return !o.signal && (reader == 2 || o.value == s || (entering && !o.value));
}

TEST(unmapped_memory_is_gone)
{
	static const struct scene sc = {map_or_unmap, load_or_store, unmap_permits};
	static const unsigned sizes[] = {1, 17, 40};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		play("unmap", &sc, 36);
	}
}

/* ---- one page cut out of a block of 2 MiB ---- */

#define BLOCKS ((size_t)16 << 20)
#define BLOCK ((size_t)2 << 20)
static char *blocks; /* aligned; region is one page in the middle of the second one */

static void cut_page(uint64_t s)
{
	if (s % 2) {
		MUST(munmap((void *)region, PAGE));
		return;
	}
	void *p = mmap(blocks, BLOCKS, RW, MAP_FIXED | ANONYMOUS, -1, 0);
	MUST(p == MAP_FAILED ? -1 : 0);
	write_state(s);
	region[-(long)WORDS] = s;
}

static struct outcome touch_cut(unsigned reader)
{
	if (reader == 1)
		return (struct outcome){.value = region[-(long)WORDS]};
	return load_or_store(reader);
}

/* The page before the one cut out keeps its content. */
static bool cut_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (reader == 1)
		return !o.signal && (o.value == s - s % 2 || (entering && !o.value));
	return unmap_permits(reader, s, entering, o);
}

TEST(a_page_cut_out_of_a_block_is_gone)
{
	static const struct scene sc = {cut_page, touch_cut, cut_permits};
	char *p = mmap(NULL, BLOCKS + BLOCK, PROT_NONE, ANONYMOUS, -1, 0);

	MUST(p == MAP_FAILED ? -1 : 0);
	blocks = (char *)(((uintptr_t)p + BLOCK - 1) & ~(BLOCK - 1));
	region = (volatile uint64_t *)(blocks + BLOCK + BLOCK / 2);
	pages = 1;
	cut_page(0);
	play("cut", &sc, 30);
}

/* ---- mprotect ---- */

static uint64_t written_while_readonly;

/* 0: readable and writable, 1: readable, 2: nothing */
static void protect(uint64_t s)
{
	static const int prot[] = {RW, PROT_READ, PROT_NONE};
	uint64_t stores;

	MUST(mprotect((void *)region, pages * PAGE, prot[s % 3]));
	if (s % 3 == 0)
		write_state(s);
	if (s % 3 != 1)
		return;
	stores = spot(2)[1];
	for (int i = 0; i < 300; i++)
		written_while_readonly += spot(2)[1] != stores;
}

static bool protect_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (reader == 2)
		return s % 3 == 0 ? !o.signal : faulted(o);
	if (s % 3 == 2)
		return faulted(o);
	return !o.signal && (o.value == s - s % 3 || (entering && s % 3 == 0 && o.value == s - 3));
}

TEST(lost_permissions_are_lost)
{
	static const struct scene sc = {protect, load_or_store, protect_permits};
	static const unsigned sizes[] = {1, 17, 40};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		play("protect", &sc, 42);
	}
	say("stores to read-only memory: %lu", written_while_readonly);
}

/* ---- executable or writable, never both ---- */

#define CODE 8 /* word of the page where the code is */

static void flip(uint64_t s)
{
	if (s % 2) {
		MUST(mprotect((void *)region, pages * PAGE, RW));
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		put_code(spot(i) + CODE, spot(i) + CODE, s);
	MUST(mprotect((void *)region, pages * PAGE, PROT_READ | PROT_EXEC));
}

static struct outcome call_or_store(unsigned reader)
{
	if (reader == 2)
		return load_or_store(reader);
	return (struct outcome){.value = call_code(spot(reader) + CODE)};
}

static bool flip_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	(void)entering;
	if (reader == 2)
		return s % 2 ? !o.signal : faulted(o);
	return s % 2 ? faulted(o) : !o.signal && o.value == s;
}

TEST(code_flips_between_writable_and_executable)
{
	static const struct scene sc = {flip, call_or_store, flip_permits};
	static const unsigned sizes[] = {1, 20};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		flip(0);
		play("flip", &sc, 40);
	}
}

/* ---- mremap ---- */

static volatile uint64_t *home, *away;

static void move(uint64_t s)
{
	volatile uint64_t *to = s % 2 ? away : home;
	void *p = mremap((void *)region, pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 (void *)to);

	MUST(p == MAP_FAILED ? -1 : 0);
	region = to;
	write_state(s);
}

/* Reader 1 looks where the memory is in odd states; 0 and 2 where it is in even ones. */
static struct outcome touch_moved(unsigned reader)
{
	if (reader == 2) {
		home[1]++;
		return (struct outcome){0};
	}
	return (struct outcome){.value = reader ? *away : *home};
}

static bool move_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (s % 2 != (reader == 1))
		return faulted(o);
	return !o.signal && (reader == 2 || o.value == s || (entering && o.value == s - 1));
}

TEST(moved_memory_is_where_it_went)
{
	static const struct scene sc = {move, touch_moved, move_permits};
	static const unsigned sizes[] = {1, 20};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		home = region;
		away = region + MOST * WORDS;
		play("move", &sc, 36);
		MUST(munmap((void *)away, pages * PAGE));
	}
}

/* ---- MAP_FIXED over what is there ---- */

static int content_fd;

/* 0: a shared file's page, 1: anonymous memory, 2: nothing */
static void overlay(uint64_t s)
{
	if (s % 3 == 0) {
		map_at(region, RW, MAP_SHARED, content_fd, (off_t)(s / 3 * pages * PAGE));
	} else if (s % 3 == 1) {
		map_at(region, RW, ANONYMOUS, -1, 0);
		write_state(s);
	} else {
		map_at(region, PROT_NONE, ANONYMOUS, -1, 0);
	}
}

static bool overlay_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (s % 3 == 2)
		return faulted(o);
	return !o.signal && (reader == 2 || o.value == s || (entering && s % 3 == 1 && !o.value));
}

static void write_contents(uint64_t states)
{
	content_fd = MUST(memfd_create("contents", 0));
	MUST(ftruncate(content_fd, (off_t)((states / 3 + 1) * pages * PAGE)));
	for (uint64_t s = 0; s <= states; s += 3)
		for (unsigned i = 0; i < READERS; i++) {
			off_t at = (char *)spot(i) - (char *)region;

			MUST(pwrite(content_fd, &s, sizeof(s), (off_t)(s / 3 * pages * PAGE) + at));
		}
}

TEST(overlaid_memory_is_gone)
{
	static const struct scene sc = {overlay, load_or_store, overlay_permits};
	static const unsigned sizes[] = {1, 17};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		write_contents(42);
		overlay(0);
		play("overlay", &sc, 42);
		close(content_fd);
	}
}

/* ---- madvise(MADV_DONTNEED) ---- */

static void drop_or_write(uint64_t s)
{
	if (s % 2)
		MUST(madvise((void *)region, pages * PAGE, MADV_DONTNEED));
	else
		write_state(s);
}

static bool drop_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (o.signal || reader == 2)
		return !o.signal;
	if (s % 2)
		return !o.value || (entering && o.value == s - 1);
	return o.value == s || (entering && !o.value);
}

TEST(dropped_memory_is_zero)
{
	static const struct scene sc = {drop_or_write, load_or_store, drop_permits};
	static const unsigned sizes[] = {1, 40};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_region(sizes[i]);
		play("drop", &sc, 40);
	}
}

/* ---- truncation of a mapped file ---- */

static void truncate_or_extend(uint64_t s)
{
	if (s % 2) {
		MUST(ftruncate(content_fd, 0));
		return;
	}
	MUST(ftruncate(content_fd, (off_t)(pages * PAGE)));
	for (unsigned i = 0; i < READERS; i++)
		MUST(pwrite(content_fd, &s, sizeof(s), (char *)spot(i) - (char *)region));
}

static bool truncate_permits(unsigned reader, uint64_t s, bool entering, struct outcome o)
{
	if (s % 2)
		return o.signal == SIGBUS;
	return !o.signal && (reader == 2 || o.value == s || (entering && !o.value));
}

static void truncate_under_readers(int fd)
{
	static const struct scene sc = {truncate_or_extend, load_or_store, truncate_permits};

	make_region(3);
	content_fd = fd;
	truncate_or_extend(0);
	map_at(region, RW, MAP_SHARED, content_fd, 0);
	play("truncate", &sc, 36);
	close(content_fd);
}

TEST(truncated_file_is_gone)
{
	truncate_under_readers(MUST(open("shrinks", O_RDWR | O_CREAT | O_TRUNC, 0644)));
	truncate_under_readers(MUST(memfd_create("shrinks", 0)));
}
