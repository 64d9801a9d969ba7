/* SPDX-License-Identifier: Apache-2.0 */
/* The process object of config.json and of exec's process.json. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "oci/caps.h"
#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"

static const struct {
	const char *name;
	int number;
} rlimit_names[] = {
	{"RLIMIT_AS", RLIMIT_AS},
	{"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},
	{"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

const char *oci_rlimit_name(int number)
{
	for (size_t i = 0; i < sizeof(rlimit_names) / sizeof(rlimit_names[0]); i++)
		if (rlimit_names[i].number == number)
			return rlimit_names[i].name;
	return "";
}

struct where {
	struct oci_arena **arena;
	const char *file, *path;
	struct oci_error *err;
};

static const char *at(const struct where *w, const char *key, char *buf, size_t len)
{
	return json_path(buf, len, w->path, key);
}

static int parse_user(const struct where *w, yajl_val obj, struct oci_process *p)
{
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val user, gids;
	int64_t uid = 0, gid = 0, mask = -1;
	gid_t *groups;
	int r = json_in_object(&in, obj, w->path, "user", &user);

	if (r || !user)
		return r;
	at(w, "user", path, sizeof(path));
	if ((r = json_in_int(&in, user, path, "uid", 0, UINT32_MAX - 1, &uid)) ||
	    (r = json_in_int(&in, user, path, "gid", 0, UINT32_MAX - 1, &gid)) ||
	    (r = json_in_int(&in, user, path, "umask", 0, 0777, &mask)) ||
	    (r = json_in_array(&in, user, path, "additionalGids", 65536, &gids)))
		return r;
	p->uid = (uid_t)uid, p->gid = (gid_t)gid, p->umask = (mode_t)mask;
	if (!gids)
		return 0;
	groups = oci_arena_alloc(w->arena, gids->u.array.len + 1, sizeof(*groups));
	if (!groups)
		return oci_fail_errno(w->err, ENOMEM, "%s", w->file);
	for (size_t i = 0; i < gids->u.array.len; i++) {
		yajl_val g = gids->u.array.values[i];

		if (!YAJL_IS_INTEGER(g) || g->u.number.i < 0 || g->u.number.i >= UINT32_MAX)
			return oci_fail(w->err, EINVAL,
					"%s: %s.additionalGids[%zu] must be a group id", w->file,
					path, i);
		groups[i] = (gid_t)g->u.number.i;
	}
	p->groups = groups;
	p->ngroups = gids->u.array.len;
	return 0;
}

static int parse_capset(const struct where *w, yajl_val caps, const char *path, const char *key,
			uint64_t *out)
{
	char **list = NULL;
	size_t n = 0;
	int r = oci_config_strings(w->arena, caps, w->file, path, key, &list, &n, w->err);

	for (size_t i = 0; i < n && !r; i++) {
		int c = oci_cap_number(list[i]);

		/* Newer names than ours are ignored with a warning, as the specification wants. */
		if (c < 0)
			log_warning("%s: %s.%s[%zu]: unknown capability \"%s\" ignored", w->file,
				    path, key, i, list[i]);
		else
			*out |= (uint64_t)1 << c;
	}
	return r;
}

static int parse_caps(const struct where *w, yajl_val obj, struct oci_process *p)
{
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val caps;
	int r = json_in_object(&in, obj, w->path, "capabilities", &caps);

	if (r || !caps)
		return r;
	at(w, "capabilities", path, sizeof(path));
	if ((r = parse_capset(w, caps, path, "bounding", &p->cap_bounding)) ||
	    (r = parse_capset(w, caps, path, "effective", &p->cap_effective)) ||
	    (r = parse_capset(w, caps, path, "inheritable", &p->cap_inheritable)) ||
	    (r = parse_capset(w, caps, path, "permitted", &p->cap_permitted)))
		return r;
	return parse_capset(w, caps, path, "ambient", &p->cap_ambient);
}

static int parse_rlimit(const struct where *w, yajl_val v, size_t i, struct oci_process *p)
{
	struct json_in in = {w->file, w->err};
	char path[160], key[32];
	const char *type = NULL;
	uint64_t hard = 0, soft = 0;
	int r, number = -1;

	snprintf(key, sizeof(key), "rlimits[%zu]", i);
	at(w, key, path, sizeof(path));
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(w->err, EINVAL, "%s: %s must be an object", w->file, path);
	if ((r = json_in_string(&in, v, path, "type", &type)) ||
	    (r = json_in_u64(&in, v, path, "hard", &hard)) ||
	    (r = json_in_u64(&in, v, path, "soft", &soft)))
		return r;
	for (size_t j = 0; type && j < sizeof(rlimit_names) / sizeof(rlimit_names[0]); j++)
		if (!strcmp(rlimit_names[j].name, type))
			number = rlimit_names[j].number;
	if (number < 0)
		return oci_fail(w->err, EINVAL, "%s: %s.type: invalid rlimit type: %s", w->file,
				path, type ? type : "");
	if (p->rlimit_set[number])
		return oci_fail(w->err, EINVAL, "%s: %s.type: %s is given twice", w->file, path,
				type);
	if (soft > hard)
		return oci_fail(w->err, EINVAL, "%s: %s.soft must not exceed hard", w->file, path);
	p->rlimits[number] = (struct rlimit64){soft, hard};
	p->rlimit_set[number] = true;
	return 0;
}

