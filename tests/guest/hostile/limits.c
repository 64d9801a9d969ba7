/* SPDX-License-Identifier: Apache-2.0 */
/* Everything there can be too much of: each has a bound, an errno, and an end after which all goes on. */
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "../guest.h"

static bool in_container(void)
{
	struct utsname u;
	return uname(&u) == 0 && strcmp(u.nodename, "guest") == 0;
}

static void *sleep_forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int sleeper(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pause() == -1)
		;
	return 0;
}

/* The limit of the control group binds processes and threads of the container, and only for as long as they live. */
TEST(processes_to_the_limit)
{
	if (!in_container())
		_exit(93);
	set_limit(200);
	for (int round = 0; round < 2; round++) {
		int n = 0;
		pid_t pid;
		while (n < 1000) {
			pid = fork();
			if (pid == 0)
				_exit(sleeper(NULL));
			if (pid == -1)
				break;
			n++;
		}
		say("%s with %d", error_name(errno), n);
		kill(-1, SIGKILL);
		while (wait(NULL) > 0)
			;
	}
	pthread_attr_t a;
	pthread_t t;
	int n = 0, ret;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	while (n < 1000 && (ret = pthread_create(&t, &a, sleep_forever, NULL)) == 0)
		n++;
	say("%s with %d threads", error_name(ret), n);
	say("fork %d", (int)fork());
}

static int grow_forks(void *arg)
{
	while (!arg)
		if (fork() == -1)
			sched_yield();
	return 0;
}

TEST(fork_bomb_is_cleared)
{
	if (!in_container())
		_exit(93);
	set_limit(200);
	spawn(grow_forks, NULL);
	sleep_ms(1500);
	/* What a kill misses forks again: until none is left. */
	while (kill(-1, SIGKILL) == 0) {
		waitpid(-1, NULL, WNOHANG);
		sleep_ms(1);
	}
	int ok = 0;
	for (int i = 0; i < 20; i++) {
		int status = 0;
		pid_t pid;
		/* The last of them may still wait for init to take note of its end. */
		while ((pid = fork()) == -1 && errno == EAGAIN)
			sleep_ms(1);
		if (pid == 0)
			_exit(7);
		ok += pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7;
	}
	say("forks again: %d", ok);
}

/* ---- memory ---- */

static int eat_pages(void *arg)
{
	size_t step = (uintptr_t)arg;
	for (;;) {
		char *p = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		memset(p, 1, step);
	}
}

/* A page here and there: what it eats is page tables. */
static int eat_tables(void *arg)
{
	char *p = mmap(NULL, 1ull << 45, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	(void)arg;
	if (p == MAP_FAILED)
		return 1;
	for (uint64_t at = 0; at < 1ull << 45; at += 1ull << 21)
		p[at] = 1;
	return 0;
}

static int eat_tmpfs(void *arg)
{
	int fd = open("/tmp/eaten", O_RDWR | O_CREAT, 0600);
	static char block[1 << 20];
	(void)arg;
	memset(block, 1, sizeof block);
	while (write(fd, block, sizeof block) > 0)
		;
	return errno == ENOSPC || errno == ENOMEM ? 1 : 2;
}

static int eat_memfd(void *arg)
{
	static char block[1 << 20];
	(void)arg;
	memset(block, 1, sizeof block);
	for (;;) {
		int fd = (int)syscall(SYS_memfd_create, "eat", 0);
		if (fd < 0)
			return 1;
		for (int i = 0; i < 64; i++)
			if (write(fd, block, sizeof block) <= 0)
				return 1;
	}
}

static int eat_shared(void *arg)
{
	(void)arg;
	for (;;) {
		char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		memset(p, 1, 16 << 20);
	}
}

static int eat_by_forks(void *arg)
{
	char *p = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)arg;
	memset(p, 1, 32 << 20);
	for (int i = 0; i < 30; i++)
		if (fork() == 0) {
			memset(p, i, 32 << 20);
			_exit(sleeper(NULL));
		}
	return 0;
}

