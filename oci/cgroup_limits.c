/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, freezing, and the names both versions have for them (kernel: cgroup-v1/, cgroup-v2.rst). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "oci/cgroup.h"
#include "oci/cgroup_settings.h"
#include "oci/log.h"

unsigned long long oci_cgroup_weight(unsigned long long shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + ((shares - 2) * 9999) / 262142;
}

struct apply {
	const struct oci_state *s;
	struct oci_error *err;
	bool lenient; /* leave out what there is no permission for */
};

static int put(const struct apply *a, const char *dir, const char *file, const char *value)
{
	int r = oci_cgroup_write(dir, file, value);

	if (a->lenient && oci_cgroup_forbidden(r)) {
		log_warning("%s of cgroup %s is not set: no permission", file, dir);
		return 0;
	}
	return r ? oci_fail_errno(a->err, -r, "cannot set %s to %s in cgroup %s", file, value, dir)
		 : 0;
}

static int put_int(const struct apply *a, const char *dir, const char *file, int64_t v, bool v2)
{
	char text[32];

	if (v < 0 && v2)
		return put(a, dir, file, "max");
	snprintf(text, sizeof(text), "%" PRId64, v);
	return put(a, dir, file, text);
}

/* Where the controller's settings of the container are; NULL with *r 0: go on without. */
static const char *need(const struct apply *a, const char *controller, const char *key, bool *v2,
			int *r)
{
	const char *dir = oci_cgroup_dir(a->s, controller, v2);

	*r = 0;
	if (!dir && a->lenient)
		log_warning("%s is not applied on the host: no permission for %s control groups",
			    key, controller);
	else if (!dir)
		*r = oci_fail(a->err, ENOENT, "%s: the host has no usable %s cgroup controller",
			      key, controller);
	return dir;
}

static int memory_v1(const struct apply *a, const char *dir, const struct oci_resources *res)
{
	static const char limit[] = "memory.limit_in_bytes", swap[] = "memory.memsw.limit_in_bytes";
	int64_t total = res->has_memory_swap ? res->memory_swap : res->memory < 0 ? -1 : 0;
	int r = 0;

	/*
	 * memsw must never be below memory: raising goes memsw first, lowering memory first; which one
	 * it is shows when the first order fails.
	 */
	if (res->has_memory && total) {
		r = put_int(a, dir, limit, res->memory, false);
		if (r && oci_cgroup_write(dir, swap, "-1") == 0)
			r = put_int(a, dir, limit, res->memory, false);
		if (!r)
			r = put_int(a, dir, swap, total, false);
		/* Hosts without swap accounting have no such file. */
		if (r == -ENOENT || (r == -EACCES && !res->has_memory_swap))
			r = 0;
	} else if (res->has_memory) {
		r = put_int(a, dir, limit, res->memory, false);
	} else if (res->has_memory_swap) {
		r = put_int(a, dir, swap, res->memory_swap, false);
	}
	if (!r && res->has_memory_reservation)
		r = put_int(a, dir, "memory.soft_limit_in_bytes", res->memory_reservation, false);
	if (!r && res->has_swappiness)
		r = put_int(a, dir, "memory.swappiness", (int64_t)res->swappiness, false);
	if (!r && res->has_oom_disable)
		r = put(a, dir, "memory.oom_control", "1");
	return r;
}

static int memory_v2(const struct apply *a, const char *dir, const struct oci_resources *res)
{
	int r = 0;

	if (res->has_memory_swap) {
		int64_t swap = res->memory_swap;

		if (swap > 0 && !res->has_memory)
			return oci_fail(
				a->err, EINVAL,
				"linux.resources.memory.swap needs memory.limit with cgroup v2");
		/* The spec counts memory and swap together, version 2 swap alone. */
		if (swap > 0)
			swap -= res->memory;
		r = put_int(a, dir, "memory.swap.max", swap, true);
		if (r == -ENOENT)
			r = 0;
	}
	if (!r && res->has_memory)
		r = put_int(a, dir, "memory.max", res->memory, true);
	if (!r && res->has_memory_reservation)
		r = put_int(a, dir, "memory.low", res->memory_reservation, true);
	if (res->has_swappiness || res->has_oom_disable)
		log_warning(
			"linux.resources.memory.%s is not applied: cgroup v2 has no such setting",
			res->has_swappiness ? "swappiness" : "disableOOMKiller");
	return r;
}

