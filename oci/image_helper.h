/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images, seen from the command line: nacre-image and nacre-pull do the work (oci/image/), found
 * beside the program or in the package's libexec directory.
 */
#ifndef NACRE_OCI_IMAGE_HELPER_H
#define NACRE_OCI_IMAGE_HELPER_H

#include "oci/cli.h"

#define CLI_STORE_OPTION                                                          \
	{                                                                         \
		"store", NULL, CLI_STRING, "directory of the images pulled", NULL \
	}

#define CLI_PLATFORM_OPTIONS                                     \
	{"platform", NULL, CLI_STRING,                           \
	 "os/arch[/variant] to choose of an image for several; " \
	 "the host's by default",                                \
	 NULL},                                                  \
		CLI_STORE_OPTION

#define CLI_IMAGE_OPTIONS                                                                  \
	CLI_PLATFORM_OPTIONS,                                                              \
		{"max-size", NULL, CLI_STRING,                                             \
		 "most bytes the layers may have uncompressed, with K, M, G or T", "64G"}, \
		{"max-entries", NULL, CLI_STRING, "most files the layers may have", "4M"}, \
	{                                                                                  \
		"entrypoint", NULL, CLI_STRING,                                            \
			"program in place of the image's Entrypoint and Cmd", NULL         \
	}

#define CLI_IMAGES_OPTIONS                                                                   \
	{"remove", NULL, CLI_BOOL, "remove the images named", NULL},                         \
		{"prune", NULL, CLI_BOOL,                                                    \
		 "remove unfinished downloads, what no image has, and bundles of runs that " \
		 "were killed",                                                              \
		 NULL},                                                                      \
	{                                                                                    \
		"quiet", "q", CLI_BOOL, "names alone", NULL                                  \
	}

#define CLI_PULL_OPTIONS                                                                           \
	CLI_PLATFORM_OPTIONS,                                                                      \
		{"max-size", NULL, CLI_STRING, "most bytes the image may have, with K, M, G or T", \
		 "64G"},                                                                           \
		{"registry", NULL, CLI_STRING, "registry of a name that has none", NULL},          \
		{"registries", NULL, CLI_STRING, "configuration of default registry and mirrors",  \
		 NULL},                                                                            \
		{"mirror", NULL, CLI_LIST, "HOST[:PORT][/PREFIX] to ask first", NULL},             \
		{"creds", NULL, CLI_STRING, "USER:PASSWORD for the registry", NULL},               \
		{"authfile", NULL, CLI_STRING, "file with credentials", NULL},                     \
		{"cert-dir", NULL, CLI_STRING,                                                     \
		 "certificates to trust (*.crt) and to show (*.cert, *.key)", NULL},               \
		{"tls-verify", NULL, CLI_BOOL, "check the registry's certificate", "true"},        \
		{"retries", NULL, CLI_INT, "times a request is made again", "4"},                  \
		{"retry-delay", NULL, CLI_INT,                                                     \
		 "milliseconds before the second attempt; each wait is twice the last", "500"},    \
	{                                                                                          \
		"parallel", NULL, CLI_INT, "blobs downloaded at once", "3"                         \
	}

/* The environment variable that hands --creds on: other users see arguments. */
#define IMAGE_HELPER_CREDS "NACRE_CREDS"

/* Between nacre and the helpers alone. */
#define IMAGE_HELPER_OPTIONS                                                                     \
	{"error-fd", NULL, CLI_INT, "", NULL}, {"log-fd", NULL, CLI_INT, "", NULL},              \
		{"log-json", NULL, CLI_BOOL, "", NULL}, {"log-debug", NULL, CLI_BOOL, "", NULL}, \
		{"tty", NULL, CLI_BOOL, "", NULL}, {"want-command", NULL, CLI_BOOL, "", NULL},   \
		{"images", NULL, CLI_BOOL, "", NULL},                                            \
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
/* `nacre pull`, with its options and argument in c. */
int image_helper_pull(const struct cli *c, struct oci_error *err);
/* `nacre images`, the same. */
int image_helper_images(const struct cli *c, struct oci_error *err);
/*
 * A directory for images or bundles: /var/lib/nacre/NAME, or the same under $XDG_DATA_HOME for
 * unprivileged users. The caller frees it.
 */
int image_helper_dir(const char *name, char **out, struct oci_error *err);

#endif
