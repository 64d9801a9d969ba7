/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll(7). An instance watches two kinds of description:
 *
 * - nacre's own objects (pipes, eventfds, terminals, other epoll instances): a waiter on the object's
 *   queue whose notify hook moves the item to the ready list;
 * - host-backed ones (files without a poll op): registered in the instance's own host epoll, which
 *   does level, edge and one-shot for them; a waiting task parks on that descriptor.
 *
 * A watched epoll instance is both, since its readiness may come from either side.
 *
 * Locks: registry_lock (who watches what: file->epoll_links, the items of every instance) ->
 * epoll.lock (item lookup, scanning) -> the watched object's own locks; epoll.ready_lock is taken by
 * notify hooks under an object's queue lock, and is a leaf but for the instance's own queue.
 */
#include "runtime/fs/epoll.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/task/task.h"

#define EPOLL_MAX_NESTS 5
#define EPOLL_PRIVATE (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)
#define EPOLL_ALWAYS (EPOLLERR | EPOLLHUP)

struct epoll {
	pthread_mutex_t lock;
	struct list *buckets; /* items by (file, fd); changes need registry_lock and lock */
	unsigned nbuckets, nitems;
	struct list items;	/* all of them, same protection */
	atomic_uint host_items; /* items registered with host_fd */
	int host_fd;		/* host epoll instance; immutable */
	struct file *file;	/* back pointer, no reference */
	bool host_first;	/* whose turn it is; protected by lock */
	pthread_mutex_t ready_lock;
	struct list ready; /* protected by ready_lock */
	struct waitq wait;
};

struct epitem {
	struct epoll *ep;
	struct file *file; /* no reference: the item goes when the description does */
	int fd;
	uint64_t data;	    /* protected by ep->lock */
	atomic_uint events; /* what the guest asked for; 0 but private bits: one-shot, disarmed */
	struct list hash_link, item_link, file_link;
	struct list ready_link; /* ep->ready_lock */
	bool queued;		/* on the ready list; ep->ready_lock */
	bool internal;		/* has a waiter */
	int host_fd;		/* registered in ep->host_fd, or -1 */
	bool host_fd_owned;	/* a dup, because the host knows the number already */
	struct waiter waiter;
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct file_ops epoll_ops;

static struct epoll *epoll_of(const struct file *f)
{
	return f->ops == &epoll_ops ? f->data : NULL;
}

/* ---- ready list ---- */

static void ep_queue(struct epitem *it)
{
	struct epoll *ep = it->ep;
	bool queued;

	pthread_mutex_lock(&ep->ready_lock);
	queued = it->queued;
	if (!queued) {
		it->queued = true;
		list_add_tail(&ep->ready, &it->ready_link);
	}
	pthread_mutex_unlock(&ep->ready_lock);
	/* Also when queued already: an earlier wake-up may have gone to a waiter that left. */
	waitq_wake(&ep->wait, POLLIN | POLLRDNORM, 1);
}

/* Under the watched object's queue lock. */
static void ep_notify(struct waiter *w, uint32_t events)
{
	struct epitem *it = container_of(w, struct epitem, waiter);
	uint32_t want = atomic_load_explicit(&it->events, memory_order_relaxed) & ~EPOLL_PRIVATE;

	if (!want || (events && !(events & (want | EPOLL_ALWAYS))))
		return;
	ep_queue(it);
}

static struct epitem *ep_pop(struct epoll *ep)
{
	struct epitem *it = NULL;

