/* SPDX-License-Identifier: Apache-2.0 */
/* The linux object of config.json. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"

#define FILE_NAME "config.json"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
	const char *name;
	unsigned long flag;
} namespaces[OCI_NS_COUNT] = {
	[OCI_NS_PID] = {"pid", CLONE_NEWPID},	       [OCI_NS_NETWORK] = {"network", CLONE_NEWNET},
	[OCI_NS_MOUNT] = {"mount", CLONE_NEWNS},       [OCI_NS_IPC] = {"ipc", CLONE_NEWIPC},
	[OCI_NS_UTS] = {"uts", CLONE_NEWUTS},	       [OCI_NS_USER] = {"user", CLONE_NEWUSER},
	[OCI_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP}, [OCI_NS_TIME] = {"time", CLONE_NEWTIME},
};

const char *oci_ns_name(enum oci_ns ns)
{
	return namespaces[ns].name;
}

unsigned long oci_ns_flag(enum oci_ns ns)
{
	return namespaces[ns].flag;
}

static int parse_namespace(struct oci_config *cfg, yajl_val v, size_t i, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	const char *type = NULL, *file = NULL;
	char path[64];
	int r, ns = 0;

	snprintf(path, sizeof(path), "linux.namespaces[%zu]", i);
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(err, EINVAL, FILE_NAME ": %s must be an object", path);
	if ((r = json_in_string(&in, v, path, "type", &type)) ||
	    (r = json_in_string(&in, v, path, "path", &file)))
		return r;
	while (ns < OCI_NS_COUNT && (!type || strcmp(namespaces[ns].name, type)))
		ns++;
	if (ns == OCI_NS_COUNT)
		return oci_fail(err, EINVAL, FILE_NAME ": %s.type: namespace \"%s\" does not exist",
				path, type ? type : "");
	if (cfg->ns[ns].present)
		return oci_fail(err, EINVAL, FILE_NAME ": %s.type: duplicated namespace \"%s\"",
				path, type);
	cfg->ns[ns].present = true;
	cfg->ns[ns].path = file && *file ? file : NULL;
	return 0;
}

static int parse_namespaces(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val list;
	int r = json_in_array(&in, lx, "linux", "namespaces", 32, &list);

	for (size_t i = 0; list && i < list->u.array.len && !r; i++)
		r = parse_namespace(cfg, list->u.array.values[i], i, err);
	return r;
}

int oci_config_idmap(struct oci_arena **arena, yajl_val obj, const char *path, const char *key,
		     const struct oci_idmap **out, size_t *n, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	struct oci_idmap *maps;
	yajl_val list;
	/* user_namespaces(7): at most 340 lines. */
	int r = json_in_array(&in, obj, path, key, 340, &list);

	if (r || !list)
		return r;
	maps = oci_arena_alloc(arena, list->u.array.len + 1, sizeof(*maps));
	if (!maps)
		return oci_fail_errno(err, ENOMEM, FILE_NAME);
	for (size_t i = 0; i < list->u.array.len; i++) {
		yajl_val v = list->u.array.values[i];
		int64_t c = 0, h = 0, s = 0;
		char at[128];

		snprintf(at, sizeof(at), "%s.%s[%zu]", path, key, i);
		if (!YAJL_IS_OBJECT(v))
			return oci_fail(err, EINVAL, FILE_NAME ": %s must be an object", at);
		if ((r = json_in_int(&in, v, at, "containerID", 0, UINT32_MAX - 1, &c)) ||
		    (r = json_in_int(&in, v, at, "hostID", 0, UINT32_MAX - 1, &h)) ||
		    (r = json_in_int(&in, v, at, "size", 0, UINT32_MAX, &s)))
			return r;
		if (s < 1)
			return oci_fail(err, EINVAL, FILE_NAME ": %s.size must be at least 1", at);
		maps[i] = (struct oci_idmap){(uint32_t)c, (uint32_t)h, (uint32_t)s};
	}
	*out = maps;
	*n = list->u.array.len;
	return 0;
}

