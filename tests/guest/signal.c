/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <sys/uio.h>

#include "guest.h"
#include "guest_arch.h"

static volatile sig_atomic_t count, order[64];
static siginfo_t last;

static void note(int sig)
{
	order[count++ & 63] = sig;
	disturbed();
}

static void note_info(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	order[count++ & 63] = sig;
	last = *si;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_flags = flags};
	if (flags & SA_SIGINFO)
		sa.sa_sigaction = note_info;
	else
		sa.sa_handler = note;
	MUST(sigaction(sig, &sa, NULL));
}

static void block(int how, int sig)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, sig);
	MUST(sigprocmask(how, &s, NULL));
}

static void show_order(void)
{
	char buf[256] = "";
	for (int i = 0; i < count; i++)
		snprintf(buf + strlen(buf), sizeof(buf) - strlen(buf), " %d", order[i]);
	say("delivered%s", buf);
	count = 0;
}

TEST(mask_holds_a_signal_back)
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	CALL(raise(SIGUSR1));
	CALL(raise(SIGUSR1));
	show_order();
	sigset_t s;
	CALL(sigpending(&s));
	CALL(sigismember(&s, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);
	show_order();
	CALL(sigpending(&s));
	CALL(sigismember(&s, SIGUSR1));
}

TEST(realtime_signals_queue_in_order)
{
	sigset_t s;
	sigfillset(&s);
	for (int i = 0; i < 3; i++)
		handle(SIGRTMIN + i, SA_SIGINFO);
	handle(SIGUSR2, 0);
	sigprocmask(SIG_SETMASK, &s, NULL);
	for (int i = 0; i < 4; i++) {
		union sigval v = {.sival_int = i};
		MUST(sigqueue(getpid(), SIGRTMIN + (3 - i) % 3, v));
	}
	raise(SIGUSR2);
	sigset_t wait_for;
	sigemptyset(&wait_for);
	sigaddset(&wait_for, SIGRTMIN);
	siginfo_t si;
	CALL(sigwaitinfo(&wait_for, &si) == SIGRTMIN);
	say("value %d code %d", si.si_value.sival_int, si.si_code);
	sigemptyset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	show_order();
}

TEST(handler_mask_and_nodefer)
{
	struct sigaction sa = {.sa_handler = note};
	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	struct sigaction old;
	CALL(sigaction(SIGUSR1, NULL, &old));
	CALL(sigismember(&old.sa_mask, SIGUSR2));
	CALL(sigismember(&old.sa_mask, SIGUSR1));
	CALL(sigaction(SIGKILL, &sa, NULL));
	CALL(sigaction(SIGSTOP, &sa, NULL));
	CALL(sigaction(0, &sa, NULL));
	CALL(sigaction(65, &sa, NULL));
	sigset_t all, now;
	sigfillset(&all);
	CALL(sigprocmask(SIG_SETMASK, &all, NULL));
	CALL(sigprocmask(SIG_BLOCK, NULL, &now));
	CALL(sigismember(&now, SIGKILL));
	CALL(sigismember(&now, SIGUSR1));
	CALL(syscall(SYS_rt_sigprocmask, 7, &all, NULL, 8));
	CALL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 4));
	CALL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8));
}

static volatile int depth, deepest, raised;
static void recurse(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (raised++ < 3)
		raise(sig);
	depth--;
}

TEST(nested_delivery)
{
	signal(SIGUSR1, recurse);
	raise(SIGUSR1);
	say("deepest %d raised %d", deepest, raised);
	struct sigaction sa = {.sa_handler = recurse, .sa_flags = SA_NODEFER};
	sigaction(SIGUSR1, &sa, NULL);
	deepest = raised = 0;
	raise(SIGUSR1);
	say("deepest %d raised %d", deepest, raised);
}

TEST(resethand_restores_default)
{
	struct sigaction sa = {.sa_handler = note, .sa_flags = SA_RESETHAND}, now;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &now);
	say("default %d count %d", now.sa_handler == SIG_DFL, (int)count);
}

static char altstack[65536];
static volatile long on_alt;
static void check_stack(int sig, siginfo_t *si, void *uc)
{
	char here;
	stack_t ss;
	(void)sig, (void)si, (void)uc;
	on_alt = &here >= altstack && &here < altstack + sizeof(altstack);
	sigaltstack(NULL, &ss);
	say("on alternate stack %ld, flags %d", on_alt, ss.ss_flags);
	ss.ss_sp = altstack;
	ss.ss_size = sizeof(altstack);
	ss.ss_flags = 0;
	CALL(sigaltstack(&ss, NULL));
}

