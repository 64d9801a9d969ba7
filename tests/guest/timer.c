/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>

#include "guest.h"

static volatile sig_atomic_t count, value;
static void note(int sig, siginfo_t *si, void *uc)
{
	(void)sig, (void)uc;
	count++;
	value = si->si_value.sival_int;
}

static void handle(int sig)
{
	struct sigaction sa = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
	sigaction(sig, &sa, NULL);
}

static long elapsed_ms(int64_t start)
{
	return (now_ns() - start) / 1000000;
}

TEST(sleeping)
{
	struct timespec ts = {0, 50000000}, bad = {0, -1}, bad2 = {0, 1000000000};
	int64_t start = now_ns();
	CALL(nanosleep(&ts, NULL));
	say("long enough %d", elapsed_ms(start) >= 50);
	CALL(nanosleep(&bad, NULL));
	CALL(nanosleep(&bad2, NULL));
	CALL(nanosleep((void *)8, NULL));
	CALL(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += 50000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	CALL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	say("until then %d", now_ns() >= ts.tv_sec * 1000000000ll + ts.tv_nsec);
	ts.tv_sec -= 100;
	CALL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	CALL(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL));
	CALL(clock_nanosleep(99, 0, &ts, NULL));
	CALL(usleep(1000));
}

TEST(interval_timers)
{
	struct itimerval it = {{0, 20000}, {0, 20000}}, old;
	handle(SIGALRM);
	CALL(setitimer(ITIMER_REAL, &it, NULL));
	while (count < 5)
		pause();
	CALL(getitimer(ITIMER_REAL, &old));
	say("interval %ld", (long)old.it_interval.tv_usec);
	memset(&it, 0, sizeof(it));
	CALL(setitimer(ITIMER_REAL, &it, &old));
	CALL(getitimer(ITIMER_REAL, &old));
	say("off %ld", (long)old.it_value.tv_usec);
	CALL(alarm(1000));
	CALL(alarm(0) >= 900);
	it.it_value.tv_usec = 1000000;
	CALL(setitimer(ITIMER_REAL, &it, NULL));
	CALL(setitimer(9, &it, NULL));
	CALL(getitimer(ITIMER_REAL, (void *)8));
}

TEST(processor_time_timers)
{
	struct itimerval it = {{0, 0}, {0, 50000}};
	handle(SIGVTALRM);
	handle(SIGPROF);
	CALL(setitimer(ITIMER_VIRTUAL, &it, NULL));
	CALL(setitimer(ITIMER_PROF, &it, NULL));
	sleep_ms(100);
	say("sleeping does not count: %d", (int)count);
	volatile long n = 0;
	while (count < 2)
		n++;
	say("running does: %d", (int)count);
}

TEST(posix_timers)
{
	timer_t t;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
	struct itimerspec it = {{0, 0}, {1000, 0}}, now, off = {{0, 0}, {0, 0}};
	handle(SIGRTMIN);
	CALL(timer_create(CLOCK_MONOTONIC, &ev, &t));
	CALL(timer_gettime(t, &now));
	say("unarmed %d", now.it_value.tv_nsec == 0 && now.it_value.tv_sec == 0);
	CALL(timer_settime(t, 0, &it, NULL));
	CALL(timer_gettime(t, &now));
	say("armed %d", now.it_value.tv_sec > 900 && now.it_value.tv_sec <= 1000);
	it.it_value = (struct timespec){0, 20000000};
	CALL(timer_settime(t, 0, &it, NULL));
	while (!count)
		sleep_ms(1);
	say("value %d", (int)value);
	it.it_interval.tv_nsec = 5000000;
	sigset_t s;
	siginfo_t si;
	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &s, NULL);
	CALL(timer_settime(t, 0, &it, NULL));
	do
		sigpending(&s);
	while (!sigismember(&s, SIGRTMIN));
	sleep_ms(1000); /* many expirations, which are not told of one by one */
	CALL(sigwaitinfo(&s, &si) == SIGRTMIN);
	say("value %d, overruns %d", si.si_value.sival_int, si.si_overrun >= 10);
	CALL(timer_getoverrun(t) >= 10);
	CALL(timer_settime(t, 0, &off, NULL));
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	CALL(timer_delete(t));
	CALL(timer_delete(t));
	CALL(timer_gettime(t, &now));
	CALL(timer_create(99, &ev, &t));
	ev.sigev_signo = 99;
	CALL(timer_create(CLOCK_REALTIME, &ev, &t));
	ev.sigev_notify = SIGEV_NONE;
	ev.sigev_signo = 0;
	CALL(timer_create(CLOCK_REALTIME, &ev, &t));
	it.it_value.tv_nsec = 1000000000;
	CALL(timer_settime(t, 0, &it, NULL));
	it.it_value.tv_nsec = 0;
	it.it_value.tv_sec = 1;
	CALL(timer_settime(t, TIMER_ABSTIME, &it, NULL));
	CALL(timer_gettime(t, &now));
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(timer_gettime(t, &now) == -1 ? errno : 0);
	reap("child has no timers", pid);
}

static volatile int thread_fired;
static void on_thread(union sigval v)
{
	thread_fired = v.sival_int;
}

