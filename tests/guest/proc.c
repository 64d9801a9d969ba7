/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest.h"

static char **saved_argv;
__attribute__((constructor)) static void remember(int argc, char **argv)
{
	(void)argc;
	saved_argv = argv;
}

static int exit_with(void *arg)
{
	return (int)(long)arg;
}

TEST(exit_status_is_eight_bits)
{
	static const int codes[] = {0, 1, 255, 256, -1, 1234};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		reap("child", spawn(exit_with, (void *)(long)codes[i]));
}

TEST(wait_errors_and_options)
{
	int status = 77;
	CALL(waitpid(-1, &status, 0));
	CALL(waitpid(99999, &status, 0));
	CALL(waitpid(-1, &status, 0x12345));
	int gate[2];
	char c;
	MUST(pipe(gate));
	pid_t a = spawn(exit_with, (void *)4), pid = MUST(fork());
	if (pid == 0)
		_exit(read(gate[0], &c, 1) == 1 ? 9 : 1);
	siginfo_t si;
	memset(&si, 0, sizeof(si));
	CALL(waitid(P_PID, pid, &si, WEXITED | WNOHANG));
	say("signo %d", si.si_signo);
	CALL(waitpid(pid, &status, WNOHANG));
	CALL(waitid(P_PID, a, &si, WEXITED | WNOWAIT));
	say("status %d", si.si_status);
	CALL(waitpid(a, &status, 0) == a);
	CALL(waitpid(a, &status, 0));
	CALL(waitid(P_ALL, 0, &si, 0));
	CALL(waitid(99, 0, &si, WEXITED));
	struct rusage ru;
	MUST(write(gate[1], "x", 1));
	CALL(wait4(pid, &status, 0, &ru) == pid);
	describe_status("last", status);
	CALL(wait4(-1, &status, 0, NULL));
	pid = spawn(exit_with, (void *)0);
	CALL(wait4(pid, (int *)8, 0, NULL));
	CALL(wait4(pid, &status, 0, NULL));
}

TEST(fork_copies_memory_and_shares_offsets)
{
	static int value = 1;
	int fd = make_file("f", "abcdefgh");
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		value = 2;
		shared[0] = 'S';
		char c;
		read(fd, &c, 1);
		close(fd);
		_exit(value);
	}
	reap("child", pid);
	char c = 0;
	read(fd, &c, 1);
	say("value %d shared %c byte %c", value, shared[0], c);
}

TEST(vfork_runs_the_child_first)
{
	volatile int value = 0;
	pid_t pid = vfork();
	if (pid == 0) {
		value = 42;
		usleep(50000);
		_exit(3);
	}
	say("value %d", value);
	reap("child", pid);
}

static char stack[65536] __attribute__((aligned(16)));
static int cloned(void *arg)
{
	*(int *)arg = getpid() == (int)syscall(SYS_gettid) ? 5 : 6;
	return 11;
}

TEST(clone_flag_combinations)
{
	int value = 0, status;
	pid_t tid = 0, child;
	child = MUST(clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_FS | SIGCHLD, &value));
	waitpid(child, &status, 0);
	say("shared memory: value %d", value);
	describe_status("child", status);
	value = 0;
	child = MUST(clone(cloned, stack + sizeof(stack), SIGCHLD, &value));
	waitpid(child, &status, 0);
	say("copied memory: value %d", value);
	child = MUST(clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID, &value, &tid));
	say("tid set %d", tid == child);
	CALL(waitpid(child, &status, 0));
	CALL(waitpid(child, &status, __WALL) == child);
	signal(SIGUSR2, SIG_IGN);
	child = MUST(clone(cloned, stack + sizeof(stack), SIGUSR2, &value));
	CALL(waitpid(child, &status, __WCLONE) == child);
	CALL(clone(cloned, stack + sizeof(stack), CLONE_THREAD, &value));
	CALL(clone(cloned, stack + sizeof(stack), CLONE_SIGHAND, &value));
	CALL(clone(cloned, stack + sizeof(stack), CLONE_THREAD | CLONE_SIGHAND, &value));
	CALL(clone(cloned, stack + sizeof(stack), CLONE_FS | CLONE_NEWNS, &value));
}

