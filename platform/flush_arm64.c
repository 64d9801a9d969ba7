/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushes on arm64: TLBI ...IS, executed by the shim, reaches every vCPU, so nobody is kicked. What
 * has to be seen to is when the initiator's TLBI executes: on its next entry, unless somebody could
 * use the old translation before that.
 *
 *	flusher: edit, stage; staged_root = root; another vCPU has root loaded: flush at once
 *	vCPU:    root = the new one; another one's staged_root is the same: flush it first; run
 *
 * With sequentially consistent accesses one of the two sees the other. A flush at once is a run of the
 * thread's own vCPU that returns to the host before user level; a thread without one borrows the idle
 * vCPU it ran last, or takes the service vCPU, which never leaves the shim.
 *
 * ASIDs: one per address space for its whole life. Those of the dead are not used again before every
 * other has been, and then after one TLBI VMALLE1IS. ASID 0 belongs to the empty table.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

#define ASID_SHIFT 48
#define MMFR0_ASID_SHIFT 4
#define ISAR0_TLB_SHIFT 56
#define ISAR0_TLB_RANGE 2u

#define RAN_MANY UINT16_MAX

enum asid_state { ASID_FREE, ASID_USED, ASID_STALE };

struct flush_state {
	pthread_mutex_t asid_lock; /* protects asid[], next; a leaf but for service_lock */
	uint8_t asid[1u << 16];	   /* enum asid_state */
	uint32_t next;
	/* By ASID, who ran it since it was given out: 0 nobody, a vCPU's index + 1, or RAN_MANY. */
	_Atomic uint16_t ran[1u << 16];
	pthread_mutex_t service_lock; /* who runs the service vCPU; a leaf */
	struct vcpu service;
};

unsigned flush_asid_bits(const struct platform *p)
{
	return (p->caps.arm_mmfr0 >> MMFR0_ASID_SHIFT & 0xf) == 2 ? 16 : 8;
}

/* ---- who may hold translations ---- */

static _Atomic uint16_t *ran(const struct platform *p, uint64_t root)
{
	return &p->flush->ran[root >> ASID_SHIFT];
}

/* Before the vCPU can walk the tables. */
static void note_runner(struct platform *p, const struct vcpu *v, uint64_t root)
{
	uint16_t none = 0, self = (uint16_t)(v->index + 1);

	if (!atomic_compare_exchange_strong(ran(p, root), &none, self) && none != self)
		atomic_store(ran(p, root), RAN_MANY);
}

/*
 * How far the vCPU's flush of an address space must reach. One that loads it from now on finds the
 * flush announced (staged_root) and walks the tables as they are now.
 */
static enum tlb_scope reach(const struct platform *p, const struct vcpu *v, uint64_t root)
{
	unsigned who = atomic_load(ran(p, root));

	return flush_scope(p, who && who != v->index + 1 && TLB_SITE(SITE_REACH));
}

/* ---- telling the shim ---- */

static bool has_range_op(const struct platform *p)
{
	return (p->caps.arm_isar0 >> ISAR0_TLB_SHIFT & 0xf) >= ISAR0_TLB_RANGE;
}

static void reply_ranges(const struct platform *p, struct shim_cpu *shim,
			 const struct tlb_request *req)
{
	const struct tlb_range *r = &req->range[0];

	memset(shim->more, 0, sizeof shim->more);
	if (req->nranges == 1 && r->pages > 2 && r->pages % 2 == 0 && has_range_op(p)) {
		shim->reply.kind = SHIM_REPLY_RANGE_OP;
		shim->reply.start = shim_range_operand(req->root >> ASID_SHIFT, r->start, r->pages);
		return;
	}
	shim->reply.kind = SHIM_REPLY_RANGE;
	shim->reply.start = r->start;
	shim->reply.pages = r->pages;
	for (unsigned i = 1; i < req->nranges; i++) {
		shim->more[i - 1].start = req->range[i].start;
		shim->more[i - 1].pages = req->range[i].pages;
	}
}