static int apply_memory(const struct apply *a, const struct oci_resources *res)
{
	const char *dir;
	bool v2;
	int r;

	if (!res->has_memory && !res->has_memory_reservation && !res->has_memory_swap &&
	    !res->has_swappiness && !res->has_oom_disable)
		return 0;
	dir = need(a, "memory", "linux.resources.memory", &v2, &r);
	if (!dir)
		return r;
	return v2 ? memory_v2(a, dir, res) : memory_v1(a, dir, res);
}

static int cpu_v1(const struct apply *a, const char *dir, const struct oci_resources *res)
{
	int r = 0;

	if (res->has_shares)
		r = put_int(a, dir, "cpu.shares", (int64_t)res->shares, false);
	if (!r && res->has_rt_period)
		r = put_int(a, dir, "cpu.rt_period_us", (int64_t)res->rt_period, false);
	if (!r && res->has_rt_runtime)
		r = put_int(a, dir, "cpu.rt_runtime_us", res->rt_runtime, false);
	if (!r && res->has_period)
		r = put_int(a, dir, "cpu.cfs_period_us", (int64_t)res->period, false);
	if (!r && res->has_quota)
		r = put_int(a, dir, "cpu.cfs_quota_us", res->quota, false);
	return r;
}

static int cpu_v2(const struct apply *a, const char *dir, const struct oci_resources *res)
{
	char text[64];
	int r = 0;

	if (res->has_shares)
		r = put_int(a, dir, "cpu.weight", (int64_t)oci_cgroup_weight(res->shares), true);
	if (!r && (res->has_quota || res->has_period)) {
		uint64_t period = res->has_period ? res->period : 100000;

		if (res->has_quota && res->quota > 0)
			snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, res->quota, period);
		else
			snprintf(text, sizeof(text), "max %" PRIu64, period);
		r = put(a, dir, "cpu.max", text);
	}
	if (res->has_rt_period || res->has_rt_runtime)
		log_warning("linux.resources.cpu.realtime%s is not applied: cgroup v2 has no such "
			    "setting",
			    res->has_rt_period ? "Period" : "Runtime");
	return r;
}

static int apply_cpu(const struct apply *a, const struct oci_resources *res)
{
	const char *dir;
	bool v2;
	int r;

	if (res->has_shares || res->has_quota || res->has_period || res->has_rt_period ||
	    res->has_rt_runtime) {
		dir = need(a, "cpu", "linux.resources.cpu", &v2, &r);
		if (!dir)
			return r;
		r = v2 ? cpu_v2(a, dir, res) : cpu_v1(a, dir, res);
		if (r)
			return r;
	}
	if (!(res->cpus && *res->cpus) && !(res->mems && *res->mems))
		return 0;
	dir = need(a, "cpuset", "linux.resources.cpu.cpus", &v2, &r);
	if (dir && res->cpus && *res->cpus)
		r = put(a, dir, "cpuset.cpus", res->cpus);
	if (dir && !r && res->mems && *res->mems)
		r = put(a, dir, "cpuset.mems", res->mems);
	return r;
}

static int apply_pids(const struct apply *a, const struct oci_resources *res)
{
	const char *dir;
	char text[32];
	bool v2;
	int r;

	if (!res->has_pids)
		return 0;
	dir = need(a, "pids", "linux.resources.pids.limit", &v2, &r);
	if (!dir)
		return r;
	if (res->pids < 0 || res->pids > INT32_MAX)
		return put(a, dir, "pids.max", "max");
	snprintf(text, sizeof(text), "%" PRId64, res->pids + OCI_CGROUP_PIDS_EXTRA);
	return put(a, dir, "pids.max", text);
}

