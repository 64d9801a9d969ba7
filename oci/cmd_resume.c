/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "oci/cgroup.h"
#include "oci/commands.h"

static int resume_container(const struct cli *c, int *status, struct oci_error *err)
{
	struct container box;
	enum oci_status now;
	int r = container_open(&c->global, c->args[0], &box, &now, err);

	(void)status;
	if (r)
		return r;
	if (now != OCI_PAUSED)
		r = oci_fail(err, EINVAL, "container not paused");
	else
		r = oci_cgroup_freeze(&box.state, false, err);
	container_free(&box);
	return r;
}

const struct cli_command cmd_resume = {
	.name = "resume",
	.usage = "let a suspended container go on",
	.args = "<container-id>",
	.description = "Lets a container go on that \"nacre pause\" stopped.",
	.min_args = 1,
	.max_args = 1,
	.run = resume_container,
};
