/* SPDX-License-Identifier: Apache-2.0 */
/* Node reference counts and places. */
#include <stdlib.h>
#include <string.h>

#include "runtime/fs/lock.h"
#include "runtime/fs/vfs_internal.h"

pthread_mutex_t vnode_tree_lock = PTHREAD_MUTEX_INITIALIZER;

void vnode_init(struct vnode *n, const struct vnode_ops *ops, uint32_t type)
{
	memset(n, 0, sizeof(*n));
	n->ops = ops;
	n->type = type & S_IFMT;
	atomic_init(&n->refs, 1);
}

struct vnode *vnode_get(struct vnode *n)
{
	atomic_fetch_add_explicit(&n->refs, 1, memory_order_relaxed);
	return n;
}

bool vnode_tryget(struct vnode *n)
{
	unsigned refs = atomic_load_explicit(&n->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&n->refs, &refs, refs + 1,
							  memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

/* Iterative, since dropping a node drops its parent: a deep path must not become deep recursion. */
void vnode_put(struct vnode *n)
{
	while (n && atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) == 1) {
		struct vnode *parent = n->parent;
		char *name = n->name;

		lock_detach(n);
		if (n->ops->release)
			n->ops->release(n);
		free(name);
		n = parent;
	}
}

void vnode_set_place(struct vnode *n, struct vnode *parent, const char *name)
{
	char *copy = strdup(name), *old_name;
	struct vnode *old;

	if (!copy)
		return;
	if (parent)
		vnode_get(parent);
	pthread_mutex_lock(&vnode_tree_lock);
	old = n->parent;
	old_name = n->name;
	n->parent = parent;
	n->name = copy;
	pthread_mutex_unlock(&vnode_tree_lock);
	free(old_name);
	vnode_put(old);
}

void vpath_get(struct vpath *p)
{
	if (p->node)
		vnode_get(p->node);
}

void vpath_put(struct vpath *p)
{
	vnode_put(p->node);
	*p = (struct vpath){0};
}

bool vpath_same(const struct vpath *a, const struct vpath *b)
{
	return a->mount == b->mount &&
	       (a->node == b->node || (a->node->ops == b->node->ops && a->node->ino &&
				       a->node->dev == b->node->dev && a->node->ino == b->node->ino));
}

int vpath_getattr(const struct vpath *p, struct kstat *st)
{
	*st = (struct kstat){0};
	return p->node->ops->getattr ? p->node->ops->getattr(p->node, st) : -EIO;
}

int vpath_setattr(const struct vpath *p, const struct kattr *attr)
{
	int ret = mount_writable(p->mount);

	if (ret)
		return ret;
	return p->node->ops->setattr ? p->node->ops->setattr(p->node, attr) : -EPERM;
}
