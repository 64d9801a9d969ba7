/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of mm by themselves: walking indices, merging of flushes, frames, guarded copies. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm/frame.h"
#include "mm/guarded_copy.h"
#include "tests/unit/test_mm.h"

static void indices_and_spans(void **state)
{
	uint64_t va = (uint64_t)1 << 39 | (uint64_t)2 << 30 | (uint64_t)3 << 21 | (uint64_t)4 << 12;

	(void)state;
	assert_int_equal(pt_index(va, 4), 1);
	assert_int_equal(pt_index(va, 3), 2);
	assert_int_equal(pt_index(va, 2), 3);
	assert_int_equal(pt_index(va, 1), 4);
	assert_int_equal(pt_index(0xffffffff80000000, 4), 511);
	assert_int_equal(pt_span(1), 4096);
	assert_int_equal(pt_span(2), BLOCK_SIZE);
}

/* ---- merging of flush requests ---- */

static void merge_joins_touching_ranges(void **state)
{
	struct tlb_request r = {0};

	(void)state;
	tlb_merge_range(&r, 0x5000, 2, 33);
	tlb_merge_range(&r, 0x9000, 1, 33);
	assert_int_equal(r.nranges, 2);
	tlb_merge_range(&r, 0x7000, 2, 33);
	assert_int_equal(r.kind, TLB_RANGE);
	assert_int_equal(r.nranges, 1);
	assert_int_equal(r.range[0].start, 0x5000);
	assert_int_equal(r.range[0].pages, 5);
}

static void merge_counts_overlap_once(void **state)
{
	struct tlb_request r = {0};

	(void)state;
	for (int i = 0; i < 100; i++)
		tlb_merge_range(&r, 0x1000, 33, 33);
	assert_int_equal(r.kind, TLB_RANGE);
	assert_int_equal(r.range[0].pages, 33);
	tlb_merge_range(&r, 0x1000 + PAGES(33), 1, 33);
	assert_int_equal(r.kind, TLB_SPACE);
}

static void merge_widens_past_the_bounds(void **state)
{
	struct tlb_request r = {0};

	(void)state;
	for (unsigned i = 0; i < TLB_RANGES; i++)
		tlb_merge_range(&r, 0x100000 * (i + 1), 1, 33);
	assert_int_equal(r.kind, TLB_RANGE);
	assert_int_equal(r.nranges, TLB_RANGES);
	tlb_merge_range(&r, 0x100000 * 9, 1, 33);
	assert_int_equal(r.kind, TLB_SPACE);
	tlb_merge_range(&r, 0x1000, 1, 33);
	assert_int_equal(r.kind, TLB_SPACE);
	r = (struct tlb_request){0};
	tlb_merge_range(&r, 0x1000, 0, 33);
	assert_int_equal(r.kind, TLB_NONE);
	tlb_merge_range(&r, 0x1000, (uint64_t)1 << 40, 33);
	assert_int_equal(r.kind, TLB_SPACE);
}

/* Against a bitmap: never less than was asked, and never more until the bounds are passed. */
static void merge_names_the_union(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct tlb_request r = {0};
		bool want[64] = {false}, got[64] = {false};

		for (int i = 0; i < 6 && r.kind != TLB_SPACE; i++) {
			unsigned start = (seed = seed * 1103515245 + 12345) >> 16 & 31;
			unsigned n = 1 + (seed >> 24 & 7);

			tlb_merge_range(&r, PAGES(start), n, 33);
			for (unsigned k = start; k < start + n; k++)
				want[k] = true;
		}
		if (r.kind == TLB_SPACE)
			continue;
		for (unsigned i = 0; i < r.nranges; i++)
			for (unsigned k = 0; k < r.range[i].pages; k++)
				got[r.range[i].start / PAGE_SIZE + k] = true;
		assert_memory_equal(want, got, sizeof want);
	}
}

static void slot_is_taken_whole(void **state)
{
	struct tlb_request r;

	(void)state;
	tlb_clear();
	assert_int_equal(tlb_take(&r), TLB_NONE);
	tlb_stage_range(0x1000, 0x5000, 2, true);
	assert_int_equal(tlb_take(&r), TLB_RANGE);
	assert_int_equal(r.root, 0x1000);
	assert_true(r.exec);
	assert_int_equal(tlb_take(&r), TLB_NONE);
	tlb_stage_range(0x1000, 0x5000, 2, false);
	tlb_stage_range(0x2000, 0x5000, 2, false);
	assert_int_equal(tlb_take(&r), TLB_BROADCAST);
	tlb_stage_space(0x1000);
	tlb_stage_range(0x1000, 0x5000, 2, false);
	assert_int_equal(tlb_take(&r), TLB_SPACE);
	tlb_stage_broadcast();
	tlb_stage_space(0x1000);
	assert_int_equal(tlb_take(&r), TLB_BROADCAST);
	tlb_stage_broadcast();
	tlb_clear();
	assert_int_equal(tlb_take(&r), TLB_NONE);
}

/* ---- frames ---- */

