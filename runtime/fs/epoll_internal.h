/* SPDX-License-Identifier: Apache-2.0 */
/* What epoll.c (readiness) and epoll_items.c (who is watched) share; nobody else includes this. */
#ifndef NACRE_RUNTIME_FS_EPOLL_INTERNAL_H
#define NACRE_RUNTIME_FS_EPOLL_INTERNAL_H

#include "runtime/fs/epoll.h"

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

/* NULL: no epoll instance. */
struct epoll *epoll_of(const struct file *f);

/* epoll.c. The item goes to the end of the ready list and a waiter is roused. */
void ep_queue(struct epitem *it);
/* The notify hook of an item's waiter; under the watched object's queue lock. */
void ep_notify(struct waiter *w, uint32_t events);
/* What of the events asked for is true now. */
uint32_t ep_item_revents(struct epitem *it);

/* epoll_items.c. An instance that knows no items yet. 0 or -ENOMEM. */
int ep_items_init(struct epoll *ep);
/* A dying instance forgets all it watches. */
void ep_items_destroy(struct epoll *ep);

#endif
