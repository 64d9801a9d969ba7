/* SPDX-License-Identifier: Apache-2.0 */
/* The lock-order checker of debug builds: it stops what closes a cycle and nothing else. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER, b = PTHREAD_MUTEX_INITIALIZER,
		       c = PTHREAD_MUTEX_INITIALIZER;

static void take(pthread_mutex_t *first, pthread_mutex_t *second)
{
	pthread_mutex_lock(first);
	pthread_mutex_lock(second);
	pthread_mutex_unlock(second);
	pthread_mutex_unlock(first);
}

static void in_order(void)
{
	take(&a, &b);
	take(&b, &c);
	take(&a, &c);
}

static void reversed(void)
{
	take(&a, &b);
	take(&b, &a);
}

static void reversed_through_a_third(void)
{
	take(&a, &b);
	take(&b, &c);
	take(&c, &a);
}

static void tried(void)
{
	take(&a, &b);
	pthread_mutex_lock(&b);
	if (pthread_mutex_trylock(&a) == 0)
		pthread_mutex_unlock(&a);
	pthread_mutex_unlock(&b);
}

/* One place, neither inlined nor left by a jump. */
static __attribute__((noinline)) void init_one(pthread_mutex_t *m)
{
	pthread_mutex_init(m, NULL);
	__asm__ volatile("" ::: "memory");
}

/* Classes are places of initialisation: what one pair did binds every pair. */
static void reversed_by_class(void)
{
	pthread_mutex_t x[2], y;

	for (int i = 0; i < 2; i++)
		init_one(&x[i]);
	pthread_mutex_init(&y, NULL);
	take(&x[0], &y);
	take(&y, &x[1]);
}

static int end_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_one_order_passes(void **state)
{
	(void)state;
	assert_int_equal(end_of(in_order), 0);
}

static void test_the_reverse_aborts(void **state)
{
	(void)state;
	assert_int_equal(end_of(reversed), SIGABRT);
}

static void test_a_longer_cycle_aborts(void **state)
{
	(void)state;
	assert_int_equal(end_of(reversed_through_a_third), SIGABRT);
}

static void test_trying_is_no_order(void **state)
{
	(void)state;
	assert_int_equal(end_of(tried), 0);
}

static void test_classes_are_judged_not_mutexes(void **state)
{
	(void)state;
	assert_int_equal(end_of(reversed_by_class), SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_order_passes),
		cmocka_unit_test(test_the_reverse_aborts),
		cmocka_unit_test(test_a_longer_cycle_aborts),
		cmocka_unit_test(test_trying_is_no_order),
		cmocka_unit_test(test_classes_are_judged_not_mutexes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
