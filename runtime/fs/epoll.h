/* SPDX-License-Identifier: Apache-2.0 */
/* epoll(7): see epoll.c. */
#ifndef NACRE_RUNTIME_FS_EPOLL_H
#define NACRE_RUNTIME_FS_EPOLL_H

#include "runtime/fs/vfs.h"

/*
 * The last reference to a description went: file_put() calls this before ops->release, so that the
 * instances that watch it forget it. Free when nobody watches. file_alloc() makes f->epoll_links an
 * empty list.
 */
void epoll_file_released(struct file *f);

/* A new instance without a descriptor. */
int epoll_create_file(struct file **out);
/*
 * The host descriptor whose readability says that one of the instance's host-backed items may be
 * ready: poll it besides the instance's own queue. -1: f is no epoll instance.
 */
int epoll_host_fd(const struct file *f);

#endif
