/* SPDX-License-Identifier: Apache-2.0 */
/* Which blobs of the store images have, and removing the others. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/manifest.h"
#include "oci/image/store_internal.h"

static bool set_add(struct digest_set *set, const struct digest *d)
{
	if (set->n == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 64;
		struct digest *more = reallocarray(set->list, cap, sizeof(*more));

		if (!more)
			return false;
		set->list = more;
		set->cap = cap;
	}
	set->list[set->n++] = *d;
	return true;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct digest *)a)->text, ((const struct digest *)b)->text);
}

bool digest_set_has(const struct digest_set *set, const char *text)
{
	struct digest d;

	snprintf(d.text, sizeof(d.text), "%s", text);
	return set->n && bsearch(&d, set->list, set->n, sizeof(d), by_text) != NULL;
}

void digest_set_free(struct digest_set *set)
{
	free(set->list);
	*set = (struct digest_set){0};
}

static int mark_manifest(const struct store *s, yajl_val m, const char *name,
			 struct digest_set *set, uint64_t *bytes, struct oci_error *err)
{
	cleanup_free struct descriptor *layers = NULL;
	struct descriptor config;
	size_t n;
	int r = manifest_read(m, name, &config, &layers, &n, err);

	if (!r)
		r = store_mark(s, &config.digest, false, 0, set, bytes, err);
	for (size_t i = 0; !r && i < n; i++)
		r = store_mark(s, &layers[i].digest, false, 0, set, bytes, err);
	return r;
}

static int mark_index(const struct store *s, yajl_val list, const char *name, unsigned depth,
		      struct digest_set *set, uint64_t *bytes, struct oci_error *err)
{
	struct json_in in = {name, err};
	struct descriptor d;
	int r = 0;

	for (size_t i = 0; !r && i < list->u.array.len; i++) {
		r = descriptor_read(&in, list->u.array.values[i], "manifests[]", &d);
		if (!r && (media_is_index(d.media) || media_is_manifest(d.media)))
			r = store_mark(s, &d.digest, true, depth + 1, set, bytes, err);
	}
	return r;
}

static int mark_document(const struct store *s, const char *name, const struct digest *d,
			 unsigned depth, struct digest_set *set, uint64_t *bytes,
			 struct oci_error *err)
{
	const struct image_source source = store_source(s);
	yajl_val doc, list;
	int r = image_document(&source, name, d, IMAGE_ANY_SIZE, &doc, err);

	if (r)
		return r;
	list = json_get(doc, "manifests");
	if (YAJL_IS_ARRAY(list))
		r = depth > IMAGE_MAX_NESTING
			    ? oci_fail(err, ELOOP, "%s: %s: nested too deep", s->path, name)
			    : mark_index(s, list, name, depth, set, bytes, err);
	else
		r = mark_manifest(s, doc, name, set, bytes, err);
	yajl_tree_free(doc);
	return r;
}

int store_mark(const struct store *s, const struct digest *d, bool document, unsigned depth,
	       struct digest_set *set, uint64_t *bytes, struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	struct stat st;

	digest_blob_path(d, name, sizeof(name));
	if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : oci_fail_errno(err, errno, "%s/%s", s->path, name);
	if (!set_add(set, d))
		return oci_fail_errno(err, ENOMEM, "%s", s->path);
	*bytes += (uint64_t)st.st_size;
	return document ? mark_document(s, name, d, depth, set, bytes, err) : 0;
}

static int mark_all(const struct store *s, struct digest_set *set, struct oci_error *err)
{
	struct store_entry *list;
	uint64_t bytes = 0;
	size_t n;
	int r = store_list(s, &list, &n, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < n; i++)
		r = store_mark(s, &list[i].digest, true, 0, set, &bytes, err);
	free(list);
	if (set->n)
		qsort(set->list, set->n, sizeof(*set->list), by_text);
	return r;
}

struct sweep {
	const struct digest_set *kept; /* NULL: nothing is */
	const char *algorithm;
	time_t before; /* what changed later stays */
	struct store_collected *count;
};

static void sweep_one(int dir, const char *name, const struct sweep *w)
{
	char text[NAME_MAX + 32];
	struct stat st;

	snprintf(text, sizeof(text), "%s:%s", w->algorithm, name);
	if ((w->kept && digest_set_has(w->kept, text)) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) ||
	    st.st_mtime > w->before)
		return;
	if (!unlinkat(dir, name, 0)) {
		w->count->blobs++;
		w->count->bytes += (uint64_t)st.st_size;
	}
}

static int sweep_directory(const struct store *s, const char *name, const struct sweep *w,
			   struct oci_error *err)
{
	int fd = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	cleanup_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		int r = oci_fail_errno(err, errno, "%s/%s", s->path, name);

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			sweep_one(fd, e->d_name, w);
	return 0;
}

int store_collect(const struct store *s, bool all, struct store_collected *out,
		  struct oci_error *err)
{
	static const char *const algorithms[] = {"sha256", "sha512"};
	struct sweep w = {.algorithm = "", .count = out};
	struct digest_set kept = {0};
	char name[32];
	int r;

	*out = (struct store_collected){0};
	/* What others add or read holds the lock shared. */
	if (flock(s->lock, LOCK_EX | LOCK_NB)) {
		/* A conversion that fails may have dropped the lock (flock(2)). */
		flock(s->lock, LOCK_SH);
		return oci_fail(err, EBUSY, "store %s: in use: images are pulled or unpacked",
				s->path);
	}
	w.before = all ? (time_t)INT64_MAX : time(NULL) - STORE_KEEP_SECONDS;
	r = mark_all(s, &kept, err);
	if (!r)
		r = sweep_directory(s, "partial", &w, err);
	w.kept = &kept;
	for (size_t i = 0; !r && i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		snprintf(name, sizeof(name), "blobs/%s", algorithms[i]);
		w.algorithm = algorithms[i];
		r = sweep_directory(s, name, &w, err);
	}
	digest_set_free(&kept);
	if (flock(s->lock, LOCK_SH) && !r)
		r = oci_fail_errno(err, errno, "store %s: lock", s->path);
	return r;
}
