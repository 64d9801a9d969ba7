/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call table agrees with itself and with the architecture's numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/arch/regs.h"
#include "runtime/syscall/syscall.h"

static int check_row(int nr, const struct syscall_row *row, void *arg)
{
	uint8_t *seen = arg;

	assert_true(nr >= 0 && nr < (int)SYSCALL_MAX);
	assert_false(seen[nr]);
	seen[nr] = 1;
	assert_ptr_equal(syscall_lookup((uint64_t)nr), row);
	assert_non_null(row->fn);
	assert_true(strlen(row->args) <= 6);
	/* A buffer's size follows it. */
	for (const char *p = row->args; *p; p++)
		assert_non_null(strchr("duxlpsfFombrngPMcSvt", *p));
	return 0;
}

static void test_rows_unique_and_found(void **state)
{
	uint8_t seen[SYSCALL_MAX] = {0};

	(void)state;
	assert_int_equal(syscall_for_each(check_row, seen), 0);
}

/* A row's number is that of the call it is named for. */
static int check_name(int nr, const struct syscall_row *row, void *arg)
{
	const char *name = syscall_name((uint64_t)nr);

	(void)arg;
	assert_non_null(name);
	assert_string_equal(name, row->name);
	return 0;
}

static void test_numbers_match_names(void **state)
{
	(void)state;
	assert_int_equal(syscall_for_each(check_name, NULL), 0);
}

/* Both columns: no number twice, no column forgotten. */
static void test_columns(void **state)
{
	static const struct {
		const char *name;
		int x86_64, arm64;
	} rows[] = {
#define SYSCALL(name, x86_64, arm64, args, flags) {#name, x86_64, arm64},
#include "runtime/syscall/all.def"
#undef SYSCALL
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_true(rows[i].x86_64 >= 0 || rows[i].arm64 >= 0);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(rows[i].name, rows[j].name);
			assert_true(rows[i].x86_64 < 0 || rows[i].x86_64 != rows[j].x86_64);
			assert_true(rows[i].arm64 < 0 || rows[i].arm64 != rows[j].arm64);
		}
	}
}

static void test_unknown_numbers(void **state)
{
	static const uint64_t bad[] = {SYSCALL_MAX,  SYSCALL_MAX - 1, 0xffffffff, UINT64_MAX,
				       (uint64_t)-4, 0x40000000,      0x40000001};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(syscall_lookup(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_unique_and_found),
		cmocka_unit_test(test_numbers_match_names),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_unknown_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
