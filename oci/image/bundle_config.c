/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/bundle_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/users.h"
#include "oci/spec.h"

#define MAX_STRINGS 65536
#define ANNOTATION "org.opencontainers.image."
#define PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What container engines give: enough for package managers, su and web servers on port 80. */
static const char *const capabilities[] = {
	"CAP_AUDIT_WRITE", "CAP_CHOWN",	  "CAP_DAC_OVERRIDE",	  "CAP_FOWNER",	    "CAP_FSETID",
	"CAP_KILL",	   "CAP_MKNOD",	  "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
	"CAP_SETGID",	   "CAP_SETPCAP", "CAP_SETUID",		  "CAP_SYS_CHROOT",
};

struct list {
	const char **s;
	size_t n;
};

static void free_list(struct list *l)
{
	free(l->s);
}
#define cleanup_list __attribute__((cleanup(free_list)))

static yajl_val image_config(const struct image *image)
{
	return json_get(image->config, "config");
}

/* Strings of config.KEY, with room for `more` behind them. */
static int strings(const struct image *image, const char *key, size_t more, struct list *out,
		   struct oci_error *err)
{
	struct json_in in = {image->config_name, err};
	yajl_val list = NULL;
	int r = json_in_array(&in, image_config(image), "config", key, MAX_STRINGS, &list);

	out->n = 0;
	if (r)
		return r;
	out->s = calloc((list ? list->u.array.len : 0) + more + 1, sizeof(*out->s));
	if (!out->s)
		return oci_fail_errno(err, ENOMEM, "%s", in.file);
	for (size_t i = 0; list && i < list->u.array.len; i++) {
		const char *s = YAJL_GET_STRING(list->u.array.values[i]);

		if (!s)
			return oci_fail(err, EINVAL, "%s: config.%s[%zu] must be a string", in.file,
					key, i);
		out->s[out->n++] = s;
	}
	return 0;
}

static const char *text(const struct image *image, const char *key)
{
	yajl_val v = json_get(image_config(image), key);

	return YAJL_IS_STRING(v) ? v->u.string : "";
}

char *bundle_cwd(const struct image *image)
{
	const char *dir = text(image, "WorkingDir");
	char *s = NULL;

	return asprintf(&s, "%s%s", *dir == '/' ? "" : "/", dir) < 0 ? NULL : s;
}

/* Entrypoint, then Cmd or what was given in its place. */
static int arguments(struct buf *b, const struct image *image, const struct image_options *o,
		     struct oci_error *err)
{
	cleanup_list struct list entry = {0}, cmd = {0};
	size_t n = 0;
	int r = strings(image, "Entrypoint", 0, &entry, err);

	if (!r)
		r = strings(image, "Cmd", 0, &cmd, err);
	if (r)
		return r;
	json_array(b, "args");
	if (o->entrypoint && *o->entrypoint)
		json_str(b, NULL, o->entrypoint), n++;
	for (size_t i = 0; !o->entrypoint && i < entry.n; i++, n++)
		json_str(b, NULL, entry.s[i]);
	for (size_t i = 0; i < o->nargs; i++, n++)
		json_str(b, NULL, o->args[i]);
	for (size_t i = 0; !o->entrypoint && !o->nargs && i < cmd.n; i++, n++)
		json_str(b, NULL, cmd.s[i]);
	if (!n && o->want_command)
		return oci_fail(err, EINVAL, "%s: the image has no command: give one", o->image);
	if (!n)
		json_str(b, NULL, "sh");
	json_end_array(b);
	return 0;
}

static bool has_variable(const struct list *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (!strncmp(env->s[i], name, n) && env->s[i][n] == '=')
			return true;
	return false;
}

static int environment(struct buf *b, const struct image *image, const struct image_options *o,
		       const struct image_user *user, struct oci_error *err)
{
	cleanup_list struct list env = {0};
	char home[sizeof(user->home) + sizeof("HOME=")];
	int r = strings(image, "Env", 3, &env, err);

	if (r)
		return r;
	for (size_t i = 0; i < env.n; i++)
		if (!strchr(env.s[i], '=') || env.s[i][0] == '=')
			return oci_fail(err, EINVAL,
					"%s: config.Env[%zu] must look like NAME=value",
					image->config_name, i);
	snprintf(home, sizeof(home), "HOME=%s", user->home);
	if (!has_variable(&env, "PATH"))
		env.s[env.n++] = PATH;
	if (!has_variable(&env, "HOME"))
		env.s[env.n++] = home;
	if (o->terminal && !has_variable(&env, "TERM"))
		env.s[env.n++] = "TERM=xterm";
	json_strings(b, "env", env.s, env.n);
	return 0;
}

