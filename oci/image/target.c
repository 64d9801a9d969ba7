/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/tree.h"

#define MAX_LINKS 16

void target_init(struct target *t, int root)
{
	*t = (struct target){.root = root, .owners = geteuid() == 0};
	for (unsigned i = 0; i < TARGET_CACHED; i++)
		t->cache[i].fd = -1;
}

static void forget_cached(struct target *t)
{
	for (unsigned i = 0; i < TARGET_CACHED; i++) {
		if (t->cache[i].fd >= 0)
			close(t->cache[i].fd);
		free(t->cache[i].path);
		t->cache[i].fd = -1;
		t->cache[i].path = NULL;
	}
}

static void drop_deferred(struct target *t)
{
	for (size_t i = 0; i < t->ndirs; i++)
		free(t->dirs[i].path);
	t->ndirs = t->dirs_bytes = 0;
}

void target_free(struct target *t)
{
	forget_cached(t);
	drop_deferred(t);
	free(t->dirs);
	free(t->made.slot);
	t->dirs = NULL;
	t->made = (struct inode_set){0};
}

void target_next_layer(struct target *t, bool track)
{
	free(t->made.slot);
	t->made = (struct inode_set){0};
	t->track = track;
}

int target_clean(const char *name, char out[PATH_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	while (*(name += strspn(name, "/"))) {
		size_t n = strcspn(name, "/");

		if (n == 2 && name[0] == '.' && name[1] == '.')
			return -EXDEV;
		if (n != 1 || name[0] != '.') {
			if (n > NAME_MAX || at + n + 2 > PATH_MAX)
				return -ENAMETOOLONG;
			if (at)
				out[at++] = '/';
			memcpy(out + at, name, n);
			at += n;
			out[at] = '\0';
		}
		name += n;
	}
	return 0;
}

const char *target_split(const char *path, char dir[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(dir, path, n);
	dir[n] = '\0';
	return slash ? slash + 1 : path;
}

static int open_dir(const struct target *t, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd;

	do /* EAGAIN: something was renamed elsewhere in the meantime */
		fd = (int)syscall(SYS_openat2, t->root, *path ? path : ".", &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : fd;
}

static int make_dirs(struct target *t, const char *path, unsigned links);

/*
 * at/name is a link that leads to nothing yet: make the directory it means. `before` is the length
 * of the path up to name.
 */
static int make_link_target(struct target *t, const char *path, size_t before, int at,
			    const char *name, unsigned links)
{
	char target[PATH_MAX], whole[2 * PATH_MAX];
	ssize_t n = readlinkat(at, name, target, sizeof(target) - 1);

	if (n < 0)
		return errno == EINVAL ? -ENOTDIR : -errno;
	if (links == MAX_LINKS)
		return -ELOOP;
	target[n] = '\0';
	n = snprintf(whole, sizeof(whole), "%.*s%s", target[0] == '/' ? 0 : (int)before, path,
		     target);
	return n >= PATH_MAX ? -ENAMETOOLONG : make_dirs(t, whole, links + 1);
}

static int make_one(struct target *t, const char *path, size_t before, const char *name,
		    unsigned links)
{
	char upper[PATH_MAX];
	cleanup_fd int at = -1;

	memcpy(upper, path, before);
	upper[before] = '\0';
	at = open_dir(t, upper);
	if (at < 0)
		return at;
	if (!mkdirat(at, name, 0755)) {
		char made[PATH_MAX + NAME_MAX + 1];

		/* The mask of the process does not count; the time stays what it is. */
		if (fchmodat(at, name, 0755, 0))
			return -errno;
		snprintf(made, sizeof(made), "%s%s", upper, name);
		return target_defer(t, made, 0755, NULL);
	}
	return errno == EEXIST ? make_link_target(t, path, before, at, name, links) : -errno;
}

/* path may have ".." in it when it comes from a link; the kernel keeps those inside. */
static int make_dirs(struct target *t, const char *path, unsigned links)
{
	const char *p = path + strspn(path, "/");

	while (*p) {
		size_t n = strcspn(p, "/");
		char prefix[PATH_MAX], name[NAME_MAX + 1];
		int fd, r;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(prefix, path, (size_t)(p - path) + n);
		prefix[(size_t)(p - path) + n] = '\0';
		memcpy(name, p, n);
		name[n] = '\0';
		fd = open_dir(t, prefix);
		if (fd >= 0)
			close(fd);
		r = fd == -ENOENT ? make_one(t, path, (size_t)(p - path), name, links)
		    : fd < 0	  ? fd
				  : 0;
		if (r)
			return r;
		p += n;
		p += strspn(p, "/");
	}
	return 0;
}

int target_dir(struct target *t, const char *path, bool create)
{
	unsigned slot = t->next_slot;
	char *copy;
	int fd, r;

	for (unsigned i = 0; i < TARGET_CACHED; i++)
		if (t->cache[i].path && !strcmp(t->cache[i].path, path)) {
			/* The next call that closes a descriptor closes another one. */
			if (i == t->next_slot)
				t->next_slot = (i + 1) % TARGET_CACHED;
			return t->cache[i].fd;
		}
	fd = open_dir(t, path);
	if (fd == -ENOENT && create) {
		r = make_dirs(t, path, 0);
		fd = r ? r : open_dir(t, path);
	}
	if (fd < 0)
		return fd;
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return -ENOMEM;
	}
	if (t->cache[slot].fd >= 0)
		close(t->cache[slot].fd);
	free(t->cache[slot].path);
	t->cache[slot].path = copy;
	t->cache[slot].fd = fd;
	t->next_slot = (slot + 1) % TARGET_CACHED;
	return fd;
}

int target_remove(struct target *t, int dir, const char *name)
{
	cleanup_fd int kept = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	struct stat st;

	if (kept < 0)
		return -errno;
	/*
	 * A cached path may lead through what goes away, and descriptors the caller borrowed may be
	 * closed by this: it asks for them again. A plain file is on nobody's path.
	 */
	if (!fstatat(kept, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
		forget_cached(t);
	return tree_remove(kept, name);
}

static size_t slot_of(const struct inode_set *s, uint64_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u) & (s->cap - 1);

	while (s->slot[i] && s->slot[i] != ino)
		i = (i + 1) & (s->cap - 1);
	return i;
}

static bool in_set(const struct inode_set *s, uint64_t ino)
{
	return s->cap && s->slot[slot_of(s, ino)] == ino;
}

static int add_to_set(struct inode_set *s, uint64_t ino)
{
	size_t i;

	if (s->n * 4 >= s->cap * 3) {
		struct inode_set more = {.cap = s->cap ? s->cap * 2 : 256};

		more.slot = calloc(more.cap, sizeof(*more.slot));
		if (!more.slot)
			return -ENOMEM;
		for (i = 0; i < s->cap; i++)
			if (s->slot[i])
				more.slot[slot_of(&more, s->slot[i])] = s->slot[i];
		more.n = s->n;
		free(s->slot);
		*s = more;
	}
	i = slot_of(s, ino);
	s->n += !s->slot[i];
	s->slot[i] = ino;
	return 0;
}

int target_mark(struct target *t, int fd)
{
	struct stat st;

	if (!t->track)
		return 0;
	if (fstat(fd, &st))
		return -errno;
	return add_to_set(&t->made, st.st_ino);
}

/* Directories this layer made something in are not empty in the end, and so stay. */
static int hide_below(struct target *t, int dir, unsigned depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	if (depth == TARGET_MAX_DEPTH)
		return -ELOOP;
	while (errno = 0, e = readdir(d)) {
		struct stat st;
		int r = 0;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			return -errno;
		if (S_ISDIR(st.st_mode)) {
			cleanup_fd int child =
				openat(fd, e->d_name,
				       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			r = child < 0 ? -errno : hide_below(t, child, depth + 1);
			if (!r && !in_set(&t->made, st.st_ino) &&
			    unlinkat(fd, e->d_name, AT_REMOVEDIR) && errno != ENOTEMPTY)
				r = -errno;
		} else if (!in_set(&t->made, st.st_ino) && unlinkat(fd, e->d_name, 0)) {
			r = -errno;
		}
		if (r)
			return r;
	}
	return -errno;
}

int target_whiteout(struct target *t, int dir, const char *name)
{
	cleanup_fd int kept = fcntl(dir, F_DUPFD_CLOEXEC, 0), child = -1;
	struct stat st;
	int r;

	if (kept < 0 || fstatat(kept, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return in_set(&t->made, st.st_ino) ? 0 : target_remove(t, kept, name);
	if (!in_set(&t->made, st.st_ino))
		forget_cached(t);
	child = openat(kept, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = child < 0 ? -errno : target_hide(t, child);
	if (!r && !in_set(&t->made, st.st_ino) && unlinkat(kept, name, AT_REMOVEDIR) &&
	    errno != ENOTEMPTY)
		r = -errno;
	return r;
}

int target_hide(struct target *t, int dir)
{
	cleanup_fd int kept = fcntl(dir, F_DUPFD_CLOEXEC, 0);

	if (kept < 0)
		return -errno;
	forget_cached(t);
	return hide_below(t, kept, 0);
}

int target_defer(struct target *t, const char *path, mode_t mode, const struct timespec *mtime)
{
	struct deferred *d;
	int r;

	/* Only an image made to exhaust memory has this many names: its times may come out wrong. */
	if (t->dirs_bytes > TARGET_DEFERRED && (r = target_finish(t)))
		return r;
	if (t->ndirs == t->dirs_cap) {
		size_t cap = t->dirs_cap ? t->dirs_cap * 2 : 256;

		d = reallocarray(t->dirs, cap, sizeof(*d));
		if (!d)
			return -ENOMEM;
		t->dirs = d;
		t->dirs_cap = cap;
	}
	d = &t->dirs[t->ndirs];
	*d = (struct deferred){.path = strdup(path), .mode = mode, .timed = mtime != NULL};
	if (!d->path)
		return -ENOMEM;
	if (mtime)
		d->mtime = *mtime;
	t->ndirs++;
	t->dirs_bytes += strlen(path) + sizeof(*d);
	return 0;
}

static int finish_one(struct target *t, const struct deferred *d, struct inode_set *done)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	struct timespec times[2] = {d->mtime, d->mtime};
	cleanup_fd int fd =
		(int)syscall(SYS_openat2, t->root, *d->path ? d->path : ".", &how, sizeof(how));
	struct stat st;

	/* It may have been removed or replaced since; or closed by the mode of one above it. */
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES
			       ? 0
			       : -errno;
	if (fstat(fd, &st))
		return -errno;
	if (in_set(done, st.st_ino))
		return 0;
	if (fchmod(fd, d->mode) || (d->timed && futimens(fd, times)))
		return -errno;
	return add_to_set(done, st.st_ino);
}

/* Backwards: the last word on a directory counts, and what is in it comes before itself. */
int target_finish(struct target *t)
{
	struct inode_set done = {0};
	int r = 0;

	for (size_t i = t->ndirs; i-- && !r;)
		r = finish_one(t, &t->dirs[i], &done);
	free(done.slot);
	drop_deferred(t);
	return r;
}