TEST(clone3_and_pidfd)
{
	int pidfd = -1, gate[2];
	pid_t ptid = 0;
	char c;
	MUST(pipe(gate));
	struct clone_args a = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
			       .pidfd = (uintptr_t)&pidfd,
			       .parent_tid = (uintptr_t)&ptid,
			       .exit_signal = SIGCHLD};
	pid_t pid = MUST(syscall(SYS_clone3, &a, sizeof(a)));
	if (pid == 0)
		_exit(read(gate[0], &c, 1) == 1 ? 8 : 1);
	say("pidfd %d parent_tid %d", pidfd >= 0, ptid == pid);
	CALL(fcntl(pidfd, F_GETFD));
	struct pollfd p = {pidfd, POLLIN, 0};
	CALL(poll(&p, 1, 0));
	MUST(write(gate[1], "x", 1));
	CALL(poll(&p, 1, 60000));
	siginfo_t si;
	CALL(waitid(P_PIDFD, pidfd, &si, WEXITED));
	say("status %d", si.si_status);
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
	CALL(syscall(SYS_clone3, &a, 8));
	CALL(syscall(SYS_clone3, (void *)8, sizeof(a)));
	a.exit_signal = 77;
	CALL(syscall(SYS_clone3, &a, sizeof(a)));
	pid = MUST(fork());
	if (pid == 0)
		pause();
	pidfd = MUST(syscall(SYS_pidfd_open, pid, 0));
	CALL(syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0));
	reap("child", pid);
	CALL(syscall(SYS_pidfd_open, 99999, 0));
	CALL(syscall(SYS_pidfd_open, -1, 0));
}

static int run_self(const char *test, char *const envp[])
{
	char *argv[] = {saved_argv[0], (char *)test, NULL};
	execve("/proc/self/exe", argv, envp);
	return 100;
}

/* The second half of the exec tests: what is left after execve. */
TEST(init_after_exec)
{
	extern char **environ;
	sigset_t pending, blocked;
	struct sigaction ign, caught;
	stack_t ss;
	sigpending(&pending);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	sigaction(SIGUSR1, NULL, &ign);
	sigaction(SIGUSR2, NULL, &caught);
	sigaltstack(NULL, &ss);
	say("env %s", environ[0] ? environ[0] : "none");
	say("pending %d blocked %d ignored %d caught %d altstack %d", sigismember(&pending, SIGTERM),
	    sigismember(&blocked, SIGTERM), ign.sa_handler == SIG_IGN, caught.sa_handler != SIG_DFL, ss.ss_flags);
	say("descriptors 20 %d 21 %d umask %o", fcntl(20, F_GETFD), fcntl(21, F_GETFD), umask(0));
	char comm[16];
	prctl(PR_GET_NAME, comm);
	say("threads are gone, leader %d, name %d", getpid() == (int)syscall(SYS_gettid), strcmp(comm, "before") != 0);
}

TEST(init_read_30)
{
	char c;
	MUST(read(30, &c, 1));
}

static void prepare_exec(void)
{
	sigset_t s;
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, (void (*)(int))(void *)abort);
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGTERM);
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof(stack)};
	sigaltstack(&ss, NULL);
	umask(027);
	dup2(1, 20);
	dup3(1, 21, O_CLOEXEC);
	prctl(PR_SET_NAME, "before");
}

static char *test_env[] = {"KEY=value with spaces", NULL};

static int exec_directly(void *arg)
{
	(void)arg;
	prepare_exec();
	return run_self("init_after_exec", test_env);
}

TEST(exec_keeps_and_resets)
{
	reap("child", spawn(exec_directly, NULL));
}

