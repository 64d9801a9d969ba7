/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2): modes, verdicts, inheritance, filters that are refused. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "guest.h"
#include "guest_arch.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define WHEN(value, then) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1), BPF_STMT(BPF_RET | BPF_K, then)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define PROGRAM(name, ...)                           \
	struct sock_filter name##_insns[] = {__VA_ARGS__}; \
	struct sock_fprog name = {sizeof(name##_insns) / sizeof(name##_insns[0]), name##_insns}

static long filter(unsigned flags, const struct sock_fprog *prog)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog);
}

static void refuse(int nr, unsigned verdict)
{
	PROGRAM(prog, LOAD(nr), WHEN(nr, verdict), ALLOW);
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(filter(0, &prog));
}

TEST(needs_no_new_privileges)
{
	PROGRAM(prog, ALLOW);
	CALL(prctl(PR_GET_SECCOMP));
	CALL(filter(0, &prog));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CALL(filter(0, &prog));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	CALL(prctl(PR_GET_SECCOMP));
	CALL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	CALL(prctl(PR_SET_SECCOMP, 7));
}

TEST(errors_instead_of_calls)
{
	refuse(SYS_getpid, SECCOMP_RET_ERRNO | ENOTSUP);
	refuse(SYS_mkdirat, SECCOMP_RET_ERRNO | 9999);
	refuse(SYS_getcwd, SECCOMP_RET_ERRNO);
	refuse(SYS_getuid, SECCOMP_RET_TRACE);
	refuse(SYS_getgid, SECCOMP_RET_LOG);
	CALL(syscall(SYS_getpid));
	say("%ld", syscall(SYS_mkdirat, -1, "x", 0) == -1 ? (long)errno : 0);
	CALL(syscall(SYS_getcwd, NULL, 0));
	CALL(syscall(SYS_getuid));
	CALL(syscall(SYS_getgid));
	CALL(syscall(SYS_geteuid));
}

TEST(arguments_decide)
{
	PROGRAM(prog, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GUEST_AUDIT_ARCH, 1, 0), ALLOW, LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 1, 0), ALLOW, LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 100, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 1),
		BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_LD | BPF_IMM, 1),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		ALLOW);
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CALL(filter(0, &prog));
	CALL(syscall(SYS_dup, 101));
	CALL(syscall(SYS_dup, 1));
	CALL(syscall(SYS_dup, 60));
	CALL(syscall(SYS_dup, 0) >= 0);
}

TEST(the_strictest_verdict_holds)
{
	refuse(SYS_getppid, SECCOMP_RET_ERRNO | 1);
	refuse(SYS_getppid, SECCOMP_RET_ERRNO | 2);
	refuse(SYS_getppid, SECCOMP_RET_ALLOW);
	CALL(syscall(SYS_getppid));
	refuse(SYS_getppid, SECCOMP_RET_TRAP);
	signal(SIGSYS, SIG_IGN);
	pid_t pid = fork();
	if (pid == 0) {
		syscall(SYS_getppid);
		_exit(0);
	}
	reap("trap against ignoring", pid);
}

static volatile int got_code, got_call, got_errno, got_arch;
static void on_sys(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	got_code = si->si_code;
	got_call = si->si_syscall;
	got_errno = si->si_errno;
	got_arch = (unsigned)si->si_arch == GUEST_AUDIT_ARCH;
}

TEST(trap_raises_a_signal)
{
	struct sigaction sa = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
	sigaction(SIGSYS, &sa, NULL);
	refuse(SYS_getppid, SECCOMP_RET_TRAP | 77);
	long r = syscall(SYS_getppid);
	say("result is the number %d", r == SYS_getppid);
	say("code %d call %d data %d arch %d", got_code, got_call == SYS_getppid, got_errno, got_arch);
}

static int killed_process(void *arg)
{
	refuse(SYS_getppid, (unsigned)(uintptr_t)arg);
	syscall(SYS_getppid);
	return 3;
}

static void *thread_calls(void *arg)
{
	syscall(SYS_getppid);
	return arg;
}

static int killed_thread(void *arg)
{
	pthread_t th;
	refuse(SYS_getppid, (unsigned)(uintptr_t)arg);
	pthread_create(&th, NULL, thread_calls, NULL);
	pthread_join(th, NULL);
	return 4;
}

