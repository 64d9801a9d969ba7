/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commands.h"
#include "oci/image_helper.h"

static int pull(const struct cli *c, int *status, struct oci_error *err)
{
	(void)status;
	return image_helper_pull(c, err);
}

static const struct cli_option options[] = {
	CLI_PULL_OPTIONS,
	{0},
};

const struct cli_command cmd_pull = {
	.name = "pull",
	.usage = "download an image from a registry",
	.args = "<image>",
	.description =
		"Downloads [HOST[:PORT]/]PATH[:TAG][@DIGEST] over HTTPS into the store that all\n"
		"images share, verified, and prints its name with its digest. nacre run --image\n"
		"and nacre unpack take it from there. What is in the store is not downloaded\n"
		"again, and a download that was cut short goes on where it stopped.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = pull,
	.prefix = "nacre pull failed: ",
};
