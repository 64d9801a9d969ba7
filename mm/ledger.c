/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/pt.h"

#define VCPU_WORDS 3u /* bits for every vCPU of the platform, and its service vCPU */
#define BUCKETS 64u
#define SHADOW 0u /* the holder under shadow paging */

struct vcpu_set {
	uint64_t bits[VCPU_WORDS];
};

/* A run of neighbouring pages, or one block. */
struct ghost {
	uint64_t va, pages;
	pte_t old; /* of the first page */
	bool block, committed;
	struct vcpu_set holders;
};

struct space {
	struct space *next;
	uint64_t root;
	struct mm *mm;
	struct vcpu_set
		ran; /* vCPUs that may hold its translations, where they outlive its being loaded */
	struct ghost *ghost;
	unsigned n, cap;
};

struct ledger {
	struct mm_system *sys;
	bool shadow;
	void (*report)(const char *text, void *arg);
	void *arg;
	pthread_mutex_t lock; /* protects the rest */
	struct space *bucket[BUCKETS];
	struct {
		uint64_t root;
		bool in_guest;
	} vcpu[VCPU_WORDS * 64];
};

/* ---- sets ---- */

static void set_add(struct vcpu_set *s, unsigned vcpu)
{
	s->bits[vcpu / 64] |= (uint64_t)1 << (vcpu % 64);
}

static void set_remove(struct vcpu_set *s, unsigned vcpu)
{
	s->bits[vcpu / 64] &= ~((uint64_t)1 << (vcpu % 64));
}

static bool set_has(const struct vcpu_set *s, unsigned vcpu)
{
	return s->bits[vcpu / 64] >> (vcpu % 64) & 1;
}

static bool set_empty(const struct vcpu_set *s)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < VCPU_WORDS; i++)
		any |= s->bits[i];
	return !any;
}

static bool set_equal(const struct vcpu_set *a, const struct vcpu_set *b)
{
	return !memcmp(a, b, sizeof *a);
}

/* ---- address spaces ---- */

static struct space **bucket_of(struct ledger *l, uint64_t root)
{
	return &l->bucket[(root >> PAGE_SHIFT) % BUCKETS];
}

static struct space *space_of(struct ledger *l, uint64_t root)
{
	struct space *s = *bucket_of(l, root);

	while (s && s->root != root)
		s = s->next;
	return s;
}

struct ledger *ledger_create(struct mm_system *sys, bool shadow,
			     void (*report)(const char *text, void *arg), void *arg)
{
	struct ledger *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->sys = sys;
	l->shadow = shadow;
	l->report = report;
	l->arg = arg;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void ledger_destroy(struct ledger *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void ledger_new_space(struct ledger *l, struct mm *mm)
{
	struct space *s = calloc(1, sizeof *s);

	/* Unwatched for want of memory: no worse than without a ledger. */
	if (!s)
		return;
	s->root = mm->root_id;
	s->mm = mm;
	pthread_mutex_lock(&l->lock);
	s->next = *bucket_of(l, s->root);
	*bucket_of(l, s->root) = s;
	pthread_mutex_unlock(&l->lock);
}

void ledger_drop_space(struct ledger *l, uint64_t root)
{
	struct space *s;

	pthread_mutex_lock(&l->lock);
	for (struct space **at = bucket_of(l, root); (s = *at); at = &s->next)
		if (s->root == root) {
			*at = s->next;
			free(s->ghost);
			free(s);
			break;
		}
	pthread_mutex_unlock(&l->lock);
}

/* ---- entries ---- */

static struct vcpu_set holders_locked(const struct ledger *l, const struct space *s)
{
	struct vcpu_set set = {{0}};

	if (l->shadow) {
		set_add(&set, SHADOW);
		return set;
	}
	if (PT_TLB_TAGGED)
		return s->ran;
	for (unsigned i = 0; i < VCPU_WORDS * 64; i++)
		if (l->vcpu[i].root == s->root)
			set_add(&set, i);
	return set;
}

/* Make the last entry longer, if this page continues it. */
static bool extend(struct space *s, uint64_t va, pte_t old, const struct vcpu_set *holders)
{
	struct ghost *last = s->n ? &s->ghost[s->n - 1] : NULL;

	if (!last || last->block || last->committed || last->va + last->pages * PAGE_SIZE != va ||
	    pte_pa(last->old).v + last->pages * PAGE_SIZE != pte_pa(old).v ||
	    pte_perm(last->old) != pte_perm(old) || !set_equal(&last->holders, holders))
		return false;
	last->pages++;
	return true;
}

static bool keeps_all(pte_t old, pte_t now)
{
	return pte_present(now) && pte_pa(now).v == pte_pa(old).v &&
	       !(pte_perm(old) & ~pte_perm(now));
}

void ledger_changed(struct ledger *l, uint64_t root, uint64_t va, unsigned pages, pte_t old,
		    pte_t now)
{
	struct space *s;

	if (keeps_all(old, now))
		return;
	pthread_mutex_lock(&l->lock);
	s = space_of(l, root);
	if (s) {
		struct vcpu_set holders = holders_locked(l, s);

		if (s->n == s->cap) {
			unsigned cap = s->cap ? s->cap * 2 : 64;
			struct ghost *v = realloc(s->ghost, cap * sizeof *v);

			if (v) {
				s->ghost = v;
				s->cap = cap;
			}
		}
		if (!set_empty(&holders) && (pages > 1 || !extend(s, va, old, &holders)) &&
		    s->n < s->cap)
			s->ghost[s->n++] = (struct ghost){.va = va & ~(pages * PAGE_SIZE - 1),
							  .pages = pages,
							  .old = old,
							  .block = pages > 1,
							  .holders = holders};
	}
	pthread_mutex_unlock(&l->lock);
}

/* Drop the entries that nobody holds any more. */
static void sweep(struct space *s)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < s->n; i++)
		if (!set_empty(&s->ghost[i].holders))
			s->ghost[kept++] = s->ghost[i];
	s->n = kept;
}

