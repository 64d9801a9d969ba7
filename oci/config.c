/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: the top level, mounts, hooks and annotations. */
#include "oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/mountopt.h"

#define FILE_NAME "config.json"
#define MAX_LIST 65536 /* elements of any array: beyond every real configuration */

const char *const oci_hook_names[OCI_HOOK_KINDS] = {"prestart",	       "createRuntime",
						    "createContainer", "startContainer",
						    "poststart",       "poststop"};

struct oci_arena {
	struct oci_arena *next;
	max_align_t data[];
};

void *oci_arena_alloc(struct oci_arena **a, size_t n, size_t size)
{
	size_t bytes;
	struct oci_arena *c;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	c = calloc(1, sizeof(*c) + bytes);
	if (!c)
		return NULL;
	c->next = *a;
	*a = c;
	return c->data;
}

void oci_arena_free(struct oci_arena **a)
{
	while (*a) {
		struct oci_arena *next = (*a)->next;

		free(*a);
		*a = next;
	}
}

int oci_config_strings(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		       const char *key, char ***out, size_t *n, struct oci_error *err)
{
	struct json_in in = {file, err};
	char p[256];
	yajl_val v;
	char **list;
	int r = json_in_array(&in, obj, path, key, MAX_LIST, &v);

	if (r || !v)
		return r;
	list = oci_arena_alloc(arena, v->u.array.len + 1, sizeof(*list));
	if (!list)
		return oci_fail_errno(err, ENOMEM, "%s", file);
	for (size_t i = 0; i < v->u.array.len; i++) {
		if (!YAJL_IS_STRING(v->u.array.values[i]))
			return oci_fail(err, EINVAL, "%s: %s[%zu] must be a string", file,
					json_path(p, sizeof(p), path, key), i);
		list[i] = v->u.array.values[i]->u.string;
	}
	*out = list;
	*n = v->u.array.len;
	return 0;
}

int oci_config_pairs(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		     const char *key, const struct oci_pair **out, size_t *n, struct oci_error *err)
{
	struct json_in in = {file, err};
	struct oci_pair *list;
	char p[256];
	yajl_val v;
	int r = json_in_object(&in, obj, path, key, &v);

	if (r || !v)
		return r;
	list = oci_arena_alloc(arena, v->u.object.len + 1, sizeof(*list));
	if (!list)
		return oci_fail_errno(err, ENOMEM, "%s", file);
	for (size_t i = 0; i < v->u.object.len; i++) {
		if (!YAJL_IS_STRING(v->u.object.values[i]))
			return oci_fail(err, EINVAL, "%s: %s.%s must be a string", file,
					json_path(p, sizeof(p), path, key), v->u.object.keys[i]);
		list[i] = (struct oci_pair){v->u.object.keys[i], v->u.object.values[i]->u.string};
	}
	*out = list;
	*n = v->u.object.len;
	return 0;
}

static int parse_version(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	int r = json_in_string(&in, cfg->tree, "", "ociVersion", &cfg->oci_version);

	if (r)
		return r;
	if (!cfg->oci_version)
		return oci_fail(err, EINVAL, FILE_NAME ": ociVersion must be given");
	if (strncmp(cfg->oci_version, "1.", 2))
		return oci_fail(err, EINVAL, FILE_NAME ": ociVersion must be 1.x, not \"%s\"",
				cfg->oci_version);
	return 0;
}

static int parse_root(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val root;
	int r = json_in_object(&in, cfg->tree, "", "root", &root);

	if (r)
		return r;
	if (!root)
		return oci_fail(err, EINVAL, FILE_NAME ": root must be specified");
	r = json_in_string(&in, root, "root", "path", &cfg->rootfs);
	if (!r)
		r = json_in_bool(&in, root, "root", "readonly", &cfg->root_readonly);
	if (!r && (!cfg->rootfs || !*cfg->rootfs))
		r = oci_fail(err, EINVAL, FILE_NAME ": root.path must not be empty");
	return r;
}

