/* SPDX-License-Identifier: Apache-2.0 */
/* index.json of the store: which images there are. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/manifest.h"
#include "oci/image/store_internal.h"

#define MAX_IMAGES 65536

struct image_source store_source(const struct store *s)
{
	return (struct image_source){.path = s->path, .dir = s->dir, .file = -1};
}

static int read_entry(struct json_in *in, yajl_val v, size_t i, struct store_entry *e)
{
	struct descriptor d;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "manifests[%zu]", i);
	r = descriptor_read(in, v, path, &d);
	if (r)
		return r;
	*e = (struct store_entry){.digest = d.digest, .size = d.size};
	snprintf(e->media, sizeof(e->media), "%s", d.media);
	snprintf(e->name, sizeof(e->name), "%s", d.ref ? d.ref : "");
	return 0;
}

/* Without blobs' sizes; no index yet is no image. */
static int load(const struct store *s, struct store_entry **out, size_t *n, struct oci_error *err)
{
	const struct image_source source = store_source(s);
	struct json_in in = {"index.json", err};
	const struct digest any = {0};
	yajl_val index, list;
	int r;

	*out = NULL;
	*n = 0;
	if (faccessat(s->dir, "index.json", F_OK, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : oci_fail_errno(err, errno, "%s/index.json", s->path);
	r = image_document(&source, "index.json", &any, IMAGE_ANY_SIZE, &index, err);
	if (r)
		return r;
	r = json_in_array(&in, index, "", "manifests", MAX_IMAGES, &list);
	if (!r && !(*out = calloc(list ? list->u.array.len + 1 : 1, sizeof(**out))))
		r = oci_fail_errno(err, ENOMEM, "%s", s->path);
	for (size_t i = 0; !r && list && i < list->u.array.len; i++)
		r = read_entry(&in, list->u.array.values[i], i, &(*out)[(*n)++]);
	yajl_tree_free(index);
	if (r) {
		free(*out);
		*out = NULL;
	}
	return r;
}

static int save(const struct store *s, const struct store_entry *list, size_t n,
		struct oci_error *err)
{
	cleanup_buf struct buf b = {.indent = "\t"};
	int r;

	json_object(&b, NULL);
	json_uint(&b, "schemaVersion", 2);
	json_array(&b, "manifests");
	for (size_t i = 0; i < n; i++) {
		json_object(&b, NULL);
		json_str(&b, "mediaType", list[i].media);
		json_str(&b, "digest", list[i].digest.text);
		json_uint(&b, "size", list[i].size);
		json_object(&b, "annotations");
		json_str(&b, IMAGE_REF_NAME, list[i].name);
		json_end_object(&b);
		json_end_object(&b);
	}
	json_end_array(&b);
	json_end_object(&b);
	buf_str(&b, "\n");
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "%s/index.json", s->path);
	if (b.len > IMAGE_MAX_DOCUMENT)
		return oci_fail(err, EFBIG, "%s: too many images: remove some (nacre images)",
				s->path);
	r = store_replace_file(s, "index.json", b.s, b.len);
	return r ? oci_fail_errno(err, -r, "%s/index.json", s->path) : 0;
}

static int lock_index(const struct store *s, struct oci_error *err)
{
	int fd = store_lock_index(s);

	return fd < 0 ? oci_fail_errno(err, -fd, "%s/index.lock", s->path) : fd;
}

/* The names blobs were given are on the disk before one leads to them. */
static int flush_directories(const struct store *s)
{
	static const char *const dirs[] = {"blobs/sha256", "blobs/sha512"};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		cleanup_fd int fd = openat(s->dir, dirs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || fsync(fd))
			return -errno;
	}
	return 0;
}

int store_name(const struct store *s, const struct store_entry *e, struct oci_error *err)
{
	cleanup_free struct store_entry *list = NULL;
	cleanup_fd int lock = -1;
	size_t n, at = 0;
	int r = flush_directories(s);

	if (r)
		return oci_fail_errno(err, -r, "store %s", s->path);
	lock = lock_index(s, err);
	if (lock < 0)
		return lock;
	r = load(s, &list, &n, err);
	if (r)
		return r;
	if (!list && !(list = calloc(1, sizeof(*list))))
		return oci_fail_errno(err, ENOMEM, "%s", s->path);
	while (at < n && strcmp(list[at].name, e->name))
		at++;
	/* load() left room for one more. */
	list[at] = *e;
	return save(s, list, at == n ? n + 1 : n, err);
}

int store_unname(const struct store *s, const char *name, struct oci_error *err)
{
	cleanup_free struct store_entry *list = NULL;
	cleanup_fd int lock = lock_index(s, err);
	size_t n, kept = 0;
	int r;

	if (lock < 0)
		return lock;
	r = load(s, &list, &n, err);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name))
			list[kept++] = list[i];
	if (kept == n)
		return oci_fail(err, ENOENT, "%s: no image named %s", s->path, name);
	return save(s, list, kept, err);
}

static bool means(const struct reference *want, const struct store_entry *e)
{
	char text[REFERENCE_MAX_TEXT];
	struct oci_error ignored;
	struct reference have;

	reference_text(want, text, sizeof(text));
	if (!strcmp(text, e->name))
		return true;
	return want->digest.text[0] && !strcmp(want->digest.text, e->digest.text) &&
	       !reference_parse(e->name, &have, &ignored) && !strcmp(have.host, want->host) &&
	       !strcmp(have.path, want->path) && (!want->tag[0] || !strcmp(have.tag, want->tag));
}

int store_find(const struct store *s, const struct reference *ref, struct store_entry *out,
	       struct oci_error *err)
{
	cleanup_free struct store_entry *list = NULL;
	char text[REFERENCE_MAX_TEXT];
	size_t n;
	int r = load(s, &list, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++)
		if (means(ref, &list[i])) {
			*out = list[i];
			return 0;
		}
	reference_text(ref, text, sizeof(text));
	return oci_fail(err, ENOENT, "%s: no image named %s", s->path, text);
}

int store_list(const struct store *s, struct store_entry **out, size_t *n, struct oci_error *err)
{
	int r = load(s, out, n, err);

	for (size_t i = 0; !r && i < *n; i++) {
		struct digest_set set = {0};

		r = store_mark(s, &(*out)[i].digest, true, 0, &set, &(*out)[i].bytes, err);
		digest_set_free(&set);
	}
	if (r) {
		free(*out);
		*out = NULL;
	}
	return r;
}
