/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system: nodes, mounts, path resolution, open file descriptions.
 *
 * A vnode is a file of some file system (host directory, tmpfs, proc, dev, devpts). A file is an open
 * file description: what descriptors share after dup and fork. Paths never leave the container's
 * root, whatever symlinks and renames race with them.
 *
 * Every function returns 0 (or a count) or a negative Linux errno.
 */
#ifndef NACRE_RUNTIME_FS_VFS_H
#define NACRE_RUNTIME_FS_VFS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>

#include "mm/mm.h"
#include "runtime/fs/uio.h"
#include "runtime/kernel.h"
#include "runtime/task/wait.h"

struct task;
struct vnode;
struct mount;
struct file;

/* A place in the tree: a node seen through a mount. Both references are held by whoever holds it. */
struct vpath {
	struct mount *mount;
	struct vnode *node;
};

struct kstat { /* what stat and statx need; times as the host gives them */
	uint64_t dev, ino, rdev, size, blocks;
	uint32_t mode, nlink, uid, gid, blksize;
	struct timespec atime, mtime, ctime, btime;
};

#define KATTR_MODE 1u
#define KATTR_UID 2u
#define KATTR_GID 4u
#define KATTR_SIZE 8u
#define KATTR_ATIME 16u
#define KATTR_MTIME 32u
struct kattr {
	unsigned valid;
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timespec atime, mtime; /* tv_nsec may be UTIME_NOW */
};

/* readdir calls emit for each entry from *pos on; emit returns non-zero when the buffer is full. */
struct dir_emit {
	int (*emit)(struct dir_emit *d, const char *name, uint64_t ino, unsigned char type,
		    uint64_t next_pos);
};

/*
 * A NULL op means: not supported by this file system (EPERM, EOPNOTSUPP, ENOTDIR ... as Linux would
 * answer). Names are single components, never "." or "..". Permission checks were made by the
 * caller; ops that create give the new node the owner in `attr`.
 */
struct vnode_ops {
	int (*lookup)(struct vnode *dir, struct task *t, const char *name, struct vnode **out);
	int (*getattr)(struct vnode *n, struct kstat *out);
	int (*setattr)(struct vnode *n, const struct kattr *attr);
	int64_t (*readlink)(struct vnode *n, struct task *t, char *buf, size_t cap);
	/* Magic links (/proc/self/fd/N, exe, cwd, root): jump to a place instead of a text. */
	int (*follow)(struct vnode *n, struct task *t, struct vpath *out);
	/* Magic links to objects with no place in the tree (pipes, sockets): open the object anew. */
	int (*open)(struct vnode *n, struct task *t, int flags, struct file **out);
	int (*create)(struct vnode *dir, const char *name, const struct kattr *attr, struct vnode **out);
	int (*mkdir)(struct vnode *dir, const char *name, const struct kattr *attr);
	int (*mknod)(struct vnode *dir, const char *name, const struct kattr *attr, uint64_t rdev);
	int (*symlink)(struct vnode *dir, const char *name, const char *target, const struct kattr *a);
	int (*link)(struct vnode *dir, const char *name, struct vnode *target);
	int (*unlink)(struct vnode *dir, const char *name);
	int (*rmdir)(struct vnode *dir, const char *name);
	int (*rename)(struct vnode *odir, const char *oname, struct vnode *ndir, const char *nname,
		      unsigned flags);
	int64_t (*getxattr)(struct vnode *n, const char *name, void *buf, size_t cap);
	int (*setxattr)(struct vnode *n, const char *name, const void *buf, size_t len, int flags);
	int64_t (*listxattr)(struct vnode *n, char *buf, size_t cap);
	int (*removexattr)(struct vnode *n, const char *name);
	int (*statfs)(struct vnode *n, struct statfs *out);
	void (*release)(struct vnode *n);
};

struct vnode {
	const struct vnode_ops *ops;
	atomic_uint refs;
	uint32_t type; /* S_IFMT bits; immutable */
	bool volatile_links; /* attributes or children may change without us (host files, proc) */
	uint64_t dev, ino; /* identity: record locks, inotify, mounts are found by it */
	struct file_locks *_Atomic locks; /* record locks and flock: runtime/fs/lock.c */
	/*
	 * Place in the tree, for ".." and path texts. Set once by the path walk for file systems that
	 * neither live on the host nor set it themselves; the reference goes with the node. NULL at
	 * a file system's root and for hostfs. Protected by vnode_tree_lock.
	 */
	struct vnode *parent;
	char *name;
	atomic_bool is_mountpoint;  /* a mount may sit here (checked against the mount table) */
	atomic_bool covers_mounts;  /* some mount point lies at or beneath this directory */
	void *data;		    /* the file system's */
};
void vnode_init(struct vnode *n, const struct vnode_ops *ops, uint32_t type);
struct vnode *vnode_get(struct vnode *n);
void vnode_put(struct vnode *n);

/* ---- open file descriptions ---- */

