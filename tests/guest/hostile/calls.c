/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call with arguments that are wrong, that change while they are looked at, and that
 * vanish. Nothing is compared; the sandbox has to be there afterwards and answer.
 */
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "guest.h"
#include "guest_arch.h"

/* Some of these calls would hurt a machine that is not the container's. */
__attribute__((constructor)) static void only_in_a_container(int argc, char **argv)
{
	struct utsname u;
	if (argc > 1 && strcmp(argv[1], "sums_that_overflow") == 0)
		return;
	if ((argc < 2 || strcmp(argv[1], "--list") != 0) && (uname(&u) != 0 || strcmp(u.nodename, "guest") != 0))
		_exit(93);
}

static unsigned seconds(void)
{
	const char *s = getenv("HOSTILE_SECONDS");
	return s ? (unsigned)atoi(s) : 5;
}

#define BUFFER_PAGES 8
static char *buffer; /* readable, writable; others change and unmap it */
static char *fixed;  /* stays */
static atomic_bool stop;

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dull;
}

static uint64_t argument(uint64_t *state)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 24, 64, 88, 100, 127, 128, 4095, 4096, 4097, 65536, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffff, 0x7ffffffff000, 0x7fffffffeff8, 0x800000000000, 0xffff800000000000,
		0xffffffff80000000, (uint64_t)-1, (uint64_t)-2, (uint64_t)-100, (uint64_t)-4096, 0x8000000000000000,
		0x7fffffffffffffff, 0x4000000000000000, 0xffffffffffffff00};
	uint64_t r = random64(state);

	switch (r & 7) {
	case 0:
	case 1:
		return (uintptr_t)buffer + (r >> 8) % (BUFFER_PAGES * PAGE);
	case 2:
		return (uintptr_t)buffer + BUFFER_PAGES * PAGE - (r >> 8) % 64;
	case 3:
		return (uintptr_t)fixed + ((r >> 8) % (2 * PAGE) & ~7ull);
	case 4:
		return r >> (r >> 8 & 63);
	case 5:
		return (r >> 8) % 40;
	default:
		return values[(r >> 8) % ARRAY_SIZE(values)];
	}
}

static bool is_spared(long nr)
{
	/* What would only end, stop or mute the caller, or kill those it should not. */
	static const int spared[] = {SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigsuspend,
				     SYS_rt_sigreturn, SYS_clone, SYS_clone3, SYS_rt_sigqueueinfo,
				     SYS_rt_tgsigqueueinfo, SYS_pidfd_send_signal, SYS_reboot, SYS_munmap, SYS_mremap
				     GUEST_OLD_CALLS};
	for (size_t i = 0; i < ARRAY_SIZE(spared); i++)
		if (spared[i] == nr)
			return true;
	return false;
}

