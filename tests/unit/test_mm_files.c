/* SPDX-License-Identifier: Apache-2.0 */
/* File mappings: windows, copy on write, truncation, what a program's start costs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mm/guarded_copy.h"
#include "tests/unit/test_mm.h"

struct test_file {
	struct mm_backing b;
	bool released;
};

static void release(struct mm_backing *b)
{
	((struct test_file *)b)->released = true;
}

static size_t describe(struct mm_backing *b, char *buf, size_t cap)
{
	(void)b;
	strncpy(buf, "/lib/x", cap);
	return 6;
}

static const struct mm_backing_ops ops = {.release = release, .describe = describe};

/* Page i of the file starts with the word i + 1. */
static void file_open(struct test_file *f, unsigned pages, bool writable)
{
	struct stat st;

	memset(f, 0, sizeof *f);
	f->b.ops = &ops;
	f->b.fd = memfd_create("file", 0);
	assert_int_equal(ftruncate(f->b.fd, (off_t)PAGES(pages)), 0);
	for (uint32_t i = 0; i < pages; i++) {
		uint32_t word = i + 1;

		assert_int_equal(pwrite(f->b.fd, &word, 4, (off_t)PAGES(i)), 4);
	}
	fstat(f->b.fd, &st);
	f->b.dev = st.st_dev;
	f->b.ino = st.st_ino;
	f->b.executable = true;
	f->b.writable = writable;
	atomic_init(&f->b.refs, 1);
}

static void file_close(struct test_file *f)
{
	mm_backing_put(&f->b);
	assert_true(f->released);
	close(f->b.fd);
}

static int64_t map_file(struct world *w, struct test_file *f, uint64_t at, unsigned pages,
			unsigned prot, unsigned flags, unsigned offset)
{
	struct mm_map_args args = {.addr = GVA(at),
				   .len = PAGES(pages),
				   .prot = prot,
				   .flags = flags | MAP_FIXED,
				   .backing = &f->b,
				   .offset = PAGES(offset)};

	return mm_map(w->mm, &args);
}

static void file_pages_are_the_page_cache(void **state)
{
	struct world *w = *state;
	struct test_file f;
	uint32_t v;

	file_open(&f, 100, true);
	assert_int_equal(map_file(w, &f, AT, 100, PROT_READ, MAP_PRIVATE, 0), AT);
	stats_of(w);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(guest_read(w, w->mm, AT + PAGES(i), &v), 0);
		assert_int_equal(v, i + 1);
	}
	assert_int_equal(stats_of(w).faults, 0);
	assert_int_equal(stats_of(w).frames_used, 0);
	v = 999;
	assert_int_equal(pwrite(f.b.fd, &v, 4, (off_t)PAGES(5)), 4);
	guest_read(w, w->mm, AT + PAGES(5), &v);
	assert_int_equal(v, 999);
	assert_int_equal(guest_write(w, w->mm, AT, 1), -EACCES);
	assert_string_equal(maps(w->mm), "0-100 r--p /lib/x\n");
	assert_sound(w->mm);
	mm_unmap(w->mm, GVA(AT), PAGES(100));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
}

static void private_stores_stay_private(void **state)
{
	struct world *w = *state;
	struct test_file f;
	uint32_t v;

	file_open(&f, 100, false);
	/* Too long to be copied at once: copied where it is stored to. */
	assert_int_equal(map_file(w, &f, AT, 100, RW, MAP_PRIVATE, 0), AT);
	assert_int_equal(guest_write(w, w->mm, AT + PAGES(50), 7), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(50), &v), 0);
	assert_int_equal(v, 7);
	assert_int_equal(pread(f.b.fd, &v, 4, (off_t)PAGES(50)), 4);
	assert_int_equal(v, 51);
	for (unsigned i = 0; i < 100; i++) {
		guest_read(w, w->mm, AT + PAGES(i), &v);
		assert_int_equal(v, i == 50 ? 7 : i + 1);
	}
	assert_sound(w->mm);
	assert_int_equal(mm_advise(w->mm, GVA(AT + PAGES(50)), PAGES(1), MADV_DONTNEED), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	guest_read(w, w->mm, AT + PAGES(50), &v);
	assert_int_equal(v, 51);
	mm_unmap(w->mm, GVA(AT), PAGES(100));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
}

