/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources of config.json and the document `update --resources` takes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/config.h"
#include "oci/config_settings.h"
#include "oci/json.h"
#include "oci/log.h"

struct where {
	struct oci_arena **arena;
	const char *file, *path;
	struct oci_error *err;
};

static int sub(const struct where *w, yajl_val obj, const char *key, char *path, size_t len,
	       yajl_val *out)
{
	struct json_in in = {w->file, w->err};

	json_path(path, len, w->path, key);
	return json_in_object(&in, obj, w->path, key, out);
}

static void warn_keys(const struct where *w, const char *path, yajl_val obj,
		      const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		yajl_val v = json_get(obj, keys[i]);
		bool empty = !v || YAJL_IS_FALSE(v) || (YAJL_IS_ARRAY(v) && !v->u.array.len) ||
			     (YAJL_IS_OBJECT(v) && !v->u.object.len) ||
			     (YAJL_IS_INTEGER(v) && !v->u.number.i);

		if (!empty)
			log_warning("%s: %s%s%s is not applied", w->file, path, *path ? "." : "",
				    keys[i]);
	}
}

static int opt_int(struct json_in *in, yajl_val obj, const char *path, const char *key, int64_t min,
		   bool *has, int64_t *out)
{
	int r = json_in_int(in, obj, path, key, min, INT64_MAX, out);

	if (!r)
		*has = json_get(obj, key) != NULL;
	return r;
}

static int opt_u64(struct json_in *in, yajl_val obj, const char *path, const char *key, bool *has,
		   uint64_t *out)
{
	int r = json_in_u64(in, obj, path, key, out);

	if (!r)
		*has = json_get(obj, key) != NULL;
	return r;
}

static int parse_memory(const struct where *w, yajl_val obj, struct oci_resources *res)
{
	static const char *const unapplied[] = {"kernel", "kernelTCP", "useHierarchy",
						"checkBeforeUpdate"};
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val m;
	int r = sub(w, obj, "memory", path, sizeof(path), &m);

	if (r || !m)
		return r;
	if ((r = opt_int(&in, m, path, "limit", -1, &res->has_memory, &res->memory)) ||
	    (r = opt_int(&in, m, path, "reservation", -1, &res->has_memory_reservation,
			 &res->memory_reservation)) ||
	    (r = opt_int(&in, m, path, "swap", -1, &res->has_memory_swap, &res->memory_swap)) ||
	    (r = opt_u64(&in, m, path, "swappiness", &res->has_swappiness, &res->swappiness)) ||
	    (r = json_in_bool(&in, m, path, "disableOOMKiller", &res->oom_disable)))
		return r;
	/* The spec's 0 means "not given" to runc and its callers. */
	res->has_memory = res->has_memory && res->memory;
	res->has_memory_reservation = res->has_memory_reservation && res->memory_reservation;
	res->has_memory_swap = res->has_memory_swap && res->memory_swap;
	res->has_oom_disable = res->oom_disable;
	if (res->has_swappiness && res->swappiness > 100)
		return oci_fail(w->err, EINVAL, "%s: %s.swappiness must be from 0 to 100", w->file,
				path);
	if (res->has_memory && res->memory > 0 && res->has_memory_swap && res->memory_swap > 0 &&
	    res->memory_swap < res->memory)
		return oci_fail(w->err, EINVAL, "%s: %s.swap must not be less than limit", w->file,
				path);
	warn_keys(w, path, m, unapplied, 4);
	return 0;
}

