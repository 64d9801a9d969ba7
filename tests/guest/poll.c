/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "guest.h"

static void ignore_signal(int sig)
{
	(void)sig;
}

TEST(eventfd_counts)
{
	uint64_t v = 5;
	int fd = CALL(eventfd(3, EFD_NONBLOCK));
	CALL(write(fd, &v, 8));
	CALL(read(fd, &v, 8));
	say("value %ld", (long)v);
	CALL(read(fd, &v, 8));
	CALL(read(fd, &v, 7));
	v = UINT64_MAX;
	CALL(write(fd, &v, 8));
	v = UINT64_MAX - 1;
	CALL(write(fd, &v, 8));
	v = 1;
	CALL(write(fd, &v, 8));
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	CALL(poll(&p, 1, 0));
	say("%#x", p.revents);
	int s = MUST(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
	CALL(read(s, &v, 8));
	CALL(read(s, &v, 8));
	CALL(read(s, &v, 8));
	CALL(eventfd(0, 0x1234567));
}

TEST(epoll_levels_and_edges)
{
	int p[2], ep = CALL(epoll_create1(EPOLL_CLOEXEC));
	struct epoll_event ev = {EPOLLIN, {.u32 = 7}}, out[4];
	MUST(pipe2(p, O_NONBLOCK));
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	CALL(epoll_wait(ep, out, 4, 0));
	write(p[1], "abc", 3);
	CALL(epoll_wait(ep, out, 4, 0));
	say("events %#x data %u", out[0].events, out[0].data.u32);
	CALL(epoll_wait(ep, out, 4, 0));
	ev.events = EPOLLIN | EPOLLET;
	CALL(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	CALL(epoll_wait(ep, out, 4, 0));
	CALL(epoll_wait(ep, out, 4, 0));
	write(p[1], "d", 1);
	CALL(epoll_wait(ep, out, 4, 0));
	CALL(epoll_wait(ep, out, 4, 10));
	ev.events = EPOLLIN | EPOLLONESHOT;
	CALL(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	CALL(epoll_wait(ep, out, 4, 0));
	CALL(epoll_wait(ep, out, 4, 0));
	CALL(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	CALL(epoll_wait(ep, out, 4, 0));
	CALL(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	CALL(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	CALL(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev));
	ev.events = EPOLLIN;
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	close(p[1]);
	CALL(epoll_wait(ep, out, 4, 0));
	say("events %#x", out[0].events);
	close(p[0]);
	CALL(epoll_wait(ep, out, 4, 0));
}

TEST(epoll_errors)
{
	int ep = MUST(epoll_create1(0)), fd = make_file("f", "x");
	struct epoll_event ev = {EPOLLIN, {.u32 = 1}}, out[1];
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, 99, &ev));
	CALL(epoll_ctl(99, EPOLL_CTL_ADD, fd, &ev));
	CALL(epoll_ctl(fd, EPOLL_CTL_ADD, ep, &ev));
	CALL(epoll_ctl(ep, 9, fd, &ev));
	CALL(epoll_wait(ep, out, 0, 0));
	CALL(epoll_wait(ep, out, -1, 0));
	CALL(epoll_wait(fd, out, 1, 0));
	CALL(epoll_create(0));
	CALL(epoll_create1(77));
	int inner = MUST(epoll_create1(0));
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, inner, &ev));
	CALL(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &ev));
	int p[2];
	MUST(pipe(p));
	CALL(epoll_ctl(inner, EPOLL_CTL_ADD, p[0], &ev));
	CALL(epoll_wait(ep, out, 1, 0));
	write(p[1], "x", 1);
	CALL(epoll_wait(ep, out, 1, 0));
}

static void *write_later(void *arg)
{
	wait_asleep(getpid(), getpid());
	write(*(int *)arg, "x", 1);
	return NULL;
}

TEST(epoll_wakes_a_waiter)
{
	int p[2], ep = MUST(epoll_create1(0));
	struct epoll_event ev = {EPOLLIN, {.u32 = 1}}, out[1];
	pthread_t t;
	MUST(pipe(p));
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	pthread_create(&t, NULL, write_later, &p[1]);
	CALL(epoll_wait(ep, out, 1, 60000));
	pthread_join(t, NULL);
	struct sigaction sa = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	char c;
	read(p[0], &c, 1);
	pid_t helper = disturb(SIGALRM, NULL, 0);
	CALL(epoll_wait(ep, out, 1, 60000));
	waitpid(helper, NULL, 0);
}