static int parse_rlimits(const struct where *w, yajl_val obj, struct oci_process *p)
{
	struct json_in in = {w->file, w->err};
	yajl_val list;
	int r = json_in_array(&in, obj, w->path, "rlimits", 64, &list);

	for (size_t i = 0; list && i < list->u.array.len && !r; i++)
		r = parse_rlimit(w, list->u.array.values[i], i, p);
	return r;
}

/* Of two settings of a variable the last one counts. */
static void drop_duplicates(char **env)
{
	size_t out = 0;

	for (size_t i = 0; env && env[i]; i++) {
		size_t name = strcspn(env[i], "=") + 1;
		bool again = false;

		for (size_t j = i + 1; env[j] && !again; j++)
			again = !strncmp(env[j], env[i], name);
		if (!again)
			env[out++] = env[i];
	}
	if (env)
		env[out] = NULL;
}

static int parse_argv(const struct where *w, yajl_val obj, struct oci_process *p)
{
	static char *const no_env[] = {NULL};
	struct json_in in = {w->file, w->err};
	char path[128];
	char **args = NULL, **env = NULL;
	size_t nargs = 0, nenv = 0;
	int r;

	if ((r = oci_config_strings(w->arena, obj, w->file, w->path, "args", &args, &nargs,
				    w->err)) ||
	    (r = oci_config_strings(w->arena, obj, w->file, w->path, "env", &env, &nenv, w->err)) ||
	    (r = json_in_string(&in, obj, w->path, "cwd", &p->cwd)))
		return r;
	if (!nargs)
		return oci_fail(w->err, EINVAL, "%s: %s must have at least one element", w->file,
				at(w, "args", path, sizeof(path)));
	if (!p->cwd || !*p->cwd)
		return oci_fail(w->err, EINVAL, "%s: %s must not be empty", w->file,
				at(w, "cwd", path, sizeof(path)));
	if (p->cwd[0] != '/')
		return oci_fail(w->err, EINVAL, "%s: %s must be an absolute path", w->file,
				at(w, "cwd", path, sizeof(path)));
	for (size_t i = 0; i < nenv; i++)
		if (!strchr(env[i], '=') || env[i][0] == '=')
			return oci_fail(w->err, EINVAL, "%s: %s[%zu] must look like NAME=value",
					w->file, at(w, "env", path, sizeof(path)), i);
	p->args = args;
	p->env = env ? env : no_env;
	drop_duplicates(env);
	return 0;
}

static int parse_console(const struct where *w, yajl_val obj, struct oci_process *p)
{
	struct json_in in = {w->file, w->err};
	char path[128];
	yajl_val size;
	int64_t height = 0, width = 0;
	int r;

	if ((r = json_in_bool(&in, obj, w->path, "terminal", &p->terminal)) ||
	    (r = json_in_object(&in, obj, w->path, "consoleSize", &size)) || !size)
		return r;
	at(w, "consoleSize", path, sizeof(path));
	if ((r = json_in_int(&in, size, path, "height", 0, UINT16_MAX, &height)) ||
	    (r = json_in_int(&in, size, path, "width", 0, UINT16_MAX, &width)))
		return r;
	p->console_height = (uint16_t)height;
	p->console_width = (uint16_t)width;
	return 0;
}

int oci_process_parse(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		      struct oci_process *out, struct oci_error *err)
{
	struct where w = {arena, file, path, err};
	struct json_in in = {file, err};
	int64_t oom = INT64_MIN;
	int r;

	*out = (struct oci_process){.umask = (mode_t)-1,
				    .scheduler = {.policy = -1},
				    .io_priority = -1};
	if ((r = parse_argv(&w, obj, out)) || (r = parse_console(&w, obj, out)) ||
	    (r = parse_user(&w, obj, out)) || (r = parse_caps(&w, obj, out)) ||
	    (r = parse_rlimits(&w, obj, out)) ||
	    (r = json_in_bool(&in, obj, path, "noNewPrivileges", &out->no_new_privs)) ||
	    (r = json_in_int(&in, obj, path, "oomScoreAdj", -1000, 1000, &oom)) ||
	    (r = json_in_string(&in, obj, path, "apparmorProfile", &out->apparmor)) ||
	    (r = json_in_string(&in, obj, path, "selinuxLabel", &out->selinux)))
		return r;
	out->has_oom_score_adj = oom != INT64_MIN;
	out->oom_score_adj = out->has_oom_score_adj ? (int)oom : 0;
	return oci_process_sched(obj, file, path, out, err);
}

int oci_env_default(struct oci_arena **arena, char *const **env, const char *pair)
{
	size_t name = (size_t)(strchr(pair, '=') - pair) + 1, n = 0;
	char **list;

	for (; (*env)[n]; n++)
		if (!strncmp((*env)[n], pair, name))
			return 0;
	list = oci_arena_alloc(arena, n + 2, sizeof(*list));
	if (!list)
		return -ENOMEM;
	memcpy(list, *env, n * sizeof(*list));
	list[n] = (char *)pair;
	*env = list;
	return 0;
}
