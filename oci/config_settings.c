/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of linux.resources that come down to one line written to one file of a control group: block
 * devices, rdma, network classes, the CPU's burst and idle (config-linux.md; the kernel's cgroup-v1/
 * and cgroup-v2.rst name the files).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oci/config.h"
#include "oci/config_settings.h"
#include "oci/json.h"
#include "oci/log.h"

#define SETTINGS_MAX 512
#define LINE_MAX_LEN 160

struct out {
	struct oci_arena **arena;
	struct json_in in;
	struct oci_cgroup_setting *list;
	size_t n;
};

static char *text(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static char *text(struct out *o, const char *format, ...)
{
	char *s = oci_arena_alloc(o->arena, LINE_MAX_LEN, 1);
	va_list ap;

	if (!s)
		return NULL;
	va_start(ap, format);
	vsnprintf(s, LINE_MAX_LEN, format, ap);
	va_end(ap);
	return s;
}

static int add(struct out *o, struct oci_cgroup_setting s)
{
	if (!s.key || (s.file && !s.value) || (s.file2 && !s.value2))
		return oci_fail_errno(o->in.err, ENOMEM, "%s", o->in.file);
	if (o->n == SETTINGS_MAX)
		return oci_fail(o->in.err, E2BIG, "%s: %s: too many settings", o->in.file, s.key);
	o->list[o->n++] = s;
	return 0;
}

/* ---- block devices ---- */

static int device_numbers(struct out *o, yajl_val v, const char *at, uint64_t *major,
			  uint64_t *minor)
{
	int r;

	*major = *minor = UINT64_MAX;
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(o->in.err, EINVAL, "%s: %s must be an object", o->in.file, at);
	if ((r = json_in_u64(&o->in, v, at, "major", major)) ||
	    (r = json_in_u64(&o->in, v, at, "minor", minor)))
		return r;
	if (*major > UINT32_MAX || *minor > UINT32_MAX)
		return oci_fail(o->in.err, EINVAL, "%s: %s needs major and minor", o->in.file, at);
	return 0;
}

static int throttle(struct out *o, yajl_val io, const char *path)
{
	static const struct {
		const char *key, *file, *word;
	} kinds[] = {
		{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
		{"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
		{"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
		{"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"},
	};
	int r = 0;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && !r; k++) {
		yajl_val v;

		r = json_in_array(&o->in, io, path, kinds[k].key, SETTINGS_MAX, &v);
		for (size_t i = 0; !r && v && i < v->u.array.len; i++) {
			char *at = text(o, "%s.%s[%zu]", path, kinds[k].key, i);
			uint64_t ma, mi, rate = 0;

			if (!at)
				return oci_fail_errno(o->in.err, ENOMEM, "%s", o->in.file);
			if ((r = device_numbers(o, v->u.array.values[i], at, &ma, &mi)) ||
			    (r = json_in_u64(&o->in, v->u.array.values[i], at, "rate", &rate)))
				break;
			r = add(o,
				(struct oci_cgroup_setting){
					at, "blkio", "io", kinds[k].file,
					text(o, "%" PRIu64 ":%" PRIu64 " %" PRIu64, ma, mi, rate),
					"io.max",
					text(o,
					     rate ? "%" PRIu64 ":%" PRIu64 " %s=%" PRIu64
						  : "%" PRIu64 ":%" PRIu64 " %s=max",
					     ma, mi, kinds[k].word, rate)});
		}
	}
	return r;
}

static int weights(struct out *o, yajl_val io, const char *path)
{
	yajl_val v;
	int r = json_in_array(&o->in, io, path, "weightDevice", SETTINGS_MAX, &v);

	for (size_t i = 0; !r && v && i < v->u.array.len; i++) {
		char *at = text(o, "%s.weightDevice[%zu]", path, i);
		uint64_t ma, mi, weight = 0;
		char *line;

		if (!at)
			return oci_fail_errno(o->in.err, ENOMEM, "%s", o->in.file);
		if ((r = device_numbers(o, v->u.array.values[i], at, &ma, &mi)) ||
		    (r = json_in_u64(&o->in, v->u.array.values[i], at, "weight", &weight)))
			break;
		if (json_get(v->u.array.values[i], "leafWeight"))
			log_warning("%s: %s.leafWeight is not applied: no kernel has it any more",
				    o->in.file, at);
		line = text(o, "%" PRIu64 ":%" PRIu64 " %" PRIu64, ma, mi, weight);
		if (weight)
			r = add(o, (struct oci_cgroup_setting){at, "blkio", "io",
							       "blkio.weight_device", line,
							       "io.bfq.weight", line});
	}
	if (!r && json_get(io, "leafWeight"))
		log_warning("%s: %s.leafWeight is not applied: no kernel has it any more",
			    o->in.file, path);
	return r;
}

/* ---- rdma ---- */

static int rdma(struct out *o, yajl_val res, const char *path)
{
	yajl_val all;
	char base[96];
	int r = json_in_object(&o->in, res, path, "rdma", &all);

	json_path(base, sizeof(base), path, "rdma");
	for (size_t i = 0; !r && all && i < all->u.object.len; i++) {
		static const char *const keys[] = {"hcaHandles", "hcaObjects"},
					 *const words[] = {"hca_handle", "hca_object"};
		const char *name = all->u.object.keys[i];
		char *at = text(o, "%s.%s", base, name), part[2][48] = {"", ""};
		yajl_val v = all->u.object.values[i];

		if (!at)
			return oci_fail_errno(o->in.err, ENOMEM, "%s", o->in.file);
		if (!YAJL_IS_OBJECT(v) || strpbrk(name, " \n") || strlen(name) > 64)
			return oci_fail(o->in.err, EINVAL, "%s: %s must be an object", o->in.file,
					at);
		for (int k = 0; k < 2 && !r; k++) {
			uint64_t n = 0;

			r = json_in_u64(&o->in, v, at, keys[k], &n);
			if (!r && json_get(v, keys[k]))
				snprintf(part[k], sizeof(part[k]), " %s=%" PRIu64, words[k], n);
		}
		if (!r && (*part[0] || *part[1])) {
			char *line = text(o, "%s%s%s", name, part[0], part[1]);

			r = add(o, (struct oci_cgroup_setting){at, "rdma", "rdma", "rdma.max", line,
							       "rdma.max", line});
		}
	}
	return r;
}

/* ---- network classes: version 1 alone has them ---- */

static int network(struct out *o, yajl_val res, const char *path)
{
	yajl_val net, list = NULL;
	char base[96];
	uint64_t class = 0;
	int r = json_in_object(&o->in, res, path, "network", &net);

	json_path(base, sizeof(base), path, "network");
	if (r || !net || (r = json_in_u64(&o->in, net, base, "classID", &class)) ||
	    (r = json_in_array(&o->in, net, base, "priorities", SETTINGS_MAX, &list)))
		return r;
	if (class)
		r = add(o, (struct oci_cgroup_setting){text(o, "%s.classID", base), "net_cls", NULL,
						       "net_cls.classid",
						       text(o, "%" PRIu64, class), NULL, NULL});
	for (size_t i = 0; !r && list && i < list->u.array.len; i++) {
		char *at = text(o, "%s.priorities[%zu]", base, i);
		yajl_val v = list->u.array.values[i];
		const char *name = NULL;
		uint64_t priority = 0;

		if (!at)
			return oci_fail_errno(o->in.err, ENOMEM, "%s", o->in.file);
		if (!YAJL_IS_OBJECT(v))
			return oci_fail(o->in.err, EINVAL, "%s: %s must be an object", o->in.file,
					at);
		if ((r = json_in_string(&o->in, v, at, "name", &name)) ||
		    (r = json_in_u64(&o->in, v, at, "priority", &priority)))
			break;
		if (!name || !*name || strpbrk(name, " \n") || strlen(name) > 15)
			return oci_fail(o->in.err, EINVAL,
					"%s: %s.name must be the name of an interface", o->in.file,
					at);
		r = add(o, (struct oci_cgroup_setting){at, "net_prio", NULL, "net_prio.ifpriomap",
						       text(o, "%s %" PRIu64, name, priority), NULL,
						       NULL});
	}
	return r;
}

/* ---- the CPU ---- */

static int cpu(struct out *o, yajl_val res, const char *path)
{
	char base[96], *line;
	uint64_t burst = 0;
	int64_t idle = 0;
	yajl_val c;
	int r = json_in_object(&o->in, res, path, "cpu", &c);

	json_path(base, sizeof(base), path, "cpu");
	if (r || !c || (r = json_in_u64(&o->in, c, base, "burst", &burst)) ||
	    (r = json_in_int(&o->in, c, base, "idle", 0, 1, &idle)))
		return r;
	line = text(o, "%" PRIu64, burst);
	if (json_get(c, "burst"))
		r = add(o, (struct oci_cgroup_setting){text(o, "%s.burst", base), "cpu", "cpu",
						       "cpu.cfs_burst_us", line, "cpu.max.burst",
						       line});
	line = text(o, "%d", (int)idle);
	if (!r && json_get(c, "idle"))
		r = add(o, (struct oci_cgroup_setting){text(o, "%s.idle", base), "cpu", "cpu",
						       "cpu.idle", line, "cpu.idle", line});
	return r;
}

int oci_resources_settings(struct oci_arena **arena, yajl_val obj, const char *file,
			   const char *path, struct oci_resources *res, struct oci_error *err)
{
	struct out o = {.arena = arena, .in = {file, err}};
	char base[96];
	yajl_val io;
	int r;

	o.list = oci_arena_alloc(arena, SETTINGS_MAX, sizeof(*o.list));
	if (!o.list)
		return oci_fail_errno(err, ENOMEM, "%s", file);
	if ((r = cpu(&o, obj, path)) || (r = json_in_object(&o.in, obj, path, "blockIO", &io)))
		return r;
	json_path(base, sizeof(base), path, "blockIO");
	if (io && ((r = weights(&o, io, base)) || (r = throttle(&o, io, base))))
		return r;
	if ((r = rdma(&o, obj, path)) || (r = network(&o, obj, path)))
		return r;
	res->settings = o.list;
	res->nsettings = o.n;
	return 0;
}
