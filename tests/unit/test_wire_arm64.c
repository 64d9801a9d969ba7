/* SPDX-License-Identifier: Apache-2.0 */
/* The operand of TLBI RVAE1IS: a wrong TG or NUM may flush nothing without anyone noticing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/wire_arm64.h"

static uint64_t field(uint64_t operand, unsigned high, unsigned low)
{
	return operand >> low & (((uint64_t)1 << (high - low + 1)) - 1);
}

/* Pages the operand covers, as the architecture computes them: (NUM + 1) * 2^(5 * SCALE + 1). */
static uint64_t covered(uint64_t operand)
{
	return (field(operand, 43, 39) + 1) << (5 * field(operand, 45, 44) + 1);
}

static void test_every_length(void **state)
{
	(void)state;
	for (uint64_t pages = 2; pages <= 64; pages += 2) {
		uint64_t operand = shim_range_operand(0xabcd, 0x7f1234567000, pages);

		assert_int_equal(covered(operand), pages);
		assert_int_equal(field(operand, 63, 48), 0xabcd);
		assert_int_equal(field(operand, 47, 46), 1); /* 4 KiB granule */
		assert_int_equal(field(operand, 38, 37), 0); /* any level */
		assert_int_equal(field(operand, 36, 0), 0x7f1234567);
	}
}

static void test_extreme_addresses_stay_in_their_field(void **state)
{
	uint64_t low = shim_range_operand(1, 0, 2);
	uint64_t high = shim_range_operand(0xffff, 0x7ffffffff000, 64);

	(void)state;
	assert_int_equal(low, (uint64_t)1 << 48 | (uint64_t)1 << 46);
	assert_int_equal(field(high, 36, 0), 0x7ffffffff);
	assert_int_equal(field(high, 45, 44), 0);
	assert_int_equal(field(high, 43, 39), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_extreme_addresses_stay_in_their_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