TEST(killing)
{
	reap("kill process", spawn(killed_process, (void *)(uintptr_t)SECCOMP_RET_KILL_PROCESS));
	reap("kill thread", spawn(killed_process, (void *)(uintptr_t)SECCOMP_RET_KILL_THREAD));
	reap("unknown action", spawn(killed_process, (void *)(uintptr_t)0x12340000));
	reap("kill process in a thread", spawn(killed_thread, (void *)(uintptr_t)SECCOMP_RET_KILL_PROCESS));
	reap("kill one thread", spawn(killed_thread, (void *)(uintptr_t)SECCOMP_RET_KILL_THREAD));
}

static int strict(void *arg)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL))
		_exit(9);
	syscall(SYS_write, 1, "strict\n", 7);
	if (arg)
		syscall(SYS_getpid);
	syscall(SYS_exit, 5);
	return 0;
}

TEST(strict_mode)
{
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
	CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 1));
	reap("four calls", spawn(strict, NULL));
	reap("a fifth", spawn(strict, "x"));
}

TEST(children_inherit)
{
	refuse(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	refuse(SYS_dup, SECCOMP_RET_ERRNO | EDOM);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		CALL(syscall(SYS_getppid));
		char line[128];
		FILE *f = fopen("/proc/self/status", "r");
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNew", 5))
				say("%.*s", (int)strcspn(line, "\n"), line);
		_exit(0);
	}
	reap("child", pid);
}

static volatile int stage;
static void *other_thread(void *arg)
{
	PROGRAM(own, ALLOW);
	if (arg)
		MUST(filter(0, &own));
	stage = 1;
	while (stage < 2) {
		int before = (int)syscall(SYS_getpid);
		if (before < 0)
			break;
	}
	while (stage < 2) /* the other thread prints first */
		sleep_ms(1);
	CALL(syscall(SYS_getpid));
	CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return NULL;
}

TEST(all_threads_at_once)
{
	PROGRAM(prog, LOAD(nr), WHEN(SYS_getpid, SECCOMP_RET_ERRNO | EXDEV), ALLOW);
	pthread_t th;
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	pthread_create(&th, NULL, other_thread, NULL);
	while (!stage)
		sleep_ms(1);
	CALL(filter(SECCOMP_FILTER_FLAG_TSYNC, &prog));
	stage = 2;
	pthread_join(th, NULL);
	stage = 0;
	pthread_create(&th, NULL, other_thread, "own");
	while (!stage)
		sleep_ms(1);
	long odd = filter(SECCOMP_FILTER_FLAG_TSYNC, &prog);
	say("names the other thread %d", odd > 0 && odd != syscall(SYS_gettid));
	CALL(filter(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, &prog));
	stage = 2;
	pthread_join(th, NULL);
}

#define REFUSED(...)                        \
	do {                                \
		PROGRAM(prog, __VA_ARGS__); \
		CALL(filter(0, &prog));     \
	} while (0)

TEST(bad_programs_are_refused)
{
	static struct sock_filter many[BPF_MAXINSNS + 1];
	struct sock_fprog prog = {0, many};
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CALL(filter(0, &prog));
	for (int i = 0; i <= BPF_MAXINSNS; i++)
		many[i] = (struct sock_filter)ALLOW;
	prog.len = BPF_MAXINSNS + 1;
	CALL(filter(0, &prog));
	CALL(filter(0, NULL));
	prog = (struct sock_fprog){4, (void *)8};
	CALL(filter(0, &prog));
	CALL(filter(1u << 20, &prog));
	REFUSED(BPF_STMT(BPF_LD | BPF_IMM, 1));
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW);
	REFUSED(BPF_STMT(BPF_ST, 16), ALLOW);
	REFUSED(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW);
	REFUSED(BPF_STMT(BPF_ALU | BPF_NEG, 0), ALLOW);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ALLOW);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), ALLOW);
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 1), BPF_STMT(BPF_LD | BPF_MEM, 1),
		ALLOW);
	REFUSED(BPF_STMT(BPF_RET | BPF_X, 0));
}

TEST(what_is_available)
{
	const unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
				    SECCOMP_RET_ERRNO,	      SECCOMP_RET_TRACE,       SECCOMP_RET_LOG,
				    SECCOMP_RET_ALLOW,	      0x12340000};
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		CALL(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
	CALL(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &actions[0]));
	CALL(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL));
	CALL(syscall(SYS_seccomp, 99, 0, NULL));
}
