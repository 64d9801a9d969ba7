/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/caps.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/control.h"
#include "oci/log.h"
#include "oci/lsm.h"
#include "oci/sandbox.h"
#include "oci/signals.h"

#define OCI_COMM_EXEC "nacre:exec"

struct stand_in {
	const struct exec_request *req;
	int process; /* file with the process as JSON */
	int pidfd;   /* the sandbox */
	int sync;    /* to the command */
	int null;    /* the host's: the container's may not be there */
	int conn;
	int signals;
};

/* All that a signal can be passed on for. */
static void take_signals(struct stand_in *s)
{
	static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
				  SIGTRAP, SIGABRT, SIGSYS, SIGPIPE};
	sigset_t set;

	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			oci_signal_set(sig, SIG_DFL);
	oci_signal_set(SIGPIPE, SIG_IGN);
	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_SETMASK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * A user namespace was entered before, where that was needed for the right to enter the others. Those
 * that are not of it are the host's, and ours already.
 */
static int enter(const struct stand_in *s, struct oci_error *err)
{
	static const int each[] = {CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP,
				   CLONE_NEWNS};
	int all = 0;

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		all |= each[i];
	if (!setns(s->pidfd, all))
		return 0;
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (setns(s->pidfd, each[i]) && errno != EPERM)
			return oci_fail_errno(err, errno,
					      "cannot enter the container's namespaces");
	return 0;
}

