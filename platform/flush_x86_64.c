/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushing other vCPUs' translations (nested paging; x86-64 has no broadcast instruction).
 *
 * A vCPU may hold translations of the one address space in `root`: without PCIDs a CR3 load drops
 * all others. The protocol, with sequentially consistent accesses:
 *
 *	flusher: edit tables; need_flush = true; if in_guest: kick, wait until !in_guest
 *	vCPU:    in_guest = true; if need_flush: in_guest = false, flush first; run; in_guest = false
 *
 * Either the flusher sees in_guest and waits for the exit, or the vCPU sees need_flush before it
 * runs. An exit acknowledges: the flush then executes in the shim before user level is reached.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/internal.h"

#define IN_GUEST 1u
#define AWAITED 2u /* a flusher sleeps on in_guest */

void flush_enter(struct vcpu *v)
{
	atomic_store(&v->in_guest, IN_GUEST);
}

void flush_leave(struct platform *p, struct vcpu *v)
{
	if (p->ledger)
		ledger_leave(p->ledger, v->index);
	if (atomic_exchange(&v->in_guest, 0) & AWAITED)
		syscall(SYS_futex, &v->in_guest, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

static bool concerns(const struct vcpu *v, uint64_t root, bool all)
{
	return v != pool_own && (all || atomic_load(&v->root) == root);
}

static unsigned count_concerned(const struct platform *p, uint64_t root, bool all)
{
	unsigned n = p->nvcpus, others = 0;

	for (unsigned i = 0; i < n; i++)
		others += concerns(p->vcpus[i], root, all);
	return others;
}

/* Until the vCPU is outside the guest, or has taken the flush upon itself on its way in. */
static void wait_for_exit(struct vcpu *v)
{
	while (atomic_load(&v->in_guest) && atomic_load(&v->need_flush)) {
		unsigned seen = IN_GUEST;

		if (!atomic_compare_exchange_strong(&v->in_guest, &seen, IN_GUEST | AWAITED) &&
		    seen != (IN_GUEST | AWAITED))
			break;
		syscall(SYS_futex, &v->in_guest, FUTEX_WAIT_PRIVATE, IN_GUEST | AWAITED, NULL, NULL,
			0);
	}
}

unsigned platform_flush_others(struct platform *p, uint64_t root, bool all)
{
	unsigned n = p->nvcpus, kicked = 0;
	bool wait[SHIM_MAX_CPUS] = {false};

	if (flush_scope(p, count_concerned(p, root, all)) == TLB_LOCAL)
		return 0;
	for (unsigned i = 0; i < n; i++) {
		struct vcpu *v = p->vcpus[i];

		if (!concerns(v, root, all))
			continue;
		if (TLB_SITE(SITE_MARK_OTHER))
			atomic_store(&v->need_flush, true);
		if (atomic_load(&v->in_guest)) {
			if (TLB_SITE(SITE_KICK))
				p->ops->vcpu_kick(v->hv);
			wait[i] = TLB_SITE(SITE_AWAIT_EXIT);
			kicked++;
		}
	}
	for (unsigned i = 0; i < n; i++)
		if (wait[i])
			wait_for_exit(p->vcpus[i]);
	return kicked;
}

/* What the vCPU has to flush, of its own accord and for others. */
static struct tlb_request due(struct vcpu *v, uint64_t root, const struct tlb_request *req)
{
	bool all = atomic_exchange(&v->need_flush, false) && TLB_SITE(SITE_OWED);
	bool other = atomic_load(&v->root) != root;
	struct tlb_request due = *req;

	if (other)
		atomic_store(&v->root, root);
	if (req->root != root && req->kind == TLB_RANGE)
		due.kind = TLB_NONE;
	if (((other && TLB_SITE(SITE_LOAD_ROOT)) || all) && req->kind < TLB_SPACE)
		due.kind = TLB_SPACE;
	return due;
}

/* A CR3 load drops every translation that is not global, and none is. */
bool flush_prepare(struct platform *p, struct vcpu *v, uint64_t root, const struct tlb_request *req)
{
	struct tlb_request now = due(v, root, req);

	if (p->ledger)
		ledger_enter(p->ledger, v->index, root, &now, false);
	switch (now.kind) {
	case TLB_NONE:
		return false;
	case TLB_RANGE:
		v->shim->flush_kind = SHIM_FLUSH_RANGE;
		v->shim->flush_count = now.nranges;
		for (unsigned i = 0; i < now.nranges; i++) {
			v->shim->flush_range[i].start = now.range[i].start;
			v->shim->flush_range[i].pages = now.range[i].pages;
		}
		return true;
	case TLB_SPACE:
	case TLB_BROADCAST:
		v->shim->flush_kind = now.kind == TLB_BROADCAST ? SHIM_FLUSH_ALL : SHIM_FLUSH_SPACE;
		v->shim->flush_cr3 = root;
		return true;
	}
	return false;
}

void platform_forget_root(struct platform *p, uint64_t root)
{
	for (unsigned i = 0; i < p->nvcpus; i++) {
		uint64_t expect = root;

		atomic_compare_exchange_strong(&p->vcpus[i]->root, &expect, 0);
	}
}

void flush_abandon(struct platform *p, struct vcpu *v, const struct tlb_request *req)
{
	(void)p;
	(void)req;
	if (TLB_SITE(SITE_ABANDON))
		atomic_store(&v->need_flush, true);
}

uint64_t platform_new_root(struct platform *p, gpa_t table)
{
	(void)p;
	return table.v;
}

void flush_destroy(struct platform *p)
{
	(void)p;
}
