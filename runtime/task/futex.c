/* SPDX-License-Identifier: Apache-2.0 */
/* futex(2) and futex_waitv(2) without priority inheritance: see futex.h for the locking. */
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/futex_internal.h"
#include "runtime/task/timer.h"

/* ---- the table ---- */

struct futex_table *futex_table_create(void)
{
	struct futex_table *ft = aligned_alloc(64, sizeof(*ft));

	if (!ft)
		return NULL;
	memset(ft, 0, sizeof(*ft));
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
		pthread_mutex_init(&ft->bucket[i].lock, NULL);
		list_init(&ft->bucket[i].waiters);
	}
	return ft;
}

void futex_table_destroy(struct futex_table *ft)
{
	if (!ft)
		return;
	for (unsigned i = 0; i < FUTEX_BUCKETS; i++)
		pthread_mutex_destroy(&ft->bucket[i].lock);
	free(ft);
}

struct futex_bucket *futex_bucket_of(struct futex_table *ft, const struct mm_futex_key *key)
{
	uint64_t h = key->a * 0x9e3779b97f4a7c15ull;

	h = (h ^ key->b) * 0xbf58476d1ce4e5b9ull;
	h = (h ^ key->c ^ (h >> 29)) * 0x94d049bb133111ebull;
	return &ft->bucket[(h >> 40) & (FUTEX_BUCKETS - 1)];
}

void futex_waiter_init(struct futex_waiter *w, struct task *t, const struct mm_futex_key *key)
{
	*w = (struct futex_waiter){.task = t, .key = *key, .bitset = FUTEX_BITSET_MATCH_ANY};
	list_init(&w->link);
}

void futex_queue_locked(struct futex_bucket *b, struct futex_waiter *w)
{
	atomic_store(&w->bucket, b);
	list_add_tail(&b->waiters, &w->link);
}

void futex_wake_one_locked(struct futex_waiter *w)
{
	list_del(&w->link);
	atomic_store(&w->woken, true);
	task_wake(w->task);
}

static struct futex_bucket *lock_bucket(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = atomic_load(&w->bucket);

		pthread_mutex_lock(&b->lock);
		if (b == atomic_load(&w->bucket))
			return b;
		pthread_mutex_unlock(&b->lock);
	}
}

bool futex_unqueue(struct futex_waiter *w)
{
	struct futex_bucket *b = lock_bucket(w);

	list_del(&w->link);
	pthread_mutex_unlock(&b->lock);
	return atomic_load(&w->woken);
}

