/* SPDX-License-Identifier: Apache-2.0 */
/* open(2) and its family. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/path.h"
#include "runtime/fs/pipe.h"
#include "runtime/fs/vfs_internal.h"

/* The bit of O_TMPFILE that is not O_DIRECTORY. */
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)
#define OPEN_FLAGS_KEPT (~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))
#define OPEN_FLAGS_KNOWN                                                                           \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |      \
	 O_DSYNC | O_ASYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | \
	 O_TMPFILE | ARCH_O_LARGEFILE)

static const struct file_ops path_ops; /* O_PATH: a place and nothing else */

static int open_special(struct task *t, const struct vpath *p, int flags, struct file **out)
{
	struct vnode *n = p->node;
	struct kstat st;
	int ret;

	if (n->type == S_IFIFO)
		return fifo_open(t, n, flags, out);
	if (n->type == S_IFSOCK)
		return -ENXIO;
	if (p->mount && p->mount->flags & MS_NODEV)
		return -EACCES;
	if (n->type == S_IFBLK)
		return -ENXIO;
	if (!vnode_is_host(n) && n->ops != &tmpfs_ops && n->ops->open)
		return n->ops->open(n, t, flags, out);
	ret = vpath_getattr(p, &st);
	return ret ? ret : chrdev_open(t, st.rdev, flags, p, out);
}

int vfs_open_path(struct task *t, const struct vpath *p, int flags, struct file **out)
{
	struct vnode *n = p->node;
	struct file *f = NULL;
	int ret = 0;

	if (flags & O_PATH) {
		f = file_alloc(&path_ops, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW));
		ret = f ? 0 : -ENOMEM;
	} else if (n->type == S_IFLNK) {
		return n->ops->open ? n->ops->open(n, t, flags, out) : -ELOOP;
	} else if (n->type == S_IFREG || n->type == S_IFDIR) {
		if (n->type == S_IFDIR && (flags & O_ACCMODE) != O_RDONLY)
			return -EISDIR;
		ret = n->ops->open ? n->ops->open(n, t, flags, &f) : -ENXIO;
	} else {
		ret = open_special(t, p, flags, &f);
	}
	if (ret)
		return ret;
	atomic_fetch_and(&f->flags, (unsigned)OPEN_FLAGS_KEPT);
	if (!f->path.node) {
		f->path = *p;
		vpath_get(&f->path);
	}
	*out = f;
	return 0;
}

