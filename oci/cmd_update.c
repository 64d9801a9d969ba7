/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/control.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/systemd.h"

/* "512m", "1g", "-1", plain bytes (docker's units). */
static int bytes(const struct cli *c, const char *name, bool *has, int64_t *out,
		 struct oci_error *err)
{
	static const char units[] = "bkmgtp";
	const char *s = cli_string(c, name), *u;
	char *end;
	long long n;
	int shift = 0;

	if (!s)
		return 0;
	errno = 0;
	n = strtoll(s, &end, 10);
	if (*end && end[1] == '\0' && (u = strchr(units, *end | 0x20)))
		shift = (int)(u - units) * 10, end++;
	if (errno || *end || end == s || n < -1 || n > INT64_MAX >> shift)
		return oci_fail(err, EINVAL, "invalid value for %s: invalid size: '%s'", name, s);
	*out = n < 0 ? -1 : n << shift;
	*has = true;
	return 0;
}

/* A number that is in the text of a flag; 0 changes nothing. */
static int number(const struct cli *c, const char *name, bool *has, int64_t *out,
		  struct oci_error *err)
{
	const char *s = cli_string(c, name);
	char *end;

	if (!s)
		return 0;
	errno = 0;
	*out = strtoll(s, &end, 10);
	if (errno || *end || end == s)
		return oci_fail(err, EINVAL, "invalid value for %s: %s: invalid syntax", name, s);
	*has = *out != 0;
	return 0;
}

static int natural(const struct cli *c, const char *name, bool *has, uint64_t *out,
		   struct oci_error *err)
{
	int64_t n = 0;
	int r = number(c, name, has, &n, err);

	if (!r && n < 0)
		r = oci_fail(err, EINVAL, "invalid value for %s: %lld: invalid syntax", name,
			     (long long)n);
	*out = (uint64_t)n;
	return r;
}

static int from_flags(const struct cli *c, struct oci_resources *res, struct oci_error *err)
{
	int r;

	if ((r = bytes(c, "memory", &res->has_memory, &res->memory, err)) ||
	    (r = bytes(c, "memory-swap", &res->has_memory_swap, &res->memory_swap, err)) ||
	    (r = bytes(c, "memory-reservation", &res->has_memory_reservation,
		       &res->memory_reservation, err)) ||
	    (r = natural(c, "cpu-share", &res->has_shares, &res->shares, err)) ||
	    (r = natural(c, "cpu-period", &res->has_period, &res->period, err)) ||
	    (r = number(c, "cpu-quota", &res->has_quota, &res->quota, err)) ||
	    (r = natural(c, "cpu-rt-period", &res->has_rt_period, &res->rt_period, err)) ||
	    (r = number(c, "cpu-rt-runtime", &res->has_rt_runtime, &res->rt_runtime, err)) ||
	    (r = number(c, "pids-limit", &res->has_pids, &res->pids, err)) ||
	    (r = natural(c, "blkio-weight", &res->has_blkio_weight, &res->blkio_weight, err)))
		return r;
	res->cpus = cli_string(c, "cpuset-cpus");
	res->mems = cli_string(c, "cpuset-mems");
	if (cli_string(c, "kernel-memory") || cli_string(c, "kernel-memory-tcp"))
		log_warning("Kernel memory settings are ignored and will be removed");
	/* There is no RDT group of a container to change. */
	if (cli_string(c, "l3-cache-schema"))
		return oci_fail(err, ENOTSUP, "Intel RDT/CAT: l3 cache schema is not enabled");
	if (cli_string(c, "mem-bw-schema"))
		return oci_fail(err, ENOTSUP,
				"Intel RDT/MBA: memory bandwidth schema is not enabled");
	return 0;
}