static void *exec_from_thread(void *arg)
{
	(void)arg;
	run_self("init_after_exec", test_env);
	return NULL;
}

static void *sleeper(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static int exec_in_thread(void *arg)
{
	pthread_t t[3];
	(void)arg;
	prepare_exec();
	pthread_create(&t[0], NULL, sleeper, NULL);
	pthread_create(&t[1], NULL, sleeper, NULL);
	pthread_create(&t[2], NULL, exec_from_thread, NULL);
	pthread_join(t[0], NULL);
	return 1;
}

TEST(exec_from_another_thread)
{
	pid_t pid = spawn(exec_in_thread, NULL);
	reap("child", pid);
}

static int exec_after_vfork(void *arg)
{
	(void)arg;
	pid_t pid = vfork();
	if (pid == 0)
		_exit(run_self("init_after_exec", test_env));
	int status;
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST(exec_after_vfork)
{
	reap("child", spawn(exec_after_vfork, NULL));
}

TEST(exec_errors)
{
	char *argv[] = {"x", NULL};
	CALL(execve("missing", argv, test_env));
	CALL(execve(".", argv, test_env));
	close(make_file("plain", "not a program\n"));
	CALL(execve("plain", argv, test_env));
	chmod("plain", 0755);
	CALL(execve("plain", argv, test_env));
	CALL(execve("plain/x", argv, test_env));
	CALL(execve((char *)8, argv, test_env));
	CALL(execve("plain", (char **)8, test_env));
	close(make_file("script", "#!/does/not/exist\n"));
	chmod("script", 0755);
	CALL(execve("script", argv, test_env));
	close(make_file("empty", ""));
	chmod("empty", 0755);
	CALL(execve("empty", argv, test_env));
	close(make_file("short", "\177ELF\2\1\1"));
	chmod("short", 0755);
	CALL(execve("short", argv, test_env));
	static char big[200000];
	memset(big, 'a', sizeof(big) - 1);
	char *large[] = {"x", big, NULL};
	CALL(execve("/proc/self/exe", large, test_env));
	CALL(open("/proc/self/exe", O_WRONLY));
}

TEST(init_show_arguments)
{
	for (char **a = saved_argv; *a; a++)
		say("[%s]", *a);
}

TEST(scripts_run_their_interpreter)
{
	char exe[PATH_MAX], text[PATH_MAX + 64];
	exe[MUST(readlink("/proc/self/exe", exe, sizeof(exe) - 1))] = 0;
	/* The interpreter takes the whole rest of the line as one argument. */
	snprintf(text, sizeof(text), "#! %s init_show_arguments\nignored\n", exe);
	close(make_file("script", text));
	chmod("script", 0755);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		char *argv[] = {"zero", "one", "two words", NULL};
		execve("./script", argv, test_env);
		_exit(100);
	}
	reap("script", pid);
	int fd = MUST(open("script", O_RDONLY));
	pid = MUST(fork());
	if (pid == 0) {
		char *argv[] = {"zero", "fexecve", NULL};
		char name[32];
		fexecve(fd, argv, test_env);
		snprintf(name, sizeof(name), "%s", error_name(errno));
		_exit(101);
	}
	int status;
	waitpid(pid, &status, 0);
	say("fexecve exited %d", WEXITSTATUS(status));
	int exe_fd = MUST(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	pid = MUST(fork());
	if (pid == 0) {
		char *argv[] = {"self", "init_show_arguments", "x", NULL};
		syscall(SYS_execveat, exe_fd, "", argv, test_env, AT_EMPTY_PATH);
		_exit(100);
	}
	reap("execveat", pid);
}

TEST(process_groups)
{
	CALL(getpgrp() == getpgid(0));
	CALL(setpgid(0, 0));
	CALL(getpgrp() == getpid());
	CALL(setpgid(0, 99999));
	CALL(setpgid(99999, 0));
	CALL(setpgid(0, -1));
	CALL(getpgid(99999));
	CALL(getsid(99999));
	CALL(setsid());
	pid_t pid = MUST(fork());
	if (pid == 0) {
		CALL(getpgrp() == getppid());
		CALL(setsid() == getpid());
		CALL(getsid(0) == getpid());
		CALL(getpgrp() == getpid());
		CALL(setpgid(0, 0));
		CALL(setpgid(0, getppid()));
		_exit(0);
	}
	reap("session leader", pid);
	pid = MUST(fork());
	if (pid == 0)
		pause();
	CALL(setpgid(pid, pid));
	CALL(getpgid(pid) == pid);
	CALL(kill(-pid, SIGTERM));
	reap("group member", pid);
	/* After its execve a child's group is its own affair. The one descriptor says when, the other until when. */
	int done[2], gate[2];
	char c;
	MUST(pipe2(done, O_CLOEXEC));
	MUST(pipe2(gate, O_CLOEXEC));
	pid = MUST(fork());
	if (pid == 0) {
		MUST(dup2(gate[0], 30));
		_exit(run_self("init_read_30", test_env));
	}
	close(done[1]);
	CALL(read(done[0], &c, 1));
	CALL(setpgid(pid, pid));
	MUST(write(gate[1], "x", 1));
	reap("exec'd", pid);
}

TEST(signals_to_a_group)
{
	pid_t leader = MUST(fork());
	if (leader == 0) {
		setpgid(0, 0);
		for (int i = 0; i < 3; i++)
			if (fork() == 0)
				pause();
		signal(SIGTERM, SIG_IGN);
		kill(0, SIGTERM);
		int status, n = 0;
		while (wait(&status) > 0)
			n += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
		_exit(n);
	}
	reap("leader", leader);
}

TEST(orphans_go_to_the_subreaper)
{
	int p[2], status, on = 0;
	char c;
	MUST(pipe(p));
	CALL(prctl(PR_SET_CHILD_SUBREAPER, 1));
	CALL(prctl(PR_GET_CHILD_SUBREAPER, &on));
	say("subreaper %d", on);
	pid_t self = getpid(), pid = MUST(fork());
	if (pid == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			while (getppid() == parent)
				sleep_ms(5);
			MUST(read(p[0], &c, 1));
			say("adopted %d", getppid() == self);
			_exit(21);
		}
		_exit(20);
	}
	reap("child", pid);
	MUST(write(p[1], "x", 1));
	wait(&status);
	describe_status("grandchild", status);
}

TEST(orphans_go_to_init)
{
	int p[2];
	char c;
	MUST(pipe(p));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			while (getppid() == parent)
				sleep_ms(5);
			c = getppid() == 1;
			MUST(write(p[1], &c, 1));
			_exit(0);
		}
		_exit(0);
	}
	reap("child", pid);
	MUST(read(p[0], &c, 1));
	CALL(c);
}