static int parse_mount(struct oci_config *cfg, yajl_val v, size_t i, struct oci_mount *m,
		       struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	struct oci_mount_options o;
	char path[64], key[96];
	int r;

	snprintf(path, sizeof(path), "mounts[%zu]", i);
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(err, EINVAL, FILE_NAME ": %s must be an object", path);
	r = json_in_string(&in, v, path, "destination", &m->destination);
	if (!r)
		r = json_in_string(&in, v, path, "type", &m->type);
	if (!r)
		r = json_in_string(&in, v, path, "source", &m->source);
	if (!r)
		r = oci_config_strings(&cfg->arena, v, FILE_NAME, path, "options",
				       (char ***)&m->options, &m->noptions, err);
	if (r)
		return r;
	if (!m->destination || !*m->destination)
		return oci_fail(err, EINVAL, FILE_NAME ": %s.destination must not be empty", path);
	if ((r = oci_config_idmap(&cfg->arena, v, path, "uidMappings", &m->uid_map, &m->nuid_map,
				  err)) ||
	    (r = oci_config_idmap(&cfg->arena, v, path, "gidMappings", &m->gid_map, &m->ngid_map,
				  err)))
		return r;
	if (!m->nuid_map != !m->ngid_map)
		return oci_fail(err, EINVAL, FILE_NAME ": %s.%s must be given with %s", path,
				m->nuid_map ? "gidMappings" : "uidMappings",
				m->nuid_map ? "uidMappings" : "gidMappings");
	if (m->destination[0] != '/')
		log_warning(FILE_NAME ": %s.destination \"%s\" is not absolute; taken from /", path,
			    m->destination);
	snprintf(key, sizeof(key), FILE_NAME ": %s.options", path);
	r = oci_mount_options_parse(m->options, m->noptions, key, &o, err);
	if (!r)
		oci_mount_options_free(&o);
	return r;
}

static int parse_mounts(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	struct oci_mount *list;
	yajl_val v;
	int r = json_in_array(&in, cfg->tree, "", "mounts", 4096, &v);

	if (r || !v)
		return r;
	list = oci_arena_alloc(&cfg->arena, v->u.array.len + 1, sizeof(*list));
	if (!list)
		return oci_fail_errno(err, ENOMEM, FILE_NAME);
	for (size_t i = 0; i < v->u.array.len && !r; i++)
		r = parse_mount(cfg, v->u.array.values[i], i, &list[i], err);
	if (r)
		return r;
	cfg->trees = oci_arena_alloc(&cfg->arena, v->u.array.len + 1, sizeof(*cfg->trees));
	if (!cfg->trees)
		return oci_fail_errno(err, ENOMEM, FILE_NAME);
	memset(cfg->trees, -1, v->u.array.len * sizeof(*cfg->trees));
	cfg->mounts = list;
	cfg->nmounts = v->u.array.len;
	return 0;
}

static int parse_hook(struct oci_config *cfg, yajl_val v, const char *path, struct oci_hook *h,
		      struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	int64_t timeout = 0;
	size_t n;
	int r;

	if (!YAJL_IS_OBJECT(v))
		return oci_fail(err, EINVAL, FILE_NAME ": %s must be an object", path);
	r = json_in_string(&in, v, path, "path", &h->path);
	if (!r)
		r = oci_config_strings(&cfg->arena, v, FILE_NAME, path, "args", (char ***)&h->args,
				       &n, err);
	if (!r)
		r = oci_config_strings(&cfg->arena, v, FILE_NAME, path, "env", (char ***)&h->env,
				       &n, err);
	if (!r)
		r = json_in_int(&in, v, path, "timeout", 1, 1 << 20, &timeout);
	if (!r && (!h->path || h->path[0] != '/'))
		r = oci_fail(err, EINVAL, FILE_NAME ": %s.path must be an absolute path", path);
	h->timeout = (int)timeout;
	return r;
}

static int parse_hooks(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val hooks, v;
	int r = json_in_object(&in, cfg->tree, "", "hooks", &hooks);

	for (int k = 0; hooks && !r && k < OCI_HOOK_KINDS; k++) {
		struct oci_hook *list;
		char path[64];

		r = json_in_array(&in, hooks, "hooks", oci_hook_names[k], 256, &v);
		if (r || !v)
			continue;
		list = oci_arena_alloc(&cfg->arena, v->u.array.len + 1, sizeof(*list));
		if (!list)
			return oci_fail_errno(err, ENOMEM, FILE_NAME);
		for (size_t i = 0; i < v->u.array.len && !r; i++) {
			snprintf(path, sizeof(path), "hooks.%s[%zu]", oci_hook_names[k], i);
			r = parse_hook(cfg, v->u.array.values[i], path, &list[i], err);
		}
		cfg->hooks[k] = (struct oci_hooks){list, v->u.array.len};
	}
	return r;
}

