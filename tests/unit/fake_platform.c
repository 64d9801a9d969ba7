/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct vcpu *pool_own;
static _Thread_local bool staged; /* what fake_arch_enter() returned */

unsigned platform_current_vcpu(void)
{
	return pool_own ? pool_own->index : LEDGER_NO_VCPU;
}

static void wrong(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static void kick(struct nacre_vcpu *hv)
{
	hv->kicked = true;
}

struct platform *fake_platform_new(enum platform_paging paging, uint32_t guarantees)
{
	static struct nacre_backend ops;
	struct platform *p = calloc(1, sizeof *p);
	struct nacre_vm *vm = calloc(1, sizeof *vm);

	ops = fake_backend;
	ops.vcpu_kick = kick;
	vm->paging = paging;
	vm->wrong = wrong;
	p->vm = vm;
	p->ops = &ops;
	p->caps.flags = guarantees;
	p->caps.arm_isar0 = guarantees & NACRE_CAP_FLUSH_ON_MIGRATION ? (uint64_t)2 << 56 : 0;
	for (unsigned i = 0; i <= FAKE_VCPUS; i++) {
		struct nacre_vcpu *hv = &vm->vcpu[i];

		hv->index = i;
		hv->shim = calloc(1, sizeof *hv->shim);
		hv->tlb = calloc(FAKE_TLB, sizeof *hv->tlb);
		hv->tables = calloc(FAKE_TLB, sizeof *hv->tables);
	}
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		struct vcpu *v = calloc(1, sizeof *v);

		v->index = i;
		v->hv = &vm->vcpu[i];
		v->shim = v->hv->shim;
		v->next_idle = p->idle;
		p->idle = p->vcpus[i] = v;
	}
	p->nvcpus = FAKE_VCPUS;
	fake_arch_boot(p);
	return p;
}

void fake_platform_free(struct platform *p)
{
	fake_release(p);
	flush_destroy(p);
	for (unsigned i = 0; i < FAKE_VCPUS; i++)
		free(p->vcpus[i]);
	for (unsigned i = 0; i <= FAKE_VCPUS; i++) {
		free(p->vm->vcpu[i].shim);
		free(p->vm->vcpu[i].tlb);
		free(p->vm->vcpu[i].tables);
	}
	free(p->vm->shadow);
	free(p->vm);
	free(p);
}

char *fake_host(struct platform *p, uint64_t gpa)
{
	for (unsigned i = 0; i < p->vm->nslots; i++)
		if (gpa - p->vm->slot[i].gpa < p->vm->slot[i].len)
			return p->vm->slot[i].host + (gpa - p->vm->slot[i].gpa);
	return NULL;
}

/* ---- the pool, and running ---- */

struct vcpu *pool_borrow(struct platform *p)
{
	struct vcpu *v = p->idle;

	if (v)
		p->idle = v->next_idle;
	return v;
}

void pool_return(struct platform *p, struct vcpu *v)
{
	v->next_idle = p->idle;
	p->idle = v;
}

bool fake_enter(struct platform *p, uint64_t root)
{
	struct vcpu *v = pool_own;

	if (v && v->hv->in_guest && v->hv->root == root && v->root == root)
		return true;
	fake_leave(p);
	if (!v)
		v = pool_own = pool_borrow(p);
	if (!v)
		return false;
	staged = fake_arch_enter(p, v, root);
	v->hv->in_guest = true;
	return true;
}

void fake_leave(struct platform *p)
{
	if (!pool_own)
		return;
	pool_own->hv->in_guest = false;
	fake_arch_leave(p, pool_own, staged);
	staged = false;
}

/* As pool_release(). */
void fake_release(struct platform *p)
{
	struct vcpu *v = pool_own;
	struct tlb_request req;

	if (!v)
		return;
	fake_leave(p);
	if (tlb_take(&req) != TLB_NONE) {
		flush_abandon(p, v, &req);
		mm_flush_executed();
	}
	pool_own = NULL;
	pool_return(p, v);
}

void fake_enter_exit(struct platform *p, uint64_t root)
{
	struct tlb_request req;

	if (root && fake_enter(p, root)) {
		fake_leave(p);
		return;
	}
	fake_release(p);
	tlb_take(&req);
	mm_flush_executed();
}

void fake_stop(struct platform *p, uint64_t root)
{
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		struct vcpu *v = p->vcpus[i];

		if (!v->hv->in_guest || v->hv->root != root)
			continue;
		v->hv->in_guest = false;
		atomic_store(&v->in_guest, 0);
		if (p->ledger)
			ledger_leave(p->ledger, i);
	}
}

/* ---- walking ---- */

