/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commands.h"
#include "oci/image_helper.h"

static int unpack(const struct cli *c, int *status, struct oci_error *err)
{
	struct image_request q = {
		.image = c->args[0],
		.bundle = c->args[1],
		.terminal = cli_bool(c, "tty"),
	};

	(void)status;
	return image_helper_unpack(c, &q, err);
}

static const struct cli_option options[] = {
	CLI_IMAGE_OPTIONS,
	{"tty", "t", CLI_BOOL, "give the process a terminal", NULL},
	{0},
};

const struct cli_command cmd_unpack = {
	.name = "unpack",
	.usage = "make a bundle of a container image",
	.args = "<image> <bundle>",
	.description =
		"Unpacks an image into a new bundle: its root file system and a config.json that\n"
		"runs its program. The image is a directory with an OCI layout, a tar archive of\n"
		"one, or an archive by docker save, each with :REF behind it where it has several.",
	.min_args = 2,
	.max_args = 2,
	.options = options,
	.run = unpack,
	.prefix = "nacre unpack failed: ",
};
