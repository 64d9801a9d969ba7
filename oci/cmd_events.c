/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/control.h"
#include "oci/json.h"

static int print_oom(const struct oci_state *s, struct oci_error *err)
{
	cleanup_buf struct buf b = {0};

	json_object(&b, NULL);
	json_str(&b, "type", "oom");
	json_str(&b, "id", s->id);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "events");
	puts(b.s);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

/* The application kernel's counters as JSON text; false when it cannot tell, as while it is paused. */
static bool ask(const struct oci_state *s, int dir, struct control_reply *reply)
{
	struct oci_error why;

	if (oci_state_status(s) == OCI_PAUSED ||
	    control_call(dir, CONTROL_STATS, 0, 0, reply, &why) || !reply->len ||
	    reply->len >= CONTROL_PAYLOAD_MAX)
		return false;
	reply->payload[reply->len] = '\0';
	return true;
}

/* How many processes it has ended for want of memory. */
static int64_t oom_kills(const struct control_reply *reply)
{
	struct oci_error why;
	struct json_in in = {"stats", &why};
	yajl_val v = json_parse(reply->payload, reply->len, "stats", &why);
	int64_t n = 0;

	if (v)
		json_in_int(&in, v, "", "oom_kills", 0, INT64_MAX, &n);
	yajl_tree_free(v);
	return n;
}

/* *kills: as of the last time, or -1. A process that was ended since is told of first. */
static int print_stats(const struct oci_state *s, int dir, int64_t *kills, struct oci_error *err)
{
	cleanup_free struct control_reply *reply = malloc(sizeof(*reply));
	cleanup_buf struct buf b = {0};
	int64_t before = *kills;
	bool told;
	int r;

	if (!reply)
		return oci_fail_errno(err, ENOMEM, "events");
	told = ask(s, dir, reply);
	if (told)
		*kills = oom_kills(reply);
	if (before >= 0 && *kills > before && (r = print_oom(s, err)))
		return r;
	json_object(&b, NULL);
	json_str(&b, "type", "stats");
	json_str(&b, "id", s->id);
	json_object(&b, "data");
	oci_cgroup_stats(s, &b);
	/* Members that callers of runc may look for, and that have nothing to say here. */
	json_raw(&b, "intel_rdt", "{}");
	json_raw(&b, "network_interfaces", "null");
	if (told)
		json_raw(&b, "nacre", reply->payload);
	json_end_object(&b);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "events");
	puts(b.s);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Out-of-memory notices until `until`; 1 when the container ended. */
static int wait_for(const struct oci_state *s, int pidfd, struct oci_oom *oom, int64_t until,
		    struct oci_error *err)
{
	for (;;) {
		struct pollfd p[2] = {{pidfd, POLLIN, 0}, {oom->fd, oom->events, 0}};
		int64_t left = until - now_ms();
		int r;

		if (left <= 0)
			return 0;
		r = poll(p, 2, left > INT32_MAX ? INT32_MAX : (int)left);
		if (r < 0 && errno != EINTR)
			return oci_fail_errno(err, errno, "poll");
		if (r <= 0)
			continue;
		if (p[1].revents && oci_cgroup_oom_happened(oom) && (r = print_oom(s, err)))
			return r;
		if (p[0].revents)
			return 1;
	}
}

static int follow(const struct oci_state *s, int dir, int64_t ms, struct oci_error *err)
{
	cleanup_fd int pidfd = oci_state_pidfd(s);
	struct oci_oom oom;
	int64_t kills = -1;
	int r = 0;

	/* Ended meanwhile: so do the events. */
	if (pidfd < 0)
		return 0;
	oci_cgroup_oom_open(s, &oom);
	while (!r) {
		int64_t until = now_ms() + ms;

		r = print_stats(s, dir, &kills, err);
		if (!r)
			r = wait_for(s, pidfd, &oom, until, err);
	}
	oci_cgroup_oom_close(&oom);
	return r < 0 ? r : 0;
}

static int events(const struct cli *c, int *exit_status, struct oci_error *err)
{
	int64_t ns = cli_duration(c, "interval");
	cleanup_fd int dir = -1;
	enum oci_status status;
	struct oci_state s;
	int r = oci_state_find(c->global.root, c->args[0], &s, &status, &dir, err);

	(void)exit_status;
	if (r)
		return r;
	if (ns <= 0)
		r = oci_fail(err, EINVAL, "duration interval must be greater than 0");
	else if (status == OCI_STOPPED)
		r = oci_fail(err, ESRCH, "container with id %s is not running", c->args[0]);
	else if (cli_bool(c, "stats"))
		r = print_stats(&s, dir, &(int64_t){-1}, err);
	else
		r = follow(&s, dir, ns < 1000000 ? 1 : ns / 1000000, err);
	oci_state_free(&s);
	return r;
}

static const struct cli_option options[] = {
	{"interval", NULL, CLI_DURATION, "time between two sets of figures", "5s"},
	{"stats", NULL, CLI_BOOL, "print one set of figures and end", NULL},
	{0},
};

const struct cli_command cmd_events = {
	.name = "events",
	.usage = "print a container's use of resources",
	.args = "<container-id>",
	.description = "Prints figures of the container's control groups and nacre's own counters "
		       "(exits,\n"
		       "system calls, faults, flushes) as JSON, one object a line, and a line when "
		       "the\n"
		       "host kills for want of memory. Ends with the container.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = events,
};