static int orphan_group(void *arg)
{
	int *p = arg;
	setpgid(0, 0);
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t s;
		int sig;
		sigemptyset(&s);
		sigaddset(&s, SIGHUP);
		sigaddset(&s, SIGCONT);
		sigprocmask(SIG_BLOCK, &s, NULL);
		MUST(write(p[1], "r", 1));
		raise(SIGSTOP);
		struct timespec ts = {60, 0};
		siginfo_t si;
		int hup = 0;
		while ((sig = sigtimedwait(&s, &si, &ts)) > 0) {
			hup += sig == SIGHUP ? 1 : 100;
			if (hup == 101)
				break;
		}
		char c = (char)hup;
		MUST(write(p[1], &c, 1));
		_exit(0);
	}
	int status;
	waitpid(pid, &status, WUNTRACED);
	return 0;
}

static int orphan_in_session(void *arg)
{
	int *p = arg;
	char c;
	/* Orphans go to init: it must not be of their session, or their group would have a parent in it. */
	setsid();
	pid_t pid = spawn(orphan_group, p);
	MUST(read(p[0], &c, 1));
	reap("leader", pid);
	MUST(read(p[0], &c, 1));
	say("hangup and continue %d", c);
	return 0;
}

TEST(stopped_orphaned_group_gets_hup_and_cont)
{
	int p[2];
	MUST(pipe(p));
	reap("session", spawn(orphan_in_session, p));
}