static int ask(struct stand_in *s, struct oci_error *err)
{
	struct control_request ctl = {CONTROL_MAGIC, CONTROL_EXEC, s->req->preserve_fds, 0};
	cleanup_free struct control_reply *reply = malloc(sizeof(*reply));
	struct timeval forever = {0};
	int fds[CONTROL_MAX_FDS], n = 0, r;

	if (!reply)
		return oci_fail_errno(err, ENOMEM, "exec");
	fds[n++] = s->process;
	for (int i = 0; i < 3; i++) {
		int fd = s->req->slave >= 0 ? s->req->slave : i;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		ctl.flags |= CONTROL_STDIN << i;
		fds[n++] = fd;
	}
	for (int i = 0; i < s->req->preserve_fds; i++)
		fds[n++] = 3 + i;
	r = control_send(s->conn, &ctl, fds, n);
	if (r)
		return oci_fail_errno(err, -r, "cannot ask the container's sandbox");
	r = control_reply(s->conn, reply, err);
	setsockopt(s->conn, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	return r < 0 ? r : 0;
}

static int set_up(struct stand_in *s, struct oci_error *err)
{
	char byte;
	int r;

	prctl(PR_SET_NAME, OCI_COMM_EXEC);
	take_signals(s);
	if (s->signals < 0)
		return oci_fail_errno(err, errno, "signalfd");
	if (setsid() < 0)
		return oci_fail_errno(err, errno, "setsid");
	if (s->req->slave >= 0 && ioctl(s->req->slave, TIOCSCTTY, 0))
		return oci_fail_errno(err, errno, "cannot take the process's terminal");
	s->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->null < 0)
		return oci_fail_errno(err, errno, "cannot open /dev/null");
	s->conn = control_connect(s->req->box->dir, err);
	if (s->conn < 0)
		return s->conn;
	/* The labels while the host's /proc is there. */
	if ((r = oci_cgroup_attach(&s->req->box->state, 0, err)) ||
	    (r = lsm_apply(s->req->process->apparmor, s->req->process->selinux, err)) ||
	    (r = enter(s, err)))
		return r;
	/* The groups may have been frozen for long: is anybody still waiting? */
	if (recv(s->sync, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		_exit(1);
	return ask(s, err);
}

/* The process's descriptors are its own from now on: nobody waits for ours to close. */
static void let_go(struct stand_in *s)
{
	int first = s->conn < s->signals ? s->conn : s->signals;
	int second = s->conn < s->signals ? s->signals : s->conn;

	for (int i = 0; i < 3; i++)
		dup2(s->null, i);
	log_set_fd(-1);
	if (first > 3)
		close_range(3, (unsigned)first - 1, 0);
	if (second > first + 1)
		close_range((unsigned)first + 1, (unsigned)second - 1, 0);
	close_range((unsigned)second + 1, ~0u, 0);
}

static void pass_on(struct stand_in *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		struct control_signal m = {.sig = (int32_t)info.ssi_signo,
					   .terminal = info.ssi_code == SI_KERNEL};

		if (info.ssi_signo != SIGCHLD || info.ssi_code == SI_USER)
			send(s->conn, &m, sizeof(m), MSG_NOSIGNAL);
	}
}

/* Until the process ended; its wait status. */
static int stand(struct stand_in *s)
{
	struct control_exit m;

	for (;;) {
		struct pollfd p[2] = {{s->conn, POLLIN, 0}, {s->signals, POLLIN, 0}};
		ssize_t n;

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return SIGKILL;
		if (p[1].revents)
			pass_on(s);
		if (!p[0].revents)
			continue;
		n = recv(s->conn, &m, sizeof(m), MSG_DONTWAIT);
		if (n == sizeof(m))
			return m.status;
		/* The container ended, and the process with it. */
		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return SIGKILL;
	}
}

static void child(struct stand_in *s) __attribute__((noreturn));
static void child(struct stand_in *s)
{
	const struct rlimit no_core = {0, 0};
	struct oci_error err = {0};
	int status;

	if (set_up(s, &err)) {
		sync_send(s->sync, SYNC_ERROR, &err);
		_exit(1);
	}
	if (sync_send(s->sync, SYNC_READY, NULL))
		_exit(1);
	let_go(s);
	oci_caps_drop_all();
	/* Dying as the process did must not leave a core of ours. */
	setrlimit(RLIMIT_CORE, &no_core);
	status = stand(s);
	oci_end_as(status);
}

/*
 * An ordinary user has rights over the container's namespaces only inside its user namespace, which
 * nobody leaves again: a go-between enters it, makes the process a child of this command, and ends.
 * Returns in the command, with the pid, and as the process, with 0.
 */
static pid_t fork_by_go_between(struct stand_in *s, struct oci_error *err)
{
	pid_t between, pid = -EPERM;
	int answer[2];

	if (pipe2(answer, O_CLOEXEC))
		return oci_fail_errno(err, errno, "pipe");
	between = fork();
	if (!between) {
		/* Without a pid namespace of its own the container is in ours. */
		pid = setns(s->pidfd, CLONE_NEWUSER) ||
				      (setns(s->pidfd, CLONE_NEWPID) && errno != EPERM)
			      ? -1
			      : (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL,
					       NULL);
		if (!pid) {
			/* Its owner is to see in /proc where it is. */
			prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
			return 0;
		}
		pid = pid < 0 ? -errno : pid;
		_exit(write(answer[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	close(answer[1]);
	if (between < 0 || read(answer[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -EPERM;
	close(answer[0]);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	return pid < 0 ? oci_fail_errno(err, -pid, "cannot enter the container's namespaces") : pid;
}

/* The pid namespace is the one that counts for children only: a process cannot move itself. */
static pid_t fork_inside(struct stand_in *s, struct oci_error *err)
{
	cleanup_fd int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t pid;

	fflush(NULL);
	if (setns(s->pidfd, CLONE_NEWPID))
		return errno == EPERM
			       ? fork_by_go_between(s, err)
			       : oci_fail_errno(err, errno,
						"cannot enter the container's pid namespace");
	pid = fork();
	if (pid < 0)
		return oci_fail_errno(err, errno, "cannot make a process in the container");
	/* What else this command may start is no business of the container's. */
	if (pid && own >= 0)
		setns(own, CLONE_NEWPID);
	return pid;
}

static int write_process(const struct oci_process *p, struct oci_error *err)
{
	cleanup_fd int fd = memfd_create("process", MFD_CLOEXEC);
	cleanup_buf struct buf b = {0};

	oci_process_json(&b, p);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "exec");
	if (fd < 0 || write(fd, b.s, b.len) != (ssize_t)b.len)
		return oci_fail_errno(err, errno, "cannot write the process description");
	return steal_fd(&fd);
}

pid_t exec_start(const struct exec_request *req, struct oci_error *err)
{
	cleanup_fd int process = write_process(req->process, err);
	cleanup_fd int pidfd = -1, ours = -1, theirs = -1;
	struct stand_in s = {.req = req, .process = process, .null = -1, .conn = -1, .signals = -1};
	int pair[2], r;
	pid_t pid;

	if (process < 0)
		return process;
	pidfd = oci_state_pidfd(&req->box->state);
	if (pidfd < 0)
		return oci_fail(err, ESRCH, "cannot exec in a stopped container");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return oci_fail_errno(err, errno, "socketpair");
	ours = pair[0];
	s.sync = theirs = pair[1];
	s.pidfd = pidfd;
	pid = fork_inside(&s, err);
	if (pid < 0)
		return pid;
	if (!pid) {
		close(ours);
		child(&s);
	}
	close(steal_fd(&theirs));
	r = sync_expect(ours, SYNC_READY, err);
	if (!r)
		return pid;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
