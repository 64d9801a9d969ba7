/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of several threads that change memory all the time: compilers of code, forks, many threads
 * on few CPUs, a new program in place of running threads.
 */
#include <setjmp.h>
#include <stdatomic.h>

#include "code.h"
#include "guest.h"

#define WORDS (PAGE / sizeof(uint64_t))
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static atomic_ulong wrong;
static atomic_bool stop;
static __thread jmp_buf landing;

static void on_fault(int sig)
{
	_longjmp(landing, sig);
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	sigaction(SIGSEGV, &sa, NULL);
}

static void *map(size_t bytes, int prot, int flags, int fd)
{
	void *p = mmap(NULL, bytes, prot, flags, fd, 0);

	MUST(p == MAP_FAILED ? -1 : 0);
	return p;
}

static void expect(bool good)
{
	if (!good)
		wrong++;
}

static void run_threads(unsigned n, void *(*fn)(void *))
{
	pthread_t t[256];
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (uintptr_t i = 0; i < n; i++)
		MUST(-pthread_create(&t[i], &small, fn, (void *)i));
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* ---- compilers ---- */

#define COMPILERS 4u
#define FUNCTIONS 120u
#define SLOT_WORDS 2u /* one function a slot: what runs is never written */
#define FUNCTION(n) ((n)*SLOT_WORDS)

static struct {
	uint64_t *written, *run; /* the same memory, or two mappings of it */
	_Atomic uint64_t newest; /* functions published */
} unit[COMPILERS];

/* What function n of this compiler returns. */
static uint64_t result(unsigned compiler, uint64_t n)
{
	return compiler << 12 | n;
}

/* Call a function that was published, perhaps while its page is not executable. */
static void call_newest(unsigned compiler)
{
	uint64_t before = unit[compiler].newest, value;

	synchronize_fetch();
	if (_setjmp(landing)) {
		/* Only while the next one is being written. */
		expect(unit[compiler].run == unit[compiler].written);
		return;
	}
	value = call_code(unit[compiler].run + FUNCTION(before));
	expect(value == result(compiler, before));
}

static void compile(unsigned compiler, uint64_t n)
{
	put_code(unit[compiler].written + FUNCTION(n), unit[compiler].run + FUNCTION(n),
		 result(compiler, n));
}

static void *compile_into_two_mappings(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (uint64_t n = 1; n < FUNCTIONS; n++) {
		compile(me, n);
		unit[me].newest = n;
		for (unsigned i = 0; i < COMPILERS; i++)
			call_newest(i);
	}
	return NULL;
}

TEST(code_written_through_another_mapping)
{
	set_limit(80);
	for (unsigned i = 0; i < COMPILERS; i++) {
		int fd = MUST(memfd_create("code", 0));

		MUST(ftruncate(fd, PAGE));
		unit[i].written = map(PAGE, RW, MAP_SHARED, fd);
		unit[i].run = map(PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd);
		close(fd);
		compile(i, 0);
	}
	run_threads(COMPILERS, compile_into_two_mappings);
	say("wrong %lu", wrong);
}

static void *compile_in_place(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (uint64_t n = 1; n < FUNCTIONS; n++) {
		MUST(mprotect(unit[me].run, PAGE, RW));
		compile(me, n);
		MUST(mprotect(unit[me].run, PAGE, PROT_READ | PROT_EXEC));
		unit[me].newest = n;
		for (unsigned i = 0; i < COMPILERS; i++)
			call_newest(i);
	}
	return NULL;
}

TEST(code_written_in_place)
{
	set_limit(80);
	catch_faults();
	for (unsigned i = 0; i < COMPILERS; i++) {
		unit[i].written = unit[i].run = map(PAGE, RW, ANONYMOUS, -1);
		compile(i, 0);
		MUST(mprotect(unit[i].run, PAGE, PROT_READ | PROT_EXEC));
	}
	run_threads(COMPILERS, compile_in_place);
	say("wrong %lu", wrong);
}

/* ---- forks ---- */

#define FORKS 24
#define OWN 40 /* pages that only the forking thread writes */
#define CHILDREN 4

static volatile uint64_t *own;
static _Atomic uint64_t *first, *second; /* counters on pages of their own */
static _Atomic uint64_t counted;

/* first is never behind second, and at most one ahead: at any moment, so in any copy too. */
static void *count_up(void *unused)
{
	(void)unused;
	for (uint64_t n = 1; !stop; n++) {
		*first = n;
		*second = n;
		counted = n;
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* A reader left with the page that a copy-on-write took away would fall behind. */
static void *follow_the_count(void *unused)
{
	(void)unused;
	for (uint64_t n = 1; !stop; n++) {
		uint64_t before = counted, seen = *first;

		expect(seen >= before && seen <= counted + 1);
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void fill(uint64_t value)
{
	for (unsigned i = 0; i < OWN; i++)
		own[i * WORDS] = value + i;
}

static bool filled(uint64_t value)
{
	for (unsigned i = 0; i < OWN; i++)
		if (own[i * WORDS] != value + i)
			return false;
	return true;
}

/* The child's copy is as it was at the fork and stays so, whatever the parent's threads do. */
static int check_copy(void *round)
{
	uint64_t a = *first, b = *second;
	bool good = (a == b || a == b + 1) && filled((uintptr_t)round);

	fill((uintptr_t)round << 32);
	for (int i = 0; i < 50; i++) {
		sched_yield();
		good = good && *first == a && *second == b;
	}
	return !(good && filled((uintptr_t)round << 32));
}

static void reap_one(void)
{
	int status;

	MUST(wait(&status));
	expect(status == 0);
}

TEST(forks_under_writers_and_readers)
{
	pthread_t t[3];
	int running = 0;

	set_limit(80);
	own = map(OWN * PAGE, RW, ANONYMOUS, -1);
	first = map(PAGE, RW, ANONYMOUS, -1);
	second = map(PAGE, RW, ANONYMOUS, -1);
	pthread_create(&t[0], NULL, count_up, NULL);
	pthread_create(&t[1], NULL, follow_the_count, NULL);
	pthread_create(&t[2], NULL, follow_the_count, NULL);
	for (uintptr_t round = 1; round <= FORKS; round++) {
		fill(round * 1000);
		spawn(check_copy, (void *)(round * 1000));
		fill(round * 1000 + 500);
		if (++running == CHILDREN) {
			reap_one();
			running--;
		}
		expect(filled(round * 1000 + 500));
	}
	while (running--)
		reap_one();
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	say("wrong %lu", wrong);
}

/* ---- many threads ---- */

#define MANY 200
#define ROUNDS 6
#define CONTENTS 256 /* pages of the file, each with its number */

static pthread_barrier_t all_here;
static _Atomic uint64_t generation;
static volatile uint64_t *shared_page;

static void check_shared_page(void)
{
	uint64_t before = generation, seen = *shared_page;

	atomic_thread_fence(memory_order_seq_cst);
	expect((seen - before) % CONTENTS <= generation + 1 - before);
}

/* Memory of its own appears and goes; a page that another thread replaces is always the newest. */
static void *map_and_look(void *arg)
{
	uint64_t me = (uintptr_t)arg;

	pthread_barrier_wait(&all_here);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		volatile uint64_t *p = map(3 * PAGE, RW, ANONYMOUS, -1);

		expect(!p[0] && !p[WORDS] && !p[2 * WORDS]);
		p[0] = p[2 * WORDS] = me << 16 | round;
		check_shared_page();
		if (me % 8 == 0)
			sched_yield();
		expect(p[0] == (me << 16 | round) && !p[WORDS] && p[2 * WORDS] == p[0]);
		MUST(munmap((void *)p, 3 * PAGE));
		check_shared_page();
	}
	pthread_barrier_wait(&all_here);
	return NULL;
}

static void *replace_the_page(void *contents)
{
	for (uint64_t n = 1; !stop; n++) {
		void *p = mmap((void *)shared_page, PAGE, PROT_READ, MAP_FIXED | MAP_SHARED,
			       *(int *)contents, (off_t)(n % CONTENTS * PAGE));

		expect(p == shared_page);
		generation = n;
		sched_yield();
	}
	return NULL;
}

TEST(two_hundred_threads)
{
	int fd = MUST(memfd_create("contents", 0));
	pthread_t changer;

	set_limit(80);
	MUST(ftruncate(fd, CONTENTS * PAGE));
	for (uint64_t n = 0; n < CONTENTS; n++)
		MUST(pwrite(fd, &n, sizeof(n), (off_t)(n * PAGE)));
	shared_page = map(PAGE, PROT_READ, MAP_SHARED, fd);
	pthread_barrier_init(&all_here, NULL, MANY);
	pthread_create(&changer, NULL, replace_the_page, &fd);
	run_threads(MANY, map_and_look);
	stop = true;
	pthread_join(changer, NULL);
	say("wrong %lu", wrong);
}

/* ---- execve from a thread that is not the first, while the others run ---- */

#define NEW_PAGES 256u

/* The new program: alone, and its memory its own. */
TEST(init_with_new_memory)
{
	volatile uint64_t *p = map(NEW_PAGES * PAGE, RW, ANONYMOUS, -1);
	struct stat tasks;
	bool good = !stat("/proc/self/task", &tasks) && tasks.st_nlink == 3;

	for (unsigned pass = 0; pass < 4; pass++) {
		for (unsigned i = 0; i < NEW_PAGES; i++)
			good = good && p[i * WORDS + pass] == (pass ? pass + i : 0);
		for (unsigned i = 0; i < NEW_PAGES; i++)
			p[i * WORDS + pass + 1] = pass + 1 + i;
		sched_yield();
	}
	_exit(good ? 0 : 1);
}

/* Writes all over memory that the new program gets. */
static void *scribble(void *arg)
{
	volatile uint64_t *p = map(NEW_PAGES * PAGE, RW, ANONYMOUS, -1);

	for (uint64_t n = (uintptr_t)arg;; n++) {
		for (unsigned i = 0; i < NEW_PAGES; i++)
			p[i * WORDS + n % 8] = ~n;
		generation++;
	}
	return NULL;
}

static void *map_all_the_time(void *unused)
{
	(void)unused;
	for (;;) {
		volatile uint64_t *p = map(8 * PAGE, RW, ANONYMOUS, -1);

		for (unsigned i = 0; i < 8; i++)
			p[i * WORDS] = i;
		munmap((void *)p, 8 * PAGE);
		generation++;
	}
	return NULL;
}

static void *become_another(void *unused)
{
	char *argv[] = {"smp", "init_with_new_memory", NULL}, *envp[] = {NULL};

	(void)unused;
	while (generation < 20)
		sched_yield();
	execve("/proc/self/exe", argv, envp);
	_exit(2);
}

static int exec_under_threads(void *unused)
{
	pthread_t t;

	(void)unused;
	pthread_create(&t, NULL, scribble, (void *)1);
	pthread_create(&t, NULL, scribble, (void *)2);
	pthread_create(&t, NULL, map_all_the_time, NULL);
	pthread_create(&t, NULL, become_another, NULL);
	for (;;)
		generation++;
	return 3;
}

TEST(exec_while_other_threads_run)
{
	set_limit(80);
	for (int i = 0; i < 8; i++)
		reap("program", spawn(exec_under_threads, NULL));
}