int futex_sleep(struct task *t, struct futex_waiter *w, uint64_t deadline)
{
	int ret;

	for (;;) {
		task_prepare_park(t);
		if (atomic_load(&w->woken))
			return 0;
		ret = task_park(t, deadline, NULL, 0);
		if (ret)
			return ret;
	}
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	struct futex_bucket *first = a < b ? a : b, *second = a < b ? b : a;

	pthread_mutex_lock(&first->lock);
	if (first != second)
		pthread_mutex_lock(&second->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	pthread_mutex_unlock(&a->lock);
	if (a != b)
		pthread_mutex_unlock(&b->lock);
}

void futex_move_locked(struct futex_waiter *w, struct futex_bucket *to,
		       const struct mm_futex_key *key)
{
	list_del(&w->link);
	w->key = *key;
	futex_queue_locked(to, w);
}

int futex_deadline(struct task *t, uint64_t addr, bool absolute, int clock, uint64_t *out)
{
	uint64_t ns, now = monotonic_ns();
	struct timespec ts;

	*out = DEADLINE_NONE;
	if (!addr)
		return 0;
	if (mm_copy_in(t->mm, &ts, GVA(addr), sizeof(ts)))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	ns = timespec_to_ns(&ts);
	if (!absolute)
		*out = deadline_after(now, ns);
	else
		*out = deadline_of_clock(clock, ns);
	return 0;
}

/* ---- wait ---- */

/*
 * Queue w if the word still holds val. 0: queued. The bucket is locked over the comparison, so no
 * wake by a thread that changed the word can fall between the two.
 */
static int wait_queue(struct task *t, struct futex_waiter *w, gva_t addr, uint32_t val)
{
	struct futex_bucket *b = futex_bucket_of(t->kernel->futexes, &w->key);
	uint32_t seen = 0;
	int ret;

	pthread_mutex_lock(&b->lock);
	ret = mm_load32(t->mm, addr, &seen);
	if (!ret && seen != val)
		ret = -EAGAIN;
	if (!ret)
		futex_queue_locked(b, w);
	pthread_mutex_unlock(&b->lock);
	return ret;
}

static int64_t wait_restart(struct task *t, struct restart_block *r);

static int64_t futex_wait(struct task *t, gva_t addr, bool is_private, uint32_t val,
			  uint64_t deadline, uint32_t bitset)
{
	struct mm_futex_key key;
	struct futex_waiter w;
	int ret;

	if (!bitset)
		return -EINVAL;
	ret = mm_futex_key(t->mm, addr, is_private, &key);
	if (ret)
		return ret;
	futex_waiter_init(&w, t, &key);
	w.bitset = bitset;
	ret = wait_queue(t, &w, addr, val);
	if (ret)
		return ret;
	ret = futex_sleep(t, &w, deadline);
	if (futex_unqueue(&w))
		return 0;
	if (ret != -EINTR)
		return ret;
	if (deadline == DEADLINE_NONE)
		return -ERESTARTSYS;
	t->restart = (struct restart_block){
		.fn = wait_restart,
		.deadline_ns = deadline,
		.arg = {addr.v, is_private, val, bitset},
	};
	return -ERESTART_RESTARTBLOCK;
}

static int64_t wait_restart(struct task *t, struct restart_block *r)
{
	struct restart_block b = *r;

	return futex_wait(t, GVA(b.arg[0]), b.arg[1], (uint32_t)b.arg[2], b.deadline_ns,
			  (uint32_t)b.arg[3]);
}

/* ---- wake ---- */

/* Wakes at least one when n is 0, as Linux does. -EINVAL: the waiters want a PI lock. */
static int wake_locked(struct futex_bucket *b, const struct mm_futex_key *key, unsigned n,
		       uint32_t bitset)
{
	unsigned woken = 0;

	list_for_each_safe(l, &b->waiters) {
		struct futex_waiter *w = list_entry(l, struct futex_waiter, link);

		if (!futex_key_equal(&w->key, key))
			continue;
		if (w->pi || w->to_pi)
			return -EINVAL;
		if (!(w->bitset & bitset))
			continue;
		futex_wake_one_locked(w);
		if (++woken >= n)
			break;
	}
	return (int)woken;
}

static int64_t wake_bitset(struct task *t, gva_t addr, bool is_private, unsigned n, uint32_t bitset)
{
	struct mm_futex_key key;
	struct futex_bucket *b;
	int ret;

	if (!bitset)
		return -EINVAL;
	ret = mm_futex_key(t->mm, addr, is_private, &key);
	if (ret)
		return ret;
	b = futex_bucket_of(t->kernel->futexes, &key);
	pthread_mutex_lock(&b->lock);
	ret = wake_locked(b, &key, n, bitset);
	pthread_mutex_unlock(&b->lock);
	return ret;
}

int64_t futex_wake(struct task *t, gva_t addr, bool is_private, unsigned n)
{
	return wake_bitset(t, addr, is_private, n, FUTEX_BITSET_MATCH_ANY);
}

/* ---- requeue ---- */

static int64_t requeue_locked(struct futex_bucket *b1, struct futex_bucket *b2,
			      const struct mm_futex_key *k1, const struct mm_futex_key *k2, int nwake,
			      int nrequeue)
{
	int done = 0, moved = 0;

	list_for_each_safe(l, &b1->waiters) {
		struct futex_waiter *w = list_entry(l, struct futex_waiter, link);

		if (done >= nwake && moved >= nrequeue)
			break;
		if (!futex_key_equal(&w->key, k1))
			continue;
		if (w->pi || w->to_pi)
			return -EINVAL;
		if (done < nwake) {
			futex_wake_one_locked(w);
			done++;
			continue;
		}
		/* To itself: it keeps its place, but counts. */
		if (!futex_key_equal(k1, k2))
			futex_move_locked(w, b2, k2);
		moved++;
	}
	return done + moved;
}

static int64_t futex_requeue(struct task *t, gva_t addr, bool is_private, int nwake, int nrequeue,
			     gva_t addr2, const uint32_t *expect)
{
	struct mm_futex_key k1, k2;
	struct futex_bucket *b1, *b2;
	uint32_t seen = 0;
	int64_t ret;

	if (nwake < 0 || nrequeue < 0)
		return -EINVAL;
	ret = mm_futex_key(t->mm, addr, is_private, &k1);
	if (!ret)
		ret = mm_futex_key(t->mm, addr2, is_private, &k2);
	if (ret)
		return ret;
	b1 = futex_bucket_of(t->kernel->futexes, &k1);
	b2 = futex_bucket_of(t->kernel->futexes, &k2);
	futex_lock_two(b1, b2);
	if (expect) {
		ret = mm_load32(t->mm, addr, &seen);
		if (!ret && seen != *expect)
			ret = -EAGAIN;
	}
	if (!ret)
		ret = requeue_locked(b1, b2, &k1, &k2, nwake, nrequeue);
	futex_unlock_two(b1, b2);
	return ret;
}

/* ---- FUTEX_WAKE_OP ---- */

static int wake_op_apply(unsigned op, uint32_t old, uint32_t arg, uint32_t *out)
{
	switch (op) {
	case FUTEX_OP_SET:
		*out = arg;
		return 0;
	case FUTEX_OP_ADD:
		*out = old + arg;
		return 0;
	case FUTEX_OP_OR:
		*out = old | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*out = old & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*out = old ^ arg;
		return 0;
	default:
		return -ENOSYS;
	}
}

static int wake_op_compare(unsigned cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return old < arg;
	case FUTEX_OP_CMP_GE:
		return old >= arg;
	case FUTEX_OP_CMP_LE:
		return old <= arg;
	case FUTEX_OP_CMP_GT:
		return old > arg;
	default:
		return -ENOSYS;
	}
}