TEST(parent_death_signal)
{
	int p[2];
	MUST(pipe(p));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		if (fork() == 0) {
			close(p[0]);
			MUST(prctl(PR_SET_PDEATHSIG, SIGTERM));
			int sig = 0;
			MUST(prctl(PR_GET_PDEATHSIG, &sig));
			say("signal %d", sig);
			MUST(write(p[1], "r", 1));
			pause();
			_exit(1);
		}
		char c;
		MUST(read(p[0], &c, 1));
		_exit(0);
	}
	close(p[1]);
	reap("parent", pid);
	char c;
	CALL(read(p[0], &c, 1));
}

TEST(a_thousand_children)
{
	int sum = 0, status;
	set_limit(180);
	for (int i = 0; i < 1000; i++) {
		pid_t pid = MUST(fork());
		if (pid == 0)
			_exit(i & 127);
		if (i % 10 == 9)
			while (waitpid(-1, &status, i % 20 == 9 ? 0 : WNOHANG) > 0)
				sum += WEXITSTATUS(status);
	}
	while (wait(&status) > 0)
		sum += WEXITSTATUS(status);
	say("sum %d", sum);
}

static void *thread_body(void *arg)
{
	return (void *)((long)arg * 3);
}

TEST(threads_start_and_join)
{
	long sum = 0;
	for (int round = 0; round < 20; round++) {
		pthread_t t[16];
		void *r;
		for (long i = 0; i < 16; i++)
			if (pthread_create(&t[i], NULL, thread_body, (void *)i))
				say("create failed");
		for (int i = 0; i < 16; i++) {
			pthread_join(t[i], &r);
			sum += (long)r;
		}
	}
	say("sum %ld", sum);
}

static void *exiting_group(void *arg)
{
	/* The first thread has ended: it stays as a zombie for as long as others run, or is gone from /proc. */
	while (arg && thread_state(getpid(), getpid()) != 'Z' && thread_state(getpid(), getpid()) != '-')
		sleep_ms(1);
	exit(13);
}

static int leader_exits(void *arg)
{
	pthread_t t;
	(void)arg;
	pthread_create(&t, NULL, exiting_group, "when the first is gone");
	pthread_exit(NULL);
}

static int thread_exits_group(void *arg)
{
	pthread_t t;
	(void)arg;
	pthread_create(&t, NULL, exiting_group, NULL);
	pthread_join(t, NULL);
	return 1;
}

TEST(leader_may_exit_before_its_threads)
{
	reap("leader gone", spawn(leader_exits, NULL));
	reap("group exit from a thread", spawn(thread_exits_group, NULL));
}

TEST(child_usage_is_accounted)
{
	int64_t start = now_ns();
	pid_t pid = MUST(fork());
	if (pid == 0) {
		struct timespec used;
		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		while (used.tv_sec == 0 && used.tv_nsec < 200000000);
		_exit(0);
	}
	int status;
	struct rusage ru, all;
	MUST(wait4(pid, &status, 0, &ru));
	long ms = ru.ru_utime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 + ru.ru_stime.tv_sec * 1000 +
		  ru.ru_stime.tv_usec / 1000;
	MUST(getrusage(RUSAGE_CHILDREN, &all));
	long total = all.ru_utime.tv_sec * 1000 + all.ru_utime.tv_usec / 1000 + all.ru_stime.tv_sec * 1000 +
		     all.ru_stime.tv_usec / 1000;
	say("child ran %d, children %d", ms >= 180 && ms <= (now_ns() - start) / 1000000 + 20, total >= ms);
	CALL(getrusage(99, &all));
	CALL(getrusage(RUSAGE_THREAD, &all));
}