TEST(timer_notifies_a_thread)
{
	timer_t t;
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread, .sigev_value.sival_int = 5};
	struct itimerspec it = {{0, 0}, {0, 10000000}};
	CALL(timer_create(CLOCK_MONOTONIC, &ev, &t));
	CALL(timer_settime(t, 0, &it, NULL));
	while (!thread_fired)
		sleep_ms(1);
	say("fired %d", thread_fired);
}

TEST(timer_descriptors)
{
	uint64_t n = 0;
	struct itimerspec it = {{0, 10000000}, {0, 10000000}}, old;
	int fd = CALL(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	CALL(read(fd, &n, 8));
	int64_t start = now_ns();
	CALL(timerfd_settime(fd, 0, &it, NULL));
	struct pollfd p = {fd, POLLIN, 0};
	CALL(poll(&p, 1, 60000));
	CALL(read(fd, &n, 8));
	say("expired %d", n >= 1);
	sleep_ms(1000);
	CALL(read(fd, &n, 4));
	uint64_t before = n;
	CALL(read(fd, &n, 8));
	say("expired %d", n >= 8 && (n + before) * 10 <= (uint64_t)elapsed_ms(start));
	CALL(timerfd_gettime(fd, &old));
	say("interval %ld", old.it_interval.tv_nsec);
	memset(&it, 0, sizeof(it));
	CALL(timerfd_settime(fd, 0, &it, NULL));
	CALL(read(fd, &n, 8));
	CALL(write(fd, &n, 8));
	CALL(timerfd_create(99, 0));
	CALL(timerfd_create(CLOCK_REALTIME, 0x1234567));
	CALL(timerfd_settime(0, 0, &it, NULL));
	int b = MUST(timerfd_create(CLOCK_REALTIME, 0));
	clock_gettime(CLOCK_REALTIME, &it.it_value);
	CALL(timerfd_settime(b, TFD_TIMER_ABSTIME, &it, NULL));
	CALL(read(b, &n, 8));
	say("expired %ld", (long)n);
}

TEST(clocks_agree)
{
	static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
				     CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_TAI};
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		struct timespec a, b, c;
		int64_t closest = INT64_MAX;
		long back = 0;
		for (int k = 0; k < 200; k++) {
			clock_gettime(clocks[i], &a);
			syscall(SYS_clock_gettime, clocks[i], &b);
			clock_gettime(clocks[i], &c);
			int64_t ab = (b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec;
			int64_t bc = (c.tv_sec - b.tv_sec) * 1000000000LL + c.tv_nsec - b.tv_nsec;
			back += ab < 0 || bc < 0;
			closest = ab < closest ? ab : closest;
		}
		say("clock %d: backwards %ld, apart less than 100 ms %d", clocks[i], back, closest < 100000000);
	}
}

TEST(clock_calls)
{
	struct timespec ts, res;
	struct timeval tv;
	CALL(clock_gettime(99, &ts));
	CALL(clock_gettime(CLOCK_REALTIME, &ts));
	CALL(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)8));
	CALL(clock_getres(CLOCK_MONOTONIC, &res));
	say("resolution %ld", res.tv_nsec);
	CALL(clock_getres(99, &res));
	CALL(gettimeofday(&tv, NULL));
	say("not far apart %d", tv.tv_sec - ts.tv_sec <= 60);
	CALL(time(NULL) - ts.tv_sec <= 60);
	CALL(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts));
	CALL(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts));
	CALL(clock_settime(CLOCK_MONOTONIC, &ts));
	CALL(clock_settime(CLOCK_REALTIME, &ts));
	struct tms t;
	CALL(times(&t) > 0);
}

static int64_t between_ns(const struct timespec *a, const struct timespec *b)
{
	return (b->tv_sec - a->tv_sec) * 1000000000ll + (b->tv_nsec - a->tv_nsec);
}

static void *spin_until_stopped(void *arg)
{
	clockid_t mine;
	struct timespec a, b;
	(void)arg;
	pthread_getcpuclockid(pthread_self(), &mine);
	clock_gettime(mine, &a);
	/* However long that takes where others run too: its clock counts what the thread got. */
	int64_t end = now_ns() + 60000000000;
	do
		clock_gettime(mine, &b);
	while (between_ns(&a, &b) < 20000000 && now_ns() < end);
	return (void *)(long)between_ns(&a, &b);
}

TEST(processor_clocks)
{
	pthread_t t;
	void *r;
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	pthread_create(&t, NULL, spin_until_stopped, NULL);
	pthread_join(t, &r);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	say("thread ran %d, process ran %d", (long)r >= 20000000, between_ns(&a, &b) >= (long)r);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	sleep_ms(50);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	say("sleeping is free %d", between_ns(&a, &b) < 40000000);
}

TEST(monotonic_never_goes_back_between_threads)
{
	int64_t last = 0;
	int bad = 0;
	cpu_set_t set;
	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < 20000; i++) {
		int64_t n = now_ns();
		bad += n < last;
		last = n;
		if (i % 500 == 0)
			sched_yield();
	}
	say("backwards %d", bad);
}
