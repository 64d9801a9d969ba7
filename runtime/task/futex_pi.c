/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priority-inheritance futexes (futex(2), "Priority-inheritance futexes"), by handing the lock over:
 * the word holds the owner's tid; unlocking with waiters stores the first waiter's tid and wakes it.
 * No priorities are lent: the host's scheduler sees ordinary threads.
 *
 * An owner that exits is found by its tid: futex_exit_pi() looks for waiters on it. `futex_exited`
 * is set before that scan, and a waiter looks at it after it has queued, so one of the two acts.
 */
#include <string.h>

#include "runtime/task/futex_internal.h"

static struct futex_waiter *first_pi(struct futex_bucket *b, const struct mm_futex_key *key,
				     const struct futex_waiter *after)
{
	list_for_each(l, after ? &after->link : &b->waiters) {
		struct futex_waiter *w;

		if (l == &b->waiters)
			break;
		w = list_entry(l, struct futex_waiter, link);
		if (w->pi && futex_key_equal(&w->key, key))
			return w;
	}
	return NULL;
}

/*
 * Give the lock, whose word names `from` or nobody, to w. The word is written through w's own
 * address space. 0 or -errno; -EAGAIN: the guest changed the owner in the word by itself.
 */
static int hand_over_locked(struct futex_bucket *b, struct futex_waiter *w, pid_t from, bool died)
{
	struct futex_waiter *rest = first_pi(b, &w->key, NULL);
	uint32_t old = 0, seen, next;
	int ret = mm_load32(w->task->mm, w->addr, &old);

	if (rest == w)
		rest = first_pi(b, &w->key, w);
	while (!ret) {
		pid_t owner = (pid_t)(old & FUTEX_TID_MASK);

		if (owner && owner != from)
			return -EAGAIN;
		next = (uint32_t)w->task->tid | (rest ? FUTEX_WAITERS : 0) |
		       (died ? FUTEX_OWNER_DIED : old & FUTEX_OWNER_DIED);
		ret = mm_cmpxchg32(w->task->mm, w->addr, old, next, &seen);
		if (ret || seen == old)
			break;
		old = seen;
	}
	if (ret)
		return ret;
	list_for_each(l, &b->waiters) {
		struct futex_waiter *o = list_entry(l, struct futex_waiter, link);

		if (o->pi && futex_key_equal(&o->key, &w->key))
			o->owner = w->task->tid;
	}
	futex_wake_one_locked(w);
	return 0;
}

/*
 * Take a free lock for `tid`, or mark that there are waiters. 0: taken; 1: owned by *owner, with the
 * waiters bit set if `mark`; or -errno.
 */
static int acquire_locked(struct mm *mm, gva_t addr, pid_t tid, bool waiters, bool mark, pid_t *owner)
{
	uint32_t old = 0, seen, next;
	int ret = mm_load32(mm, addr, &old);

	while (!ret) {
		*owner = (pid_t)(old & FUTEX_TID_MASK);
		if (*owner == tid)
			return -EDEADLK;
		if (!*owner)
			next = (uint32_t)tid | (old & FUTEX_OWNER_DIED) |
			       (waiters ? FUTEX_WAITERS : 0);
		else if (!mark || (old & FUTEX_WAITERS))
			return 1;
		else
			next = old | FUTEX_WAITERS;
		ret = mm_cmpxchg32(mm, addr, old, next, &seen);
		if (ret)
			break;
		if (seen == old)
			return *owner ? 1 : 0;
		old = seen;
	}
	return ret;
}

/* -ESRCH: no such thread; 1: it is past futex_exit_pi(), or about to be. */
static int owner_gone(struct kernel *k, pid_t owner)
{
	struct task *o = task_find(k, owner);
	bool exited;

	if (!o)
		return -ESRCH;
	exited = atomic_load(&o->futex_exited);
	task_put(o);
	return exited;
}

