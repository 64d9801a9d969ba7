/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7). Watches hang in one hash table by their node's identity (dev, ino): the same file may
 * be reached through several vnodes. An event is looked up there only while any watch exists.
 *
 * Locks: table_lock (the table and every instance's watch list) -> inotify.lock (event queue).
 */
#include "runtime/fs/inotify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

#define INOTIFY_BUCKETS 256u
#define INOTIFY_MAX_EVENTS 16384u /* /proc/sys/fs/inotify/max_queued_events */
#define INOTIFY_MAX_WATCHES 65536u
#define INOTIFY_MAX_INSTANCES 128u
#define INOTIFY_ADD_FLAGS                                                                          \
	(IN_ALL_EVENTS | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE |           \
	 IN_MASK_ADD | IN_ONESHOT | IN_UNMOUNT | IN_ISDIR)

struct inotify {
	struct list watches; /* table_lock */
	int next_wd;	     /* table_lock */
	pthread_mutex_t lock;
	struct list events; /* protected by lock, as is the count */
	unsigned nevents;
	struct waitq wait;
};

struct inotify_watch {
	struct list hash_link, owner_link;
	struct inotify *owner;
	struct vnode *node; /* a reference */
	int wd;
	uint32_t mask;
};

struct inotify_queued {
	struct list link;
	struct inotify_event ev; /* the name, NUL-padded to ev.len, follows */
};

atomic_uint inotify_watches;
static atomic_uint inotify_instances, inotify_cookie;
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list table[INOTIFY_BUCKETS];

static struct list *bucket_of(const struct vnode *n)
{
	return &table[(n->ino * 31 + n->dev) % INOTIFY_BUCKETS];
}

static void table_setup(void)
{
	static bool done;

	pthread_mutex_lock(&table_lock);
	for (unsigned i = 0; !done && i < INOTIFY_BUCKETS; i++)
		list_init(&table[i]);
	done = true;
	pthread_mutex_unlock(&table_lock);
}

uint32_t inotify_new_cookie(void)
{
	return atomic_fetch_add(&inotify_cookie, 1) + 1;
}

/* ---- queueing ---- */

static bool same_as_last(const struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			 const char *name)
{
	const struct inotify_queued *q;

	if (list_empty(&in->events))
		return false;
	q = list_entry(in->events.prev, struct inotify_queued, link);
	return q->ev.wd == wd && q->ev.mask == mask && q->ev.cookie == cookie &&
	       !strcmp(q->ev.len ? q->ev.name : "", name ? name : "");
}

static void queue_locked(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			 const char *name)
{
	size_t len = name && *name ? (strlen(name) + 16) & ~(size_t)15 : 0;
	struct inotify_queued *q;

	/* Repetitions are folded, as inotify(7) says. */
	if (same_as_last(in, wd, mask, cookie, name))
		return;
	if (in->nevents >= INOTIFY_MAX_EVENTS) {
		if (same_as_last(in, -1, IN_Q_OVERFLOW, 0, NULL))
			return;
		wd = -1, mask = IN_Q_OVERFLOW, cookie = 0, len = 0;
	}
	q = calloc(1, sizeof(*q) + len);
	if (!q)
		return;
	q->ev.wd = wd;
	q->ev.mask = mask;
	q->ev.cookie = cookie;
	q->ev.len = (uint32_t)len;
	if (len)
		memcpy(q->ev.name, name, strlen(name));
	list_add_tail(&in->events, &q->link);
	in->nevents++;
	waitq_wake(&in->wait, POLLIN | POLLRDNORM, 0);
}

static void queue_event(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			const char *name)
{
	pthread_mutex_lock(&in->lock);
	queue_locked(in, wd, mask, cookie, name);
	pthread_mutex_unlock(&in->lock);
}

/* table_lock held. The node goes to the caller, to be put without the lock. */
static struct vnode *watch_unlink(struct inotify_watch *w)
{
	struct vnode *node = w->node;

	list_del(&w->hash_link);
	list_del(&w->owner_link);
	free(w);
	atomic_fetch_sub(&inotify_watches, 1);
	return node;
}

void inotify_report(struct vnode *node, uint32_t mask, uint32_t cookie, const char *name)
{
	/* References of watches that end here; more than these end with the instance. */
	struct vnode *gone[16];
	unsigned ngone = 0;

	pthread_mutex_lock(&table_lock);
	list_for_each_safe(l, bucket_of(node)) {
		struct inotify_watch *w = list_entry(l, struct inotify_watch, hash_link);
		uint32_t sent = mask & (w->mask | IN_UNMOUNT | IN_ISDIR);
		bool ends = mask & (IN_DELETE_SELF | IN_UNMOUNT);

		if (w->node->ino != node->ino || w->node->dev != node->dev)
			continue;
		if (sent & ~IN_ISDIR) {
			queue_event(w->owner, w->wd, sent, cookie, name);
			ends = ends || (w->mask & IN_ONESHOT);
		}
		if (ends && ngone < sizeof(gone) / sizeof(gone[0])) {
			queue_event(w->owner, w->wd, IN_IGNORED, 0, NULL);
			gone[ngone++] = watch_unlink(w);
		}
	}
	pthread_mutex_unlock(&table_lock);
	while (ngone)
		vnode_put(gone[--ngone]);
}

/* ---- the description ---- */

/* Move whole events out; bytes, 0 when none is queued, -EINVAL when the first does not fit. */
static int64_t inotify_drain(struct inotify *in, struct uio *to)
{
	int64_t done = 0, n;

	pthread_mutex_lock(&in->lock);
	while (!list_empty(&in->events)) {
		struct inotify_queued *q = list_entry(in->events.next, struct inotify_queued, link);
		size_t len = sizeof(q->ev) + q->ev.len;

		if (to->resid < len) {
			done = done ? done : -EINVAL;
			break;
		}
		n = uio_write_to_guest(to, &q->ev, len);
		if (n != (int64_t)len) {
			done = done ? done : -EFAULT;
			break;
		}
		list_del(&q->link);
		in->nevents--;
		free(q);
		done += n;
	}
	pthread_mutex_unlock(&in->lock);
	return done;
}

static int64_t inotify_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct inotify *in = f->data;
	struct waiter w;
	int64_t n = inotify_drain(in, to);

	(void)pos;
	if (n)
		return n;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	waiter_init(&w, t);
	waitq_add(&in->wait, &w, POLLIN | POLLRDNORM);
	for (;;) {
		task_prepare_park(t);
		n = inotify_drain(in, to);
		if (n)
			break;
		if (task_park(t, DEADLINE_NONE, NULL, 0) == -EINTR) {
			n = -ERESTARTSYS;
			break;
		}
	}
	waitq_remove(&w);
	return n;
}