	pthread_mutex_lock(&ep->ready_lock);
	if (!list_empty(&ep->ready)) {
		it = list_entry(ep->ready.next, struct epitem, ready_link);
		list_del(&it->ready_link);
		it->queued = false;
	}
	pthread_mutex_unlock(&ep->ready_lock);
	return it;
}

static void ep_requeue(struct epitem *it)
{
	struct epoll *ep = it->ep;

	pthread_mutex_lock(&ep->ready_lock);
	if (!it->queued) {
		it->queued = true;
		list_add_tail(&ep->ready, &it->ready_link);
	}
	pthread_mutex_unlock(&ep->ready_lock);
}

static unsigned ep_ready_count(struct epoll *ep)
{
	unsigned n = 0;

	pthread_mutex_lock(&ep->ready_lock);
	list_for_each(l, &ep->ready)
		n++;
	pthread_mutex_unlock(&ep->ready_lock);
	return n;
}

static uint32_t ep_item_revents(struct epitem *it)
{
	uint32_t want = atomic_load(&it->events);

	if (!(want & ~EPOLL_PRIVATE))
		return 0;
	return file_poll(it->file, NULL) & (want | EPOLL_ALWAYS);
}

/* Internal items that are ready now, at most max. ep->lock held. */
static int ep_collect_internal(struct epoll *ep, struct epoll_event *out, int max)
{
	unsigned left = ep_ready_count(ep);
	int n = 0;

	while (left-- && n < max) {
		struct epitem *it = ep_pop(ep);
		uint32_t revents;

		if (!it)
			break;
		revents = ep_item_revents(it);
		if (!revents)
			continue;
		out[n].events = revents;
		out[n++].data.u64 = it->data;
		if (it->events & EPOLLONESHOT)
			atomic_fetch_and(&it->events, EPOLL_PRIVATE);
		else if (!(it->events & EPOLLET))
			ep_requeue(it);
	}
	return n;
}

/* Host items; those that also have a waiter (epoll instances) go to the ready list. ep->lock held. */
static int ep_collect_host(struct epoll *ep, struct epoll_event *out, int max)
{
	struct epoll_event host[EPOLL_BATCH];
	int n = 0, got;

	if (!atomic_load(&ep->host_items))
		return 0;
	got = epoll_wait(ep->host_fd, host, max < EPOLL_BATCH ? max : EPOLL_BATCH, 0);
	for (int i = 0; i < got; i++) {
		struct epitem *it = host[i].data.ptr;

		if (it->internal) {
			ep_requeue(it);
			continue;
		}
		out[n].events = host[i].events;
		out[n++].data.u64 = it->data;
		if (it->events & EPOLLONESHOT)
			atomic_fetch_and(&it->events, EPOLL_PRIVATE);
	}
	return n;
}

static int ep_collect(struct epoll *ep, struct epoll_event *out, int max)
{
	int n = 0;

	pthread_mutex_lock(&ep->lock);
	ep->host_first = !ep->host_first;
	if (ep->host_first)
		n = ep_collect_host(ep, out, max);
	if (n < max)
		n += ep_collect_internal(ep, out + n, max - n);
	if (!ep->host_first && n < max) {
		n += ep_collect_host(ep, out + n, max - n);
		if (!n)
			n = ep_collect_internal(ep, out, max);
	}
	pthread_mutex_unlock(&ep->lock);
	return n;
}

/* ---- items ---- */

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

/* ---- waiting ---- */

/* Events now, or as soon as there are; the count, 0 at the deadline, -EINTR. */
static int ep_wait_collect(struct epoll *ep, struct task *t, struct epoll_event *out, int max,
			   uint64_t deadline)
{
	struct waiter w;
	int n = ep_collect(ep, out, max), ret = 0;

	if (n || !deadline)
		return n;
	waiter_init(&w, t);
	w.exclusive = true;
	waitq_add(&ep->wait, &w, POLLIN | POLLRDNORM);
	for (;;) {
		struct pollfd pfd = {.fd = ep->host_fd, .events = POLLIN};

		task_prepare_park(t);
		n = ep_collect(ep, out, max);
		if (n || ret)
			break;
		ret = task_park(t, deadline, &pfd, atomic_load(&ep->host_items) ? 1 : 0);
	}
	waitq_remove(&w);
	/* A wake-up meant for one waiter must not end with this one if more is ready. */
	if (ret == -EINTR || (n && ep_ready_count(ep)))
		waitq_wake(&ep->wait, POLLIN | POLLRDNORM, 1);
	return n ? n : ret == -EINTR ? -EINTR : 0;
}

int epoll_gather(struct file *epf, struct task *t, struct epoll_event *out, int max,
		 uint64_t deadline)
{
	if (!epoll_of(epf))
		return -EINVAL;
	return ep_wait_collect(epf->data, t, out, max < EPOLL_BATCH ? max : EPOLL_BATCH, deadline);
}

/* ---- the instance's own description ---- */

/* Is anything ready? Items found not to be are taken off the list. */
static bool ep_has_ready(struct epoll *ep)
{
	struct pollfd pfd = {.fd = ep->host_fd, .events = POLLIN};
	bool ready = false;
	unsigned left;

	pthread_mutex_lock(&ep->lock);
	left = ep_ready_count(ep);
	while (left-- && !ready) {
		struct epitem *it = ep_pop(ep);

		if (!it)
			break;
		ready = ep_item_revents(it) != 0;
		if (ready)
			ep_requeue(it);
	}
	if (!ready && atomic_load(&ep->host_items)) {
		list_for_each(l, &ep->items) {
			struct epitem *it = list_entry(l, struct epitem, item_link);

			/* A nested instance's hint may be stale: ask it. */
			if (it->internal && it->host_fd >= 0 && ep_item_revents(it))
				ready = true;
		}
		ready = ready || poll(&pfd, 1, 0) == 1;
	}
	pthread_mutex_unlock(&ep->lock);
	return ready;
}

static uint32_t epoll_poll(struct file *f, struct waiter *w)
{
	struct epoll *ep = f->data;

	if (w)
		waitq_add(&ep->wait, w, w->events);
	return ep_has_ready(ep) ? POLLIN | POLLRDNORM : 0;
}

int epoll_host_fd(const struct file *f)
{
	const struct epoll *ep = epoll_of(f);

	return ep ? ep->host_fd : -1;
}

static void epoll_release(struct file *f)
{
	struct epoll *ep = f->data;

	pthread_mutex_lock(&registry_lock);
	pthread_mutex_lock(&ep->lock);
	while (!list_empty(&ep->items))
		ep_remove(list_entry(ep->items.next, struct epitem, item_link));
	pthread_mutex_unlock(&ep->lock);
	pthread_mutex_unlock(&registry_lock);
	close(ep->host_fd);
	waitq_destroy(&ep->wait);
	pthread_mutex_destroy(&ep->lock);
	pthread_mutex_destroy(&ep->ready_lock);
	free(ep->buckets);
	free(ep);
}

static const struct file_ops epoll_ops = {
	.poll = epoll_poll,
	.release = epoll_release,
};

int epoll_create_file(struct file **out)
{
	struct epoll *ep = calloc(1, sizeof(*ep));
	struct file *f = file_alloc(&epoll_ops, O_RDWR);

	if (ep) {
		ep->nbuckets = 8;
		ep->buckets = malloc(ep->nbuckets * sizeof(*ep->buckets));
		ep->host_fd = epoll_create1(EPOLL_CLOEXEC);
	}
	if (!ep || !f || !ep->buckets || ep->host_fd < 0) {
		if (ep && ep->host_fd >= 0)
			close(ep->host_fd);
		if (ep)
			free(ep->buckets);
		free(ep);
		free(f);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < ep->nbuckets; i++)
		list_init(&ep->buckets[i]);
	pthread_mutex_init(&ep->lock, NULL);
	pthread_mutex_init(&ep->ready_lock, NULL);
	list_init(&ep->items);
	list_init(&ep->ready);
	waitq_init(&ep->wait);
	ep->file = f;
	f->data = ep;
	f->anon_name = "anon_inode:[eventpoll]";
	*out = f;
	return 0;
}