static void shared_stores_reach_the_file(void **state)
{
	struct world *w = *state;
	struct mm_futex_key a, b;
	struct test_file f, ro;
	uint32_t v;

	file_open(&f, 4, true);
	assert_int_equal(map_file(w, &f, AT, 2, RW, MAP_SHARED, 1), AT);
	assert_int_equal(guest_write(w, w->mm, AT + PAGES(1), 77), 0);
	assert_int_equal(pread(f.b.fd, &v, 4, (off_t)PAGES(2)), 4);
	assert_int_equal(v, 77);
	assert_int_equal(map_file(w, &f, AT + PAGES(10), 4, PROT_READ, MAP_SHARED, 0),
			 AT + PAGES(10));
	mm_futex_key(w->mm, GVA(AT), false, &a);
	mm_futex_key(w->mm, GVA(AT + PAGES(11)), false, &b);
	assert_memory_equal(&a, &b, sizeof a);
	assert_int_equal(mm_sync(w->mm, GVA(AT), PAGES(2), MS_SYNC), 0);
	mm_unmap(w->mm, GVA(AT), PAGES(20));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
	file_open(&ro, 4, false);
	ro.b.executable = false;
	assert_int_equal(map_file(w, &ro, AT, 2, RW, MAP_SHARED, 0), -EACCES);
	assert_int_equal(map_file(w, &ro, AT, 2, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0), -EPERM);
	assert_int_equal(map_file(w, &ro, AT, 2, PROT_READ, MAP_SHARED, 0), AT);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(1), RW), -EACCES);
	assert_int_equal(mm_protect(w->mm, GVA(AT), PAGES(1), PROT_EXEC), -EACCES);
	mm_unmap(w->mm, GVA(AT), PAGES(20));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&ro);
}

static void past_the_end_is_a_bus_error(void **state)
{
	struct world *w = *state;
	struct test_file f;
	uint32_t v;
	char c;

	assert_int_equal(guarded_install(), 0); /* cmocka has put its own handlers over them */
	file_open(&f, 4, true);
	assert_int_equal(map_file(w, &f, AT, 8, RW, MAP_SHARED, 0), AT);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(3), &v), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(4), &v), -ENXIO);
	assert_int_equal(mm_copy_in(w->mm, &c, GVA(AT + PAGES(4)), 1), -EFAULT);
	assert_int_equal(ftruncate(f.b.fd, (off_t)PAGES(6)), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(4), &v), 0);
	/* Truncated under a live mapping: the kernel's copy stops, the guest's fault becomes SIGBUS. */
	assert_int_equal(ftruncate(f.b.fd, (off_t)PAGES(1)), 0);
	assert_int_equal(mm_copy_in(w->mm, &c, GVA(AT + PAGES(3)), 1), -EFAULT);
	assert_int_equal(mm_fault_host(w->mm, GVA(0), MM_ACCESS_READ), 0);
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(3), &v), -ENXIO);
	assert_int_equal(guest_read(w, w->mm, AT, &v), 0);
	assert_sound(w->mm);
	mm_unmap(w->mm, GVA(AT), PAGES(8));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
}

static void windows_are_shared_and_cached(void **state)
{
	struct world *w = *state;
	struct test_file f;

	file_open(&f, 100, false);
	map_file(w, &f, AT, 100, PROT_READ, MAP_PRIVATE, 0);
	map_file(w, &f, AT + PAGES(200), 10, PROT_READ | PROT_EXEC, MAP_PRIVATE, 20);
	assert_int_equal(w->sys->windows.count, 1);
	mm_unmap(w->mm, GVA(AT), PAGES(300));
	fake_enter_exit(w->p, mm_root(w->mm));
	/* A memfd has no name: it is not worth keeping, and pins memory. */
	assert_int_equal(w->sys->windows.count, 0);
	file_close(&f);
}

static void libraries_stay_mapped_for_the_next_process(void **state)
{
	struct world *w = *state;
	char path[] = "/tmp/nacre-test-XXXXXX";
	struct test_file f;
	struct stat st;

	file_open(&f, 1, false);
	close(f.b.fd);
	f.b.fd = mkstemp(path);
	assert_true(f.b.fd >= 0);
	assert_int_equal(ftruncate(f.b.fd, (off_t)PAGES(10)), 0);
	fstat(f.b.fd, &st);
	f.b.dev = st.st_dev;
	f.b.ino = st.st_ino;
	map_file(w, &f, AT, 10, PROT_READ, MAP_PRIVATE, 0);
	mm_unmap(w->mm, GVA(AT), PAGES(10));
	fake_enter_exit(w->p, mm_root(w->mm));
	assert_int_equal(w->sys->windows.count, 1);
	assert_int_equal(w->sys->windows.idle, 1);
	map_file(w, &f, AT, 10, PROT_READ, MAP_PRIVATE, 0);
	assert_int_equal(w->sys->windows.count, 1);
	mm_unmap(w->mm, GVA(AT), PAGES(10));
	fake_enter_exit(w->p, mm_root(w->mm));
	mm_system_drop_idle(w->sys, f.b.dev, f.b.ino);
	assert_int_equal(w->sys->windows.count, 0);
	unlink(path);
	file_close(&f);
}

