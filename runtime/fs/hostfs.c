/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host directories as a file system. A node holds an O_PATH descriptor and everything is done
 * relative to it, by name within a directory or through the descriptor itself, so that no path text
 * of the guest is ever walked by the host except by openat2(2) with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS.
 *
 * Nodes are found again by (file system, host mount, device, inode) while someone holds them. The
 * descriptor keeps the inode alive, so the numbers cannot be reused meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "runtime/fs/vfs_internal.h"
#include "runtime/host/host.h"

#define HASH_SIZE 1024

static struct {
	pthread_mutex_t lock;
	struct list heads[HASH_SIZE]; /* next NULL: not yet initialised */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

int hostnode_reopen(struct hostnode *h, int flags)
{
	return host_reopen(h->fs->kernel->host_proc_fd, h->fd, flags);
}

/* ---- the cache ---- */

static struct list *cache_head(const struct hostfs *fs, uint64_t mnt, uint64_t dev, uint64_t ino)
{
	uint64_t h = (ino ^ dev << 20 ^ mnt << 40 ^ (uintptr_t)fs) * 0x9e3779b97f4a7c15u;
	struct list *l = &cache.heads[h >> 54];

	if (!l->next)
		list_init(l);
	return l;
}

int hostnode_adopt(struct hostfs *fs, int fd, struct vnode **out)
{
	struct host_stat s;
	struct hostnode *h;
	struct list *head;
	int ret = host_fstat_mount(fd, &s);

	if (ret) {
		close(fd);
		return ret;
	}
	pthread_mutex_lock(&cache.lock);
	head = cache_head(fs, s.mount, s.st.dev, s.st.ino);
	list_for_each(l, head) {
		h = list_entry(l, struct hostnode, hash_link);
		if (h->fs == fs && h->v.ino == s.st.ino && h->v.dev == s.st.dev &&
		    h->mnt_id == s.mount && vnode_tryget(&h->v)) {
			pthread_mutex_unlock(&cache.lock);
			close(fd);
			*out = &h->v;
			return 0;
		}
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		pthread_mutex_unlock(&cache.lock);
		close(fd);
		return -ENOMEM;
	}
	vnode_init(&h->v, &hostfs_ops, s.st.mode);
	h->v.volatile_links = true;
	h->v.dev = s.st.dev;
	h->v.ino = s.st.ino;
	h->mnt_id = s.mount;
	h->fs = fs;
	h->fd = fd;
	fs->nodes++;
	list_add(head, &h->hash_link);
	pthread_mutex_unlock(&cache.lock);
	*out = &h->v;
	return 0;
}

static void hostfs_release(struct vnode *n)
{
	struct hostnode *h = hostnode_of(n);

	pthread_mutex_lock(&cache.lock);
	list_del(&h->hash_link);
	bool last = --h->fs->nodes == 0;
	pthread_mutex_unlock(&cache.lock);
	if (last) {
		close(h->fs->root_fd);
		free(h->fs);
	}
	close(h->fd);
	free(h);
}

int hostfs_mount(struct kernel *k, int dirfd, struct vnode **root)
{
	struct hostfs *fs = calloc(1, sizeof(*fs));
	int fd, ret;

	if (!fs)
		return -ENOMEM;
	fs->kernel = k;
	fs->root_fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A single file, bound somewhere: the descriptor is O_PATH already. */
	if (fs->root_fd < 0 && errno == ENOTDIR)
		fs->root_fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	if (fs->root_fd < 0) {
		ret = (int)host_errno();
		free(fs);
		return ret;
	}
	fd = fcntl(fs->root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		ret = (int)host_errno();
		close(fs->root_fd);
		free(fs);
		return ret;
	}
	ret = hostnode_adopt(fs, fd, root);
	if (ret) {
		close(fs->root_fd);
		free(fs);
	}
	return ret;
}

/* ---- names ---- */

int hostfs_lookup_path(struct vnode *dir, const char *rel, struct vnode **out)
{
	struct hostnode *h = hostnode_of(dir);
	int fd = host_open_beneath(h->fd, rel, O_PATH | O_NOFOLLOW);

	return fd < 0 ? fd : hostnode_adopt(h->fs, fd, out);
}

/*
 * One component, which the host cannot walk astray. Not by openat2(2): its scoped walks fail with EXDEV
 * when what they found is moved out of dir before they end, and Linux's own walk knows no such end.
 */
static int hostfs_lookup(struct vnode *dir, struct task *t, const char *name, struct vnode **out)
{
	struct hostnode *h = hostnode_of(dir);
	int fd = openat(h->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	(void)t;
	return fd < 0 ? (int)host_errno() : hostnode_adopt(h->fs, fd, out);
}

static int64_t fd_text(struct kernel *k, int fd, char *buf, size_t cap)
{
	char path[40];
	int dirfd;
	ssize_t n;

	host_fd_path(k->host_proc_fd, fd, &dirfd, path);
	n = readlinkat(dirfd, path, buf, cap - 1);
	if (n < 0)
		return host_errno();
	buf[n] = 0;
	return n;
}

int64_t hostfs_text(struct vnode *n, char *buf, size_t cap)
{
	struct hostnode *h = hostnode_of(n);
	char root[VFS_PATH_MAX], text[VFS_PATH_MAX];
	int64_t rlen = fd_text(h->fs->kernel, h->fs->root_fd, root, sizeof(root));
	int64_t len = fd_text(h->fs->kernel, h->fd, text, sizeof(text));
	const char *rest;

	if (rlen < 0 || len < 0)
		return rlen < 0 ? rlen : len;
	while (rlen && root[rlen - 1] == '/')
		rlen--;
	/* Moved out of the root by someone on the host: it has no path the guest could name. */
	if (strncmp(text, root, rlen) != 0 || (text[rlen] && text[rlen] != '/'))
		return -ENOENT;
	rest = text + rlen;
	while (*rest == '/')
		rest++;
	len = (int64_t)strlen(rest);
	if ((size_t)len >= cap)
		return -ENAMETOOLONG;
	memcpy(buf, rest, (size_t)len + 1);
	return len;
}

static bool same_place(const struct host_stat *a, const struct host_stat *b)
{
	return a->st.ino == b->st.ino && a->st.dev == b->st.dev && a->mount == b->mount;
}

/* Does the way up from the directory fd pass this file system's root? 0, or -ENOENT. */
static int beneath_root(const struct hostfs *fs, int fd)
{
	struct host_stat root, here, last;
	int ret;

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	ret = fd < 0 ? (int)host_errno() : host_fstat_mount(fs->root_fd, &root);
	if (!ret)
		ret = host_fstat_mount(fd, &here);
	while (!ret && !same_place(&here, &root)) {
		int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		last = here;
		ret = up < 0 ? (int)host_errno() : host_fstat_mount(up, &here);
		if (!ret && same_place(&here, &last)) /* the host's root */
			ret = -ENOENT;
		close(fd);
		fd = up;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * The parent as the host has it. It counts only when the way up from it passes the root: someone on the
 * host may have moved the directory out, and the guest must not follow.
 */
static int parent_by_climbing(struct hostnode *h, struct vnode **out)
{
	int fd = openat(h->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return (int)host_errno();
	ret = beneath_root(h->fs, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	return hostnode_adopt(h->fs, fd, out);
}

static bool removed(const struct hostnode *h)
{
	struct kstat st;

	return host_fstat(h->fd, &st) == 0 && !st.nlink;
}

/*
 * ".." of a directory: its path now, and from the root what stands before the last name. Where that
 * fails (it is moved all the time, it was removed with its parent, its path is too long), step by step.
 */
int hostfs_parent(struct vnode *n, struct vnode **out)
{
	struct hostnode *h = hostnode_of(n);
	char text[VFS_PATH_MAX], *slash;

	if (!removed(h) && hostfs_text(n, text, sizeof(text)) >= 0) {
		int fd;

		slash = strrchr(text, '/');
		if (slash)
			*slash = 0;
		fd = host_open_beneath(h->fs->root_fd, slash ? text : ".", O_PATH | O_DIRECTORY);
		if (fd >= 0)
			return hostnode_adopt(h->fs, fd, out);
	}
	return parent_by_climbing(h, out);
}

/* ---- attributes ---- */

static int hostfs_getattr(struct vnode *n, struct kstat *out)
{
	return host_fstat(hostnode_of(n)->fd, out);
}

static int set_owner(int fd, const struct kattr *a)
{
	uid_t uid = a->valid & KATTR_UID ? a->uid : (uid_t)-1;
	gid_t gid = a->valid & KATTR_GID ? a->gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_mode(struct hostnode *h, uint32_t mode)
{
	char path[40];
	int dirfd;

	if (h->v.type == S_IFLNK)
		return -EOPNOTSUPP;
	host_fd_path(h->fs->kernel->host_proc_fd, h->fd, &dirfd, path);
	return fchmodat(dirfd, path, mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_size(struct hostnode *h, uint64_t size)
{
	int fd = hostnode_reopen(h, O_WRONLY | O_NONBLOCK), ret;

	if (fd < 0)
		return fd;
	ret = ftruncate(fd, size) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static int set_times(struct hostnode *h, const struct kattr *a)
{
	struct timespec ts[2] = {a->atime, a->mtime};
	char path[40];
	int dirfd;

	if (!(a->valid & KATTR_ATIME))
		ts[0].tv_nsec = UTIME_OMIT;
	if (!(a->valid & KATTR_MTIME))
		ts[1].tv_nsec = UTIME_OMIT;
	host_fd_path(h->fs->kernel->host_proc_fd, h->fd, &dirfd, path);
	/* Through the magic link: its own target is the node, even if that is a symlink. */
	return utimensat(dirfd, path, ts, 0) < 0 ? -errno : 0;
}

static int hostfs_setattr(struct vnode *n, const struct kattr *a)
{
	struct hostnode *h = hostnode_of(n);
	int ret = 0;

	if (a->valid & (KATTR_UID | KATTR_GID))
		ret = set_owner(h->fd, a);
	if (!ret && a->valid & KATTR_MODE)
		ret = set_mode(h, a->mode);
	if (!ret && a->valid & KATTR_SIZE)
		ret = set_size(h, a->size);
	if (!ret && a->valid & (KATTR_ATIME | KATTR_MTIME))
		ret = set_times(h, a);
	return ret;
}

static int64_t hostfs_readlink(struct vnode *n, struct task *t, char *buf, size_t cap)
{
	ssize_t len = readlinkat(hostnode_of(n)->fd, "", buf, cap);

	(void)t;
	return len < 0 ? host_errno() : len;
}

static int hostfs_statfs(struct vnode *n, struct statfs *out)
{
	return fstatfs(hostnode_of(n)->fd, out) < 0 ? (int)host_errno() : 0;
}

/* ---- changes to directories ---- */

/* chmod by name without following what may have taken the name's place. */
static int restore_mode(struct hostnode *dir, const char *name, uint32_t mode)
{
	int fd = openat(dir->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), dirfd, ret;
	struct kstat st;
	char path[40];

	if (fd < 0)
		return (int)host_errno();
	host_fd_path(dir->fs->kernel->host_proc_fd, fd, &dirfd, path);
	ret = host_fstat(fd, &st);
	if (!ret && S_ISLNK(st.mode))
		ret = -ENOENT;
	if (!ret && fchmodat(dirfd, path, mode & 07777, 0) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * Give a just created entry its owner. Refused without privilege over the id (rootless with a single
 * mapped id): it stays with the container's root then.
 */
static int own_new(struct hostnode *h, const char *name, const struct kattr *a)
{
	if (a->uid == geteuid() && a->gid == getegid())
		return 0;
	if (fchownat(h->fd, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) == 0) {
		/* A change of owner clears the set-id bits. */
		return a->mode & (S_ISUID | S_ISGID) && !S_ISLNK(a->mode)
			       ? restore_mode(h, name, a->mode)
			       : 0;
	}
	return errno == EPERM || errno == EINVAL ? 0 : -errno;
}

static int hostfs_create(struct vnode *dir, const char *name, const struct kattr *a,
			 struct vnode **out)
{
	struct hostnode *h = hostnode_of(dir);
	int fd = openat(h->fd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
			a->mode & 07777);

	if (fd < 0)
		return (int)host_errno();
	if ((a->uid != geteuid() || a->gid != getegid()) && fchown(fd, a->uid, a->gid) == 0 &&
	    a->mode & (S_ISUID | S_ISGID) && fchmod(fd, a->mode & 07777) < 0) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return hostnode_adopt(h->fs, fd, out);
}

static int hostfs_mkdir(struct vnode *dir, const char *name, const struct kattr *a)
{
	struct hostnode *h = hostnode_of(dir);

	if (mkdirat(h->fd, name, a->mode & 07777) < 0)
		return (int)host_errno();
	return own_new(h, name, a);
}

static int hostfs_mknod(struct vnode *dir, const char *name, const struct kattr *a, uint64_t rdev)
{
	struct hostnode *h = hostnode_of(dir);

	if (mknodat(h->fd, name, a->mode, rdev) < 0)
		return (int)host_errno();
	return own_new(h, name, a);
}

static int hostfs_symlink(struct vnode *dir, const char *name, const char *target,
			  const struct kattr *a)
{
	struct hostnode *h = hostnode_of(dir);

	if (symlinkat(target, h->fd, name) < 0)
		return (int)host_errno();
	return own_new(h, name, a);
}

static int hostfs_link(struct vnode *dir, const char *name, struct vnode *target)
{
	struct hostnode *h = hostnode_of(dir);
	char path[40];
	int dirfd;

	if (!vnode_is_host(target))
		return -EXDEV;
	host_fd_path(h->fs->kernel->host_proc_fd, hostnode_of(target)->fd, &dirfd, path);
	return linkat(dirfd, path, h->fd, name, AT_SYMLINK_FOLLOW) < 0 ? (int)host_errno() : 0;
}

static int hostfs_unlink(struct vnode *dir, const char *name)
{
	return unlinkat(hostnode_of(dir)->fd, name, 0) < 0 ? (int)host_errno() : 0;
}

static int hostfs_rmdir(struct vnode *dir, const char *name)
{
	return unlinkat(hostnode_of(dir)->fd, name, AT_REMOVEDIR) < 0 ? (int)host_errno() : 0;
}

static int hostfs_rename(struct vnode *odir, const char *oname, struct vnode *ndir,
			 const char *nname, unsigned flags)
{
	if (!vnode_is_host(ndir))
		return -EXDEV;
	if (renameat2(hostnode_of(odir)->fd, oname, hostnode_of(ndir)->fd, nname, flags) < 0)
		return (int)host_errno();
	return 0;
}

/* ---- extended attributes: they need a real descriptor ---- */

static int xattr_fd(struct vnode *n)
{
	if (n->type != S_IFREG && n->type != S_IFDIR)
		return -EPERM;
	return hostnode_reopen(hostnode_of(n), O_RDONLY | O_NONBLOCK | O_NOATIME);
}

static int64_t hostfs_getxattr(struct vnode *n, const char *name, void *buf, size_t cap)
{
	int fd = xattr_fd(n);
	int64_t ret;

	if (fd < 0)
		return fd == -EPERM ? -ENODATA : fd;
	ret = fgetxattr(fd, name, buf, cap);
	if (ret < 0)
		ret = host_errno();
	close(fd);
	return ret;
}

static int64_t hostfs_listxattr(struct vnode *n, char *buf, size_t cap)
{
	int fd = xattr_fd(n);
	int64_t ret;

	if (fd < 0)
		return fd == -EPERM ? 0 : fd;
	ret = flistxattr(fd, buf, cap);
	if (ret < 0)
		ret = host_errno();
	close(fd);
	return ret;
}

static int hostfs_setxattr(struct vnode *n, const char *name, const void *buf, size_t len, int flags)
{
	int fd = xattr_fd(n), ret;

	if (fd < 0)
		return fd;
	ret = fsetxattr(fd, name, buf, len, flags) < 0 ? (int)host_errno() : 0;
	close(fd);
	return ret;
}

static int hostfs_removexattr(struct vnode *n, const char *name)
{
	int fd = xattr_fd(n), ret;

	if (fd < 0)
		return fd;
	ret = fremovexattr(fd, name) < 0 ? (int)host_errno() : 0;
	close(fd);
	return ret;
}

static int hostfs_open(struct vnode *n, struct task *t, int flags, struct file **out)
{
	struct hostnode *h = hostnode_of(n);
	int fd;

	(void)t;
	if (n->type != S_IFREG && n->type != S_IFDIR)
		return -ENXIO;
	/* O_CREAT and O_EXCL were the caller's. */
	fd = hostnode_reopen(h, (flags &
				 (O_ACCMODE | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME)) |
					(n->type == S_IFDIR ? O_DIRECTORY : O_NONBLOCK));
	if (fd < 0)
		return fd;
	return n->type == S_IFDIR ? hostdir_create(h->fs->kernel, fd, flags, out)
				  : hostfile_create(h->fs->kernel, fd, flags, out);
}

const struct vnode_ops hostfs_ops = {
	.lookup = hostfs_lookup,
	.getattr = hostfs_getattr,
	.setattr = hostfs_setattr,
	.readlink = hostfs_readlink,
	.open = hostfs_open,
	.create = hostfs_create,
	.mkdir = hostfs_mkdir,
	.mknod = hostfs_mknod,
	.symlink = hostfs_symlink,
	.link = hostfs_link,
	.unlink = hostfs_unlink,
	.rmdir = hostfs_rmdir,
	.rename = hostfs_rename,
	.getxattr = hostfs_getxattr,
	.setxattr = hostfs_setxattr,
	.listxattr = hostfs_listxattr,
	.removexattr = hostfs_removexattr,
	.statfs = hostfs_statfs,
	.release = hostfs_release,
};
