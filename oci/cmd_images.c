/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/commands.h"
#include "oci/image_bundles.h"
#include "oci/image_helper.h"

static int images(const struct cli *c, int *status, struct oci_error *err)
{
	int r = image_helper_images(c, err);

	(void)status;
	return !r && cli_bool(c, "prune") ? image_bundles_sweep(&c->global, err) : r;
}

static const struct cli_option options[] = {
	CLI_IMAGES_OPTIONS,
	CLI_STORE_OPTION,
	{0},
};

const struct cli_command cmd_images = {
	.name = "images",
	.usage = "list or remove the images pulled",
	.args = "[image...]",
	.description = "Prints the images of the store: name, digest, and size of what is stored\n"
		       "(images share what is the same). With --remove the images named are\n"
		       "forgotten, and what no other image has is removed.",
	.min_args = 0,
	.max_args = -1,
	.options = options,
	.run = images,
	.prefix = "nacre images failed: ",
};
