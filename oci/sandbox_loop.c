/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's main thread once the container is created: signals, control requests, the end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/control.h"
#include "oci/log.h"
#include "oci/sandbox.h"
#include "oci/sandbox_exec.h"
#include "oci/signals.h"
#include "oci/state.h"
#include "runtime/kernel.h"

struct loop {
	struct sandbox *s;
	struct kernel *k;
	int ended;	      /* eventfd: the container has ended */
	bool started, failed; /* failed: a hook wants no container */
	struct exec_list execs;
	struct control_reply reply; /* one request at a time */
};

/*
 * Signals from outside that are the container's: all but those the process itself may cause or the
 * kernel handles alone.
 */
static void forwarded(sigset_t *set)
{
	static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT,
				  SIGSYS,  SIGPIPE, SIGCHLD, SIGXCPU, SIGXFSZ, SIGPROF};

	sigemptyset(set);
	for (int sig = 1; sig < 32; sig++)
		sigaddset(set, sig);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

void sandbox_block_signals(void)
{
	sigset_t set;

	/* The creator's mask and dispositions are not ours. */
	for (int sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			oci_signal_set(sig, SIG_DFL);
	oci_signal_set(SIGPIPE, SIG_IGN);
	forwarded(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int start(struct loop *l)
{
	struct oci_error err;
	int r;

	if (l->started)
		return -EALREADY;
	r = sandbox_start_hooks(l->s, l->k, &err);
	if (r) {
		l->reply.len = (uint32_t)snprintf(l->reply.payload, sizeof(err.msg), "%s", err.msg);
		l->failed = true;
		return r;
	}
	kernel_start(l->k, l->ended);
	l->started = true;
	prctl(PR_SET_NAME, OCI_COMM);
	return 0;
}

/* What a signal would do to a process that handles none. */
static bool ends_by_default(int sig)
{
	return sig != SIGCHLD && sig != SIGURG && sig != SIGWINCH && sig != SIGCONT &&
	       sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU && sig != SIGSTOP;
}

static int deliver(struct loop *l, int sig, bool all)
{
	if (sig < 0 || sig > 64)
		return -EINVAL;
	if (!sig)
		return 0;
	if (!l->started) {
		if (ends_by_default(sig))
			oci_end_as(sig & 0x7f);
		return 0;
	}
	return kernel_signal(l->k, all ? -1 : 0, sig);
}

static void on_signal(struct loop *l, int sfd)
{
	struct signalfd_siginfo info;
	int sig;

	if (read(sfd, &info, sizeof(info)) != sizeof(info))
		return;
	sig = (int)info.ssi_signo;
	/*
	 * A terminal's interrupt goes to its foreground group, which the application kernel keeps; a
	 * window change too.
	 */
	if (info.ssi_code == SI_KERNEL && l->started && kernel_terminal_signal(l->k, 0, sig) == 0)
		return;
	deliver(l, sig, false);
}

static void on_control(struct loop *l)
{
	struct control_request req;
	int fds[CONTROL_MAX_FDS], nfds = 0;
	int conn = control_accept(l->s->listener, l->s->owner, &req, fds, &nfds);
	size_t n;

	if (conn < 0)
		return;
	l->reply.len = 0;
	l->reply.result = 0;
	if (req.op == CONTROL_EXEC) {
		sandbox_exec_start(&l->execs, conn, &req, fds, nfds, &l->reply);
		return;
	}
	while (nfds)
		close(fds[--nfds]);
	switch (req.op) {
	case CONTROL_START:
		l->reply.result = start(l);
		break;
	case CONTROL_SIGNAL:
		l->reply.result = deliver(l, req.arg, req.flags & CONTROL_ALL);
		break;
	case CONTROL_STATS:
		n = kernel_stats_json(l->k, l->reply.payload, CONTROL_PAYLOAD_MAX);
		l->reply.len = (uint32_t)n;
		if (n >= CONTROL_PAYLOAD_MAX) {
			l->reply.len = 0;
			l->reply.result = -EMSGSIZE;
		}
		break;
	case CONTROL_PS:
		l->reply.len = (uint32_t)kernel_processes_json(l->k, l->reply.payload,
							       CONTROL_PAYLOAD_MAX);
		break;
	case CONTROL_PIDS_MAX:
		kernel_set_pids_max(l->k, req.arg > 0 ? (unsigned)req.arg : 0);
		break;
	default:
		l->reply.result = -EOPNOTSUPP;
	}
	control_answer(conn, &l->reply);
	close(conn);
	if (l->failed)
		_exit(1);
}

/* The counters of the whole run, as `events --stats` shows them. */
static void write_stats(struct loop *l)
{
	size_t n;

	if (l->s->stats_fd < 0)
		return;
	n = kernel_stats_json(l->k, l->reply.payload, CONTROL_PAYLOAD_MAX);
	if (n >= CONTROL_PAYLOAD_MAX || dprintf(l->s->stats_fd, "%s\n", l->reply.payload) < 0)
		log_warning("the counters could not be written");
}

/* Wait once and do what there is to do. False when the container has ended. */
static bool serve(struct loop *l, int sfd, struct pollfd *p)
{
	p[0] = (struct pollfd){l->ended, POLLIN, 0};
	p[1] = (struct pollfd){sfd, POLLIN, 0};
	p[2] = (struct pollfd){l->s->listener, POLLIN, 0};
	sandbox_exec_poll(&l->execs, p + 3);
	if (poll(p, 4 + l->execs.n, -1) < 0) {
		if (errno != EINTR)
			_exit(1);
		return true;
	}
	if (p[0].revents)
		return false;
	sandbox_exec_work(&l->execs, p + 3);
	if (p[1].revents)
		on_signal(l, sfd);
	if (p[2].revents)
		on_control(l);
	return true;
}

void sandbox_loop(struct sandbox *s, struct kernel *k)
{
	struct loop *l = calloc(1, sizeof(*l));
	struct pollfd *p = NULL;
	size_t room = 0;
	sigset_t set;
	int sfd;

	forwarded(&set);
	sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!l || sfd < 0 || sandbox_exec_init(&l->execs, s, k))
		_exit(1);
	l->s = s;
	l->k = k;
	l->ended = eventfd(0, EFD_CLOEXEC);
	if (l->ended < 0)
		_exit(1);
	do {
		if (room < 4 + l->execs.n) {
			room = 16 + 2 * l->execs.n;
			free(p);
			p = calloc(room, sizeof(*p));
			if (!p)
				_exit(1);
		}
	} while (serve(l, sfd, p));
	sandbox_exec_finish(&l->execs);
	write_stats(l);
	oci_end_as(kernel_status(l->k));
}