TEST(alternate_stack)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;
	CALL(sigaltstack(&ss, &old));
	say("before: flags %d", old.ss_flags);
	struct sigaction sa = {.sa_sigaction = check_stack, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sa.sa_flags = SA_SIGINFO;
	sigaction(SIGUSR2, &sa, NULL);
	raise(SIGUSR2);
	ss.ss_size = 100;
	CALL(sigaltstack(&ss, NULL));
	ss.ss_flags = 77;
	CALL(sigaltstack(&ss, NULL));
	ss.ss_flags = SS_DISABLE;
	CALL(sigaltstack(&ss, NULL));
	CALL(sigaltstack(NULL, &old));
	say("after: flags %d", old.ss_flags);
}

static sigjmp_buf back;
static void fault_handler(int sig, siginfo_t *si, void *ucv)
{
	ucontext_t *uc = ucv;
	(void)uc;
	last = *si;
	count = sig;
	siglongjmp(back, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	sigaction(SIGSYS, &sa, NULL);
}

#define FAULTS(what, ...)                                                                          \
	do {                                                                                       \
		count = 0;                                                                         \
		if (sigsetjmp(back, 1) == 0) {                                                     \
			__VA_ARGS__;                                                                    \
		}                                                                                  \
		say("%s: signal %d code %d", what, (int)count, count ? last.si_code : 0);                      \
	} while (0)

TEST(segv_information)
{
	catch_faults();
	char *p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + PAGE, PAGE);
	FAULTS("null", *(volatile int *)NULL = 1);
	say("address %p", last.si_addr);
	FAULTS("read-only", *(volatile char *)(p + 5) = 1);
	say("offset %ld", (long)((char *)last.si_addr - p));
	FAULTS("hole", (void)*(volatile char *)(p + PAGE + 7));
	say("offset %ld", (long)((char *)last.si_addr - p));
	mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
	FAULTS("none", (void)*(volatile char *)(p + 2 * PAGE));
	FAULTS("exec", ((void (*)(void))(p + 3 * PAGE))());
	say("offset %ld", (long)((char *)last.si_addr - p));
	FAULTS("non-canonical", *(volatile char *)0x8000000000000000 = 1);
	say("address %p", last.si_addr);
	FAULTS("kernel half", (void)*(volatile char *)0xffffffff81000000);
	say("address %p", last.si_addr);
	FAULTS("jump to null", ((void (*)(void))NULL)());
	say("address %p", last.si_addr);
}

TEST(arithmetic_and_instruction_traps)
{
	catch_faults();
	FAULTS("divide", {
		volatile int zero = 0, one = 1;
		one = one / zero;
	});
	FAULTS("overflowing divide", {
		volatile int min = INT_MIN, minus = -1;
		min = min / minus;
	});
	INSTRUCTION_TRAPS(FAULTS);
}

TEST(bus_error_past_end_of_file)
{
	catch_faults();
	int fd = make_file("f", "some content");
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say("%.4s %d", p, p[100]);
	FAULTS("second page", (void)*(volatile char *)(p + PAGE));
	say("offset %ld", (long)((char *)last.si_addr - p));
	ftruncate(fd, 2 * PAGE);
	FAULTS("after growing", (void)*(volatile char *)(p + PAGE));
	p[PAGE] = 'x';
	ftruncate(fd, 0);
	FAULTS("truncated, first", (void)*(volatile char *)p);
	FAULTS("truncated, second", *(volatile char *)(p + PAGE) = 1);
	char *q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	FAULTS("private", *(volatile char *)q = 1);
	char buf[8];
	int other = make_file("g", "12345678");
	CALL(read(other, p, 8));
	CALL(write(other, p, 8));
	CALL(pread(other, buf, 8, 0));
}

TEST(default_actions)
{
	static const int sigs[] = {SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGALRM, SIGTERM, SIGUSR1, SIGCHLD,
				   SIGURG, SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGXCPU, SIGVTALRM, SIGPROF, SIGCONT};
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		pid_t pid = MUST(fork());
		if (pid == 0) {
			raise(sigs[i]);
			_exit(7);
		}
		int status;
		waitpid(pid, &status, 0);
		say("%d: %s %d", sigs[i], WIFEXITED(status) ? "exited" : "killed",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	}
}

TEST(kill_arguments)
{
	CALL(kill(getpid(), 0));
	CALL(kill(getpid(), 65));
	CALL(kill(getpid(), -1));
	CALL(kill(99999, 0));
	CALL(kill(-99999, 0));
	CALL(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0));
	CALL(syscall(SYS_tgkill, getpid(), 99999, 0));
	CALL(syscall(SYS_tgkill, -1, 1, 0));
	CALL(syscall(SYS_tkill, 99999, 0));
	union sigval v = {.sival_int = 1};
	CALL(sigqueue(99999, SIGUSR1, v));
	siginfo_t si = {.si_code = SI_USER};
	CALL(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &si) ? -1 : 0);
	pid_t pid = MUST(fork());
	if (pid == 0)
		pause();
	CALL(kill(pid, SIGTERM));
	reap("child", pid);
	CALL(kill(pid, 0));
}

