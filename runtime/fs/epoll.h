/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7): see epoll.c. */
#ifndef NACRE_RUNTIME_FS_EPOLL_H
#define NACRE_RUNTIME_FS_EPOLL_H

#include <sys/epoll.h>

#include "runtime/fs/vfs.h"

#define EPOLL_BATCH 128 /* most events one call gives */

/*
 * The last reference to a description went: file_put() calls this before ops->release, so that the
 * instances that watch it forget it. Free when nobody watches. file_alloc() makes f->epoll_links an
 * empty list.
 */
void epoll_file_released(struct file *f);

/* epoll_ctl(2) on descriptions; fd is the number the guest used. 0 or -errno. */
int epoll_control(struct file *epf, int op, struct file *f, int fd, const struct epoll_event *ev);
/*
 * Up to max (at most EPOLL_BATCH) events, waiting until the deadline (0: not at all) for the first:
 * their number, 0, or -EINTR, -EINVAL.
 */
int epoll_gather(struct file *epf, struct task *t, struct epoll_event *out, int max,
		 uint64_t deadline);
/* A new instance without a descriptor. */
int epoll_create_file(struct file **out);
/*
 * The host descriptor whose readability says that one of the instance's host-backed items may be
 * ready: poll it besides the instance's own queue. -1: f is no epoll instance.
 */
int epoll_host_fd(const struct file *f);

#endif