/* Queued behind an owner that left without seeing us: act in its place. */
static void rescue(struct futex_waiter *w, pid_t owner)
{
	struct futex_bucket *b = atomic_load(&w->bucket);
	struct futex_waiter *first;

	pthread_mutex_lock(&b->lock);
	if (!list_empty(&w->link) && w->owner == owner) {
		first = first_pi(b, &w->key, NULL);
		if (first)
			hand_over_locked(b, first, owner, true);
	}
	pthread_mutex_unlock(&b->lock);
}

static int64_t pi_sleep(struct task *t, struct futex_waiter *w, pid_t owner, uint64_t deadline)
{
	int ret;

	if (owner_gone(t->kernel, owner))
		rescue(w, owner);
	ret = futex_sleep(t, w, deadline);
	if (futex_unqueue(w))
		ret = 0;
	return ret;
}

int64_t futex_lock_pi(struct task *t, gva_t addr, bool is_private, uint64_t deadline, bool try)
{
	struct futex_table *ft = t->kernel->futexes;
	struct mm_futex_key key;
	struct futex_bucket *b;
	struct futex_waiter w;
	pid_t owner = 0;
	int64_t ret = mm_futex_key(t->mm, addr, is_private, &key);

	if (ret)
		return ret;
	b = futex_bucket_of(ft, &key);
	futex_waiter_init(&w, t, &key);
	w.pi = true;
	w.addr = addr;
	atomic_fetch_add(&ft->pi_waiters, 1);
	pthread_mutex_lock(&b->lock);
	ret = acquire_locked(t->mm, addr, t->tid, first_pi(b, &key, NULL) != NULL, !try, &owner);
	if (ret == 1 && !try) {
		w.owner = owner;
		futex_queue_locked(b, &w);
	}
	pthread_mutex_unlock(&b->lock);
	if (ret == 1 && try)
		ret = -EAGAIN;
	if (ret == 1 && owner_gone(t->kernel, owner) == -ESRCH) {
		ret = futex_unqueue(&w) ? 0 : -ESRCH;
	} else if (ret == 1) {
		ret = pi_sleep(t, &w, owner, deadline);
		if (ret == -EINTR)
			ret = -ERESTARTNOINTR;
	}
	atomic_fetch_sub(&ft->pi_waiters, 1);
	return ret;
}

/* Nobody waits: clear the word, unless a waiter shows up in it only now. */
static int unlock_free(struct task *t, gva_t addr, uint32_t old)
{
	uint32_t seen;
	int ret = mm_cmpxchg32(t->mm, addr, old, 0, &seen);

	return ret ? ret : seen == old ? 0 : -EAGAIN;
}

int64_t futex_unlock_pi(struct task *t, gva_t addr, bool is_private)
{
	struct mm_futex_key key;
	struct futex_bucket *b;
	struct futex_waiter *w;
	uint32_t old = 0;
	int ret = mm_futex_key(t->mm, addr, is_private, &key);

	if (ret)
		return ret;
	b = futex_bucket_of(t->kernel->futexes, &key);
	pthread_mutex_lock(&b->lock);
	do {
		ret = mm_load32(t->mm, addr, &old);
		if (ret)
			break;
		if ((pid_t)(old & FUTEX_TID_MASK) != t->tid) {
			ret = -EPERM;
			break;
		}
		w = first_pi(b, &key, NULL);
		ret = w ? hand_over_locked(b, w, t->tid, false) : unlock_free(t, addr, old);
	} while (ret == -EAGAIN);
	pthread_mutex_unlock(&b->lock);
	return ret;
}

void futex_exit_pi(struct task *t)
{
	struct futex_table *ft = t->kernel->futexes;

	atomic_store(&t->futex_exited, true);
	if (!atomic_load(&ft->pi_waiters))
		return;
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
		struct futex_bucket *b = &ft->bucket[i];
		bool again;

		pthread_mutex_lock(&b->lock);
		do {
			again = false;
			list_for_each(l, &b->waiters) {
				struct futex_waiter *w = list_entry(l, struct futex_waiter, link);

				if (!w->pi || w->owner != t->tid)
					continue;
				/* Not ours any more, or unreachable: nobody to wait for. */
				if (hand_over_locked(b, w, t->tid, true))
					w->owner = 0;
				again = true; /* the list changed */
				break;
			}
		} while (again);
		pthread_mutex_unlock(&b->lock);
	}
}

