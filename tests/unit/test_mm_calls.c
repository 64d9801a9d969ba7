/* SPDX-License-Identifier: Apache-2.0 */
/* What the system calls do to anonymous memory, and what each of them flushes. */
#include <errno.h>
#include <string.h>

#include "tests/unit/test_mm.h"

static int64_t map_somewhere(struct world *w, uint64_t hint, uint64_t len, unsigned flags)
{
	struct mm_map_args args = {.addr = GVA(hint),
				   .len = len,
				   .prot = RW,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS | flags};

	return mm_map(w->mm, &args);
}

static void map_checks_its_arguments(void **state)
{
	struct world *w = *state;
	struct mm_map_args args = {.len = 4096, .prot = RW, .flags = MAP_ANONYMOUS};

	assert_int_equal(mm_map(w->mm, &args), -EINVAL); /* neither shared nor private */
	assert_int_equal(map_somewhere(w, 0, 0, 0), -EINVAL);
	assert_int_equal(map_somewhere(w, 0, UINT64_MAX, 0), -ENOMEM);
	assert_int_equal(map_somewhere(w, 0, MM_TASK_SIZE + 4096, 0), -ENOMEM);
	assert_int_equal(map_somewhere(w, AT + 1, 4096, MAP_FIXED), -EINVAL);
	assert_int_equal(map_somewhere(w, 0, 4096, MAP_FIXED), -EPERM);
	assert_int_equal(map_somewhere(w, MM_TASK_SIZE, 4096, MAP_FIXED), -ENOMEM);
	assert_int_equal(map_somewhere(w, 0, 4096, MAP_HUGETLB), -ENOMEM);
	assert_int_equal(map_somewhere(w, AT, 4096, MAP_FIXED_NOREPLACE), AT);
	assert_int_equal(map_somewhere(w, AT, 4096, MAP_FIXED_NOREPLACE), -EEXIST);
}

static void map_places_top_down(void **state)
{
	struct world *w = *state;
	struct mm_layout layout = {.mmap_base = GVA(AT + PAGES(100))};

	mm_set_layout(w->mm, &layout);
	assert_int_equal(map_somewhere(w, 0, PAGES(3), 0), AT + PAGES(97));
	assert_int_equal(map_somewhere(w, 0, PAGES(2), 0), AT + PAGES(95));
	assert_string_equal(maps(w->mm), "95-100 rw-p\n");
	mm_unmap(w->mm, GVA(AT + PAGES(97)), PAGES(1));
	assert_int_equal(map_somewhere(w, 0, 4096, 0), AT + PAGES(97));
	/* A free hint is taken, one in use is not; a hint is rounded up. */
	assert_int_equal(map_somewhere(w, AT + 1, 4096, 0), AT + PAGES(1));
	assert_int_equal(map_somewhere(w, AT + PAGES(1), 4096, 0), AT + PAGES(94));
	assert_true((uint64_t)map_somewhere(w, 0, 4096, MAP_32BIT) < (uint64_t)1 << 31);
}

static void neighbours_merge_and_split(void **state)
{
	struct world *w = *state;

	map_anon(w, AT, 4, RW);
	map_anon(w, AT + PAGES(4), 4, RW);
	assert_string_equal(maps(w->mm), "0-8 rw-p\n");
	mm_protect(w->mm, GVA(AT + PAGES(2)), PAGES(2), PROT_READ);
	assert_string_equal(maps(w->mm), "0-2 rw-p\n2-4 r--p\n4-8 rw-p\n");
	mm_protect(w->mm, GVA(AT + PAGES(2)), PAGES(2), RW);
	assert_string_equal(maps(w->mm), "0-8 rw-p\n");
	mm_unmap(w->mm, GVA(AT + PAGES(3)), PAGES(2));
	assert_string_equal(maps(w->mm), "0-3 rw-p\n5-8 rw-p\n");
	map_anon(w, AT + PAGES(3), 2, RW);
	assert_string_equal(maps(w->mm), "0-8 rw-p\n");
	assert_sound(w->mm);
}

