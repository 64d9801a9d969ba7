/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Record locks (fcntl(2): F_SETLK and F_OFD_SETLK) and whole-file locks (flock(2)). The state of a
 * file is found by its (dev, ino), so that every name and mount of a file shares it.
 */
#ifndef NACRE_RUNTIME_FS_LOCK_H
#define NACRE_RUNTIME_FS_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct task;
struct vnode;
struct file;
struct file_locks;

struct record_lock {
	int64_t start, end; /* inclusive; INT64_MAX: to the end of the file */
	int type;	    /* F_RDLCK, F_WRLCK, F_UNLCK */
	const void *owner;  /* descriptor table, or open file description (OFD) */
	bool ofd;
	int pid; /* reported by F_GETLK: -1 for OFD */
};

/* Conflicting lock in *l, or its type set to F_UNLCK. */
int lock_test(struct vnode *n, struct record_lock *l);
/* Set or clear; waits when `wait` (t may then be interrupted: -ERESTARTSYS), -EAGAIN, -EDEADLK. */
int lock_set(struct task *t, struct vnode *n, const struct record_lock *l, bool wait);
/* close(2): drop every record lock of this owner on the node. */
void lock_release_owner(struct vnode *n, const void *owner);
/* op: LOCK_SH, LOCK_EX or LOCK_UN. */
int lock_flock(struct task *t, struct vnode *n, struct file *f, int op, bool wait);
void lock_release_file(struct vnode *n, struct file *f);
/* The node is going away. */
void lock_detach(struct vnode *n);

#endif