/* The read-modify-write of the second word; 1 or 0: what the comparison says, or -errno. */
static int wake_op_word(struct task *t, gva_t addr, uint32_t enc)
{
	unsigned op = (enc >> 28) & 7, cmp = (enc >> 24) & 15;
	/* Both arguments are signed 12-bit fields. */
	int32_t oparg = (int32_t)(enc << 8) >> 20, cmparg = (int32_t)(enc << 20) >> 20;
	uint32_t old = 0, seen, next = 0;
	int ret;

	if (enc & ((uint32_t)FUTEX_OP_OPARG_SHIFT << 28))
		oparg = (int32_t)(1u << (oparg & 31));
	ret = mm_load32(t->mm, addr, &old);
	while (!ret) {
		ret = wake_op_apply(op, old, (uint32_t)oparg, &next);
		if (!ret)
			ret = mm_cmpxchg32(t->mm, addr, old, next, &seen);
		if (ret || seen == old)
			break;
		old = seen;
	}
	return ret ? ret : wake_op_compare(cmp, (int32_t)old, cmparg);
}

static int64_t futex_wake_op(struct task *t, gva_t addr, bool is_private, unsigned n, gva_t addr2,
			     unsigned n2, uint32_t enc)
{
	struct mm_futex_key k1, k2;
	struct futex_bucket *b1, *b2;
	int ret = mm_futex_key(t->mm, addr, is_private, &k1), more, cond;

	if (!ret)
		ret = mm_futex_key(t->mm, addr2, is_private, &k2);
	if (ret)
		return ret;
	b1 = futex_bucket_of(t->kernel->futexes, &k1);
	b2 = futex_bucket_of(t->kernel->futexes, &k2);
	futex_lock_two(b1, b2);
	cond = wake_op_word(t, addr2, enc);
	ret = cond < 0 ? cond : wake_locked(b1, &k1, n, FUTEX_BITSET_MATCH_ANY);
	if (ret >= 0 && cond > 0) {
		more = wake_locked(b2, &k2, n2, FUTEX_BITSET_MATCH_ANY);
		ret = more < 0 ? more : ret + more;
	}
	futex_unlock_two(b1, b2);
	return ret;
}

/* ---- futex(2) ---- */

#define FUTEX_LOCK_PI2_OP 13 /* FUTEX_LOCK_PI2, newer than some headers */

static bool op_allows_realtime(int op)
{
	return op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET || op == FUTEX_WAIT_REQUEUE_PI ||
	       op == FUTEX_LOCK_PI2_OP;
}

static int op_deadline(struct task *t, int op, bool realtime, uint64_t addr, uint64_t *deadline)
{
	*deadline = DEADLINE_NONE;
	switch (op) {
	case FUTEX_WAIT:
		return futex_deadline(t, addr, false, CLOCK_MONOTONIC, deadline);
	case FUTEX_LOCK_PI:
		return futex_deadline(t, addr, true, CLOCK_REALTIME, deadline);
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI2_OP:
		return futex_deadline(t, addr, true, realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC,
				      deadline);
	default:
		return 0;
	}
}