static int apply_others(const struct apply *a, const struct oci_resources *res)
{
	char file[128];
	const char *dir;
	bool v2;
	int r = 0;

	if (res->has_blkio_weight) {
		dir = oci_cgroup_dir(a->s, "blkio", &v2);
		if (!dir)
			dir = need(a, "io", "linux.resources.blockIO.weight", &v2, &r);
		if (dir)
			r = oci_cgroup_write(dir, v2 ? "io.bfq.weight" : "blkio.weight",
					     (snprintf(file, sizeof(file), "%" PRIu64,
						       res->blkio_weight),
					      file));
		if (r == -ENOENT || r == -EACCES) /* only the BFQ scheduler has the file */
			log_warning("linux.resources.blockIO.weight is not applied: the host's I/O "
				    "scheduler has no weights");
		else if (r)
			return oci_fail_errno(a->err, -r, "linux.resources.blockIO.weight");
		r = 0;
	}
	for (size_t i = 0; i < res->nhugetlb && !r; i++) {
		dir = need(a, "hugetlb", "linux.resources.hugepageLimits", &v2, &r);
		snprintf(file, sizeof(file), "hugetlb.%s.%s", res->hugetlb[i].page_size,
			 v2 ? "max" : "limit_in_bytes");
		if (dir)
			r = put_int(a, dir, file, (int64_t)res->hugetlb[i].limit, v2);
	}
	for (size_t i = 0; i < res->nunified && !r; i++) {
		dir = NULL;
		for (size_t j = 0; j < a->s->ncgroups; j++)
			if (!*a->s->cgroups[j].controllers)
				dir = a->s->cgroups[j].dir;
		if (!dir && !a->lenient)
			return oci_fail(a->err, ENOENT,
					"linux.resources.unified.%s: the host has no cgroup v2",
					res->unified[i].file);
		if (!dir) {
			log_warning("linux.resources.unified.%s is not applied: no permission for "
				    "cgroup v2",
				    res->unified[i].file);
			continue;
		}
		r = put(a, dir, res->unified[i].file, res->unified[i].value);
	}
	return r;
}

int oci_cgroup_limits(const struct oci_state *s, const struct oci_resources *res,
		      struct oci_error *err)
{
	struct apply a = {.s = s, .err = err, .lenient = s->rootless};
	int r;

	if ((r = apply_memory(&a, res)) || (r = apply_cpu(&a, res)) || (r = apply_pids(&a, res)))
		return r;
	r = apply_others(&a, res);
	return r ? r : oci_cgroup_settings(s, res, err);
}

bool oci_cgroup_frozen(const struct oci_state *s)
{
	char text[64];
	bool v2;
	const char *dir = oci_cgroup_dir(s, "freezer", &v2);

	if (!dir ||
	    oci_cgroup_read(dir, v2 ? "cgroup.freeze" : "freezer.state", text, sizeof(text)))
		return false;
	return v2 ? !strcmp(text, "1") : strcmp(text, "THAWED") != 0;
}

int oci_cgroup_freeze(const struct oci_state *s, bool freeze, struct oci_error *err)
{
	static const struct timespec tick = {.tv_nsec = 1000 * 1000};
	struct apply a = {.s = s, .err = err};
	char text[256];
	bool v2;
	int r;
	const char *dir = need(&a, "freezer", "cannot pause", &v2, &r);

	if (!dir)
		return r;
	for (int i = 0; i < 2000; i++) {
		/* Version 1 may get stuck in FREEZING; writing again makes it go on. */
		if (v2 ? i == 0 : i % 50 == 0) {
			r = v2 ? put(&a, dir, "cgroup.freeze", freeze ? "1" : "0")
			       : put(&a, dir, "freezer.state", freeze ? "FROZEN" : "THAWED");
			if (r)
				return r;
		}
		if (oci_cgroup_read(dir, v2 ? "cgroup.events" : "freezer.state", text,
				    sizeof(text)))
			break;
		if (v2 ? !!strstr(text, "frozen 1") == freeze
		       : !strcmp(text, freeze ? "FROZEN" : "THAWED"))
			return 0;
		nanosleep(&tick, NULL);
	}
	return oci_fail(err, ETIMEDOUT, "cgroup %s did not %s", dir, freeze ? "freeze" : "thaw");
}
