/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/store_internal.h"
#include "oci/tree.h"

static int make_directory(int dir, const char *name)
{
	return mkdirat(dir, name, 0700) && errno != EEXIST ? -errno : 0;
}

static int fill(const struct store *s)
{
	static const char *const dirs[] = {"blobs", "blobs/sha256", "blobs/sha512", "partial"};
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}\n";
	int r = 0;

	cleanup_fd int lock = -1;

	for (size_t i = 0; !r && i < sizeof(dirs) / sizeof(dirs[0]); i++)
		r = make_directory(s->dir, dirs[i]);
	if (r || !faccessat(s->dir, "oci-layout", F_OK, 0))
		return r;
	lock = store_lock_index(s);
	return lock < 0 ? lock : store_replace_file(s, "oci-layout", layout, sizeof(layout) - 1);
}

int store_open(struct store *s, const char *path, bool create, struct oci_error *err)
{
	int r = create ? tree_make(path) : 0;

	*s = (struct store){.path = path, .dir = -1, .lock = -1};
	if (!r)
		s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r || s->dir < 0)
		return oci_fail_errno(err, r ? -r : errno, "store %s", path);
	s->lock = openat(s->dir, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0),
			 0600);
	if (s->lock < 0 || flock(s->lock, LOCK_SH))
		r = oci_fail_errno(err, errno, "store %s: lock", path);
	else if (create && (r = fill(s)))
		r = oci_fail_errno(err, -r, "store %s", path);
	if (r)
		store_close(s);
	return r;
}

void store_close(struct store *s)
{
	if (s->lock >= 0)
		close(s->lock);
	if (s->dir >= 0)
		close(s->dir);
	s->dir = s->lock = -1;
}

int store_has(const struct store *s, const struct digest *d, uint64_t size, struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	struct stat st;

	digest_blob_path(d, name, sizeof(name));
	if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : oci_fail_errno(err, errno, "%s/%s", s->path, name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return oci_fail(err, EBADMSG, "%s/%s has %lld bytes, not %llu", s->path, name,
				(long long)st.st_size, (unsigned long long)size);
	return 1;
}

static void partial_name(const struct digest *d, char out[DIGEST_MAX + 16])
{
	int n = (int)strcspn(d->text, ":");

	snprintf(out, DIGEST_MAX + 16, "partial/%.*s-%s", n, d->text, d->text + n + 1);
}

/* The file still has that name: its last owner neither completed nor removed it. */
static bool is_named(const struct store *s, const char *name, int fd)
{
	struct stat named, ours;

	return !fstatat(s->dir, name, &named, AT_SYMLINK_NOFOLLOW) && !fstat(fd, &ours) &&
	       named.st_ino == ours.st_ino && named.st_dev == ours.st_dev;
}

static int wait_lock(int fd)
{
	static const struct timespec nap = {.tv_nsec = 50000000};

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (image_interrupted())
			return -EINTR;
		nanosleep(&nap, NULL);
	}
	return 0;
}

int store_begin(const struct store *s, const struct digest *d, uint64_t size, int *fd,
		struct oci_error *err)
{
	char name[DIGEST_MAX + 16];
	int r;

	partial_name(d, name);
	for (;;) {
		cleanup_fd int f =
			openat(s->dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		r = f < 0 ? -errno : wait_lock(f);
		if (r)
			return oci_fail_errno(err, -r, "%s/%s", s->path, name);
		r = store_has(s, d, size, err);
		if (r && is_named(s, name, f))
			unlinkat(s->dir, name, 0);
		if (r)
			return r;
		if (is_named(s, name, f)) {
			*fd = steal_fd(&f);
			return 0;
		}
	}
}

int store_commit(const struct store *s, const struct digest *d, int fd, struct oci_error *err)
{
	char from[DIGEST_MAX + 16], to[DIGEST_MAX + 16];
	int r = 0;

	partial_name(d, from);
	digest_blob_path(d, to, sizeof(to));
	if (fdatasync(fd) || renameat(s->dir, from, s->dir, to))
		r = oci_fail_errno(err, errno, "%s/%s", s->path, to);
	close(fd);
	return r;
}

void store_leave(const struct store *s, const struct digest *d, int fd, bool remove)
{
	char name[DIGEST_MAX + 16];
	struct stat st;

	partial_name(d, name);
	/* An empty one is of no use to anyone. */
	if (remove || (!fstat(fd, &st) && !st.st_size))
		unlinkat(s->dir, name, 0);
	close(fd);
}

int store_lock_index(const struct store *s)
{
	cleanup_fd int fd =
		openat(s->dir, "index.lock", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 || flock(fd, LOCK_EX) ? -errno : steal_fd(&fd);
}

int store_replace_file(const struct store *s, const char *name, const char *text, size_t len)
{
	char temporary[64];
	cleanup_fd int fd = -1;
	int r = 0;

	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	fd = openat(s->dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	for (size_t at = 0; !r && at < len;) {
		ssize_t n = write(fd, text + at, len - at);

		if (n < 0 && errno != EINTR)
			r = -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	if (!r && (fdatasync(fd) || renameat(s->dir, temporary, s->dir, name) || fsync(s->dir)))
		r = -errno;
	if (r)
		unlinkat(s->dir, temporary, 0);
	return r;
}