static int open_mask(int flags)
{
	static const int masks[] = {R_OK, W_OK, R_OK | W_OK, 0};

	return masks[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
}

bool vfs_text_busy(struct kernel *k, const struct vnode *n)
{
	bool busy = false;

	if (n->type != S_IFREG || !n->ino)
		return false;
	pthread_mutex_lock(&k->tasks_lock);
	list_for_each(l, &k->processes) {
		const struct process *p = list_entry(l, struct process, all_link);

		busy |= p->exe_ino == n->ino && p->exe_dev == n->dev && !p->zombie;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return busy;
}

/* May t open what was found? */
static int may_open(struct task *t, const struct vpath *p, int flags)
{
	struct kstat st;
	int ret;

	if (p->node->type == S_IFLNK)
		return p->node->ops->open && !(flags & O_NOFOLLOW) ? 0 : -ELOOP;
	if (flags & O_DIRECTORY && p->node->type != S_IFDIR)
		return -ENOTDIR;
	if (p->node->type == S_IFDIR && (open_mask(flags) & W_OK || flags & O_CREAT))
		return -EISDIR;
	ret = perm_node(t, p, open_mask(flags));
	if (!ret && open_mask(flags) & W_OK && vfs_text_busy(t->kernel, p->node))
		ret = -ETXTBSY;
	if (!ret && flags & O_NOATIME) {
		ret = vpath_getattr(p, &st);
		if (!ret && !perm_owner(t, &st))
			ret = -EPERM;
	}
	return ret;
}

static int open_truncate(struct task *t, struct file *f)
{
	const struct kattr attr = {.valid = KATTR_SIZE};
	int ret = 0;

	if (f->path.node->type != S_IFREG)
		return 0;
	if (f->ops->truncate && (atomic_load(&f->flags) & O_ACCMODE) != O_RDONLY)
		ret = f->ops->truncate(f, 0);
	else if (f->path.node->ops->setattr)
		ret = f->path.node->ops->setattr(f->path.node, &attr);
	if (!ret) {
		vfs_kill_suid(t, f->path.node);
		vfs_notify_file(f, IN_MODIFY);
	}
	return ret;
}

static int open_found(struct task *t, const struct vpath *p, int flags, bool created,
		      struct file **out)
{
	int ret = created ? 0 : may_open(t, p, flags);

	if (!ret)
		ret = vfs_open_path(t, p, flags, out);
	if (!ret && flags & O_TRUNC && !created && (*out)->path.node) {
		ret = open_truncate(t, *out);
		if (ret)
			file_put(*out);
	}
	if (!ret)
		vfs_notify_file(*out, IN_OPEN);
	return ret;
}

static uint32_t apply_umask(struct task *t, uint32_t mode)
{
	uint32_t m;

	pthread_mutex_lock(&t->fs->lock);
	m = mode & ~t->fs->umask & 07777;
	pthread_mutex_unlock(&t->fs->lock);
	return m;
}

static int open_tmpfile(struct task *t, const struct vpath *dir, int flags, uint32_t mode,
			struct file **out)
{
	struct vpath p = {.mount = dir->mount};
	struct kattr attr;
	int fd, ret;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	ret = perm_create(t, dir, S_IFREG | apply_umask(t, mode), &attr);
	if (ret)
		return ret;
	if (dir->node->ops == &tmpfs_ops) {
		ret = tmpfs_tmpfile(dir->node, &attr, &p.node);
	} else if (vnode_is_host(dir->node)) {
		struct hostnode *h = hostnode_of(dir->node);

		fd = openat(h->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC | (flags & O_EXCL),
			    attr.mode & 07777);
		if (fd < 0)
			return (int)host_errno();
		if ((attr.uid != geteuid() || attr.gid != getegid()) &&
		    fchown(fd, attr.uid, attr.gid) < 0 && errno != EPERM && errno != EINVAL) {
			close(fd);
			return (int)host_errno();
		}
		ret = hostnode_adopt(h->fs, fd, &p.node);
	} else {
		ret = -EOPNOTSUPP;
	}
	if (ret)
		return ret;
	ret = vfs_open_path(t, &p, flags & ~(O_DIRECTORY | TMPFILE_BIT), out);
	vpath_put(&p);
	return ret;
}

/* Make `last` in dir and open it; -EEXIST when it is there already. */
static int create_in(struct task *t, const struct vpath *dir, const char *last, int flags,
		     uint32_t mode, struct file **out)
{
	struct vpath p = {.mount = dir->mount};
	struct kattr attr;
	int ret = perm_create(t, dir, S_IFREG | apply_umask(t, mode), &attr);

	if (ret)
		return ret;
	if (!dir->node->ops->create)
		return dir->mount->type == &procfs_type ? -ENOENT : -EACCES;
	ret = dir->node->ops->create(dir->node, last, &attr, &p.node);
	if (ret)
		return ret;
	inotify_event(dir->node, IN_CREATE, 0, last);
	ret = open_found(t, &p, flags, true, out);
	vpath_put(&p);
	return ret;
}

/*
 * O_CREAT where nothing was found: make it, or follow a dangling symlink and make its target. Loops
 * when another task creates or removes the name in between.
 */
static int open_create(struct task *t, int dirfd, const char *path, int flags, uint32_t mode,
		       uint64_t resolve, struct file **out)
{
	char text[VFS_PATH_MAX], last[256];
	struct vpath base = {0}, dir, p;
	bool slash;
	int ret = 0;

	for (int tries = 0; tries <= VFS_SYMLINKS_MAX; tries++) {
		int64_t len;

		ret = vfs_parent_from(t, base.node ? &base : NULL, dirfd, path, resolve, &dir, last,
				      &slash);
		vpath_put(&base);
		if (ret)
			return ret;
		if (!strcmp(last, ".") || !strcmp(last, "..") || slash) {
			vpath_put(&dir);
			return -EISDIR;
		}
		base = dir;
		ret = perm_node(t, &dir, X_OK);
		if (!ret)
			ret = vfs_child(t, &dir, last, &p);
		if (ret == -ENOENT) {
			ret = create_in(t, &dir, last, flags, mode, out);
			if (ret != -EEXIST || flags & O_EXCL)
				break;
			path = last;
			continue;
		}
		if (!ret && flags & O_EXCL) {
			vpath_put(&p);
			ret = -EEXIST;
		}
		if (ret)
			break;
		if (p.node->type != S_IFLNK || flags & O_NOFOLLOW || p.node->ops->follow) {
			ret = open_found(t, &p, flags, false, out);
			vpath_put(&p);
			break;
		}
		len = p.node->ops->readlink ? p.node->ops->readlink(p.node, t, text, sizeof(text) - 1)
					    : -EINVAL;
		vpath_put(&p);
		ret = len < 0 ? (int)len : -ELOOP;
		if (len < 0)
			break;
		text[len] = 0;
		path = text;
	}
	vpath_put(&base);
	return ret;
}

static int open_resolve(struct task *t, int dirfd, const char *path, int flags, uint32_t mode,
			uint64_t resolve, struct file **out)
{
	unsigned lookup = LOOKUP_OBJECT;
	struct vpath p;
	int ret;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (!(flags & O_NOFOLLOW))
		lookup |= LOOKUP_FOLLOW;
	if (flags & O_DIRECTORY)
		lookup |= LOOKUP_DIRECTORY;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) && !(flags & TMPFILE_BIT))
		return open_create(t, dirfd, path, flags, mode, resolve, out);
	ret = vfs_walk(t, dirfd, path, lookup, resolve, &p);
	if (ret == -ENOENT && flags & O_CREAT)
		return open_create(t, dirfd, path, flags, mode, resolve, out);
	if (ret)
		return ret;
	if (flags & TMPFILE_BIT)
		ret = p.node->type == S_IFDIR ? open_tmpfile(t, &p, flags, mode, out) : -ENOTDIR;
	else if (flags & O_PATH)
		ret = vfs_open_path(t, &p, flags, out);
	else
		ret = open_found(t, &p, flags, false, out);
	vpath_put(&p);
	return ret;
}

