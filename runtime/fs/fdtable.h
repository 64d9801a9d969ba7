/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor tables: shared by CLONE_FILES, copied by fork, RLIMIT_NOFILE bounded. */
#ifndef NACRE_RUNTIME_FS_FDTABLE_H
#define NACRE_RUNTIME_FS_FDTABLE_H

#include <stdbool.h>

struct task;
struct file;
struct fdtable;

struct fdtable *fdtable_create(void);
struct fdtable *fdtable_copy(struct fdtable *src); /* fork: new references to the same files */
struct fdtable *fdtable_get(struct fdtable *t);
bool fdtable_shared(const struct fdtable *ft); /* somebody else holds a reference */
/* Drop a reference; the last closes every descriptor (record locks of process t go with it). */
void fdtable_put(struct fdtable *ft, struct task *t);
void fdtable_close_on_exec(struct fdtable *ft, struct task *t);

/* The description with a new reference, or NULL (EBADF). */
struct file *fd_get(struct task *t, int fd);
/* Lowest free descriptor >= min; takes over the caller's reference to f on success. */
int fd_install(struct task *t, struct file *f, int min, bool cloexec);
/* dup2/dup3: replaces newfd silently. Takes a new reference. */
int fd_install_at(struct task *t, struct file *f, int newfd, bool cloexec);
int fd_close(struct task *t, int fd);
int fd_get_cloexec(struct task *t, int fd); /* 0, 1 or -EBADF */
int fd_set_cloexec(struct task *t, int fd, bool on);
int fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only);
/* Next open descriptor >= fd, or -1: for /proc/PID/fd. */
int fd_next(struct fdtable *ft, int fd);
struct file *fdtable_file(struct fdtable *ft, int fd); /* as fd_get, for another process */

#endif
