/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that do their worst. Nothing here is compared with a native run: the runner asserts that
 * the sandbox ends or goes on as Linux would, within its time, and that nothing is left on the host.
 */
#include <stdatomic.h>
#include <sys/prctl.h>

#include "guest.h"
#include "guest_arch.h"

/* Only the runner's containers set this: some of these kill every process they can see. */
__attribute__((constructor)) static void only_in_a_container(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "--list") != 0)
		if (!getenv("HOSTILE_SECONDS"))
			_exit(93);
}

static unsigned seconds(void)
{
	const char *s = getenv("HOSTILE_SECONDS");
	return s ? (unsigned)atoi(s) : 5;
}

static uint64_t state = 88172645463325252ull;
static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

TEST(fork_bomb)
{
	int64_t end = now_ns() + 1000000000;
	pid_t self = getpid();
	bool refused = false;
	while (now_ns() < end || (getpid() == self && !refused)) {
		pid_t pid = fork();
		if (pid == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		refused |= pid == -1 && errno == EAGAIN;
	}
	if (getpid() != self)
		pause();
	say("refused %d", refused);
	kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
	say("alone again");
}

static void *wait_forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

TEST(thread_bomb)
{
	pthread_t t;
	pthread_attr_t a;
	int n = 0;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	while (n < 100000 && pthread_create(&t, &a, wait_forever, NULL) == 0)
		n++;
	say("bounded %d", n < 100000);
}

static atomic_int stop;
static char *arena;
static void *churn(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 2654435761u;
	while (!stop) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		size_t at = (seed >> 33) % 4096, len = 1 + (seed >> 20) % 64;
		char *p = arena + at * PAGE;
		switch (seed >> 60 & 7) {
		case 0:
		case 1:
			munmap(p, len * PAGE);
			break;
		case 2:
			mprotect(p, len * PAGE, (int)(seed >> 50 & 3));
			break;
		case 3:
			madvise(p, len * PAGE, MADV_DONTNEED);
			break;
		case 4: {
			pid_t pid = seed >> 40 & 15 ? -1 : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
			if (pid == 0)
				_exit(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			break;
		}
		default:
			mmap(p, len * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			int fd = seed >> 40 & 1;
			if (write(fd + 100, p, len * PAGE) == 0) /* EBADF or EFAULT: only the copy matters */
				return NULL;
			madvise(p, len * PAGE, MADV_WILLNEED);
		}
	}
	return NULL;
}

TEST(map_storm)
{
	pthread_t t[8];
	set_limit(seconds() + 120);
	arena = mmap(NULL, 4200 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, churn, (void *)(i + 1));
	sleep_ms(seconds() * 1000);
	stop = 1;
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	say("survived");
}

static int jump(void *arg)
{
	((void (*)(void))arg)();
	return 0;
}

TEST(jump_to_garbage)
{
	static const uint64_t where[] = {0, 1, 0x1000, 0x7fffffffe000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000,
					 0xffffffff80000000, 0xffffffffff600000, 0xffffffffffffffff, 0x8000000000000000};
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		int status;
		pid_t pid = spawn(jump, (void *)where[i]);
		waitpid(pid, &status, 0);
		say("%#lx: ended %d", where[i], WIFSIGNALED(status) || WIFEXITED(status));
	}
}

static int execute_noise(void *arg)
{
	unsigned char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	state ^= (uintptr_t)arg;
	for (int i = 0; i < 16 * PAGE; i += 8)
		*(uint64_t *)(p + i) = random64();
	alarm(1);
	((void (*)(void))(p + (random64() & 0xfff)))();
	return 0;
}

TEST(execute_noise)
{
	int ended = 0, status;
	set_limit(200);
	for (long i = 1; i <= 100; i++) {
		pid_t pid = spawn(execute_noise, (void *)(i * 7919));
		ended += waitpid(pid, &status, 0) == pid;
	}
	say("ended %d", ended);
}

#define PRIVILEGED(text)                                                                           \
	do {                                                                                       \
		pid_t child = MUST(fork());                                                        \
		if (child == 0) {                                                                  \
			PRIVILEGED_ASM(text);                                                              \
			_exit(0);                                                                  \
		}                                                                                  \
		reap(text, child);                                                                 \
	} while (0)

TEST(privileged_instructions)
{
	PRIVILEGED_INSTRUCTIONS(PRIVILEGED);
}

TEST(vmcalls)
{
	/* A hypercall from user level may do nothing or raise an exception; it may not reach the host. */
	pid_t pid = MUST(fork());
	if (pid == 0) {
		call_hypervisor_with_zeros();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	pid = MUST(fork());
	if (pid == 0) {
		call_hypervisor_with_ones();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("went on");
}

/* Every number with arguments that are bad addresses, huge sizes, descriptors and plain noise. */
static uint64_t bad_argument(void)
{
	static const uint64_t values[] = {0, 1, 2, 3, 8, 4096, (uint64_t)-1, 0x7fffffff, 0x80000000, 0xffffffff,
					  0x7fffffffffff, 0x800000000000, 0xffff800000000000, 0xffffffffffffff00,
					  0x8000000000000000, 100, 1000};
	static char buffer[4 * PAGE];
	uint64_t r = random64();
	switch (r & 3) {
	case 0:
		return (uintptr_t)buffer + (r >> 8 & 0x3fff);
	case 1:
		return r >> (r >> 8 & 63);
	default:
		return values[(r >> 8) % ARRAY_SIZE(values)];
	}
}

static bool call_is_spared(long nr)
{
	/* What would only end, stop or mute this child, or reach a neighbour by its pid. */
	static const int spared[] = {SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigsuspend,
				     SYS_rt_sigreturn, SYS_clone, SYS_clone3, SYS_rt_sigqueueinfo,
				     SYS_rt_tgsigqueueinfo, SYS_reboot, SYS_setitimer, SYS_pidfd_send_signal
				     GUEST_OLD_CALLS};
	for (size_t i = 0; i < ARRAY_SIZE(spared); i++)
		if (spared[i] == nr)
			return true;
	return false;
}

static int abuse_calls(void *arg)
{
	long nr = (long)arg;
	state = 88172645463325252ull + nr * 77777;
	freopen("/dev/null", "w", stdout);
	for (int i = 0; i < 200; i++) {
		alarm(1);
		syscall(nr, bad_argument(), bad_argument(), bad_argument(), bad_argument(), bad_argument(), bad_argument());
	}
	return 0;
}

TEST(bad_arguments_to_every_call)
{
	int status, ended = 0;
	set_limit(900);
	/* Numbers past the table's end too. */
	for (long nr = 0; nr < 470; nr++) {
		if (call_is_spared(nr))
			continue;
		pid_t pid = spawn(abuse_calls, (void *)nr);
		for (int i = 0; i < 300 && waitpid(pid, &status, WNOHANG) == 0; i++) {
			sleep_ms(i < 20 ? 1 : 10);
			if (i == 299) {
				kill(pid, SIGKILL);
				waitpid(pid, &status, 0);
			}
		}
		ended++;
	}
	say("went through %d", ended > 400);
}

static volatile int sink;
static int recurse_forever(int n)
{
	volatile char frame[512];
	frame[n & 511] = (char)n;
	sink += frame[n & 511];
	return recurse_forever(n + 1) + frame[n & 511];
}

static int deep(void *arg)
{
	return recurse_forever((int)(long)arg);
}

TEST(deep_recursion)
{
	reap("recursion", spawn(deep, NULL));
}

static int exhaust(void *arg)
{
	(void)arg;
	for (;;) {
		char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		memset(p, 1, 16 << 20);
	}
}

TEST(eat_all_memory)
{
	int status;
	set_limit(240);
	pid_t pid = spawn(exhaust, NULL);
	waitpid(pid, &status, 0);
	say("ended %d", (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || WIFEXITED(status));
	char *p = malloc(1 << 20);
	memset(p, 1, 1 << 20);
	say("went on");
}

TEST(init_dies_with_children)
{
	for (int i = 0; i < 20; i++)
		if (fork() == 0) {
			setsid();
			signal(SIGTERM, SIG_IGN);
			signal(SIGHUP, SIG_IGN);
			for (;;)
				pause();
		}
	say("leaving");
	_exit(3);
}

TEST(init_corrupts_its_stack_pointer)
{
	fault_on_a_bad_stack();
}

TEST(init_returns_through_a_forged_frame)
{
	sigreturn_without_a_stack();
}

static void *write_frames(void *arg)
{
	volatile uint64_t *frame = arg;
	while (!stop)
		for (int i = 0; i < 128; i++)
			frame[i] = random64();
	return NULL;
}

TEST(frames_change_while_they_are_read)
{
	/* rt_sigreturn and execve argument blocks that another thread rewrites. */
	pid_t pid = MUST(fork());
	if (pid == 0) {
		pthread_t t;
		uint64_t *block = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pthread_create(&t, NULL, write_frames, block);
		int64_t end = now_ns() + seconds() * 200000000ll;
		while (now_ns() < end) {
			execve("/missing", (char **)block, (char **)block);
			syscall(SYS_readv, 0, block, 8);
			syscall(SYS_sendmsg, 0, block, 0);
			syscall(SYS_rt_sigprocmask, SIG_BLOCK, block, NULL, 8);
			syscall(SYS_clone3, block, 88);
			syscall(SYS_futex, block, 0, 0, block, block, 0);
		}
		_exit(0);
	}
	int status;
	sleep_ms(seconds() * 200 + 500);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	kill(-1, SIGKILL);
	say("went on");
}
