/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

#include "guest.h"

static int set_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return fcntl(fd, cmd, &l);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* What a child is told about this range. */
static void show_lock(int fd, off_t start, off_t len)
{
	pid_t parent = getpid(), pid = MUST(fork());
	if (pid == 0) {
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
		MUST(fcntl(fd, F_GETLK, &l));
		say("[%ld+%ld]: type %d start %ld len %ld by parent %d", (long)start, (long)len, l.l_type,
		    (long)l.l_start, (long)l.l_len, l.l_type != F_UNLCK && l.l_pid == parent);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

TEST(record_locks_split_and_merge)
{
	int fd = make_file("f", "0123456789");
	CALL(set_lock(fd, F_SETLK, F_WRLCK, 0, 100));
	show_lock(fd, 0, 0);
	CALL(set_lock(fd, F_SETLK, F_UNLCK, 40, 20));
	show_lock(fd, 0, 0);
	show_lock(fd, 40, 20);
	show_lock(fd, 50, 0);
	CALL(set_lock(fd, F_SETLK, F_RDLCK, 10, 10));
	show_lock(fd, 10, 5);
	CALL(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	show_lock(fd, 1000, 1);
	CALL(set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	show_lock(fd, 0, 0);
	CALL(set_lock(fd, F_SETLK, 77, 0, 0));
	CALL(set_lock(fd, F_SETLK, F_WRLCK, -5, 10));
	int ro = MUST(open("f", O_RDONLY));
	CALL(set_lock(ro, F_SETLK, F_WRLCK, 0, 1));
	CALL(set_lock(ro, F_SETLK, F_RDLCK, 0, 1));
}

TEST(record_locks_conflict_between_processes)
{
	int fd = make_file("f", ""), p[2], gate[2];
	char c;
	MUST(pipe(p));
	MUST(pipe(gate));
	pid_t parent = getpid(), pid = MUST(fork());
	if (pid == 0) {
		MUST(set_lock(fd, F_SETLK, F_WRLCK, 0, 10));
		MUST(write(p[1], "x", 1));
		MUST(read(gate[0], &c, 1));
		wait_asleep(parent, parent);
		_exit(0);
	}
	MUST(read(p[0], &c, 1));
	CALL(set_lock(fd, F_SETLK, F_WRLCK, 5, 1));
	CALL(set_lock(fd, F_SETLK, F_RDLCK, 5, 1));
	CALL(set_lock(fd, F_SETLK, F_WRLCK, 10, 1));
	MUST(write(gate[1], "x", 1));
	CALL(set_lock(fd, F_SETLKW, F_WRLCK, 5, 1));
	reap("holder", pid);
}

TEST(record_locks_deadlock_is_found)
{
	int fd = make_file("f", ""), p[2], q[2];
	char c;
	MUST(pipe(p));
	MUST(pipe(q));
	MUST(set_lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(set_lock(fd, F_SETLK, F_WRLCK, 1, 1));
		MUST(write(p[1], "x", 1));
		_exit(set_lock(fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 1);
	}
	MUST(read(p[0], &c, 1));
	wait_asleep(pid, pid);
	CALL(set_lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	MUST(set_lock(fd, F_SETLK, F_UNLCK, 0, 1));
	reap("other", pid);
}

TEST(record_locks_go_with_any_close)
{
	int fd = make_file("f", "");
	MUST(set_lock(fd, F_SETLK, F_WRLCK, 0, 10));
	show_lock(fd, 0, 0);
	close(MUST(open("f", O_RDONLY)));
	show_lock(fd, 0, 0);
}

TEST(record_locks_are_interruptible)
{
	int fd = make_file("f", ""), p[2];
	char c;
	MUST(pipe(p));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(set_lock(fd, F_SETLK, F_WRLCK, 0, 10));
		MUST(write(p[1], "x", 1));
		pause();
	}
	MUST(read(p[0], &c, 1));
	struct sigaction sa = {.sa_handler = ignore_signal};
	sigaction(SIGALRM, &sa, NULL);
	pid_t helper = disturb(SIGALRM, NULL, 0);
	CALL(set_lock(fd, F_SETLKW, F_WRLCK, 0, 1));
	waitpid(helper, NULL, 0);
	kill(pid, SIGKILL);
	reap("holder", pid);
	CALL(set_lock(fd, F_SETLKW, F_WRLCK, 0, 1));
}

TEST(open_file_description_locks)
{
	close(make_file("f", ""));
	int a = MUST(open("f", O_RDWR)), b = MUST(open("f", O_RDWR));
	CALL(set_lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	CALL(set_lock(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	CALL(set_lock(b, F_OFD_SETLK, F_WRLCK, 10, 10));
	int d = dup(a);
	close(a);
	CALL(set_lock(b, F_OFD_SETLK, F_RDLCK, 0, 1));
	close(d);
	CALL(set_lock(b, F_OFD_SETLK, F_RDLCK, 0, 1));
}

TEST(flock_whole_files)
{
	close(make_file("f", ""));
	int a = MUST(open("f", O_RDONLY)), b = MUST(open("f", O_RDONLY));
	CALL(flock(a, LOCK_SH));
	CALL(flock(b, LOCK_SH | LOCK_NB));
	CALL(flock(b, LOCK_EX | LOCK_NB));
	CALL(flock(a, LOCK_UN));
	CALL(flock(b, LOCK_EX | LOCK_NB));
	CALL(flock(a, LOCK_SH | LOCK_NB));
	close(b);
	CALL(flock(a, LOCK_EX | LOCK_NB));
	CALL(flock(a, 99));
	CALL(flock(-1, LOCK_SH));
}

TEST(extended_attributes)
{
	char buf[64];
	int fd = make_file("f", "");
	CALL(setxattr("f", "user.one", "first", 5, 0));
	CALL(setxattr("f", "user.one", "1", 1, XATTR_CREATE));
	CALL(setxattr("f", "user.two", "2", 1, XATTR_REPLACE));
	CALL(fsetxattr(fd, "user.two", "second", 6, XATTR_CREATE));
	long n = CALL(getxattr("f", "user.one", buf, sizeof(buf)));
	say("%.*s", (int)n, buf);
	CALL(getxattr("f", "user.one", NULL, 0));
	CALL(getxattr("f", "user.one", buf, 2));
	CALL(getxattr("f", "user.none", buf, 2));
	CALL(fgetxattr(fd, "user.two", buf, sizeof(buf)));
	n = CALL(listxattr("f", buf, sizeof(buf)));
	int users = 0;
	for (long i = 0; i < n; i += strlen(buf + i) + 1)
		users += strncmp(buf + i, "user.", 5) == 0;
	say("user attributes %d", users);
	CALL(removexattr("f", "user.one"));
	CALL(removexattr("f", "user.one"));
	CALL(setxattr("f", "nonsense.x", "1", 1, 0));
	CALL(setxattr("f", "user.", "1", 1, 0));
	CALL(setxattr("missing", "user.x", "1", 1, 0));
	MUST(symlink("f", "l"));
	CALL(lsetxattr("l", "user.x", "1", 1, 0));
	CALL(lgetxattr("l", "user.two", buf, sizeof(buf)));
	CALL(getxattr("l", "user.two", buf, sizeof(buf)));
	CALL(fgetxattr(99, "user.two", buf, sizeof(buf)));
}

static void show_events(int fd)
{
	char buf[4096] __attribute__((aligned(8)));
	long n = read(fd, buf, sizeof(buf));
	if (n < 0)
		say("no events: %s", error_name(errno));
	for (long i = 0; i < n;) {
		struct inotify_event *e = (void *)(buf + i);
		say("wd %d mask %#x cookie %d name %s", e->wd, e->mask, e->cookie != 0, e->len ? e->name : "");
		i += sizeof(*e) + e->len;
	}
}

TEST(inotify_reports_changes)
{
	int fd = CALL(inotify_init1(IN_NONBLOCK));
	MUST(mkdir("watched", 0755));
	int wd = CALL(inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_CLOSE_WRITE));
	CALL(inotify_add_watch(fd, "missing", IN_CREATE));
	show_events(fd);
	int f = make_file("watched/a", "x");
	close(f);
	show_events(fd);
	MUST(rename("watched/a", "watched/b"));
	show_events(fd);
	MUST(unlink("watched/b"));
	MUST(mkdir("watched/sub", 0755));
	show_events(fd);
	CALL(inotify_rm_watch(fd, wd));
	show_events(fd);
	CALL(inotify_rm_watch(fd, wd));
}