static void faults_give_linux_errors(void **state)
{
	struct world *w = *state;
	uint32_t v;

	map_anon(w, AT, 1, RW);
	map_anon(w, AT + PAGES(1), 1, PROT_READ);
	map_anon(w, AT + PAGES(2), 1, PROT_NONE);
	assert_int_equal(guest_write(w, w->mm, AT, 1), 0);
	assert_int_equal(guest_write(w, w->mm, AT + PAGES(1), 1), -EACCES);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(1), &v), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(2), &v), -EACCES);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(3), &v), -EFAULT);
	assert_int_equal(mm_fault(w->mm, GVA(AT), MM_ACCESS_EXEC), -EACCES);
	assert_int_equal(mm_fault(w->mm, GVA(MM_TASK_SIZE), MM_ACCESS_READ), -EFAULT);
}

static void content_survives_prot_none(void **state)
{
	struct world *w = *state;
	uint32_t v;

	map_anon(w, AT, 4, RW);
	assert_int_equal(guest_write(w, w->mm, AT, 42), 0);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(4), PROT_NONE), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(guest_read(w, w->mm, AT, &v), -EACCES);
	assert_sound(w->mm);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(4), PROT_READ), 0);
	assert_int_equal(guest_read(w, w->mm, AT, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(guest_write(w, w->mm, AT, 1), -EACCES);
}

static void protect_to_the_same_flushes_nothing(void **state)
{
	struct world *w = *state;
	struct mm_stats st;

	map_anon(w, AT, 16, RW);
	for (unsigned i = 0; i < 16; i++)
		guest_write(w, w->mm, AT + PAGES(i), i);
	mm_protect(w->mm, GVA(AT), PAGES(16), PROT_READ);
	fake_enter_exit(w->p, mm_root(w->mm));
	stats_of(w);
	mm_protect(w->mm, GVA(AT), PAGES(16), PROT_READ);
	st = stats_of(w);
	assert_int_equal(st.flush_range + st.flush_space + st.flush_broadcast, 0);
	mm_protect(w->mm, GVA(AT), PAGES(16), RW); /* only grants */
	st = stats_of(w);
	assert_int_equal(st.flush_range, PT_FLUSH_GAINS);
	assert_int_equal(st.flush_space + st.flush_broadcast, 0);
}

static void flushes_name_the_smallest_range(void **state)
{
	struct world *w = *state;
	struct mm_stats st;

	map_anon(w, AT, 64, RW);
	for (unsigned i = 0; i < 64; i++)
		guest_write(w, w->mm, AT + PAGES(i), i);
	stats_of(w);
	mm_protect(w->mm, GVA(AT + PAGES(4)), PAGES(4), PROT_READ);
	fake_enter_exit(w->p, mm_root(w->mm));
	st = stats_of(w);
	assert_int_equal(st.flush_range, 1);
	assert_int_equal(st.flush_pages, 4);
	/* Half of it is read-only already. */
	mm_protect(w->mm, GVA(AT + PAGES(6)), PAGES(4), PROT_READ);
	fake_enter_exit(w->p, mm_root(w->mm));
	st = stats_of(w);
	assert_int_equal(st.flush_range, 1);
	assert_int_equal(st.flush_pages, 2);
	mm_unmap(w->mm, GVA(AT), PAGES(1));
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(stats_of(w).flush_pages, 1);
	mm_unmap(w->mm, GVA(AT), PAGES(64));
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(stats_of(w).flush_space, 1);
}

static void untouched_pages_need_no_flush(void **state)
{
	struct world *w = *state;
	struct mm_stats st;

	map_anon(w, AT, 16, RW);
	stats_of(w);
	mm_unmap(w->mm, GVA(AT), PAGES(16));
	st = stats_of(w);
	if (pte_maybe_cached(pte_page(GPA(0), PT_USER))) {
		assert_int_equal(st.flush_range, 1); /* the hardware keeps no accessed bit */
	} else {
		assert_int_equal(st.flush_range + st.flush_space, 0);
		assert_int_equal(st.flush_none, 1);
	}
}

static void small_mappings_and_heap_take_no_fault(void **state)
{
	struct world *w = *state;

	map_anon(w, AT, 32, RW);
	mm_set_brk(w->mm, GVA(AT + PAGES(100) + 8));
	assert_int_equal(mm_brk(w->mm, GVA(AT + PAGES(110))).v, AT + PAGES(110));
	stats_of(w);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), 1), 0);
	for (unsigned i = 101; i < 110; i++)
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), 1), 0);
	assert_int_equal(stats_of(w).faults, 0);
	map_anon(w, AT + PAGES(1024), 256, RW);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(1024 + i), 1), 0);
	assert_int_equal(stats_of(w).faults, 3); /* 32 pages, 128 in order, the rest */
}

