/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "guest.h"

static volatile sig_atomic_t signals;
static void count_signal(int sig)
{
	(void)sig;
	signals++;
	disturbed();
}

TEST(pipe_carries_bytes_in_order)
{
	int p[2];
	char buf[16] = "";
	CALL(pipe(p));
	CALL(write(p[1], "abc", 3));
	CALL(write(p[1], "defg", 4));
	CALL(read(p[0], buf, 2));
	CALL(read(p[0], buf + 2, sizeof(buf) - 2));
	say("%s", buf);
	close(p[1]);
	CALL(read(p[0], buf, 1));
}

TEST(pipe_ends_are_one_way)
{
	int p[2];
	char c;
	MUST(pipe(p));
	CALL(read(p[1], &c, 1));
	CALL(write(p[0], "x", 1));
	CALL(lseek(p[0], 0, SEEK_SET));
	CALL(pread(p[0], &c, 1, 0));
	CALL(pwrite(p[1], &c, 1, 0));
	CALL(ftruncate(p[1], 0));
	CALL(fsync(p[1]));
	CALL(write(p[1], NULL, 5));
	CALL(write(p[1], NULL, 0));
	CALL(read(p[0], NULL, 0));
}

TEST(pipe_without_readers_is_epipe_and_sigpipe)
{
	int p[2];
	MUST(pipe(p));
	close(p[0]);
	signal(SIGPIPE, count_signal);
	CALL(write(p[1], "x", 1));
	say("signals %d", signals);
	signal(SIGPIPE, SIG_IGN);
	CALL(write(p[1], "x", 1));
	say("signals %d", signals);
}

TEST(pipe_default_sigpipe_kills)
{
	pid_t pid = MUST(fork());
	if (pid == 0) {
		int p[2];
		MUST(pipe(p));
		close(p[0]);
		MUST(write(p[1], "x", 1));
		_exit(1);
	}
	reap("writer", pid);
}

