/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that edit one address space at random and know what every page of theirs must hold: a
 * stale translation, a lost flush or a frame given out twice shows as a wrong word or a wrong fault.
 */
#include <setjmp.h>
#include <stdatomic.h>

#include "guest.h"
#include "guest_arch.h"

#define PAGES 1024 /* of each thread */
#define THREADS 8
#define FILE_PAGES 64
#define UNMAPPED (-1)
#define ANONYMOUS (-1)

struct page {
	int prot;  /* UNMAPPED or PROT_ bits */
	int file;  /* page of the pattern file, or ANONYMOUS */
	uint64_t value; /* first and last word */
};

struct region {
	char *base;
	int stride, first; /* page i is at base + (i * stride + first) pages */
	bool forks;
	uint64_t state;
	struct page page[PAGES];
	atomic_ulong operations;
};

static int pattern_file;
static atomic_bool go, stop;
static atomic_int wrong;
static struct region regions[THREADS];
static _Thread_local sigjmp_buf back;
static _Thread_local volatile sig_atomic_t expecting;

static uint64_t pattern(int page)
{
	return 0xfeed000000000000ull + (uint64_t)page;
}

static uint64_t random64(struct region *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return r->state * 0x2545f4914f6cdd1dull;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	if (expecting)
		siglongjmp(back, sig);
	ucontext_t *uc = context;
	say("unexpected signal %d code %d at %p by %lx", sig, info->si_code, info->si_addr, CONTEXT_PC(uc));
	_exit(70);
}

static char *at(const struct region *r, int i)
{
	return r->base + ((size_t)i * r->stride + r->first) * PAGE;
}

static void complain(struct region *r, int i, const char *what, uint64_t got)
{
	if (atomic_fetch_add(&wrong, 1) < 10)
		say("region %d page %d prot %d file %d: %s, %lx instead of %lx", (int)(r - regions), i, r->page[i].prot,
		    r->page[i].file, what, got, r->page[i].value);
}

static void verify(struct region *r, int i)
{
	const struct page *p = &r->page[i];
	volatile uint64_t *first = (uint64_t *)at(r, i), *last = first + PAGE / 8 - 1;
	bool readable = p->prot != UNMAPPED && p->prot & PROT_READ;

	expecting = 1;
	if (sigsetjmp(back, 0) == 0) {
		uint64_t a = *first, b = *last;
		expecting = 0;
		if (!readable)
			complain(r, i, "readable", a);
		else if (a != p->value || b != p->value)
			complain(r, i, "holds", a != p->value ? a : b);
	} else {
		expecting = 0;
		if (readable)
			complain(r, i, "faults", 0);
	}
	if (!readable || p->prot & PROT_WRITE)
		return;
	expecting = 1;
	if (sigsetjmp(back, 0) == 0) {
		*first = 0;
		expecting = 0;
		complain(r, i, "writable", 0);
	}
	expecting = 0;
}

static void store(struct region *r, int i)
{
	volatile uint64_t *first = (uint64_t *)at(r, i);
	uint64_t value = random64(r);

	if (r->page[i].prot != (PROT_READ | PROT_WRITE))
		return;
	*first = first[PAGE / 8 - 1] = value;
	r->page[i].value = value;
}

static void check_in_child(struct region *r)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < PAGES; i++)
			verify(r, i);
		for (int i = 0; i < PAGES; i += 3)
			store(r, i);
		_exit(atomic_load(&wrong) != 0);
	}
	if (pid == -1)
		return;
	while (waitpid(pid, &status, 0) != pid)
		;
	if (status != 0 && atomic_fetch_add(&wrong, 1) < 10)
		say("child ended with %#x", status);
}