static void brk_grows_shrinks_and_refuses(void **state)
{
	struct world *w = *state;
	uint64_t start = AT + 100;
	uint32_t v = 0;

	mm_set_brk(w->mm, GVA(start));
	assert_int_equal(mm_brk(w->mm, GVA(0)).v, start);
	assert_int_equal(mm_brk(w->mm, GVA(start + PAGES(10))).v, start + PAGES(10));
	assert_int_equal(guest_write(w, w->mm, AT + PAGES(9), 5), 0);
	assert_string_equal(maps(w->mm), "1-11 rw-p [heap]\n");
	assert_int_equal(mm_brk(w->mm, GVA(start + PAGES(2))).v, start + PAGES(2));
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(9), &v), -EFAULT);
	assert_int_equal(mm_brk(w->mm, GVA(start + PAGES(10))).v, start + PAGES(10));
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(9), &v), 0);
	assert_int_equal(v, 0);
	map_anon(w, AT + PAGES(20), 1, RW);
	assert_int_equal(mm_brk(w->mm, GVA(start + PAGES(30))).v, start + PAGES(10));
	assert_int_equal(mm_brk(w->mm, GVA(start - 1)).v, start + PAGES(10));
	mm_set_limits(w->mm, UINT64_MAX, PAGES(12), UINT64_MAX);
	assert_int_equal(mm_brk(w->mm, GVA(start + PAGES(15))).v, start + PAGES(10));
}

static void limits_are_enforced(void **state)
{
	struct world *w = *state;

	mm_set_limits(w->mm, PAGES(10), UINT64_MAX, UINT64_MAX);
	assert_int_equal(map_somewhere(w, 0, PAGES(11), 0), -ENOMEM);
	assert_true(map_somewhere(w, AT, PAGES(10), 0) > 0);
	assert_int_equal(map_somewhere(w, 0, PAGES(1), 0), -ENOMEM);
	assert_int_equal(map_somewhere(w, AT, PAGES(2), MAP_FIXED), AT); /* replaces */
	mm_set_limits(w->mm, UINT64_MAX, PAGES(10), UINT64_MAX);
	assert_int_equal(map_somewhere(w, 0, PAGES(1), 0), -ENOMEM);
	assert_sound(w->mm);
}

static void stack_grows_to_its_limit_and_keeps_the_gap(void **state)
{
	struct world *w = *state;
	uint64_t top = AT + PAGES(4096);

	mm_set_limits(w->mm, UINT64_MAX, UINT64_MAX, PAGES(1000));
	assert_int_equal(map_somewhere(w, top - PAGES(4), PAGES(4), MAP_FIXED | MAP_GROWSDOWN),
			 top - PAGES(4));
	assert_int_equal(guest_write(w, w->mm, top - PAGES(100), 1), 0);
	assert_int_equal(guest_write(w, w->mm, top - PAGES(1000), 1), 0);
	assert_int_equal(guest_write(w, w->mm, top - PAGES(1001), 1), -EFAULT);
	assert_sound(w->mm);
	mm_set_limits(w->mm, UINT64_MAX, UINT64_MAX, UINT64_MAX);
	map_anon(w, top - PAGES(1500), 1, RW);
	assert_int_equal(guest_write(w, w->mm, top - PAGES(1499 - 256), 1), 0);
	assert_int_equal(guest_write(w, w->mm, top - PAGES(1499 - 255), 1), -EFAULT);
	/* A new mapping stays out of the gap too. */
	assert_true((uint64_t)map_somewhere(w, top - PAGES(1300), 4096, 0) != top - PAGES(1300));
}

