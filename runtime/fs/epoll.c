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
#include "runtime/fs/epoll_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/task/task.h"

static const struct file_ops epoll_ops;

struct epoll *epoll_of(const struct file *f)
{
	return f->ops == &epoll_ops ? f->data : NULL;
}

/* ---- ready list ---- */

void ep_queue(struct epitem *it)
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

void ep_notify(struct waiter *w, uint32_t events)
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

uint32_t ep_item_revents(struct epitem *it)
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

	ep_items_destroy(ep);
	close(ep->host_fd);
	waitq_destroy(&ep->wait);
	pthread_mutex_destroy(&ep->lock);
	pthread_mutex_destroy(&ep->ready_lock);
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

	if (ep)
		ep->host_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!ep || !f || ep->host_fd < 0 || ep_items_init(ep)) {
		if (ep && ep->host_fd >= 0)
			close(ep->host_fd);
		free(ep);
		free(f);
		return -ENOMEM;
	}
	pthread_mutex_init(&ep->lock, NULL);
	pthread_mutex_init(&ep->ready_lock, NULL);
	list_init(&ep->ready);
	waitq_init(&ep->wait);
	ep->file = f;
	f->data = ep;
	f->anon_name = "anon_inode:[eventpoll]";
	*out = f;
	return 0;
}
