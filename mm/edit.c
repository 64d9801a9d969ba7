/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/check.h"
#include "mm/ledger.h"

void edit_begin(struct edit *e, struct mm *mm)
{
	e->mm = mm;
	e->req.kind = TLB_NONE;
	e->req.nranges = 0;
	e->exec = e->runs_overflow = e->waited = e->changed = e->lost = false;
	e->nruns = e->nputs = e->ndead = 0;
	e->dead = e->dead_inline;
	e->cap_dead = EDIT_DEAD;
	pthread_mutex_lock(&mm->lock);
	/* Nobody announces one while the lock is held. */
	e->owed = PT_BREAK_BEFORE_MAKE && platform_flush_owed(mm->sys->platform, mm->root_id) &&
		  TLB_SITE(SITE_MAKE_OWED);
}

/* ---- recording ---- */

static void add_host_run(struct edit *e, char *at, uint64_t len)
{
	struct host_run *last = e->nruns ? &e->run[e->nruns - 1] : NULL;

	count(&e->mm->sys->n.shadow_frames, len >> PAGE_SHIFT);
	if (last && last->at + last->len == at)
		last->len += len;
	else if (last && at + len == last->at)
		*last = (struct host_run){at, last->len + len};
	else if (e->nruns < EDIT_RUNS)
		e->run[e->nruns++] = (struct host_run){at, len};
	else
		e->runs_overflow = true;
}

/* A live translation of `pages` pages at va, to the page of `old`, is no longer what it was. */
static void stage(struct edit *e, uint64_t va, uint64_t pages, pte_t old)
{
	tlb_merge_range(&e->req, va, pages, PT_TLB_RANGE_PAGES);
	e->exec |= pte_perm(old) & PT_EXEC;
	e->lost = true;
	if (e->mm->sys->shadow)
		add_host_run(e, gpa_host(e->mm->sys, pte_pa(old)), pages << PAGE_SHIFT);
}

/* The entry now allows more: other vCPUs that fault on what they cached do so until this flush. */
static void stage_gain(struct edit *e, uint64_t va, uint64_t pages)
{
	if (PT_FLUSH_GAINS && TLB_SITE(SITE_GAIN))
		tlb_merge_range(&e->req, va, pages, PT_TLB_RANGE_PAGES);
}

/* The entry is about to let these pages be executed. Window pages are the host kernel's care. */
static void sync_code(struct edit *e, pte_t entry, uint64_t bytes)
{
	if (pte_present(entry) && pte_perm(entry) & PT_EXEC &&
	    gpa_frame(e->mm->sys, pte_pa(entry)) != FRAME_NONE)
		pt_sync_code(gpa_host(e->mm->sys, pte_pa(entry)), bytes);
}

static bool was_live(pte_t old)
{
	return pte_present(old) && pte_maybe_cached(old);
}

/* Every change of a leaf that may be live goes through here. */
static void changed(struct edit *e, uint64_t va, unsigned pages, pte_t old, pte_t now)
{
	struct ledger *l = e->mm->sys->ledger;

	if (l && was_live(old))
		ledger_changed(l, mm_root_id(e->mm), va, pages, old, now);
}

static pte_t replace(struct edit *e, pte_t *slot, uint64_t va, unsigned pages, pte_t entry)
{
	pte_t old = pt_swap(slot, entry);

	changed(e, va, pages, old, entry);
	return old;
}

/*
 * A page that another thread's pending flush is for must neither get a new entry nor be freed before it.
 * Which pages those are stands in that thread's own slot only: so all of them, once.
 */
static void settle_owed(struct edit *e)
{
	if (!e->owed)
		return;
	e->owed = false;
	tlb_stage_space(mm_root_id(e->mm));
	edit_settle(e);
}