struct file_ops {
	/*
	 * *pos is the description's offset or pread's; NULL for streams, which are the files without a
	 * seek op (lseek and pread answer ESPIPE). Return bytes or -errno.
	 */
	int64_t (*read)(struct file *f, struct task *t, struct uio *to, int64_t *pos);
	int64_t (*write)(struct file *f, struct task *t, struct uio *from, int64_t *pos);
	int64_t (*seek)(struct file *f, int64_t off, int whence);
	/* Sets *pos to next_pos after each entry that emit took. 0 at the end or when emit is full. */
	int (*readdir)(struct file *f, struct task *t, struct dir_emit *d, int64_t *pos);
	/*
	 * Ready events (POLLIN ...) now. With w not NULL also queue it on the file's wait queue(s), so
	 * that a later change wakes it. A host-backed file is polled through host_fd instead when poll
	 * is NULL.
	 */
	uint32_t (*poll)(struct file *f, struct waiter *w);
	int64_t (*ioctl)(struct file *f, struct task *t, unsigned cmd, uint64_t arg);
	int (*backing)(struct file *f, struct mm_backing **out); /* for mmap: new reference */
	int (*fsync)(struct file *f, bool data_only);
	int (*truncate)(struct file *f, uint64_t size);
	int (*fallocate)(struct file *f, int mode, uint64_t off, uint64_t len);
	int (*getattr)(struct file *f, struct kstat *out); /* NULL: the node's */
	int (*set_flags)(struct file *f, unsigned flags); /* F_SETFL changed O_NONBLOCK, O_APPEND ... */
	void (*flush)(struct file *f, struct task *t); /* each close(2) */
	void (*release)(struct file *f);
};

struct file {
	const struct file_ops *ops;
	atomic_uint refs;
	atomic_uint flags;	  /* O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH ... */
	pthread_mutex_t pos_lock; /* protects pos */
	int64_t pos;
	struct vpath path; /* node NULL: anonymous (pipe, socket, eventfd ...) */
	int host_fd;	   /* -1: none. What a host-backed file reads, writes, polls */
	const char *anon_name; /* "pipe", "socket", "anon_inode:[eventpoll]": /proc/PID/fd's text */
	uint64_t anon_ino;
	struct fasync *fasync; /* F_SETOWN, O_ASYNC; may be NULL */
	struct list epoll_links; /* epoll instances watching this description; fs/epoll.c */
	void *data;
};
struct file *file_alloc(const struct file_ops *ops, unsigned flags); /* NULL: no memory */
struct file *file_get(struct file *f);
void file_put(struct file *f);
/* A seek op where nobody knows the end: directories, texts made while they are read. */
int64_t file_seek_endless(struct file *f, int64_t off, int whence);

/*
 * Paths opened by vfs_open_path(): a node of type S_IFREG, S_IFDIR goes through ops->open; character
 * devices of host and tmpfs through chrdev_open(), of other file systems through ops->open when
 * set; FIFOs through fifo_open(). The new file's `path` is filled in by vfs_open_path() when the op
 * left it empty, except for magic links (S_IFLNK), whose op decides.
 */

/* Whole-file helpers for the kernel itself (exec, proc). */
int64_t file_pread(struct file *f, void *buf, size_t len, int64_t pos);
int file_stat(struct file *f, struct kstat *out);
/* Events now, whatever the file's kind; host files are asked with poll(2) without waiting. */
uint32_t file_poll(struct file *f, struct waiter *w);

/* ---- the tree ---- */

int vfs_create(struct kernel *k, const struct kernel_config *cfg, char *err, size_t errlen);
void vfs_destroy(struct kernel *k);

#define LOOKUP_FOLLOW 1u     /* follow a final symlink */
#define LOOKUP_EMPTY 2u	     /* AT_EMPTY_PATH */
#define LOOKUP_PARENT 4u     /* stop at the parent; the last component goes to *last */
#define LOOKUP_DIRECTORY 8u  /* ENOTDIR unless a directory */

/* Resolve a guest path. dirfd AT_FDCWD or a guest descriptor. */
int vfs_lookup(struct task *t, int dirfd, const char *path, unsigned flags, struct vpath *out,
	       char last[256]);
int vfs_open(struct task *t, int dirfd, const char *path, int flags, uint32_t mode,
	     struct file **out);
/* For execve: regular file, execute permission, not on a noexec mount; ENOENT, EACCES, ... */
int vfs_open_exec(struct task *t, int dirfd, const char *path, int at_flags, struct file **out);
/* Open a resolved place. */
int vfs_open_path(struct task *t, const struct vpath *p, int flags, struct file **out);
void vpath_get(struct vpath *p);
void vpath_put(struct vpath *p);
/* Absolute path as seen from t's root ("(unreachable)..." as getcwd does). Length or -errno. */
int64_t vfs_path_text(struct task *t, const struct vpath *p, char *buf, size_t cap);
/* Permission by mode bits, capabilities, read-only mounts. mask: R_OK | W_OK | X_OK. */
int vfs_permission(struct task *t, const struct vpath *p, int mask);
/* For /proc/mounts and mountinfo: calls fn per mount; text fields as the file shows them. */
struct mount_info {
	int id, parent_id;
	uint64_t dev;
	const char *source, *target, *fstype, *options;
	unsigned long flags;
};
int vfs_for_each_mount(struct task *t, int (*fn)(const struct mount_info *m, void *arg), void *arg);
/* A pseudo file system registers its root here: called by vfs_create for each kernel_mount. */
struct fs_type {
	const char *name;
	uint64_t magic; /* statfs f_type */
	int (*mount)(struct kernel *k, const char *options, struct vnode **root, char *err,
		     size_t errlen);
};
extern const struct fs_type tmpfs_type, procfs_type, devpts_type, mqueue_type;
/* Unique st_dev values for nacre's own file systems. */
uint64_t vfs_new_dev(void);

/* Wrap a host descriptor (stdio, --preserve-fds, sockets) as a file; takes ownership of fd. */
int file_from_host_fd(struct kernel *k, int fd, struct file **out);
/* Character devices by number: /dev nodes on any file system open through this (runtime/fs/dev.c). */
int chrdev_open(struct task *t, uint64_t rdev, int flags, const struct vpath *path, struct file **out);

#endif