int64_t sys_futex(struct task *t, const uint64_t a[6])
{
	int op = (int)a[1] & FUTEX_CMD_MASK, ret;
	bool priv = a[1] & FUTEX_PRIVATE_FLAG, realtime = a[1] & FUTEX_CLOCK_REALTIME;
	gva_t addr = GVA(a[0]), addr2 = GVA(a[4]);
	uint32_t val = (uint32_t)a[2], val2 = (uint32_t)a[3], val3 = (uint32_t)a[5];
	uint64_t deadline;

	if (realtime && !op_allows_realtime(op))
		return -ENOSYS;
	ret = op_deadline(t, op, realtime, a[3], &deadline);
	if (ret)
		return ret;
	switch (op) {
	case FUTEX_WAIT:
		return futex_wait(t, addr, priv, val, deadline, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAIT_BITSET:
		return futex_wait(t, addr, priv, val, deadline, val3);
	case FUTEX_WAKE:
		return futex_wake(t, addr, priv, val);
	case FUTEX_WAKE_BITSET:
		return wake_bitset(t, addr, priv, val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(t, addr, priv, (int)val, (int)val2, addr2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(t, addr, priv, (int)val, (int)val2, addr2, &val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(t, addr, priv, val, addr2, val2, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2_OP:
		return futex_lock_pi(t, addr, priv, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(t, addr, priv, DEADLINE_NONE, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(t, addr, priv);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(t, addr, priv, val, deadline, val3, addr2);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(t, addr, priv, (int)val, (int)val2, addr2, val3);
	default:
		return -ENOSYS;
	}
}

/* ---- futex_waitv(2) ---- */

#define WAITV_MAX 128u
#define WAITV_32 2u
#define WAITV_PRIVATE 128u

struct waitv {
	uint64_t val, addr;
	uint32_t flags, reserved;
};

static int waitv_woken(struct futex_waiter *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (atomic_load(&w[i].woken))
			return (int)i;
	return -1;
}

/* Queues all of them; a mismatch on the way undoes the rest unless one was woken meanwhile. */
static int64_t waitv_sleep(struct task *t, const struct waitv *v, struct futex_waiter *w, unsigned n,
			   uint64_t deadline)
{
	unsigned queued = 0;
	int64_t woken = -1;
	int ret = 0;

	while (queued < n && !ret) {
		ret = wait_queue(t, &w[queued], GVA(v[queued].addr), (uint32_t)v[queued].val);
		if (!ret)
			queued++;
	}
	while (!ret) {
		task_prepare_park(t);
		if (waitv_woken(w, n) >= 0)
			break;
		ret = task_park(t, deadline, NULL, 0);
	}
	for (unsigned i = 0; i < queued; i++)
		if (futex_unqueue(&w[i]) && woken < 0)
			woken = i;
	if (woken >= 0)
		return woken;
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

int64_t sys_futex_waitv(struct task *t, const uint64_t a[6])
{
	uint64_t n = (uint32_t)a[1], deadline;
	int clock = (int)a[4];
	struct futex_waiter *w;
	struct waitv *v;
	int64_t ret;

	if (a[2] || !n || n > WAITV_MAX || !a[0])
		return -EINVAL;
	if (a[3] && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return -EINVAL;
	ret = futex_deadline(t, a[3], true, clock, &deadline);
	if (ret)
		return ret;
	v = calloc(n, sizeof(*v));
	w = calloc(n, sizeof(*w));
	ret = v && w ? mm_copy_in(t->mm, v, GVA(a[0]), n * sizeof(*v)) : -ENOMEM;
	for (unsigned i = 0; i < n && !ret; i++) {
		struct mm_futex_key key;

		if ((v[i].flags & ~WAITV_PRIVATE) != WAITV_32 || v[i].reserved)
			ret = -EINVAL;
		else
			ret = mm_futex_key(t->mm, GVA(v[i].addr), v[i].flags & WAITV_PRIVATE, &key);
		if (!ret)
			futex_waiter_init(&w[i], t, &key);
	}
	if (!ret)
		ret = waitv_sleep(t, v, w, (unsigned)n, deadline);
	free(w);
	free(v);
	return ret;
}
