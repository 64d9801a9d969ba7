/* SPDX-License-Identifier: Apache-2.0 */
/* Who watches what: an epoll instance's items, their nesting, epoll_ctl(2). Locks: see epoll.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/fs/epoll_internal.h"

#define EPOLL_MAX_NESTS 5
#define EPOLL_FIRST_BUCKETS 8u /* a power of two */

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;

int ep_items_init(struct epoll *ep)
{
	ep->nbuckets = EPOLL_FIRST_BUCKETS;
	ep->buckets = malloc(ep->nbuckets * sizeof(*ep->buckets));
	if (!ep->buckets)
		return -ENOMEM;
	for (unsigned i = 0; i < ep->nbuckets; i++)
		list_init(&ep->buckets[i]);
	list_init(&ep->items);
	return 0;
}

static size_t ep_hash(const struct epoll *ep, const struct file *f, int fd)
{
	uint64_t h = ((uintptr_t)f >> 4) * 0x9e3779b97f4a7c15u + (unsigned)fd * 0x85ebca6bu;

	return (h >> 20) & (ep->nbuckets - 1);
}

static struct epitem *ep_find(struct epoll *ep, const struct file *f, int fd)
{
	struct list *head = &ep->buckets[ep_hash(ep, f, fd)];

	list_for_each(l, head) {
		struct epitem *it = list_entry(l, struct epitem, hash_link);

		if (it->file == f && it->fd == fd)
			return it;
	}
	return NULL;
}

/* Keep about one item a bucket; failing to grow only costs time. */
static void ep_grow(struct epoll *ep)
{
	unsigned n = ep->nbuckets * 4;
	struct list *b;

	if (ep->nitems < ep->nbuckets * 2)
		return;
	b = malloc(n * sizeof(*b));
	if (!b)
		return;
	for (unsigned i = 0; i < n; i++)
		list_init(&b[i]);
	free(ep->buckets);
	ep->buckets = b;
	ep->nbuckets = n;
	list_for_each(l, &ep->items) {
		struct epitem *it = list_entry(l, struct epitem, item_link);

		list_add(&b[ep_hash(ep, it->file, it->fd)], &it->hash_link);
	}
}

/* registry_lock and ep->lock held. */
static void ep_remove(struct epitem *it)
{
	struct epoll *ep = it->ep;

	if (it->internal)
		waitq_remove(&it->waiter);
	if (it->host_fd >= 0) {
		epoll_ctl(ep->host_fd, EPOLL_CTL_DEL, it->host_fd, NULL);
		if (it->host_fd_owned)
			close(it->host_fd);
		atomic_fetch_sub(&ep->host_items, 1);
	}
	pthread_mutex_lock(&ep->ready_lock);
	list_del(&it->ready_link);
	pthread_mutex_unlock(&ep->ready_lock);
	list_del(&it->hash_link);
	list_del(&it->item_link);
	list_del(&it->file_link);
	ep->nitems--;
	free(it);
}

void ep_items_destroy(struct epoll *ep)
{
	pthread_mutex_lock(&registry_lock);
	pthread_mutex_lock(&ep->lock);
	while (!list_empty(&ep->items))
		ep_remove(list_entry(ep->items.next, struct epitem, item_link));
	pthread_mutex_unlock(&ep->lock);
	pthread_mutex_unlock(&registry_lock);
	free(ep->buckets);
}

void epoll_file_released(struct file *f)
{
	/*
	 * Nobody can add a watch to a description without references. The last item's removal by its
	 * dying instance writes both pointers of the head and then leaves the head alone, so seeing
	 * both point to the head means there is no item and nobody at work.
	 */
	if (__atomic_load_n(&f->epoll_links.next, __ATOMIC_ACQUIRE) == &f->epoll_links &&
	    __atomic_load_n(&f->epoll_links.prev, __ATOMIC_ACQUIRE) == &f->epoll_links)
		return;
	pthread_mutex_lock(&registry_lock);
	while (!list_empty(&f->epoll_links)) {
		struct epitem *it = list_entry(f->epoll_links.next, struct epitem, file_link);
		struct epoll *ep = it->ep;

		pthread_mutex_lock(&ep->lock);
		ep_remove(it);
		pthread_mutex_unlock(&ep->lock);
	}
	pthread_mutex_unlock(&registry_lock);
}

/* ---- nesting: registry_lock held ---- */

/* Levels of epoll instances below and including ep, past EPOLL_MAX_NESTS at most; target: a loop. */
static int ep_depth_below(struct epoll *ep, const struct epoll *target, int level)
{
	int deepest = 1;

	if (ep == target || level > EPOLL_MAX_NESTS)
		return EPOLL_MAX_NESTS + 1;
	list_for_each(l, &ep->items) {
		struct epoll *sub = epoll_of(list_entry(l, struct epitem, item_link)->file);
		int d = sub ? 1 + ep_depth_below(sub, target, level + 1) : 0;

		if (d > deepest)
			deepest = d;
	}
	return deepest;
}

static int ep_depth_above(struct epoll *ep, int level)
{
	int highest = 1;

	if (level > EPOLL_MAX_NESTS)
		return level;
	list_for_each(l, &ep->file->epoll_links) {
		struct epitem *it = list_entry(l, struct epitem, file_link);
		int d = 1 + ep_depth_above(it->ep, level + 1);

		if (d > highest)
			highest = d;
	}
	return highest;
}

static int ep_check_nesting(struct epoll *ep, struct file *target)
{
	struct epoll *sub = epoll_of(target);

	if (!sub)
		return 0;
	return ep_depth_above(ep, 0) + ep_depth_below(sub, ep, 0) > EPOLL_MAX_NESTS ? -ELOOP : 0;
}

