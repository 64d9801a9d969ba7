/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "oci/commands.h"
#include "oci/signals.h"

static int kill_container(const struct cli *c, int *status, struct oci_error *err)
{
	const char *name = c->nargs > 1 ? c->args[1] : "SIGTERM";
	struct container box = {.dir = -1, .master = -1};
	int sig, r;

	(void)status;
	/* Without the lock: a hook of a command that holds it may want to kill. */
	r = oci_state_find(c->global.root, c->args[0], &box.state, NULL, &box.dir, err);
	if (r)
		return r;
	sig = oci_signal_number(name);
	if (sig < 0 && *name && !name[strspn(name, "0123456789")])
		r = oci_fail(err, EINVAL, "unable to signal init: invalid argument");
	else if (sig < 0)
		r = oci_fail(err, EINVAL, "unknown signal \"%s\"", name);
	else
		r = container_kill(&box, sig, cli_bool(c, "all"), err);
	container_free(&box);
	return r;
}

static const struct cli_option options[] = {
	{"all", "a", CLI_BOOL, "signal every process of the container", NULL},
	{0},
};

const struct cli_command cmd_kill = {
	.name = "kill",
	.usage = "send a signal, SIGTERM by default, to a container's first process",
	.args = "<container-id> [signal]",
	.description =
		"The signal is a name, with or without SIG, or a number. SIGKILL ends the whole\n"
		"container.",
	.min_args = 1,
	.max_args = 2,
	.options = options,
	.run = kill_container,
};
