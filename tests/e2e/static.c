/* SPDX-License-Identifier: Apache-2.0 */
/* A static program of another C library (musl): threads, files, processes, floating point. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double total;

static void *work(void *arg)
{
	double sum = 0;
	for (int i = 1; i < 20000; i++)
		sum += sqrt(i * (double)(long)arg);
	pthread_mutex_lock(&lock);
	total += floor(sum);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[6];
	for (long i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, work, (void *)(i + 1));
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	printf("arguments %d %s, total %.0f\n", argc, argc > 1 ? argv[1] : "", total);
	fflush(stdout);
	FILE *p = popen("echo from a shell; exit 5", "r");
	char line[64];
	if (p && fgets(line, sizeof(line), p))
		printf("%s", line);
	int status = p ? pclose(p) : -1;
	printf("status %d\n", WEXITSTATUS(status));
	FILE *f = tmpfile();
	fprintf(f, "temporary %d", 12345);
	rewind(f);
	int value = 0;
	if (fscanf(f, "temporary %d", &value) == 1)
		printf("read back %d\n", value);
	char *big = malloc(64 << 20);
	memset(big, 7, 64 << 20);
	printf("memory %d\n", big[(64 << 20) - 1]);
	struct tm tm;
	time_t zero = 0;
	gmtime_r(&zero, &tm);
	printf("epoch %d\n", tm.tm_year + 1900);
	return 11;
}