/* Returns whether the flush reaches every vCPU. */
static bool reply_with(const struct platform *p, struct vcpu *v, const struct tlb_request *req)
{
	struct shim_reply *reply = &v->shim->reply;
	bool local = (req->kind == TLB_RANGE || req->kind == TLB_SPACE) &&
		     reach(p, v, req->root) == TLB_LOCAL;

	*reply = (struct shim_reply){
		.flags = (req->root >> ASID_SHIFT << ASID_SHIFT) |
			 (req->exec ? 1u << SHIM_REPLY_CODE_BIT : 0),
	};
	if (local)
		reply->flags |= 1u << SHIM_REPLY_LOCAL_BIT;
	switch (req->kind) {
	case TLB_NONE:
		reply->kind = SHIM_REPLY_NONE;
		break;
	case TLB_RANGE:
		reply_ranges(p, v->shim, req);
		break;
	case TLB_SPACE:
		reply->kind = SHIM_REPLY_SPACE;
		break;
	case TLB_BROADCAST:
		reply->kind = SHIM_REPLY_ALL;
		break;
	}
	return !local;
}

/* Execute a request on a vCPU that stands in the shim, and stay there. */
static void run_flush(struct platform *p, struct vcpu *v, const struct tlb_request *req)
{
	uint64_t root = atomic_load(&v->root);
	struct nacre_exit exit;
	bool every = reply_with(p, v, req);

	if (p->ledger)
		ledger_flushed(p->ledger, v->index, req, every);
	v->shim->reply.flags |= 1u << SHIM_REPLY_RETURN_BIT;
	/* The table it stood on may be gone. */
	v->shim->ttbr0 = root ? root : mm_system_kernel_root(p->mm).v;
	p->ops->vcpu_run(v->hv, &v->regs, 0, &exit);
	/* Without this flush memory would be used twice: there is no going on. */
	if (exit.reason != NACRE_EXIT_DOORBELL || v->shim->trap != SHIM_TRAP_FLUSHED)
		abort();
}

static void run_service(struct platform *p, const struct tlb_request *req)
{
	pthread_mutex_lock(&p->flush->service_lock);
	run_flush(p, &p->flush->service, req);
	pthread_mutex_unlock(&p->flush->service_lock);
}

/* ---- the platform's calls ---- */

void platform_flush_now(struct platform *p)
{
	struct tlb_request req;
	struct vcpu *own = pool_own, *borrowed;

	if (tlb_take(&req) == TLB_NONE)
		return;
	if (own) {
		run_flush(p, own, &req);
		atomic_store(&own->staged_root, 0);
	} else if ((borrowed = pool_borrow(p))) {
		run_flush(p, borrowed, &req);
		pool_return(p, borrowed);
	} else {
		run_service(p, &req);
	}
	mm_flush_executed();
}

static bool loaded_elsewhere(const struct platform *p, uint64_t root)
{
	unsigned n = p->nvcpus;

	for (unsigned i = 0; i < n; i++)
		if (p->vcpus[i] != pool_own && atomic_load(&p->vcpus[i]->root) == root)
			return true;
	return false;
}

unsigned platform_flush_others(struct platform *p, uint64_t root, bool all)
{
	struct vcpu *own = pool_own;

	(void)all; /* what the request names, it names on every vCPU */
	if (own && (!atomic_load(&own->staged_root) || atomic_load(&own->staged_root) == root)) {
		if (TLB_SITE(SITE_STAGED_ROOT))
			atomic_store(&own->staged_root, root);
		if (!loaded_elsewhere(p, root) || !TLB_SITE(SITE_ELSEWHERE))
			return 0;
	}
	platform_flush_now(p);
	return 0;
}

/* Has a vCPU other than this one announced a flush of root and not executed it? */
static bool announced(const struct platform *p, const struct vcpu *v, uint64_t root)
{
	unsigned n = p->nvcpus;

	for (unsigned i = 0; i < n; i++)
		if (p->vcpus[i] != v && atomic_load(&p->vcpus[i]->staged_root) == root)
			return true;
	return false;
}

bool platform_flush_owed(struct platform *p, uint64_t root)
{
	return announced(p, pool_own, root);
}

/* Load root into the vCPU. True: somebody's flush of it has not executed yet. */
static bool load_root(struct platform *p, struct vcpu *v, uint64_t root)
{
	if (atomic_load(&v->root) == root)
		return false;
	note_runner(p, v, root);
	atomic_store(&v->root, root);
	return announced(p, v, root) && TLB_SITE(SITE_LOAD_OWED);
}

