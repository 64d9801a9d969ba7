/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commands.h"

static int create(const struct cli *c, int *status, struct oci_error *err)
{
	struct container_options o;
	struct container made;
	int r;

	(void)status;
	cli_container_options(c, &o);
	o.detach = true;
	r = container_create(&c->global, &o, &made, err);
	if (!r)
		container_free(&made);
	return r;
}

static const struct cli_option options[] = {CLI_CREATE_OPTIONS, {0}};

const struct cli_command cmd_create = {
	.name = "create",
	.usage = "create a container",
	.args = "<container-id>",
	.description =
		"Makes a container of a bundle and leaves it waiting for \"nacre start\". The\n"
		"program and its arguments are those of the bundle's config.json; \"nacre spec\"\n"
		"writes an example. The id must be unique on this host.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = create,
	.prefix = "nacre create failed: ",
};