static pte_t *table_at(struct platform *p, uint64_t gpa)
{
	pte_t *table = (pte_t *)fake_host(p, gpa);

	if (!table) {
		fprintf(stderr, "a page table at %#lx lies in no slot\n", gpa);
		abort();
	}
	return table;
}

static void describe(struct fake_entry *out, uint64_t tag, uint64_t va, pte_t leaf, bool block)
{
	out->tag = tag;
	out->block = block;
	out->va = block ? va & ~(BLOCK_SIZE - 1) : page_down(va);
	out->gpa = pte_pa(leaf).v;
	out->perm = pte_perm(leaf);
}

bool fake_walk(struct platform *p, uint64_t root, uint64_t va, struct fake_entry *out)
{
	pte_t *table = table_at(p, fake_table(root));

	for (int level = PT_ROOT_LEVEL;; level--) {
		pte_t entry = table[pt_index(va, level)];
		bool block = level == 2 && pte_is_block(entry);

		if (!pte_present(entry))
			return false;
		if (level == 1 || block) {
			describe(out, fake_tag(root), va, entry, block);
			return true;
		}
		table = table_at(p, pte_pa(entry).v);
	}
}

/* ---- nested paging ---- */

static bool tlb_find(struct nacre_vcpu *hv, uint64_t tag, uint64_t va, struct fake_entry *out)
{
	for (unsigned i = 0; i < hv->n; i++) {
		struct fake_entry *t = &hv->tlb[i];

		if (t->tag == tag && va - t->va < (t->block ? BLOCK_SIZE : PAGE_SIZE)) {
			*out = *t;
			return true;
		}
	}
	return false;
}

static void drop(struct fake_entry *v, unsigned *n, uint64_t tag, uint64_t from, uint64_t to,
		 bool tables)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < *n; i++) {
		uint64_t span = tables || v[i].block ? BLOCK_SIZE : PAGE_SIZE;

		if (v[i].tag != tag || v[i].va >= to || v[i].va + span <= from)
			v[kept++] = v[i];
	}
	*n = kept;
}

void fake_drop(struct nacre_vcpu *hv, uint64_t tag, uint64_t from, uint64_t to)
{
	drop(hv->tlb, &hv->n, tag, from, to, false);
	drop(hv->tables, &hv->ntables, tag, from, to, true);
}

void fake_drop_all(struct nacre_vcpu *hv)
{
	hv->n = hv->ntables = 0;
}

static void remember(struct fake_entry *v, unsigned *n, const struct fake_entry *e)
{
	if (*n == FAKE_TLB) {
		/* The oldest half is forgotten. */
		memmove(v, v + FAKE_TLB / 2, FAKE_TLB / 2 * sizeof *v);
		*n = FAKE_TLB / 2;
	}
	v[(*n)++] = *e;
}

/* Set the accessed bit, as hardware does before it remembers a leaf. */
static pte_t access_leaf(pte_t *slot)
{
	*slot = pte_set_accessed(*slot);
	return *slot;
}

/* The remembered level-1 table for va, or NULL. */
static pte_t *cached_table(struct platform *p, struct nacre_vcpu *hv, uint64_t tag, uint64_t va)
{
	for (unsigned i = 0; i < hv->ntables; i++)
		if (hv->tables[i].tag == tag && hv->tables[i].va == (va & ~(BLOCK_SIZE - 1)))
			return table_at(p, hv->tables[i].gpa);
	return NULL;
}

static bool nested_fill(struct platform *p, struct nacre_vcpu *hv, uint64_t va,
			struct fake_entry *out)
{
	uint64_t tag = fake_tag(hv->root);
	pte_t *table = cached_table(p, hv, tag, va), *slot;

	if (!table) {
		struct fake_entry t = {.tag = tag, .va = va & ~(BLOCK_SIZE - 1)};

		table = table_at(p, fake_table(hv->root));
		for (int level = PT_ROOT_LEVEL; level > 1; level--) {
			slot = &table[pt_index(va, level)];
			if (!pte_present(*slot))
				return false;
			if (level == 2 && pte_is_block(*slot)) {
				describe(out, tag, va, access_leaf(slot), true);
				remember(hv->tlb, &hv->n, out);
				return true;
			}
			t.gpa = pte_pa(*slot).v;
			table = table_at(p, t.gpa);
		}
		remember(hv->tables, &hv->ntables, &t);
	}
	slot = &table[pt_index(va, 1)];
	if (!pte_present(*slot))
		return false;
	describe(out, tag, va, access_leaf(slot), false);
	remember(hv->tlb, &hv->n, out);
	return true;
}

/* ---- shadow paging ---- */