bool flush_before_run(struct platform *p, struct vcpu *v, uint64_t root)
{
	struct tlb_request req;
	bool staged = tlb_take(&req) != TLB_NONE, owed = load_root(p, v, root), every;

	owed |= atomic_exchange(&v->need_flush, false);
	if (owed && req.kind != TLB_NONE && req.root != root) {
		req.kind = TLB_BROADCAST;
	} else if (owed && req.kind <= TLB_SPACE) {
		req.kind = TLB_SPACE;
		req.root = root;
	}
	every = reply_with(p, v, &req);
	v->shim->ttbr0 = root;
	if (p->ledger)
		ledger_enter(p->ledger, v->index, root, &req, every);
	return staged;
}

/* The shim flushed before it went to user level. */
void flush_after_run(struct platform *p, struct vcpu *v, bool staged)
{
	if (p->ledger)
		ledger_leave(p->ledger, v->index);
	atomic_store(&v->staged_root, 0);
	if (staged)
		mm_flush_executed();
}

/* The thread gives its vCPU up with this request not executed. */
void flush_abandon(struct platform *p, struct vcpu *v, const struct tlb_request *req)
{
	if (TLB_SITE(SITE_ABANDON))
		run_flush(p, v, req);
	atomic_store(&v->staged_root, 0);
}

/* ---- address spaces ---- */

/* Every ASID is in use or stale: make the stale ones free. asid_lock held. */
static bool roll_over_locked(struct platform *p)
{
	struct tlb_request all = {.kind = TLB_BROADCAST};
	struct flush_state *f = p->flush;
	bool any = false;

	if (TLB_SITE(SITE_ROLL_OVER))
		run_service(p, &all);
	for (uint32_t i = 1; i < 1u << flush_asid_bits(p); i++) {
		any |= f->asid[i] == ASID_STALE;
		if (f->asid[i] == ASID_STALE)
			f->asid[i] = ASID_FREE;
	}
	f->next = 1;
	return any;
}

static uint32_t find_free(struct platform *p)
{
	struct flush_state *f = p->flush;

	while (f->next < 1u << flush_asid_bits(p) && f->asid[f->next] != ASID_FREE)
		f->next++;
	return f->next < 1u << flush_asid_bits(p) ? f->next : 0;
}

uint64_t platform_new_root(struct platform *p, gpa_t table)
{
	struct flush_state *f = p->flush;
	uint32_t asid;

	pthread_mutex_lock(&f->asid_lock);
	asid = find_free(p);
	if (!asid && roll_over_locked(p))
		asid = find_free(p);
	if (asid) {
		f->asid[asid] = ASID_USED;
		atomic_store(&f->ran[asid], 0);
	}
	pthread_mutex_unlock(&f->asid_lock);
	return asid ? table.v | (uint64_t)asid << ASID_SHIFT : 0;
}

/*
 * What is cached under its ASID stays: nobody runs with that ASID before a roll-over has flushed. A
 * vCPU that had it loaded is given another table before it does anything else.
 */
void platform_forget_root(struct platform *p, uint64_t root)
{
	struct flush_state *f = p->flush;
	unsigned n = p->nvcpus;

	for (unsigned i = 0; i < n; i++) {
		uint64_t expect = root;

		atomic_compare_exchange_strong(&p->vcpus[i]->root, &expect, 0);
	}
	pthread_mutex_lock(&f->asid_lock);
	f->asid[root >> ASID_SHIFT] = ASID_STALE;
	pthread_mutex_unlock(&f->asid_lock);
}

/* ---- life ---- */

int flush_boot(struct platform *p)
{
	struct flush_state *f = calloc(1, sizeof *f);
	struct nacre_boot boot;
	int ret;

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->asid_lock, NULL);
	pthread_mutex_init(&f->service_lock, NULL);
	f->next = 1;
	f->service.index = p->max_vcpus;
	p->flush = f;
	arch_vcpu_boot(p, &f->service, &boot);
	ret = p->ops->vcpu_create(p->vm, p->max_vcpus, &boot, &f->service.hv);
	return ret;
}

void flush_destroy(struct platform *p)
{
	struct flush_state *f = p->flush;

	if (!f)
		return;
	if (f->service.hv)
		p->ops->vcpu_destroy(f->service.hv);
	pthread_mutex_destroy(&f->service_lock);
	pthread_mutex_destroy(&f->asid_lock);
	free(f);
	p->flush = NULL;
}