static uint32_t inotify_poll(struct file *f, struct waiter *w)
{
	struct inotify *in = f->data;
	bool any;

	if (w)
		waitq_add(&in->wait, w, w->events);
	pthread_mutex_lock(&in->lock);
	any = !list_empty(&in->events);
	pthread_mutex_unlock(&in->lock);
	return any ? POLLIN | POLLRDNORM : 0;
}

static int64_t inotify_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct inotify *in = f->data;
	int bytes = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	pthread_mutex_lock(&in->lock);
	list_for_each(l, &in->events)
		bytes += (int)(sizeof(struct inotify_event) +
			       list_entry(l, struct inotify_queued, link)->ev.len);
	pthread_mutex_unlock(&in->lock);
	return mm_copy_out(t->mm, GVA(arg), &bytes, sizeof(bytes));
}

static void inotify_release(struct file *f)
{
	struct inotify *in = f->data;

	for (;;) {
		struct vnode *node = NULL;

		pthread_mutex_lock(&table_lock);
		if (!list_empty(&in->watches))
			node = watch_unlink(
				list_entry(in->watches.next, struct inotify_watch, owner_link));
		pthread_mutex_unlock(&table_lock);
		if (!node)
			break;
		vnode_put(node);
	}
	list_for_each_safe(l, &in->events)
		free(list_entry(l, struct inotify_queued, link));
	waitq_destroy(&in->wait);
	pthread_mutex_destroy(&in->lock);
	free(in);
	atomic_fetch_sub(&inotify_instances, 1);
}

static const struct file_ops inotify_ops = {
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
};

/* ---- system calls ---- */

