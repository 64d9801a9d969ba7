/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What exit does for futexes: the robust list (get_robust_list(2); the ABI is Linux's
 * Documentation/locking/robust-futex-ABI) and the tid word (set_tid_address(2)). The list is the guest's
 * memory: every pointer is hostile, the walk is bounded.
 */
#include <linux/futex.h>

#include "runtime/task/futex_internal.h"

struct robust_head {
	uint64_t next;
	int64_t futex_offset;
	uint64_t pending;
};

/* Bit 0 of a list pointer says that the lock is a PI futex. */
#define ROBUST_PI 1ull

static void owner_died(struct task *t, uint64_t entry, int64_t offset, bool pi, bool pending)
{
	gva_t addr = GVA(entry + (uint64_t)offset);
	uint32_t old = 0, seen;

	if ((addr.v & 3) || mm_load32(t->mm, addr, &old))
		return;
	/* Died between unlocking in user space and the wake that should have followed. */
	if (pending && !pi && !old) {
		futex_wake(t, addr, false, 1);
		return;
	}
	for (;;) {
		if ((pid_t)(old & FUTEX_TID_MASK) != t->tid)
			return;
		if (mm_cmpxchg32(t->mm, addr, old, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
			return;
		if (seen == old)
			break;
		old = seen;
	}
	if (!pi && (old & FUTEX_WAITERS))
		futex_wake(t, addr, false, 1);
}

static void robust_walk(struct task *t)
{
	struct robust_head head;
	uint64_t entry, next, pending;

	if (mm_copy_in(t->mm, &head, t->robust_list, sizeof(head)))
		return;
	pending = head.pending & ~ROBUST_PI;
	entry = head.next;
	for (unsigned n = 0; n < ROBUST_LIST_LIMIT && (entry & ~ROBUST_PI) != t->robust_list.v; n++) {
		uint64_t at = entry & ~ROBUST_PI;
		/* Read before the lock is released: its next owner may change or free the node. */
		int err = mm_copy_in(t->mm, &next, GVA(at), sizeof(next));

		if (at != pending)
			owner_died(t, at, head.futex_offset, entry & ROBUST_PI, false);
		if (err)
			break;
		entry = next;
	}
	if (pending)
		owner_died(t, pending, head.futex_offset, head.pending & ROBUST_PI, true);
}

void futex_exit_robust(struct task *t)
{
	if (t->mm && t->robust_list.v) {
		robust_walk(t);
		t->robust_list = GVA(0);
	}
	futex_exit_pi(t);
}

void futex_wake_clear_tid(struct task *t)
{
	uint32_t zero = 0;
	gva_t addr = t->clear_child_tid;

	if (!addr.v || !t->mm)
		return;
	t->clear_child_tid = GVA(0);
	if (mm_copy_out(t->mm, addr, &zero, sizeof(zero)) == 0)
		futex_wake(t, addr, false, 1);
}
