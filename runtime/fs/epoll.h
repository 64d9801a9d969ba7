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

#endif