static void try_meal(const char *what, int (*eat)(void *), void *arg)
{
	int status;
	pid_t pid = spawn(eat, arg);
	waitpid(pid, &status, 0);
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	unlink("/tmp/eaten");
	bool ended = (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || WIFEXITED(status);
	char *p = malloc(1 << 20);
	memset(p, 1, 1 << 20);
	free(p);
	say("%s: ended %d", what, ended);
}

TEST(memory_is_eaten)
{
	if (!in_container())
		_exit(93);
	set_limit(600);
	try_meal("pages", eat_pages, (void *)(16ul << 20));
	try_meal("small areas", eat_pages, (void *)4096ul);
	try_meal("shared pages", eat_shared, NULL);
	try_meal("forks", eat_by_forks, NULL);
	try_meal("page tables", eat_tables, NULL);
	try_meal("pages again", eat_pages, (void *)(1ul << 20));
}

/* Files in memory are the host's: it may end the container for them. */
TEST(files_eat_memory)
{
	if (!in_container())
		_exit(93);
	set_limit(600);
	try_meal("tmpfs", eat_tmpfs, NULL);
	try_meal("memory files", eat_memfd, NULL);
}

/* ---- limits of a process ---- */

static int set_to(int which, rlim_t value)
{
	struct rlimit r = {value, value};
	return setrlimit((__rlimit_resource_t)which, &r);
}

static volatile int sink;
static int recurse(int n)
{
	volatile char frame[256];
	frame[n & 255] = (char)n;
	sink += frame[n & 255];
	return recurse(n + 1) + frame[n & 255];
}

static int child_overflow(void *arg)
{
	set_to(RLIMIT_STACK, (rlim_t)(uintptr_t)arg);
	return recurse(0);
}

static void *thread_overflow(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)recurse(0);
}

static int overflow_in_thread(void *arg)
{
	pthread_t t;
	(void)arg;
	pthread_create(&t, NULL, thread_overflow, NULL);
	pthread_join(t, NULL);
	return 0;
}

static int limit_memory(void *arg)
{
	int which = (int)(uintptr_t)arg, n = 0;
	set_to(which, 64 << 20);
	while (n < 1000 && mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		n++;
	say("%s, few: %d", error_name(errno), n < 64);
	say("brk refused: %d", sbrk(100 << 20) == (void *)-1);
	say("stack refused: %d", mmap(NULL, 100 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	return 0;
}

TEST(limits_of_a_process)
{
	set_limit(200);
	reap("stack of 64 KiB", spawn(child_overflow, (void *)65536ul));
	reap("stack of 8 MiB", spawn(child_overflow, (void *)(8ul << 20)));
	reap("stack of a thread", spawn(overflow_in_thread, NULL));
	reap("address space", spawn(limit_memory, (void *)(uintptr_t)RLIMIT_AS));
	reap("data", spawn(limit_memory, (void *)(uintptr_t)RLIMIT_DATA));
	CALL(set_to(RLIMIT_NOFILE, 20));
	int n = 0;
	while (n < 100 && dup(0) >= 0)
		n++;
	say("%s, few: %d", error_name(errno), n < 20);
	CALL(open("/", O_RDONLY));
	CALL(pipe((int[2]){0}));
	CALL(epoll_create1(0));
	CALL(socket(AF_UNIX, SOCK_STREAM, 0));
	CALL(eventfd(0, 0));
	CALL(dup2(0, 19));
	CALL(dup2(0, 20));
	CALL(fcntl(0, F_DUPFD, 20));
	close(10);
	CALL(pipe((int[2]){0}));
	CALL(open("/", O_RDONLY) >= 0 ? 0 : -1);
	reap("children still overflow", spawn(overflow_in_thread, NULL));
}

/* ---- things ---- */

static long make_many(int (*make)(void), long most)
{
	long n = 0;
	while (n < most && make() >= 0)
		n++;
	return n;
}

static int make_pipe(void)
{
	int fds[2];
	if (pipe2(fds, O_NONBLOCK) == -1)
		return -1;
	/* Full, too. */
	static char block[65536];
	return write(fds[1], block, sizeof block) == -1 && errno != EAGAIN ? -1 : 0;
}
static int make_epoll(void) { return epoll_create1(0); }
static int make_eventfd(void) { return eventfd(0, 0); }
static int make_timerfd(void) { return (int)syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0); }
static int make_inotify(void) { return inotify_init1(0); }
static int make_socket(void) { return socket(AF_UNIX, SOCK_DGRAM, 0); }
static int make_pair(void) { int fds[2]; return socketpair(AF_UNIX, SOCK_STREAM, 0, fds); }
static int make_file_open(void) { return open("/scratch/many", O_RDWR | O_CREAT, 0600); }
static int make_directory(void) { return open("/proc/self", O_RDONLY | O_DIRECTORY); }
static int make_tmpfile(void) { return open("/tmp", O_TMPFILE | O_RDWR, 0600); }
static int make_memfd(void) { return (int)syscall(SYS_memfd_create, "many", 0); }
static int make_pty(void) { return open("/dev/ptmx", O_RDWR | O_NOCTTY); }
static int make_signalfd(void) { uint64_t set = 1; return (int)syscall(SYS_signalfd4, -1, &set, 8, 0); }
static int make_pidfd(void) { return (int)syscall(SYS_pidfd_open, getpid(), 0); }

static int timers_made;
static int make_timer(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 5};
	struct itimerspec its = {{0, 1000000}, {0, 1000000}};
	timer_t t;
	if (timer_create(CLOCK_MONOTONIC, &ev, &t) == -1)
		return -1;
	return timer_settime(t, 0, &its, NULL) + 0 * timers_made++;
}

static int watch_fd, watch_number;
static int make_watch(void)
{
	char name[64];
	snprintf(name, sizeof name, "/tmp/w%d", watch_number++);
	close(open(name, O_CREAT | O_RDWR, 0600));
	return inotify_add_watch(watch_fd, name, IN_ALL_EVENTS);
}

static int map_number;
static int make_area(void)
{
	void *p = mmap(NULL, PAGE, map_number++ % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -1 : 0;
}

static off_t lock_at;
static int lock_fd;
static int make_lock(void)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = lock_at, .l_len = 1};
	lock_at += 2;
	return fcntl(lock_fd, F_SETLK, &l);
}