int vfs_open(struct task *t, int dirfd, const char *path, int flags, uint32_t mode,
	     struct file **out)
{
	return open_resolve(t, dirfd, path, flags, mode, 0, out);
}

/* A memfd or other file without a name, opened anew for reading. */
static int open_anonymous(struct task *t, int fd, struct file **out)
{
	struct file *f = fd_get(t, fd);
	int host, ret;

	if (!f)
		return -EBADF;
	if (f->path.node || !hostfile_of(f)) {
		file_put(f);
		return -EACCES;
	}
	host = host_reopen(t->kernel->host_proc_fd, f->host_fd, O_RDONLY);
	ret = host < 0 ? host : hostfile_create(t->kernel, host, O_RDONLY, out);
	file_put(f);
	return ret;
}

int vfs_open_exec(struct task *t, int dirfd, const char *path, int at_flags, struct file **out)
{
	unsigned lookup = at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct vpath p;
	int ret;

	if (at_flags & AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	ret = vfs_walk(t, dirfd, path, lookup, 0, &p);
	if (ret == -ENOTDIR && !path[0] && at_flags & AT_EMPTY_PATH)
		return open_anonymous(t, dirfd, out);
	if (ret)
		return ret;
	if (p.node->type == S_IFLNK)
		ret = -ELOOP;
	else if (p.node->type != S_IFREG || p.mount->flags & MS_NOEXEC)
		ret = -EACCES;
	else
		ret = perm_node(t, &p, X_OK);
	if (!ret)
		ret = vfs_open_path(t, &p, O_RDONLY, out);
	vpath_put(&p);
	return ret;
}

/* ---- system calls ---- */

int path_copy_in(struct task *t, uint64_t addr, char *buf)
{
	int64_t n = mm_copy_in_str(t->mm, buf, GVA(addr), VFS_PATH_MAX);

	return n < 0 ? (int)n : 0;
}

int at_lookup(struct task *t, int dirfd, uint64_t upath, int at_flags, struct vpath *out)
{
	unsigned lookup = at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	char path[VFS_PATH_MAX];
	int ret = path_copy_in(t, upath, path);

	if (at_flags & AT_EMPTY_PATH)
		lookup |= LOOKUP_EMPTY;
	return ret ? ret : vfs_walk(t, dirfd, path, lookup, 0, out);
}

static int64_t do_open(struct task *t, int dirfd, uint64_t upath, int flags, uint32_t mode,
		       uint64_t resolve)
{
	char path[VFS_PATH_MAX];
	struct file *f;
	int ret = path_copy_in(t, upath, path);

	if (ret)
		return ret;
	ret = open_resolve(t, dirfd, path, flags, mode, resolve, &f);
	if (ret)
		return ret;
	ret = fd_install(t, f, 0, flags & O_CLOEXEC);
	if (ret < 0)
		file_put(f);
	return ret;
}

static int64_t open_flags_checked(struct task *t, int dirfd, uint64_t upath, int flags, uint32_t mode)
{
	/* Unknown bits are ignored by open(2) and openat(2), not by openat2(2). */
	flags = (flags & OPEN_FLAGS_KNOWN) | (flags & O_PATH ? 0 : ARCH_O_LARGEFILE);
	if (!(flags & O_PATH) && flags & TMPFILE_BIT &&
	    (!(flags & O_DIRECTORY) || flags & O_CREAT || (flags & O_ACCMODE) == O_RDONLY))
		return -EINVAL;
	if (!(flags & (O_PATH | TMPFILE_BIT)) && flags & O_CREAT && flags & O_DIRECTORY)
		return -EINVAL;
	return do_open(t, dirfd, upath, flags, mode & 07777, 0);
}

int64_t sys_open(struct task *t, const uint64_t a[6])
{
	return open_flags_checked(t, AT_FDCWD, a[0], (int)a[1], (uint32_t)a[2]);
}

int64_t sys_creat(struct task *t, const uint64_t a[6])
{
	return open_flags_checked(t, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)a[1]);
}