/* ---- requeueing to a PI futex (condition variables) ---- */

int64_t futex_wait_requeue_pi(struct task *t, gva_t addr, bool is_private, uint32_t val,
			      uint64_t deadline, uint32_t bitset, gva_t addr2)
{
	struct futex_table *ft = t->kernel->futexes;
	struct mm_futex_key key, key2;
	struct futex_bucket *b;
	struct futex_waiter w;
	uint32_t seen = 0;
	bool was_pi;
	int ret;

	if (!bitset || addr.v == addr2.v)
		return -EINVAL;
	ret = mm_futex_key(t->mm, addr, is_private, &key);
	if (!ret)
		ret = mm_futex_key(t->mm, addr2, is_private, &key2);
	if (ret)
		return ret;
	b = futex_bucket_of(ft, &key);
	futex_waiter_init(&w, t, &key);
	w.bitset = bitset;
	w.to_pi = true;
	w.pi_key = key2;
	w.addr = addr2;
	atomic_fetch_add(&ft->pi_waiters, 1);
	pthread_mutex_lock(&b->lock);
	ret = mm_load32(t->mm, addr, &seen);
	if (!ret && seen != val)
		ret = -EAGAIN;
	if (!ret)
		futex_queue_locked(b, &w);
	pthread_mutex_unlock(&b->lock);
	if (!ret) {
		ret = futex_sleep(t, &w, deadline);
		if (futex_unqueue(&w))
			ret = 0;
		was_pi = w.pi;
		if (ret == -EINTR)
			ret = was_pi ? -EAGAIN : -ERESTARTNOINTR;
	}
	atomic_fetch_sub(&ft->pi_waiters, 1);
	return ret;
}

/* One waiter of the condition: it gets the lock if that is free, else waits for it. */
static int requeue_one(struct futex_waiter *w, struct futex_bucket *b2,
		       const struct mm_futex_key *k2)
{
	pid_t owner = 0;
	int ret;

	if (!w->to_pi || !futex_key_equal(&w->pi_key, k2))
		return -EINVAL;
	ret = acquire_locked(w->task->mm, w->addr, w->task->tid, first_pi(b2, k2, NULL) != NULL, true,
			     &owner);
	if (ret < 0)
		return ret;
	w->pi = true;
	if (ret == 0) {
		futex_wake_one_locked(w);
	} else {
		w->owner = owner;
		futex_move_locked(w, b2, k2);
	}
	return 0;
}

int64_t futex_cmp_requeue_pi(struct task *t, gva_t addr, bool is_private, int nwake, int nrequeue,
			     gva_t addr2, uint32_t expect)
{
	struct mm_futex_key k1, k2;
	struct futex_bucket *b1, *b2;
	uint32_t seen = 0;
	int done = 0, ret;

	if (nwake != 1 || nrequeue < 0 || addr.v == addr2.v)
		return -EINVAL;
	ret = mm_futex_key(t->mm, addr, is_private, &k1);
	if (!ret)
		ret = mm_futex_key(t->mm, addr2, is_private, &k2);
	if (ret)
		return ret;
	b1 = futex_bucket_of(t->kernel->futexes, &k1);
	b2 = futex_bucket_of(t->kernel->futexes, &k2);
	futex_lock_two(b1, b2);
	ret = mm_load32(t->mm, addr, &seen);
	if (!ret && seen != expect)
		ret = -EAGAIN;
	if (!ret) {
		list_for_each_safe(l, &b1->waiters) {
			struct futex_waiter *w = list_entry(l, struct futex_waiter, link);

			if (done >= nwake + nrequeue)
				break;
			if (!futex_key_equal(&w->key, &k1))
				continue;
			ret = requeue_one(w, b2, &k2);
			if (ret)
				break;
			done++;
		}
	}
	futex_unlock_two(b1, b2);
	return done ? done : ret;
}
