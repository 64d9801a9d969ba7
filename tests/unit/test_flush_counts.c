/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each change to an address space flushes the pages that changed under a translation that may be
 * cached, and no other: how many are counted, and which ones are staged.
 */
#include <sys/mman.h>

#include "mm/tlb.h"
#include "tests/unit/test_mm.h"

#define MOST 64u /* pages of a region */

/* Does the processor say what it has cached? Then pages that were never used need no flush. */
static bool knows_use(void)
{
	return !pte_maybe_cached(pte_page(GPA(0), PT_USER));
}

static void make_readable(struct world *w, unsigned pages)
{
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(pages), PROT_READ), 0);
}

static void make_inaccessible(struct world *w, unsigned pages)
{
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(pages), PROT_NONE), 0);
}

static void unmap(struct world *w, unsigned pages)
{
	assert_int_equal(mm_unmap(w->mm, GVA(AT), PAGES(pages)), 0);
}

static void overlay(struct world *w, unsigned pages)
{
	map_anon(w, AT, pages, PROT_NONE);
}

static void drop(struct world *w, unsigned pages)
{
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(pages), MADV_DONTNEED), 0);
}

static void move(struct world *w, unsigned pages)
{
	uint64_t to = AT + PAGES(2 * MOST);

	assert_int_equal(mm_remap(w->mm, GVA(AT), PAGES(pages), PAGES(pages),
				  MREMAP_MAYMOVE | MREMAP_FIXED, GVA(to)),
			 to);
}

static void (*const changes[])(struct world *, unsigned) = {make_readable, make_inaccessible,
							    unmap,	   overlay,
							    drop,	   move};

static void use(struct world *w, unsigned page)
{
	assert_int_equal(guest_write(w, w->mm, AT + PAGES(page), page), 0);
}

/* A region all of whose pages are present, with nothing left to flush. */
static void make_region(struct world *w, unsigned pages)
{
	map_anon(w, AT, pages, RW);
	fake_enter_exit(w->p, mm_root(w->mm));
}

/* Start over: what the last change left behind goes. */
static void clear_region(struct world *w)
{
	mm_unmap(w->mm, GVA(AT), PAGES(4 * MOST));
	fake_enter_exit(w->p, mm_root(w->mm));
}

/*
 * The counters rose by one flush of these pages; if it is a range, exactly they are staged. Where an
 * entry may not be made before an earlier one has been flushed, a long move takes several.
 */
static void assert_flushed(struct world *w, const bool *pages, unsigned most_spaces)
{
	struct mm_stats st = stats_of(w);
	unsigned n = 0, runs = 0;

	for (unsigned i = 0; i < MOST; i++) {
		n += pages[i];
		runs += pages[i] && (!i || !pages[i - 1]);
	}
	assert_int_equal(st.flush_broadcast, 0);
	if (n > PT_TLB_RANGE_PAGES || runs > TLB_RANGES) {
		assert_in_range(st.flush_space, 1, most_spaces);
		assert_in_range(st.flush_range, 0, most_spaces - 1);
		return;
	}
	assert_int_equal(st.flush_space, 0);
	assert_int_equal(st.flush_range, n != 0);
	assert_int_equal(st.flush_pages, n);
	for (unsigned i = 0; i < MOST && platform_paging(w->p) == PLATFORM_PAGING_NESTED; i++)
		assert_int_equal(tlb_pending(mm_root_id(w->mm), AT + PAGES(i), 1), pages[i]);
}

static unsigned flushes_of(void (*change)(struct world *, unsigned), unsigned pages)
{
	return PT_BREAK_BEFORE_MAKE && change == move ? 1 + pages / PT_TLB_RANGE_PAGES : 1;
}

static void each_change_flushes_what_it_changes(void **state)
{
	static const unsigned sizes[] = {1, 2, 4, 16, 17, 33, 34, 64};
	struct world *w = *state;

	for (unsigned c = 0; c < sizeof changes / sizeof changes[0]; c++)
		for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
			bool wanted[MOST] = {false};

			make_region(w, sizes[s]);
			for (unsigned i = 0; i < sizes[s]; i++) {
				use(w, i);
				wanted[i] = true;
			}
			stats_of(w);
			changes[c](w, sizes[s]);
			assert_flushed(w, wanted, flushes_of(changes[c], sizes[s]));
			clear_region(w);
		}
}

