/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest program is a family of small tests, one property each: `family NAME` runs one, `family
 * --list` names them. Natively and under nacre a test must print the same bytes and end with the same
 * status, so whatever it prints is free of addresses, times and pids.
 */
#ifndef NACRE_TESTS_GUEST_H
#define NACRE_TESTS_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct guest_test {
	const char *name;
	void (*fn)(void);
};

#define TEST(id)                                                                                   \
	static void test_##id(void);                                                               \
	static const struct guest_test entry_##id                                                  \
		__attribute__((used, section("guest_tests"), aligned(16))) = {#id, test_##id};     \
	static void test_##id(void)

/* One write(2) a line, so that lines of several processes do not mix. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Print "what = result" or "what = -1 ENAME"; returns the result. Errno is kept. */
long report(const char *what, long result);
const char *error_name(int err);
void describe_status(const char *what, int status);
/* The monotonic clock in nanoseconds; sleeping for milliseconds. */
int64_t now_ns(void);
void sleep_ms(unsigned ms);
/* A test that hangs ends by SIGALRM after this many seconds (default 60). */
void set_limit(unsigned seconds);
/* fork(), run fn in the child and _exit(its result); returns the pid. */
pid_t spawn(int (*fn)(void *), void *arg);
/* waitpid() and describe_status(). */
void reap(const char *what, pid_t pid);
/* The state letter of a thread, as its stat file in /proc has it; '-' when there is none. */
char thread_state(pid_t pid, pid_t tid);
/* Wait until that thread sleeps in a call ('S'), and for any state. Nothing else in a test sleeps so. */
void wait_asleep(pid_t pid, pid_t tid);
void wait_for_state(pid_t pid, pid_t tid, char state);
/*
 * A child, to be waited for, that sends sig to the calling thread once that sleeps in a call. With
 * `then` it goes on: waits until the handler called disturbed() and the thread sleeps again, in the
 * restarted call, and calls then(arg), which is to end it.
 */
pid_t disturb(int sig, void (*then)(long), long arg);
void disturbed(void);
/* A file in the test's scratch directory with this content. Returns a descriptor for reading and
   writing. */
int make_file(const char *path, const char *content);

#define CALL(expr) report(#expr, (errno = 0, (long)(expr)))
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			say("line %d: not so: %s (errno %s)", __LINE__, #cond, error_name(errno)); \
	} while (0)
/* Preparations that must succeed for the test to mean anything. */
#define MUST(expr)                                                                                 \
	({                                                                                         \
		long must_result = (long)(expr);                                                   \
		if (must_result == -1) {                                                           \
			say("line %d: failed: %s (errno %s)", __LINE__, #expr, error_name(errno)); \
			_exit(99);                                                                 \
		}                                                                                  \
		must_result;                                                                       \
	})

#define PAGE 4096
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