static void fork_copies_on_write_both_ways(void **state)
{
	struct world *w = *state;
	struct mm *child;
	uint32_t v;

	map_anon(w, AT, 128, RW); /* too long to be copied by fork itself */
	for (unsigned i = 0; i < 128; i++)
		guest_write(w, w->mm, AT + PAGES(i), 100 + i);
	assert_int_equal(mm_fork(w->mm, &child), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_sound(w->mm);
	assert_sound(child);
	assert_int_equal(guest_write(w, w->mm, AT, 1), 0);
	assert_int_equal(guest_write(w, child, AT + PAGES(40), 2), 0);
	assert_int_equal(guest_read(w, child, AT, &v), 0);
	assert_int_equal(v, 100);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(40), &v), 0);
	assert_int_equal(v, 140);
	assert_sound(w->mm);
	assert_sound(child);
	mm_put(child);
	/* Alone again: pages become writable in place, some at a time. */
	stats_of(w);
	for (unsigned i = 16; i < 64; i++)
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), i), 0);
	/* One more where a vCPU remembers page 40, which was read, as read-only: it re-walks then. */
	assert_in_range(stats_of(w).faults, 48 / MM_AROUND_COW, 48 / MM_AROUND_COW + 1);
}

static void fork_copies_small_areas_at_once(void **state)
{
	struct world *w = *state;
	struct mm *child;
	uint32_t v;

	map_anon(w, AT, 16, RW);
	for (unsigned i = 0; i < 8; i++)
		guest_write(w, w->mm, AT + PAGES(i), 100 + i);
	stats_of(w);
	assert_int_equal(mm_fork(w->mm, &child), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), 1), 0);
		assert_int_equal(guest_read(w, child, AT + PAGES(i), &v), 0);
		assert_int_equal(v, 100 + i);
		assert_int_equal(guest_write(w, child, AT + PAGES(i), 2), 0);
	}
	assert_int_equal(stats_of(w).faults, 0);
	assert_int_equal(guest_read(w, w->mm, AT, &v), 0);
	assert_int_equal(v, 1);
	mm_put(child);
}

static void shared_memory_is_one_for_parent_and_child(void **state)
{
	struct world *w = *state;
	struct mm_map_args args = {.addr = GVA(AT),
				   .len = PAGES(40),
				   .prot = RW,
				   .flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED};
	struct mm_futex_key a, b;
	struct mm *child;
	uint32_t v;

	assert_int_equal(mm_map(w->mm, &args), AT);
	assert_int_equal(mm_fork(w->mm, &child), 0);
	/* A page neither had touched before the fork. */
	assert_int_equal(guest_write(w, child, AT + PAGES(39), 9), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(39), &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(mm_futex_key(w->mm, GVA(AT + 8), false, &a), 0);
	assert_int_equal(mm_futex_key(child, GVA(AT + 8), false, &b), 0);
	assert_memory_equal(&a, &b, sizeof a);
	mm_futex_key(child, GVA(AT + 8), true, &b);
	assert_memory_not_equal(&a, &b, sizeof a);
	/* mremap with an old length of 0 maps it a second time. */
	assert_int_equal(mm_remap(w->mm, GVA(AT), 0, PAGES(40), MREMAP_MAYMOVE | MREMAP_FIXED,
				  GVA(AT + PAGES(100))),
			 AT + PAGES(100));
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(139), &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(40), MADV_REMOVE), 0);
	assert_int_equal(guest_read(w, child, AT + PAGES(39), &v), 0);
	assert_int_equal(v, 0);
	assert_sound(w->mm);
	mm_put(child);
}