/* ---- epoll_ctl ---- */

static int ep_host_register(struct epoll *ep, struct epitem *it, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events & ~EPOLLWAKEUP, .data.ptr = it};

	it->host_fd = fd;
	if (epoll_ctl(ep->host_fd, EPOLL_CTL_ADD, fd, &ev)) {
		if (errno != EEXIST)
			return -errno;
		/* Two guest descriptors of one description: the host needs two numbers as well. */
		it->host_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (it->host_fd < 0)
			return -ENOMEM;
		it->host_fd_owned = true;
		if (epoll_ctl(ep->host_fd, EPOLL_CTL_ADD, it->host_fd, &ev)) {
			int err = errno;

			close(it->host_fd);
			return -err;
		}
	}
	/* Waiters that parked without the host descriptor look again. */
	if (atomic_fetch_add(&ep->host_items, 1) == 0)
		waitq_wake(&ep->wait, 0, 0);
	return 0;
}

static int ep_register(struct epoll *ep, struct epitem *it)
{
	struct epoll *sub = epoll_of(it->file);
	int ret = 0;

	it->host_fd = -1;
	if (!it->file->ops->poll) {
		if (it->file->host_fd < 0)
			return -EPERM;
		return ep_host_register(ep, it, it->file->host_fd, it->events);
	}
	it->internal = true;
	if (sub) /* a hint that its host side has something; level or edge as asked */
		ret = ep_host_register(ep, it, sub->host_fd, EPOLLIN | (it->events & EPOLLET));
	if (ret) {
		it->host_fd = -1;
		return ret;
	}
	waiter_init(&it->waiter, NULL);
	it->waiter.notify = ep_notify;
	it->waiter.exclusive = it->events & EPOLLEXCLUSIVE;
	/* The queue is asked for everything: the hook filters, so that MOD need not requeue. */
	it->waiter.events = 0;
	if (it->file->ops->poll(it->file, &it->waiter) & (it->events | EPOLL_ALWAYS))
		ep_queue(it);
	return 0;
}

static int ep_add(struct epoll *ep, struct file *f, int fd, const struct epoll_event *ev)
{
	struct epitem *it;
	int ret = ep_check_nesting(ep, f);

	if (ret)
		return ret;
	it = calloc(1, sizeof(*it));
	if (!it)
		return -ENOMEM;
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	it->data = ev->data.u64;
	atomic_store(&it->events, ev->events);
	list_init(&it->ready_link);
	list_init(&it->hash_link);
	list_init(&it->item_link);
	list_init(&it->file_link);
	ret = ep_register(ep, it);
	if (ret) {
		free(it);
		return ret;
	}
	list_add_tail(&ep->items, &it->item_link);
	list_add(&ep->buckets[ep_hash(ep, f, fd)], &it->hash_link);
	list_add_tail(&f->epoll_links, &it->file_link);
	ep->nitems++;
	ep_grow(ep);
	return 0;
}

static int ep_modify(struct epitem *it, const struct epoll_event *ev)
{
	struct epoll_event host = {.data.ptr = it};

	if ((it->events | ev->events) & EPOLLEXCLUSIVE)
		return -EINVAL;
	it->data = ev->data.u64;
	atomic_store(&it->events, ev->events);
	if (it->internal) {
		if (it->host_fd >= 0) {
			host.events = EPOLLIN | (ev->events & EPOLLET);
			epoll_ctl(it->ep->host_fd, EPOLL_CTL_MOD, it->host_fd, &host);
		}
		if (ep_item_revents(it))
			ep_queue(it);
		return 0;
	}
	host.events = ev->events & ~EPOLLWAKEUP;
	return epoll_ctl(it->ep->host_fd, EPOLL_CTL_MOD, it->host_fd, &host) ? -errno : 0;
}

static int ep_ctl(struct epoll *ep, int op, struct file *f, int fd, const struct epoll_event *ev)
{
	bool structural = op != EPOLL_CTL_MOD;
	struct epitem *it;
	int ret = 0;

	if (structural)
		pthread_mutex_lock(&registry_lock);
	pthread_mutex_lock(&ep->lock);
	it = ep_find(ep, f, fd);
	if (op == EPOLL_CTL_ADD)
		ret = it ? -EEXIST : ep_add(ep, f, fd, ev);
	else if (!it)
		ret = -ENOENT;
	else if (op == EPOLL_CTL_MOD)
		ret = ep_modify(it, ev);
	else
		ep_remove(it);
	pthread_mutex_unlock(&ep->lock);
	if (structural)
		pthread_mutex_unlock(&registry_lock);
	return ret;
}

static int ep_check_ctl(struct file *epf, int op, struct file *f, const struct epoll_event *ev)
{
	const uint32_t exclusive_ok = EPOLLIN | EPOLLOUT | EPOLL_ALWAYS | EPOLLWAKEUP | EPOLLET |
				      EPOLLEXCLUSIVE;

	/* Files that are always ready can't be watched; that comes before everything else. */
	if (!f->ops->poll && (f->host_fd < 0 || (f->path.node && (f->path.node->type == S_IFREG ||
								  f->path.node->type == S_IFDIR))))
		return -EPERM;
	if (!epoll_of(epf) || f == epf)
		return -EINVAL;
	if (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL)
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && (ev->events & EPOLLEXCLUSIVE) &&
	    (op == EPOLL_CTL_MOD || epoll_of(f) || (ev->events & ~exclusive_ok)))
		return -EINVAL;
	return 0;
}

int epoll_control(struct file *epf, int op, struct file *f, int fd, const struct epoll_event *ev)
{
	int ret = ep_check_ctl(epf, op, f, ev);

	return ret ? ret : ep_ctl(epf->data, op, f, fd, ev);
}
