/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VFS core share: the mount table, host-backed nodes, permission checks.
 *
 * Mounts are made by vfs_create() and never change afterwards (mount(2) is refused), so the table is
 * read without a lock and a struct mount needs no reference count.
 */
#ifndef NACRE_RUNTIME_FS_VFS_INTERNAL_H
#define NACRE_RUNTIME_FS_VFS_INTERNAL_H

#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/fs/vfs.h"
#include "runtime/host/host.h"
#include "runtime/task/task.h"

#define VFS_SYMLINKS_MAX 40
#define VFS_PATH_MAX 4096
#define VFS_NAME_MAX 255

struct mount {
	int id;
	struct mount *parent;	  /* NULL: the root */
	struct vnode *mountpoint; /* in parent; a reference */
	struct vnode *root;	  /* a reference */
	char *source, *target, *fstype, *options;
	unsigned long flags;
	uint64_t dev;
	uint64_t host_id;	    /* of a host directory's mount in the host's table; 0: unknown */
	const struct fs_type *type; /* NULL: host directory */
};

struct vfs {
	struct kernel *kernel;
	struct mount *mounts[256];
	unsigned nmounts;
	struct vnode **pins; /* ancestors of mount points: kept, so that covers_mounts stays known */
	size_t npins;
	pthread_mutex_t text_lock; /* a leaf; protects texts_loaded and the loading */
	bool texts_loaded;	   /* the host's mounts have their texts; these never change again */
};

/* Is it a program that somebody runs? It is not written to meanwhile (execve(2), ETXTBSY). */
bool vfs_text_busy(struct kernel *k, const struct vnode *n);
/*
 * What /proc/mounts says. Of a mount of the host, by a descriptor in it, only which one it is: the
 * host's table is read when somebody asks first, since few containers ever do.
 */
void mount_note_host(struct mount *m, int fd);
void mount_texts_load(struct vfs *v);
void mount_text_own(struct mount *m);
/* The mount on top of a place, or NULL. */
struct mount *mount_at(struct vfs *v, const struct vpath *p);
/* Step down through the mounts that cover *p (its references move along). */
void mount_cross(struct vfs *v, struct vpath *p);
/* ".." of *p as t sees it: never above t's root. References move along. */
int vpath_dotdot(struct task *t, struct vpath *p, const struct vpath *root);
bool vpath_same(const struct vpath *a, const struct vpath *b);

/* Protects vnode.parent and vnode.name of all file systems that use them. */
extern pthread_mutex_t vnode_tree_lock;
/* A reference only if the node is not being freed. */
bool vnode_tryget(struct vnode *n);
void vnode_set_place(struct vnode *n, struct vnode *parent, const char *name);

/* ---- permission: runtime/fs/perm.c ---- */
int perm_check(struct task *t, const struct kstat *st, int mask);
/* As perm_check but for the real ids (access(2)). */
int perm_check_real(struct task *t, const struct kstat *st, int mask);
/* Attributes, read-only mount and mode bits in one go. */
int perm_node(struct task *t, const struct vpath *p, int mask);
/* May t remove or rename `node` of directory `dir` (write, search, sticky)? */
int perm_delete(struct task *t, const struct vpath *dir, struct vnode *node);
/* May t create in dir? Fills the owner of the new node and adjusts mode. */
int perm_create(struct task *t, const struct vpath *dir, uint32_t mode, struct kattr *attr);
bool perm_owner(struct task *t, const struct kstat *st); /* owner or CAP_FOWNER */
bool perm_searches_all(struct task *t); /* no directory refuses search to t */
int mount_writable(const struct mount *m);  /* 0 or -EROFS */