static int parse_propagation(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	static const struct {
		const char *name;
		unsigned long flags;
	} modes[] = {
		{"shared", MS_SHARED},	       {"rshared", MS_SHARED | MS_REC},
		{"slave", MS_SLAVE},	       {"rslave", MS_SLAVE | MS_REC},
		{"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
		{"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
	};
	struct json_in in = {FILE_NAME, err};
	const char *s = NULL;
	int r = json_in_string(&in, lx, "linux", "rootfsPropagation", &s);

	if (r || !s || !*s)
		return r;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, s)) {
			cfg->rootfs_propagation = modes[i].flags;
			return 0;
		}
	return oci_fail(err, EINVAL, FILE_NAME ": linux.rootfsPropagation: unknown mode \"%s\"", s);
}

static int check_paths(const char *key, const char *const *list, size_t n, struct oci_error *err)
{
	for (size_t i = 0; i < n; i++)
		if (list[i][0] != '/')
			return oci_fail(err, EINVAL,
					FILE_NAME ": linux.%s[%zu] must be an absolute path", key,
					i);
	return 0;
}

static void warn_unapplied(yajl_val lx)
{
	/* Members newer than version 1.2 of the specification. */
	static const char *const keys[] = {"memoryPolicy", "netDevices"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		yajl_val v = json_get(lx, keys[i]);

		if (!v || (YAJL_IS_STRING(v) && !*v->u.string) ||
		    (YAJL_IS_ARRAY(v) && !v->u.array.len) ||
		    (YAJL_IS_OBJECT(v) && !v->u.object.len))
			continue;
		log_warning(FILE_NAME ": linux.%s is not applied", keys[i]);
	}
}

int oci_config_linux(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val res;
	int r;

	if ((r = parse_namespaces(cfg, lx, err)) ||
	    (r = oci_config_idmap(&cfg->arena, lx, "linux", "uidMappings", &cfg->uid_map,
				  &cfg->nuid_map, err)) ||
	    (r = oci_config_idmap(&cfg->arena, lx, "linux", "gidMappings", &cfg->gid_map,
				  &cfg->ngid_map, err)) ||
	    (r = json_in_string(&in, lx, "linux", "cgroupsPath", &cfg->cgroups_path)) ||
	    (r = parse_propagation(cfg, lx, err)) ||
	    (r = json_in_string(&in, lx, "linux", "mountLabel", &cfg->mount_label)) ||
	    (r = oci_config_pairs(&cfg->arena, lx, FILE_NAME, "linux", "sysctl", &cfg->sysctl,
				  &cfg->nsysctl, err)) ||
	    (r = oci_config_strings(&cfg->arena, lx, FILE_NAME, "linux", "maskedPaths",
				    (char ***)&cfg->masked_paths, &cfg->nmasked, err)) ||
	    (r = oci_config_strings(&cfg->arena, lx, FILE_NAME, "linux", "readonlyPaths",
				    (char ***)&cfg->readonly_paths, &cfg->nreadonly, err)) ||
	    (r = check_paths("maskedPaths", cfg->masked_paths, cfg->nmasked, err)) ||
	    (r = check_paths("readonlyPaths", cfg->readonly_paths, cfg->nreadonly, err)) ||
	    (r = json_in_object(&in, lx, "linux", "seccomp", &cfg->seccomp_tree)) ||
	    (r = json_in_object(&in, lx, "linux", "resources", &res)))
		return r;
	if (res && (r = oci_resources_parse(&cfg->arena, res, FILE_NAME, "linux.resources",
					    &cfg->resources, err)))
		return r;
	if (cfg->ns[OCI_NS_USER].present && !cfg->ns[OCI_NS_USER].path &&
	    (!cfg->nuid_map || !cfg->ngid_map))
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.%s must be given with a new user namespace",
				cfg->nuid_map ? "gidMappings" : "uidMappings");
	if (!cfg->ns[OCI_NS_USER].present && (cfg->nuid_map || cfg->ngid_map))
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.%s needs a user namespace in linux.namespaces",
				cfg->nuid_map ? "uidMappings" : "gidMappings");
	warn_unapplied(lx);
	return oci_config_machine(cfg, lx, err);
}
