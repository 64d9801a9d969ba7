/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guest.h"

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_tcp(struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
	*a = loopback(0);
	MUST(bind(fd, (void *)a, sizeof(*a)));
	MUST(listen(fd, 8));
	MUST(getsockname(fd, (void *)a, &len));
	return fd;
}

TEST(stream_pair)
{
	int s[2];
	char buf[16] = "";
	CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CALL(send(s[0], "hello", 5, 0));
	CALL(recv(s[1], buf, 2, MSG_PEEK));
	CALL(recv(s[1], buf, 16, 0));
	say("%s", buf);
	CALL(recv(s[1], buf, 16, MSG_DONTWAIT));
	CALL(shutdown(s[0], SHUT_WR));
	CALL(read(s[1], buf, 1));
	CALL(write(s[1], "back", 4));
	CALL(read(s[0], buf, 16));
	signal(SIGPIPE, SIG_IGN);
	CALL(write(s[0], "x", 1));
	CALL(send(s[0], "x", 1, MSG_NOSIGNAL));
	close(s[1]);
	CALL(read(s[0], buf, 1));
	CALL(lseek(s[0], 0, SEEK_SET));
}

TEST(datagram_and_seqpacket_pairs)
{
	int s[2], types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
	char buf[16] = "";
	for (int i = 0; i < 2; i++) {
		CALL(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s));
		CALL(send(s[0], "one", 3, 0));
		CALL(send(s[0], "second", 6, 0));
		CALL(recv(s[1], buf, 2, 0));
		CALL(recv(s[1], buf, 3, MSG_TRUNC));
		CALL(recv(s[1], buf, 16, 0));
		CALL(fcntl(s[0], F_GETFD));
	}
}

TEST(tcp_on_loopback)
{
	struct sockaddr_in a, peer;
	socklen_t len = sizeof(peer);
	char buf[32] = "";
	int l = listen_tcp(&a);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		int c = MUST(socket(AF_INET, SOCK_STREAM, 0));
		MUST(connect(c, (void *)&a, sizeof(a)));
		MUST(send(c, "request", 7, 0));
		MUST(recv(c, buf, sizeof(buf), MSG_WAITALL));
		say("client %s", buf);
		_exit(0);
	}
	int s = MUST(accept4(l, (void *)&peer, &len, SOCK_CLOEXEC));
	say("peer %s family %d len %u", inet_ntoa(peer.sin_addr), peer.sin_family, len);
	CALL(recv(s, buf, sizeof(buf), 0));
	say("server %s", buf);
	CALL(send(s, "the response", 12, 0));
	CALL(getpeername(s, (void *)&peer, &len));
	MUST(shutdown(s, SHUT_RDWR));
	close(s);
	reap("client", pid);
	int fresh = MUST(socket(AF_INET, SOCK_STREAM, 0));
	close(l);
	CALL(connect(fresh, (void *)&a, sizeof(a)));
}

TEST(large_tcp_transfer)
{
	struct sockaddr_in a;
	int l = listen_tcp(&a);
	static char buf[65536];
	pid_t pid = MUST(fork());
	if (pid == 0) {
		int c = MUST(socket(AF_INET, SOCK_STREAM, 0));
		MUST(connect(c, (void *)&a, sizeof(a)));
		for (int i = 0; i < 160; i++) {
			memset(buf, i, sizeof(buf));
			for (size_t done = 0; done < sizeof(buf);)
				done += MUST(write(c, buf + done, sizeof(buf) - done));
		}
		_exit(0);
	}
	int s = MUST(accept(l, NULL, NULL));
	long total = 0, bad = 0, n;
	while ((n = read(s, buf, sizeof(buf))) > 0) {
		for (long i = 0; i < n; i += 997)
			bad += buf[i] != (char)((total + i) / 65536);
		total += n;
	}
	say("total %ld bad %ld", total, bad);
	reap("sender", pid);
}

TEST(nonblocking_connect)
{
	struct sockaddr_in a;
	int l = listen_tcp(&a), error = -1;
	socklen_t len = sizeof(error);
	int c = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	CALL(accept4(l, NULL, NULL, 0x100000));
	int r = connect(c, (void *)&a, sizeof(a));
	say("in progress or done %d", r == 0 || errno == EINPROGRESS);
	struct pollfd p = {c, POLLOUT, 0};
	CALL(poll(&p, 1, 60000));
	CALL(getsockopt(c, SOL_SOCKET, SO_ERROR, &error, &len));
	say("error %d", error);
	if (r != 0)
		r = connect(c, (void *)&a, sizeof(a));
	say("done %d", r);
	CALL(connect(c, (void *)&a, sizeof(a)));
	p = (struct pollfd){l, POLLIN, 0};
	CALL(poll(&p, 1, 60000));
	fcntl(l, F_SETFL, O_NONBLOCK);
	CALL(accept(l, NULL, NULL) >= 0);
	CALL(accept(l, NULL, NULL));
	char b;
	CALL(recv(c, &b, 1, 0));
}

