/* SPDX-License-Identifier: Apache-2.0 */
/* Which flushes may stay local (mm/scope.h): every row of what the answer depends on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/scope.h"

#define L TLB_LOCAL
#define IS TLB_INNER_SHAREABLE

/* others; forced broadcast, flush on migration, pinned, sticky */
static const struct row {
	unsigned others;
	bool forced, flushed, pinned, sticky;
	enum tlb_scope want;
} rows[] = {
	/* Nobody else has the address space. */
	{0, 0, 0, 0, 0, IS},
	{0, 0, 0, 0, 1, IS},
	{0, 0, 0, 1, 0, IS},
	{0, 0, 0, 1, 1, L},
	{0, 0, 1, 0, 0, L},
	{0, 0, 1, 0, 1, L},
	{0, 0, 1, 1, 0, L},
	{0, 0, 1, 1, 1, L},
	{0, 1, 0, 0, 0, L},
	{0, 1, 0, 0, 1, L},
	{0, 1, 0, 1, 0, L},
	{0, 1, 0, 1, 1, L},
	{0, 1, 1, 0, 0, L},
	{0, 1, 1, 0, 1, L},
	{0, 1, 1, 1, 0, L},
	{0, 1, 1, 1, 1, L},
	/* One other vCPU has it. */
	{1, 0, 0, 0, 0, IS},
	{1, 0, 0, 0, 1, IS},
	{1, 0, 0, 1, 0, IS},
	{1, 0, 0, 1, 1, IS},
	{1, 0, 1, 0, 0, IS},
	{1, 0, 1, 0, 1, IS},
	{1, 0, 1, 1, 0, IS},
	{1, 0, 1, 1, 1, IS},
	{1, 1, 0, 0, 0, IS},
	{1, 1, 0, 0, 1, IS},
	{1, 1, 0, 1, 0, IS},
	{1, 1, 0, 1, 1, IS},
	{1, 1, 1, 0, 0, IS},
	{1, 1, 1, 0, 1, IS},
	{1, 1, 1, 1, 0, IS},
	{1, 1, 1, 1, 1, IS},
	/* Many have. */
	{9, 0, 0, 0, 0, IS},
	{9, 0, 0, 0, 1, IS},
	{9, 0, 0, 1, 0, IS},
	{9, 0, 0, 1, 1, IS},
	{9, 0, 1, 0, 0, IS},
	{9, 0, 1, 0, 1, IS},
	{9, 0, 1, 1, 0, IS},
	{9, 0, 1, 1, 1, IS},
	{9, 1, 0, 0, 0, IS},
	{9, 1, 0, 0, 1, IS},
	{9, 1, 0, 1, 0, IS},
	{9, 1, 0, 1, 1, IS},
	{9, 1, 1, 0, 0, IS},
	{9, 1, 1, 0, 1, IS},
	{9, 1, 1, 1, 0, IS},
	{9, 1, 1, 1, 1, IS},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void test_every_row(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		const struct tlb_reach reach = {
			.others = row->others,
			.forced_broadcast = row->forced,
			.flush_on_migration = row->flushed,
			.pinned = row->pinned,
			.sticky = row->sticky,
		};

		if (tlb_scope(&reach) != row->want)
			fail_msg("row %u", i);
	}
}

/* The table leaves nothing out: each of the sixteen combinations stands once for 0, 1 and many. */
static void test_no_row_is_missing(void **state)
{
	unsigned seen[3][16] = {0};

	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		seen[r->others > 1 ? 2 : r->others]
		    [r->forced << 3 | r->flushed << 2 | r->pinned << 1 | r->sticky]++;
	}
	for (unsigned k = 0; k < 3; k++)
		for (unsigned i = 0; i < 16; i++)
			assert_int_equal(seen[k][i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_no_row_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
