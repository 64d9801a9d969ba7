/* SPDX-License-Identifier: Apache-2.0 */
/* Root, working directory and umask: shared by CLONE_FS, copied by fork. */
#ifndef NACRE_RUNTIME_FS_FS_CONTEXT_H
#define NACRE_RUNTIME_FS_FS_CONTEXT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "runtime/fs/vfs.h"

struct fs_context {
	atomic_uint refs;
	pthread_mutex_t lock; /* protects the rest */
	struct vpath root, cwd;
	uint32_t umask;
};
struct fs_context *fs_context_create(struct kernel *k); /* root and cwd at the container's root */
struct fs_context *fs_context_copy(struct fs_context *src);
struct fs_context *fs_context_get(struct fs_context *c);
void fs_context_put(struct fs_context *c);
void fs_context_get_root(struct fs_context *c, struct vpath *out);
void fs_context_get_cwd(struct fs_context *c, struct vpath *out);

#endif