static int process(struct buf *b, const struct image *image, const struct image_options *o,
		   const struct image_user *user, struct oci_error *err)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	cleanup_free char *cwd = bundle_cwd(image);
	int r;

	if (!cwd)
		return oci_fail_errno(err, ENOMEM, "%s", o->image);
	json_object(b, "process");
	json_bool(b, "terminal", o->terminal);
	json_object(b, "user");
	json_uint(b, "uid", user->uid);
	json_uint(b, "gid", user->gid);
	if (user->ngroups) {
		json_array(b, "additionalGids");
		for (size_t i = 0; i < user->ngroups; i++)
			json_uint(b, NULL, user->groups[i]);
		json_end_array(b);
	}
	json_end_object(b);
	if ((r = arguments(b, image, o, err)) || (r = environment(b, image, o, user, err)))
		return r;
	json_str(b, "cwd", cwd);
	json_object(b, "capabilities");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		json_strings(b, sets[i], capabilities,
			     sizeof(capabilities) / sizeof(capabilities[0]));
	json_end_object(b);
	json_bool(b, "noNewPrivileges", false);
	json_end_object(b);
	return 0;
}

/* One of the image's own facts, unless a label says it already. */
static void fact(struct buf *b, yajl_val labels, const char *name, yajl_val v)
{
	char key[128];

	snprintf(key, sizeof(key), ANNOTATION "%s", name);
	if (YAJL_IS_STRING(v) && v->u.string[0] && !json_get(labels, key))
		json_str(b, key, v->u.string);
}

static void annotations(struct buf *b, const struct image *image)
{
	static const struct {
		const char *key, *name;
	} facts[] = {{"os", "os"},	     {"architecture", "architecture"},
		     {"variant", "variant"}, {"os.version", "os.version"},
		     {"author", "author"},   {"created", "created"}};
	yajl_val config = image_config(image), labels = json_get(config, "Labels");
	yajl_val ports = json_get(config, "ExposedPorts");
	cleanup_buf struct buf list = {0};

	json_object(b, "annotations");
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		fact(b, labels, facts[i].name, json_get(image->config, facts[i].key));
	fact(b, labels, "stopSignal", json_get(config, "StopSignal"));
	for (size_t i = 0; YAJL_IS_OBJECT(ports) && i < ports->u.object.len; i++)
		buf_printf(&list, "%s%s", i ? "," : "", ports->u.object.keys[i]);
	if (list.len && !json_get(labels, ANNOTATION "exposedPorts"))
		json_str(b, ANNOTATION "exposedPorts", list.s);
	for (size_t i = 0; YAJL_IS_OBJECT(labels) && i < labels->u.object.len; i++)
		if (YAJL_IS_STRING(labels->u.object.values[i]) && labels->u.object.keys[i][0])
			json_str(b, labels->u.object.keys[i], labels->u.object.values[i]->u.string);
	json_end_object(b);
}

int bundle_config(struct buf *b, const struct image *image, const struct image_options *o, int root,
		  struct oci_error *err)
{
	struct json_in in = {image->config_name, err};
	struct image_user user;
	const char *who = "";
	yajl_val config;
	int r = json_in_object(&in, image->config, "", "config", &config);

	if (!r)
		r = json_in_string(&in, config, "config", "User", &who);
	if (!r)
		r = users_resolve(root, who, &user, err);
	if (r)
		return r;
	b->indent = "\t";
	json_object(b, NULL);
	json_str(b, "ociVersion", "1.0.2");
	r = process(b, image, o, &user, err);
	if (r)
		return r;
	json_object(b, "root");
	json_str(b, "path", "rootfs");
	json_bool(b, "readonly", false);
	json_end_object(b);
	json_str(b, "hostname", "nacre");
	spec_mounts(b, geteuid() != 0);
	spec_linux(b, geteuid() != 0);
	annotations(b, image);
	json_end_object(b);
	return buf_ok(b) ? 0 : oci_fail_errno(err, ENOMEM, "%s", o->image);
}
