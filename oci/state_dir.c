/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a container's state: names, creation, lock, removal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/rootless.h"
#include "oci/state.h"
#include "oci/tree.h"

#define LOCK_WAIT_MS 10000

int oci_id_validate(const char *id, struct oci_error *err)
{
	if (!*id)
		return oci_fail(err, EINVAL, "container id cannot be empty");
	/* A name of ours: one path component, no special meaning to a shell. */
	if (!strcmp(id, ".") || !strcmp(id, "..") || strlen(id) > 1024 || strlen(id) > NAME_MAX)
		return oci_fail(err, EINVAL, "invalid container ID format");
	for (const char *p = id; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || strchr("_+-.", *p)))
			return oci_fail(err, EINVAL, "invalid container ID format");
	return 0;
}

static int open_root(const char *root)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Still the directory of that name, and without a container in it? */
static bool is_free(int rootfd, const char *id, int dir)
{
	struct stat named, ours;

	return !fstatat(rootfd, id, &named, AT_SYMLINK_NOFOLLOW) && !fstat(dir, &ours) &&
	       named.st_ino == ours.st_ino && named.st_dev == ours.st_dev &&
	       faccessat(dir, OCI_STATE_FILE, F_OK, 0);
}

int oci_state_dir_create(const char *root, const char *id, struct oci_error *err)
{
	cleanup_fd int rootfd = -1, dir = -1;
	int r = oci_id_validate(id, err);

	if (r)
		return r;
	r = tree_make(root);
	if (r)
		return oci_fail_errno(err, -r, "mkdir %s%s", root, rootless_root_hint());
	rootfd = open_root(root);
	if (rootfd < 0)
		return oci_fail_errno(err, -rootfd, "open %s%s", root, rootless_root_hint());
	if (mkdirat(rootfd, id, 0700) && errno != EEXIST)
		return oci_fail_errno(err, errno, "mkdir %s/%s", root, id);
	dir = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return oci_fail_errno(err, errno, "open %s/%s", root, id);
	if (!is_free(rootfd, id, dir))
		return oci_fail(err, EEXIST, "container with given ID already exists");
	r = oci_state_lock(dir, err);
	if (!r && !is_free(rootfd, id, dir))
		return oci_fail(err, EEXIST, "container with given ID already exists");
	return r ? r : steal_fd(&dir);
}

int oci_state_dir_open(const char *root, const char *id, struct oci_error *err)
{
	cleanup_fd int rootfd = -1;
	int dir, r = oci_id_validate(id, err);

	if (r)
		return r;
	rootfd = open_root(root);
	if (rootfd == -ENOENT)
		return oci_fail(err, ENOENT, "container does not exist");
	if (rootfd < 0)
		return oci_fail_errno(err, -rootfd, "open %s%s", root, rootless_root_hint());
	dir = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 && errno == ENOENT)
		return oci_fail(err, ENOENT, "container does not exist");
	if (dir < 0)
		return oci_fail_errno(err, errno, "open %s/%s", root, id);
	return dir;
}

int oci_state_lock(int dir, struct oci_error *err)
{
	static const struct timespec tick = {.tv_nsec = 5 * 1000 * 1000};

	for (int waited = 0;; waited += 5) {
		if (!flock(dir, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return oci_fail_errno(err, errno, "cannot lock the container's state");
		if (waited >= LOCK_WAIT_MS)
			return oci_fail(err, EBUSY,
					"another command is still working on the container");
		nanosleep(&tick, NULL);
	}
}

void oci_state_unlock(int dir)
{
	flock(dir, LOCK_UN);
}

int oci_state_dir_remove(const char *root, const char *id, struct oci_error *err)
{
	cleanup_fd int rootfd = open_root(root), dirfd = -1;
	cleanup_dir DIR *d = NULL;
	struct dirent *e;

	if (rootfd < 0)
		return rootfd == -ENOENT ? 0 : oci_fail_errno(err, -rootfd, "open %s", root);
	dirfd = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dirfd < 0)
		return errno == ENOENT ? 0 : oci_fail_errno(err, errno, "open %s/%s", root, id);
	d = fdopendir(dup(dirfd));
	/*
	 * Flat by construction: nothing of ours makes a directory in there. The state goes last: until
	 * then the container can be found and deleted again.
	 */
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    strcmp(e->d_name, OCI_STATE_FILE))
			unlinkat(dirfd, e->d_name, 0);
	unlinkat(dirfd, OCI_STATE_FILE, 0);
	if (unlinkat(rootfd, id, AT_REMOVEDIR) && errno != ENOENT)
		return oci_fail_errno(err, errno, "rmdir %s/%s", root, id);
	return 0;
}
