/* SPDX-License-Identifier: Apache-2.0 */
/* What the helper programs' main functions share: options, signals, where an error's sentence goes. */
#ifndef NACRE_OCI_IMAGE_HELPER_PROGRAM_H
#define NACRE_OCI_IMAGE_HELPER_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "oci/cli.h"
#include "oci/image_helper.h"

struct helper {
	const struct cli_option *options;
	struct cli_values values;
	const char **lists[CLI_MAX_OPTIONS];
	char **args;
	int nargs;
};

const char *helper_value(const struct helper *h, const char *name);
const char *const *helper_list(const struct helper *h, const char *name); /* NULL: none */
bool helper_flag(const struct helper *h, const char *name);
int helper_int(const struct helper *h, const char *name);
/* A number with K, M, G or T behind it. */
int helper_count(const struct helper *h, const char *name, uint64_t *out, struct oci_error *err);
/* The whole program around run(); signals that end programs interrupt it (image_interrupt()). */
int helper_main(const struct cli_option *options, int argc, char **argv,
		int (*run)(const struct helper *h, struct oci_error *err));

#endif