/* What a call may find in memory: addresses, small numbers, paths, noise. */
static void *scribble(void *arg)
{
	uint64_t state = (uintptr_t)arg * 0x9e3779b97f4a7c15ull;
	static const char *const paths[] = {"/", "/proc/self", "x", "../..", "/proc/self/fd/0", "/dev/zero", "/dev/ptmx", "/tmp/f",
					    "/proc/self/mem", "link"};
	while (!atomic_load(&stop)) {
		uint64_t r = random64(&state);
		size_t at = (r >> 16) % (2 * PAGE - 64);
		switch (r & 7) {
		case 0:
			munmap(buffer + (r >> 8) % BUFFER_PAGES * PAGE, PAGE);
			break;
		case 1:
			mprotect(buffer + (r >> 8) % BUFFER_PAGES * PAGE, PAGE, (int)(r >> 16 & 3));
			break;
		case 2:
			mmap(buffer, BUFFER_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 3:
			strcpy(fixed + at, paths[(r >> 8) % ARRAY_SIZE(paths)]);
			break;
		default:
			at &= ~7ul;
			for (int i = 0; i < 8; i++)
				((volatile uint64_t *)(fixed + at))[i] = argument(&state);
		}
	}
	return NULL;
}

static void *call_at_random(void *arg)
{
	uint64_t state = (uintptr_t)arg * 0xda942042e4dd58b5ull;

	while (!atomic_load(&stop)) {
		long nr = (long)(random64(&state) % 480);
		if (random64(&state) % 64 == 0)
			nr = (long)random64(&state);
		if (is_spared(nr & 0xffffffff))
			continue;
		syscall(nr, argument(&state), argument(&state), argument(&state), argument(&state), argument(&state),
			argument(&state));
	}
	return NULL;
}

static void on_alarm(int sig)
{
	(void)sig; /* ends whatever sleeps */
}

static void prepare(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	buffer = mmap(NULL, (BUFFER_PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(buffer + BUFFER_PAGES * PAGE, PAGE);
	fixed = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
	ualarm(20000, 5000);
	freopen("/dev/null", "w", stdout);
	freopen("/dev/null", "w", stderr);
	symlink("link", "link");
	for (int i = 0; i < 4; i++) {
		int fds[2];
		pipe2(fds, O_NONBLOCK);
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
		open("/tmp", O_RDONLY | O_DIRECTORY);
		syscall(SYS_epoll_create1, 0);
		syscall(SYS_eventfd2, 0, O_NONBLOCK);
		syscall(SYS_memfd_create, "m", 0);
		syscall(SYS_timerfd_create, 1, O_NONBLOCK);
		syscall(SYS_inotify_init1, O_NONBLOCK);
	}
}

static int random_calls(void *arg)
{
	uintptr_t seed = (uintptr_t)arg;
	pthread_t t;

	setsid();
	prepare();
	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&t, NULL, scribble, (void *)(seed * 10 + i + 1));
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t, NULL, call_at_random, (void *)(seed * 10 + i + 3));
	while (sleep_ms(1000), true)
		;
	return 0;
}

/* Kill everything but oneself and init, and wait until it is gone. */
static void sweep(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

TEST(random_calls_from_threads)
{
	int64_t end = now_ns() + seconds() * 1000000000ll;
	const char *first = getenv("HOSTILE_SEED");

	set_limit(seconds() + 60);
	for (long seed = first ? atol(first) : 1; now_ns() < end; seed++) {
		spawn(random_calls, (void *)seed);
		spawn(random_calls, (void *)(seed + 5000));
		sleep_ms(500);
		sweep();
	}
	say("went on");
}

/* One call after the other, so that a number cannot hide behind the luck of the draw. */
static int every_call(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	pthread_t t;

	setsid();
	prepare();
	pthread_create(&t, NULL, scribble, (void *)state);
	for (long nr = 0; nr < 600; nr++) {
		if (is_spared(nr))
			continue;
		for (int i = 0; i < 30; i++)
			syscall(nr, argument(&state), argument(&state), argument(&state), argument(&state), argument(&state),
				argument(&state));
	}
	return 0;
}

TEST(every_call)
{
	set_limit(200);
	for (long seed = 1; seed <= 4; seed++) {
		pid_t pid = spawn(every_call, (void *)(seed * 7919));
		for (int i = 0; i < 600 && waitpid(pid, NULL, WNOHANG) == 0; i++)
			sleep_ms(10);
		sweep();
	}
	say("went on");
}

/* ---- arguments in memory that change between the kernel's looks ---- */

struct flipper {
	volatile uint64_t *word;
	uint64_t a, b;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	while (!atomic_load(&stop)) {
		*f->word = f->a;
		*f->word = f->b;
	}
	return NULL;
}

TEST(vectors_change_underway)
{
	struct iovec *iov = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *data = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct flipper len = {(uint64_t *)&iov[1].iov_len, 100, (uint64_t)-1};
	struct flipper base = {(uint64_t *)&iov[2].iov_base, (uintptr_t)data, 0xffffffff80000000};
	struct flipper control;
	struct msghdr *m = (struct msghdr *)(iov + 16);
	pthread_t t[3];
	int fds[2], file = make_file("vectors", ""), zero = open("/dev/zero", O_RDWR);
	long odd = 0, rounds = 0;

	set_limit(seconds() + 30);
	for (int i = 0; i < 8; i++)
		iov[i] = (struct iovec){data + i * PAGE, 100};
	*m = (struct msghdr){.msg_iov = iov, .msg_iovlen = 4, .msg_control = data + 8 * PAGE, .msg_controllen = 64};
	control = (struct flipper){(uint64_t *)(data + 8 * PAGE), 20, 0xffffffffffffff00};
	*(uint64_t *)(data + 8 * PAGE + 8) = (uint64_t)SCM_RIGHTS << 32 | SOL_SOCKET;
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	pthread_create(&t[0], NULL, flip, &len);
	pthread_create(&t[1], NULL, flip, &base);
	pthread_create(&t[2], NULL, flip, &control);
	for (int64_t end = now_ns() + seconds() * 500000000ll; now_ns() < end; rounds++) {
		ssize_t n = writev(file, iov, 8);
		odd += n > 800;
		odd += preadv(file, iov, 8, 0) > 800;
		odd += readv(zero, iov, 8) > 800;
		sendmsg(fds[0], m, MSG_DONTWAIT);
		recvmsg(fds[1], m, MSG_DONTWAIT);
		m->msg_iovlen = 4, m->msg_controllen = 64;
		vmsplice(fds[0], iov, 8, SPLICE_F_NONBLOCK);
		process_vm_readv(getpid(), iov, 4, iov + 4, 4, 0);
		if (rounds % 100 == 0)
			ftruncate(file, 0), lseek(file, 0, SEEK_SET);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	say("odd: %ld", odd);
}

TEST(paths_change_underway)
{
	char *path = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct flipper first = {(uint64_t *)path, 0x2e2e2f2e2e2f2e2e, 0x6c65732f636f7270}; /* ../../.. proc/sel */
	struct flipper second = {(uint64_t *)(path + 8), 0x2e2e2f2e2e2f2e2f, 0x00006d656d2f66};
	pthread_t t[2];
	struct stat root, st;
	long escaped = 0;

	set_limit(seconds() + 30);
	MUST(stat("/", &root));
	memset(path, 'a', PAGE);
	mkdir("/tmp/deep", 0700);
	MUST(chdir("/tmp/deep"));
	pthread_create(&t[0], NULL, flip, &first);
	pthread_create(&t[1], NULL, flip, &second);
	for (int64_t end = now_ns() + seconds() * 500000000ll; now_ns() < end;) {
		path[16] = 0;
		if (stat(path, &st) == 0)
			escaped += st.st_dev != root.st_dev && st.st_ino == root.st_ino && S_ISDIR(st.st_mode);
		int fd = open(path, O_RDONLY | O_NONBLOCK);
		close(fd);
		access(path, R_OK);
		rename(path, path + 8);
		symlink(path, "l");
		unlink("l");
		path[16] = 'b';
		link(path, path + 3);
		execve(path, (char **)path, (char **)path);
	}
	atomic_store(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	say("escaped: %ld", escaped);
}

/* ---- huge counts, overflowing sums ---- */

TEST(sums_that_overflow)
{
	struct iovec big[4] = {{(void *)PAGE, (size_t)-1}, {(void *)PAGE, 1}, {(void *)-PAGE, PAGE}, {fixed, 0x7fffffffffffffff}};
	struct iovec two[2] = {{&big, 0x7fffffffffffffff}, {&big, 0x7fffffffffffffff}};
	int fd = make_file("sums", "0123456789"), zero = open("/dev/zero", O_RDWR), fds[2];
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char one[8];

	MUST(pipe2(fds, O_NONBLOCK));
	CALL(readv(fd, big, 1));
	CALL(readv(fd, two, 2));
	CALL(writev(fd, two, 2));
	CALL(readv(fd, big, 1025));
	CALL(readv(fd, big, -1));
	CALL(readv(fd, NULL, 0));
	CALL(pread(fd, one, 1, -1));
	CALL(pread(fd, one, 8, 0x7ffffffffffffffe));
	CALL(pwrite(fd, one, 8, 0x7ffffffffffffffe));
	CALL(lseek(fd, 0, SEEK_SET));
	CALL(lseek(fd, 0x7fffffffffffffff, SEEK_END));
	CALL(lseek(fd, -1, SEEK_SET));
	CALL(ftruncate(fd, -1));
	CALL(fallocate(fd, 0, 0x7fffffffffffffff, 0x7fffffffffffffff));
	CALL(fallocate(fd, 0, -1, 1));
	CALL(mmap(NULL, 0x7fffffffffff, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED ? -1 : 0);
	CALL(mmap(NULL, (size_t)-1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	CALL(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0x7ffffffffffff000) == MAP_FAILED ? -1 : 0);
	CALL(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, -PAGE) == MAP_FAILED ? -1 : 0);
	CALL(mmap((void *)0x7fffffffe000, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
	CALL(mmap((void *)0xffffffff80000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
	CALL(munmap((void *)PAGE, (size_t)-PAGE));
	CALL(munmap((void *)0x7ffffffff000, PAGE));
	CALL(munmap((void *)0xffffffff80000000, PAGE));
	CALL(mprotect(p, (size_t)-1, PROT_READ));
	CALL(mprotect((void *)0xffffffff80000000, PAGE, PROT_READ));
	CALL(madvise(p, (size_t)-1, MADV_DONTNEED));
	CALL(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0xffffffff80000000) == MAP_FAILED ? -1 : 0);
	CALL(mremap(p, 0, PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
	CALL(msync(p, (size_t)-1, MS_SYNC));
	CALL(mincore(p, (size_t)-1, (unsigned char *)one));
	CALL(syscall(SYS_ppoll, p, 0x7fffffff, 0, 0, 0));
	CALL(syscall(SYS_pselect6, 0x7fffffff, 0, 0, 0, p, 0));
	CALL(syscall(SYS_epoll_pwait, 0, p, 0x7fffffff, 0, 0, 0));
	CALL(syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", p, 0x80000000));
	GUEST_OLD_CALLS_WITH_BIG_SUMS(CALL, p);
	CALL(syscall(SYS_sendmmsg, fds[1], p, 0xffffffff, 0));
	CALL(syscall(SYS_io_setup, 0x7fffffff, p) == 0 ? -1 : 0);
	CALL(syscall(SYS_sched_getaffinity, 0, 0x7fffffff, p));
	CALL(syscall(SYS_rt_sigtimedwait, p, NULL, p, 0x100000008));
	CALL(syscall(SYS_getrandom, 0xffffffff80000000, 10, 0));
	CALL(syscall(SYS_copy_file_range, fd, p, zero, p, (size_t)-1, 0));
	CALL(syscall(SYS_memfd_create, p + PAGE - 1, 0xffffffff));
	CALL(syscall(SYS_setxattr, "sums", "user.x", p, (size_t)-1, 0));
	CALL(syscall(SYS_prctl, PR_SET_NAME, 0xffffffff80000000));
	CALL(syscall(SYS_prlimit64, 0, 7, 0xffffffff80000000, 0xffffffff80000000));
	CALL(syscall(SYS_futex, 0xffffffff80000000, 0, 0, 0, 0, 0));
	CALL(syscall(SYS_futex, 0x7ffffffff000, 0, 0, 0, 0, 0));
	CALL(syscall(SYS_set_robust_list, 0xffffffff80000000, 24));
	CALL(syscall(SYS_clone3, p, (size_t)-1));
	CALL(syscall(SYS_clone3, 0xffffffff80000000, 88));
	CALL(syscall(SYS_openat2, -1, "x", p, (size_t)-1));
	CALL(syscall(SYS_close_range, 5, 4, 0));
	CALL(syscall(SYS_dup3, 0, 0x7fffffff, 0));
	CALL(syscall(SYS_fcntl, 0, F_DUPFD, -1));
}
