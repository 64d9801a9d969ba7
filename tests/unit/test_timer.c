/* SPDX-License-Identifier: Apache-2.0 */
/* The timer thread, interval and POSIX timers, sleeping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/task/timer.h"
#include "tests/unit/sig_stubs.h"

int64_t sys_nanosleep(struct task *t, const uint64_t a[6]);
int64_t sys_clock_nanosleep(struct task *t, const uint64_t a[6]);
int64_t sys_alarm(struct task *t, const uint64_t a[6]);
int64_t sys_setitimer(struct task *t, const uint64_t a[6]);
int64_t sys_getitimer(struct task *t, const uint64_t a[6]);
int64_t sys_timer_create(struct task *t, const uint64_t a[6]);
int64_t sys_timer_settime(struct task *t, const uint64_t a[6]);
int64_t sys_timer_gettime(struct task *t, const uint64_t a[6]);
int64_t sys_timer_getoverrun(struct task *t, const uint64_t a[6]);
int64_t sys_timer_delete(struct task *t, const uint64_t a[6]);

static struct world w;

#define CALL(name, ...) sys_##name(&w.task[0], (const uint64_t[6]){__VA_ARGS__})
#define PTR(x) ((uintptr_t)(x))

static void start(void)
{
	world_init(&w, 1);
	world_become(&w.task[0]);
	for (int i = 1; i <= GUEST_NSIG; i++)
		w.task[0].sighand->action[i].handler = 0x400000;
}

/* Waits for the next signal, at most a minute. */
static int next_signal(guest_siginfo_t *info)
{
	uint64_t end = monotonic_ns() + 60 * NSEC_PER_SEC;
	int sig = 0;

	while (!sig && monotonic_ns() < end) {
		pthread_mutex_lock(&w.process.sig_lock);
		sig = sigqueue_take(&w.process, &w.task[0].pending, ~0ull, info);
		if (!sig)
			sig = sigqueue_take(&w.process, &w.process.shared_pending, ~0ull, info);
		pthread_mutex_unlock(&w.process.sig_lock);
		if (!sig)
			usleep(500);
	}
	return sig;
}

/* ---- the queue ---- */

struct probe {
	struct ktimer kt;
	int id;
};
static atomic_int order[16], norder;

static void probe_fn(struct ktimer *kt)
{
	atomic_store(&order[atomic_fetch_add(&norder, 1) % 16], container_of(kt, struct probe, kt)->id);
}

static void test_deadlines_in_order(void **state)
{
	static const int delay[5] = {30, 10, 50, 20, 40}; /* milliseconds */
	struct probe p[5];
	uint64_t now;

	(void)state;
	/* Once more where a busy machine let a deadline pass before all were set. */
	do {
		now = monotonic_ns();
		for (int i = 0; i < 5; i++) {
			ktimer_init(&p[i].kt, probe_fn);
			p[i].id = delay[i];
			assert_int_equal(ktimer_arm(&p[i].kt, now + (uint64_t)delay[i] * 1000000), 0);
		}
		ktimer_disarm(&p[3].kt); /* 20 ms */
		if (monotonic_ns() < now + 10000000)
			break;
		for (int i = 0; i < 5; i++)
			ktimer_cancel(&p[i].kt);
		atomic_store(&norder, 0);
	} while (true);
	while (atomic_load(&norder) < 4)
		usleep(1000);
	for (int i = 0; i < 5; i++)
		ktimer_cancel(&p[i].kt);
	assert_int_equal(atomic_load(&order[0]), 10);
	assert_int_equal(atomic_load(&order[1]), 30);
	assert_int_equal(atomic_load(&order[2]), 40);
	assert_int_equal(atomic_load(&order[3]), 50);
}

static void rearm_fn(struct ktimer *kt)
{
	atomic_fetch_add(&norder, 1);
	ktimer_arm(kt, monotonic_ns());
}

static void test_cancel_waits_for_the_callback(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		struct ktimer kt;
		int seen;

		ktimer_init(&kt, rearm_fn);
		ktimer_arm(&kt, monotonic_ns());
		ktimer_cancel(&kt);
		seen = atomic_load(&norder);
		memset(&kt, 0xff, sizeof(kt)); /* nobody may look at it any more */
		assert_int_equal(atomic_load(&norder), seen);
	}
}

/* ---- interval timers ---- */

