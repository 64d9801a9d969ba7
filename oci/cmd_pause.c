/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "oci/cgroup.h"
#include "oci/commands.h"

static int pause_container(const struct cli *c, int *status, struct oci_error *err)
{
	struct container box;
	enum oci_status now;
	int r = container_open(&c->global, c->args[0], &box, &now, err);

	(void)status;
	if (r)
		return r;
	if (now != OCI_CREATED && now != OCI_RUNNING)
		r = oci_fail(err, EINVAL, "container not running");
	else
		r = oci_cgroup_freeze(&box.state, true, err);
	container_free(&box);
	return r;
}

const struct cli_command cmd_pause = {
	.name = "pause",
	.usage = "suspend a container",
	.args = "<container-id>",
	.description = "Stops everything in the container until \"nacre resume\".",
	.min_args = 1,
	.max_args = 1,
	.run = pause_container,
};
