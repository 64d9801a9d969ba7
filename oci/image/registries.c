/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/registries.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/reference.h"
#include "oci/json.h"

#define MAX_FILE (1u << 20)

static bool is_mirror(const char *where)
{
	size_t n = strcspn(where, "/");

	return reference_host_valid(where, n) && (!where[n] || reference_path_valid(where + n + 1));
}

static int check_mirrors(yajl_val mirrors, const char *file, struct oci_error *err)
{
	struct json_in in = {file, err};

	for (size_t i = 0; mirrors && i < mirrors->u.object.len; i++) {
		yajl_val list;
		int r = json_in_array(&in, mirrors, "mirrors", mirrors->u.object.keys[i],
				      REGISTRIES_MAX_MIRRORS, &list);

		if (r)
			return r;
		for (size_t k = 0; list && k < list->u.array.len; k++) {
			const char *where = YAJL_GET_STRING(list->u.array.values[k]);

			if (!where || !is_mirror(where))
				return oci_fail(err, EINVAL,
						"%s: mirrors.%.200s[%zu] must be of the form "
						"HOST[:PORT][/PREFIX]",
						file, mirrors->u.object.keys[i], k);
		}
	}
	return 0;
}

int registries_parse(const char *text, size_t len, const char *file, struct registries *out,
		     struct oci_error *err)
{
	struct json_in in = {file, err};
	int r = 0;

	*out = (struct registries){.doc = json_parse(text, len, file, err)};
	if (!out->doc)
		return -EINVAL;
	if (!YAJL_IS_OBJECT(out->doc))
		r = oci_fail(err, EINVAL, "%s: must be a JSON object", file);
	if (!r)
		r = json_in_string(&in, out->doc, "", "default", &out->fallback);
	if (!r)
		r = json_in_string(&in, out->doc, "", "namespace", &out->name_space);
	if (!r)
		r = json_in_object(&in, out->doc, "", "mirrors", &out->mirrors);
	if (!r && out->fallback && !reference_host_valid(out->fallback, strlen(out->fallback)))
		r = oci_fail(err, EINVAL, "%s: default must be of the form HOST[:PORT]", file);
	if (!r && out->name_space && !reference_path_valid(out->name_space))
		r = oci_fail(err, EINVAL, "%s: namespace must be a part of an image's name", file);
	if (!r)
		r = check_mirrors(out->mirrors, file, err);
	if (r)
		registries_free(out);
	return r;
}

int registries_load(const char *file, struct registries *out, struct oci_error *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	cleanup_free char *text = NULL;
	char path[PATH_MAX] = "";
	size_t len;
	int r;

	*out = (struct registries){.doc = NULL};
	if (config && *config == '/')
		snprintf(path, sizeof(path), "%s/nacre/registries.json", config);
	else if (home && *home == '/')
		snprintf(path, sizeof(path), "%s/.config/nacre/registries.json", home);
	if (!file && *path && !access(path, F_OK))
		file = path;
	if (!file && !access(NACRE_SYSCONF_DIR "/nacre/registries.json", F_OK))
		file = NACRE_SYSCONF_DIR "/nacre/registries.json";
	if (!file)
		return 0;
	r = json_read_file(AT_FDCWD, file, MAX_FILE, &text, &len, err);
	return r ? r : registries_parse(text, len, file, out, err);
}

size_t registries_mirrors(const struct registries *r, const char *host,
			  const char *out[REGISTRIES_MAX_MIRRORS])
{
	yajl_val list = r->mirrors ? json_get(r->mirrors, host) : NULL;
	size_t n = 0;

	for (; list && n < list->u.array.len; n++)
		out[n] = YAJL_GET_STRING(list->u.array.values[n]);
	return n;
}

void registries_free(struct registries *r)
{
	yajl_tree_free(r->doc);
	*r = (struct registries){.doc = NULL};
}
