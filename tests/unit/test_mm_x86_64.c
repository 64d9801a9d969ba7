/* SPDX-License-Identifier: Apache-2.0 */
/* x86-64 descriptors, bit by bit: Intel SDM volume 3, tables 4-14 to 4-20. */
#include "tests/unit/test_mm.h"

static void page_descriptor_bits(void **state)
{
	(void)state;
	/* P, U/S, D; NX since not executable */
	assert_int_equal(pte_page(GPA(0x123456000), PT_USER), 0x8000000123456045);
	/* and R/W */
	assert_int_equal(pte_page(GPA(0x1000), PT_USER | PT_WRITE), 0x8000000000001047);
	/* executable: bit 63 clear */
	assert_int_equal(pte_page(GPA(0x1000), PT_USER | PT_EXEC), 0x1045);
	/* supervisor */
	assert_int_equal(pte_page(GPA(0x1000), PT_WRITE | PT_EXEC), 0x1043);
	/* all 40 address bits */
	assert_int_equal(pte_page(GPA(0xffffffffff000), PT_EXEC), 0xffffffffff041);
}

static void block_and_table_descriptor_bits(void **state)
{
	(void)state;
	assert_int_equal(pte_block(GPA(0x200000), PT_USER | PT_WRITE), 0x80000000002000c7);
	assert_true(pte_is_block(pte_block(GPA(0x200000), PT_USER)));
	assert_int_equal(pte_table(GPA(0x3000), true), 0x3027);
	assert_int_equal(pte_table(GPA(0x3000), false), 0x3023);
	assert_false(pte_is_block(pte_table(GPA(0x3000), true)));
}

static void accessed_bit_says_what_may_be_cached(void **state)
{
	pte_t e = pte_page(GPA(0x1000), PT_USER);

	(void)state;
	assert_false(pte_maybe_cached(e));
	assert_true(pte_maybe_cached(pte_set_accessed(e)));
	assert_int_equal(pte_set_accessed(e) ^ e, 0x20);
	assert_int_equal(pte_clear_accessed(pte_set_accessed(e)), e);
	assert_true(pte_maybe_cached(pte_with_perm(pte_set_accessed(e), PT_USER | PT_WRITE)));
	assert_false(pte_maybe_cached(pte_with_perm(e, PT_USER | PT_WRITE)));
}

static void held_descriptor_keeps_the_page_inverted(void **state)
{
	pte_t e = pte_hold(pte_page(GPA(0x123456000), PT_USER | PT_WRITE));

	(void)state;
	assert_false(pte_present(e));
	assert_true(pte_held(e));
	assert_int_equal(pte_pa(e).v, 0x123456000);
	assert_int_equal(e & X86_PTE_ADDR, ~(uint64_t)0x123456000 & X86_PTE_ADDR);
	assert_int_equal(pte_with_perm(e, PT_USER), pte_page(GPA(0x123456000), PT_USER));
	assert_false(pte_held(0));
	assert_false(pte_present(0));
}

static void split_keeps_permissions_and_order(void **state)
{
	pte_t block = pte_set_accessed(pte_block(GPA(0x400000), PT_USER | PT_WRITE));

	(void)state;
	assert_int_equal(pte_split(block, 0),
			 pte_set_accessed(pte_page(GPA(0x400000), PT_USER | PT_WRITE)));
	assert_int_equal(pte_pa(pte_split(block, 511)).v, 0x5ff000);
	assert_false(pte_split(block, 3) & X86_PTE_PS);
	assert_true(pte_held(pte_split(pte_hold(block), 5)));
	assert_int_equal(pte_pa(pte_split(pte_hold(block), 5)).v, 0x405000);
}

int run_descriptor_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_descriptor_bits),
		cmocka_unit_test(block_and_table_descriptor_bits),
		cmocka_unit_test(accessed_bit_says_what_may_be_cached),
		cmocka_unit_test(held_descriptor_keeps_the_page_inverted),
		cmocka_unit_test(split_keeps_permissions_and_order),
	};

	return cmocka_run_group_tests_name("mm: x86-64 descriptors", tests, NULL, NULL);
}