static void frames_come_in_runs(void **state)
{
	struct world *w = *state;
	uint32_t a, b;

	assert_int_equal(frame_alloc(w->sys, 32, true, &a), 32);
	assert_int_equal(frame_alloc(w->sys, 32, true, &b), 32);
	assert_int_equal(b, a + 32);
	frame_put(w->sys, a, 32);
	/* A hole of 32 is not enough for 40: the run after b is. */
	assert_int_equal(frame_alloc(w->sys, 40, true, &a), 40);
	assert_int_equal(a, b + 32);
	frame_put(w->sys, a, 40);
	frame_put(w->sys, b, 32);
}

static void frames_are_zeroed_before_reuse(void **state)
{
	struct world *w = *state;
	uint32_t f, g;

	frame_alloc(w->sys, 1, true, &f);
	memset(frame_host(w->sys, f), 0xaa, PAGE_SIZE);
	frame_put(w->sys, f, 1);
	frame_alloc(w->sys, 1, true, &g);
	assert_int_equal(f, g);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(frame_host(w->sys, g)[i], 0);
	frame_put(w->sys, g, 1);
}

static void shared_frames_stay_until_the_last_reference(void **state)
{
	struct world *w = *state;
	uint32_t f, g;

	frame_alloc(w->sys, 1, true, &f);
	frame_get(w->sys, f);
	frame_put(w->sys, f, 1);
	frame_alloc(w->sys, 1, true, &g);
	assert_int_not_equal(f, g);
	frame_put(w->sys, f, 1);
	frame_put(w->sys, g, 1);
}

static uint64_t committed(struct world *w)
{
	struct stat st;

	fstat(w->sys->frames.fd, &st);
	return (uint64_t)st.st_blocks * 512;
}

static void freed_memory_goes_back_to_the_host(void **state)
{
	struct world *w = *state;

	for (int round = 0; round < 3; round++) {
		map_anon(w, AT, 16384, RW);
		for (uint64_t i = 0; i < 16384; i++)
			assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), 1), 0);
		assert_true(committed(w) >= PAGES(16384));
		assert_int_equal(mm_unmap(w->mm, GVA(AT), PAGES(16384)), 0);
		fake_enter_exit(w->p, mm_root(w->mm));
		assert_true(committed(w) < (uint64_t)16 << 20);
	}
}

static void arena_is_bounded(void **state)
{
	struct world *w = *state;
	static uint32_t first[70000];
	unsigned n = 0, total = w->sys->frames.nframes;

	while (frame_alloc(w->sys, 1, true, &first[n]))
		n++;
	assert_true(n <= total && n >= total - 2 * GROUP_FRAMES);
	while (n)
		frame_put(w->sys, first[--n], 1);
}

/* ---- guarded copies ---- */

static void guarded_copy_stops_at_a_hole(void **state)
{
	char *p = mmap(NULL, PAGES(2), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[8192];
	uint32_t word = 7;

	(void)state;
	assert_int_equal(guarded_install(), 0); /* cmocka has put its own handlers over them */
	munmap(p + 4096, 4096);
	memset(p, 5, 4096);
	assert_int_equal(guarded_copy(buf, p + 4000, 200), 104);
	assert_int_equal(buf[95], 5);
	assert_int_equal(guarded_copy(p + 4000, buf, 200), 104);
	assert_int_equal(guarded_zero(p + 4095, 3), 2);
	assert_int_equal(p[4095], 0);
	assert_false(guarded_load32((uint32_t *)(p + 4096), &word));
	assert_false(guarded_cmpxchg32((uint32_t *)(p + 4096), 1, 2, &word));
	assert_int_equal(word, 7);
	assert_true(guarded_cmpxchg32((uint32_t *)p, 0x05050505, 9, &word));
	assert_int_equal(word, 0x05050505);
	assert_true(guarded_load32((uint32_t *)p, &word));
	assert_int_equal(word, 9);
	munmap(p, 4096);
}

static void guarded_copy_stops_at_a_truncated_file(void **state)
{
	int fd = memfd_create("t", 0);
	char *p, buf[64];

	(void)state;
	assert_int_equal(guarded_install(), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	p = mmap(NULL, 4096, RW, MAP_SHARED, fd, 0);
	assert_int_equal(guarded_copy(buf, p, 64), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(guarded_copy(buf, p, 64), 64);
	munmap(p, 4096);
	close(fd);
}

int run_unit_tests(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(indices_and_spans),
		cmocka_unit_test(merge_joins_touching_ranges),
		cmocka_unit_test(merge_counts_overlap_once),
		cmocka_unit_test(merge_widens_past_the_bounds),
		cmocka_unit_test(merge_names_the_union),
		cmocka_unit_test(slot_is_taken_whole),
	};
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup_nested, world_teardown)
	const struct CMUnitTest world[] = {
		IN_WORLD(frames_come_in_runs),
		IN_WORLD(frames_are_zeroed_before_reuse),
		IN_WORLD(shared_frames_stay_until_the_last_reference),
		IN_WORLD(freed_memory_goes_back_to_the_host),
		IN_WORLD(arena_is_bounded),
		IN_WORLD(guarded_copy_stops_at_a_hole),
		IN_WORLD(guarded_copy_stops_at_a_truncated_file),
	};

	return cmocka_run_group_tests_name("mm: flush requests", pure, NULL, NULL) +
	       cmocka_run_group_tests_name("mm: frames and copies", world, NULL, NULL);
}
