/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmark runs inside containers, and its stopwatch outside. Each mode prints lines of a
 * name and a number; the unit is in the name.
 *
 *   bench inside|outside N      cost of one system call of either kind, N times
 *   bench fault N               cost of touching each of N fresh pages, one after the other
 *   bench fork N PROGRAM        fork, exec and wait for PROGRAM, N times
 *   bench file N PATH           open, read 4 KiB, close
 *   bench pipe N                a byte to another process and back
 *   bench time N COMMAND...     start-to-exit of a command; "%" in an argument becomes a number
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The best of some rounds: what else runs on the host only ever adds. */
static void report_best(const char *name, double (*round)(long n, char **args), long n, char **args)
{
	double best = 0;

	for (int i = 0; i < ROUNDS; i++) {
		double each = round(n, args) / (double)n;

		if (!i || each < best)
			best = each;
	}
	printf("%s_ns %.0f\n", name, best);
}

static double inside(long n, char **args)
{
	double start = now_ns();

	(void)args;
	for (long i = 0; i < n; i++)
		syscall(SYS_getpid);
	return now_ns() - start;
}

static double outside(long n, char **args)
{
	double start = now_ns();

	(void)args;
	for (long i = 0; i < n; i++)
		syscall(SYS_umask, 022);
	return now_ns() - start;
}

static double fault(long n, char **args)
{
	size_t len = (size_t)n * 4096;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start, end;

	(void)args;
	if (p == MAP_FAILED)
		die("mmap");
	/* Small pages, as in a heap that grows. */
	madvise(p, len, MADV_NOHUGEPAGE);
	start = now_ns();
	for (size_t i = 0; i < len; i += 4096)
		((volatile char *)p)[i] = 1;
	end = now_ns();
	munmap(p, len);
	return end - start;
}

static double fork_exec(long n, char **args)
{
	double start = now_ns();

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			execv(args[0], args);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			die(args[0]);
	}
	return now_ns() - start;
}

static double file(long n, char **args)
{
	double start = now_ns();
	char buf[4096];

	for (long i = 0; i < n; i++) {
		int fd = open(args[0], O_RDONLY);

		if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
			die(args[0]);
		close(fd);
	}
	return now_ns() - start;
}

static double ping_pong(long n, char **args)
{
	int there[2], back[2];
	double start;
	char c = 0;
	pid_t pid;

	(void)args;
	if (pipe(there) || pipe(back))
		die("pipe");
	pid = fork();
	if (!pid) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		_exit(0);
	}
	start = now_ns();
	for (long i = 0; i < n; i++)
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			die("pipe");
	start = now_ns() - start;
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
	waitpid(pid, NULL, 0);
	return start;
}

static double run_once(char *const argv[], int *status)
{
	extern char **environ;
	double start = now_ns();
	pid_t pid;
	int err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

	if (err) {
		errno = err;
		die(argv[0]);
	}
	if (waitpid(pid, status, 0) != pid)
		die("waitpid");
	return now_ns() - start;
}

static void stopwatch(long n, char **args)
{
	double *each = calloc((size_t)n, sizeof(*each));
	char text[64], *argv[64];
	size_t k = 0;

	for (k = 0; args[k] && k < 63; k++)
		argv[k] = args[k];
	argv[k] = NULL;
	for (long i = 0; each && i < n; i++) {
		int status;

		for (k = 0; args[k] && k < 63; k++)
			if (!strcmp(args[k], "%")) {
				snprintf(text, sizeof(text), "bench-%d-%ld", (int)getpid(), i);
				argv[k] = text;
			}
		each[i] = run_once(argv, &status);
		if (status) {
			fprintf(stderr, "%s ended with status %#x\n", argv[0], (unsigned)status);
			exit(1);
		}
	}
	if (!each)
		die("calloc");
	qsort(each, (size_t)n, sizeof(*each), by_value);
	printf("min_ns %.0f\nmedian_ns %.0f\n", each[0], each[n / 2]);
	free(each);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		double (*round)(long n, char **args);
		int nargs;
	} modes[] = {{"inside", inside, 0}, {"outside", outside, 0}, {"fault", fault, 0},
		     {"fork", fork_exec, 1}, {"file", file, 1},	     {"pipe", ping_pong, 0}};
	long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0;

	if (n > 0 && argc > 3 && !strcmp(argv[1], "time")) {
		stopwatch(n, argv + 3);
		return 0;
	}
	for (size_t i = 0; n > 0 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name) && argc >= 3 + modes[i].nargs) {
			report_best(modes[i].name, modes[i].round, n, argv + 3);
			return 0;
		}
	fprintf(stderr, "usage: bench MODE N [ARGUMENT...]\n");
	return 2;
}
