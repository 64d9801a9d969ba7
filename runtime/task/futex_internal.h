/* SPDX-License-Identifier: Apache-2.0 */
/* What the futex files share; nobody else includes this. */
#ifndef NACRE_RUNTIME_TASK_FUTEX_INTERNAL_H
#define NACRE_RUNTIME_TASK_FUTEX_INTERNAL_H

#include <linux/futex.h>

#include "runtime/task/futex.h"
#include "runtime/task/task.h"

#define FUTEX_BUCKETS 256u /* a power of two */

struct futex_bucket {
	_Alignas(64) pthread_mutex_t lock;
	struct list waiters; /* struct futex_waiter.link, in order of arrival */
};

struct futex_table {
	struct futex_bucket bucket[FUTEX_BUCKETS];
	atomic_uint pi_waiters; /* exits look for PI futexes only when there are any */
};

/*
 * Lives on the waiting thread's stack. Protected by the lock of the bucket it is (or was last)
 * queued in; `bucket` changes only with both buckets locked, so a thread that has locked the bucket
 * it read and finds it unchanged holds the right lock. The waiter takes that lock before it leaves,
 * which keeps it alive for its waker.
 */
struct futex_waiter {
	struct list link; /* empty: not queued any more */
	struct futex_bucket *_Atomic bucket;
	struct mm_futex_key key;
	struct task *task;
	uint32_t bitset;
	atomic_bool woken;

	bool pi;		    /* waits for the lock in the word, not for a wake */
	bool to_pi;		    /* FUTEX_WAIT_REQUEUE_PI: may only be requeued to pi_key */
	pid_t owner;		    /* pi: whom it waits for */
	gva_t addr;		    /* pi, to_pi: where the task sees the lock word */
	struct mm_futex_key pi_key; /* to_pi */
};

static inline bool futex_key_equal(const struct mm_futex_key *a, const struct mm_futex_key *b)
{
	return a->a == b->a && a->b == b->b && a->c == b->c;
}
struct futex_bucket *futex_bucket_of(struct futex_table *ft, const struct mm_futex_key *key);
void futex_waiter_init(struct futex_waiter *w, struct task *t, const struct mm_futex_key *key);
void futex_queue_locked(struct futex_bucket *b, struct futex_waiter *w);
/* Take it off its queue and rouse its task; it may be gone once the bucket is unlocked. */
void futex_wake_one_locked(struct futex_waiter *w);
/* Off the queue if it is still there; afterwards nobody knows w. Returns whether it was woken. */
bool futex_unqueue(struct futex_waiter *w);
/* Park until woken. 0, -EINTR or -ETIMEDOUT; the caller unqueues. */
int futex_sleep(struct task *t, struct futex_waiter *w, uint64_t deadline);
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_move_locked(struct futex_waiter *w, struct futex_bucket *to,
		       const struct mm_futex_key *key);
/* Timeout argument -> CLOCK_MONOTONIC deadline. addr 0: none. 0, -EFAULT, -EINVAL. */
int futex_deadline(struct task *t, uint64_t addr, bool absolute, int clock, uint64_t *out);

int64_t futex_lock_pi(struct task *t, gva_t addr, bool is_private, uint64_t deadline, bool try);
int64_t futex_unlock_pi(struct task *t, gva_t addr, bool is_private);
int64_t futex_wait_requeue_pi(struct task *t, gva_t addr, bool is_private, uint32_t val,
			      uint64_t deadline, uint32_t bitset, gva_t addr2);
int64_t futex_cmp_requeue_pi(struct task *t, gva_t addr, bool is_private, int nwake, int nrequeue,
			     gva_t addr2, uint32_t expect);
/* Exit of t: give every PI futex it holds to the next waiter. */
void futex_exit_pi(struct task *t);

#endif
