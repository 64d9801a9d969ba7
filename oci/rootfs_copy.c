/* SPDX-License-Identifier: Apache-2.0 */
/* Option tmpcopyup: a tmpfs begins with what was at its mount point. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/rootfs.h"

#define DEPTH_MAX 256 /* of directories: each level holds two descriptors */

static int copy_dir(int from, int to, int depth);

static int copy_data(int in, int out)
{
	for (;;) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);

		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP))
			n = sendfile(out, in, NULL, 1 << 30);
		if (n <= 0)
			return n < 0 ? -errno : 0;
	}
}

/* User attributes and capabilities; a tmpfs that takes no such attribute loses it, as a copy by cp does. */
static void copy_xattrs(int in, int out)
{
	char names[4096], value[4096];
	ssize_t n = flistxattr(in, names, sizeof(names));

	for (const char *s = names; n > 0 && s < names + n; s += strlen(s) + 1) {
		ssize_t len = fgetxattr(in, s, value, sizeof(value));

		if (len >= 0 && fsetxattr(out, s, value, (size_t)len, 0))
			continue;
	}
}

/* Owner before mode: a change of owner clears the set-id bits. */
static int copy_attributes(int fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	return fchown(fd, st->st_uid, st->st_gid) || fchmod(fd, st->st_mode & 07777) ||
			       futimens(fd, times)
		       ? -errno
		       : 0;
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	return symlinkat(target, to, name) ||
			       fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW)
		       ? -errno
		       : 0;
}

static int copy_open(int in, int to, const char *name, const struct stat *st, int depth)
{
	bool dir = S_ISDIR(st->st_mode);
	cleanup_fd int out = -1;
	int r;

	if (dir && mkdirat(to, name, 0700))
		return -errno;
	out = openat(to, name,
		     O_CLOEXEC | O_NOFOLLOW |
			     (dir ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_CREAT | O_EXCL),
		     0600);
	if (out < 0)
		return -errno;
	r = dir ? copy_dir(in, out, depth + 1) : copy_data(in, out);
	copy_xattrs(in, out);
	return r ? r : copy_attributes(out, st);
}

static int copy_entry(int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, &st);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		cleanup_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		return in < 0 || fstat(in, &st) ? -errno : copy_open(in, to, name, &st, depth);
	}
	if (S_ISSOCK(st.st_mode))
		return 0;
	return mknodat(to, name, st.st_mode, st.st_rdev) ||
			       fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW)
		       ? -errno
		       : 0;
}

static int copy_dir(int from, int to, int depth)
{
	int fd = depth < DEPTH_MAX ? fcntl(from, F_DUPFD_CLOEXEC, 3) : -1, r = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d) {
		r = depth < DEPTH_MAX ? -errno : -ELOOP;
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (struct dirent *e; !r && (errno = 0, e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = copy_entry(from, to, e->d_name, depth);
	if (!r && errno)
		r = -errno;
	closedir(d);
	return r;
}

int rootfs_copy_up(int from, int tree)
{
	cleanup_fd int to = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (to < 0 || fstat(from, &st))
		return -errno;
	r = copy_dir(from, to, 0);
	if (r)
		return r;
	copy_xattrs(from, to);
	return copy_attributes(to, &st);
}
