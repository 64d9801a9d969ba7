/* SPDX-License-Identifier: Apache-2.0 */
/* Copy-on-write: a private page that may not be written yet because someone else has it too. */
#include <errno.h>

#include "mm/fault.h"
#include "mm/guarded_copy.h"

/* Frames taken in one go, so that the copies of neighbouring pages are neighbours. */
struct stash {
	uint32_t next;
	unsigned n;
};

static uint32_t stash_take(struct mm_system *sys, struct stash *s, unsigned want)
{
	if (!s->n)
		s->n = frame_alloc(sys, want, false, &s->next);
	if (!s->n)
		return FRAME_NONE;
	s->n--;
	return s->next++;
}

bool cow_exclusive(struct mm_system *sys, uint32_t frame)
{
	unsigned pins = atomic_load_explicit(&sys->frames.frame[frame].pins, memory_order_acquire);

	return frame_refs(sys, frame) <= 1 + pins;
}

/* The page stays as it was: readable again, if it was broken. */
static void unbreak(struct edit *e, const struct area *a, pte_t *slot, uint64_t va)
{
	if (PT_BREAK_BEFORE_MAKE && pte_held(pt_read(slot)))
		edit_perm(e, slot, va, area_perm(a) & ~PT_WRITE, false);
}

/* Make the page at va the mm's own. */
static int cow_page(struct edit *e, const struct area *a, pte_t *slot, uint64_t va, struct stash *s,
		    unsigned want)
{
	struct mm_system *sys = e->mm->sys;
	pte_t old = pt_read(slot);
	uint32_t frame = gpa_frame(sys, pte_pa(old));

	if (frame != FRAME_NONE && cow_exclusive(sys, frame)) {
		edit_perm(e, slot, va, area_perm(a), false);
		return 0;
	}
	frame = stash_take(sys, s, want);
	if (frame == FRAME_NONE) {
		unbreak(e, a, slot, va);
		return -ENOMEM;
	}
	if (guarded_copy(frame_host(sys, frame), gpa_host(sys, pte_pa(old)), PAGE_SIZE)) {
		unbreak(e, a, slot, va);
		frame_put(sys, frame, 1);
		return -ENXIO;
	}
	edit_repoint(e, slot, va, pte_page(frame_gpa(sys, frame), area_perm(a)));
	return 0;
}

static bool wants_copy(const pte_t *slot)
{
	pte_t leaf = pt_read(slot);

	return pte_present(leaf) && !(pte_perm(leaf) & PT_WRITE);
}

/* Break-before-make: one flush for all pages named in `todo` that will be copied. */
static void break_all(struct edit *e, pte_t *first, uint64_t from, unsigned todo)
{
	struct mm_system *sys = e->mm->sys;

	for (unsigned i = 0; todo >> i; i++) {
		uint32_t frame = gpa_frame(sys, pte_pa(pt_read(first + i)));

		if (todo >> i & 1 && (frame == FRAME_NONE || !cow_exclusive(sys, frame)))
			edit_break(e, first + i, from + i * PAGE_SIZE);
	}
	if (e->req.kind != TLB_NONE)
		edit_settle(e);
}

_Static_assert(MM_AROUND_COW < 32, "a bit for each page");

int cow_break(struct edit *e, const struct area *a, uint64_t va, bool around)
{
	struct mm_system *sys = e->mm->sys;
	struct stash s = {.n = 0};
	pte_t *slot = pt_slot(e->mm, va), *first;
	uint64_t span = MM_AROUND_COW * PAGE_SIZE, from = va & ~(span - 1), to = from + span;
	unsigned want = 1, todo = 0;
	int ret = 0;

	if (!around || !frame_plenty(sys))
		return cow_page(e, a, slot, va, &s, 1);
	if (from < a->start)
		from = a->start;
	if (to > a->end)
		to = a->end;
	/* An aligned window of 16 pages never leaves the level-1 table. */
	first = slot - ((va - from) >> PAGE_SHIFT);
	for (uint64_t p = from; p < to; p += PAGE_SIZE)
		if (wants_copy(first + ((p - from) >> PAGE_SHIFT))) {
			todo |= 1u << ((p - from) >> PAGE_SHIFT);
			want += p != va;
		}
	if (PT_BREAK_BEFORE_MAKE)
		break_all(e, first, from, todo);
	for (uint64_t p = from; p < to; p += PAGE_SIZE) {
		unsigned i = (unsigned)((p - from) >> PAGE_SHIFT);
		int err;

		if (!(todo >> i & 1))
			continue;
		err = cow_page(e, a, first + i, p, &s, want--);
		if (p == va)
			ret = err;
	}
	if (s.n)
		frame_put(sys, s.next, s.n);
	return ret;
}
