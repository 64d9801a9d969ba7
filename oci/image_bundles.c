/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image_bundles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image_helper.h"
#include "oci/log.h"
#include "oci/tree.h"

#define OWNER ".owner"

/* Its parents too; none of them was there before or all stay as they are. */
static int make_path(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0700) && errno != EEXIST)
				return -errno;
			*p = '/';
		}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* The directory of all bundles, locked: owners appear and are judged under that lock alone. */
static int open_all(char **path, struct oci_error *err)
{
	cleanup_fd int dir = -1;
	int r = image_helper_dir("bundles", path, err);

	if (r)
		return r;
	r = make_path(*path);
	if (!r)
		dir = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r || dir < 0 || flock(dir, LOCK_EX))
		return oci_fail_errno(err, r ? -r : errno, "%s", *path);
	return steal_fd(&dir);
}

/*
 * The container that the dead owner's file names, if it is of this bundle. True: it runs, and the
 * bundle is its. One that ended, or was never started, is deleted: nobody else will.
 */
static bool still_runs(const struct oci_global *g, char *text, const char *bundle)
{
	char *id = strchr(text, '\n'), *end = id ? strchr(id + 1, '\n') : NULL;
	struct oci_global there = *g;
	enum oci_status status;
	struct container box;
	struct oci_error ignored;
	const char *name;
	bool runs;

	if (!end)
		return false;
	*id++ = *end = '\0';
	there.root = text;
	if (container_open(&there, id, &box, &status, &ignored))
		return false;
	name = box.state.bundle ? strrchr(box.state.bundle, '/') : NULL;
	runs = name && !strcmp(name + 1, bundle) && (status == OCI_RUNNING || status == OCI_PAUSED);
	if (name && !strcmp(name + 1, bundle) && !runs && !container_end(&box, &ignored) &&
	    container_delete(&there, &box, id, &ignored))
		log_debug("%s", ignored.msg);
	container_free(&box);
	return runs;
}

static void sweep_one(const struct oci_global *g, int dir, const char *name)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[PATH_MAX + NAME_MAX + 2], bundle[NAME_MAX + 1];
	ssize_t n;
	int r;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	snprintf(bundle, sizeof(bundle), "%.*s", (int)(strlen(name) - strlen(OWNER)), name);
	if (still_runs(g, text, bundle))
		return;
	r = tree_remove(dir, bundle);
	if (r)
		log_warning("bundle %s of a run that was killed could not be removed", bundle);
	else
		unlinkat(dir, name, 0);
}

static int sweep(const struct oci_global *g, int dir, const char *path, struct oci_error *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		int r = oci_fail_errno(err, errno, "%s", path);

		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n > strlen(OWNER) && !strcmp(e->d_name + n - strlen(OWNER), OWNER))
			sweep_one(g, dir, e->d_name);
	}
	return 0;
}

int image_bundles_sweep(const struct oci_global *g, struct oci_error *err)
{
	cleanup_free char *path = NULL;
	cleanup_fd int dir = open_all(&path, err);

	return dir < 0 ? dir : sweep(g, dir, path, err);
}

static int make_owner(struct image_bundle *b, const struct oci_global *g, const char *container)
{
	char name[sizeof(b->id) + sizeof(OWNER)];
	cleanup_fd int fd = -1;

	snprintf(name, sizeof(name), "%s" OWNER, b->id);
	fd = openat(b->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) || dprintf(fd, "%s\n%s\n", g->root, container) < 0)
		return -errno;
	b->owner = steal_fd(&fd);
	return 0;
}

int image_bundle_id(char id[IMAGE_BUNDLE_ID], struct oci_error *err)
{
	unsigned number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		return oci_fail_errno(err, errno, "getrandom");
	snprintf(id, IMAGE_BUNDLE_ID, "image-%d-%08x", (int)getpid(), number);
	return 0;
}

int image_bundle_begin(struct image_bundle *b, const struct oci_global *g, const char *id,
		       const char *container, struct oci_error *err)
{
	cleanup_free char *all = NULL;
	int r;

	*b = (struct image_bundle){.dir = -1, .owner = -1};
	snprintf(b->id, sizeof(b->id), "%s", id);
	b->dir = open_all(&all, err);
	if (b->dir < 0)
		return b->dir;
	r = sweep(g, b->dir, all, err);
	if (!r && asprintf(&b->path, "%s/%s", all, b->id) < 0) {
		b->path = NULL;
		r = oci_fail_errno(err, ENOMEM, "%s", all);
	}
	if (!r && (r = make_owner(b, g, container)))
		r = oci_fail_errno(err, -r, "%s/%s" OWNER, all, b->id);
	flock(b->dir, LOCK_UN);
	if (r)
		image_bundle_end(b);
	return r;
}

void image_bundle_end(struct image_bundle *b)
{
	char name[sizeof(b->id) + sizeof(OWNER)];

	snprintf(name, sizeof(name), "%s" OWNER, b->id);
	if (b->owner >= 0 && tree_remove(b->dir, b->id))
		log_warning("%s could not be removed", b->path);
	else if (b->owner >= 0)
		unlinkat(b->dir, name, 0);
	if (b->owner >= 0)
		close(b->owner);
	if (b->dir >= 0)
		close(b->dir);
	free(b->path);
	b->path = NULL;
	b->dir = b->owner = -1;
}
