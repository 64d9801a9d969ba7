/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path resolution (path_resolution(7)). Two ways through a path:
 *
 * - the whole rest at once by openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, when it lies in a
 *   host directory, names no ".." and no mount point, and the task may search every directory;
 * - else component by component, with symlinks read and followed here, relative to the task's root,
 *   so that the host never follows one.
 */
#include "runtime/fs/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>

#include "runtime/fs/vfs_internal.h"

#define WALK_BUF (2 * VFS_PATH_MAX)

struct walk {
	struct task *t;
	struct vfs *vfs;
	const struct vpath *base;      /* where relative paths start; NULL: dirfd */
	struct vpath root, start, cur; /* references */
	unsigned flags, links;
	uint64_t resolve;
	bool search_all, try_fast;
	char *rest;	    /* into buf */
	char buf[WALK_BUF];
	char rel[VFS_PATH_MAX]; /* the fast path's normalised copy */
};

static void walk_goto(struct walk *w, struct vpath to)
{
	vpath_put(&w->cur);
	w->cur = to;
}

/* Length of the component at s. */
static size_t component_len(const char *s)
{
	return strcspn(s, "/");
}

static bool is_dots(const char *s, size_t len)
{
	return len <= 2 && s[0] == '.' && (len == 1 || s[1] == '.');
}

/* The rest without "." and doubled slashes in w->rel; false when it has a "..". */
static bool walk_normalise(struct walk *w, bool *trailing)
{
	const char *s = w->rest;
	size_t out = 0;

	*trailing = false;
	while (*s) {
		size_t n;

		if (*s == '/') {
			*trailing = true;
			s++;
			continue;
		}
		n = component_len(s);
		if (is_dots(s, n)) {
			if (n == 2)
				return false;
			*trailing = true;
			s += n;
			continue;
		}
		if (n > VFS_NAME_MAX || out + n + 2 > sizeof(w->rel))
			return false;
		if (out)
			w->rel[out++] = '/';
		memcpy(w->rel + out, s, n);
		out += n;
		s += n;
		*trailing = false;
	}
	w->rel[out] = 0;
	return out > 0;
}

/* Would rel, taken from the container's root, pass a mount point? */
static bool crosses_mount(struct vfs *v, const char *rel)
{
	for (unsigned i = 1; i < v->nmounts; i++) {
		const char *target = v->mounts[i]->target + 1;
		size_t n = strlen(target);

		if (!strncmp(rel, target, n) && (rel[n] == 0 || rel[n] == '/'))
			return true;
	}
	return false;
}

static bool fast_possible(struct walk *w, bool *trailing)
{
	struct vpath top = {w->vfs->mounts[0], w->vfs->mounts[0]->root};

	if (!w->try_fast || !w->search_all || w->resolve || !vnode_is_host(w->cur.node))
		return false;
	if (!walk_normalise(w, trailing))
		return false;
	if (!atomic_load_explicit(&w->cur.node->covers_mounts, memory_order_relaxed))
		return true;
	return vpath_same(&w->cur, &top) && !crosses_mount(w->vfs, w->rel);
}

/* Put a symlink's text in front of what is left to walk. */
static int walk_splice(struct walk *w, const char *text, size_t len, const char *after)
{
	size_t alen = strlen(after);

	if (!len)
		return -ENOENT;
	if (len + 1 + alen + 1 > sizeof(w->buf))
		return -ENAMETOOLONG;
	memmove(w->buf + len + 1, after, alen + 1);
	memcpy(w->buf, text, len);
	w->buf[len] = '/';
	/* A link's own text ends the path: no slash that was not there (it would demand a directory). */
	if (!alen)
		w->buf[len] = 0;
	w->rest = w->buf;
	w->try_fast = true;
	if (text[0] == '/') {
		struct vpath root = w->root;

		if (w->resolve & RESOLVE_BENEATH)
			return -EXDEV;
		if (w->resolve & RESOLVE_NO_XDEV && w->cur.mount != root.mount)
			return -EXDEV;
		vpath_get(&root);
		walk_goto(w, root);
	}
	return 0;
}

