/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "oci/buf.h"
#include "oci/commands.h"

static int state(const struct cli *c, int *exit_status, struct oci_error *err)
{
	cleanup_buf struct buf b = {.indent = "  "};
	struct oci_state s;
	enum oci_status status;
	int r = oci_state_find(c->global.root, c->args[0], &s, &status, NULL, err);

	(void)exit_status;
	if (r)
		return r;
	oci_state_json(&b, &s, status, true);
	oci_state_free(&s);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "state");
	fputs(b.s, stdout);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

const struct cli_command cmd_state = {
	.name = "state",
	.usage = "print the state of a container",
	.args = "<container-id>",
	.description =
		"Prints the container's state as JSON, as the OCI runtime specification has it.",
	.min_args = 1,
	.max_args = 1,
	.run = state,
};