/*
 * The calls of the dynamic linker for one library: a map of the whole, the segments over it, RELRO.
 * No broadcast, no fault on text or data, and flushes only for what was really used before, as far as
 * the hardware tells.
 */
static void a_library_takes_no_faults(void **state)
{
	struct world *w = *state;
	struct test_file f;
	struct mm_stats st;
	uint32_t v;

	file_open(&f, 500, false);
	stats_of(w);
	assert_int_equal(map_file(w, &f, AT, 500, PROT_READ, MAP_PRIVATE, 0), AT);
	guest_read(w, w->mm, AT, &v); /* the ELF header */
	map_file(w, &f, AT + PAGES(40), 340, PROT_READ | PROT_EXEC, MAP_PRIVATE, 40);
	fake_enter_exit(w->p, mm_root(w->mm));
	map_file(w, &f, AT + PAGES(380), 90, PROT_READ, MAP_PRIVATE, 380);
	fake_enter_exit(w->p, mm_root(w->mm));
	map_file(w, &f, AT + PAGES(470), 6, RW, MAP_PRIVATE, 469);
	map_anon(w, AT + PAGES(476), 24, RW);
	fake_enter_exit(w->p, mm_root(w->mm));
	for (unsigned i = 470; i < 500; i++)
		assert_int_equal(guest_write(w, w->mm, AT + PAGES(i), 5), 0);
	assert_int_equal(guest_read(w, w->mm, AT + PAGES(300), &v), 0);
	assert_int_equal(v, 301);
	st = stats_of(w);
	assert_int_equal(st.faults, 0);
	assert_int_equal(st.flush_broadcast, 0);
	/* Text becomes executable, which is flushed where a fault does not do it. */
	if (!PT_FLUSH_GAINS)
		assert_int_equal(st.flush_range + st.flush_space, 0);
	mm_protect(w->mm, GVA(AT + PAGES(470)), PAGES(4), PROT_READ);
	fake_enter_exit(w->p, mm_root(w->mm));
	st = stats_of(w);
	assert_int_equal(st.flush_range, 1);
	assert_int_equal(st.flush_pages, 4);
	assert_string_equal(maps(w->mm),
			    "0-40 r--p /lib/x\n40-380 r-xp /lib/x\n380-470 r--p /lib/x\n"
			    "470-474 r--p /lib/x\n474-476 rw-p /lib/x\n476-500 rw-p\n");
	assert_sound(w->mm);
	mm_unmap(w->mm, GVA(AT), PAGES(500));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
}

static void segments_of_one_file_merge_as_on_linux(void **state)
{
	struct world *w = *state;
	struct test_file f;

	file_open(&f, 10, false);
	map_file(w, &f, AT, 2, PROT_READ, MAP_PRIVATE, 0);
	map_file(w, &f, AT + PAGES(2), 2, PROT_READ, MAP_PRIVATE, 2);
	map_file(w, &f, AT + PAGES(4), 2, PROT_READ, MAP_PRIVATE, 6);
	assert_string_equal(maps(w->mm), "0-4 r--p /lib/x\n4-6 r--p /lib/x\n");
	mm_unmap(w->mm, GVA(AT), PAGES(6));
	fake_enter_exit(w->p, mm_root(w->mm));
	file_close(&f);
}

int run_file_tests(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(file_pages_are_the_page_cache),
		ON_ALL(private_stores_stay_private),
		ON_ALL(shared_stores_reach_the_file),
		ON_ALL(past_the_end_is_a_bus_error),
		ON_ALL(windows_are_shared_and_cached),
		ON_ALL(libraries_stay_mapped_for_the_next_process),
		ON_ALL(a_library_takes_no_faults),
		ON_ALL(segments_of_one_file_merge_as_on_linux),
	};

	return cmocka_run_group_tests_name("mm: files", tests, NULL, NULL);
}