static void madvise_drops_and_wipes(void **state)
{
	struct world *w = *state;
	struct mm *child;
	uint32_t v = 1;

	map_anon(w, AT, 8, RW);
	guest_write(w, w->mm, AT, 5);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(1), MADV_DONTNEED), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	guest_read(w, w->mm, AT, &v);
	assert_int_equal(v, 0);
	guest_write(w, w->mm, AT, 5);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(1), MADV_WIPEONFORK), 0);
	assert_int_equal(mm_advise(w->mm, GVA(AT + PAGES(7)), PAGES(1), MADV_DONTFORK), 0);
	assert_int_equal(mm_fork(w->mm, &child), 0);
	guest_read(w, child, AT, &v);
	assert_int_equal(v, 0);
	assert_int_equal(guest_read(w, child, AT + PAGES(7), &v), -EFAULT);
	mm_put(child);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(9), MADV_DONTNEED), -ENOMEM);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(1), 12345), -EINVAL);
	assert_int_equal(mm_advise(w->mm, GVA(AT + 1), PAGES(1), MADV_NORMAL), -EINVAL);
	assert_int_equal(mm_lock_range(w->mm, GVA(AT), PAGES(2), true), 0);
	assert_int_equal(mm_advise(w->mm, GVA(AT), PAGES(1), MADV_DONTNEED), -EINVAL);
	assert_int_equal(mm_lock_range(w->mm, GVA(AT), PAGES(9), false), -ENOMEM);
}

static void mremap_moves_grows_and_checks(void **state)
{
	struct world *w = *state;
	uint64_t to = AT + PAGES(4000);
	uint32_t v;

	map_anon(w, AT, 4, RW);
	for (unsigned i = 0; i < 4; i++)
		guest_write(w, w->mm, AT + PAGES(i), 50 + i);
	assert_int_equal(mm_remap(w->mm, GVA(AT), PAGES(4), PAGES(8), 0, GVA(0)), AT);
	map_anon(w, AT + PAGES(8), 1, PROT_READ);
	assert_int_equal(mm_remap(w->mm, GVA(AT), PAGES(8), PAGES(16), 0, GVA(0)), -ENOMEM);
	assert_int_equal(mm_remap(w->mm, GVA(AT), PAGES(8), PAGES(16),
				  MREMAP_MAYMOVE | MREMAP_FIXED, GVA(to)),
			 to);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(guest_read(w, w->mm, AT, &v), -EFAULT);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(guest_read(w, w->mm, to + PAGES(i), &v), 0);
		assert_int_equal(v, 50 + i);
	}
	assert_int_equal(mm_remap(w->mm, GVA(to), PAGES(16), PAGES(2), 0, GVA(0)), to);
	assert_int_equal(guest_read(w, w->mm, to + PAGES(2), &v), -EFAULT);
	assert_int_equal(mm_remap(w->mm, GVA(to), PAGES(2), PAGES(2),
				  MREMAP_MAYMOVE | 4 /* DONTUNMAP */, GVA(0)) > 0,
			 1);
	assert_int_equal(guest_read(w, w->mm, to, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(mm_remap(w->mm, GVA(to), PAGES(2), PAGES(2), MREMAP_FIXED, GVA(AT)),
			 -EINVAL);
	assert_int_equal(mm_remap(w->mm, GVA(to), PAGES(2), PAGES(2), MREMAP_FIXED | MREMAP_MAYMOVE,
				  GVA(to + PAGES(1))),
			 -EINVAL);
	assert_int_equal(mm_remap(w->mm, GVA(to + PAGES(90)), PAGES(1), PAGES(2), 0, GVA(0)),
			 -EFAULT);
	assert_int_equal(mm_remap(w->mm, GVA(to), 0, PAGES(2), MREMAP_MAYMOVE, GVA(0)), -EINVAL);
	assert_int_equal(mm_remap(w->mm, GVA(to), PAGES(2), 0, 0, GVA(0)), -EINVAL);
	assert_sound(w->mm);
}

static void mprotect_applies_the_prefix_before_a_hole(void **state)
{
	struct world *w = *state;

	map_anon(w, AT, 2, RW);
	map_anon(w, AT + PAGES(3), 1, RW);
	assert_int_equal(mm_protect(w->mm, GVA(AT + PAGES(1)), PAGES(3), PROT_READ), -ENOMEM);
	assert_string_equal(maps(w->mm), "0-1 rw-p\n1-2 r--p\n3-4 rw-p\n");
	assert_int_equal(mm_protect(w->mm, GVA(AT + 1), PAGES(1), PROT_READ), -EINVAL);
	assert_int_equal(mm_protect(w->mm, GVA(AT), 0, PROT_READ), 0);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(1), 0x80), -EINVAL);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(1), PROT_READ | PROT_GROWSDOWN), -EINVAL);
}

