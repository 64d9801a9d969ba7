/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "guest.h"
#include "guest_arch.h"

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void on_fault(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	fault_signal = sig;
	fault_code = si->si_code;
	siglongjmp(back, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* What touching this byte does: "ok" or the signal and its code. */
static const char *probe(volatile char *p, bool write)
{
	static char text[32];
	fault_signal = 0;
	if (sigsetjmp(back, 1) == 0) {
		char c = *p;
		if (write)
			*p = c;
		return "ok";
	}
	snprintf(text, sizeof(text), "SIG%s/%d", sigabbrev_np(fault_signal), fault_code);
	return text;
}

static void show_pages(const char *what, char *p, int n)
{
	char line[600] = "";
	for (int i = 0; i < n; i++) {
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " r:%s", probe(p + i * PAGE, false));
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " w:%s", probe(p + i * PAGE, true));
	}
	say("%s:%s", what, line);
}

static char *map(size_t pages, int prot)
{
	char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(94);
	return p;
}

#define MAPS(expr) report(#expr, (errno = 0, (long)(expr) == -1 ? -1 : 0))

TEST(map_errors)
{
	int fd = make_file("f", "content"), ro = MUST(open("f", O_RDONLY)), wo = MUST(open("f", O_WRONLY));
	MAPS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 123));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0));
	MAPS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
	MAPS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0));
	MAPS(mmap((void *)123, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	MAPS(mmap((void *)GUEST_TASK_SIZE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	MAPS(mmap(NULL, (size_t)1 << 48, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	char *p = map(2, PROT_READ);
	MAPS(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	int pipes[2];
	MUST(pipe(pipes));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0));
	MAPS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, MUST(open(".", O_RDONLY)), 0));
	CALL(munmap(p + 1, PAGE));
	CALL(munmap(p, 0));
	CALL(munmap(p, PAGE));
	CALL(munmap(p, PAGE));
	CALL(munmap((void *)-PAGE, PAGE));
	CALL(mprotect(p, PAGE, PROT_READ));
	CALL(mprotect(p + 1, PAGE, PROT_READ));
	CALL(mprotect(p + PAGE, PAGE, 0x100));
	CALL(mprotect(p + PAGE, 0, PROT_READ));
	CALL(msync(p, PAGE, MS_SYNC));
	CALL(msync(p + PAGE, PAGE, MS_SYNC | MS_ASYNC));
	CALL(madvise(p, PAGE, MADV_DONTNEED));
	CALL(madvise(p + PAGE, PAGE, 12345));
	CALL(madvise(p + 1, PAGE, MADV_DONTNEED));
}

TEST(protection_is_enforced)
{
	catch_faults();
	char *p = map(6, PROT_READ | PROT_WRITE);
	memset(p, 'x', 6 * PAGE);
	show_pages("all", p, 6);
	MUST(mprotect(p + PAGE, 2 * PAGE, PROT_READ));
	MUST(mprotect(p + 4 * PAGE, PAGE, PROT_NONE));
	show_pages("mixed", p, 6);
	MUST(munmap(p + 2 * PAGE, PAGE));
	show_pages("hole", p, 6);
	MUST(mprotect(p + 3 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE));
	say("kept %c", p[4 * PAGE]);
	CALL(mprotect(p, 6 * PAGE, PROT_READ));
	show_pages("partly", p, 6);
	MUST((long)mmap(p, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	show_pages("fresh", p, 6);
	say("zero %d", p[0]);
}

TEST(remapping)
{
	catch_faults();
	char *p = map(8, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 8; i++)
		p[i * PAGE] = (char)('a' + i);
	munmap(p + 4 * PAGE, 4 * PAGE);
	CALL(mremap(p, 4 * PAGE, 8 * PAGE, 0) == p);
	say("%c %c %d", p[0], p[3 * PAGE], p[4 * PAGE]);
	CALL(mremap(p, 8 * PAGE, 2 * PAGE, 0) == p);
	show_pages("shrunk", p, 4);
	char *wall = mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	MAPS(mremap(p, 2 * PAGE, 4 * PAGE, 0));
	char *q = mremap(p, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	say("moved %d: %c %c %d", q != p && q != MAP_FAILED, q[0], q[PAGE], q[2 * PAGE]);
	show_pages("old", p, 3);
	char *target = map(4, PROT_NONE);
	CALL(mremap(q, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	say("%c %c", target[0], target[PAGE]);
	MAPS(mremap(target, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE));
	MAPS(mremap(target, 4 * PAGE, 4 * PAGE, MREMAP_FIXED, wall));
	MAPS(mremap(target + 1, PAGE, PAGE, 0));
	MAPS(mremap(target, 0, PAGE, MREMAP_MAYMOVE));
	MAPS(mremap(target, PAGE, 0, MREMAP_MAYMOVE));
	char *keep = mremap(target, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	say("moved %c, left %d", keep[0], target[0]);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *again = mremap(shared, 0, PAGE, MREMAP_MAYMOVE);
	shared[7] = 'S';
	say("duplicate %c", again[7]);
}

TEST(file_mappings)
{
	char buf[16] = "";
	int fd = make_file("f", "private and shared");
	char *priv = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	shared[0] = 'P';
	say("%.7s %.7s", priv, shared);
	priv[1] = 'R';
	say("%.7s %.7s", priv, shared);
	CALL(pread(fd, buf, 7, 0));
	say("%s", buf);
	pwrite(fd, "XY", 2, 3);
	say("%.7s %.7s", priv, shared);
	say("past the end %d", shared[100]);
	shared[100] = 'z';
	CALL(msync(shared, PAGE, MS_SYNC));
	ftruncate(fd, 200);
	CALL(pread(fd, buf, 1, 100));
	say("%d", buf[0] == 'z' || buf[0] == 0);
	close(fd);
	unlink("f");
	say("still there %.7s", shared);
	munmap(priv, PAGE);
	munmap(shared, PAGE);
	fd = make_file("g", "");
	ftruncate(fd, 64 * PAGE);
	for (int i = 0; i < 64; i++)
		pwrite(fd, &i, sizeof(i), i * PAGE);
	char *p = mmap(NULL, 60 * PAGE, PROT_READ, MAP_PRIVATE, fd, 4 * PAGE);
	long sum = 0;
	for (int i = 0; i < 60; i++)
		sum += *(int *)(p + i * PAGE);
	say("sum %ld", sum);
}

TEST(copy_on_write_after_fork)
{
	char *p = map(32, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 32; i++)
		p[i * PAGE] = (char)i;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		long sum = 0;
		for (int i = 0; i < 32; i++)
			p[i * PAGE] += 100;
		pid_t inner = MUST(fork());
		if (inner == 0) {
			for (int i = 0; i < 32; i += 2)
				p[i * PAGE] = 1;
			for (int i = 0; i < 32; i++)
				sum += (unsigned char)p[i * PAGE];
			say("grandchild %ld", sum);
			_exit(0);
		}
		waitpid(inner, NULL, 0);
		for (int i = 0; i < 32; i++)
			sum += (unsigned char)p[i * PAGE];
		say("child %ld", sum);
		_exit(0);
	}
	reap("child", pid);
	long sum = 0;
	for (int i = 0; i < 32; i++)
		sum += p[i * PAGE];
	say("parent %ld", sum);
	p[0] = 55;
	say("writable again %d", p[0]);
}

TEST(kernel_writes_break_copy_on_write)
{
	int pipes[2];
	MUST(pipe(pipes));
	char *p = map(1, PROT_READ | PROT_WRITE);
	strcpy(p, "before");
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(read(pipes[0], p, 6));
		say("child %s", p);
		_exit(0);
	}
	MUST(write(pipes[1], "after!", 6));
	reap("child", pid);
	say("parent %s", p);
}

TEST(advice)
{
	char *p = map(4, PROT_READ | PROT_WRITE);
	unsigned char vec[4];
	memset(p, 'x', 4 * PAGE);
	CALL(mincore(p, 4 * PAGE, vec));
	say("resident %d%d%d%d", vec[0] & 1, vec[1] & 1, vec[2] & 1, vec[3] & 1);
	CALL(madvise(p + PAGE, PAGE, MADV_DONTNEED));
	say("%d %d %d", p[0], p[PAGE], p[2 * PAGE]);
	CALL(madvise(p, 4 * PAGE, MADV_WILLNEED));
	CALL(madvise(p, 4 * PAGE, MADV_SEQUENTIAL));
	int fd = make_file("f", "file content");
	char *f = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	f[0] = 'F';
	CALL(madvise(f, PAGE, MADV_DONTNEED));
	say("%.4s", f);
	CALL(madvise(p, PAGE, MADV_DONTFORK));
	CALL(madvise(p + PAGE, PAGE, MADV_WIPEONFORK));
	p[PAGE] = 'w';
	pid_t pid = MUST(fork());
	if (pid == 0) {
		catch_faults();
		say("not forked: %s, wiped %d", probe(p, false), p[PAGE]);
		_exit(0);
	}
	reap("child", pid);
	CALL(mlock(p, PAGE));
	CALL(munlock(p, PAGE));
	CALL(mincore(p + 1, PAGE, vec));
}

TEST(break_moves_the_heap)
{
	char *start = sbrk(0);
	CALL(brk(start + 10 * PAGE));
	start[5 * PAGE] = 'x';
	CALL((char *)sbrk(0) - start);
	CALL(brk(start + PAGE));
	catch_faults();
	say("beyond: %s", probe(start + 5 * PAGE, false));
	CALL(brk(start + 10 * PAGE));
	say("zeroed %d", start[5 * PAGE]);
	CALL(syscall(SYS_brk, 1) == (long)start + 10 * PAGE);
	struct rlimit r = {1 << 20, 1 << 20};
	CALL(setrlimit(RLIMIT_DATA, &r));
	CALL(brk(start + (64 << 20)));
}

static int grow(int depth)
{
	volatile char frame[8192];
	frame[0] = (char)depth;
	frame[8191] = frame[0];
	return depth ? grow(depth - 1) + frame[8191] - (char)depth : 0;
}

TEST(stack_grows)
{
	say("deep %d", grow(700));
	touch_below_stack(409600);
	say("touched far below");
}

static int stack_limit(void *arg)
{
	(void)arg;
	return grow(100000);
}

TEST(stack_limit_is_enforced)
{
	struct rlimit r = {1 << 20, 8 << 20};
	CALL(setrlimit(RLIMIT_STACK, &r));
	reap("deep recursion", spawn(stack_limit, NULL));
}

TEST(grows_down_mappings)
{
	char *area = map(64, PROT_NONE);
	munmap(area, 64 * PAGE);
	char *p = mmap(area + 40 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	catch_faults();
	say("below: %s", probe(p - PAGE, true));
	say("further: %s", probe(p - 5 * PAGE, true));
}

TEST(shared_anonymous_memory)
{
	_Atomic long *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[4];
	for (int i = 0; i < 4; i++) {
		pid[i] = MUST(fork());
		if (pid[i] == 0) {
			for (int k = 0; k < 10000; k++)
				p[0]++;
			p[512 * (i % 4) + 1] = i;
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		waitpid(pid[i], NULL, 0);
	say("sum %ld, %ld %ld %ld", p[0], p[513], p[1025], p[1537]);
}

static const unsigned char return_42[] = {0xb8, 42, 0, 0, 0, 0xc3};

TEST(executable_memory)
{
	catch_faults();
	unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(p, return_42, sizeof(return_42));
	fault_signal = 0;
	if (sigsetjmp(back, 1) == 0)
		((int (*)(void))p)();
	say("not executable: signal %d code %d", fault_signal, fault_code);
	MUST(mprotect(p, PAGE, PROT_READ | PROT_EXEC));
	say("returned %d", ((int (*)(void))p)());
	MUST(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	for (int i = 0; i < 100; i++) {
		p[1] = (unsigned char)i;
		if (((int (*)(void))p)() != i)
			say("stale code at %d", i);
	}
	say("rewritten");
}

TEST(address_space_limit)
{
	struct rlimit r = {256 << 20, 256 << 20};
	CALL(setrlimit(RLIMIT_AS, &r));
	MAPS(mmap(NULL, 512 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	MAPS(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

TEST(other_processes_memory)
{
	static char remote[] = "in the child", local[32];
	pid_t pid = MUST(fork());
	if (pid == 0) {
		remote[0] = 'I';
		raise(SIGSTOP);
		say("child sees %s", remote);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	struct iovec l = {local, sizeof(remote)}, r = {remote, sizeof(remote)};
	CALL(process_vm_readv(pid, &l, 1, &r, 1, 0));
	say("%s", local);
	local[3] = 'T';
	CALL(process_vm_writev(pid, &l, 1, &r, 1, 0));
	r.iov_base = (void *)8;
	CALL(process_vm_readv(pid, &l, 1, &r, 1, 0));
	CALL(process_vm_readv(99999, &l, 1, &r, 1, 0));
	kill(pid, SIGCONT);
	reap("child", pid);
}

/* ---- many threads over one region: every page a thread maps holds what it wrote ---- */

enum { SLOTS = 64, SLOT_PAGES = 4, ROUNDS = 400 };
static char *region;
static pthread_mutex_t slot_lock[SLOTS];
static unsigned char expected[SLOTS];
static atomic_int wrong;

static void *map_at_random(void *arg)
{
	unsigned seed = (unsigned)(long)arg * 2654435761u + 1;
	for (int i = 0; i < ROUNDS; i++) {
		seed = seed * 1103515245 + 12345;
		int s = seed >> 16 & (SLOTS - 1), action = seed >> 8 & 7;
		char *p = region + (size_t)s * SLOT_PAGES * PAGE;
		pthread_mutex_lock(&slot_lock[s]);
		for (int k = 0; k < SLOT_PAGES && expected[s]; k++)
			if (p[k * PAGE + (int)(seed & 0xfff)] != (char)expected[s])
				wrong++;
		if (action < 4 || !expected[s]) {
			if (mmap(p, SLOT_PAGES * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p)
				wrong++;
			for (int k = 0; k < SLOT_PAGES; k++)
				if (p[k * PAGE])
					wrong++;
			expected[s] = (unsigned char)(1 + seed % 255);
			memset(p, expected[s], SLOT_PAGES * PAGE);
		} else if (action == 4) {
			munmap(p, SLOT_PAGES * PAGE);
			expected[s] = 0;
		} else if (action == 5) {
			mprotect(p, SLOT_PAGES * PAGE, PROT_READ);
			mprotect(p, SLOT_PAGES * PAGE, PROT_READ | PROT_WRITE);
		} else if (action == 6) {
			madvise(p, SLOT_PAGES * PAGE, MADV_DONTNEED);
			if (p[0] || p[3 * PAGE])
				wrong++;
			memset(p, expected[s], SLOT_PAGES * PAGE);
		}
		pthread_mutex_unlock(&slot_lock[s]);
	}
	return NULL;
}

TEST(eight_threads_map_and_unmap)
{
	pthread_t t[8];
	set_limit(120);
	region = map(SLOTS * SLOT_PAGES, PROT_NONE);
	for (int i = 0; i < SLOTS; i++)
		pthread_mutex_init(&slot_lock[i], NULL);
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, map_at_random, (void *)(i + 1));
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	say("wrong %d", wrong);
}

static atomic_int unmapped;
static atomic_long reads;
static void *read_until_unmapped(void *arg)
{
	for (;;) {
		int late = unmapped;
		(void)*(volatile char *)arg;
		if (late)
			_exit(1);
		reads++;
	}
	return NULL;
}

TEST(unmapping_reaches_running_threads)
{
	/* Another thread that keeps touching the page must fault from munmap()'s return on. */
	for (int round = 0; round < 5; round++) {
		char *p = map(1, PROT_READ | PROT_WRITE);
		p[0] = 1;
		pid_t pid = MUST(fork());
		if (pid == 0) {
			pthread_t t;
			pthread_create(&t, NULL, read_until_unmapped, p);
			while (reads < 1000)
				sched_yield();
			munmap(p, PAGE);
			unmapped = 1;
			pthread_join(t, NULL);
		}
		reap("reader", pid);
	}
}

TEST(large_areas)
{
	size_t size = (size_t)256 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CALL(p != MAP_FAILED);
	for (size_t i = 0; i < size; i += 1 << 20)
		p[i] = (char)(i >> 20);
	long bad = 0;
	for (size_t i = 0; i < size; i += 1 << 20)
		bad += p[i] != (char)(i >> 20) || p[i + PAGE] != 0;
	say("bad %ld", bad);
	CALL(munmap(p, size));
	char *sparse = mmap(NULL, (size_t)1 << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CALL(sparse != MAP_FAILED);
	sparse[(size_t)1 << 39] = 'q';
	say("%c %d", sparse[(size_t)1 << 39], sparse[((size_t)1 << 39) + PAGE]);
}

TEST(writing_a_program_text_mapping)
{
	catch_faults();
	say("text: %s", probe((char *)(void *)probe, true));
	say("constant: %s", probe((char *)(void *)return_42, true));
}

TEST(proc_maps_shows_areas)
{
	char *p = map(3, PROT_READ | PROT_WRITE), line[512];
	mprotect(p + PAGE, PAGE, PROT_READ);
	int fd = make_file("mapped", "xyz");
	char *f = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	FILE *maps = fopen("/proc/self/maps", "r");
	int heap = 0, stack = 0, vdso = 0, exact = 0, file = 0;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char perms[8];
		sscanf(line, "%lx-%lx %7s", &start, &end, perms);
		heap += strstr(line, "[heap]") != NULL;
		stack += strstr(line, "[stack]") != NULL;
		vdso += strstr(line, "[vdso]") != NULL;
		exact += start == (unsigned long)p + PAGE && end == start + PAGE && !strcmp(perms, "r--p");
		file += start == (unsigned long)f && strstr(line, "/mapped\n") && !strcmp(perms, "r--s");
	}
	say("heap %d stack %d vdso %d exact %d file %d", heap, stack, vdso, exact, file);
}