static void map_pages(struct region *r, int i, int n, int file)
{
	void *want = at(r, i), *got;

	if (file == ANONYMOUS)
		got = mmap(want, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	else
		got = mmap(want, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, pattern_file,
			   (off_t)file * PAGE);
	if (got != want) {
		complain(r, i, "mmap failed", (uint64_t)errno);
		return;
	}
	for (int k = 0; k < n; k++)
		r->page[i + k] = (struct page){PROT_READ | PROT_WRITE, file == ANONYMOUS ? file : file + k,
					       file == ANONYMOUS ? 0 : pattern(file + k)};
}

/* How many pages from i on are mapped, n at most. */
static int mapped_run(const struct region *r, int i, int n)
{
	int k = 0;
	while (k < n && r->page[i + k].prot != UNMAPPED)
		k++;
	return k;
}

static void protect_pages(struct region *r, int i, int n, int prot)
{
	n = mapped_run(r, i, n);
	if (n && mprotect(at(r, i), (size_t)n * PAGE, prot) != 0)
		complain(r, i, "mprotect failed", (uint64_t)errno);
	for (int k = 0; k < n; k++)
		r->page[i + k].prot = prot;
}

static void discard_pages(struct region *r, int i, int n)
{
	n = mapped_run(r, i, n);
	if (n && madvise(at(r, i), (size_t)n * PAGE, MADV_DONTNEED) != 0)
		complain(r, i, "madvise failed", (uint64_t)errno);
	for (int k = 0; k < n; k++)
		r->page[i + k].value = r->page[i + k].file == ANONYMOUS ? 0 : pattern(r->page[i + k].file);
}

static void move_page(struct region *r, int from, int to)
{
	if (from == to || r->page[from].prot == UNMAPPED)
		return;
	if (mremap(at(r, from), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, at(r, to)) != at(r, to)) {
		complain(r, from, "mremap failed", (uint64_t)errno);
		return;
	}
	r->page[to] = r->page[from];
	r->page[from].prot = UNMAPPED;
}

/* The kernel's own accesses must see what the processor's do. */
static void copy_by_kernel(struct region *r, int i, int pipe_fds[2])
{
	uint64_t got = 0;
	bool readable = r->page[i].prot != UNMAPPED && r->page[i].prot & PROT_READ;
	ssize_t n = write(pipe_fds[1], at(r, i), 8);

	if ((n == 8) != readable)
		complain(r, i, "write(2) gave", (uint64_t)n);
	if (n != 8)
		return;
	if (read(pipe_fds[0], &got, 8) != 8 || got != r->page[i].value)
		complain(r, i, "the kernel read", got);
}

static void *edit(void *arg)
{
	struct region *r = arg;
	int pipe_fds[2];

	MUST(pipe(pipe_fds));
	while (!atomic_load(&go))
		sched_yield();
	while (!atomic_load(&stop)) {
		int i = (int)(random64(r) % PAGES), n = 1;
		if (r->stride == 1)
			n += (int)(random64(r) % (random64(r) % 16 == 0 ? 600 : 12));
		n = n > PAGES - i ? PAGES - i : n;
		switch (random64(r) % 12) {
		case 0:
		case 1:
			map_pages(r, i, n, ANONYMOUS);
			break;
		case 2:
			n = n > 8 ? 8 : n;
			map_pages(r, i, n, (int)(random64(r) % (FILE_PAGES - 8)));
			break;
		case 3:
			if (munmap(at(r, i), (size_t)n * PAGE) != 0)
				complain(r, i, "munmap failed", (uint64_t)errno);
			for (int k = 0; k < n; k++)
				r->page[i + k].prot = UNMAPPED;
			break;
		case 4:
			protect_pages(r, i, n, PROT_READ);
			break;
		case 5:
			protect_pages(r, i, n, random64(r) & 1 ? PROT_NONE : PROT_READ | PROT_WRITE);
			break;
		case 6:
			discard_pages(r, i, n);
			break;
		case 7:
			move_page(r, i, (int)(random64(r) % PAGES));
			break;
		case 8:
			copy_by_kernel(r, i, pipe_fds);
			break;
		case 9:
			if (r->forks && random64(r) % 64 == 0)
				check_in_child(r);
			break;
		default:
			for (int k = 0; k < n && k < 16; k++)
				store(r, i + k);
		}
		for (int k = 0; k < n && k < 8; k++)
			verify(r, i + k);
		verify(r, (int)(random64(r) % PAGES));
		atomic_fetch_add_explicit(&r->operations, 1, memory_order_relaxed);
	}
	for (int i = 0; i < PAGES; i++)
		verify(r, i);
	return NULL;
}

static void storm(bool forks, bool interleaved)
{
	const char *s = getenv("HOSTILE_SECONDS");
	unsigned duration = s ? (unsigned)atoi(s) : 5;
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	pthread_t t[THREADS];
	size_t span = (size_t)PAGES * PAGE;

	set_limit(duration + 60);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	pattern_file = make_file("pattern", "");
	for (int i = 0; i < FILE_PAGES; i++) {
		uint64_t page[PAGE / 8] = {[0] = pattern(i), [PAGE / 8 - 1] = pattern(i)};
		MUST(write(pattern_file, page, PAGE));
	}
	/* Room for the regions, 2 MiB aligned; emptied when nothing else will be placed any more. */
	char *space = mmap(NULL, THREADS * span + (2 << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	space = (char *)(((uintptr_t)space + (2 << 20) - 1) & ~(uintptr_t)((2 << 20) - 1));
	for (int i = 0; i < THREADS; i++) {
		struct region *r = &regions[i];
		r->base = interleaved ? space : space + (size_t)i * span;
		r->stride = interleaved ? THREADS : 1;
		r->first = interleaved ? i : 0;
		r->forks = forks;
		r->state = 0x9e3779b97f4a7c15ull * (uint64_t)(i + 1);
		for (int k = 0; k < PAGES; k++)
			r->page[k].prot = UNMAPPED;
		pthread_create(&t[i], NULL, edit, r);
	}
	MUST(munmap(space, THREADS * span));
	atomic_store(&go, true);
	sleep_ms(duration * 1000);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < THREADS; i++)
		if (!atomic_load(&regions[i].operations))
			say("thread %d never ran", i);
	say("wrong: %d", atomic_load(&wrong));
}

TEST(apart)
{
	storm(false, false);
}

TEST(interleaved)
{
	storm(false, true);
}

TEST(apart_with_forks)
{
	storm(true, false);
}

TEST(interleaved_with_forks)
{
	storm(true, true);
}

/* Shared pages: a counter in each, incremented by every process, never to lose one. */
TEST(shared_after_fork)
{
	enum { N = 256, CHILDREN = 6, ROUNDS = 200 };
	atomic_uint *counters[N];
	char *base = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int bad = 0, status;

	set_limit(60);
	for (int i = 0; i < N; i++)
		counters[i] = (atomic_uint *)(base + (size_t)i * PAGE);
	for (int c = 0; c < CHILDREN; c++)
		if (fork() == 0) {
			for (int round = 0; round < ROUNDS; round++) {
				for (int i = 0; i < N; i++)
					atomic_fetch_add(counters[i], 1);
				if (round % 20 == 0)
					madvise(base + (size_t)(round % N) * PAGE, 8 * PAGE, MADV_DONTNEED);
				if (round % 50 == 0) {
					mprotect(base, N * PAGE, PROT_READ);
					mprotect(base, N * PAGE, PROT_READ | PROT_WRITE);
				}
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		bad += status != 0;
	for (int i = 0; i < N; i++)
		bad += atomic_load(counters[i]) != CHILDREN * ROUNDS;
	say("bad: %d", bad);
}

/* A mapping of a file that another thread truncates and extends: SIGBUS, EFAULT or the data. */
static int shrinking;
static void *shrink(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		if (ftruncate(shrinking, (i % 7) * PAGE + (i % 3) * 100) != 0)
			return NULL;
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static void *use_shrinking(void *arg)
{
	char *const volatile p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shrinking, 0);
	int fd = open("/dev/zero", O_RDONLY), out = open("/dev/null", O_WRONLY), fds[2];
	volatile long faults = 0, uses = 0;
	char name[64];

	(void)arg;
	snprintf(name, sizeof name, "copy-%d", (int)syscall(SYS_gettid));
	int copy = open(name, O_RDWR | O_CREAT, 0600);
	MUST(pipe2(fds, O_NONBLOCK));
	while (!atomic_load(&stop)) {
		char *at = p + (uses * 257) % (7 * PAGE);
		expecting = 1;
		if (sigsetjmp(back, 0) == 0) {
			*(volatile char *)at = 1;
			(void)*(volatile char *)(at + 99);
		} else {
			faults++;
		}
		expecting = 0;
		uses++;
		read(fd, at, 3000);
		write(out, at, 3000);
		pwrite(copy, at, 5000, 0);
		pread(copy, at, 5000, 0);
		pread(shrinking, at, 100, uses % 100);
		pwrite(shrinking, at, 10, uses % 5000);
		write(fds[1], at, 4000);
		read(fds[0], at, 4000);
		syscall(SYS_newfstatat, AT_FDCWD, at, at, 0);
		if (uses % 64 == 0)
			madvise(p, 8 * PAGE, MADV_DONTNEED);
	}
	return (void *)(faults + uses > 0 ? NULL : p);
}

TEST(file_shrinks_under_its_users)
{
	const char *s = getenv("HOSTILE_SECONDS");
	unsigned duration = s ? (unsigned)atoi(s) : 5;
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
	pthread_t t[5];

	set_limit(duration + 60);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	shrinking = make_file("shrinking", "");
	pthread_create(&t[0], NULL, shrink, NULL);
	for (int i = 1; i < 5; i++)
		pthread_create(&t[i], NULL, use_shrinking, NULL);
	sleep_ms(duration * 1000);
	atomic_store(&stop, true);
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	say("went on");
}
