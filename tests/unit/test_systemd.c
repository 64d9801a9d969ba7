/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's scope is told of its limits, with both versions of control groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "oci/systemd.h"

static void expect(const struct oci_resources *res, bool v2, const char *const *words)
{
	struct oci_properties p;
	unsigned n = 0;

	oci_systemd_properties(res, v2, &p);
	for (; words[n]; n++) {
		assert_true(n < p.n);
		assert_string_equal(p.text[n], words[n]);
	}
	assert_int_equal(p.n, n);
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void nothing_is_asked_for(void **state)
{
	const struct oci_resources res = {.has_memory = false};

	(void)state;
	expect(&res, false, WORDS(NULL));
	expect(&res, true, WORDS(NULL));
}

static void memory(void **state)
{
	const struct oci_resources res = {.has_memory = true,
					  .memory = 1000,
					  .has_memory_swap = true,
					  .memory_swap = 1500,
					  .has_memory_reservation = true,
					  .memory_reservation = 500};
	const struct oci_resources none = {.has_memory = true,
					   .memory = -1,
					   .has_memory_swap = true,
					   .memory_swap = -1};

	(void)state;
	expect(&res, false, WORDS("MemoryLimit=t:1000"));
	expect(&res, true, WORDS("MemoryMax=t:1000", "MemoryLow=t:500", "MemorySwapMax=t:500"));
	expect(&none, true,
	       WORDS("MemoryMax=t:18446744073709551615", "MemorySwapMax=t:18446744073709551615"));
}

static void processor_time(void **state)
{
	struct oci_resources res = {.has_shares = true, .shares = 1024};

	(void)state;
	expect(&res, false, WORDS("CPUShares=t:1024"));
	expect(&res, true, WORDS("CPUWeight=t:39"));
	/* Whole percent, upwards. */
	res = (struct oci_resources){.has_quota = true, .quota = 12345};
	expect(&res, true, WORDS("CPUQuotaPerSecUSec=t:130000"));
	res = (struct oci_resources){.has_quota = true,
				     .quota = 50000,
				     .has_period = true,
				     .period = 25000};
	expect(&res, true, WORDS("CPUQuotaPeriodUSec=t:25000", "CPUQuotaPerSecUSec=t:2000000"));
	res.quota = -1;
	expect(&res, true,
	       WORDS("CPUQuotaPeriodUSec=t:25000", "CPUQuotaPerSecUSec=t:18446744073709551615"));
}

static void sets_are_masks(void **state)
{
	const struct oci_resources res = {.cpus = "0-2,5,9", .mems = "1"};

	(void)state;
	expect(&res, true, WORDS("AllowedCPUs=ay:2702", "AllowedMemoryNodes=ay:02"));
	/* Version 1 has no property for them. */
	expect(&res, false, WORDS(NULL));
}

static void processes(void **state)
{
	struct oci_resources res = {.has_pids = true, .pids = 50};
	struct oci_properties p;

	(void)state;
	/* The sandbox's own threads come on top. */
	oci_systemd_properties(&res, true, &p);
	assert_int_equal(p.n, 1);
	assert_string_equal(p.text[0], "TasksMax=t:66");
	res.pids = -1;
	expect(&res, false, WORDS("TasksMax=t:18446744073709551615"));
}

static void unified_files(void **state)
{
	const struct oci_resources res = {.unified = {{"memory.high", "4096"},
						      {"memory.swap.max", "max"},
						      {"hugetlb.2MB.max", "0"}},
					  .nunified = 3};

	(void)state;
	expect(&res, true, WORDS("MemoryHigh=t:4096", "MemorySwapMax=t:18446744073709551615"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_asked_for),
		cmocka_unit_test(memory),
		cmocka_unit_test(processor_time),
		cmocka_unit_test(sets_are_masks),
		cmocka_unit_test(processes),
		cmocka_unit_test(unified_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