TEST(udp_on_loopback)
{
	struct sockaddr_in a = loopback(0), from;
	socklen_t len = sizeof(a);
	char buf[16] = "";
	int r = MUST(socket(AF_INET, SOCK_DGRAM, 0)), s = MUST(socket(AF_INET, SOCK_DGRAM, 0));
	MUST(bind(r, (void *)&a, sizeof(a)));
	MUST(getsockname(r, (void *)&a, &len));
	CALL(sendto(s, "datagram", 8, 0, (void *)&a, sizeof(a)));
	len = sizeof(from);
	CALL(recvfrom(r, buf, sizeof(buf), 0, (void *)&from, &len));
	say("%s from %s", buf, inet_ntoa(from.sin_addr));
	CALL(send(s, "x", 1, 0));
	CALL(connect(s, (void *)&a, sizeof(a)));
	struct mmsghdr m[2];
	struct iovec v[2] = {{"first", 5}, {"second!", 7}};
	memset(m, 0, sizeof(m));
	for (int i = 0; i < 2; i++) {
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	CALL(sendmmsg(s, m, 2, 0));
	char b0[8], b1[8];
	struct iovec w[2] = {{b0, 8}, {b1, 4}};
	for (int i = 0; i < 2; i++)
		m[i].msg_hdr.msg_iov = &w[i];
	struct timespec ts = {60, 0};
	CALL(recvmmsg(r, m, 2, 0, &ts));
	say("%u %u truncated %d", m[0].msg_len, m[1].msg_len, m[1].msg_hdr.msg_flags & MSG_TRUNC);
	struct timeval tv = {0, 20000};
	CALL(setsockopt(r, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	CALL(recv(r, buf, 1, 0));
}

TEST(named_unix_sockets)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "sock"}, got;
	socklen_t len = sizeof(got);
	struct stat st;
	int l = MUST(socket(AF_UNIX, SOCK_STREAM, 0)), c = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	CALL(connect(c, (void *)&a, sizeof(a)));
	CALL(bind(l, (void *)&a, sizeof(a)));
	CALL(bind(c, (void *)&a, sizeof(a)));
	MUST(stat("sock", &st));
	say("mode %o", st.st_mode & S_IFMT);
	CALL(connect(c, (void *)&a, sizeof(a)));
	CALL(listen(l, 4));
	CALL(connect(c, (void *)&a, sizeof(a)));
	int s = MUST(accept(l, NULL, NULL));
	CALL(getsockname(l, (void *)&got, &len));
	say("%s", got.sun_path);
	struct ucred cred;
	len = sizeof(cred);
	CALL(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len));
	say("pid %d uid %d gid %d", cred.pid == getpid(), cred.uid, cred.gid);
	CALL(open("sock", O_RDWR));
	CALL(unlink("sock"));
	CALL(write(c, "x", 1));
	char b;
	CALL(read(s, &b, 1));
	struct sockaddr_un abs = {.sun_family = AF_UNIX, .sun_path = "\0nacre-test"};
	int n = MUST(socket(AF_UNIX, SOCK_DGRAM, 0)), m = MUST(socket(AF_UNIX, SOCK_DGRAM, 0));
	CALL(bind(n, (void *)&abs, sizeof(sa_family_t) + 11));
	CALL(sendto(m, "abstract", 8, 0, (void *)&abs, sizeof(sa_family_t) + 11));
	CALL(recv(n, &b, 1, MSG_TRUNC));
}

