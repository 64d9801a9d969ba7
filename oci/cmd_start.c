/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "oci/commands.h"

static int start(const struct cli *c, int *status, struct oci_error *err)
{
	struct container box;
	enum oci_status now;
	int r = container_open(&c->global, c->args[0], &box, &now, err);

	(void)status;
	if (r)
		return r;
	switch (now) {
	case OCI_CREATED:
		r = container_start(&box, err);
		break;
	case OCI_RUNNING:
		r = oci_fail(err, EINVAL, "cannot start an already running container");
		break;
	case OCI_STOPPED:
		r = oci_fail(err, EINVAL, "cannot start a container that has stopped");
		break;
	default:
		r = oci_fail(err, EINVAL, "cannot start a container in the %s state",
			     oci_status_name(now));
	}
	container_free(&box);
	return r;
}

const struct cli_command cmd_start = {
	.name = "start",
	.usage = "run the program of a created container",
	.args = "<container-id>",
	.description = "Lets the container that \"nacre create\" made run its program.",
	.min_args = 1,
	.max_args = 1,
	.run = start,
};