/* fs.protected_symlinks: in sticky world-writable directories only the owner's links are followed. */
static int may_follow(struct walk *w, struct vnode *dir, struct vnode *link)
{
	struct kstat d, l;

	if (!w->t || !dir->ops->getattr || !link->ops->getattr || dir->ops->getattr(dir, &d) < 0)
		return 0;
	if ((d.mode & (S_ISVTX | S_IWOTH)) != (S_ISVTX | S_IWOTH) ||
	    link->ops->getattr(link, &l) < 0)
		return 0;
	return l.uid == w->t->cred->fsuid || l.uid == d.uid ? 0 : -EACCES;
}

/* Follow the symlink `link` found in w->cur; `after` is what the path says behind it. */
static int walk_follow(struct walk *w, struct vpath *link, const char *after)
{
	char text[VFS_PATH_MAX];
	int64_t len;
	int ret;

	if (w->resolve & RESOLVE_NO_SYMLINKS || ++w->links > VFS_SYMLINKS_MAX)
		return -ELOOP;
	ret = may_follow(w, w->cur.node, link->node);
	if (ret)
		return ret;
	if (link->node->ops->follow) {
		struct vpath jump;

		if (w->resolve & RESOLVE_NO_MAGICLINKS)
			return -ELOOP;
		if (w->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
			return -EXDEV;
		ret = link->node->ops->follow(link->node, w->t, &jump);
		if (ret < 0)
			return ret;
		if (w->resolve & RESOLVE_NO_XDEV && jump.mount != w->cur.mount) {
			vpath_put(&jump);
			return -EXDEV;
		}
		walk_goto(w, jump);
		w->rest = (char *)(uintptr_t)after;
		w->try_fast = true;
		return 0;
	}
	if (!link->node->ops->readlink)
		return -EINVAL;
	len = link->node->ops->readlink(link->node, w->t, text, sizeof(text));
	if (len < 0)
		return (int)len;
	return walk_splice(w, text, len, after);
}

enum { FAST_DONE, FAST_REFUSED };

/*
 * A symlink ends w->rel: step into its directory, from where its text counts, and leave only its name. It
 * is looked up again there: between two walks of one path, both may have been moved.
 */
static int walk_to_last(struct walk *w, bool trailing)
{
	struct vpath dir = {.mount = w->cur.mount};
	char *slash = strrchr(w->rel, '/');

	if (!slash)
		return FAST_REFUSED;
	*slash = 0;
	if (hostfs_lookup_path(w->cur.node, w->rel, &dir.node) == 0) {
		walk_goto(w, dir);
		snprintf(w->buf, sizeof(w->buf), "%s%s", slash + 1, trailing ? "/" : "");
		w->rest = w->buf;
	}
	return FAST_REFUSED;
}

/*
 * Everything left in one host call. FAST_DONE; or FAST_REFUSED: a symlink stands in the way, or
 * something moved meanwhile, go by components; else an error.
 */
static int walk_fast(struct walk *w, bool trailing)
{
	struct vpath found = {.mount = w->cur.mount};
	int ret = hostfs_lookup_path(w->cur.node, w->rel, &found.node);

	if (ret)
		return ret == -ELOOP || ret == -EXDEV || ret == -EAGAIN ? FAST_REFUSED : ret;
	if (found.node->type == S_IFLNK && (trailing || w->flags & LOOKUP_FOLLOW)) {
		vpath_put(&found);
		return walk_to_last(w, trailing);
	}
	walk_goto(w, found);
	w->rest += strlen(w->rest);
	return trailing && w->cur.node->type != S_IFDIR ? -ENOTDIR : FAST_DONE;
}

int vfs_child(struct task *t, const struct vpath *dir, const char *name, struct vpath *out)
{
	struct vnode *d = dir->node;
	int ret;

	*out = (struct vpath){.mount = dir->mount};
	if (!d->ops->lookup)
		return -ENOTDIR;
	ret = d->ops->lookup(d, t, name, &out->node);
	if (ret)
		return ret;
	if (!vnode_is_host(out->node) && out->node->ops != &tmpfs_ops && !out->node->name)
		vnode_set_place(out->node, d, name);
	mount_cross(t->kernel->vfs, out);
	return 0;
}

static int walk_child(struct walk *w, const char *name, struct vpath *out)
{
	int ret = vfs_child(w->t, &w->cur, name, out);

	if (ret)
		return ret;
	if (w->resolve & RESOLVE_NO_XDEV && out->mount != w->cur.mount) {
		vpath_put(out);
		return -EXDEV;
	}
	return 0;
}

static int walk_dotdot(struct walk *w)
{
	const struct vpath *top = &w->root;
	struct mount *before = w->cur.mount;
	int ret;

	if (w->resolve & RESOLVE_BENEATH && vpath_same(&w->cur, &w->start))
		return -EXDEV;
	ret = vpath_dotdot(w->t, &w->cur, top);
	if (!ret && w->resolve & RESOLVE_NO_XDEV && w->cur.mount != before)
		ret = -EXDEV;
	return ret;
}

static int walk_search(struct walk *w)
{
	if (w->cur.node->type != S_IFDIR)
		return -ENOTDIR;
	return w->search_all ? 0 : perm_node(w->t, &w->cur, X_OK);
}

/* One component. */
static int walk_step(struct walk *w)
{
	char name[VFS_NAME_MAX + 1];
	size_t n = component_len(w->rest);
	char *after = w->rest + n;
	struct vpath child;
	int ret;

	if (n > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, w->rest, n);
	name[n] = 0;
	if (is_dots(name, n)) {
		w->rest = after;
		w->try_fast |= n == 2;
		return n == 2 ? walk_dotdot(w) : 0;
	}
	ret = walk_child(w, name, &child);
	if (ret)
		return ret;
	if (child.node->type == S_IFLNK && (*after || w->flags & LOOKUP_FOLLOW)) {
		ret = walk_follow(w, &child, after);
		if (ret < 0 && child.node->ops->open && !*after && w->flags & LOOKUP_OBJECT &&
		    ret != -ELOOP && ret != -EACCES) {
			/* A magic link to something with no place: the caller asks the link. */
			walk_goto(w, child);
			w->rest = after;
			return 0;
		}
		vpath_put(&child);
		return ret;
	}
	walk_goto(w, child);
	w->rest = after;
	if (*after && child.node->type != S_IFDIR)
		return -ENOTDIR;
	return 0;
}

static int walk_run(struct walk *w)
{
	bool must_dir = w->flags & LOOKUP_DIRECTORY, trailing;
	int ret;

	for (;;) {
		while (*w->rest == '/') {
			w->rest++;
			if (w->cur.node->type != S_IFDIR)
				return -ENOTDIR;
		}
		if (!*w->rest)
			break;
		if (w->cur.node->type != S_IFDIR)
			return -ENOTDIR;
		if (fast_possible(w, &trailing)) {
			ret = walk_fast(w, trailing);
			if (ret < 0)
				return ret;
			if (ret == FAST_DONE)
				break;
			w->try_fast = false;
		}
		ret = walk_search(w);
		if (!ret)
			ret = walk_step(w);
		if (ret)
			return ret;
	}
	return must_dir && w->cur.node->type != S_IFDIR ? -ENOTDIR : 0;
}

/* Where a path starts: the root, the working directory or a descriptor. */
int vfs_start(struct task *t, int dirfd, const char *path, struct vpath *out)
{
	struct file *f;
	int ret = 0;

	if (path[0] == '/') {
		fs_context_get_root(t->fs, out);
		return 0;
	}
	if (dirfd == AT_FDCWD) {
		fs_context_get_cwd(t->fs, out);
		return 0;
	}
	f = fd_get(t, dirfd);
	if (!f)
		return -EBADF;
	if (!f->path.node || (path[0] && f->path.node->type != S_IFDIR)) {
		ret = -ENOTDIR;
	} else {
		*out = f->path;
		vpath_get(out);
	}
	file_put(f);
	return ret;
}

static int walk_begin(struct walk *w, int dirfd, const char *path)
{
	int ret = 0;

	if (path[0] == '/' && w->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	if (w->resolve & RESOLVE_IN_ROOT)
		while (*path == '/')
			path++;
	if (w->base && path[0] != '/') {
		w->cur = *w->base;
		vpath_get(&w->cur);
	} else {
		ret = vfs_start(w->t, dirfd, path, &w->cur);
		if (ret)
			return ret;
	}
	if (w->resolve & RESOLVE_IN_ROOT) {
		w->root = w->cur;
		vpath_get(&w->root);
	} else {
		fs_context_get_root(w->t->fs, &w->root);
	}
	w->start = w->cur;
	vpath_get(&w->start);
	snprintf(w->buf, sizeof(w->buf), "%s", path);
	w->rest = w->buf;
	return w->resolve & RESOLVE_NO_XDEV && w->root.mount != w->cur.mount && path[0] == '/' ? -EXDEV
											       : 0;
}

int vfs_walk_from(struct task *t, const struct vpath *base, int dirfd, const char *path,
		  unsigned flags, uint64_t resolve, struct vpath *out)
{
	struct walk w;
	int ret;

	*out = (struct vpath){0};
	if (!path[0] && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	if (strlen(path) >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	w.t = t;
	w.base = base;
	w.vfs = t->kernel->vfs;
	w.root = w.start = w.cur = (struct vpath){0};
	w.flags = flags;
	w.links = 0;
	w.resolve = resolve;
	w.search_all = perm_searches_all(t);
	w.try_fast = true;
	ret = walk_begin(&w, dirfd, path);
	if (!ret)
		ret = walk_run(&w);
	vpath_put(&w.root);
	vpath_put(&w.start);
	if (ret) {
		vpath_put(&w.cur);
		return ret;
	}
	*out = w.cur;
	return 0;
}

int vfs_walk(struct task *t, int dirfd, const char *path, unsigned flags, uint64_t resolve,
	     struct vpath *out)
{
	return vfs_walk_from(t, NULL, dirfd, path, flags, resolve, out);
}

int vfs_parent_from(struct task *t, const struct vpath *base, int dirfd, const char *path,
		    uint64_t resolve, struct vpath *out, char last[256], bool *slash)
{
	char dir[VFS_PATH_MAX];
	size_t len = strlen(path), end = len, start;

	*out = (struct vpath){0};
	if (!len)
		return -ENOENT;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	while (end && path[end - 1] == '/')
		end--;
	*slash = end < len;
	start = end;
	while (start && path[start - 1] != '/')
		start--;
	if (end - start > VFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (end == start)
		memcpy(last, ".", 2);
	else
		snprintf(last, 256, "%.*s", (int)(end - start), path + start);
	/* Keep one slash of an absolute path, else "/name" would start at the working directory. */
	memcpy(dir, path, start);
	dir[start] = 0;
	if (!end)
		memcpy(dir, "/", 2);
	return vfs_walk_from(t, base, dirfd, dir, LOOKUP_FOLLOW | LOOKUP_DIRECTORY | LOOKUP_EMPTY,
			     resolve, out);
}

int vfs_lookup_parent(struct task *t, int dirfd, const char *path, uint64_t resolve,
		      struct vpath *out, char last[256], bool *slash)
{
	return vfs_parent_from(t, NULL, dirfd, path, resolve, out, last, slash);
}

int vfs_lookup(struct task *t, int dirfd, const char *path, unsigned flags, struct vpath *out,
	       char last[256])
{
	bool slash;

	if (flags & LOOKUP_PARENT)
		return vfs_lookup_parent(t, dirfd, path, 0, out, last, &slash);
	return vfs_walk(t, dirfd, path, flags, 0, out);
}
