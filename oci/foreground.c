/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/foreground.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int foreground_signals(struct oci_error *err)
{
	/* Not passed on: ours, or the terminal's doing. */
	static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP, SIGABRT,
				  SIGSYS,  SIGPIPE, SIGPROF, SIGURG, SIGTTIN, SIGTTOU};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (int sig = 1; sig < 32; sig++)
		sigaddset(&set, sig);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? oci_fail_errno(err, errno, "signalfd") : fd;
}

/* True when the process ended, with its wait status. */
static bool reap(pid_t wanted, int *status)
{
	pid_t pid;

	/* As a subreaper we may get children that are not ours. */
	while ((pid = waitpid(-1, status, WNOHANG)) > 0)
		if (pid == wanted)
			return true;
	return pid < 0 && errno == ECHILD;
}

static void on_signal(const struct foreground *f)
{
	struct signalfd_siginfo info;

	if (read(f->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
		return;
	if (info.ssi_signo == SIGWINCH && f->relay)
		console_relay_resize(f->relay);
	else
		f->forward((int)info.ssi_signo, f->arg);
}

int foreground_wait(const struct foreground *f)
{
	struct console_relay *relay = f->relay;
	int status = 0;

	while (!reap(f->pid, &status)) {
		struct pollfd p[3] = {{f->signals, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};

		if (relay && !relay->hung_up)
			p[1].fd = relay->master;
		if (relay && !relay->in_eof)
			p[2].fd = STDIN_FILENO;
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
		if (p[1].revents)
			console_relay_output(relay);
		if (p[2].revents)
			console_relay_input(relay);
		if (p[0].revents)
			on_signal(f);
	}
	return status;
}

int foreground_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