static int from_file(const char *path, struct oci_arena **arena, yajl_val *tree,
		     struct oci_resources *res, struct oci_error *err)
{
	const char *name = strcmp(path, "-") ? path : "standard input";
	cleanup_free char *text = NULL;
	size_t len;
	int r = json_read_file(AT_FDCWD, path, JSON_MAX_SIZE, &text, &len, err);

	if (r)
		return r;
	*tree = json_parse(text, len, name, err);
	return *tree ? oci_resources_parse(arena, *tree, name, "", res, err) : -EINVAL;
}

/* The application kernel keeps the limit too: fork(2) fails there before it fails here. */
static int tell_sandbox(const struct container *box, enum oci_status now,
			const struct oci_resources *res, struct oci_error *err)
{
	int pids = res->pids > 0 && res->pids < INT32_MAX ? (int)res->pids : 0;

	if (now == OCI_PAUSED) {
		log_warning("a paused container cannot be told its new pids limit");
		return 0;
	}
	return control_call(box->dir, CONTROL_PIDS_MAX, pids, 0, NULL, err);
}

static int update(const struct cli *c, int *exit_status, struct oci_error *err)
{
	const char *file = cli_string(c, "resources");
	struct oci_resources res = {0};
	struct oci_arena *arena = NULL;
	yajl_val tree = NULL;
	struct container box;
	enum oci_status now;
	int r = container_open(&c->global, c->args[0], &box, &now, err);

	(void)exit_status;
	if (r)
		return r;
	if (now == OCI_STOPPED)
		r = oci_fail(err, ESRCH, "container not running");
	else
		r = file ? from_file(file, &arena, &tree, &res, err) : from_flags(c, &res, err);
	if (!r && box.state.systemd_cgroup)
		r = oci_systemd_update(&box.state, &res, err);
	if (!r)
		r = oci_cgroup_limits(&box.state, &res, err);
	if (!r && res.has_pids)
		r = tell_sandbox(&box, now, &res, err);
	oci_arena_free(&arena);
	if (tree)
		yajl_tree_free(tree);
	container_free(&box);
	return r;
}

static const struct cli_option options[] = {
	{"resources", "r", CLI_STRING,
	 "file with linux.resources of config.json, '-' for standard input; other options are "
	 "ignored",
	 NULL},
	{"blkio-weight", NULL, CLI_INT, "weight of block I/O, 10 to 1000", NULL},
	{"cpu-period", NULL, CLI_STRING, "CFS period in microseconds", NULL},
	{"cpu-quota", NULL, CLI_STRING, "CPU time in a period, in microseconds", NULL},
	{"cpu-share", NULL, CLI_STRING, "weight against other containers", NULL},
	{"cpu-rt-period", NULL, CLI_STRING, "realtime period in microseconds", NULL},
	{"cpu-rt-runtime", NULL, CLI_STRING, "realtime CPU time in a period, in microseconds",
	 NULL},
	{"cpuset-cpus", NULL, CLI_STRING, "CPUs to use", NULL},
	{"cpuset-mems", NULL, CLI_STRING, "memory nodes to use", NULL},
	{"memory", NULL, CLI_STRING, "memory limit in bytes", NULL},
	{"memory-reservation", NULL, CLI_STRING, "memory reservation in bytes", NULL},
	{"memory-swap", NULL, CLI_STRING, "limit of memory and swap together, -1: none", NULL},
	{"pids-limit", NULL, CLI_NUMBER, "most processes and threads", NULL},
	{"l3-cache-schema", NULL, CLI_STRING, "refused: containers have no RDT group", NULL},
	{"mem-bw-schema", NULL, CLI_STRING, "refused: containers have no RDT group", NULL},
	{"kernel-memory", NULL, CLI_STRING, NULL, NULL},
	{"kernel-memory-tcp", NULL, CLI_STRING, NULL, NULL},
	{0},
};

const struct cli_command cmd_update = {
	.name = "update",
	.usage = "change a container's limits",
	.args = "<container-id>",
	.description = "Changes limits of the container's control groups; what is not given stays.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = update,
};
