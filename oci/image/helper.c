/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "oci/image/image.h"
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
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

static int index_of(const struct helper *h, const char *name)
{
	for (int i = 0; h->options[i].name; i++)
		if (!strcmp(h->options[i].name, name))
			return i;
	return -1;
}

const char *helper_value(const struct helper *h, const char *name)
{
	int i = index_of(h, name);

	return i < 0 ? NULL : h->values.value[i];
}

const char *const *helper_list(const struct helper *h, const char *name)
{
	int i = index_of(h, name);

	return i < 0 ? NULL : h->lists[i];
}

bool helper_flag(const struct helper *h, const char *name)
{
	const char *v = helper_value(h, name);

	/* cli_parse() let only the words for true and false through. */
	return v && strchr("1tT", v[0]);
}

int helper_int(const struct helper *h, const char *name)
{
	const char *v = helper_value(h, name);

	return v ? (int)strtol(v, NULL, 0) : 0;
}

int helper_count(const struct helper *h, const char *name, uint64_t *out, struct oci_error *err)
{
	static const char units[] = "KMGT";
	const char *text = helper_value(h, name), *unit;
	char *end;
	unsigned long long n;

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

int helper_main(const struct cli_option *options, int argc, char **argv,
		int (*run)(const struct helper *h, struct oci_error *err))
{
	struct helper h = {.options = options, .args = calloc((size_t)argc + 1, sizeof(char *))};
	struct oci_error err = {0};
	const char *fd;
	int r;

	if (!h.args)
		return 1;
	watch_signals();
	r = cli_parse(options, argc - 1, argv + 1, false, &h.values, h.lists, h.args, &h.nargs,
		      &err);
	log_open(NULL, helper_value(&h, "log-json") != NULL, helper_value(&h, "log-debug") != NULL);
	fd = helper_value(&h, "log-fd");
	if (fd)
		log_set_fd((int)strtol(fd, NULL, 10));
	if (!r)
		r = run(&h, &err);
	fd = helper_value(&h, "error-fd");
	if (r)
		dprintf(fd ? (int)strtol(fd, NULL, 10) : STDERR_FILENO, "%s", err.msg);
	for (size_t i = 0; i < CLI_MAX_OPTIONS; i++)
		free(h.lists[i]);
	free(h.args);
	return r ? 1 : 0;
}
