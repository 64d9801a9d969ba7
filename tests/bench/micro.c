/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single operations cost inside a container: each line is a name and nanoseconds, the least of
 * several rounds (the cost without the neighbours' noise). Built statically, run by tests/bench/run.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define ROUNDS 7

static const char *self;

static uint64_t now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Each of these does its work n times. */

static void call_inside(long n)
{
	while (n--)
		syscall(SYS_getpid);
}

static void call_outside(long n)
{
	while (n--)
		syscall(SYS_umask, 022);
}

static void clock_in_vdso(long n)
{
	struct timespec ts;
	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void file_read(long n)
{
	static char buf[PAGE];
	int fd = open("/bench/micro", O_RDONLY);
	while (n--)
		if (pread(fd, buf, PAGE, 0) != PAGE)
			abort();
	close(fd);
}

static void file_open_close(long n)
{
	while (n--)
		close(open("/bench/micro", O_RDONLY));
}

static void file_stat(long n)
{
	while (n--)
		if (access("/bench/micro", R_OK))
			abort();
}

/* Per page, touched in order: fault-around counts. */
static void fault_anonymous(long n)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < n; i++)
		p[i * PAGE] = 1;
	munmap(p, n * PAGE);
}

/* One page a mapping: nothing to fault around. */
static void fault_single(long n)
{
	char *p = mmap(NULL, 2 * n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < n; i++)
		mprotect(p + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE);
	uint64_t start = now();
	for (long i = 0; i < n; i++)
		p[2 * i * PAGE] = 1;
	printf("fault_single_page %lu\n", (unsigned long)((now() - start) / n));
	munmap(p, 2 * n * PAGE);
}

static void fault_file(long n)
{
	int fd = open("/bench/data", O_RDONLY);
	volatile char sum = 0;
	char *p = mmap(NULL, n * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	for (long i = 0; i < n; i++)
		sum += p[i * PAGE];
	munmap(p, n * PAGE);
	close(fd);
}

static void map_unmap(long n)
{
	while (n--) {
		char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		p[0] = 1;
		munmap(p, 4 * PAGE);
	}
}

static void protect(long n)
{
	static char *p;
	if (!p) {
		p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		p[0] = 1;
	}
	while (n--)
		mprotect(p, PAGE, n & 1 ? PROT_READ : PROT_READ | PROT_WRITE);
}

static void fork_wait(long n)
{
	while (n--) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

static void fork_exec_wait(long n)
{
	char *argv[] = {(char *)self, "exit", NULL};
	while (n--) {
		pid_t pid = fork();
		if (pid == 0) {
			execv(self, argv);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void *nothing(void *arg)
{
	return arg;
}

static void thread_create_join(long n)
{
	pthread_t t;
	while (n--) {
		pthread_create(&t, NULL, nothing, NULL);
		pthread_join(t, NULL);
	}
}

static int ping[2], pong[2];
static void *echo(void *arg)
{
	char c;
	while (read(ping[0], &c, 1) == 1 && c)
		if (write(pong[1], &c, 1) != 1)
			abort();
	return arg;
}

/* A byte to another thread and back. */
static void pipe_round_trip(long n)
{
	pthread_t t;
	char c = 1;
	if (pipe(ping) || pipe(pong))
		abort();
	pthread_create(&t, NULL, echo, NULL);
	while (n--)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			abort();
	c = 0;
	if (write(ping[1], &c, 1) != 1)
		abort();
	pthread_join(t, NULL);
	close(ping[0]), close(ping[1]), close(pong[0]), close(pong[1]);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *lock_often(void *arg)
{
	for (long n = (long)arg; n > 0; n--) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void contended_mutex(long n)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, lock_often, (void *)(n / 4));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void signal_to_self(long n)
{
	signal(SIGUSR1, on_signal);
	while (n--)
		raise(SIGUSR1);
}

static void compute(long n)
{
	static volatile double x = 1.0001;
	double y = 1;
	for (long i = 0; i < n * 1000; i++)
		y *= x;
	x = x + y * 1e-300;
}

static void measure(const char *name, void (*fn)(long), long n)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t start = now();
		fn(n);
		uint64_t took = (now() - start) / n;
		best = took < best ? took : best;
	}
	printf("%s %lu\n", name, (unsigned long)best);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "exit") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "idle") == 0)
		for (;;)
			pause();
	measure("call_inside_getpid", call_inside, 2000);
	measure("call_outside_umask", call_outside, 1000);
	measure("clock_gettime_vdso", clock_in_vdso, 100000);
	measure("pread_4096", file_read, 500);
	measure("open_close", file_open_close, 300);
	measure("access", file_stat, 300);
	measure("fault_anonymous_page", fault_anonymous, 2048);
	fault_single(512);
	measure("fault_file_page", fault_file, 2048);
	measure("mmap_touch_munmap", map_unmap, 200);
	measure("mprotect", protect, 200);
	measure("fork_wait", fork_wait, 20);
	measure("fork_exec_wait", fork_exec_wait, 10);
	measure("thread_create_join", thread_create_join, 50);
	measure("pipe_round_trip", pipe_round_trip, 300);
	measure("contended_mutex", contended_mutex, 4000);
	measure("signal_to_self", signal_to_self, 300);
	measure("compute_1000_multiplies", compute, 200);
	return 0;
}