static void *exit_thread(void *arg)
{
	pthread_barrier_wait(arg);
	pause();
	return NULL;
}

TEST(siginfo_of_senders)
{
	handle(SIGUSR1, SA_SIGINFO);
	kill(getpid(), SIGUSR1);
	say("kill: code %d self %d uid %d", last.si_code, last.si_pid == getpid(), last.si_uid);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	say("tgkill: code %d self %d", last.si_code, last.si_pid == getpid());
	union sigval v = {.sival_int = 42};
	sigqueue(getpid(), SIGUSR1, v);
	say("sigqueue: code %d value %d", last.si_code, last.si_value.sival_int);
	handle(SIGCHLD, SA_SIGINFO);
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(3);
	siginfo_t si;
	while (!count || last.si_signo != SIGCHLD)
		sleep_ms(5);
	say("SIGCHLD: code %d pid %d status %d", last.si_code, last.si_pid == pid, last.si_status);
	CALL(waitid(P_PID, pid, &si, WEXITED));
	say("waitid: signo %d code %d pid %d status %d", si.si_signo, si.si_code, si.si_pid == pid, si.si_status);
}

TEST(suspend_swaps_the_mask)
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	sigset_t empty, now;
	sigemptyset(&empty);
	CALL(sigsuspend(&empty));
	show_order();
	sigprocmask(SIG_BLOCK, NULL, &now);
	CALL(sigismember(&now, SIGUSR1));
	CALL(syscall(SYS_rt_sigsuspend, &empty, 4));
}

TEST(timedwait)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	struct timespec ts = {0, 20000000}, bad = {0, 1000000000};
	siginfo_t si;
	CALL(sigtimedwait(&s, &si, &ts));
	CALL(sigtimedwait(&s, &si, &bad));
	ts.tv_nsec = 0;
	CALL(sigtimedwait(&s, &si, &ts));
	raise(SIGUSR1);
	CALL(sigtimedwait(&s, &si, &ts));
	handle(SIGUSR2, 0);
	pid_t pid = disturb(SIGUSR2, NULL, 0);
	CALL(sigwaitinfo(&s, &si));
	waitpid(pid, NULL, 0);
	int sig;
	pid = disturb(SIGUSR1, NULL, 0);
	CALL(sigwait(&s, &sig));
	say("signal %d", sig);
	waitpid(pid, NULL, 0);
}

static void open_gate(long fd)
{
	MUST(write((int)fd, "x", 1));
}

TEST(restartable_calls)
{
	int status, gate[2];
	char c;
	MUST(pipe(gate));
	handle(SIGALRM, 0);
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(read(gate[0], &c, 1) == 1 ? 0 : 1);
	pid_t helper = disturb(SIGALRM, NULL, 0);
	CALL(waitpid(pid, &status, 0));
	waitpid(helper, NULL, 0);
	handle(SIGALRM, SA_RESTART);
	helper = disturb(SIGALRM, open_gate, gate[1]);
	CALL(waitpid(pid, &status, 0) == pid);
	waitpid(helper, NULL, 0);
	/* What is left is the whole minus at most the time that has gone by; a timer has some slack. */
	struct timespec ts = {100, 0}, rem = {0, 0};
	int64_t start = now_ns();
	helper = disturb(SIGALRM, NULL, 0);
	CALL(nanosleep(&ts, &rem));
	int64_t left = rem.tv_sec * 1000000000ll + rem.tv_nsec;
	say("left %d", left >= 100000000000ll - (now_ns() - start) && left <= 100010000000ll);
	waitpid(helper, NULL, 0);
	helper = disturb(SIGALRM, NULL, 0);
	CALL(pause());
	waitpid(helper, NULL, 0);
	say("count %d", (int)count);
}

static void *thread_target(void *arg)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	pthread_barrier_wait(arg);
	int sig;
	sigwait(&s, &sig);
	return (void *)(long)sig;
}

TEST(thread_directed_signals)
{
	pthread_t t;
	pthread_barrier_t b;
	void *r;
	handle(SIGUSR1, 0);
	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&t, NULL, thread_target, &b);
	pthread_barrier_wait(&b);
	CALL(pthread_kill(t, SIGUSR1));
	pthread_join(t, &r);
	say("thread got %ld, handler ran %d", (long)r, (int)count);
	pthread_create(&t, NULL, exit_thread, &b);
	pthread_barrier_wait(&b);
	pid_t pid = getpid();
	CALL(kill(pid, SIGUSR1));
	while (!count)
		sleep_ms(1);
	say("handler ran %d", (int)count);
}

