/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/control.h"

/* "5s", "500ms", "1m": the part of Go's durations people use. Nanoseconds, 0: not understood. */
static long long duration(const char *s)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
	char *end;
	double n = strtod(s, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].unit, end) && n > 0 && n < 1e6)
			return (long long)(n * units[i].ns);
	return 0;
}

static int print_stats(const struct oci_state *s, int dir, struct oci_error *err)
{
	cleanup_free struct control_reply *reply = malloc(sizeof(*reply));
	cleanup_buf struct buf b = {0};
	struct oci_error why;

	if (!reply)
		return oci_fail_errno(err, ENOMEM, "events");
	json_object(&b, NULL);
	json_str(&b, "type", "stats");
	json_str(&b, "id", s->id);
	json_object(&b, "data");
	oci_cgroup_stats(s, &b);
	/* A paused sandbox cannot answer; its groups' numbers are still worth printing. */
	if (oci_state_status(s) != OCI_PAUSED &&
	    !control_call(dir, CONTROL_STATS, 0, 0, reply, &why) && reply->len &&
	    reply->len < CONTROL_PAYLOAD_MAX) {
		reply->payload[reply->len] = '\0';
		json_raw(&b, "nacre", reply->payload);
	}
	json_end_object(&b);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "events");
	puts(b.s);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

static int events(const struct cli *c, int *exit_status, struct oci_error *err)
{
	long long ns = duration(cli_string(c, "interval"));
	cleanup_fd int dir = -1;
	enum oci_status status;
	struct oci_state s;
	int r;

	(void)exit_status;
	if (!ns)
		return oci_fail(err, EINVAL, "duration interval must be greater than 0");
	r = oci_state_find(c->global.root, c->args[0], &s, &status, &dir, err);
	if (r)
		return r;
	if (status == OCI_STOPPED)
		r = oci_fail(err, ESRCH, "container with id %s is not running", c->args[0]);
	while (!r && oci_state_status(&s) != OCI_STOPPED) {
		struct timespec wait = {ns / 1000000000, ns % 1000000000};

		r = print_stats(&s, dir, err);
		if (cli_bool(c, "stats"))
			break;
		nanosleep(&wait, NULL);
	}
	oci_state_free(&s);
	return r;
}

static const struct cli_option options[] = {
	{"interval", NULL, CLI_STRING, "time between two sets of figures", "5s"},
	{"stats", NULL, CLI_BOOL, "print one set of figures and end", NULL},
	{0},
};

const struct cli_command cmd_events = {
	.name = "events",
	.usage = "print a container's use of resources",
	.args = "<container-id>",
	.description = "Prints figures of the container's control groups and nacre's own counters "
		       "(exits,\n"
		       "system calls, faults, flushes) as JSON, one object a line.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = events,
};