TEST(pipe_nonblocking)
{
	int p[2];
	char buf[PAGE];
	MUST(pipe2(p, O_NONBLOCK | O_CLOEXEC));
	CALL(fcntl(p[0], F_GETFD));
	CALL(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	CALL(read(p[0], buf, 1));
	long total = 0, n;
	memset(buf, 'x', sizeof(buf));
	while ((n = write(p[1], buf, sizeof(buf))) > 0)
		total += n;
	say("capacity %ld, then %s", total, error_name(errno));
	CALL(write(p[1], buf, 1));
	CALL(read(p[0], buf, 1));
	CALL(write(p[1], buf, PAGE));
	int avail;
	CALL(ioctl(p[0], FIONREAD, &avail));
	say("avail %d", avail);
}

TEST(pipe_size_can_change)
{
	int p[2];
	MUST(pipe(p));
	CALL(fcntl(p[0], F_GETPIPE_SZ));
	CALL(fcntl(p[0], F_SETPIPE_SZ, 4096));
	CALL(fcntl(p[0], F_GETPIPE_SZ));
	CALL(fcntl(p[1], F_SETPIPE_SZ, 5000));
	CALL(fcntl(p[1], F_SETPIPE_SZ, 1 << 17));
	CALL(fcntl(p[0], F_GETPIPE_SZ));
	int file = make_file("f", "");
	CALL(fcntl(file, F_GETPIPE_SZ));
}

static int blocked_writer(void *arg)
{
	int *p = arg;
	static char big[300000];
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	close(p[0]);
	return write(p[1], big, sizeof(big)) == sizeof(big) ? 0 : 1;
}

TEST(pipe_large_write_blocks_until_read)
{
	int p[2];
	MUST(pipe(p));
	pid_t pid = spawn(blocked_writer, p);
	close(p[1]);
	char buf[7777];
	long total = 0, bad = 0, n;
	while ((n = read(p[0], buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i++)
			bad += buf[i] != (char)((total + i) * 7);
		total += n;
	}
	say("total %ld bad %ld", total, bad);
	reap("writer", pid);
}

static void *atomic_writer(void *arg)
{
	long *a = arg;
	char buf[512];
	memset(buf, 'a' + (int)a[1], sizeof(buf));
	for (int i = 0; i < 200; i++)
		if (write((int)a[0], buf, sizeof(buf)) != sizeof(buf))
			return (void *)1;
	return NULL;
}

TEST(pipe_small_writes_are_atomic)
{
	int p[2];
	pthread_t th[4];
	long args[4][2];
	MUST(pipe(p));
	for (int i = 0; i < 4; i++) {
		args[i][0] = p[1];
		args[i][1] = i;
		pthread_create(&th[i], NULL, atomic_writer, args[i]);
	}
	char buf[512];
	int mixed = 0, seen[4] = {0};
	for (int i = 0; i < 800; i++) {
		size_t have = 0;
		while (have < sizeof(buf))
			have += MUST(read(p[0], buf + have, sizeof(buf) - have));
		for (size_t j = 1; j < sizeof(buf); j++)
			mixed += buf[j] != buf[0];
		seen[buf[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	say("mixed %d, seen %d %d %d %d", mixed, seen[0], seen[1], seen[2], seen[3]);
}

TEST(pipe_read_is_interrupted_by_a_signal)
{
	int p[2];
	char c;
	MUST(pipe(p));
	struct sigaction sa = {.sa_handler = count_signal};
	sigaction(SIGUSR1, &sa, NULL);
	pid_t pid = disturb(SIGUSR1, NULL, 0);
	CALL(read(p[0], &c, 1));
	waitpid(pid, NULL, 0);
	say("signals %d", signals);
}

static void write_a_byte(long fd)
{
	MUST(write((int)fd, "z", 1));
}

TEST(pipe_read_restarts_with_sa_restart)
{
	int p[2];
	char c = 0;
	MUST(pipe(p));
	struct sigaction sa = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &sa, NULL);
	pid_t pid = disturb(SIGUSR1, write_a_byte, p[1]);
	CALL(read(p[0], &c, 1));
	waitpid(pid, NULL, 0);
	say("signals %d, byte %c", signals, c);
}

TEST(pipe_partial_write_reports_progress)
{
	int p[2];
	static char big[200000];
	MUST(pipe(p));
	struct sigaction sa = {.sa_handler = count_signal};
	sigaction(SIGUSR1, &sa, NULL);
	pid_t pid = disturb(SIGUSR1, NULL, 0);
	CALL(write(p[1], big, sizeof(big)));
	waitpid(pid, NULL, 0);
}

TEST(pipe_poll_events)
{
	int p[2];
	MUST(pipe(p));
	struct pollfd f[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
	CALL(poll(f, 2, 0));
	say("%#x %#x", f[0].revents, f[1].revents);
	MUST(write(p[1], "x", 1));
	CALL(poll(f, 2, 0));
	say("%#x %#x", f[0].revents, f[1].revents);
	close(p[1]);
	CALL(poll(f, 1, 0));
	say("%#x", f[0].revents);
	char c;
	CALL(read(p[0], &c, 1));
	CALL(poll(f, 1, 0));
	say("%#x", f[0].revents);
	MUST(pipe(p));
	close(p[0]);
	f[1].fd = p[1];
	CALL(poll(f + 1, 1, 0));
	say("%#x", f[1].revents);
}

TEST(pipe_splice_and_tee)
{
	int a[2], b[2];
	char buf[32] = "";
	MUST(pipe(a));
	MUST(pipe(b));
	int fd = make_file("splice", "hello splice world");
	loff_t off = 6;
	CALL(splice(fd, &off, a[1], NULL, 6, 0));
	say("offset %ld", (long)off);
	CALL(tee(a[0], b[1], 100, 0));
	CALL(read(a[0], buf, sizeof(buf)));
	say("%s", buf);
	memset(buf, 0, sizeof(buf));
	CALL(read(b[0], buf, sizeof(buf)));
	say("%s", buf);
	struct iovec v[2] = {{"one", 3}, {"two", 3}};
	CALL(vmsplice(a[1], v, 2, 0));
	int out = make_file("splice.out", "");
	CALL(splice(a[0], NULL, out, NULL, 100, 0));
	memset(buf, 0, sizeof(buf));
	CALL(pread(out, buf, sizeof(buf), 0));
	say("%s", buf);
	CALL(splice(fd, NULL, out, NULL, 4, 0));
	CALL(splice(a[0], NULL, b[1], NULL, 4, SPLICE_F_NONBLOCK));
}

static int fifo_writer(void *arg)
{
	(void)arg;
	int fd = open("fifo", O_WRONLY);
	return write(fd, "through the fifo", 16) == 16 ? 0 : 1;
}

TEST(fifo_open_waits_for_the_other_side)
{
	char buf[32] = "";
	struct stat st;
	CALL(mkfifo("fifo", 0600));
	CALL(mkfifo("fifo", 0600));
	MUST(stat("fifo", &st));
	say("mode %o", st.st_mode);
	CALL(open("fifo", O_WRONLY | O_NONBLOCK));
	int fd = MUST(open("fifo", O_RDONLY | O_NONBLOCK));
	CALL(read(fd, buf, 1));
	close(fd);
	pid_t pid = spawn(fifo_writer, NULL);
	fd = MUST(open("fifo", O_RDONLY));
	CALL(read(fd, buf, sizeof(buf)));
	say("%s", buf);
	reap("writer", pid);
	CALL(read(fd, buf, sizeof(buf)));
	close(fd);
	fd = MUST(open("fifo", O_RDWR));
	CALL(write(fd, "x", 1));
	CALL(read(fd, buf, 1));
	CALL(unlink("fifo"));
}

TEST(pipe_vectors)
{
	int p[2];
	char a[3] = "", b[5] = "";
	MUST(pipe(p));
	struct iovec w[3] = {{"12", 2}, {NULL, 0}, {"3456", 4}};
	CALL(writev(p[1], w, 3));
	struct iovec r[2] = {{a, 2}, {b, 4}};
	CALL(readv(p[0], r, 2));
	say("%s %s", a, b);
	CALL(writev(p[1], w, -1));
	CALL(writev(p[1], w, 1025));
	CALL(writev(p[1], NULL, 1));
	CALL(writev(p[1], w, 0));
	struct iovec huge[2] = {{a, 1}, {b, (size_t)-1}};
	CALL(readv(p[0], huge, 2));
}

TEST(pipe_fd_is_reported_as_a_fifo)
{
	int p[2];
	struct stat st;
	char link[64], path[32];
	MUST(pipe(p));
	MUST(fstat(p[0], &st));
	say("mode %o size %ld", st.st_mode, (long)st.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	long n = MUST(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	say("%.6s", link);
	int again = MUST(open(path, O_WRONLY | O_NONBLOCK));
	CALL(write(again, "y", 1));
	char c;
	CALL(read(p[0], &c, 1));
}

TEST(pipe_reopened_by_its_descriptor_does_not_wait)
{
	int p[2];
	char path[32], c;
	MUST(pipe(p));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	MUST(write(p[1], "x", 1));
	close(p[1]);
	/* A named pipe would wait for a writer here. */
	int fd = MUST(open(path, O_RDONLY));
	CALL(read(fd, &c, 1));
	CALL(read(fd, &c, 1));
}

TEST(pipes_substitute_for_processes)
{
	/* What a shell does for <(command): a child writes, another program opens /dev/fd/N. */
	int p[2], q[2], status;
	MUST(pipe(p));
	MUST(pipe(q));
	for (int i = 0; i < 2; i++)
		if (MUST(fork()) == 0) {
			MUST(write(i ? q[1] : p[1], "same\n", 5));
			_exit(0);
		}
	close(p[1]);
	close(q[1]);
	pid_t reader = MUST(fork());
	if (reader == 0) {
		char a[16] = "", b[16] = "", path[32];
		snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
		int x = MUST(open(path, O_RDONLY));
		snprintf(path, sizeof(path), "/dev/fd/%d", q[0]);
		int y = MUST(open(path, O_RDONLY));
		struct stat s, t;
		MUST(fstat(x, &s));
		MUST(fstat(y, &t));
		say("different files %d", s.st_ino != t.st_ino);
		CALL(read(x, a, sizeof(a)));
		CALL(read(y, b, sizeof(b)));
		CALL(read(x, a + 8, 1));
		say("equal %d", strcmp(a, b) == 0);
		_exit(0);
	}
	reap("reader", reader);
	while (wait(&status) > 0)
		;
}