static void send_fd(int sock, int fd, const char *text)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec v = {(char *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	MUST(sendmsg(sock, &m, 0));
}

static int receive_fd(int sock, int flags, size_t space)
{
	char control[64] = {0}, text[16] = "";
	struct iovec v = {text, sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = space};
	long n = CALL(recvmsg(sock, &m, flags));
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	say("%.*s control %d flags %#x", (int)(n > 0 ? n : 0), text, c != NULL, m.msg_flags & ~MSG_CMSG_CLOEXEC);
	int fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

TEST(descriptors_travel)
{
	int s[2], p[2], epoll_like[2];
	char c = 0;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	MUST(pipe(p));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, epoll_like));
	int file = make_file("f", "file content");
	pid_t pid = MUST(fork());
	if (pid == 0) {
		close(p[0]);
		close(p[1]);
		close(file);
		int w = receive_fd(s[1], 0, 64);
		CALL(write(w, "P", 1));
		int f = receive_fd(s[1], MSG_CMSG_CLOEXEC, 64);
		char buf[8] = "";
		CALL(read(f, buf, 4));
		say("%s cloexec %d", buf, fcntl(f, F_GETFD));
		receive_fd(s[1], 0, 4);
		receive_fd(s[1], 0, 64);
		_exit(0);
	}
	close(s[1]);
	/* What comes with descriptors is not joined with what comes after it. */
	send_fd(s[0], p[1], "a pipe");
	MUST(read(p[0], &c, 1));
	send_fd(s[0], file, "a file");
	send_fd(s[0], file, "no room");
	send_fd(s[0], s[0], "itself");
	reap("receiver", pid);
	say("%c", c);
	CALL(lseek(file, 0, SEEK_CUR));
}

TEST(socket_options)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), v;
	socklen_t len = sizeof(v);
	static const struct {
		int level, name;
		const char *text;
	} opts[] = {{SOL_SOCKET, SO_TYPE, "SO_TYPE"},		    {SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"},
		    {SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"}, {SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN"},
		    {SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN"},	    {SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL"},
		    {IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"}, {SOL_SOCKET, 9999, "9999"}};
	for (size_t i = 0; i < ARRAY_SIZE(opts); i++) {
		len = sizeof(v);
		v = -1;
		int r = getsockopt(fd, opts[i].level, opts[i].name, &v, &len);
		say("%s: %d %d %s", opts[i].text, r, v, r ? error_name(errno) : "");
	}
	v = 1;
	CALL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)));
	CALL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &len));
	CALL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, 1));
	CALL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, (void *)8, 4));
	CALL(getsockopt(fd, SOL_SOCKET, SO_TYPE, &v, (void *)8));
	CALL(setsockopt(0, SOL_SOCKET, SO_REUSEADDR, &v, 4));
	CALL(socket(99, SOCK_STREAM, 0));
	CALL(socket(AF_INET, 99, 0));
	CALL(socket(AF_INET, SOCK_STREAM, 99));
	CALL(bind(fd, (void *)8, 16));
	CALL(bind(fd, (void *)&v, 2));
	CALL(connect(99, (void *)&v, 4));
	CALL(listen(0, 1));
	struct sockaddr_in a = loopback(80);
	CALL(sendto(fd, "x", 1, MSG_NOSIGNAL, (void *)&a, sizeof(a)));
	CALL(getpeername(fd, (void *)&a, &len));
	CALL(accept(fd, NULL, NULL));
	int n;
	CALL(ioctl(fd, FIONREAD, &n));
}

TEST(ipv6_loopback)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (fd == -1)
		say("no IPv6: %s", error_name(errno));
	else
		CALL(bind(fd, (void *)&a, sizeof(a)));
}

static void ignore_signal(int sig)
{
	(void)sig;
}

TEST(blocking_calls_are_interrupted)
{
	struct sockaddr_in a;
	int l = listen_tcp(&a), s[2];
	char c;
	struct sigaction sa = {.sa_handler = ignore_signal};
	sigaction(SIGALRM, &sa, NULL);
	pid_t helper = disturb(SIGALRM, NULL, 0);
	CALL(accept(l, NULL, NULL));
	waitpid(helper, NULL, 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	helper = disturb(SIGALRM, NULL, 0);
	CALL(recv(s[0], &c, 1, 0));
	waitpid(helper, NULL, 0);
	helper = disturb(SIGALRM, NULL, 0);
	struct msghdr m = {0};
	CALL(recvmsg(s[0], &m, 0));
	waitpid(helper, NULL, 0);
}

static void *accept_forever(void *arg)
{
	int l = *(int *)arg, fd;
	while ((fd = accept(l, NULL, NULL)) >= 0) {
		char buf[64];
		long n = read(fd, buf, sizeof(buf));
		if (n > 0)
			write(fd, buf, n);
		close(fd);
	}
	return NULL;
}

TEST(many_connections)
{
	struct sockaddr_in a;
	int l = listen_tcp(&a), good = 0;
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, accept_forever, &l);
	for (int i = 0; i < 200; i++) {
		int c = MUST(socket(AF_INET, SOCK_STREAM, 0));
		char buf[16] = "", text[16];
		snprintf(text, sizeof(text), "call %d", i);
		MUST(connect(c, (void *)&a, sizeof(a)));
		MUST(write(c, text, strlen(text)));
		if (read(c, buf, sizeof(buf)) > 0)
			good += strcmp(buf, text) == 0;
		close(c);
	}
	say("good %d", good);
}
