/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time a command from spawn to reaped: spawn COUNT COMMAND [ARGUMENT]...
 * Each "@" in an argument becomes the number of the run, after $SPAWN_NAME or our pid. Prints on one
 * line, in microseconds: the median, the least, the 90th percentile, and the medians of the first and
 * the last tenth of the runs.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static char *numbered(const char *arg, int n)
{
	const char *at = strchr(arg, '@'), *name = getenv("SPAWN_NAME");
	char *out, own[16];
	if (!at)
		return strdup(arg);
	snprintf(own, sizeof(own), "%d", (int)getpid());
	if (asprintf(&out, "%.*s%s-%d%s", (int)(at - arg), arg, name ? name : own, n, at + 1) < 0)
		abort();
	return out;
}

static unsigned long median(const uint64_t *took, int count)
{
	uint64_t *sorted = calloc(count, sizeof(*sorted));
	memcpy(sorted, took, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), ascending);
	unsigned long m = sorted[count / 2];
	free(sorted);
	return m;
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0;
	if (count <= 0) {
		fprintf(stderr, "usage: spawn COUNT COMMAND [ARGUMENT]...\n");
		return 2;
	}
	uint64_t *took = calloc(count, sizeof(*took));
	posix_spawn_file_actions_t quiet;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < count; i++) {
		char **args = calloc(argc, sizeof(*args));
		for (int k = 2; k < argc; k++)
			args[k - 2] = numbered(argv[k], i);
		pid_t pid;
		int status;
		uint64_t start = now_us();
		if (posix_spawnp(&pid, args[0], &quiet, NULL, args, environ) || waitpid(pid, &status, 0) != pid) {
			perror(args[0]);
			return 1;
		}
		took[i] = now_us() - start;
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			fprintf(stderr, "%s: run %d ended with status %#x\n", args[0], i, status);
			return 1;
		}
		for (int k = 0; args[k]; k++)
			free(args[k]);
		free(args);
	}
	int tenth = count < 10 ? 1 : count / 10;
	unsigned long first = median(took, tenth), last = median(took + count - tenth, tenth);
	qsort(took, count, sizeof(*took), ascending);
	printf("%lu %lu %lu %lu %lu\n", (unsigned long)took[count / 2], (unsigned long)took[0],
	       (unsigned long)took[count * 9 / 10], first, last);
	return 0;
}
