/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals at every moment, to more threads than there are vCPUs, whose registers must not notice; and
 * frames that no kernel made.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "hostile_signals.h"

#define SMALLEST_STACK 16ul /* of what every architecture takes as a stack pointer */

#define THREADS 10

static unsigned seconds(void)
{
	const char *s = getenv("HOSTILE_SECONDS");
	return s ? (unsigned)atoi(s) : 5;
}

static atomic_bool stop;
static atomic_long handled, wrong, rounds;
static pid_t tids[THREADS];

/* Spoils what a careless return would leave spoilt. */
static void on_signal(int sig, siginfo_t *info, void *context)
{
	int here = 0;
	(void)sig, (void)info, (void)context;
	atomic_fetch_add(&handled, 1);
	spoil_registers();
	if ((atomic_load(&handled) & 7) == 0)
		sched_yield();
	if ((atomic_load(&handled) & 31) == 1)
		syscall(SYS_getppid, &here);
}

static void use_own_stack(void)
{
	stack_t ss = {.ss_size = 4 << 20};
	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&ss, NULL);
}

static void *compute(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	use_own_stack();
	tids[me] = (pid_t)syscall(SYS_gettid);
	while (!atomic_load(&stop)) {
		atomic_fetch_add(&wrong, (long)hold_registers(0x0123456789abcdefull * (me + 1), 20000 + me * 1000));
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

/* Calls that sleep, restart or end by EINTR, and must do nothing else. */
static void *sleep_in_calls(void *arg)
{
	uintptr_t me = (uintptr_t)arg;
	int fds[2];
	char c;

	use_own_stack();
	tids[me] = (pid_t)syscall(SYS_gettid);
	MUST(pipe(fds));
	while (!atomic_load(&stop)) {
		struct timespec ts = {0, 300000};
		uint64_t before = 0x1122334455667788ull * me, after;
		long n;

		if (write(fds[1], "x", 1) != 1 && errno != EINTR)
			atomic_fetch_add(&wrong, 1);
		while ((n = read(fds[0], &c, 1)) == -1 && errno == EINTR)
			;
		if (n != 1 || c != 'x')
			atomic_fetch_add(&wrong, 1);
		n = nanosleep_holding(&ts, before, &after);
		if (after != before || (n != 0 && n != -EINTR))
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

static void storm(bool timers)
{
	struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	pthread_t t[THREADS];
	uint64_t state = 4711;
	long sent = 0;

	set_limit(seconds() + 120);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	sa.sa_flags |= SA_NODEFER;
	sigaction(SIGUSR2, &sa, NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, i % 3 == 2 ? sleep_in_calls : compute, (void *)i);
	for (int i = 0; i < THREADS; i++)
		while (!tids[i])
			sleep_ms(1);
	if (timers) {
		/* Timers of all threads' processor time and of real time, as a profiler has them. */
		for (int i = 0; i < 16; i++) {
			struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = i % 2 ? SIGPROF : SIGRTMIN + 1};
			struct itimerspec its = {{0, 1000000 + i * 10000}, {0, 1000000}};
			timer_t timer;

			ev._sigev_un._tid = tids[i % THREADS];
			MUST(timer_create(i % 4 ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &ev, &timer));
			MUST(timer_settime(timer, 0, &its, NULL));
		}
	}
	for (int64_t end = now_ns() + seconds() * 1000000000ll;
	     now_ns() < end || atomic_load(&handled) <= 50 || atomic_load(&rounds) <= 50;) {
		static const int signals[] = {SIGUSR1, SIGUSR2, SIGUSR1};
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		pid_t tid = tids[(state >> 33) % THREADS];
		if (tid)
			sent += syscall(SYS_tgkill, getpid(), tid, signals[(state >> 20) % 3]) == 0;
		if ((state >> 40 & 63) == 0)
			sleep_ms(1);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	say("wrong: %ld", atomic_load(&wrong));
}

TEST(storm_of_signals)
{
	storm(false);
}

TEST(storm_of_timers)
{
	storm(true);
}

/* ---- frames ---- */

static uint64_t state;
static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

static uint64_t interesting(void)
{
	static const uint64_t values[] = {INTERESTING_VALUES};
	return random64() & 1 ? values[random64() % ARRAY_SIZE(values)] : random64();
}

static volatile int forge_mode;
static void forge(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t *words = context;

	(void)sig, (void)info;
	switch (forge_mode) {
	case 0: /* a few words of the context */
		for (int i = 0; i < 3; i++)
			words[random64() % (sizeof(*uc) / 8)] = interesting();
		break;
	case 1:
		forge_vector_state(uc);
		break;
	case 2:
		forge_headers(uc);
		break;
	case 3:
		forge_place(uc);
		break;
	case 4: /* everything */
		for (size_t i = 0; i < sizeof(*uc) / 8; i++)
			if (random64() & 1)
				words[i] = interesting();
		break;
	case 5: { /* the frame at the end of memory */
		char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		size_t tail = random64() % 1024;
		munmap(p + PAGE, PAGE);
		memcpy(p + PAGE - tail, context, tail);
		return_through(p + PAGE - tail);
		break;
	}
	case 6:
		forge_control(uc);
	}
}

static int forge_frames(void *arg)
{
	struct sigaction sa = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};

	state = (uintptr_t)arg * 0x9e3779b97f4a7c15ull;
	forge_mode = (int)((uintptr_t)arg % 7);
	sigaction(SIGUSR1, &sa, NULL);
	alarm(1);
	for (int i = 0; i < 20; i++) {
		raise(SIGUSR1);
		getppid();
	}
	return 0;
}

TEST(forged_frames)
{
	int status;

	set_limit(300);
	for (long i = 1; i <= 350; i++) {
		pid_t pid = spawn(forge_frames, (void *)i);
		waitpid(pid, &status, 0);
	}
	say("went on");
}

/* Another thread writes the stack that frames are built on and read from. */
static char *shared_stack;
static void *scribble(void *arg)
{
	while (!atomic_load(&stop))
		for (int i = 0; i < 16384 / 8; i++)
			((volatile uint64_t *)shared_stack)[i] = interesting();
	return arg;
}

static void nothing(int sig)
{
	(void)sig;
}

static int frames_under_fire(void *arg)
{
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
	stack_t ss = {.ss_size = 16384};
	pthread_t t;

	state = (uintptr_t)arg * 77777;
	shared_stack = ss.ss_sp = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&t, NULL, scribble, NULL);
	alarm(1);
	for (int i = 0; i < 1000; i++)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
	return 0;
}

TEST(frames_written_by_others)
{
	int status;

	set_limit(300);
	for (long i = 1; i <= 100; i++) {
		pid_t pid = spawn(frames_under_fire, (void *)i);
		waitpid(pid, &status, 0);
	}
	say("went on");
}

/* No room for the frame: at the end of the stack, on an alternate stack too small or unmapped. */
static int no_room(void *arg)
{
	struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
	stack_t ss = {.ss_size = 4096, .ss_sp = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	if ((uintptr_t)arg == 0)
		sigaltstack(&ss, NULL);
	if ((uintptr_t)arg == 1)
		signal_on_stack(SMALLEST_STACK);
	if ((uintptr_t)arg == 2)
		signal_on_stack(-SMALLEST_STACK);
	raise(SIGUSR1);
	return 0;
}

TEST(frames_without_room)
{
	for (uintptr_t i = 0; i < 3; i++)
		reap("no room", spawn(no_room, (void *)i));
}

/* Queues have their bounds: RLIMIT_SIGPENDING for each user. */
TEST(queues_fill)
{
	sigset_t set;
	union sigval value = {.sival_int = 1};
	long n = 0;

	set_limit(100);
	MUST(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){5000, 5000}));
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (n < 2000000 && sigqueue(getpid(), SIGRTMIN + 3, value) == 0)
		n++;
	say("bounded %d %s", n < 2000000, error_name(errno));
	siginfo_t info;
	struct timespec none = {0, 0};
	while (sigtimedwait(&set, &info, &none) > 0)
		n--;
	say("left %ld", n);
	CALL(sigqueue(getpid(), SIGRTMIN + 3, value));
}