static struct fake_shadow *shadow_of(struct nacre_vm *vm, uint64_t gpa)
{
	for (unsigned i = 0; i < vm->nshadow; i++)
		if (vm->shadow[i].gpa == gpa)
			return &vm->shadow[i];
	if (vm->nshadow == vm->cap_shadow) {
		vm->cap_shadow = vm->cap_shadow ? vm->cap_shadow * 2 : 256;
		vm->shadow = realloc(vm->shadow, vm->cap_shadow * sizeof *vm->shadow);
	}
	memset(&vm->shadow[vm->nshadow], 0, sizeof *vm->shadow);
	vm->shadow[vm->nshadow].gpa = gpa;
	return &vm->shadow[vm->nshadow++];
}

/* Forget what is remembered for va's leaf, so that the next access looks at the table again. */
static bool shadow_walk(struct platform *p, uint64_t root, uint64_t va, bool refresh,
			struct fake_entry *out)
{
	uint64_t gpa = root;

	for (int level = PT_ROOT_LEVEL;; level--) {
		unsigned i = pt_index(va, level);
		struct fake_shadow *s = shadow_of(p->vm, gpa);

		if (!pte_present(s->entry[i]) || (level == 1 && refresh)) {
			pte_t *slot = &table_at(p, gpa)[i];

			s->entry[i] = 0;
			if (!pte_present(*slot))
				return false;
			s->entry[i] = level == 1 ? access_leaf(slot) : *slot;
		}
		if (level == 2 && pte_is_block(s->entry[i])) {
			fprintf(stderr, "a block under shadow paging\n");
			abort();
		}
		if (level == 1) {
			describe(out, root, va, s->entry[i], false);
			return true;
		}
		gpa = pte_pa(s->entry[i]).v;
	}
}

/* ---- accesses ---- */

static bool allows(const struct fake_entry *e, unsigned access)
{
	return e->perm & PT_USER && (!(access & MM_ACCESS_WRITE) || e->perm & PT_WRITE) &&
	       (!(access & MM_ACCESS_EXEC) || e->perm & PT_EXEC);
}

bool fake_translate(struct platform *p, struct nacre_vcpu *hv, uint64_t va, unsigned access,
		    uint64_t *gpa)
{
	uint64_t tag = fake_tag(hv->root);
	struct fake_entry e;

	if (p->vm->paging == PLATFORM_PAGING_SHADOW) {
		/* A fault makes the hypervisor look at the guest's table before it reflects it. */
		if (!(shadow_walk(p, hv->root, va, false, &e) && allows(&e, access)) &&
		    !(shadow_walk(p, hv->root, va, true, &e) && allows(&e, access)))
			return false;
	} else {
		if (!tlb_find(hv, tag, va, &e) && !nested_fill(p, hv, va, &e))
			return false;
		if (!allows(&e, access)) {
			if (fake_fault_drops)
				fake_drop(hv, tag, page_down(va), page_down(va) + PAGE_SIZE);
			return false;
		}
	}
	*gpa = e.gpa + (va - e.va);
	return true;
}

/* ---- the mmu ops ---- */

enum platform_paging platform_paging(const struct platform *p)
{
	return p->vm->paging;
}

int platform_map_memory(struct platform *p, gpa_t gpa, void *host, uint64_t len, bool writable)
{
	(void)writable;
	if (p->vm->nslots == sizeof p->vm->slot / sizeof p->vm->slot[0])
		return -1;
	p->vm->slot[p->vm->nslots++] = (struct fake_slot){gpa.v, len, host};
	return 0;
}

int platform_unmap_memory(struct platform *p, gpa_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < p->vm->nslots; i++)
		if (p->vm->slot[i].gpa == gpa.v && p->vm->slot[i].len == len)
			p->vm->slot[i--] = p->vm->slot[--p->vm->nslots];
	return 0;
}

int platform_invalidate(struct platform *p, void *host, uint64_t len)
{
	uint64_t from = 0;

	for (unsigned i = 0; i < p->vm->nslots; i++)
		if ((char *)host >= p->vm->slot[i].host &&
		    (char *)host < p->vm->slot[i].host + p->vm->slot[i].len)
			from = p->vm->slot[i].gpa + (uint64_t)((char *)host - p->vm->slot[i].host);
	/* Any remembered entry that names the page goes; links to tables are no leaves of data. */
	for (unsigned i = 0; i < p->vm->nshadow; i++)
		for (unsigned k = 0; k < PT_ENTRIES; k++)
			if (pte_present(p->vm->shadow[i].entry[k]) &&
			    pte_pa(p->vm->shadow[i].entry[k]).v - from < len)
				p->vm->shadow[i].entry[k] = 0;
	if (p->ledger)
		ledger_invalidated(p->ledger, host, len);
	return 0;
}

int platform_drop_tables(struct platform *p)
{
	p->vm->nshadow = 0;
	if (p->ledger)
		ledger_invalidated(p->ledger, NULL, 0);
	return 0;
}
