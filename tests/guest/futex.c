/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <stdatomic.h>

#include "guest.h"

static atomic_int word, other;

static long futex(void *addr, int op, uint32_t val, const void *timeout, void *addr2, uint32_t val3)
{
	return syscall(SYS_futex, addr, op, val, timeout, addr2, val3);
}

static atomic_int waiters[8]; /* thread numbers of this test's waiters */
static atomic_int waiting;    /* how many there are */

static void *wait_once(void *arg)
{
	waiters[waiting++] = (int)syscall(SYS_gettid);
	long r = futex(arg, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return (void *)(r == -1 ? -errno : r);
}

static void start_waiters(pthread_t *t, int n, void *(*fn)(void *), void *arg)
{
	waiting = 0;
	for (int i = 0; i < n; i++)
		waiters[i] = 0;
	for (int i = 0; i < n; i++)
		pthread_create(&t[i], NULL, fn, arg);
	for (int i = 0; i < n; i++) {
		while (!waiters[i])
			sleep_ms(1);
		wait_asleep(getpid(), waiters[i]);
	}
}

TEST(futex_errors)
{
	struct timespec ts = {0, 10000000}, bad = {0, 1000000000};
	CALL(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
	CALL(futex(&word, FUTEX_WAIT, 0, &bad, NULL, 0));
	CALL(futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0));
	CALL(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0));
	CALL(futex((void *)0xffffffff80000000, FUTEX_WAIT, 0, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	CALL(futex(&word, 99, 1, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAKE_BITSET, 0, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 7));
	CALL(futex(&word, FUTEX_WAIT_BITSET, 0, &ts, NULL, FUTEX_BITSET_MATCH_ANY));
}

TEST(wake_counts)
{
	pthread_t t[5];
	void *r;
	start_waiters(t, 5, wait_once, &word);
	CALL(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	CALL(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	for (int i = 0; i < 5; i++) {
		pthread_join(t[i], &r);
		say("waiter: %ld", (long)r);
	}
}

TEST(requeue_moves_waiters)
{
	pthread_t t[4];
	start_waiters(t, 4, wait_once, &word);
	CALL(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &other, 0));
	CALL(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	CALL(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	start_waiters(t, 3, wait_once, &word);
	CALL(futex(&word, FUTEX_REQUEUE_PRIVATE, 0, (void *)3, &other, 0));
	CALL(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void *wait_bits(void *arg)
{
	waiters[waiting++] = (int)syscall(SYS_gettid);
	return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (uint32_t)(long)arg);
}

TEST(bitsets_choose_waiters)
{
	pthread_t t[2];
	start_waiters(t, 1, wait_bits, (void *)1L);
	start_waiters(t + 1, 1, wait_bits, (void *)2L);
	CALL(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 4));
	CALL(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 2));
	CALL(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, 3));
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
}

TEST(wake_op)
{
	pthread_t t[1], u[1];
	other = 5;
	start_waiters(t, 1, wait_once, &word);
	CALL(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
		   FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
	say("other %d", other);
	pthread_join(t[0], NULL);
	other = 0;
	start_waiters(u, 1, wait_once, &other);
	CALL(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
		   FUTEX_OP(FUTEX_OP_SET, 9, FUTEX_OP_CMP_GT, 0)));
	CALL(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other,
		   FUTEX_OP(FUTEX_OP_ANDN, 1, FUTEX_OP_CMP_LE, 9)));
	say("other %d", other);
	pthread_join(u[0], NULL);
}

TEST(shared_between_processes)
{
	atomic_int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	wait_asleep(pid, pid);
	CALL(futex(shared, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	CALL(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("anonymous", pid);
	int fd = make_file("f", "");
	ftruncate(fd, PAGE);
	atomic_int *a = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid = MUST(fork());
	if (pid == 0) {
		atomic_int *b = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		_exit(futex(b + 3, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	}
	wait_asleep(pid, pid);
	CALL(futex(a, FUTEX_WAKE, 1, NULL, NULL, 0));
	CALL(futex(a + 3, FUTEX_WAKE, 1, NULL, NULL, 0));
	reap("file", pid);
}

static void note_signal(int sig)
{
	(void)sig;
	disturbed();
}

static void wake_one(long addr)
{
	MUST(futex((void *)addr, FUTEX_WAKE, 1, NULL, NULL, 0));
}

TEST(wait_ends_with_a_signal_or_restarts)
{
	struct sigaction sa = {.sa_handler = note_signal};
	struct timespec ts = {1000, 0};
	atomic_int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGUSR1, &sa, NULL);
	pid_t pid = disturb(SIGUSR1, NULL, 0);
	CALL(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
	waitpid(pid, NULL, 0);
	pid = disturb(SIGUSR1, NULL, 0);
	CALL(futex(shared, FUTEX_WAIT, 0, &ts, NULL, 0));
	waitpid(pid, NULL, 0);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	pid = disturb(SIGUSR1, wake_one, (long)shared);
	CALL(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
	waitpid(pid, NULL, 0);
	/* futex(2): with a time limit, a handler ends it whatever its flags. */
	pid = disturb(SIGUSR1, NULL, 0);
	CALL(futex(shared, FUTEX_WAIT, 0, &ts, NULL, 0));
	waitpid(pid, NULL, 0);
}

static pthread_mutex_t *robust;
static int die_with_lock(void *arg)
{
	(void)arg;
	pthread_mutex_lock(robust);
	kill(getpid(), SIGKILL);
	return 0;
}

static void *thread_dies_with_lock(void *arg)
{
	pthread_mutex_lock(robust);
	return arg;
}

TEST(robust_mutexes)
{
	pthread_mutexattr_t a;
	robust = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(robust, &a);
	reap("owner", spawn(die_with_lock, NULL));
	say("lock: %s", error_name(pthread_mutex_lock(robust)));
	say("consistent: %s", error_name(pthread_mutex_consistent(robust)));
	say("unlock: %s", error_name(pthread_mutex_unlock(robust)));
	pthread_t t;
	pthread_create(&t, NULL, thread_dies_with_lock, NULL);
	pthread_join(t, NULL);
	say("lock: %s", error_name(pthread_mutex_lock(robust)));
	say("unlock: %s", error_name(pthread_mutex_unlock(robust)));
	say("lock: %s", error_name(pthread_mutex_lock(robust)));
	void *head;
	size_t len;
	CALL(syscall(SYS_get_robust_list, 0, &head, &len));
	say("length %zu", len);
	CALL(syscall(SYS_set_robust_list, head, 1));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;
static void *contend(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return arg;
}

TEST(mutex_contention)
{
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, contend, NULL);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	say("counter %ld", counter);
}

static int turn;
static void *take_turns(void *arg)
{
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != (int)(long)arg)
			pthread_cond_wait(&cond, &mutex);
		turn = (turn + 1) % 4;
		counter++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

TEST(condition_variables)
{
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, take_turns, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	say("counter %ld", counter);
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec = (ts.tv_nsec + 50000000) % 1000000000;
	ts.tv_sec += ts.tv_nsec < 50000000;
	pthread_mutex_lock(&mutex);
	say("timed wait: %s", error_name(pthread_cond_timedwait(&cond, &mutex, &ts)));
}

TEST(priority_inheritance_mutex)
{
	pthread_mutexattr_t a;
	pthread_mutex_t pi;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	say("init: %s", error_name(pthread_mutex_init(&pi, &a)));
	say("lock: %s", error_name(pthread_mutex_lock(&pi)));
	say("trylock: %s", error_name(pthread_mutex_trylock(&pi)));
	say("unlock: %s", error_name(pthread_mutex_unlock(&pi)));
}

TEST(barriers_and_rwlocks)
{
	pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
	say("read: %s", error_name(pthread_rwlock_rdlock(&rw)));
	say("read: %s", error_name(pthread_rwlock_tryrdlock(&rw)));
	say("write: %s", error_name(pthread_rwlock_trywrlock(&rw)));
	pthread_rwlock_unlock(&rw);
	pthread_rwlock_unlock(&rw);
	say("write: %s", error_name(pthread_rwlock_trywrlock(&rw)));
}

static _Thread_local int local = 7;
static void *use_local(void *arg)
{
	local += (int)(long)arg;
	for (int i = 0; i < 1000; i++) {
		local++;
		if (i % 100 == 0)
			sched_yield();
	}
	return (void *)(long)local;
}

TEST(thread_local_storage)
{
	pthread_t t[8];
	void *r;
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, use_local, (void *)(i * 10000));
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &r);
		say("%ld", (long)r);
	}
	say("mine %d", local);
}

TEST(thread_exit_clears_tid)
{
	pthread_t t;
	for (int i = 0; i < 50; i++) {
		pthread_create(&t, NULL, use_local, NULL);
		pthread_join(t, NULL);
	}
	say("joined");
}