TEST(fatal_signal_takes_all_threads)
{
	pid_t pid = MUST(fork());
	if (pid == 0) {
		pthread_t t[3];
		pthread_barrier_t b;
		pthread_barrier_init(&b, NULL, 4);
		for (int i = 0; i < 3; i++)
			pthread_create(&t[i], NULL, exit_thread, &b);
		pthread_barrier_wait(&b);
		pthread_kill(t[1], SIGTERM);
		pause();
	}
	reap("process", pid);
}

TEST(stop_and_continue)
{
	int status, p[2];
	char c;
	MUST(pipe(p));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		/* A group of its own: SIGTSTP does not stop members of an orphaned one. */
		setpgid(0, 0);
		raise(SIGSTOP);
		MUST(read(p[0], &c, 1));
		raise(SIGTSTP);
		_exit(5);
	}
	CALL(waitpid(pid, &status, WUNTRACED) == pid);
	describe_status("first", status);
	CALL(waitpid(pid, &status, WUNTRACED | WNOHANG));
	CALL(kill(pid, SIGCONT));
	CALL(waitpid(pid, &status, WCONTINUED) == pid);
	describe_status("second", status);
	MUST(write(p[1], "x", 1));
	CALL(waitpid(pid, &status, WUNTRACED) == pid);
	describe_status("third", status);
	CALL(kill(pid, SIGKILL));
	CALL(waitpid(pid, &status, 0) == pid);
	describe_status("last", status);
}

static volatile unsigned long handler_saw;
static void edit_context(int sig, siginfo_t *si, void *ucv)
{
	ucontext_t *uc = ucv;
	(void)sig, (void)si;
	handler_saw = (unsigned long)CONTEXT_RESULT(uc);
	CONTEXT_RESULT(uc) = 0x1234;
	CONTEXT_SKIP_ILLEGAL(uc);
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

TEST(handler_may_edit_the_context)
{
	struct sigaction sa = {.sa_sigaction = edit_context, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sa, NULL);
	unsigned long after = run_illegal(77);
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	say("before %lu after %#lx mask %d", handler_saw, after, sigismember(&now, SIGUSR2));
}

TEST(flags_survive_a_handler)
{
	handle(SIGUSR1, 0);
	unsigned long flags = kill_with_flags(getpid(), SIGUSR1);
	say("flags %#lx count %d", flags, (int)count);
}

TEST(ignored_children_are_not_zombies)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(1);
	CALL(waitpid(pid, NULL, 0));
	struct sigaction sa = {.sa_handler = note, .sa_flags = SA_NOCLDWAIT};
	sigaction(SIGCHLD, &sa, NULL);
	pid = MUST(fork());
	if (pid == 0)
		_exit(1);
	CALL(waitpid(pid, NULL, 0));
	say("count %d", (int)count);
	sa.sa_flags = SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	count = 0;
	pid = MUST(fork());
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	say("count %d", (int)count);
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, 0) == -1)
		;
	say("count %d", (int)count);
}

TEST(fork_inherits_handlers_but_not_pending)
{
	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		sigset_t s;
		sigpending(&s);
		say("child pending %d", sigismember(&s, SIGUSR1));
		block(SIG_UNBLOCK, SIGUSR1);
		say("child count %d", (int)count);
		raise(SIGUSR1);
		say("child count %d", (int)count);
		_exit(0);
	}
	reap("child", pid);
	block(SIG_UNBLOCK, SIGUSR1);
	say("parent count %d", (int)count);
}

TEST(two_signals_two_frames)
{
	handle(SIGUSR1, 0);
	handle(SIGUSR2, 0);
	sigset_t s;
	sigfillset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	raise(SIGUSR2);
	raise(SIGUSR1);
	sigemptyset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	show_order();
}

TEST(stack_overflow_is_caught_on_the_alternate_stack)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	sigaltstack(&ss, NULL);
	struct sigaction sa = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSEGV, &sa, NULL);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		if (sigsetjmp(back, 1) == 0) {
			overflow_stack();
		}
		say("signal %d code %d", (int)count, last.si_code);
		_exit(0);
	}
	reap("child", pid);
	pid = MUST(fork());
	if (pid == 0) {
		ss.ss_flags = SS_DISABLE;
		sigaltstack(&ss, NULL);
		overflow_stack();
	}
	reap("without", pid);
}