static int parse_names(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	int r = json_in_string(&in, cfg->tree, "", "hostname", &cfg->hostname);

	if (!r)
		r = json_in_string(&in, cfg->tree, "", "domainname", &cfg->domainname);
	/* uts_namespace(7): both are at most 64 bytes. */
	if (!r && cfg->hostname && strlen(cfg->hostname) > 64)
		r = oci_fail(err, EINVAL, FILE_NAME ": hostname must not be longer than 64 bytes");
	if (!r && cfg->domainname && strlen(cfg->domainname) > 64)
		r = oci_fail(err, EINVAL,
			     FILE_NAME ": domainname must not be longer than 64 bytes");
	return r;
}

static int check_foreign(struct oci_config *cfg, struct oci_error *err)
{
	static const char *const platforms[] = {"solaris", "windows", "vm", "zos"};

	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++)
		if (json_get(cfg->tree, platforms[i]))
			log_warning(FILE_NAME ": %s is not applied", platforms[i]);
	if (!YAJL_IS_OBJECT(cfg->tree))
		return oci_fail(err, EINVAL, FILE_NAME ": must be a JSON object");
	return 0;
}

static int parse_all(struct oci_config *cfg, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val process, linux_obj;
	int r;

	if ((r = check_foreign(cfg, err)) || (r = parse_version(cfg, err)) ||
	    (r = json_in_object(&in, cfg->tree, "", "process", &process)))
		return r;
	if (!process)
		return oci_fail(err, EINVAL, FILE_NAME ": process must be specified");
	cfg->has_process = true;
	if ((r = oci_process_parse(&cfg->arena, process, FILE_NAME, "process", &cfg->process,
				   err)) ||
	    (r = parse_root(cfg, err)) || (r = parse_names(cfg, err)) ||
	    (r = parse_mounts(cfg, err)) || (r = parse_hooks(cfg, err)) ||
	    (r = oci_config_pairs(&cfg->arena, cfg->tree, FILE_NAME, "", "annotations",
				  &cfg->annotations, &cfg->nannotations, err)) ||
	    (r = json_in_object(&in, cfg->tree, "", "linux", &linux_obj)))
		return r;
	if (linux_obj && (r = oci_config_linux(cfg, linux_obj, err)))
		return r;
	if (cfg->hostname && *cfg->hostname && !cfg->ns[OCI_NS_UTS].present)
		return oci_fail(err, EINVAL,
				FILE_NAME ": hostname needs a uts namespace in linux.namespaces");
	if (!cfg->ns[OCI_NS_MOUNT].present)
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.namespaces must contain a mount namespace");
	return 0;
}

int oci_config_parse(const char *text, size_t len, struct oci_config *cfg, struct oci_error *err)
{
	int r;

	*cfg = (struct oci_config){0};
	cfg->tree = json_parse(text, len, FILE_NAME, err);
	if (!cfg->tree)
		return -EINVAL;
	r = parse_all(cfg, err);
	if (r)
		oci_config_free(cfg);
	return r;
}

int oci_config_load(int bundle_fd, struct oci_config *cfg, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (faccessat(bundle_fd, FILE_NAME, F_OK, 0) && errno == ENOENT)
		return oci_fail(err, ENOENT, "JSON specification file " FILE_NAME " not found");
	r = json_read_file(bundle_fd, FILE_NAME, JSON_MAX_SIZE, &text, &len, err);
	if (r)
		return r;
	return oci_config_parse(text, len, cfg, err);
}

void oci_config_free(struct oci_config *cfg)
{
	for (size_t i = 0; i < cfg->nmounts; i++)
		if (cfg->trees[i] >= 0)
			close(cfg->trees[i]);
	oci_arena_free(&cfg->arena);
	if (cfg->tree)
		yajl_tree_free(cfg->tree);
	*cfg = (struct oci_config){0};
}