/* The entry's reference to its page(s) goes after the flush. Window pages are kept by their area. */
static void put_later(struct edit *e, pte_t old, unsigned pages)
{
	uint32_t first = gpa_frame(e->mm->sys, pte_pa(old));
	struct frame_run *last;

	e->mm->rss -= pages;
	e->changed = true;
	settle_owed(e);
	if (first == FRAME_NONE)
		return;
	last = e->nputs ? &e->put[e->nputs - 1] : NULL;
	if (last && last->first + last->n == first) {
		last->n += pages;
		return;
	}
	if (e->nputs == EDIT_PUTS)
		edit_sync(e);
	e->put[e->nputs++] = (struct frame_run){first, pages};
}

static void add_pages(struct edit *e, unsigned n)
{
	struct mm *mm = e->mm;

	e->changed = true;
	mm->rss += n;
	if (mm->rss > mm->rss_peak)
		mm->rss_peak = mm->rss;
}

/* ---- changing leaves ---- */

/* What stood in the vacant entry before may still be cached. */
static void before_make(struct edit *e, uint64_t va, uint64_t pages)
{
	if (!PT_BREAK_BEFORE_MAKE)
		return;
	settle_owed(e);
	if ((tlb_names(&e->req, va, pages) || tlb_pending(mm_root_id(e->mm), va, pages)) &&
	    TLB_SITE(SITE_BEFORE_MAKE))
		edit_settle(e);
}

void edit_fill(struct edit *e, pte_t *slot, uint64_t va, pte_t entry)
{
	before_make(e, va, 1);
	sync_code(e, entry, PAGE_SIZE);
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
	add_pages(e, 1);
}

void edit_fill_block(struct edit *e, pte_t *level2, uint64_t va, pte_t entry)
{
	before_make(e, va, PT_ENTRIES);
	sync_code(e, entry, BLOCK_SIZE);
	__atomic_store_n(level2, entry, __ATOMIC_RELEASE);
	add_pages(e, PT_ENTRIES);
}

void edit_clear(struct edit *e, pte_t *slot, uint64_t va)
{
	pte_t old = replace(e, slot, va, 1, 0);

	if (was_live(old) && TLB_SITE(SITE_CLEAR))
		stage(e, va, 1, old);
	put_later(e, old, 1);
}

void edit_clear_block(struct edit *e, pte_t *level2, uint64_t va)
{
	pte_t old = replace(e, level2, va, PT_ENTRIES, 0);

	if (was_live(old) && TLB_SITE(SITE_CLEAR_BLOCK))
		stage(e, va, PT_ENTRIES, old);
	put_later(e, old, PT_ENTRIES);
}

static bool lost_permission(pte_t old, unsigned perm, bool hold)
{
	return hold || pte_perm(old) & ~perm;
}

/*
 * Write the entry with new permissions, its accessed bit as the hardware left it. Returns what it
 * was.
 */
