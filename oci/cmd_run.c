/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/console.h"
#include "oci/log.h"

/* Not passed on: ours, or the terminal's doing. */
static void signals_to_forward(sigset_t *set)
{
	static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGTRAP, SIGABRT,
				  SIGSYS,  SIGPIPE, SIGPROF, SIGURG, SIGTTIN, SIGTTOU};

	sigemptyset(set);
	for (int sig = 1; sig < 32; sig++)
		sigaddset(set, sig);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(set, own[i]);
}

/* True when the container ended, with its wait status. */
static bool reap(const struct container *box, int *status)
{
	pid_t pid;

	/* As a subreaper we may get children that are not ours. */
	while ((pid = waitpid(-1, status, WNOHANG)) > 0)
		if (pid == box->state.pid)
			return true;
	return pid < 0 && errno == ECHILD;
}

static void on_signal(struct container *box, struct console_relay *relay, int sfd)
{
	struct signalfd_siginfo info;
	struct oci_error err;

	if (read(sfd, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
		return;
	if (info.ssi_signo == SIGWINCH && relay) {
		console_relay_resize(relay);
		return;
	}
	if (container_kill(box, (int)info.ssi_signo, false, &err))
		log_debug("signal %u not forwarded: %s", info.ssi_signo, err.msg);
}

/* Until the container ends; its wait status. */
static int supervise(struct container *box, struct console_relay *relay, int sfd)
{
	int status = 0;

	while (!reap(box, &status)) {
		struct pollfd p[3] = {{sfd, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};

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
			on_signal(box, relay, sfd);
	}
	return status;
}

static int foreground(const struct cli *c, struct container *box, int sfd, int *status,
		      struct oci_error *err)
{
	struct console_relay relay;
	bool terminal = box->master >= 0;
	int wait_status, r;

	if (terminal && (r = console_relay_start(&relay, steal_fd(&box->master), err)))
		return r;
	r = container_start(box, err);
	if (r) {
		if (terminal)
			console_relay_stop(&relay);
		return r;
	}
	wait_status = supervise(box, terminal ? &relay : NULL, sfd);
	if (terminal)
		console_relay_stop(&relay);
	*status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	return cli_bool(c, "keep") ? 0 : container_delete(&c->global, box, c->args[0], err);
}

static int run(const struct cli *c, int *status, struct oci_error *err)
{
	struct container_options o;
	struct container box;
	struct oci_error ignored;
	cleanup_fd int sfd = -1;
	sigset_t set, old;
	int r;

	cli_container_options(c, &o);
	o.detach = cli_bool(c, "detach");
	if (!o.detach && !cli_bool(c, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* From here on nothing that is meant for the container gets lost. */
	signals_to_forward(&set);
	if (!o.detach) {
		sigprocmask(SIG_BLOCK, &set, &old);
		sfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
		if (sfd < 0)
			return oci_fail_errno(err, errno, "signalfd");
	}
	r = container_create(&c->global, &o, &box, err);
	if (r)
		return r;
	r = o.detach ? container_start(&box, err) : foreground(c, &box, sfd, status, err);
	if (r && !container_end(&box, &ignored)) {
		waitpid(box.state.pid, NULL, 0);
		container_delete(&c->global, &box, c->args[0], &ignored);
	}
	container_free(&box);
	return r;
}

static const struct cli_option options[] = {
	CLI_CREATE_OPTIONS,
	{"detach", "d", CLI_BOOL, "do not wait for the container", NULL},
	{"keep", NULL, CLI_BOOL, "do not delete the container when it has ended", NULL},
	{"no-subreaper", NULL, CLI_BOOL, "do not adopt orphans of the container's processes", NULL},
	{0},
};

const struct cli_command cmd_run = {
	.name = "run",
	.usage = "create and start a container",
	.args = "<container-id>",
	.description =
		"Makes a container of a bundle, starts it, and, without --detach, waits for it:\n"
		"signals are passed on, its exit status is the command's, and what it held is\n"
		"deleted. The id must be unique on this host.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
	.prefix = "nacre run failed: ",
};
