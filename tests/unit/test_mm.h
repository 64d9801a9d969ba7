/* SPDX-License-Identifier: Apache-2.0 */
/* What the mm tests share: one VM's memory and one address space over the fake platform. */
#ifndef NACRE_TESTS_TEST_MM_H
#define NACRE_TESTS_TEST_MM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fake_platform.h"

struct world {
	struct platform *p;
	struct mm_system *sys;
	struct mm *mm;
};

int world_setup_nested(void **state);
int world_setup_shadow(void **state);
int world_teardown(void **state);

#define RW (PROT_READ | PROT_WRITE)
#define AT ((uint64_t)0x20000000)
#define PAGES(n) ((uint64_t)(n)*PAGE_SIZE)

/* Private anonymous memory at a fixed address. */
void map_anon(struct world *w, uint64_t at, unsigned pages, unsigned prot);
/* An access by the current vCPU, faulting as the guest would: 0 or what mm_fault() said. */
int guest_write(struct world *w, struct mm *mm, uint64_t va, uint32_t value);
int guest_read(struct world *w, struct mm *mm, uint64_t va, uint32_t *value);
/* Counters since the last call. */
struct mm_stats stats_of(struct world *w);
/* Assert the invariants. */
void assert_sound(struct mm *mm);
/* /proc/PID/maps in short: "start-end prot name\n" with page numbers relative to AT. */
const char *maps(struct mm *mm);

/* Under every kind of paging that there is. */
#if PT_BREAK_BEFORE_MAKE
#define ON_ALL(f) cmocka_unit_test_setup_teardown(f, world_setup_nested, world_teardown)
#else
#define ON_ALL(f)                                                           \
	{#f " (nested)", f, world_setup_nested, world_teardown, NULL},      \
	{                                                                   \
#f " (shadow)", f, world_setup_shadow, world_teardown, NULL \
	}
#endif

int run_descriptor_tests(void);
int run_unit_tests(void);
int run_call_tests(void);
int run_file_tests(void);
int run_flush_count_tests(void);

#endif
