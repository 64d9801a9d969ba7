/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) between host threads that stand for guest threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/futex.h>
#include <unistd.h>

#include "runtime/task/futex.h"
#include "tests/unit/sig_stubs.h"

int64_t sys_futex(struct task *t, const uint64_t a[6]);
int64_t sys_futex_waitv(struct task *t, const uint64_t a[6]);

static struct world w;
static _Atomic uint32_t word, word2;

#define ROUNDS 5000

static int64_t fut(int me, void *addr, int op, uint32_t val, uint64_t a3, void *addr2, uint32_t val3)
{
	return sys_futex(&w.task[me], (const uint64_t[6]){(uintptr_t)addr, (uint64_t)op, val, a3,
							   (uintptr_t)addr2, val3});
}

static void start(unsigned n)
{
	world_init(&w, n);
	world_become(&w.task[0]);
	atomic_store(&word, 0);
	atomic_store(&word2, 0);
}

static void test_value_is_checked(void **state)
{
	struct timespec ts = {0, 1000000};

	(void)state;
	start(1);
	assert_int_equal(fut(0, &word, FUTEX_WAIT, 1, 0, NULL, 0), -EAGAIN);
	assert_int_equal(fut(0, &word, FUTEX_WAIT, 0, (uintptr_t)&ts, NULL, 0), -ETIMEDOUT);
	assert_int_equal(fut(0, (void *)4, FUTEX_WAIT, 0, 0, NULL, 0), -EFAULT);
	assert_int_equal(fut(0, (char *)&word + 1, FUTEX_WAIT, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(fut(0, &word, FUTEX_WAIT_BITSET, 0, 0, NULL, 0), -EINVAL);
	ts.tv_nsec = -1;
	assert_int_equal(fut(0, &word, FUTEX_WAIT, 0, (uintptr_t)&ts, NULL, 0), -EINVAL);
	world_destroy(&w);
}

/* The three-state mutex of the literature: 0 free, 1 taken, 2 taken with waiters. */
static void lock(int me)
{
	uint32_t c = 0;

	if (atomic_compare_exchange_strong(&word, &c, 1))
		return;
	if (c != 2)
		c = atomic_exchange(&word, 2);
	while (c) {
		fut(me, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0, NULL, 0);
		c = atomic_exchange(&word, 2);
	}
}

static void unlock(int me)
{
	if (atomic_exchange(&word, 0) == 2)
		fut(me, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, NULL, 0);
}

static unsigned counter;

static void *locker(void *arg)
{
	int me = (int)(intptr_t)arg;

	world_become(&w.task[me]);
	for (int i = 0; i < ROUNDS; i++) {
		lock(me);
		counter++;
		unlock(me);
	}
	return NULL;
}

static void *pi_locker(void *arg)
{
	int me = (int)(intptr_t)arg;

	world_become(&w.task[me]);
	for (int i = 0; i < ROUNDS; i++) {
		if (fut(me, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0))
			return (void *)1;
		counter++;
		if (fut(me, &word, FUTEX_UNLOCK_PI, 0, 0, NULL, 0))
			return (void *)2;
	}
	return NULL;
}

static void contend(void *(*fn)(void *))
{
	pthread_t th[4];
	void *ret;

	start(4);
	counter = 0;
	for (intptr_t i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, fn, (void *)i);
	for (int i = 0; i < 4; i++) {
		pthread_join(th[i], &ret);
		assert_null(ret);
	}
	assert_int_equal(counter, 4 * ROUNDS);
	world_destroy(&w);
}

static void test_mutex(void **state)
{
	(void)state;
	contend(locker);
}

static void test_pi_mutex(void **state)
{
	(void)state;
	contend(pi_locker);
	assert_int_equal(atomic_load(&word) & FUTEX_TID_MASK, 0);
}

static void *sleeper(void *arg)
{
	int me = (int)(intptr_t)arg;

	world_become(&w.task[me]);
	return (void *)(intptr_t)fut(me, &word, FUTEX_WAIT, 0, 0, NULL, 0);
}

static void wake_until(void *addr, unsigned n)
{
	for (unsigned got = 0; got < n;)
		got += (unsigned)fut(0, addr, FUTEX_WAKE, 1, 0, NULL, 0) ? 1 : 0;
}

static void test_requeue(void **state)
{
	pthread_t th[3];
	int64_t n = 0;
	void *ret;

	(void)state;
	start(4);
	for (intptr_t i = 0; i < 3; i++)
		pthread_create(&th[i], NULL, sleeper, (void *)(i + 1));
	assert_int_equal(fut(0, &word, FUTEX_CMP_REQUEUE, 0, 8, &word2, 1), -EAGAIN);
	while (n < 3)
		n += fut(0, &word, FUTEX_CMP_REQUEUE, 0, 8, &word2, 0);
	assert_int_equal(n, 3);
	assert_int_equal(fut(0, &word, FUTEX_WAKE, 8, 0, NULL, 0), 0);
	wake_until(&word2, 3);
	for (int i = 0; i < 3; i++) {
		pthread_join(th[i], &ret);
		assert_null(ret);
	}
	world_destroy(&w);
}

static void test_wake_op(void **state)
{
	(void)state;
	start(1);
	atomic_store(&word2, 5);
	assert_int_equal(fut(0, &word, FUTEX_WAKE_OP, 1, 1, &word2,
			     FUTEX_OP(FUTEX_OP_ADD, -2, FUTEX_OP_CMP_EQ, 5)), 0);
	assert_int_equal(atomic_load(&word2), 3);
	assert_int_equal(fut(0, &word, FUTEX_WAKE_OP, 1, 1, &word2,
			     FUTEX_OP((unsigned)(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_LT, -1)), 0);
	assert_int_equal(atomic_load(&word2), 19);
	world_destroy(&w);
}

static void test_pi_errors(void **state)
{
	(void)state;
	start(2);
	assert_int_equal(fut(0, &word, FUTEX_UNLOCK_PI, 0, 0, NULL, 0), -EPERM);
	assert_int_equal(fut(0, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0), 0);
	assert_int_equal(atomic_load(&word), 20);
	assert_int_equal(fut(0, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0), -EDEADLK);
	assert_int_equal(fut(1, &word, FUTEX_TRYLOCK_PI, 0, 0, NULL, 0), -EAGAIN);
	atomic_store(&word, 999); /* no such thread */
	assert_int_equal(fut(1, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0), -ESRCH);
	world_destroy(&w);
}

static void *pi_waiter(void *arg)
{
	(void)arg;
	world_become(&w.task[1]);
	return (void *)(intptr_t)fut(1, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0);
}

static void test_pi_owner_exits(void **state)
{
	pthread_t th;
	void *ret;

	(void)state;
	start(2);
	assert_int_equal(fut(0, &word, FUTEX_LOCK_PI, 0, 0, NULL, 0), 0);
	pthread_create(&th, NULL, pi_waiter, NULL);
	while (!(atomic_load(&word) & FUTEX_WAITERS))
		;
	futex_exit_robust(&w.task[0]);
	pthread_join(th, &ret);
	assert_null(ret);
	assert_int_equal(atomic_load(&word) & FUTEX_TID_MASK, 21);
	assert_true(atomic_load(&word) & FUTEX_OWNER_DIED);
	world_destroy(&w);
}

struct node {
	uint64_t next;
	_Atomic uint32_t lock;
};

static void test_robust_list(void **state)
{
	struct node a, b;
	struct {
		uint64_t next;
		int64_t offset;
		uint64_t pending;
	} head = {.offset = offsetof(struct node, lock)};

	(void)state;
	start(1);
	head.next = (uintptr_t)&a;
	a.next = (uintptr_t)&b;
	b.next = (uintptr_t)&a; /* hostile: never comes back to the head */
	atomic_store(&a.lock, 20 | FUTEX_WAITERS);
	atomic_store(&b.lock, 77); /* somebody else's */
	w.task[0].robust_list = GVA(&head);
	futex_exit_robust(&w.task[0]);
	assert_int_equal(atomic_load(&a.lock), FUTEX_OWNER_DIED | FUTEX_WAITERS);
	assert_int_equal(atomic_load(&b.lock), 77);
	head.next = 16; /* and a pointer to nowhere */
	w.task[0].robust_list = GVA(&head);
	futex_exit_robust(&w.task[0]);
	world_destroy(&w);
}

static void *waitv_sleeper(void *arg)
{
	struct {
		uint64_t val, addr;
		uint32_t flags, reserved;
	} v[2] = {{0, (uintptr_t)&word, 2, 0}, {0, (uintptr_t)&word2, 2, 0}};

	(void)arg;
	world_become(&w.task[1]);
	return (void *)(intptr_t)sys_futex_waitv(
		&w.task[1], (const uint64_t[6]){(uintptr_t)v, 2, 0, 0, 0, 0});
}

static void test_waitv(void **state)
{
	pthread_t th;
	void *ret;

	(void)state;
	start(2);
	pthread_create(&th, NULL, waitv_sleeper, NULL);
	wake_until(&word2, 1);
	pthread_join(th, &ret);
	assert_int_equal((intptr_t)ret, 1);
	world_destroy(&w);
}

static void test_signal_interrupts(void **state)
{
	struct timespec ts = {60, 0};

	(void)state;
	start(1);
	w.task[0].sighand->action[SIGUSR1].handler = 0x400000;
	signal_send_task(&w.task[0], SIGUSR1, NULL);
	assert_int_equal(fut(0, &word, FUTEX_WAIT, 0, 0, NULL, 0), -ERESTARTSYS);
	assert_int_equal(fut(0, &word, FUTEX_WAIT, 0, (uintptr_t)&ts, NULL, 0),
			 -ERESTART_RESTARTBLOCK);
	atomic_store(&word, 1);
	assert_int_equal(w.task[0].restart.fn(&w.task[0], &w.task[0].restart), -EAGAIN);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value_is_checked),
		cmocka_unit_test(test_mutex),
		cmocka_unit_test(test_pi_mutex),
		cmocka_unit_test(test_requeue),
		cmocka_unit_test(test_wake_op),
		cmocka_unit_test(test_pi_errors),
		cmocka_unit_test(test_pi_owner_exits),
		cmocka_unit_test(test_robust_list),
		cmocka_unit_test(test_waitv),
		cmocka_unit_test(test_signal_interrupts),
	};

	alarm(150);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