static void copies_cross_pages_and_stop_at_holes(void **state)
{
	struct world *w = *state;
	char buf[8192], back[8192];

	map_anon(w, AT, 2, RW);
	memset(buf, 'x', sizeof buf);
	assert_int_equal(mm_copy_out(w->mm, GVA(AT + 100), buf, 8000), 0);
	assert_int_equal(mm_copy_in(w->mm, back, GVA(AT + 100), 8000), 0);
	assert_memory_equal(buf, back, 8000);
	assert_int_equal(mm_copy_out_some(w->mm, GVA(AT + 4096), buf, 8000), 4096);
	assert_int_equal(mm_copy_out(w->mm, GVA(AT + 4096), buf, 8000), -EFAULT);
	assert_int_equal(mm_copy_in(w->mm, back, GVA(UINT64_MAX - 10), 100), -EFAULT);
	assert_int_equal(mm_copy_in(w->mm, back, GVA(MM_TASK_SIZE), 1), -EFAULT);
	assert_int_equal(mm_copy_in_str(w->mm, back, GVA(AT + 4096), sizeof back), -EFAULT);
	assert_int_equal(mm_copy_in_str(w->mm, back, GVA(AT + 4096), 16), -ENAMETOOLONG);
	assert_int_equal(mm_zero(w->mm, GVA(AT + 8191), 1), 0);
	assert_int_equal(mm_copy_in_str(w->mm, back, GVA(AT + 8000), sizeof back), 191);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(2), PROT_READ), 0);
	assert_int_equal(mm_copy_out(w->mm, GVA(AT), buf, 1), -EFAULT);
	assert_int_equal(mm_poke(w->mm, GVA(AT), "P", 1), 0);
	assert_int_equal(mm_copy_in(w->mm, back, GVA(AT), 1), 0);
	assert_int_equal(back[0], 'P');
	assert_sound(w->mm);
}

