/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "runtime/fs/vfs_internal.h"

#define TABLE_SIZE 64
/* As far as Linux follows a chain of waiters before it takes it for no deadlock. */
#define DEADLOCK_DEPTH 10

struct lock_entry {
	struct list link;
	struct record_lock l;
};

struct flock_entry {
	struct list link;
	const struct file *f;
	int op;
};

struct file_locks {
	struct list table_link; /* table_lock */
	unsigned refs;		/* table_lock: nodes that point here */
	uint64_t dev, ino;
	pthread_mutex_t lock; /* protects the lists */
	struct list records;  /* of one owner: sorted, never overlapping */
	struct list flocks;
	struct waitq wait;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list table[TABLE_SIZE];

/* Owners asleep and whom they wait for: the graph in which a cycle is a deadlock. */
struct blocked {
	struct list link;
	const void *waiter, *holder;
};
static pthread_mutex_t blocked_lock = PTHREAD_MUTEX_INITIALIZER; /* inside file_locks.lock */
static struct list blocked = LIST_INIT(blocked);

/* table_lock held. */
static struct file_locks *locks_find(uint64_t dev, uint64_t ino)
{
	struct list *head = &table[(ino ^ dev) % TABLE_SIZE];
	struct file_locks *fl;

	if (!head->next)
		list_init(head);
	list_for_each(l, head) {
		fl = list_entry(l, struct file_locks, table_link);
		if (fl->dev == dev && fl->ino == ino)
			return fl;
	}
	fl = calloc(1, sizeof(*fl));
	if (!fl)
		return NULL;
	fl->dev = dev;
	fl->ino = ino;
	pthread_mutex_init(&fl->lock, NULL);
	list_init(&fl->records);
	list_init(&fl->flocks);
	waitq_init(&fl->wait);
	list_add(head, &fl->table_link);
	return fl;
}

static struct file_locks *locks_get(struct vnode *n)
{
	struct file_locks *fl = atomic_load(&n->locks);

