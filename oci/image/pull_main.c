/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre-pull: the helper that `nacre pull` starts, with its options and those between the two alone
 * (oci/image_helper.h). It prints the name of what it pulled.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cleanup.h"
#include "oci/image/helper.h"
#include "oci/image/pull.h"
#include "oci/log.h"

static const struct cli_option options[] = {
	CLI_PULL_OPTIONS,
	IMAGE_HELPER_OPTIONS,
	{0},
};

/* Out of the environment too: it is inherited and can be read by more than the memory. */
static char *credentials(const struct helper *h)
{
	const char *given = helper_value(h, "creds"), *passed = getenv(IMAGE_HELPER_CREDS);
	char *copy = given || passed ? strdup(given ? given : passed) : NULL;

	unsetenv(IMAGE_HELPER_CREDS);
	return copy;
}

static int pull(const struct helper *h, struct oci_error *err)
{
	static const char *const none[] = {NULL};
	cleanup_free char *creds = credentials(h), *name = NULL;
	struct pull_options o = {
		.store = helper_value(h, "store"),
		.platform = helper_value(h, "platform"),
		.registry = helper_value(h, "registry"),
		.registries = helper_value(h, "registries"),
		.mirrors = helper_list(h, "mirror"),
		.auth_file = helper_value(h, "authfile"),
		.creds = creds,
		.cert_dir = helper_value(h, "cert-dir"),
		.insecure = !helper_flag(h, "tls-verify"),
		.retries = (unsigned)helper_int(h, "retries"),
		.delay_ms = (unsigned)helper_int(h, "retry-delay"),
		.parallel = (unsigned)helper_int(h, "parallel"),
		.progress = helper_flag(h, "progress"),
	};
	int r;

	if (h->nargs != 1 || !o.store)
		return oci_fail(err, EINVAL, "nacre-pull is started by nacre pull");
	o.image = h->args[0];
	if (!o.mirrors)
		o.mirrors = none;
	if (!o.parallel || o.parallel > PULL_MAX_PARALLEL)
		return oci_fail(err, ERANGE, "--parallel: must be from 1 to %d", PULL_MAX_PARALLEL);
	r = helper_count(h, "max-size", &o.max_size, err);
	if (!r)
		r = image_pull(&o, &name, err);
	if (!r && (printf("%s\n", name) < 0 || fflush(stdout)))
		r = oci_fail_errno(err, errno, "standard output");
	return r;
}

int main(int argc, char **argv)
{
	return helper_main(options, argc, argv, pull);
}
