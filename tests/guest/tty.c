/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "guest.h"

static int master, slave;

static void open_pty(void)
{
	int n, unlock = 0;
	char name[32];
	master = MUST(open("/dev/ptmx", O_RDWR | O_NOCTTY));
	MUST(ioctl(master, TIOCGPTN, &n));
	MUST(ioctl(master, TIOCSPTLCK, &unlock));
	snprintf(name, sizeof(name), "/dev/pts/%d", n);
	slave = MUST(open(name, O_RDWR | O_NOCTTY));
}

enum { NOTHING = -1 };

/*
 * What comes out of a descriptor, with control characters made visible: as many bytes as are due, however
 * long the terminal takes to bring them; 0: an end of file; NOTHING.
 */
static void show(const char *what, int fd, long due)
{
	char buf[512], text[1200] = "";
	struct pollfd p = {fd, POLLIN, 0};
	long n = 0, more = 0;
	if (due == NOTHING)
		sleep_ms(50);
	do {
		if (poll(&p, 1, due == NOTHING ? 0 : 60000) != 1)
			break;
		more = read(fd, buf + n, sizeof(buf) - (size_t)n);
		n += more > 0 ? more : 0;
	} while (more > 0 && n < due);
	for (long i = 0; i < n; i++)
		if (buf[i] < 32 || buf[i] > 126)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "\\%o", (unsigned char)buf[i]);
		else
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%c", buf[i]);
	if (more < 0)
		say("%s: %s", what, error_name(errno));
	else if (due == NOTHING && n == 0)
		say("%s: nothing", what);
	else
		say("%s: %ld \"%s\"", what, n, text);
}

static void type(const char *keys)
{
	MUST(write(master, keys, strlen(keys)));
}

TEST(canonical_lines_and_echo)
{
	open_pty();
	type("hello");
	show("slave", slave, NOTHING);
	show("echo", master, 5);
	type(" world\r");
	show("slave", slave, 12);
	show("echo", master, 8);
	type("one\ntwo\n");
	show("slave", slave, 4);
	show("slave", slave, 4);
	show("echo", master, 10);
}

TEST(line_editing)
{
	open_pty();
	type("abc\177\177XY\r");
	show("erase", slave, 4);
	show("echo", master, 13);
	type("some words here\027gone\r");
	show("word erase", slave, 16);
	show("echo", master, 33);
	type("to be killed\025kept\r");
	show("kill", slave, 5);
	show("echo", master, 54);
	type("a\026\003b\r");
	show("literal", slave, 4);
	show("echo", master, 8);
	type("\004");
	show("end of file", slave, 0);
	type("part\004");
	show("pushed", slave, 4);
}

TEST(output_processing)
{
	open_pty();
	MUST(write(slave, "line\nnext\ttab\r\n", 15));
	show("master", master, 17);
	struct termios t;
	MUST(tcgetattr(slave, &t));
	t.c_oflag &= ~OPOST;
	MUST(tcsetattr(slave, TCSANOW, &t));
	MUST(write(slave, "line\n", 5));
	show("raw", master, 5);
	t.c_oflag |= OPOST | OLCUC;
	MUST(tcsetattr(slave, TCSADRAIN, &t));
	MUST(write(slave, "line\n", 5));
	show("upper", master, 6);
}

