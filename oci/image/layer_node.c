/* SPDX-License-Identifier: Apache-2.0 */
/* Making one file of a layer, with owner, mode, attributes and time, in the order that keeps them. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/layer.h"

#define MAX_XATTR (64u << 10)

struct node {
	struct target *t;
	struct archive *a;
	struct archive_entry *e;
	const char *path, *name;
	char dir[PATH_MAX];
	int at; /* the directory, borrowed from the target */
	struct layer_progress *progress;
	const char **what;
};

static int open_parent(struct node *n)
{
	*n->what = "directory";
	n->at = target_dir(n->t, n->dir, true);
	return n->at < 0 ? n->at : 0;
}

/* Something else has the name: it goes, and the directory is looked up again. */
static int clear_way(struct node *n)
{
	int r = target_remove(n->t, n->at, n->name);

	*n->what = "cannot replace";
	return r ? r : open_parent(n);
}

static void times_of(struct archive_entry *e, struct timespec out[2])
{
	out[1] = (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
	if (!archive_entry_mtime_is_set(e) || out[1].tv_nsec < 0 || out[1].tv_nsec > 999999999)
		out[1].tv_nsec = UTIME_OMIT;
	out[0] = out[1];
}

/* False: the attribute is not an image's to set. */
static bool wanted_xattr(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability") ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

/* fd, or at/name where there is no descriptor to be had. */
static int set_xattrs(struct node *n, int fd)
{
	const char *name;
	const void *value;
	size_t size;
	char path[64 + NAME_MAX];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", n->at, n->name);
	archive_entry_xattr_reset(n->e);
	while (archive_entry_xattr_next(n->e, &name, &value, &size) == ARCHIVE_OK) {
		if (!name || !wanted_xattr(name)) {
			n->t->xattrs_skipped++;
			continue;
		}
		*n->what = "extended attribute";
		if (size > MAX_XATTR)
			return -ERANGE;
		if (!(fd >= 0 ? fsetxattr(fd, name, value, size, 0)
			      : lsetxattr(path, name, value, size, 0)))
			continue;
		if (errno != EOPNOTSUPP && errno != EPERM)
			return -errno;
		n->t->xattrs_skipped++;
	}
	return 0;
}

/* -EOVERFLOW: not an id. */
static int owner_of(struct archive_entry *e, uid_t *uid, gid_t *gid)
{
	int64_t u = archive_entry_uid(e), g = archive_entry_gid(e);

	if (u < 0 || u >= UINT32_MAX || g < 0 || g >= UINT32_MAX)
		return -EOVERFLOW;
	*uid = (uid_t)u;
	*gid = (gid_t)g;
	return 0;
}

/* Whether chown(2) is to be called. */
static bool take_owner(struct target *t, uid_t uid, gid_t gid)
{
	if (!t->owners && (uid || gid))
		t->owners_skipped++;
	return t->owners;
}

/* Owner first: it clears the set-id bits and the capability. Time last. */
static int set_by_fd(struct node *n, int fd, bool directory)
{
	mode_t mode = archive_entry_perm(n->e) & 07777;
	struct timespec times[2];
	uid_t uid;
	gid_t gid;
	int r = owner_of(n->e, &uid, &gid);

	*n->what = "owner";
	if (r)
		return r;
	if (take_owner(n->t, uid, gid) && fchown(fd, uid, gid))
		return -errno;
	*n->what = "mode";
	if (!directory && fchmod(fd, mode))
		return -errno;
	r = set_xattrs(n, fd);
	if (r)
		return r;
	*n->what = "time";
	times_of(n->e, times);
	if (!directory)
		return futimens(fd, times) ? -errno : target_mark(n->t, fd);
	r = target_defer(n->t, n->path, mode, times[1].tv_nsec == UTIME_OMIT ? NULL : &times[1]);
	return r ? r : target_mark(n->t, fd);
}

/* Links, devices and pipes: nothing that wants opening. */
static int set_by_name(struct node *n, bool link)
{
	struct timespec times[2];
	cleanup_fd int fd = -1;
	uid_t uid;
	gid_t gid;
	int r = owner_of(n->e, &uid, &gid);

	*n->what = "owner";
	if (r)
		return r;
	if (take_owner(n->t, uid, gid) && fchownat(n->at, n->name, uid, gid, AT_SYMLINK_NOFOLLOW))
		return -errno;
	*n->what = "mode";
	if (!link && fchmodat(n->at, n->name, archive_entry_perm(n->e) & 07777, 0))
		return -errno;
	r = set_xattrs(n, -1);
	if (r)
		return r;
	*n->what = "time";
	times_of(n->e, times);
	if (utimensat(n->at, n->name, times, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!n->t->track)
		return 0;
	fd = openat(n->at, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : target_mark(n->t, fd);
}

static int write_block(int fd, const unsigned char *p, size_t n, off_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* Blocks have positions: what lies between them is a hole. */
static int write_data(struct node *n, int fd)
{
	int64_t size = archive_entry_size(n->e), end = 0;
	const void *p;
	size_t len;
	la_int64_t at;
	int r;

	*n->what = "data";
	while ((r = archive_read_data_block(n->a, &p, &len, &at)) != ARCHIVE_EOF) {
		if (r < ARCHIVE_WARN)
			return -EBADMSG;
		if (at < 0 || at > size || (int64_t)len > size - at)
			return -E2BIG;
		if (image_interrupted())
			return -EINTR;
		r = write_block(fd, p, len, at);
		if (r)
			return r;
		end = at + (int64_t)len > end ? at + (int64_t)len : end;
		n->progress->bytes += len;
		if (n->progress->report)
			n->progress->report(n->progress);
	}
	return end < size && ftruncate(fd, size) ? -errno : 0;
}

static int make_file(struct node *n)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	cleanup_fd int fd = openat(n->at, n->name, flags, 0600);
	int r;

	if (fd < 0 && errno == EEXIST) {
		r = clear_way(n);
		if (r)
			return r;
		fd = openat(n->at, n->name, flags, 0600);
	}
	*n->what = "cannot create";
	if (fd < 0)
		return -errno;
	r = write_data(n, fd);
	return r ? r : set_by_fd(n, fd, false);
}

static int make_directory(struct node *n)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	cleanup_fd int fd = -1;
	struct stat st;
	int r;

	*n->what = "cannot create";
	r = mkdirat(n->at, n->name, 0700) ? -errno : 0;
	if (r == -EEXIST && fstatat(n->at, n->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (r == -EEXIST && !S_ISDIR(st.st_mode)) {
		r = clear_way(n);
		if (r)
			return r;
		r = mkdirat(n->at, n->name, 0700) ? -errno : 0;
	}
	if (r && r != -EEXIST)
		return r;
	fd = openat(n->at, n->name, flags);
	return fd < 0 ? -errno : set_by_fd(n, fd, true);
}

static int make_link(struct node *n)
{
	const char *to = archive_entry_symlink(n->e);
	int r;

	*n->what = "link";
	if (!to)
		return -EILSEQ;
	r = symlinkat(to, n->at, n->name) ? -errno : 0;
	if (r == -EEXIST) {
		r = clear_way(n);
		if (r)
			return r;
		r = symlinkat(to, n->at, n->name) ? -errno : 0;
	}
	*n->what = "cannot create link";
	return r ? r : set_by_name(n, true);
}

/* Devices only count for who would use the bundle on the host: containers here have none of it. */
static int make_special(struct node *n, mode_t type)
{
	unsigned major = (unsigned)archive_entry_rdevmajor(n->e),
		 minor = (unsigned)archive_entry_rdevminor(n->e);
	dev_t dev = type == S_IFIFO ? 0 : makedev(major, minor);
	int r = mknodat(n->at, n->name, type | 0600, dev) ? -errno : 0;

	if (r == -EEXIST) {
		r = clear_way(n);
		if (r)
			return r;
		r = mknodat(n->at, n->name, type | 0600, dev) ? -errno : 0;
	}
	*n->what = "cannot create";
	if (r == -EPERM && type != S_IFIFO) {
		n->t->devices_skipped++;
		return 0;
	}
	return r ? r : set_by_name(n, false);
}

/* The other name, found like any path: inside the root, the last component not followed. */
static int open_target(struct node *n, int *at, const char **name, char clean[PATH_MAX])
{
	char dir[PATH_MAX];
	int r = target_clean(archive_entry_hardlink(n->e), clean);

	*n->what = "link target";
	if (r)
		return r;
	*name = target_split(clean, dir);
	if (!**name)
		return -EISDIR;
	*at = target_dir(n->t, dir, false);
	return *at < 0 ? *at : 0;
}

static int make_hard_link(struct node *n)
{
	char clean[PATH_MAX];
	const char *name;
	struct stat to, here;
	cleanup_fd int fd = -1;
	int at, r = open_target(n, &at, &name, clean);

	if (r)
		return r;
	if (fstatat(at, name, &to, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISDIR(to.st_mode))
		return -EISDIR;
	if (!fstatat(n->at, n->name, &here, AT_SYMLINK_NOFOLLOW)) {
		if (here.st_ino == to.st_ino && here.st_dev == to.st_dev)
			return 0;
		r = clear_way(n);
		if (!r)
			r = open_target(n, &at, &name, clean);
		if (r)
			return r;
	}
	*n->what = "cannot link";
	if (linkat(at, name, n->at, n->name, 0))
		return -errno;
	if (!n->t->track)
		return 0;
	fd = openat(n->at, n->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : target_mark(n->t, fd);
}

static int root_itself(struct node *n)
{
	cleanup_fd int fd = openat(n->t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*n->what = "the root";
	if (archive_entry_filetype(n->e) != AE_IFDIR || archive_entry_hardlink(n->e))
		return -ENOTDIR;
	n->at = n->t->root;
	n->name = ".";
	return fd < 0 ? -errno : set_by_fd(n, fd, true);
}

int layer_node(struct target *t, struct archive *a, struct archive_entry *e, const char *path,
	       struct layer_progress *p, const char **what)
{
	struct node n = {.t = t, .a = a, .e = e, .path = path, .progress = p, .what = what};
	int r;

	n.name = target_split(path, n.dir);
	if (!*path)
		return root_itself(&n);
	r = open_parent(&n);
	if (r)
		return r;
	if (archive_entry_hardlink(e))
		return make_hard_link(&n);
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return make_file(&n);
	case AE_IFDIR:
		return make_directory(&n);
	case AE_IFLNK:
		return make_link(&n);
	case AE_IFCHR:
		return make_special(&n, S_IFCHR);
	case AE_IFBLK:
		return make_special(&n, S_IFBLK);
	case AE_IFIFO:
		return make_special(&n, S_IFIFO);
	default:
		*what = "kind of file";
		return -EOPNOTSUPP;
	}
}