static int queue_fd[2];
static int queue_fds(void)
{
	/* Descriptors in flight, out of every table. */
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(64 * sizeof(int))];
	} c;
	struct iovec iov = {(void *)"x", 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
	c.h.cmsg_level = SOL_SOCKET, c.h.cmsg_type = SCM_RIGHTS, c.h.cmsg_len = CMSG_LEN(64 * sizeof(int));
	for (int i = 0; i < 64; i++)
		((int *)CMSG_DATA(&c.h))[i] = queue_fd[0];
	return (int)sendmsg(queue_fd[1], &m, MSG_DONTWAIT);
}

struct sort {
	const char *name;
	int (*make)(void);
	long most;
};

static const struct sort sorts[] = {
	{"pipes", make_pipe, 3000}, {"epolls", make_epoll, 3000}, {"eventfds", make_eventfd, 3000},
	{"timerfds", make_timerfd, 3000}, {"inotifies", make_inotify, 3000}, {"sockets", make_socket, 3000},
	{"pairs", make_pair, 3000}, {"files", make_file_open, 3000}, {"directories", make_directory, 3000},
	{"temporaries", make_tmpfile, 3000}, {"memory files", make_memfd, 3000}, {"terminals", make_pty, 3000},
	{"signalfds", make_signalfd, 3000}, {"pidfds", make_pidfd, 3000}, {"timers", make_timer, 5000},
	{"watches", make_watch, 5000}, {"areas", make_area, 20000}, {"locks", make_lock, 20000},
	{"descriptors in flight", queue_fds, 100000},
};

static int make_sort(void *arg)
{
	const struct sort *s = arg;
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	watch_fd = inotify_init1(0);
	lock_fd = open("/scratch/locks", O_RDWR | O_CREAT, 0600);
	socketpair(AF_UNIX, SOCK_STREAM, 0, queue_fd);
	long n = make_many(s->make, s->most);
	return n < 3 ? 1 : 0;
}

static bool still_works(void)
{
	int fds[2], status = 1;
	char c = 0;
	if (pipe(fds) == -1)
		return false;
	pid_t pid = fork();
	if (pid == 0)
		_exit(write(fds[1], "y", 1) != 1);
	bool ok = pid > 0 && read(fds[0], &c, 1) == 1 && c == 'y' && waitpid(pid, &status, 0) == pid && status == 0;
	close(fds[0]), close(fds[1]);
	int fd = open("/proc/self/status", O_RDONLY);
	ok = ok && fd >= 0;
	close(fd);
	fd = open("/scratch/works", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ok = ok && fd >= 0 && write(fd, "works", 5) == 5;
	close(fd);
	return ok;
}

TEST(many_of_each)
{
	if (!in_container())
		_exit(93);
	set_limit(200);
	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++) {
		int status;
		pid_t pid = spawn(make_sort, (void *)&sorts[i]);
		waitpid(pid, &status, 0);
		if (status != 0)
			describe_status(sorts[i].name, status);
		if (!still_works())
			say("nothing works after %s", sorts[i].name);
	}
	say("went on");
}

/* Every process opens all it may: the sandbox's own table fills up before theirs are full. */
static int hoard(void *arg)
{
	int kind = (int)(uintptr_t)arg;
	long n = make_many(sorts[kind % 14].make, 100000);
	(void)n;
	return sleeper(NULL);
}

TEST(descriptors_of_all)
{
	if (!in_container())
		_exit(93);
	set_limit(200);
	for (int round = 0; round < 2; round++) {
		for (uintptr_t i = 0; i < 60; i++)
			spawn(hoard, (void *)i);
		sleep_ms(5000);
		int fd = open("/proc/self/status", O_RDONLY);
		close(fd);
		kill(-1, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			;
		say("works: %d", still_works());
	}
}