/* ---- what is stale ---- */

/* The first page of it that the table does not grant as it did; false: it grants all of them. */
static bool stale_page(const struct space *s, const struct ghost *g, uint64_t *va, pte_t *now)
{
	for (uint64_t i = 0; i < g->pages; i++) {
		gpa_t pa;

		*va = g->va + i * PAGE_SIZE;
		*now = pt_leaf(s->mm, *va, &pa);
		if (!pte_present(*now) || pa.v != pte_pa(g->old).v + i * PAGE_SIZE ||
		    pte_perm(g->old) & ~pte_perm(*now))
			return true;
	}
	return false;
}

static void stale(struct ledger *l, struct space *s, struct ghost *g, unsigned vcpu,
		  const char *when)
{
	char text[512];
	uint64_t va;
	pte_t now;

	if (!stale_page(s, g, &va, &now)) {
		set_remove(&g->holders, vcpu);
		return;
	}
	snprintf(text, sizeof text,
		 "a stale translation can be used: address %#lx, %s %u, %s\n"
		 "entry was %#018lx, is %#018lx; %lu pages from %#lx, address space %#lx\n",
		 va, l->shadow ? "any vCPU, shadow" : "vCPU", vcpu, when, (unsigned long)g->old,
		 (unsigned long)now, (unsigned long)g->pages, g->va, s->root);
	if (l->report)
		l->report(text, l->arg);
	else
		fputs(text, stderr);
	abort();
}

void ledger_committed(struct ledger *l, uint64_t root, unsigned own)
{
	struct space *s;

	pthread_mutex_lock(&l->lock);
	s = space_of(l, root);
	for (unsigned i = 0; s && i < s->n; i++) {
		struct ghost *g = &s->ghost[i];

		if (g->committed)
			continue;
		g->committed = true;
		if (l->shadow) {
			stale(l, s, g, SHADOW, "as a call returns");
			continue;
		}
		for (unsigned v = 0; v < VCPU_WORDS * 64; v++) {
			if (!set_has(&g->holders, v))
				continue;
			if (v == own ? !tlb_covers(root, g->va, g->block ? 1 : g->pages)
				     : l->vcpu[v].in_guest && l->vcpu[v].root == root)
				stale(l, s, g, v, "as a call returns");
		}
	}
	if (s)
		sweep(s);
	pthread_mutex_unlock(&l->lock);
}

/* ---- what the platform reports ---- */

static bool range_retires(const struct tlb_request *done, const struct ghost *g)
{
	return g->block ? tlb_names(done, g->va, g->pages) : tlb_contains(done, g->va, g->pages);
}

static void strike(struct space *s, unsigned vcpu, const struct tlb_request *done, bool every)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct ghost *g = &s->ghost[i];

		if (!range_retires(done, g))
			continue;
		if (every)
			g->holders = (struct vcpu_set){{0}};
		else
			set_remove(&g->holders, vcpu);
	}
	sweep(s);
}

static void flushed_locked(struct ledger *l, unsigned vcpu, const struct tlb_request *done,
			   bool every)
{
	/* Untagged translations all go when the root is loaded. */
	bool all = done->kind == TLB_BROADCAST || (done->kind == TLB_SPACE && !PT_TLB_TAGGED);

	if (done->kind == TLB_NONE)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct space *s = l->bucket[i]; s; s = s->next)
			if (all || s->root == done->root)
				strike(s, vcpu, done, every);
}

void ledger_flushed(struct ledger *l, unsigned vcpu, const struct tlb_request *done, bool every)
{
	pthread_mutex_lock(&l->lock);
	flushed_locked(l, vcpu, done, every);
	pthread_mutex_unlock(&l->lock);
}

void ledger_enter(struct ledger *l, unsigned vcpu, uint64_t root, const struct tlb_request *done,
		  bool every)
{
	struct space *s;

	pthread_mutex_lock(&l->lock);
	flushed_locked(l, vcpu, done, every);
	l->vcpu[vcpu].root = root;
	l->vcpu[vcpu].in_guest = true;
	s = space_of(l, root);
	for (unsigned i = 0; s && i < s->n; i++)
		if (s->ghost[i].committed && set_has(&s->ghost[i].holders, vcpu))
			stale(l, s, &s->ghost[i], vcpu, "as it enters the guest");
	if (s)
		set_add(&s->ran, vcpu);
	pthread_mutex_unlock(&l->lock);
}

void ledger_leave(struct ledger *l, unsigned vcpu)
{
	pthread_mutex_lock(&l->lock);
	l->vcpu[vcpu].in_guest = false;
	pthread_mutex_unlock(&l->lock);
}

static void invalidate(struct ledger *l, struct space *s, const char *from, uint64_t len)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct ghost *g = &s->ghost[i];
		const char *at = gpa_host(l->sys, pte_pa(g->old));

		if (!from || (at >= from && at + g->pages * PAGE_SIZE <= from + len))
			set_remove(&g->holders, SHADOW);
	}
	sweep(s);
}

void ledger_invalidated(struct ledger *l, const void *host, uint64_t len)
{
	pthread_mutex_lock(&l->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct space *s = l->bucket[i]; s; s = s->next)
			invalidate(l, s, host, len);
	pthread_mutex_unlock(&l->lock);
}
