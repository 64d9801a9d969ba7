/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/console.h"
#include "oci/foreground.h"
#include "oci/log.h"

static void forward(int sig, void *arg)
{
	const struct container *box = arg;
	struct oci_error err;

	if (container_kill(box, sig, false, &err))
		log_debug("signal %d not forwarded: %s", sig, err.msg);
}

static int foreground(const struct cli *c, struct container *box, int sfd, int *status,
		      struct oci_error *err)
{
	struct console_relay relay;
	bool terminal = box->master >= 0;
	struct foreground f = {.pid = box->state.pid,
			       .relay = terminal ? &relay : NULL,
			       .signals = sfd,
			       .forward = forward,
			       .arg = box};
	int r;

	if (terminal && (r = console_relay_start(&relay, steal_fd(&box->master), err)))
		return r;
	r = container_start(box, err);
	if (r) {
		if (terminal)
			console_relay_stop(&relay);
		return r;
	}
	/* Other commands work on the container while it runs. */
	oci_state_unlock(box->dir);
	*status = foreground_exit_code(foreground_wait(&f));
	if (terminal)
		console_relay_stop(&relay);
	if (cli_bool(c, "keep") || (r = oci_state_lock(box->dir, err)))
		return r;
	/* Deleted by somebody else meanwhile; what has its name now is not ours. */
	if (faccessat(box->dir, OCI_STATE_FILE, F_OK, 0))
		return 0;
	return container_delete(&c->global, box, c->args[0], err);
}

static int run(const struct cli *c, int *status, struct oci_error *err)
{
	struct container_options o;
	struct container box;
	struct oci_error ignored;
	cleanup_fd int sfd = -1;
	int r;

	cli_container_options(c, &o);
	o.detach = cli_bool(c, "detach");
	if (!o.detach && !cli_bool(c, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!o.detach) {
		sfd = foreground_signals(err);
		if (sfd < 0)
			return sfd;
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