static int64_t do_inotify_init(struct task *t, int flags)
{
	struct inotify *in;
	struct file *f;
	int fd;

	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	if (atomic_fetch_add(&inotify_instances, 1) >= INOTIFY_MAX_INSTANCES) {
		atomic_fetch_sub(&inotify_instances, 1);
		return -EMFILE;
	}
	table_setup();
	in = calloc(1, sizeof(*in));
	f = in ? file_alloc(&inotify_ops, O_RDONLY | (unsigned)(flags & IN_NONBLOCK)) : NULL;
	if (!f) {
		free(in);
		atomic_fetch_sub(&inotify_instances, 1);
		return -ENOMEM;
	}
	list_init(&in->watches);
	list_init(&in->events);
	in->next_wd = 1;
	pthread_mutex_init(&in->lock, NULL);
	waitq_init(&in->wait);
	f->data = in;
	f->anon_name = "anon_inode:inotify";
	fd = fd_install(t, f, 0, flags & IN_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_inotify_init(struct task *t, const uint64_t a[6])
{
	(void)a;
	return do_inotify_init(t, 0);
}

int64_t sys_inotify_init1(struct task *t, const uint64_t a[6])
{
	return do_inotify_init(t, (int)a[0]);
}

/* The instance behind a descriptor, with the file's reference in *f; -errno in *err. */
static struct inotify *inotify_from_fd(struct task *t, int fd, struct file **f, int64_t *err)
{
	*f = fd_get(t, fd);
	*err = *f ? (*f)->ops == &inotify_ops ? 0 : -EINVAL : -EBADF;
	return *err ? NULL : (*f)->data;
}

/* Change the existing watch on node or make one; takes over the node's reference when it makes one. */
static int64_t watch_set(struct inotify *in, struct vnode *node, uint32_t mask, bool *used)
{
	struct inotify_watch *w;
	uint32_t bits = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);

	list_for_each(l, &in->watches) {
		w = list_entry(l, struct inotify_watch, owner_link);
		if (w->node->ino != node->ino || w->node->dev != node->dev)
			continue;
		if (mask & IN_MASK_CREATE)
			return -EEXIST;
		w->mask = mask & IN_MASK_ADD ? w->mask | bits : bits;
		return w->wd;
	}
	if (atomic_load(&inotify_watches) >= INOTIFY_MAX_WATCHES)
		return -ENOSPC;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->owner = in;
	w->node = node;
	w->wd = in->next_wd++;
	w->mask = bits;
	list_add_tail(bucket_of(node), &w->hash_link);
	list_add_tail(&in->watches, &w->owner_link);
	atomic_fetch_add(&inotify_watches, 1);
	*used = true;
	return w->wd;
}

static int64_t watch_path(struct task *t, struct inotify *in, const char *path, uint32_t mask)
{
	unsigned flags = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) |
			 (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	struct vpath p;
	bool used = false;
	int64_t ret = vfs_lookup(t, AT_FDCWD, path, flags, &p, NULL);

	if (ret)
		return ret;
	ret = vfs_permission(t, &p, 4 /* R_OK */);
	if (!ret) {
		struct vnode *node = vnode_get(p.node);

		pthread_mutex_lock(&table_lock);
		ret = watch_set(in, node, mask, &used);
		pthread_mutex_unlock(&table_lock);
		if (!used)
			vnode_put(node);
	}
	vpath_put(&p);
	return ret;
}

int64_t sys_inotify_add_watch(struct task *t, const uint64_t a[6])
{
	uint32_t mask = (uint32_t)a[2];
	struct inotify *in;
	struct file *f;
	char path[4096];
	int64_t ret;

	if (mask & ~INOTIFY_ADD_FLAGS || !(mask & INOTIFY_ADD_FLAGS) ||
	    ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)))
		return -EINVAL;
	in = inotify_from_fd(t, (int)a[0], &f, &ret);
	if (in) {
		ret = mm_copy_in_str(t->mm, path, GVA(a[1]), sizeof(path));
		if (ret >= 0)
			ret = watch_path(t, in, path, mask);
	}
	if (f)
		file_put(f);
	return ret;
}

int64_t sys_inotify_rm_watch(struct task *t, const uint64_t a[6])
{
	struct vnode *node = NULL;
	struct inotify *in;
	struct file *f;
	int64_t ret;

	in = inotify_from_fd(t, (int)a[0], &f, &ret);
	if (in) {
		ret = -EINVAL;
		pthread_mutex_lock(&table_lock);
		list_for_each_safe(l, &in->watches) {
			struct inotify_watch *w = list_entry(l, struct inotify_watch, owner_link);

			if (w->wd != (int)a[1])
				continue;
			queue_event(in, w->wd, IN_IGNORED, 0, NULL);
			node = watch_unlink(w);
			ret = 0;
			break;
		}
		pthread_mutex_unlock(&table_lock);
	}
	if (node)
		vnode_put(node);
	if (f)
		file_put(f);
	return ret;
}
