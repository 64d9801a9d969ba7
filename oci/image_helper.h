/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, seen from the command line: nacre-image does the work (oci/image/), found beside the
 * program or in the package's libexec directory.
 */
#ifndef NACRE_OCI_IMAGE_HELPER_H
#define NACRE_OCI_IMAGE_HELPER_H

#include "oci/cli.h"

#define CLI_IMAGE_OPTIONS                                                                  \
	{"platform", NULL, CLI_STRING,                                                     \
	 "os/arch[/variant] to choose of an image for several; "                           \
	 "the host's by default",                                                          \
	 NULL},                                                                            \
		{"max-size", NULL, CLI_STRING,                                             \
		 "most bytes the layers may have uncompressed, with K, M, G or T", "64G"}, \
		{"max-entries", NULL, CLI_STRING, "most files the layers may have", "4M"}, \
	{                                                                                  \
		"entrypoint", NULL, CLI_STRING,                                            \
			"program in place of the image's Entrypoint and Cmd", NULL         \
	}

/* Between nacre and the helper alone. */
#define IMAGE_HELPER_OPTIONS                                                                     \
	{"error-fd", NULL, CLI_INT, "", NULL}, {"log-fd", NULL, CLI_INT, "", NULL},              \
		{"log-json", NULL, CLI_BOOL, "", NULL}, {"log-debug", NULL, CLI_BOOL, "", NULL}, \
		{"tty", NULL, CLI_BOOL, "", NULL}, {"want-command", NULL, CLI_BOOL, "", NULL},   \
	{                                                                                        \
		"progress", NULL, CLI_BOOL, "", NULL                                             \
	}

struct image_request {
	const char *image, *bundle;
	char *const *args; /* of the program, in place of the image's */
	int nargs;
	bool terminal, want_command;
};

/* The options of CLI_IMAGE_OPTIONS are taken from c. Nothing is left behind when it fails. */
int image_helper_unpack(const struct cli *c, const struct image_request *q, struct oci_error *err);
/*
 * The directory for bundles of `run --image`, made when it is not there: /var/lib/nacre/bundles, or
 * the same under $XDG_DATA_HOME for unprivileged users. The caller frees it.
 */
int image_helper_store(char **out, struct oci_error *err);

#endif
