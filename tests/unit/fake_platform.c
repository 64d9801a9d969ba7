/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct platform *fake_platform_new(enum platform_paging paging)
{
	struct platform *p = calloc(1, sizeof *p);

	p->paging = paging;
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		p->vcpu[i].tlb = calloc(FAKE_TLB, sizeof(struct fake_entry));
		p->vcpu[i].tables = calloc(FAKE_TLB, sizeof(struct fake_entry));
	}
	return p;
}

void fake_platform_free(struct platform *p)
{
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		free(p->vcpu[i].tlb);
		free(p->vcpu[i].tables);
	}
	free(p->shadow);
	free(p);
}

char *fake_host(struct platform *p, uint64_t gpa)
{
	for (unsigned i = 0; i < p->nslots; i++)
		if (gpa - p->slot[i].gpa < p->slot[i].len)
			return p->slot[i].host + (gpa - p->slot[i].gpa);
	return NULL;
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

static void describe(struct fake_entry *out, uint64_t root, uint64_t va, pte_t leaf, bool block)
{
	out->root = root;
	out->block = block;
	out->va = block ? va & ~(BLOCK_SIZE - 1) : page_down(va);
	out->gpa = pte_pa(leaf).v;
	out->perm = pte_perm(leaf);
}

bool fake_walk(struct platform *p, uint64_t root, uint64_t va, struct fake_entry *out)
{
	pte_t *table = table_at(p, root);

	for (int level = PT_ROOT_LEVEL;; level--) {
		pte_t entry = table[pt_index(va, level)];
		bool block = level == 2 && pte_is_block(entry);

		if (!pte_present(entry))
			return false;
		if (level == 1 || block) {
			describe(out, root, va, entry, block);
			return true;
		}
		table = table_at(p, pte_pa(entry).v);
	}
}

/* ---- nested paging ---- */

static bool tlb_find(struct fake_vcpu *v, uint64_t root, uint64_t va, struct fake_entry *out)
{
	for (unsigned i = 0; i < v->n; i++) {
		struct fake_entry *t = &v->tlb[i];

		if (t->root == root && va - t->va < (t->block ? BLOCK_SIZE : PAGE_SIZE)) {
			*out = *t;
			return true;
		}
	}
	return false;
}

static void tlb_drop(struct fake_entry *v, unsigned *n, uint64_t root, uint64_t from, uint64_t to,
		     bool tables)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < *n; i++) {
		uint64_t span = tables || v[i].block ? BLOCK_SIZE : PAGE_SIZE;

		if (v[i].root != root || v[i].va >= to || v[i].va + span <= from)
			v[kept++] = v[i];
	}
	*n = kept;
}

static void vcpu_flush(struct fake_vcpu *v, uint64_t root, uint64_t from, uint64_t to)
{
	tlb_drop(v->tlb, &v->n, root, from, to, false);
	tlb_drop(v->tables, &v->ntables, root, from, to, true);
}

static void remember(struct fake_entry *v, unsigned *n, const struct fake_entry *e)
{
	if (*n < FAKE_TLB)
		v[(*n)++] = *e;
}

/* Set the accessed bit, as hardware does before it remembers a leaf. */
static pte_t access_leaf(pte_t *slot)
{
	*slot = pte_set_accessed(*slot);
	return *slot;
}

static bool nested_fill(struct platform *p, struct fake_vcpu *v, uint64_t root, uint64_t va,
			struct fake_entry *out)
{
	pte_t *table = NULL, entry;

	for (unsigned i = 0; i < v->ntables && !table; i++)
		if (v->tables[i].root == root && v->tables[i].va == (va & ~(BLOCK_SIZE - 1)))
			table = table_at(p, v->tables[i].gpa);
	if (!table) {
		struct fake_entry t = {.root = root, .va = va & ~(BLOCK_SIZE - 1)};

		table = table_at(p, root);
		for (int level = PT_ROOT_LEVEL; level > 1; level--) {
			pte_t *slot = &table[pt_index(va, level)];

			if (!pte_present(*slot))
				return false;
			if (level == 2 && pte_is_block(*slot)) {
				describe(out, root, va, access_leaf(slot), true);
				remember(v->tlb, &v->n, out);
				return true;
			}
			t.gpa = pte_pa(*slot).v;
			table = table_at(p, t.gpa);
		}
		remember(v->tables, &v->ntables, &t);
	}
	entry = table[pt_index(va, 1)];
	if (!pte_present(entry))
		return false;
	describe(out, root, va, access_leaf(&table[pt_index(va, 1)]), false);
	remember(v->tlb, &v->n, out);
	return true;
}

/* ---- shadow paging ---- */

