/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "oci/cleanup.h"

int console_open(struct console *c, uint16_t height, uint16_t width, struct oci_error *err)
{
	struct winsize size = {.ws_row = height, .ws_col = width};
	cleanup_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock))
		return oci_fail_errno(err, errno, "cannot open a pseudoterminal");
	if (ptsname_r(master, c->name, sizeof(c->name)))
		return oci_fail_errno(err, errno, "cannot name the pseudoterminal");
	c->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->slave < 0)
		return oci_fail_errno(err, errno, "cannot open %s", c->name);
	if (height && width)
		ioctl(master, TIOCSWINSZ, &size);
	c->master = steal_fd(&master);
	return 0;
}

int console_send(const struct console *c, const char *path, struct oci_error *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	cleanup_fd int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct iovec iov = {(char *)c->name, strlen(c->name)};
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control.room)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path) >= (int)sizeof(sa.sun_path))
		return oci_fail_errno(err, ENAMETOOLONG, "--console-socket %s", path);
	if (sock < 0 || connect(sock, (struct sockaddr *)&sa, sizeof(sa)))
		return oci_fail_errno(err, errno, "cannot connect to --console-socket %s", path);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &c->master, sizeof(int));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		return oci_fail_errno(err, errno, "cannot send the terminal to %s", path);
	return 0;
}

int console_relay_start(struct console_relay *r, int master, struct oci_error *err)
{
	struct termios raw;

	*r = (struct console_relay){.master = master, .tty = -1};
	if (!isatty(STDIN_FILENO))
		return 0;
	if (tcgetattr(STDIN_FILENO, &r->saved))
		return oci_fail_errno(err, errno, "cannot read the terminal's settings");
	raw = r->saved;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		return oci_fail_errno(err, errno, "cannot set the terminal to raw mode");
	r->tty = STDIN_FILENO;
	r->restore = true;
	console_relay_resize(r);
	return 0;
}

void console_relay_resize(struct console_relay *r)
{
	struct winsize size;

	if (r->tty >= 0 && !ioctl(r->tty, TIOCGWINSZ, &size))
		ioctl(r->master, TIOCSWINSZ, &size);
}

static bool write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = write(fd, buf, n);

		if (w < 0 && errno == EAGAIN) {
			struct pollfd p = {fd, POLLOUT, 0};

			poll(&p, 1, -1);
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		buf += w;
		n -= (size_t)w;
	}
	return true;
}

void console_relay_input(struct console_relay *r)
{
	char buf[4096];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		/* End of input reaches the terminal's reader as the EOF character. */
		struct termios t;
		char eof = 4;

		if (!tcgetattr(r->master, &t))
			eof = (char)t.c_cc[VEOF];
		write_all(r->master, &eof, 1);
		r->in_eof = true;
		return;
	}
	write_all(r->master, buf, (size_t)n);
}

void console_relay_output(struct console_relay *r)
{
	char buf[4096];
	ssize_t n = read(r->master, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* EIO: the last slave descriptor is closed (pty(7)). */
	if (n <= 0 || !write_all(STDOUT_FILENO, buf, (size_t)n))
		r->hung_up = true;
}

void console_relay_stop(struct console_relay *r)
{
	/* What the container wrote before it ended. */
	while (!r->hung_up) {
		struct pollfd p = {r->master, POLLIN, 0};

		if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLIN | POLLHUP)))
			break;
		console_relay_output(r);
	}
	if (r->restore)
		tcsetattr(r->tty, TCSANOW, &r->saved);
	close(r->master);
}