/* Pages `step` apart have been used. */
static void flush_of_some(struct world *w, void (*change)(struct world *, unsigned), unsigned step,
			  unsigned used)
{
	bool wanted[MOST] = {false};
	unsigned pages = (used - 1) * step + 1;

	make_region(w, pages);
	for (unsigned i = 0; i < pages; i++)
		wanted[i] = !knows_use();
	for (unsigned i = 0; i < used; i++) {
		use(w, i * step);
		wanted[i * step] = true;
	}
	stats_of(w);
	change(w, pages);
	assert_flushed(w, wanted, 1);
	clear_region(w);
}

static void pages_never_used_are_left_out(void **state)
{
	struct world *w = *state;

	for (unsigned c = 0; c < sizeof changes / sizeof changes[0]; c++)
		for (unsigned used = 1; used <= TLB_RANGES; used++)
			flush_of_some(w, changes[c], 3, used);
}

static void too_many_ranges_become_the_address_space(void **state)
{
	struct world *w = *state;

	for (unsigned c = 0; c < sizeof changes / sizeof changes[0]; c++)
		flush_of_some(w, changes[c], 3, TLB_RANGES + 1);
}

/* Permissions a part of the range has already, and permissions it had before. */
static void only_pages_that_lose_something_are_flushed(void **state)
{
	struct world *w = *state;
	bool wanted[MOST] = {false};

	make_region(w, 12);
	for (unsigned i = 0; i < 12; i++)
		use(w, i);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(3), PROT_READ), 0);
	assert_int_equal(mm_protect(w->mm, GVA(AT + PAGES(9)), PAGES(3), PROT_NONE), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	for (unsigned i = 3; i < 9; i++)
		wanted[i] = true;
	stats_of(w);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(12), PROT_READ), 0);
	assert_flushed(w, wanted, 1);
	fake_enter_exit(w->p, mm_root(w->mm));

	/* What everybody has: nothing at all. */
	stats_of(w);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(12), PROT_READ), 0);
	assert_int_equal(mm_protect(w->mm, GVA(AT + PAGES(2)), PAGES(5), PROT_READ), 0);
	assert_flushed(w, (bool[MOST]){false}, 1);
	assert_int_equal(stats_of(w).flush_none, 0);
}

/* Two changes before the thread runs again are one flush, of both. */
static void changes_in_one_trap_are_merged(void **state)
{
	struct world *w = *state;
	struct tlb_request req;

	if (platform_paging(w->p) != PLATFORM_PAGING_NESTED)
		return;
	make_region(w, 12);
	for (unsigned i = 0; i < 12; i++)
		use(w, i);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(2), PROT_READ), 0);
	assert_int_equal(mm_unmap(w->mm, GVA(AT + PAGES(8)), PAGES(3)), 0);
	assert_int_equal(mm_protect(w->mm, GVA(AT + PAGES(2)), PAGES(1), PROT_READ), 0);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(tlb_pending(mm_root_id(w->mm), AT + PAGES(i), 1),
				 i < 3 || (i >= 8 && i < 11));
	assert_int_equal(tlb_take(&req), TLB_RANGE);
	assert_int_equal(req.nranges, 2);
	assert_int_equal(req.root, mm_root_id(w->mm));
	mm_flush_executed();
}

/* One page taken out of a block: by its address, which drops the block. */
static void a_page_of_a_block_is_one_page(void **state)
{
	struct world *w = *state;
	uint64_t at = AT + PAGES(100);
	struct mm_stats st;

	/* arm64 breaks the block first. Under shadow paging there are none. */
	if (PT_BREAK_BEFORE_MAKE || platform_paging(w->p) != PLATFORM_PAGING_NESTED)
		return;
	map_anon(w, AT, 4 * PT_ENTRIES, RW);
	assert_int_equal(guest_write(w, w->mm, at, 1), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	stats_of(w);
	assert_int_equal(mm_unmap(w->mm, GVA(at), PAGES(1)), 0);
	st = stats_of(w);
	assert_int_equal(st.flush_range, 1);
	assert_int_equal(st.flush_pages, 1);
	assert_int_equal(st.flush_space + st.flush_broadcast, 0);
	assert_true(tlb_pending(mm_root_id(w->mm), at, 1));
}

int run_flush_count_tests(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(each_change_flushes_what_it_changes),
		ON_ALL(pages_never_used_are_left_out),
		ON_ALL(too_many_ranges_become_the_address_space),
		ON_ALL(only_pages_that_lose_something_are_flushed),
		ON_ALL(changes_in_one_trap_are_merged),
		ON_ALL(a_page_of_a_block_is_one_page),
	};

	return cmocka_run_group_tests_name("flush counts", tests, NULL, NULL);
}
