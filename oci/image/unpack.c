/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/bundle_config.h"
#include "oci/image/image.h"
#include "oci/image/layer.h"
#include "oci/image/manifest.h"
#include "oci/image/store.h"
#include "oci/log.h"
#include "oci/tree.h"

#define WORK ".nacre-unpack" /* in the bundle, while it is not complete */
#define MAX_STREAMS 4

struct bundle {
	const char *path;
	bool made;     /* by us: goes away when we fail */
	int dir, work; /* BUNDLE and BUNDLE/.nacre-unpack */
};

/* A directory with nothing of a bundle in it, and the lock that says nobody else unpacks there. */
static int bundle_open(struct bundle *b, const char *path, struct oci_error *err)
{
	*b = (struct bundle){.path = path, .dir = -1, .work = -1};
	/* Set-id programs of strangers lie in it: not for other users of the host. */
	b->made = !mkdir(path, 0700);
	if (!b->made && errno != EEXIST)
		return oci_fail_errno(err, errno, "cannot make bundle %s", path);
	b->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->dir < 0)
		return oci_fail_errno(err, errno, "cannot open bundle %s", path);
	if (flock(b->dir, LOCK_EX | LOCK_NB))
		return oci_fail(err, EBUSY, "bundle %s: something else is unpacked there", path);
	if (!faccessat(b->dir, "rootfs", F_OK, AT_SYMLINK_NOFOLLOW) ||
	    !faccessat(b->dir, "config.json", F_OK, AT_SYMLINK_NOFOLLOW))
		return oci_fail(err, EEXIST, "bundle %s: has a rootfs or config.json already",
				path);
	/* With the lock held, what is there is from one that was killed. */
	if (tree_remove(b->dir, WORK) || mkdirat(b->dir, WORK, 0700) ||
	    (b->work = openat(b->dir, WORK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
	    mkdirat(b->work, "rootfs", 0755) || fchmodat(b->work, "rootfs", 0755, 0))
		return oci_fail_errno(err, errno, "bundle %s", path);
	return 0;
}

static void bundle_close(struct bundle *b, bool failed)
{
	if (b->work >= 0)
		close(b->work);
	if (b->work >= 0 && tree_remove(b->dir, WORK))
		log_warning("%s/" WORK " could not be removed", b->path);
	if (b->dir >= 0)
		close(b->dir);
	if (failed && b->made && b->dir >= 0)
		rmdir(b->path);
}

/* The configuration last: a directory that has one is a whole bundle. */
static int bundle_publish(const struct bundle *b, const struct buf *config, struct oci_error *err)
{
	cleanup_fd int fd =
		openat(b->work, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, config->s, config->len) != (ssize_t)config->len ||
	    write(fd, "\n", 1) != 1)
		return oci_fail_errno(err, errno, "bundle %s: config.json", b->path);
	if (renameat(b->work, "rootfs", b->dir, "rootfs"))
		return oci_fail_errno(err, errno, "bundle %s: rootfs", b->path);
	if (renameat(b->work, "config.json", b->dir, "config.json")) {
		int r = oci_fail_errno(err, errno, "bundle %s: config.json", b->path);

		tree_remove(b->dir, "rootfs");
		return r;
	}
	return 0;
}

struct shown {
	struct layer_progress progress; /* first: report() gets this */
	size_t layer, layers;
	int64_t last_ms;
};

static void show(struct layer_progress *p)
{
	struct shown *s = (struct shown *)p;
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (ms - s->last_ms < 100)
		return;
	s->last_ms = ms;
	fprintf(stderr, "\rlayer %zu of %zu: %" PRIu64 " files, %" PRIu64 " MiB\033[K", s->layer,
		s->layers, p->entries, p->bytes >> 20);
}

/* Streams of the layers to come are started ahead: they uncompress while this one is applied. */
static int apply_layers(struct target *t, const struct image *image, const struct image_options *o,
			struct oci_error *err)
{
	struct stream_budget budget = {.left = (int64_t)o->max_size, .total = o->max_size};
	struct shown shown = {.progress = {.max_entries = o->max_entries,
					   .report = o->progress ? show : NULL},
			      .layers = image->nlayers};
	struct layer_stream *streams = calloc(image->nlayers + 1, sizeof(*streams));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t ahead = cpus < 2 ? 1 : cpus > MAX_STREAMS ? MAX_STREAMS : (size_t)cpus;
	size_t started = 0, i;
	int r = 0;

	if (!streams)
		return oci_fail_errno(err, ENOMEM, "%s", o->image);
	for (i = 0; i < image->nlayers && !r; i++) {
		while (!r && started < image->nlayers && started < i + ahead) {
			r = layer_stream_start(&streams[started], &image->layers[started], &budget,
					       err);
			started += !r;
		}
		if (r)
			break;
		shown.layer = i + 1;
		target_next_layer(t, i > 0);
		r = layer_apply(t, &streams[i], &shown.progress, err);
		if (r)
			oci_fail_prefix(err, "%s: ", o->image);
		layer_stream_end(&streams[i]);
	}
	for (; i < started; i++)
		layer_stream_end(&streams[i]);
	if (o->progress)
		fprintf(stderr, "\r\033[K");
	free(streams);
	return r;
}

