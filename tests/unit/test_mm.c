/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test_mm.h"

#include <stdio.h>
#include <string.h>

#include "mm/check.h"

static struct mm_stats last_stats;

static int setup(void **state, enum platform_paging paging)
{
	static struct world w;
	struct mm_limits limits = {.arena_bytes = (uint64_t)256 << 20,
				   .window_bytes = (uint64_t)1 << 30};

	w.p = fake_platform_new(paging, NACRE_CAP_FLUSH_ON_MIGRATION);
	if (mm_system_create(w.p, &limits, &w.sys) || mm_create(w.sys, &w.mm))
		return -1;
	w.p->mm = w.sys;
	mm_system_stats(w.sys, &last_stats);
	*state = &w;
	return 0;
}

int world_setup_nested(void **state)
{
	return setup(state, PLATFORM_PAGING_NESTED);
}

int world_setup_shadow(void **state)
{
	return setup(state, PLATFORM_PAGING_SHADOW);
}

int world_teardown(void **state)
{
	struct world *w = *state;
	struct mm_stats st;

	fake_leave(w->p);
	mm_put(w->mm);
	fake_enter_exit(w->p, 0);
	mm_system_stats(w->sys, &st);
	mm_system_destroy(w->sys);
	fake_platform_free(w->p);
	return st.frames_used || st.table_pages != 1 ? -1 : 0;
}

void map_anon(struct world *w, uint64_t at, unsigned pages, unsigned prot)
{
	struct mm_map_args args = {.addr = GVA(at),
				   .len = PAGES(pages),
				   .prot = prot,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};

	assert_int_equal(mm_map(w->mm, &args), at);
}

static int guest_access(struct world *w, struct mm *mm, uint64_t va, unsigned access,
			uint32_t **host)
{
	uint64_t gpa;
	int ret;

	for (int tries = 0; tries < 4; tries++) {
		fake_enter(w->p, mm_root(mm));
		if (fake_translate(w->p, pool_own->hv, va, access, &gpa)) {
			*host = (uint32_t *)fake_host(w->p, gpa);
			fake_leave(w->p);
			return 0;
		}
		fake_leave(w->p);
		ret = mm_fault(mm, GVA(va), access);
		if (ret) {
			fake_enter_exit(w->p, mm_root(mm));
			return ret;
		}
	}
	fail_msg("faults for ever at %#lx", (unsigned long)va);
	return -1;
}

int guest_write(struct world *w, struct mm *mm, uint64_t va, uint32_t value)
{
	uint32_t *host;
	int ret = guest_access(w, mm, va, MM_ACCESS_WRITE, &host);

	if (!ret)
		*host = value;
	return ret;
}

int guest_read(struct world *w, struct mm *mm, uint64_t va, uint32_t *value)
{
	uint32_t *host;
	int ret = guest_access(w, mm, va, MM_ACCESS_READ, &host);

	if (!ret)
		*value = *host;
	return ret;
}

struct mm_stats stats_of(struct world *w)
{
	struct mm_stats now, diff;

	mm_system_stats(w->sys, &now);
	diff = now;
	diff.faults -= last_stats.faults;
	diff.flush_none -= last_stats.flush_none;
	diff.flush_range -= last_stats.flush_range;
	diff.flush_space -= last_stats.flush_space;
	diff.flush_broadcast -= last_stats.flush_broadcast;
	diff.flush_pages -= last_stats.flush_pages;
	last_stats = now;
	return diff;
}

void assert_sound(struct mm *mm)
{
	const char *wrong = mm_check_invariants(mm);

	if (wrong)
		fail_msg("%s", wrong);
}

static int add_area(const struct mm_area_info *a, void *arg)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 1024 - n, "%ld-%ld %c%c%c%c%s%s\n", (long)(a->start - AT) / 4096,
		 (long)(a->end - AT) / 4096, a->prot & PROT_READ ? 'r' : '-',
		 a->prot & PROT_WRITE ? 'w' : '-', a->prot & PROT_EXEC ? 'x' : '-',
		 a->shared ? 's' : 'p', a->name[0] ? " " : "", a->name);
	return 0;
}

const char *maps(struct mm *mm)
{
	static char text[1024];

	text[0] = 0;
	mm_for_each_area(mm, false, add_area, text);
	return text;
}

int main(void)
{
	return run_descriptor_tests() + run_unit_tests() + run_call_tests() + run_file_tests() +
	       run_flush_count_tests();
}