TEST(poll_and_ppoll)
{
	int p[2];
	MUST(pipe(p));
	struct pollfd f[3] = {{p[0], POLLIN, 0}, {-1, POLLIN, 9}, {99, POLLIN, 0}};
	CALL(poll(f, 2, 10));
	CALL(poll(f, 3, 10));
	say("%#x %#x %#x", f[0].revents, f[1].revents, f[2].revents);
	CALL(poll((void *)8, 1, 0));
	CALL(poll(NULL, 0, 10));
	struct timespec ts = {0, 10000000}, bad = {0, -1};
	CALL(ppoll(f, 1, &ts, NULL));
	CALL(ppoll(f, 1, &bad, NULL));
	struct sigaction sa = {.sa_handler = ignore_signal};
	sigaction(SIGUSR1, &sa, NULL);
	sigset_t s, old;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, &old);
	raise(SIGUSR1);
	CALL(ppoll(f, 1, &ts, &old));
	CALL(ppoll(f, 1, &ts, &old));
	int fd = make_file("f", "x");
	f[0] = (struct pollfd){fd, POLLIN | POLLOUT | POLLPRI, 0};
	CALL(poll(f, 1, 0));
	say("%#x", f[0].revents);
}

TEST(select_and_pselect)
{
	int p[2];
	fd_set r, w;
	MUST(pipe(p));
	struct timeval tv = {0, 10000};
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	CALL(select(p[1] + 1, &r, &w, NULL, &tv));
	say("%d %d", FD_ISSET(p[0], &r), FD_ISSET(p[1], &w));
	write(p[1], "x", 1);
	FD_SET(p[0], &r);
	CALL(select(p[1] + 1, &r, &w, NULL, NULL));
	tv = (struct timeval){0, 20000};
	CALL(select(0, NULL, NULL, NULL, &tv));
	say("left %ld", (long)tv.tv_usec);
	FD_ZERO(&r);
	FD_SET(50, &r);
	CALL(select(51, &r, NULL, NULL, &tv));
	CALL(select(-1, NULL, NULL, NULL, &tv));
	tv.tv_sec = -1;
	CALL(select(0, NULL, NULL, NULL, &tv));
	struct timespec ts = {0, 1000000};
	CALL(pselect(0, NULL, NULL, NULL, &ts, NULL));
}

TEST(signalfd_reads_pending_signals)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGCHLD);
	sigprocmask(SIG_BLOCK, &s, NULL);
	int fd = CALL(signalfd(-1, &s, SFD_NONBLOCK));
	struct signalfd_siginfo si[4];
	CALL(read(fd, si, sizeof(si)));
	union sigval v = {.sival_int = 99};
	sigqueue(getpid(), SIGUSR1, v);
	struct pollfd p = {fd, POLLIN, 0};
	CALL(poll(&p, 1, 0));
	CALL(read(fd, si, sizeof(si)) == sizeof(si[0]));
	say("signo %u code %d self %d int %d", si[0].ssi_signo, si[0].ssi_code, (int)si[0].ssi_pid == getpid(),
	    si[0].ssi_int);
	CALL(read(fd, si, 10));
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(4);
	p.revents = 0;
	CALL(poll(&p, 1, 60000));
	CALL(read(fd, si, sizeof(si[0])) == sizeof(si[0]));
	say("signo %u pid %d status %d", si[0].ssi_signo, (int)si[0].ssi_pid == pid, si[0].ssi_status);
	waitpid(pid, NULL, 0);
	sigemptyset(&s);
	CALL(signalfd(fd, &s, 0) == fd);
	raise(SIGUSR1);
	CALL(poll(&p, 1, 0));
	CALL(signalfd(0, &s, 0));
	CALL(signalfd(-1, &s, 0x1234567));
}

TEST(edge_triggered_socket)
{
	int s[2], ep = MUST(epoll_create1(0));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.u32 = 1}}, out[2];
	CALL(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &ev));
	CALL(epoll_wait(ep, out, 2, 0));
	say("%#x", out[0].events);
	CALL(epoll_wait(ep, out, 2, 0));
	write(s[1], "hello", 5);
	CALL(epoll_wait(ep, out, 2, 60000));
	say("%#x", out[0].events);
	shutdown(s[1], SHUT_WR);
	CALL(epoll_wait(ep, out, 2, 60000));
	say("%#x", out[0].events);
	close(s[1]);
	CALL(epoll_wait(ep, out, 2, 60000));
	say("%#x", out[0].events);
}