/* ---- host directories: runtime/fs/hostfs.c, hostfile.c ---- */
struct hostfs {
	int root_fd; /* O_PATH */
	struct kernel *kernel;
	unsigned nodes; /* that refer to it: the last takes it along; the node cache's lock */
};
struct hostnode {
	struct vnode v;
	struct hostfs *fs;
	int fd;		/* O_PATH or better; owned */
	uint64_t mnt_id; /* host's mount id: two bind mounts of one file are two nodes */
	struct list hash_link;
};
extern const struct vnode_ops hostfs_ops;
static inline struct hostnode *hostnode_of(struct vnode *n)
{
	return container_of(n, struct hostnode, v);
}
static inline bool vnode_is_host(const struct vnode *n)
{
	return n->ops == &hostfs_ops;
}
int hostfs_mount(struct kernel *k, int dirfd, struct vnode **root);
/* Node of an open descriptor; takes ownership of fd, also on failure. */
int hostnode_adopt(struct hostfs *fs, int fd, struct vnode **out);
/* One openat2 for a path of plain components beneath dir; -ELOOP when a symlink is in the way. */
int hostfs_lookup_path(struct vnode *dir, const char *rel, struct vnode **out);
int hostfs_parent(struct vnode *n, struct vnode **out);
/* Path beneath the hostfs root without leading slash. Length or -errno. */
int64_t hostfs_text(struct vnode *n, char *buf, size_t cap);
/* Open the node's file anew. Host descriptor or -errno. */
int hostnode_reopen(struct hostnode *h, int flags);

/* A regular file (or memfd) behind struct file: data is a struct hostfile. */
struct hostfile {
	struct kernel *kernel;
	bool host_offset; /* inherited: the offset is shared with whoever opened it */
	bool memfd;
	uint32_t uid, gid; /* memfd: creator */
	char *name;	   /* memfd: what anon_name points to; owned */
	int64_t dir_pos;   /* directories: the host descriptor's position */
	struct mm_backing *backing; /* made at the first mmap; protected by pos_lock */
	/* tmpfs: called around writes to account for space; NULL otherwise */
	int64_t (*reserve)(struct vnode *n, int64_t pos, uint64_t len); /* bytes allowed or -errno */
	void (*settle)(struct vnode *n);
};
/* Takes ownership of fd. */
int hostfile_create(struct kernel *k, int fd, int flags, struct file **out);
int hostdir_create(struct kernel *k, int fd, int flags, struct file **out);
int hoststream_create(struct kernel *k, int fd, int flags, struct file **out);
struct hostfile *hostfile_of(struct file *f); /* NULL: not a host-backed regular file */

/* ---- tmpfs ---- */
extern const struct vnode_ops tmpfs_ops;
/* O_TMPFILE. */
int tmpfs_tmpfile(struct vnode *dir, const struct kattr *attr, struct vnode **out);

/* ---- helpers of the system calls ---- */
/* Copy a path in; -EFAULT, -ENAMETOOLONG. buf holds VFS_PATH_MAX bytes. */
int path_copy_in(struct task *t, uint64_t addr, char *buf);
int vfs_stat_path(struct task *t, int dirfd, const char *path, unsigned lookup, struct kstat *st,
		  struct vpath *where);
int vpath_getattr(const struct vpath *p, struct kstat *st);
int vpath_setattr(const struct vpath *p, const struct kattr *attr);
/* Access mode checked; at NULL: the description's own offset (or a stream). */
int64_t file_read_uio(struct task *t, struct file *f, struct uio *u, int64_t *at);
int64_t file_write_uio(struct task *t, struct file *f, struct uio *u, int64_t *at);
/* File of a descriptor for data access: -EBADF also for O_PATH ones. */
int fd_get_io(struct task *t, int fd, struct file **out);
/* Resolve (dirfd, path) for *at calls; AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW in at_flags. */
int at_lookup(struct task *t, int dirfd, uint64_t upath, int at_flags, struct vpath *out);
int vfs_truncate(struct task *t, const struct vpath *p, struct file *f, uint64_t size);
/* Remove set-id bits after a write or chown by an unprivileged task (CAP_FSETID). */
void vfs_kill_suid(struct task *t, struct vnode *n);
/* inotify events on a node, told to its directory too; nearly free while nobody watches. */
void vfs_notify_node(struct vnode *n, uint32_t mask);
void vfs_notify_file(struct file *f, uint32_t mask);

/* Handlers, from the table. */
#define SYSCALL(name, x86, arm, args, flags) int64_t sys_##name(struct task *t, const uint64_t a[6]);
#include "runtime/fs/syscalls.def"
#undef SYSCALL

#endif
