/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"

static bool is_config(const char *media)
{
	return !strcmp(media, "application/vnd.oci.image.config.v1+json") ||
	       !strcmp(media, "application/vnd.docker.container.image.v1+json");
}

/* The way of compression is seen from the bytes; the name says that there is a tar inside. */
static bool is_layer(const char *media)
{
	static const char *const known[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i]);

		if (!strncmp(media, known[i], n) &&
		    (!media[n] || !strcmp(media + n, "+gzip") || !strcmp(media + n, "+zstd") ||
		     !strcmp(media + n, ".gzip") || !strcmp(media + n, ".zstd")))
			return true;
	}
	return false;
}

/* The configuration, checked to be for the platform, and its diff_ids: one a layer. */
static int load_config(const struct image_source *s, const char *name, const struct digest *d,
		       uint64_t size, const struct platform *want, struct image *out,
		       struct oci_error *err)
{
	struct json_in in = {out->config_name, err};
	const char *os = want->os, *arch = want->arch, *variant = NULL;
	int r = image_document(s, name, d, size, &out->config, err);

	if (r)
		return r;
	snprintf(out->config_name, sizeof(out->config_name), "%.150s", name);
	if ((r = json_in_string(&in, out->config, "", "os", &os)) ||
	    (r = json_in_string(&in, out->config, "", "architecture", &arch)) ||
	    (r = json_in_string(&in, out->config, "", "variant", &variant)))
		return r;
	if ((*os && strcmp(os, want->os)) || (*arch && strcmp(arch, want->arch)))
		return oci_fail(err, ENOEXEC, "%s: the image is for %.30s/%.30s, not for %s/%s",
				s->path, os, arch, want->os, want->arch);
	return 0;
}

static int set_diff_ids(struct image *out, struct oci_error *err)
{
	struct json_in in = {out->config_name, err};
	yajl_val rootfs, ids;
	int r = json_in_object(&in, out->config, "", "rootfs", &rootfs);

	if (!r && !rootfs)
		return oci_fail(err, EINVAL, "%s: rootfs must be given", in.file);
	if (!r)
		r = json_in_array(&in, rootfs, "rootfs", "diff_ids", IMAGE_MAX_LAYERS, &ids);
	if (r)
		return r;
	if ((ids ? ids->u.array.len : 0) != out->nlayers)
		return oci_fail(err, EINVAL,
				"%s: rootfs.diff_ids has %zu elements, the manifest %zu layers",
				in.file, ids ? ids->u.array.len : 0, out->nlayers);
	for (size_t i = 0; i < out->nlayers; i++) {
		yajl_val v = ids->u.array.values[i];

		if (!YAJL_IS_STRING(v) || !digest_parse(v->u.string, &out->layers[i].diff_id))
			return oci_fail(err, EINVAL,
					"%s: rootfs.diff_ids[%zu] must be sha256: or sha512: and "
					"its digits",
					in.file, i);
	}
	return 0;
}

static int new_layers(struct image *out, size_t n, struct oci_error *err)
{
	out->layers = calloc(n ? n : 1, sizeof(*out->layers));
	if (!out->layers)
		return oci_fail_errno(err, ENOMEM, "layers");
	for (size_t i = 0; i < n; i++)
		out->layers[i].blob.fd = -1;
	out->nlayers = n;
	return 0;
}

static int open_layer(const struct image_source *s, const struct descriptor *d,
		      struct image_layer *l, struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	int r;

	snprintf(l->name, sizeof(l->name), "layer %s", d->digest.text);
	digest_blob_path(&d->digest, name, sizeof(name));
	r = image_source_file(s, name, &l->blob, err);
	if (r)
		return r;
	if (l->blob.size != d->size)
		return oci_fail(err, EBADMSG, "%s: has %llu bytes, not %llu", l->name,
				(unsigned long long)l->blob.size, (unsigned long long)d->size);
	l->digest = d->digest;
	return 0;
}