static void words_are_compared_and_exchanged(void **state)
{
	struct world *w = *state;
	uint32_t v;

	map_anon(w, AT, 1, RW);
	assert_int_equal(mm_cmpxchg32(w->mm, GVA(AT + 4), 0, 7, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(mm_cmpxchg32(w->mm, GVA(AT + 4), 0, 8, &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(mm_load32(w->mm, GVA(AT + 4), &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(mm_load32(w->mm, GVA(AT + PAGES(1)), &v), -EFAULT);
}

static void pins_hold_frames_through_unmap_and_fork(void **state)
{
	struct world *w = *state;
	struct iovec iov[4];
	struct mm_pin pin;
	struct mm *child;
	int n = 4;
	uint32_t v;

	map_anon(w, AT, 8, RW);
	guest_write(w, w->mm, AT, 1);
	assert_int_equal(mm_pin(w->mm, GVA(AT + 16), PAGES(2), true, iov, &n, &pin), PAGES(2));
	assert_int_equal(n, 1); /* contiguous frames make one segment */
	assert_int_equal(mm_fork(w->mm, &child), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	/* What the host stores arrives at the parent, even after it has stored too. */
	guest_write(w, w->mm, AT, 2);
	*(uint32_t *)iov[0].iov_base = 77;
	guest_read(w, w->mm, AT + 16, &v);
	assert_int_equal(v, 77);
	guest_read(w, child, AT + 16, &v);
	assert_int_equal(v, 0);
	mm_unmap(w->mm, GVA(AT), PAGES(8));
	fake_enter_exit(w->p, mm_root(w->mm));
	*(uint32_t *)iov[0].iov_base = 78;
	mm_unpin(&pin);
	n = 4;
	assert_int_equal(mm_pin(w->mm, GVA(AT), 10, true, iov, &n, &pin), -EFAULT);
	mm_put(child);
}

static void large_areas_get_blocks(void **state)
{
	struct world *w = *state;
	struct mm *child;
	uint32_t v;
	uint64_t at = AT & ~(BLOCK_SIZE - 1);

	map_anon(w, at, 2048, RW);
	stats_of(w);
	for (unsigned i = 0; i < 2048; i += 16)
		assert_int_equal(guest_write(w, w->mm, at + PAGES(i), i), 0);
	assert_int_equal(stats_of(w).faults, 4);
	assert_sound(w->mm);
	/* A small change splits one block; its flush names only what changed. */
	mm_protect(w->mm, GVA(at + PAGES(16)), PAGES(16), PROT_READ);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(stats_of(w).flush_pages, 16);
	assert_sound(w->mm);
	assert_int_equal(guest_read(w, w->mm, at + PAGES(16), &v), 0);
	assert_int_equal(v, 16);
	assert_int_equal(mm_fork(w->mm, &child), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_sound(child);
	assert_int_equal(guest_write(w, w->mm, at + PAGES(1024), 1), 0);
	guest_read(w, child, at + PAGES(1024), &v);
	assert_int_equal(v, 1024);
	mm_put(child);
	assert_int_equal(guest_write(w, w->mm, at + PAGES(1536), 1), 0);
	assert_sound(w->mm);
	assert_int_equal(mm_unmap(w->mm, GVA(at + PAGES(700)), PAGES(600)), 0);
	assert_sound(w->mm);
}

static void incore_and_sync_report_holes(void **state)
{
	struct world *w = *state;
	uint8_t vec[4];

	map_anon(w, AT, 2, RW);
	assert_int_equal(mm_incore(w->mm, GVA(AT), PAGES(2), vec), 0);
	assert_int_equal(vec[0], 1);
	assert_int_equal(mm_incore(w->mm, GVA(AT), PAGES(3), vec), -ENOMEM);
	assert_int_equal(mm_sync(w->mm, GVA(AT), PAGES(2), MS_SYNC), 0);
	assert_int_equal(mm_sync(w->mm, GVA(AT), PAGES(3), MS_SYNC), -ENOMEM);
	assert_int_equal(mm_sync(w->mm, GVA(AT), PAGES(2), MS_SYNC | MS_ASYNC), -EINVAL);
}

static void teardown_can_be_repeated(void **state)
{
	struct world *w = *state;
	struct mm *other;

	map_anon(w, AT, 64, RW);
	assert_int_equal(mm_fork(w->mm, &other), 0);
	mm_teardown(other);
	mm_teardown(other);
	assert_int_equal(mm_fault(other, GVA(AT), MM_ACCESS_READ), -EFAULT);
	assert_int_equal(map_somewhere(&(struct world){.mm = other}, 0, 4096, 0), -ENOMEM);
	mm_put(other);
}

int run_call_tests(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(map_checks_its_arguments),
		ON_ALL(map_places_top_down),
		ON_ALL(neighbours_merge_and_split),
		ON_ALL(faults_give_linux_errors),
		ON_ALL(content_survives_prot_none),
		ON_ALL(protect_to_the_same_flushes_nothing),
		ON_ALL(flushes_name_the_smallest_range),
		ON_ALL(untouched_pages_need_no_flush),
		ON_ALL(small_mappings_and_heap_take_no_fault),
		ON_ALL(brk_grows_shrinks_and_refuses),
		ON_ALL(limits_are_enforced),
		ON_ALL(stack_grows_to_its_limit_and_keeps_the_gap),
		ON_ALL(fork_copies_on_write_both_ways),
		ON_ALL(fork_copies_small_areas_at_once),
		ON_ALL(shared_memory_is_one_for_parent_and_child),
		ON_ALL(madvise_drops_and_wipes),
		ON_ALL(mremap_moves_grows_and_checks),
		ON_ALL(mprotect_applies_the_prefix_before_a_hole),
		ON_ALL(copies_cross_pages_and_stop_at_holes),
		ON_ALL(words_are_compared_and_exchanged),
		ON_ALL(pins_hold_frames_through_unmap_and_fork),
		{"large_areas_get_blocks", large_areas_get_blocks, world_setup_nested,
		 world_teardown, NULL},
		ON_ALL(incore_and_sync_report_holes),
		ON_ALL(teardown_can_be_repeated),
	};

	return cmocka_run_group_tests_name("mm: system calls", tests, NULL, NULL);
}