	if (fl)
		return fl;
	pthread_mutex_lock(&table_lock);
	fl = atomic_load(&n->locks);
	if (!fl) {
		bool identified = n->dev || n->ino;

		fl = locks_find(identified ? n->dev : ~(uint64_t)0,
				identified ? n->ino : (uint64_t)(uintptr_t)n);
		if (fl) {
			fl->refs++;
			atomic_store(&n->locks, fl);
		}
	}
	pthread_mutex_unlock(&table_lock);
	return fl;
}

void lock_detach(struct vnode *n)
{
	struct file_locks *fl = atomic_load(&n->locks);

	if (!fl)
		return;
	pthread_mutex_lock(&table_lock);
	atomic_store(&n->locks, NULL);
	if (--fl->refs) {
		pthread_mutex_unlock(&table_lock);
		return;
	}
	list_del(&fl->table_link);
	pthread_mutex_unlock(&table_lock);
	/* Open files hold the node, so no lock can be left. */
	list_for_each_safe(l, &fl->records)
		free(list_entry(l, struct lock_entry, link));
	list_for_each_safe(l, &fl->flocks)
		free(list_entry(l, struct flock_entry, link));
	waitq_destroy(&fl->wait);
	pthread_mutex_destroy(&fl->lock);
	free(fl);
}

/* ---- the algebra of ranges; fl->lock held ---- */

static bool same_owner(const struct record_lock *a, const struct record_lock *b)
{
	return a->owner == b->owner && a->ofd == b->ofd;
}

static bool overlaps(const struct record_lock *a, const struct record_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

static struct lock_entry *find_conflict(struct file_locks *fl, const struct record_lock *want)
{
	list_for_each(l, &fl->records) {
		struct lock_entry *e = list_entry(l, struct lock_entry, link);

		if (!same_owner(&e->l, want) && overlaps(&e->l, want) &&
		    (e->l.type == F_WRLCK || want->type == F_WRLCK))
			return e;
	}
	return NULL;
}

/* Do two ranges of one kind join into one? */
static bool touches(const struct record_lock *a, const struct record_lock *b)
{
	return overlaps(a, b) || (a->end != INT64_MAX && a->end + 1 == b->start) ||
	       (b->end != INT64_MAX && b->end + 1 == a->start);
}

/*
 * Replace what the owner has in want's range by want (or by nothing for F_UNLCK). At most one range
 * splits in two, which is what the two spare entries are for: allocated first, so that failing
 * changes nothing.
 */
static int apply(struct file_locks *fl, const struct record_lock *want)
{
	struct lock_entry *spare[2] = {malloc(sizeof(*spare[0])), malloc(sizeof(*spare[1]))};
	struct record_lock l = *want;

	if (!spare[0] || !spare[1]) {
		free(spare[0]);
		free(spare[1]);
		return -ENOLCK;
	}
	list_for_each_safe(pos, &fl->records) {
		struct lock_entry *e = list_entry(pos, struct lock_entry, link);

		if (!same_owner(&e->l, &l))
			continue;
		if (e->l.type == l.type && touches(&e->l, &l)) {
			if (e->l.start < l.start)
				l.start = e->l.start;
			if (e->l.end > l.end)
				l.end = e->l.end;
			list_del(&e->link);
			free(e);
			continue;
		}
		if (!overlaps(&e->l, &l))
			continue;
		if (e->l.start < l.start && e->l.end > l.end) {
			spare[1]->l = e->l;
			spare[1]->l.start = l.end + 1;
			list_add(&e->link, &spare[1]->link);
			spare[1] = NULL;
			e->l.end = l.start - 1;
		} else if (e->l.start < l.start) {
			e->l.end = l.start - 1;
		} else if (e->l.end > l.end) {
			e->l.start = l.end + 1;
		} else {
			list_del(&e->link);
			free(e);
		}
	}
	if (l.type != F_UNLCK) {
		spare[0]->l = l;
		list_add_tail(&fl->records, &spare[0]->link);
		spare[0] = NULL;
	}
	free(spare[0]);
	free(spare[1]);
	return 0;
}

int lock_test(struct vnode *n, struct record_lock *l)
{
	struct file_locks *fl = locks_get(n);
	struct lock_entry *e;

	if (!fl)
		return -ENOLCK;
	pthread_mutex_lock(&fl->lock);
	e = find_conflict(fl, l);
	if (e)
		*l = e->l;
	else
		l->type = F_UNLCK;
	pthread_mutex_unlock(&fl->lock);
	return 0;
}

/* Would waiting for `holder` close a circle? OFD locks are not looked at, as on Linux. */
static bool deadlocks(const void *waiter, const void *holder)
{
	for (int depth = 0; depth < DEADLOCK_DEPTH; depth++) {
		const void *next = NULL;

		if (holder == waiter)
			return true;
		list_for_each(l, &blocked) {
			struct blocked *b = list_entry(l, struct blocked, link);

			if (b->waiter == holder) {
				next = b->holder;
				break;
			}
		}
		if (!next)
			return false;
		holder = next;
	}
	return false;
}

/* Enter the graph. false: that would be a deadlock. */
static bool block_on(struct blocked *b, const struct record_lock *want, const struct lock_entry *e)
{
	bool ok = true;

	list_init(&b->link);
	if (want->ofd || e->l.ofd)
		return true;
	pthread_mutex_lock(&blocked_lock);
	ok = !deadlocks(want->owner, e->l.owner);
	if (ok) {
		b->waiter = want->owner;
		b->holder = e->l.owner;
		list_add(&blocked, &b->link);
	}
	pthread_mutex_unlock(&blocked_lock);
	return ok;
}

static void unblock(struct blocked *b)
{
	pthread_mutex_lock(&blocked_lock);
	list_del(&b->link);
	pthread_mutex_unlock(&blocked_lock);
}

int lock_set(struct task *t, struct vnode *n, const struct record_lock *l, bool wait)
{
	struct file_locks *fl = locks_get(n);
	struct waiter w;
	int ret = 0;

	if (!fl)
		return -ENOLCK;
	if (wait) {
		waiter_init(&w, t);
		waitq_add(&fl->wait, &w, 0);
	}
	for (;;) {
		struct lock_entry *e;
		struct blocked b;
		bool ok = false;

		if (wait)
			task_prepare_park(t);
		pthread_mutex_lock(&fl->lock);
		e = l->type == F_UNLCK ? NULL : find_conflict(fl, l);
		if (!e)
			ret = apply(fl, l);
		else if (wait)
			ok = block_on(&b, l, e);
		pthread_mutex_unlock(&fl->lock);
		if (!e || !wait || !ok) {
			if (e)
				ret = wait ? -EDEADLK : -EAGAIN;
			break;
		}
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
		unblock(&b);
		if (ret) {
			ret = ret == -EINTR ? -ERESTARTSYS : ret;
			break;
		}
	}
	if (wait)
		waitq_remove(&w);
	/* Unlocking, downgrading and splitting may each let somebody else in. */
	if (!ret)
		waitq_wake(&fl->wait, 0, 0);
	return ret;
}

void lock_release_owner(struct vnode *n, const void *owner)
{
	struct file_locks *fl = atomic_load(&n->locks);
	bool any = false;

	if (!fl)
		return;
	pthread_mutex_lock(&fl->lock);
	list_for_each_safe(pos, &fl->records) {
		struct lock_entry *e = list_entry(pos, struct lock_entry, link);

		if (e->l.owner != owner)
			continue;
		list_del(&e->link);
		free(e);
		any = true;
	}
	pthread_mutex_unlock(&fl->lock);
	if (any)
		waitq_wake(&fl->wait, 0, 0);
}

/* ---- flock(2) ---- */

static struct flock_entry *flock_find(struct file_locks *fl, const struct file *f)
{
	list_for_each(l, &fl->flocks) {
		struct flock_entry *e = list_entry(l, struct flock_entry, link);

		if (e->f == f)
			return e;
	}
	return NULL;
}

static bool flock_conflicts(struct file_locks *fl, const struct file *f, int op)
{
	list_for_each(l, &fl->flocks) {
		struct flock_entry *e = list_entry(l, struct flock_entry, link);

		if (e->f != f && (e->op == LOCK_EX || op == LOCK_EX))
			return true;
	}
	return false;
}

/* fl->lock held. 0, -EAGAIN or -ENOLCK. Converting gives the old lock up first, as Linux does. */
static int flock_try(struct file_locks *fl, const struct file *f, int op, bool *released)
{
	struct flock_entry *e = flock_find(fl, f);

	if (e && e->op == op)
		return 0;
	if (e) {
		list_del(&e->link);
		free(e);
		*released = true;
	}
	if (op == LOCK_UN)
		return 0;
	if (flock_conflicts(fl, f, op))
		return -EAGAIN;
	e = malloc(sizeof(*e));
	if (!e)
		return -ENOLCK;
	e->f = f;
	e->op = op;
	list_add(&fl->flocks, &e->link);
	return 0;
}

int lock_flock(struct task *t, struct vnode *n, struct file *f, int op, bool wait)
{
	struct file_locks *fl = locks_get(n);
	struct waiter w;
	int ret;

	if (!fl)
		return -ENOLCK;
	waiter_init(&w, t);
	waitq_add(&fl->wait, &w, 0);
	for (;;) {
		bool released = false;

		task_prepare_park(t);
		pthread_mutex_lock(&fl->lock);
		ret = flock_try(fl, f, op, &released);
		pthread_mutex_unlock(&fl->lock);
		if (released)
			waitq_wake(&fl->wait, 0, 0);
		if (ret != -EAGAIN || !wait)
			break;
		/* The wake above was ours too: sleep again only after a fresh look. */
		if (released)
			continue;
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
		if (ret) {
			ret = ret == -EINTR ? -ERESTARTSYS : ret;
			break;
		}
	}
	waitq_remove(&w);
	return ret;
}

void lock_release_file(struct vnode *n, struct file *f)
{
	struct file_locks *fl = atomic_load(&n->locks);
	struct flock_entry *e;

	if (!fl)
		return;
	pthread_mutex_lock(&fl->lock);
	e = flock_find(fl, f);
	if (e) {
		list_del(&e->link);
		free(e);
	}
	pthread_mutex_unlock(&fl->lock);
	if (e)
		waitq_wake(&fl->wait, 0, 0);
	lock_release_owner(n, f); /* OFD locks */
}