static pte_t change_perm(struct edit *e, pte_t *slot, uint64_t va, unsigned pages, unsigned perm,
			 bool hold)
{
	pte_t old = pt_read(slot), entry;

	do {
		if (hold ? pte_held(old) : pte_present(old) && pte_perm(old) == perm)
			return old;
		entry = hold ? pte_hold(old) : pte_with_perm(old, perm);
		if (!(pte_present(old) && pte_perm(old) & PT_EXEC))
			sync_code(e, entry, pages * PAGE_SIZE);
	} while (!__atomic_compare_exchange_n(slot, &old, entry, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	e->changed = true;
	changed(e, va, pages, old, entry);
	return old;
}

void edit_perm(struct edit *e, pte_t *slot, uint64_t va, unsigned perm, bool hold)
{
	pte_t old = change_perm(e, slot, va, 1, perm, hold);

	if (was_live(old) && lost_permission(old, perm, hold) && TLB_SITE(SITE_PERM))
		stage(e, va, 1, old);
	else if (was_live(old) && pte_perm(old) != perm)
		stage_gain(e, va, 1);
}

void edit_perm_block(struct edit *e, pte_t *level2, uint64_t va, unsigned perm, bool hold)
{
	pte_t old = change_perm(e, level2, va, PT_ENTRIES, perm, hold);

	if (was_live(old) && lost_permission(old, perm, hold) && TLB_SITE(SITE_PERM_BLOCK))
		stage(e, va, PT_ENTRIES, old);
	else if (was_live(old) && pte_perm(old) != perm)
		stage_gain(e, va, PT_ENTRIES);
}

void edit_repoint(struct edit *e, pte_t *slot, uint64_t va, pte_t entry)
{
	pte_t old;

	if (PT_BREAK_BEFORE_MAKE && was_live(pt_read(slot)) && TLB_SITE(SITE_REPOINT_BREAK)) {
		edit_break(e, slot, va);
		edit_settle(e);
	}
	sync_code(e, entry, PAGE_SIZE);
	old = replace(e, slot, va, 1, entry);
	if (was_live(old) && TLB_SITE(SITE_REPOINT))
		stage(e, va, 1, old);
	put_later(e, old, 1);
	add_pages(e, 1);
}

void edit_break(struct edit *e, pte_t *slot, uint64_t va)
{
	pte_t old = pt_read(slot);

	if (!pte_present(old))
		return;
	old = replace(e, slot, va, 1, pte_hold(old));
	if (was_live(old) && TLB_SITE(SITE_BREAK))
		stage(e, va, 1, old);
}

void edit_wrprotect(struct edit *e, pte_t *slot, uint64_t va, bool block)
{
	pte_t old = pt_read(slot);

	if (!pte_present(old) || !(pte_perm(old) & PT_WRITE))
		return;
	old = change_perm(e, slot, va, block ? PT_ENTRIES : 1, pte_perm(old) & ~PT_WRITE, false);
	if (was_live(old) && TLB_SITE(block ? SITE_FORK_BLOCK : SITE_FORK))
		stage(e, va, block ? PT_ENTRIES : 1, old);
}

pte_t edit_take(struct edit *e, pte_t *slot, uint64_t va, bool block)
{
	pte_t old = replace(e, slot, va, block ? PT_ENTRIES : 1, 0);

	if (was_live(old) && TLB_SITE(SITE_TAKE))
		stage(e, va, block ? PT_ENTRIES : 1, old);
	e->mm->rss -= block ? PT_ENTRIES : 1;
	e->changed = true;
	return old;
}

/* ---- committing ---- */

static void count_commit(struct edit *e)
{
	struct mm_counters *n = &e->mm->sys->n;

	switch (e->req.kind) {
	case TLB_NONE:
		count(&n->flush_none, e->changed);
		break;
	case TLB_RANGE:
		count(&n->flush_range, 1);
		for (unsigned i = 0; i < e->req.nranges; i++)
			count(&n->flush_pages, e->req.range[i].pages);
		break;
	case TLB_SPACE:
		count(&n->flush_space, 1);
		break;
	case TLB_BROADCAST:
		count(&n->flush_broadcast, 1);
		break;
	}
}

static void flush_shadow(struct edit *e)
{
	struct mm_system *sys = e->mm->sys;

	if (e->runs_overflow) {
		if (TLB_SITE(SITE_INVALIDATE_ALL))
			table_drop_shadows(sys);
	} else {
		for (unsigned i = 0; i < e->nruns; i++)
			if (TLB_SITE(SITE_INVALIDATE))
				platform_invalidate(sys->platform, e->run[i].at, e->run[i].len);
	}
	e->nruns = 0;
	e->runs_overflow = false;
}

static void stage_self(const struct edit *e, uint64_t root)
{
	for (unsigned i = 0; i < e->req.nranges; i++)
		tlb_stage_range(root, e->req.range[i].start, e->req.range[i].pages, e->exec);
	if (e->req.kind == TLB_SPACE)
		tlb_stage_space(root);
	else if (e->req.kind == TLB_BROADCAST)
		tlb_stage_broadcast();
}

static void flush_nested(struct edit *e)
{
	uint64_t root;

	if (e->req.kind == TLB_NONE)
		return;
	root = mm_root_id(e->mm);
	if (TLB_SITE(SITE_STAGE_SELF))
		stage_self(e, root);
	if (e->lost && TLB_SITE(SITE_FLUSH_OTHERS))
		count(&e->mm->sys->n.remote_kicks,
		      platform_flush_others(e->mm->sys->platform, root,
					    e->req.kind == TLB_BROADCAST));
}

/* --tlb=broadcast: whatever has to be flushed becomes everything. */
static void widen_to_all(struct edit *e)
{
	if (e->req.kind == TLB_NONE)
		return;
	e->req.kind = TLB_BROADCAST;
	e->req.nranges = 0;
	e->runs_overflow |= e->nruns != 0;
}

/* Flush, then let go of the frames. Returns whether the release has to wait for the thread's flush. */
static bool commit(struct edit *e)
{
	struct mm_system *sys = e->mm->sys;
	bool wait;

	if (sys->tlb == MM_TLB_BROADCAST)
		widen_to_all(e);
	count_commit(e);
	if (sys->shadow)
		flush_shadow(e);
	else
		flush_nested(e);
	if (sys->ledger)
		ledger_committed(sys->ledger, mm_root_id(e->mm), platform_current_vcpu());
	/*
	 * Whatever goes while a flush of this thread is outstanding waits for it, also if this commit
	 * added nothing: the page's flush may have gone into an earlier one than its frame. Where the
	 * platform had everything executed at once, nothing has to wait.
	 */
	wait = !sys->shadow && !tlb_idle() && TLB_SITE(SITE_GATHER);
	if (wait)
		gather_frames(sys, e->put, e->nputs);
	else
		for (unsigned i = 0; i < e->nputs; i++)
			frame_put(sys, e->put[i].first, e->put[i].n);
	e->nputs = 0;
	e->req.kind = TLB_NONE;
	e->req.nranges = 0;
	e->exec = e->changed = e->lost = false;
	return wait;
}

void edit_settle(struct edit *e)
{
	edit_sync(e);
	if (PT_BREAK_BEFORE_MAKE && TLB_SITE(SITE_SETTLE))
		platform_flush_now(e->mm->sys->platform);
}

void edit_sync(struct edit *e)
{
	e->waited |= commit(e);
}

void edit_end(struct edit *e)
{
	struct mm_system *sys = e->mm->sys;

	edit_sync(e);
	check_edit_locked(e->mm, false);
	pthread_mutex_unlock(&e->mm->lock);
	/* Objects go without the lock: a backing's release calls out. */
	for (unsigned i = 0; i < e->ndead; i++) {
		if (e->waited && e->dead[i].win && TLB_SITE(SITE_GATHER_WINDOW)) {
			window_ref(sys, e->dead[i].win);
			gather_window(sys, e->dead[i].win);
		}
		area_refs_put(sys, &e->dead[i]);
	}
	if (e->dead != e->dead_inline)
		free(e->dead);
}

int edit_reserve_dead(struct edit *e, unsigned n)
{
	unsigned want = e->ndead + n;
	struct area *v;

	if (want <= e->cap_dead)
		return 0;
	v = malloc(want * sizeof *v);
	if (!v)
		return -ENOMEM;
	memcpy(v, e->dead, e->ndead * sizeof *v);
	if (e->dead != e->dead_inline)
		free(e->dead);
	e->dead = v;
	e->cap_dead = want;
	return 0;
}

void edit_kill_area(struct edit *e, unsigned i)
{
	struct area *a = &e->mm->areas.v[i];

	area_account(e->mm, a, -1);
	e->dead[e->ndead++] = *a;
	area_remove_at(e->mm, i);
}