static int parse_cpu(const struct where *w, yajl_val obj, struct oci_resources *res)
{
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val c;
	int r = sub(w, obj, "cpu", path, sizeof(path), &c);

	if (r || !c)
		return r;
	if ((r = opt_u64(&in, c, path, "shares", &res->has_shares, &res->shares)) ||
	    (r = opt_int(&in, c, path, "quota", -1, &res->has_quota, &res->quota)) ||
	    (r = opt_u64(&in, c, path, "period", &res->has_period, &res->period)) ||
	    (r = opt_u64(&in, c, path, "realtimePeriod", &res->has_rt_period, &res->rt_period)) ||
	    (r = opt_int(&in, c, path, "realtimeRuntime", 0, &res->has_rt_runtime,
			 &res->rt_runtime)) ||
	    (r = json_in_string(&in, c, path, "cpus", &res->cpus)) ||
	    (r = json_in_string(&in, c, path, "mems", &res->mems)))
		return r;
	res->has_shares = res->has_shares && res->shares;
	res->has_quota = res->has_quota && res->quota;
	res->has_period = res->has_period && res->period;
	res->has_rt_period = res->has_rt_period && res->rt_period;
	res->has_rt_runtime = res->has_rt_runtime && res->rt_runtime;
	return 0;
}

static int parse_hugetlb(const struct where *w, yajl_val obj, struct oci_resources *res)
{
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val list;
	int r = json_in_array(&in, obj, w->path, "hugepageLimits",
			      sizeof(res->hugetlb) / sizeof(res->hugetlb[0]), &list);

	for (size_t i = 0; list && i < list->u.array.len && !r; i++) {
		yajl_val v = list->u.array.values[i];

		snprintf(path, sizeof(path), "%s%shugepageLimits[%zu]", w->path,
			 *w->path ? "." : "", i);
		if (!YAJL_IS_OBJECT(v))
			return oci_fail(w->err, EINVAL, "%s: %s must be an object", w->file, path);
		if ((r = json_in_string(&in, v, path, "pageSize", &res->hugetlb[i].page_size)) ||
		    (r = json_in_u64(&in, v, path, "limit", &res->hugetlb[i].limit)))
			return r;
		if (!res->hugetlb[i].page_size || !*res->hugetlb[i].page_size ||
		    strchr(res->hugetlb[i].page_size, '/'))
			return oci_fail(w->err, EINVAL, "%s: %s.pageSize must be a page size",
					w->file, path);
		res->nhugetlb = i + 1;
	}
	return r;
}

static int parse_unified(const struct where *w, yajl_val obj, struct oci_resources *res)
{
	char path[128];
	yajl_val u;
	int r = sub(w, obj, "unified", path, sizeof(path), &u);

	if (r || !u)
		return r;
	if (u->u.object.len > sizeof(res->unified) / sizeof(res->unified[0]))
		return oci_fail(w->err, EINVAL, "%s: %s has too many members", w->file, path);
	for (size_t i = 0; i < u->u.object.len; i++) {
		const char *file = u->u.object.keys[i];

		if (!YAJL_IS_STRING(u->u.object.values[i]))
			return oci_fail(w->err, EINVAL, "%s: %s.%s must be a string", w->file, path,
					file);
		if (strchr(file, '/') || !strchr(file, '.') || file[0] == '.')
			return oci_fail(w->err, EINVAL, "%s: %s: \"%s\" is not a cgroup file",
					w->file, path, file);
		res->unified[i].file = file;
		res->unified[i].value = u->u.object.values[i]->u.string;
		res->nunified = i + 1;
	}
	return 0;
}

int oci_resources_parse(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
			struct oci_resources *res, struct oci_error *err)
{
	struct where w = {arena, file, path, err};
	struct json_in in = {file, err};
	char p[128];
	yajl_val v;
	int r;

	if ((r = parse_memory(&w, obj, res)) || (r = parse_cpu(&w, obj, res)) ||
	    (r = sub(&w, obj, "pids", p, sizeof(p), &v)) ||
	    (r = opt_int(&in, v, p, "limit", INT64_MIN, &res->has_pids, &res->pids)))
		return r;
	res->has_pids = res->has_pids && res->pids;
	if ((r = sub(&w, obj, "blockIO", p, sizeof(p), &v)) ||
	    (r = opt_u64(&in, v, p, "weight", &res->has_blkio_weight, &res->blkio_weight)))
		return r;
	res->has_blkio_weight = res->has_blkio_weight && res->blkio_weight;
	if ((r = parse_hugetlb(&w, obj, res)) || (r = parse_unified(&w, obj, res)))
		return r;
	return oci_resources_settings(arena, obj, file, path, res, err);
}
