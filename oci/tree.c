/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/tree.h"

struct name {
	char s[NAME_MAX + 1];
};

struct walk {
	struct name *stack; /* of the directories entered */
	size_t depth, cap;
	int fd; /* the innermost */
};

static int enter(struct walk *w, const char *name)
{
	int fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* Without privileges a directory may deny what its owner may grant. */
	if (fd < 0 && errno == EACCES && !fchmodat(w->fd, name, 0700, 0))
		fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (w->depth == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 16;
		struct name *more = reallocarray(w->stack, cap, sizeof(*more));

		if (!more) {
			close(fd);
			return -ENOMEM;
		}
		w->stack = more;
		w->cap = cap;
	}
	memccpy(w->stack[w->depth++].s, name, '\0', sizeof(w->stack->s));
	close(w->fd);
	w->fd = fd;
	return 0;
}

/* 0: gone; 1: a directory with something in it; -errno. */
static int remove_one(int dir, const char *name)
{
	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (!unlinkat(dir, name, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* Empty the innermost directory. 1: entered another one instead. */
static int empty(struct walk *w)
{
	int fd = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool fixed = false;

	if (!d) {
		int r = -errno;

		if (fd >= 0)
			close(fd);
		return r;
	}
	for (;;) {
		int r;

		errno = 0;
		e = readdir(d);
		if (!e)
			return -errno;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		r = remove_one(w->fd, e->d_name);
		if (r == -EACCES && !fixed && !fchmod(w->fd, 0700)) {
			fixed = true;
			r = remove_one(w->fd, e->d_name);
		}
		if (r < 0)
			return r;
		if (r) {
			r = enter(w, e->d_name);
			return r ? r : 1;
		}
	}
}

/* Remove the innermost directory and stand in the one above it. */
static int leave(struct walk *w)
{
	int up = openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (up < 0)
		return -errno;
	close(w->fd);
	w->fd = up;
	return unlinkat(up, w->stack[--w->depth].s, AT_REMOVEDIR) ? -errno : 0;
}

int tree_remove(int dir, const char *name)
{
	struct walk w = {.fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int r;

	if (w.fd < 0)
		return -errno;
	r = remove_one(w.fd, name);
	if (r > 0)
		r = enter(&w, name);
	while (!r && w.depth) {
		r = empty(&w);
		if (!r)
			r = leave(&w);
		else if (r > 0)
			r = 0;
	}
	free(w.stack);
	close(w.fd);
	return r;
}

int tree_make(const char *path)
{
	char buf[4096];

	if (snprintf(buf, sizeof(buf), "%s", path) >= (int)sizeof(buf))
		return -ENAMETOOLONG;
	for (char *p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(buf, 0755) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(buf, 0700) && errno != EEXIST ? -errno : 0;
}