static struct fake_shadow *shadow_of(struct platform *p, uint64_t gpa)
{
	for (unsigned i = 0; i < p->nshadow; i++)
		if (p->shadow[i].gpa == gpa)
			return &p->shadow[i];
	if (p->nshadow == p->cap_shadow) {
		p->cap_shadow = p->cap_shadow ? p->cap_shadow * 2 : 256;
		p->shadow = realloc(p->shadow, p->cap_shadow * sizeof *p->shadow);
	}
	memset(&p->shadow[p->nshadow], 0, sizeof *p->shadow);
	p->shadow[p->nshadow].gpa = gpa;
	return &p->shadow[p->nshadow++];
}

/* Forget what is remembered for va's leaf, so that the next access looks at the table again. */
static bool shadow_walk(struct platform *p, uint64_t root, uint64_t va, bool refresh,
			struct fake_entry *out)
{
	uint64_t gpa = root;

	for (int level = PT_ROOT_LEVEL;; level--) {
		unsigned i = pt_index(va, level);
		struct fake_shadow *s = shadow_of(p, gpa);

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

bool fake_translate(struct platform *p, unsigned vcpu, uint64_t root, uint64_t va, unsigned access,
		    uint64_t *gpa)
{
	struct fake_vcpu *v = &p->vcpu[vcpu];
	struct fake_entry e;

	v->root = root;
	if (p->paging == PLATFORM_PAGING_SHADOW) {
		/* A fault makes the hypervisor look at the guest's table before it reflects it. */
		if (!(shadow_walk(p, root, va, false, &e) && allows(&e, access)) &&
		    !(shadow_walk(p, root, va, true, &e) && allows(&e, access)))
			return false;
	} else {
		if (!tlb_find(v, root, va, &e) && !nested_fill(p, v, root, va, &e))
			return false;
		if (!allows(&e, access)) {
			vcpu_flush(v, root, page_down(va), page_down(va) + PAGE_SIZE);
			return false;
		}
	}
	*gpa = e.gpa + (va - e.va);
	return true;
}

void fake_enter(struct platform *p)
{
	struct fake_vcpu *v = &p->vcpu[p->current];
	struct tlb_request req;

	switch (tlb_take(&req)) {
	case TLB_NONE:
		break;
	case TLB_RANGE:
		for (unsigned i = 0; i < req.nranges; i++)
			vcpu_flush(v, req.root, req.range[i].start,
				   req.range[i].start + (uint64_t)req.range[i].pages * PAGE_SIZE);
		break;
	case TLB_SPACE:
		vcpu_flush(v, req.root, 0, UINT64_MAX);
		break;
	case TLB_BROADCAST:
		v->n = v->ntables = 0;
		break;
	}
}

void fake_enter_exit(struct platform *p)
{
	fake_enter(p);
	mm_flush_executed();
}

/* ---- the mmu ops ---- */

enum platform_paging platform_paging(const struct platform *p)
{
	return p->paging;
}

int platform_map_memory(struct platform *p, gpa_t gpa, void *host, uint64_t len, bool writable)
{
	(void)writable;
	if (p->nslots == sizeof p->slot / sizeof p->slot[0])
		return -1;
	p->slot[p->nslots++] = (struct fake_slot){gpa.v, len, host};
	return 0;
}

int platform_unmap_memory(struct platform *p, gpa_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < p->nslots; i++)
		if (p->slot[i].gpa == gpa.v && p->slot[i].len == len)
			p->slot[i--] = p->slot[--p->nslots];
	return 0;
}

int platform_invalidate(struct platform *p, void *host, uint64_t len)
{
	uint64_t from = 0;

	for (unsigned i = 0; i < p->nslots; i++)
		if ((char *)host >= p->slot[i].host &&
		    (char *)host < p->slot[i].host + p->slot[i].len)
			from = p->slot[i].gpa + (uint64_t)((char *)host - p->slot[i].host);
	p->invalidations++;
	/* Any remembered entry that names the page goes; links to tables are no leaves of data. */
	for (unsigned i = 0; i < p->nshadow; i++)
		for (unsigned k = 0; k < PT_ENTRIES; k++)
			if (pte_present(p->shadow[i].entry[k]) &&
			    pte_pa(p->shadow[i].entry[k]).v - from < len)
				p->shadow[i].entry[k] = 0;
	return 0;
}

int platform_drop_tables(struct platform *p)
{
	p->drops++;
	p->nshadow = 0;
	return 0;
}

unsigned platform_flush_others(struct platform *p, uint64_t root, bool all)
{
	unsigned kicked = 0;

	p->flushes++;
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		if (i == p->current)
			continue;
		if (all)
			p->vcpu[i].n = p->vcpu[i].ntables = 0;
		vcpu_flush(&p->vcpu[i], root, 0, UINT64_MAX);
		kicked += all || p->vcpu[i].root == root;
	}
	return kicked;
}

uint64_t platform_new_root(struct platform *p, gpa_t table)
{
	(void)p;
	return table.v;
}

void platform_forget_root(struct platform *p, uint64_t root)
{
	p->forgotten++;
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		vcpu_flush(&p->vcpu[i], root, 0, UINT64_MAX);
		if (p->vcpu[i].root == root)
			p->vcpu[i].root = 0;
	}
}