static int read_layers(struct json_in *in, yajl_val list, struct descriptor *layers)
{
	char path[64];

	for (size_t i = 0; i < list->u.array.len; i++) {
		int r;

		snprintf(path, sizeof(path), "layers[%zu]", i);
		r = descriptor_read(in, list->u.array.values[i], path, &layers[i]);
		if (r)
			return r;
		if (!is_layer(layers[i].media))
			return oci_fail(in->err, EINVAL,
					"%s: layer %s: media type %.100s is not a layer's",
					in->file, layers[i].digest.text, layers[i].media);
	}
	return 0;
}

int manifest_read(yajl_val m, const char *file, struct descriptor *config,
		  struct descriptor **layers, size_t *nlayers, struct oci_error *err)
{
	struct json_in in = {file, err};
	yajl_val object, list;
	int r = json_in_object(&in, m, "", "config", &object);

	if (!r)
		r = json_in_array(&in, m, "", "layers", IMAGE_MAX_LAYERS, &list);
	if (!r && (!object || !list))
		r = oci_fail(err, EINVAL, "%s: config and layers must be given", file);
	if (!r)
		r = descriptor_read(&in, object, "config", config);
	if (!r && !is_config(config->media))
		r = oci_fail(err, EINVAL, "%s: config.mediaType %.100s: not an image", file,
			     config->media);
	if (r)
		return r;
	*nlayers = list->u.array.len;
	*layers = calloc(*nlayers + 1, sizeof(**layers));
	if (!*layers)
		return oci_fail_errno(err, ENOMEM, "%s", file);
	r = read_layers(&in, list, *layers);
	if (r) {
		free(*layers);
		*layers = NULL;
	}
	return r;
}

int image_check_config(const struct image_source *s, const struct digest *d, uint64_t size,
		       const struct platform *want, struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	struct image image = {0};
	int r;

	digest_blob_path(d, name, sizeof(name));
	r = load_config(s, name, d, size, want, &image, err);
	image_free(&image);
	return r;
}

static int from_manifest(const struct image_source *s, yajl_val m, const char *file,
			 const struct platform *want, struct image *out, struct oci_error *err)
{
	cleanup_free struct descriptor *layers = NULL;
	struct descriptor config;
	char name[DIGEST_MAX + 16];
	size_t n;
	int r = manifest_read(m, file, &config, &layers, &n, err);

	if (r)
		return r;
	digest_blob_path(&config.digest, name, sizeof(name));
	r = load_config(s, name, &config.digest, config.size, want, out, err);
	if (!r)
		r = new_layers(out, n, err);
	for (size_t i = 0; !r && i < n; i++)
		r = open_layer(s, &layers[i], &out->layers[i], err);
	return r ? r : set_diff_ids(out, err);
}

static int read_manifest(const struct image_source *s, const struct digest *d, uint64_t size,
			 const struct platform *want, struct image *out, struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	yajl_val m;
	int r;

	digest_blob_path(d, name, sizeof(name));
	r = image_document(s, name, d, size, &m, err);
	if (r)
		return r;
	r = from_manifest(s, m, name, want, out, err);
	yajl_tree_free(m);
	return r;
}

static int find_oci(const struct image_source *s, const char *ref, const struct platform *want,
		    struct image *out, struct oci_error *err)
{
	struct choice c;
	int r = image_choose(s, ref, want, &c, err);

	return r ? r : read_manifest(s, &c.digest, c.size, want, out, err);
}

int image_of_manifest(const struct image_source *s, const struct digest *d, uint64_t size,
		      const struct platform *want, struct image *out, struct oci_error *err)
{
	int r;

	*out = (struct image){0};
	r = read_manifest(s, d, size, want, out, err);
	if (r)
		image_free(out);
	return r;
}

/* One of RepoTags is ref, or ends with ":ref". */
static bool has_tag(yajl_val image, const char *ref)
{
	yajl_val tags = json_get(image, "RepoTags");

	for (size_t i = 0; YAJL_IS_ARRAY(tags) && i < tags->u.array.len; i++) {
		const char *tag = YAJL_GET_STRING(tags->u.array.values[i]);
		size_t n = strlen(ref), have = tag ? strlen(tag) : 0;

		if (tag && (!strcmp(tag, ref) ||
			    (have > n && tag[have - n - 1] == ':' && !strcmp(tag + have - n, ref))))
			return true;
	}
	return false;
}

