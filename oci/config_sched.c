/* SPDX-License-Identifier: Apache-2.0 */
/* process.scheduler, process.ioPriority, process.execCPUAffinity (runtime specification, config.md). */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"

struct name {
	const char *name;
	int value;
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* linux/sched.h */
static const struct name policies[] = {
	{"SCHED_OTHER", 0}, {"SCHED_FIFO", 1}, {"SCHED_RR", 2},	      {"SCHED_BATCH", 3},
	{"SCHED_ISO", 4},   {"SCHED_IDLE", 5}, {"SCHED_DEADLINE", 6},
};
#define POLICY_ISO 4
#define POLICY_DEADLINE 6
static const struct name flags[] = {
	{"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},
	{"SCHED_FLAG_DL_OVERRUN", 0x04},     {"SCHED_FLAG_KEEP_POLICY", 0x08},
	{"SCHED_FLAG_KEEP_PARAMS", 0x10},    {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};
/* linux/ioprio.h */
static const struct name io_classes[] = {
	{"IOPRIO_CLASS_RT", 1},
	{"IOPRIO_CLASS_BE", 2},
	{"IOPRIO_CLASS_IDLE", 3},
};
#define IO_CLASS_SHIFT 13

static int value_of(const struct name *names, size_t n, const char *s)
{
	for (size_t i = 0; s && i < n; i++)
		if (!strcmp(names[i].name, s))
			return names[i].value;
	return -1;
}

static const char *name_of(const struct name *names, size_t n, int value)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].value == value)
			return names[i].name;
	return NULL;
}

const char *oci_sched_policy_name(int policy)
{
	return name_of(policies, COUNT(policies), policy);
}

const char *oci_io_class_name(int class)
{
	return name_of(io_classes, COUNT(io_classes), class);
}

static int parse_flags(struct json_in *in, yajl_val obj, const char *path, uint64_t *out)
{
	yajl_val list;
	int r = json_in_array(in, obj, path, "flags", 16, &list);

	for (size_t i = 0; !r && list && i < list->u.array.len; i++) {
		const char *s = YAJL_GET_STRING(list->u.array.values[i]);
		int f = value_of(flags, COUNT(flags), s);

		if (f < 0)
			return oci_fail(in->err, EINVAL, "%s: %s.flags[%zu]: unknown flag \"%s\"",
					in->file, path, i, s ? s : "");
		*out |= (uint64_t)f;
	}
	return r;
}

static int parse_scheduler(struct json_in *in, yajl_val obj, const char *path,
			   struct oci_scheduler *s)
{
	int64_t nice = 0, priority = 0;
	const char *policy = NULL;
	bool rt;
	int r;

	if ((r = json_in_string(in, obj, path, "policy", &policy)) ||
	    (r = json_in_int(in, obj, path, "nice", -20, 19, &nice)) ||
	    (r = json_in_int(in, obj, path, "priority", 0, 99, &priority)) ||
	    (r = parse_flags(in, obj, path, &s->flags)))
		return r;
	s->policy = value_of(policies, COUNT(policies), policy);
	if (s->policy < 0)
		return oci_fail(in->err, EINVAL, "%s: %s.policy: unknown policy \"%s\"", in->file,
				path, policy ? policy : "");
	if (s->policy == POLICY_DEADLINE || s->policy == POLICY_ISO)
		return oci_fail(in->err, ENOTSUP,
				"%s: %s.policy: %s cannot be given to the threads of a sandbox",
				in->file, path, policy);
	rt = s->policy == 1 || s->policy == 2;
	if (rt ? priority < 1 : priority != 0)
		return oci_fail(in->err, EINVAL, "%s: %s.priority must be %s with %s", in->file,
				path, rt ? "from 1 to 99" : "0", policy);
	if (rt && nice)
		return oci_fail(in->err, EINVAL, "%s: %s.nice must be 0 with %s", in->file, path,
				policy);
	/* Times are deadline scheduling's alone, as the specification has it. */
	if (json_get(obj, "runtime") || json_get(obj, "deadline") || json_get(obj, "period"))
		return oci_fail(in->err, EINVAL,
				"%s: %s: runtime, deadline and period need SCHED_DEADLINE",
				in->file, path);
	s->nice = (int)nice;
	s->priority = (int)priority;
	return 0;
}

static int parse_io(struct json_in *in, yajl_val obj, const char *path, int *out)
{
	const char *class = NULL;
	int64_t priority = 0;
	int c, r;

	if ((r = json_in_string(in, obj, path, "class", &class)) ||
	    (r = json_in_int(in, obj, path, "priority", 0, 7, &priority)))
		return r;
	c = value_of(io_classes, COUNT(io_classes), class);
	if (c < 0)
		return oci_fail(in->err, EINVAL, "%s: %s.class: unknown class \"%s\"", in->file,
				path, class ? class : "");
	*out = c << IO_CLASS_SHIFT | (int)priority;
	return 0;
}

static const char *number(const char *s, unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*s))
		return NULL;
	*out = strtoul(s, &end, 10);
	return *out < 1024 ? end : NULL;
}

bool oci_cpus_parse(const char *s, struct oci_cpus *out)
{
	*out = (struct oci_cpus){0};
	for (;;) {
		unsigned long first, last;

		s = number(s, &first);
		last = first;
		if (s && *s == '-')
			s = number(s + 1, &last);
		if (!s || last < first)
			return false;
		for (; first <= last; first++)
			out->bits[first / 64] |= (uint64_t)1 << first % 64;
		out->given = true;
		if (!*s)
			return true;
		if (*s++ != ',')
			return false;
	}
}

static int parse_cpus(struct json_in *in, yajl_val obj, const char *path, const char *key,
		      struct oci_cpus *out)
{
	const char *s = NULL;
	int r = json_in_string(in, obj, path, key, &s);

	if (r || !s || !*s)
		return r;
	return oci_cpus_parse(s, out)
		       ? 0
		       : oci_fail(in->err, EINVAL, "%s: %s.%s: \"%s\" is not a list of CPUs",
				  in->file, path, key, s);
}

int oci_process_sched(yajl_val obj, const char *file, const char *path, struct oci_process *p,
		      struct oci_error *err)
{
	struct json_in in = {file, err};
	char at[128];
	yajl_val v;
	int r = json_in_object(&in, obj, path, "scheduler", &v);

	if (!r && v)
		r = parse_scheduler(&in, v, json_path(at, sizeof(at), path, "scheduler"),
				    &p->scheduler);
	if (!r)
		r = json_in_object(&in, obj, path, "ioPriority", &v);
	if (!r && v)
		r = parse_io(&in, v, json_path(at, sizeof(at), path, "ioPriority"),
			     &p->io_priority);
	if (!r)
		r = json_in_object(&in, obj, path, "execCPUAffinity", &v);
	if (r || !v)
		return r;
	json_path(at, sizeof(at), path, "execCPUAffinity");
	r = parse_cpus(&in, v, at, "initial", &p->affinity_initial);
	return r ? r : parse_cpus(&in, v, at, "final", &p->affinity_final);
}