TEST(raw_mode)
{
	struct termios t;
	open_pty();
	MUST(tcgetattr(slave, &t));
	say("iflag %o oflag %o cflag %o lflag %o", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
	say("intr %d quit %d erase %d kill %d eof %d time %d min %d start %d stop %d susp %d", t.c_cc[VINTR], t.c_cc[VQUIT],
	    t.c_cc[VERASE], t.c_cc[VKILL], t.c_cc[VEOF], t.c_cc[VTIME], t.c_cc[VMIN], t.c_cc[VSTART], t.c_cc[VSTOP],
	    t.c_cc[VSUSP]);
	cfmakeraw(&t);
	CALL(tcsetattr(slave, TCSAFLUSH, &t));
	type("x\r\003\004");
	show("raw", slave, 4);
	show("echo", master, NOTHING);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	CALL(tcsetattr(slave, TCSANOW, &t));
	char c;
	CALL(read(slave, &c, 1));
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	CALL(tcsetattr(slave, TCSANOW, &t));
	type("abcd");
	char buf[8];
	int n;
	do
		MUST(ioctl(slave, FIONREAD, &n));
	while (n < 4);
	CALL(read(slave, buf, 8));
}

TEST(window_size_and_queries)
{
	struct winsize w = {40, 100, 0, 0}, got;
	int n;
	open_pty();
	CALL(ioctl(slave, TIOCGWINSZ, &got));
	say("%d x %d", got.ws_row, got.ws_col);
	CALL(ioctl(master, TIOCSWINSZ, &w));
	CALL(ioctl(slave, TIOCGWINSZ, &got));
	say("%d x %d", got.ws_row, got.ws_col);
	CALL(isatty(slave));
	CALL(isatty(master));
	int p[2];
	MUST(pipe(p));
	CALL(isatty(p[0]));
	CALL(ioctl(p[0], TIOCGWINSZ, &got));
	type("abc\r");
	do
		MUST(ioctl(slave, FIONREAD, &n));
	while (n < 4);
	say("waiting %d", n);
	CALL(tcflush(slave, TCIFLUSH));
	show("flushed", slave, NOTHING);
	struct stat st;
	MUST(fstat(slave, &st));
	say("mode %o major %d", st.st_mode & S_IFMT, (int)(st.st_rdev >> 8));
	CALL(tcgetsid(slave));
	CALL(tcgetpgrp(slave));
}

TEST(hang_up)
{
	char c;
	open_pty();
	close(slave);
	struct pollfd p = {master, POLLIN, 0};
	CALL(poll(&p, 1, 0));
	say("%#x", p.revents);
	CALL(read(master, &c, 1));
	open_pty();
	close(master);
	CALL(read(slave, &c, 1));
	CALL(write(slave, "x", 1));
	p.fd = slave;
	CALL(poll(&p, 1, 0));
	say("%#x", p.revents);
}

static volatile sig_atomic_t got;
static void note(int sig)
{
	got = sig;
}

static void session(void (*fn)(int), int arg)
{
	open_pty();
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(setsid());
		MUST(ioctl(slave, TIOCSCTTY, 0));
		fn(arg);
		_exit(0);
	}
	reap("session", pid);
}

static void keys_signal(int arg)
{
	static const struct {
		const char *key;
		int sig;
	} keys[] = {{"\003", SIGINT}, {"\034", SIGQUIT}, {"\032", SIGTSTP}};
	(void)arg;
	CALL(tcgetpgrp(slave) == getpid());
	CALL(tcgetsid(slave) == getpid());
	for (int i = 0; i < 3; i++) {
		signal(keys[i].sig, note);
		got = 0;
		type(keys[i].key);
		while (!got)
			sleep_ms(1);
		say("signal %d", got);
	}
	show("echo", master, 6);
	struct winsize w = {10, 20, 0, 0};
	signal(SIGWINCH, note);
	MUST(ioctl(master, TIOCSWINSZ, &w));
	while (got != SIGWINCH)
		sleep_ms(1);
	say("signal %d", got);
	int fd = CALL(open("/dev/tty", O_RDWR)) >= 0;
	say("controlling terminal %d", fd);
}

TEST(keys_become_signals)
{
	session(keys_signal, 0);
}

static void background(int arg)
{
	int status;
	(void)arg;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		char c;
		setpgid(0, 0);
		read(slave, &c, 1);
		_exit(3);
	}
	MUST(waitpid(pid, &status, WUNTRACED));
	describe_status("reader", status);
	CALL(tcsetpgrp(slave, pid));
	type("x\r");
	CALL(kill(pid, SIGCONT));
	MUST(waitpid(pid, &status, WUNTRACED));
	describe_status("reader", status);
	signal(SIGTTOU, SIG_IGN);
	CALL(tcsetpgrp(slave, getpid()));
	pid = MUST(fork());
	if (pid == 0) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_DFL);
		struct termios t;
		tcgetattr(slave, &t);
		tcsetattr(slave, TCSANOW, &t);
		_exit(4);
	}
	MUST(waitpid(pid, &status, WUNTRACED));
	describe_status("setter", status);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	signal(SIGTTIN, SIG_IGN);
	pid = MUST(fork());
	if (pid == 0) {
		char c;
		setpgid(0, 0);
		CALL(read(slave, &c, 1));
		_exit(0);
	}
	reap("ignoring reader", pid);
}

TEST(background_processes_stop)
{
	session(background, 0);
}

static void leave(int arg)
{
	signal(SIGHUP, note);
	(void)arg;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		while (!got)
			sleep_ms(1);
		_exit(got);
	}
	CALL(ioctl(slave, TIOCNOTTY));
	say("leader got %d", got);
	reap("group member", pid);
	CALL(open("/dev/tty", O_RDWR));
}

TEST(giving_up_the_terminal_hangs_up)
{
	session(leave, 0);
}

static void wait_until_writable(bool wanted)
{
	struct pollfd p = {slave, POLLOUT, 0};
	while ((poll(&p, 1, 0) == 1) != wanted)
		sleep_ms(1);
}

TEST(flow_control)
{
	open_pty();
	type("\023");
	wait_until_writable(false);
	CALL(fcntl(slave, F_SETFL, O_NONBLOCK));
	CALL(write(slave, "held", 4));
	show("stopped", master, NOTHING);
	type("\021");
	wait_until_writable(true);
	write(slave, "!", 1);
	show("started", master, 1);
}
