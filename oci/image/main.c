/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre-image: the helper that `nacre unpack` and `nacre run --image` start. Its arguments are
 * theirs (oci/image_helper.h); it writes the sentence of an error to a descriptor.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "oci/image/image.h"
#include "oci/image_helper.h"
#include "oci/log.h"

static void on_signal(int sig)
{
	(void)sig;
	image_interrupt();
}

/* Whoever started us wants nothing left when it is told to end, or ends. */
static void watch_signals(void)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		sigaction(ends[i], &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

/* A number with K, M, G or T behind it. */
static int parse_count(const char *name, const char *text, uint64_t *out, struct oci_error *err)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long long n;
	const char *unit;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno || end == text || text[0] == '-' || (*end && (!unit || end[1])))
		return oci_fail(err, EINVAL, "--%s %s: not a number such as 4096 or 64G", name,
				text);
	for (long i = unit ? unit - units + 1 : 0; i; i--) {
		if (n > INT64_MAX / 1024)
			return oci_fail(err, ERANGE, "--%s %s: too large", name, text);
		n *= 1024;
	}
	if (!n || n > INT64_MAX)
		return oci_fail(err, ERANGE, "--%s %s: must be from 1 to 2^63 - 1", name, text);
	*out = n;
	return 0;
}

static const struct cli_option options[] = {
	CLI_IMAGE_OPTIONS,
	IMAGE_HELPER_OPTIONS,
	{0},
};

static const char *value(const struct cli_values *v, const char *name)
{
	for (size_t i = 0; options[i].name; i++)
		if (!strcmp(options[i].name, name))
			return v->value[i];
	return NULL;
}

static int unpack(const struct cli_values *v, char **args, int nargs, struct oci_error *err)
{
	struct image_options o = {
		.platform = value(v, "platform"),
		.entrypoint = value(v, "entrypoint"),
		.terminal = value(v, "tty") != NULL,
		.want_command = value(v, "want-command") != NULL,
		.progress = value(v, "progress") != NULL,
		.args = (const char *const *)args + 2,
		.nargs = nargs > 2 ? (size_t)nargs - 2 : 0,
	};
	int r;

	if (nargs < 2)
		return oci_fail(err, EINVAL, "nacre-image is started by nacre unpack");
	o.image = args[0];
	o.bundle = args[1];
	r = parse_count("max-size", value(v, "max-size"), &o.max_size, err);
	if (!r)
		r = parse_count("max-entries", value(v, "max-entries"), &o.max_entries, err);
	return r ? r : image_unpack(&o, err);
}

int main(int argc, char **argv)
{
	char **rest = calloc((size_t)argc + 1, sizeof(*rest));
	const char **lists[CLI_MAX_OPTIONS] = {0};
	struct cli_values v = {0};
	struct oci_error err = {0};
	const char *fd;
	int n = 0, r;

	if (!rest)
		return 1;
	watch_signals();
	r = cli_parse(options, argc - 1, argv + 1, false, &v, lists, rest, &n, &err);
	log_open(NULL, value(&v, "log-json") != NULL, value(&v, "log-debug") != NULL);
	fd = value(&v, "log-fd");
	if (fd)
		log_set_fd((int)strtol(fd, NULL, 10));
	if (!r)
		r = unpack(&v, rest, n, &err);
	fd = value(&v, "error-fd");
	if (r)
		dprintf(fd ? (int)strtol(fd, NULL, 10) : STDERR_FILENO, "%s", err.msg);
	free(rest);
	return r ? 1 : 0;
}
