/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to directories, and the working directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"

/* A directory and a name in it, as the *at calls take them. */
struct place {
	struct vpath dir;
	char name[256];
	bool slash;
};

static int place_lookup(struct task *t, int dirfd, uint64_t upath, struct place *p)
{
	char path[VFS_PATH_MAX];
	int ret = path_copy_in(t, upath, path);

	p->dir = (struct vpath){0};
	if (!ret)
		ret = vfs_lookup_parent(t, dirfd, path, 0, &p->dir, p->name, &p->slash);
	if (!ret && !perm_searches_all(t)) {
		ret = perm_node(t, &p->dir, X_OK);
		if (ret)
			vpath_put(&p->dir);
	}
	return ret;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static uint32_t masked(struct task *t, uint32_t mode)
{
	uint32_t m;

	pthread_mutex_lock(&t->fs->lock);
	m = mode & ~t->fs->umask;
	pthread_mutex_unlock(&t->fs->lock);
	return m;
}

/* 0 when nothing has the name. */
static int place_absent(struct task *t, struct place *p, uint32_t mode)
{
	struct vpath child;
	int ret;

	if (is_dot(p->name))
		return -EEXIST;
	ret = vfs_child(t, &p->dir, p->name, &child);
	if (!ret) {
		vpath_put(&child);
		return -EEXIST;
	}
	if (ret != -ENOENT)
		return ret;
	/* Names that proc does not have cannot even be thought of: ENOENT, not EPERM. */
	if (p->dir.mount->type == &procfs_type)
		return -ENOENT;
	return p->slash && !S_ISDIR(mode) ? -ENOENT : 0;
}

/* The same for whoever may create there, with the new node's owner in attr. */
static int place_free(struct task *t, struct place *p, uint32_t mode, struct kattr *attr)
{
	int ret = place_absent(t, p, mode);

	return ret ? ret : perm_create(t, &p->dir, mode, attr);
}

static int64_t do_mkdir(struct task *t, int dirfd, uint64_t upath, uint32_t mode)
{
	struct kattr attr;
	struct place p;
	int ret = place_lookup(t, dirfd, upath, &p);

	if (ret)
		return ret;
	ret = place_free(t, &p, S_IFDIR | masked(t, mode & 01777), &attr);
	if (!ret)
		ret = p.dir.node->ops->mkdir ? p.dir.node->ops->mkdir(p.dir.node, p.name, &attr)
					     : -EPERM;
	if (!ret)
		inotify_event(p.dir.node, IN_CREATE | IN_ISDIR, 0, p.name);
	vpath_put(&p.dir);
	return ret;
}

int64_t sys_mkdir(struct task *t, const uint64_t a[6])
{
	return do_mkdir(t, AT_FDCWD, a[0], (uint32_t)a[1]);
}

int64_t sys_mkdirat(struct task *t, const uint64_t a[6])
{
	return do_mkdir(t, (int)a[0], a[1], (uint32_t)a[2]);
}

static int mknod_in(struct vnode *dir, const char *name, const struct kattr *attr, uint64_t rdev)
{
	struct vnode *n;
	int ret;

	if (!S_ISREG(attr->mode))
		return dir->ops->mknod ? dir->ops->mknod(dir, name, attr, rdev) : -EPERM;
	ret = dir->ops->create ? dir->ops->create(dir, name, attr, &n) : -EPERM;
	if (!ret)
		vnode_put(n);
	return ret;
}

static int64_t do_mknod(struct task *t, int dirfd, uint64_t upath, uint32_t mode, uint64_t dev)
{
	struct kattr attr;
	struct place p;
	int ret;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (S_ISDIR(mode))
		return -EPERM;
	if (!S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EINVAL;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !(S_ISCHR(mode) && !dev) &&
	    !cred_capable(t->cred, CAP_MKNOD))
		return -EPERM;
	ret = place_lookup(t, dirfd, upath, &p);
	if (ret)
		return ret;
	ret = place_free(t, &p, (mode & S_IFMT) | masked(t, mode & 07777), &attr);
	if (!ret)
		ret = mknod_in(p.dir.node, p.name, &attr, dev);
	if (!ret)
		inotify_event(p.dir.node, IN_CREATE, 0, p.name);
	vpath_put(&p.dir);
	return ret;
}

int64_t sys_mknod(struct task *t, const uint64_t a[6])
{
	return do_mknod(t, AT_FDCWD, a[0], (uint32_t)a[1], (uint32_t)a[2]);
}

int64_t sys_mknodat(struct task *t, const uint64_t a[6])
{
	return do_mknod(t, (int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
}

static int64_t do_symlink(struct task *t, uint64_t utarget, int dirfd, uint64_t upath)
{
	char target[VFS_PATH_MAX];
	struct kattr attr;
	struct place p;
	int ret = path_copy_in(t, utarget, target);

	if (ret)
		return ret;
	if (!target[0])
		return -ENOENT;
	ret = place_lookup(t, dirfd, upath, &p);
	if (ret)
		return ret;
	ret = place_free(t, &p, S_IFLNK | 0777, &attr);
	if (!ret)
		ret = p.dir.node->ops->symlink
			      ? p.dir.node->ops->symlink(p.dir.node, p.name, target, &attr)
			      : -EPERM;
	if (!ret)
		inotify_event(p.dir.node, IN_CREATE, 0, p.name);
	vpath_put(&p.dir);
	return ret;
}

int64_t sys_symlink(struct task *t, const uint64_t a[6])
{
	return do_symlink(t, a[0], AT_FDCWD, a[1]);
}

int64_t sys_symlinkat(struct task *t, const uint64_t a[6])
{
	return do_symlink(t, a[0], (int)a[1], a[2]);
}

/*
 * fs.protected_hardlinks (proc_sys_fs(5)): who neither owns a file nor may read and write it cannot
 * link to it, nor to a special or set-id file.
 */
static int may_link(struct task *t, const struct vpath *src)
{
	struct kstat st;
	int ret = vpath_getattr(src, &st);

	if (ret || perm_owner(t, &st))
		return ret;
	if (!S_ISREG(st.mode) || st.mode & S_ISUID ||
	    (st.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	    perm_check(t, &st, R_OK | W_OK) < 0)
		return -EPERM;
	return 0;
}

static int link_to(struct task *t, const struct vpath *src, struct place *p)
{
	struct kattr attr;
	int ret = place_absent(t, p, src->node->type);

	if (ret)
		return ret;
	if (p->dir.mount != src->mount)
		return -EXDEV;
	ret = may_link(t, src);
	if (!ret)
		ret = perm_create(t, &p->dir, src->node->type | 0600, &attr);
	if (ret)
		return ret;
	if (src->node->type == S_IFDIR)
		return -EPERM;
	ret = p->dir.node->ops->link ? p->dir.node->ops->link(p->dir.node, p->name, src->node) : -EPERM;
	if (!ret) {
		inotify_event(src->node, IN_ATTRIB, 0, NULL);
		inotify_event(p->dir.node, IN_CREATE, 0, p->name);
	}
	return ret;
}

static int64_t do_link(struct task *t, int odirfd, uint64_t opath, int ndirfd, uint64_t npath,
		       int flags)
{
	int at = (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) | (flags & AT_EMPTY_PATH);
	struct vpath src;
	struct place p;
	int ret;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	ret = at_lookup(t, odirfd, opath, at, &src);
	if (ret)
		return ret;
	ret = place_lookup(t, ndirfd, npath, &p);
	if (!ret) {
		ret = link_to(t, &src, &p);
		vpath_put(&p.dir);
	}
	vpath_put(&src);
	return ret;
}

int64_t sys_link(struct task *t, const uint64_t a[6])
{
	return do_link(t, AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

int64_t sys_linkat(struct task *t, const uint64_t a[6])
{
	return do_link(t, (int)a[0], a[1], (int)a[2], a[3], (int)a[4]);
}

/* ---- removal ---- */

static int remove_node(struct task *t, struct place *p, bool dir)
{
	struct vnode *d = p->dir.node;
	struct vpath child;
	int ret = vfs_child(t, &p->dir, p->name, &child);

	if (ret)
		return ret;
	ret = perm_delete(t, &p->dir, child.node);
	if (ret)
		goto out;
	if (child.mount != p->dir.mount || atomic_load(&child.node->covers_mounts))
		ret = -EBUSY;
	else if (dir && child.node->type != S_IFDIR)
		ret = -ENOTDIR;
	else if (!dir && child.node->type == S_IFDIR)
		ret = -EISDIR;
	else if (!dir && p->slash)
		ret = -ENOTDIR;
	else if (dir)
		ret = d->ops->rmdir ? d->ops->rmdir(d, p->name) : -EPERM;
	else
		ret = d->ops->unlink ? d->ops->unlink(d, p->name) : -EPERM;
	if (!ret) {
		inotify_event(d, IN_DELETE | (dir ? IN_ISDIR : 0), 0, p->name);
		if (dir)
			inotify_event(child.node, IN_DELETE_SELF, 0, NULL);
		else
			inotify_event(child.node, IN_ATTRIB, 0, NULL);
	}
out:
	vpath_put(&child);
	return ret;
}

static int64_t do_unlink(struct task *t, int dirfd, uint64_t upath, bool dir)
{
	struct place p;
	int ret = place_lookup(t, dirfd, upath, &p);

	if (ret)
		return ret;
	if (!strcmp(p.name, ".") && p.slash && p.dir.node == p.dir.mount->root)
		ret = dir ? -EBUSY : -EISDIR; /* the path was "/" */
	else if (!strcmp(p.name, "."))
		ret = dir ? -EINVAL : -EISDIR;
	else if (!strcmp(p.name, ".."))
		ret = dir ? -ENOTEMPTY : -EISDIR;
	else
		ret = remove_node(t, &p, dir);
	vpath_put(&p.dir);
	return ret;
}

int64_t sys_unlink(struct task *t, const uint64_t a[6])
{
	return do_unlink(t, AT_FDCWD, a[0], false);
}

int64_t sys_rmdir(struct task *t, const uint64_t a[6])
{
	return do_unlink(t, AT_FDCWD, a[0], true);
}

int64_t sys_unlinkat(struct task *t, const uint64_t a[6])
{
	if ((int)a[2] & ~AT_REMOVEDIR)
		return -EINVAL;
	return do_unlink(t, (int)a[0], a[1], (int)a[2] & AT_REMOVEDIR);
}

/* ---- rename ---- */

static int rename_allowed(struct task *t, struct place *from, struct place *to,
			  const struct vpath *src, const struct vpath *dst, unsigned flags)
{
	struct kattr unused;
	int ret;

	if (src->mount != from->dir.mount || atomic_load(&src->node->covers_mounts))
		return -EBUSY;
	if (dst->node && (dst->mount != to->dir.mount || atomic_load(&dst->node->covers_mounts)))
		return -EBUSY;
	ret = perm_delete(t, &from->dir, src->node);
	if (!ret)
		ret = dst->node ? perm_delete(t, &to->dir, dst->node)
				: perm_create(t, &to->dir, src->node->type | 0600, &unused);
	if (ret)
		return ret;
	if (dst->node && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (!dst->node && flags & RENAME_EXCHANGE)
		return -ENOENT;
	/* A slash demands a directory: of the source, and of the target it is to replace. */
	if (src->node->type != S_IFDIR && (from->slash || (to->slash && !(flags & RENAME_EXCHANGE))))
		return -ENOTDIR;
	return 0;
}

static void rename_notify(struct place *from, struct place *to, const struct vpath *src,
			  const struct vpath *dst)
{
	uint32_t dir = src->node->type == S_IFDIR ? IN_ISDIR : 0, cookie;

	if (!atomic_load_explicit(&inotify_watches, memory_order_relaxed))
		return;
	cookie = inotify_new_cookie();
	inotify_event(from->dir.node, IN_MOVED_FROM | dir, cookie, from->name);
	inotify_event(to->dir.node, IN_MOVED_TO | dir, cookie, to->name);
	inotify_event(src->node, IN_MOVE_SELF, 0, NULL);
	if (dst->node)
		inotify_event(dst->node, IN_ATTRIB, 0, NULL);
}

static int rename_places(struct task *t, struct place *from, struct place *to, unsigned flags)
{
	struct vpath src = {0}, dst = {0};
	int ret;

	if (from->dir.mount != to->dir.mount)
		return -EXDEV;
	if (is_dot(from->name) || is_dot(to->name))
		return flags & RENAME_NOREPLACE && is_dot(to->name) ? -EEXIST : -EBUSY;
	ret = vfs_child(t, &from->dir, from->name, &src);
	if (ret)
		return ret;
	ret = vfs_child(t, &to->dir, to->name, &dst);
	if (!ret || ret == -ENOENT)
		ret = rename_allowed(t, from, to, &src, &dst, flags);
	if (!ret)
		ret = from->dir.node->ops->rename
			      ? from->dir.node->ops->rename(from->dir.node, from->name, to->dir.node,
							    to->name, flags)
			      : -EPERM;
	if (!ret)
		rename_notify(from, to, &src, &dst);
	vpath_put(&src);
	vpath_put(&dst);
	return ret;
}

static int64_t do_rename(struct task *t, int odirfd, uint64_t opath, int ndirfd, uint64_t npath,
			 unsigned flags)
{
	struct place from, to;
	int ret;

	/* RENAME_WHITEOUT is for union file systems' lower layers, which live on the host. */
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	ret = place_lookup(t, odirfd, opath, &from);
	if (ret)
		return ret;
	ret = place_lookup(t, ndirfd, npath, &to);
	if (!ret) {
		ret = rename_places(t, &from, &to, flags);
		vpath_put(&to.dir);
	}
	vpath_put(&from.dir);
	return ret;
}

int64_t sys_rename(struct task *t, const uint64_t a[6])
{
	return do_rename(t, AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

int64_t sys_renameat(struct task *t, const uint64_t a[6])
{
	return do_rename(t, (int)a[0], a[1], (int)a[2], a[3], 0);
}

int64_t sys_renameat2(struct task *t, const uint64_t a[6])
{
	return do_rename(t, (int)a[0], a[1], (int)a[2], a[3], (unsigned)a[4]);
}
