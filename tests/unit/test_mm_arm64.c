/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 descriptors, bit by bit: Arm ARM, D8.3 (VMSAv8-64, 4 KiB granule, stage 1). */
#include "tests/unit/test_mm.h"

static void page_descriptor_bits(void **state)
{
	(void)state;
	/* valid, page, AP[1] (EL0), AP[2] (read-only), inner shareable, AF, nG, PXN, UXN */
	assert_int_equal(pte_page(GPA(0x123456000), PT_USER), 0x0060000123456fc3);
	/* writable: AP[2] clear */
	assert_int_equal(pte_page(GPA(0x1000), PT_USER | PT_WRITE), 0x0060000000001f43);
	/* executable by EL0, never by EL1 */
	assert_int_equal(pte_page(GPA(0x1000), PT_USER | PT_EXEC), 0x0020000000001fc3);
	/* EL1's own: global, and never executable by EL0 */
	assert_int_equal(pte_page(GPA(0x1000), PT_WRITE), 0x0060000000001703);
	assert_int_equal(pte_page(GPA(0x1000), PT_EXEC), 0x0040000000001783);
}

static void block_and_table_descriptor_bits(void **state)
{
	(void)state;
	assert_int_equal(pte_block(GPA(0x200000), PT_USER | PT_WRITE), 0x0060000000200f41);
	assert_true(pte_is_block(pte_block(GPA(0x200000), PT_USER)));
	assert_int_equal(pte_table(GPA(0x3000), true), 0x3003);
	assert_int_equal(pte_table(GPA(0x3000), false), 0x3003);
	assert_false(pte_is_block(pte_table(GPA(0x3000), true)));
	assert_false(pte_is_block(0));
}

static void any_leaf_may_be_cached(void **state)
{
	pte_t e = pte_page(GPA(0x1000), PT_USER);

	(void)state;
	assert_true(pte_maybe_cached(e));
	assert_int_equal(pte_set_accessed(e), e);
	assert_int_equal(pte_clear_accessed(e), e);
}

static void permissions_come_back_as_they_went_in(void **state)
{
	(void)state;
	for (unsigned perm = 0; perm < 8; perm++) {
		assert_int_equal(pte_perm(pte_page(GPA(0x1000), perm)), perm);
		assert_int_equal(pte_with_perm(pte_page(GPA(0x1000), 7 - perm), perm),
				 pte_page(GPA(0x1000), perm));
		assert_int_equal(pte_with_perm(pte_block(GPA(0x200000), 7 - perm), perm),
				 pte_block(GPA(0x200000), perm));
	}
}

static void held_descriptor_keeps_the_page(void **state)
{
	pte_t e = pte_hold(pte_page(GPA(0x123456000), PT_USER | PT_WRITE));

	(void)state;
	assert_false(pte_present(e));
	assert_true(pte_held(e));
	assert_int_equal(pte_pa(e).v, 0x123456000);
	assert_int_equal(pte_with_perm(e, PT_USER), pte_page(GPA(0x123456000), PT_USER));
	assert_true(pte_is_block(pte_hold(pte_block(GPA(0x200000), PT_USER))));
	assert_false(pte_held(0));
	assert_false(pte_present(0));
}

static void split_keeps_permissions_and_order(void **state)
{
	pte_t block = pte_block(GPA(0x400000), PT_USER | PT_WRITE);

	(void)state;
	assert_int_equal(pte_split(block, 0), pte_page(GPA(0x400000), PT_USER | PT_WRITE));
	assert_int_equal(pte_pa(pte_split(block, 511)).v, 0x5ff000);
	assert_true(pte_held(pte_split(pte_hold(block), 5)));
	assert_int_equal(pte_pa(pte_split(pte_hold(block), 5)).v, 0x405000);
}

int run_descriptor_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_descriptor_bits),
		cmocka_unit_test(block_and_table_descriptor_bits),
		cmocka_unit_test(any_leaf_may_be_cached),
		cmocka_unit_test(permissions_come_back_as_they_went_in),
		cmocka_unit_test(held_descriptor_keeps_the_page),
		cmocka_unit_test(split_keeps_permissions_and_order),
	};

	return cmocka_run_group_tests_name("mm: arm64 descriptors", tests, NULL, NULL);
}