int64_t sys_openat(struct task *t, const uint64_t a[6])
{
	return open_flags_checked(t, (int)a[0], a[1], (int)a[2], (uint32_t)a[3]);
}

int64_t sys_openat2(struct task *t, const uint64_t a[6])
{
	struct open_how how = {0};
	uint64_t size = a[3];
	char extra[64];

	if (size < sizeof(how))
		return -EINVAL;
	if (size > sizeof(how) + sizeof(extra))
		return -E2BIG;
	if (mm_copy_in(t->mm, &how, GVA(a[2]), sizeof(how)) < 0)
		return -EFAULT;
	size -= sizeof(how);
	if (size && mm_copy_in(t->mm, extra, GVA(a[2] + sizeof(how)), size) < 0)
		return -EFAULT;
	for (uint64_t i = 0; i < size; i++)
		if (extra[i])
			return -E2BIG;
	if (how.flags & ~(uint64_t)OPEN_FLAGS_KNOWN ||
	    how.resolve & ~(uint64_t)(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
				      RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED))
		return -EINVAL;
	if (how.resolve & RESOLVE_BENEATH && how.resolve & RESOLVE_IN_ROOT)
		return -EINVAL;
	if (how.mode & ~(uint64_t)07777 || (how.mode && !(how.flags & (O_CREAT | TMPFILE_BIT))))
		return -EINVAL;
	if (how.flags & TMPFILE_BIT &&
	    (!(how.flags & O_DIRECTORY) || (how.flags & O_ACCMODE) == O_RDONLY))
		return -EINVAL;
	/* Nothing here is ever "in the cache"; callers fall back as the manual tells them. */
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN;
	return do_open(t, (int)a[0], a[1], (int)how.flags, (uint32_t)how.mode, how.resolve);
}

int64_t sys_name_to_handle_at(struct task *t, const uint64_t a[6])
{
	struct vpath p;
	int flags = (int)a[4] & AT_EMPTY_PATH;
	int ret;

	if ((int)a[4] & ~(AT_EMPTY_PATH | AT_SYMLINK_FOLLOW))
		return -EINVAL;
	if (!((int)a[4] & AT_SYMLINK_FOLLOW))
		flags |= AT_SYMLINK_NOFOLLOW;
	ret = at_lookup(t, (int)a[0], a[1], flags, &p);
	if (ret)
		return ret;
	vpath_put(&p);
	return -EOPNOTSUPP; /* no file system here can be exported */
}

int64_t sys_open_by_handle_at(struct task *t, const uint64_t a[6])
{
	(void)a;
	return cred_capable(t->cred, CAP_DAC_READ_SEARCH) ? -ESTALE : -EPERM;
}