static void notes(const struct target *t, const char *image)
{
	if (t->devices_skipped)
		log_warning("%s: %" PRIu64 " device nodes left out: making them is not permitted",
			    image, t->devices_skipped);
	if (t->owners_skipped)
		log_warning("%s: %" PRIu64 " files of other owners belong to the calling user "
			    "(not root)",
			    image, t->owners_skipped);
	if (t->xattrs_skipped)
		log_warning("%s: %" PRIu64 " extended attributes left out: the file system or the "
			    "user may not have them",
			    image, t->xattrs_skipped);
}

/* The image's working directory is there when its process starts. */
static int make_cwd(struct target *t, const struct image *image, struct oci_error *err)
{
	cleanup_free char *cwd = bundle_cwd(image);
	char clean[PATH_MAX];
	int r = cwd ? target_clean(cwd, clean) : -ENOMEM;

	if (!r)
		r = target_dir(t, clean, true);
	return r < 0 ? oci_fail_errno(err, -r, "%s: config.WorkingDir %.200s", image->config_name,
				      cwd ? cwd : "")
		     : 0;
}

static int unpack_to(struct bundle *b, const struct image *image, const struct image_options *o,
		     struct oci_error *err)
{
	cleanup_buf struct buf config = {0};
	cleanup_fd int root =
		openat(b->work, "rootfs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct target t;
	int r;

	if (root < 0)
		return oci_fail_errno(err, errno, "bundle %s: rootfs", b->path);
	target_init(&t, root);
	r = apply_layers(&t, image, o, err);
	if (!r)
		r = make_cwd(&t, image, err);
	if (!r && (r = target_finish(&t)))
		r = oci_fail_errno(err, -r, "bundle %s: modes and times of directories", b->path);
	target_free(&t);
	if (!r)
		r = bundle_config(&config, image, o, root, err);
	if (!r)
		r = bundle_publish(b, &config, err);
	if (!r)
		notes(&t, o->image);
	return r;
}

/* PATH[:REF] where PATH exists, the shortest. path: the caller's to free; ref points into it. */
static bool split_path(const char *image, char **path, const char **ref)
{
	struct stat st;

	*ref = NULL;
	*path = strdup(image);
	if (!*path || !stat(*path, &st))
		return *path != NULL;
	/* A reference may have colons of its own: "registry.example/library/debian:12". */
	for (char *colon = strchr(*path, ':'); colon; colon = strchr(colon + 1, ':')) {
		*colon = '\0';
		if (!stat(*path, &st)) {
			*ref = colon + 1;
			return true;
		}
		*colon = ':';
	}
	free(*path);
	*path = NULL;
	return false;
}

/* The kind is seen from what is there; naming it in front, as other tools want, does no harm. */
static bool split_image(const char *image, char **path, const char **ref)
{
	static const char *const kinds[] = {"oci-archive:", "docker-archive:", "oci:"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(image, kinds[i], strlen(kinds[i])) &&
		    split_path(image + strlen(kinds[i]), path, ref))
			return true;
	return split_path(image, path, ref);
}

/* What a path does not name may be an image pulled; its store stays locked while it is read. */
static int find_stored(const struct image_options *o, struct store *store, char **path, char **ref,
		       struct oci_error *err)
{
	struct oci_error why = {0};
	struct store_entry e;
	struct reference name;
	int r = reference_parse(o->image, &name, &why);

	if (!r)
		r = reference_complete(&name, o->registry, o->name_space, &why);
	if (!r)
		r = store_open(store, o->store, false, &why);
	if (!r)
		r = store_find(store, &name, &e, &why);
	if (r)
		return oci_fail(err, ENOENT, "image %s: no such file, and not pulled: %s", o->image,
				why.msg);
	*path = strdup(o->store);
	*ref = strdup(e.name);
	return *path && *ref ? 0 : oci_fail_errno(err, ENOMEM, "%s", o->image);
}

static int unpack_from(const struct image_options *o, const char *path, const char *ref,
		       struct oci_error *err)
{
	struct image_source source;
	struct platform want;
	struct bundle bundle;
	struct image image;
	int r = platform_parse(o->platform, &want, err);

	if (!r)
		r = image_source_open(&source, path, o->max_size, err);
	if (r)
		return r;
	r = image_find(&source, ref, &want, &image, err);
	if (!r) {
		r = bundle_open(&bundle, o->bundle, err);
		if (!r)
			r = unpack_to(&bundle, &image, o, err);
		bundle_close(&bundle, r != 0);
		image_free(&image);
	}
	image_source_close(&source);
	return r;
}

int image_unpack(const struct image_options *o, struct oci_error *err)
{
	struct store store = {.dir = -1, .lock = -1};
	cleanup_free char *path = NULL, *stored = NULL;
	const char *ref = NULL;
	int r = 0;

	if (!split_image(o->image, &path, &ref)) {
		r = o->store ? find_stored(o, &store, &path, &stored, err)
			     : oci_fail_errno(err, ENOENT, "image %s", o->image);
		ref = stored;
	}
	if (!r)
		r = unpack_from(o, path, ref, err);
	store_close(&store);
	return r;
}