static void test_alarm(void **state)
{
	guest_siginfo_t info;
	int64_t v[4] = {0, 0, 0, 5000}, old[4];

	(void)state;
	start();
	assert_int_equal(CALL(alarm, 100), 0);
	assert_in_range(CALL(alarm, 0), 50, 100);
	assert_int_equal(CALL(setitimer, ITIMER_REAL, PTR(v), 0), 0);
	assert_int_equal(next_signal(&info), SIGALRM);
	assert_int_equal(info.si_code, SI_KERNEL);
	assert_int_equal(CALL(getitimer, ITIMER_REAL, PTR(old)), 0);
	assert_int_equal(old[2], 0);
	assert_int_equal(old[3], 0);
	v[3] = 1000000;
	assert_int_equal(CALL(setitimer, ITIMER_REAL, PTR(v), 0), -EINVAL);
	assert_int_equal(CALL(setitimer, 3, PTR(v), 0), -EINVAL);
	world_destroy(&w);
}

/* ---- POSIX timers ---- */

static void test_posix_timer(void **state)
{
	struct {
		uint64_t value;
		int32_t signo, notify, tid;
		uint8_t pad[44];
	} ev = {.value = 42, .signo = 40, .notify = SIGEV_SIGNAL};
	struct timespec v[2] = {{0, 1000000}, {0, 1000000}}, cur[2];
	guest_siginfo_t info;
	int id;

	(void)state;
	start();
	assert_int_equal(CALL(timer_create, CLOCK_MONOTONIC, PTR(&ev), PTR(&id)), 0);
	assert_int_equal(CALL(timer_settime, (unsigned)id, 0, PTR(v), 0), 0);
	usleep(20000);
	assert_int_equal(next_signal(&info), 40);
	assert_int_equal(info.si_code, SI_TIMER);
	assert_int_equal(info.si_timerid, id);
	assert_int_equal(info.si_value.sival_int, 42);
	assert_true(info.si_overrun > 0); /* one entry, the rest counted */
	timer_signal_taken(&w.process, &info);
	assert_int_equal(CALL(timer_getoverrun, (unsigned)id), info.si_overrun);
	assert_int_equal(CALL(timer_gettime, (unsigned)id, PTR(cur)), 0);
	assert_int_equal(cur[0].tv_nsec, 1000000);
	assert_in_range(cur[1].tv_nsec, 1, 1000000);
	assert_int_equal(CALL(timer_delete, (unsigned)id), 0);
	assert_int_equal(CALL(timer_delete, (unsigned)id), -EINVAL);
	assert_int_equal(CALL(timer_create, CLOCK_MONOTONIC_RAW, 0, PTR(&id)), -EOPNOTSUPP);
	assert_int_equal(CALL(timer_create, 77, 0, PTR(&id)), -EINVAL);
	assert_int_equal(CALL(timer_create, CLOCK_BOOTTIME_ALARM, 0, PTR(&id)), -EPERM);
	ev.notify = 4;
	ev.tid = 99;
	assert_int_equal(CALL(timer_create, CLOCK_MONOTONIC, PTR(&ev), PTR(&id)), -EINVAL);
	ev.tid = 20;
	assert_int_equal(CALL(timer_create, CLOCK_MONOTONIC, PTR(&ev), PTR(&id)), 0);
	world_destroy(&w);
}

/* ---- sleeping ---- */

static void test_sleep(void **state)
{
	struct timespec ts = {0, 2000000}, rem = {0};
	uint64_t begin = monotonic_ns();

	(void)state;
	start();
	assert_int_equal(CALL(nanosleep, PTR(&ts), 0), 0);
	assert_true(monotonic_ns() - begin >= 2000000);
	ts.tv_sec = 60;
	signal_send_task(&w.task[0], SIGUSR1, NULL);
	assert_int_equal(CALL(nanosleep, PTR(&ts), PTR(&rem)), -ERESTART_RESTARTBLOCK);
	assert_in_range(rem.tv_sec, 59, 60);
	assert_int_equal(CALL(clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, PTR(&ts), 0), 0);
	ts.tv_sec = INT64_MAX;
	assert_int_equal(CALL(clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, PTR(&ts), 0),
			 -ERESTARTNOHAND);
	assert_int_equal(CALL(clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, PTR(&ts), 0), -EINVAL);
	ts.tv_nsec = -1;
	assert_int_equal(CALL(nanosleep, PTR(&ts), 0), -EINVAL);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadlines_in_order),
		cmocka_unit_test(test_cancel_waits_for_the_callback),
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_posix_timer),
		cmocka_unit_test(test_sleep),
	};
	int ret;

	alarm(150);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	ktimer_shutdown();
	return ret;
}
