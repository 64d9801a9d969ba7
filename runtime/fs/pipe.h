/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and FIFOs: one ring of bytes that grows with what is in it. pipe(7), fifo(7). */
#ifndef NACRE_RUNTIME_FS_PIPE_H
#define NACRE_RUNTIME_FS_PIPE_H

#include "runtime/fs/vfs.h"

struct cred;

/* The two ends of a pipe that belongs to owner; flags: O_NONBLOCK, O_DIRECT (packets). */
int pipe_create(const struct cred *owner, unsigned flags, struct file **rd, struct file **wr);
/*
 * Open a FIFO node: blocks for the other side as fifo(7) says. Readers and writers of one FIFO meet
 * by the node's (dev, ino). The caller sets the file's path. -ERESTARTSYS when interrupted.
 */
int fifo_open(struct task *t, struct vnode *node, int flags, struct file **out);
/* Open a pipe anew through its magic link: new description, fifo(7) rules. */
int pipe_reopen(struct task *t, struct file *f, int flags, struct file **out);
bool file_is_pipe(const struct file *f); /* pipe end or open FIFO */
/*
 * tee(2): copy what a read would give without taking it. Waits as a read does unless nonblock.
 */
int64_t pipe_peek(struct file *f, struct task *t, struct uio *to, bool nonblock);
/* fcntl F_GETPIPE_SZ, F_SETPIPE_SZ: the capacity in bytes, -EBADF: not a pipe, -EBUSY, -EPERM. */
int64_t pipe_get_size(struct file *f);
int64_t pipe_set_size(struct file *f, struct task *t, uint64_t size);

#endif
