/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes (futex(2)): a hash table of buckets, each a lock and a list of waiters.
 *
 * Lock order: bucket locks (two at once: by address) -> mm's lock -> frame allocator's lock; a
 * bucket lock -> waitq locks. No sig_lock or tasks_lock is taken inside a bucket lock, and mm never
 * calls back, so reading the futex word under the bucket lock is safe. A waiter queues itself and
 * compares the word with the bucket locked: a waker, who changes the word first and then locks the
 * bucket, is either seen by the comparison or sees the waiter.
 */
#ifndef NACRE_RUNTIME_TASK_FUTEX_H
#define NACRE_RUNTIME_TASK_FUTEX_H

#include <stdint.h>

#include "mm/types.h"

struct task;
struct mm;
struct futex_table;

struct futex_table *futex_table_create(void); /* NULL: no memory */
void futex_table_destroy(struct futex_table *ft);

/* Wake up to n waiters on a word. Returns the number woken or -errno. */
int64_t futex_wake(struct task *t, gva_t addr, bool is_private, unsigned n);
/*
 * Exit or execve of t, while t->mm is still the old address space: mark the robust list's locks
 * FUTEX_OWNER_DIED (get_robust_list(2)), hand over PI futexes t owns.
 */
void futex_exit_robust(struct task *t);
/* Store 0 at t->clear_child_tid and wake one waiter (set_tid_address(2)); same moment, afterwards. */
void futex_wake_clear_tid(struct task *t);

#endif
