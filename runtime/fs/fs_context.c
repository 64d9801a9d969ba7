/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/fs_context.h"

#include <stdlib.h>

#include "runtime/fs/vfs_internal.h"

static struct fs_context *context_alloc(void)
{
	struct fs_context *c = calloc(1, sizeof(*c));

	if (c) {
		atomic_init(&c->refs, 1);
		pthread_mutex_init(&c->lock, NULL);
		c->umask = 022;
	}
	return c;
}

struct fs_context *fs_context_create(struct kernel *k)
{
	struct fs_context *c = context_alloc();
	struct mount *m = k->vfs->mounts[0];

	if (!c)
		return NULL;
	c->root = (struct vpath){.mount = m, .node = m->root};
	vpath_get(&c->root);
	c->cwd = c->root;
	vpath_get(&c->cwd);
	return c;
}

struct fs_context *fs_context_copy(struct fs_context *src)
{
	struct fs_context *c = context_alloc();

	if (!c)
		return NULL;
	pthread_mutex_lock(&src->lock);
	c->root = src->root;
	c->cwd = src->cwd;
	c->umask = src->umask;
	vpath_get(&c->root);
	vpath_get(&c->cwd);
	pthread_mutex_unlock(&src->lock);
	return c;
}

struct fs_context *fs_context_get(struct fs_context *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void fs_context_put(struct fs_context *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	vpath_put(&c->root);
	vpath_put(&c->cwd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void fs_context_get_root(struct fs_context *c, struct vpath *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->root;
	vpath_get(out);
	pthread_mutex_unlock(&c->lock);
}

void fs_context_get_cwd(struct fs_context *c, struct vpath *out)
{
	pthread_mutex_lock(&c->lock);
	*out = c->cwd;
	vpath_get(out);
	pthread_mutex_unlock(&c->lock);
}