/* The file's name has the digest of old archives' configurations: HEX.json. */
static void digest_of_name(const char *name, struct digest *d)
{
	const char *slash = strrchr(name, '/'), *hex = slash ? slash + 1 : name;
	char text[DIGEST_MAX];

	snprintf(text, sizeof(text), "sha256:%.*s", (int)strcspn(hex, "."), hex);
	if (!digest_parse(text, d))
		d->text[0] = '\0';
}

static int from_docker(const struct image_source *s, yajl_val m, const struct platform *want,
		       struct image *out, struct oci_error *err)
{
	struct json_in in = {"manifest.json", err};
	const char *config = NULL;
	struct digest d;
	yajl_val list;
	int r = json_in_string(&in, m, "", "Config", &config);

	if (!r)
		r = json_in_array(&in, m, "", "Layers", IMAGE_MAX_LAYERS, &list);
	if (!r && (!config || !list))
		r = oci_fail(err, EINVAL, "%s: Config and Layers must be given", in.file);
	if (r)
		return r;
	digest_of_name(config, &d);
	r = load_config(s, config, &d, IMAGE_ANY_SIZE, want, out, err);
	if (!r)
		r = new_layers(out, list->u.array.len, err);
	for (size_t i = 0; !r && i < out->nlayers; i++) {
		const char *name = YAJL_GET_STRING(list->u.array.values[i]);

		if (!name)
			return oci_fail(err, EINVAL, "%s: Layers[%zu] must be a string", in.file,
					i);
		snprintf(out->layers[i].name, sizeof(out->layers[i].name), "layer %.150s", name);
		r = image_source_file(s, name, &out->layers[i].blob, err);
	}
	return r ? r : set_diff_ids(out, err);
}

static int find_docker(const struct image_source *s, const char *ref, const struct platform *want,
		       struct image *out, struct oci_error *err)
{
	const struct digest none = {0};
	char *text, shown[300];
	yajl_val list, chosen = NULL;
	size_t len, n = 0;
	int r = image_source_document(s, "manifest.json", &none, IMAGE_ANY_SIZE, &text, &len, err);

	if (r)
		return r;
	snprintf(shown, sizeof(shown), "%.250s: manifest.json", s->path);
	list = json_parse(text, len, shown, err);
	free(text);
	if (!list)
		return err->code > 0 ? -err->code : -EINVAL;
	if (!YAJL_IS_ARRAY(list))
		r = oci_fail(err, EINVAL, "%s: must be an array", shown);
	for (size_t i = 0; !r && i < list->u.array.len; i++)
		if (!ref || has_tag(list->u.array.values[i], ref)) {
			chosen = chosen ? chosen : list->u.array.values[i];
			n++;
		}
	if (!r && !chosen)
		r = oci_fail(err, ENOENT, "%s: no image%s%s", s->path, ref ? " named " : "",
			     ref ? ref : "");
	else if (!r && n > 1)
		r = oci_fail(err, EINVAL, "%s: has %zu images: add a tag after a colon", s->path,
			     n);
	else if (!r)
		r = from_docker(s, chosen, want, out, err);
	yajl_tree_free(list);
	return r;
}

int image_find(const struct image_source *s, const char *ref, const struct platform *want,
	       struct image *out, struct oci_error *err)
{
	int r;

	*out = (struct image){0};
	r = s->docker ? find_docker(s, ref, want, out, err) : find_oci(s, ref, want, out, err);
	if (r)
		image_free(out);
	return r;
}

void image_free(struct image *i)
{
	for (size_t k = 0; k < i->nlayers; k++)
		blob_close(&i->layers[k].blob);
	free(i->layers);
	yajl_tree_free(i->config);
	*i = (struct image){0};
}
