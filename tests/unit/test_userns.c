/* SPDX-License-Identifier: Apache-2.0 */
/* Which ids a user namespace has, and what a process may be started as there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "oci/userns.h"
#include "runtime/task/idmap.h"

static const struct kernel_idmap lines[] = {{0, 1000, 1}, {1, 100000, 10}, {65534, 200000, 2}};
static const struct kernel_ids some = {.uid = lines, .nuid = 3, .gid = lines, .ngid = 2};
static const struct kernel_ids every;

static void ids_of_each_line(void **state)
{
	(void)state;
	assert_true(idmap_has_uid(&some, 0));
	assert_true(idmap_has_uid(&some, 1));
	assert_true(idmap_has_uid(&some, 10));
	assert_false(idmap_has_uid(&some, 11));
	assert_false(idmap_has_uid(&some, 1000));
	assert_false(idmap_has_uid(&some, 65533));
	assert_true(idmap_has_uid(&some, 65535));
	assert_false(idmap_has_gid(&some, 65535));
}

static void every_id_without_lines(void **state)
{
	(void)state;
	assert_true(idmap_has_uid(&every, 0));
	assert_true(idmap_has_gid(&every, 4000000000u));
}

static void minus_one_is_no_id(void **state)
{
	(void)state;
	assert_false(idmap_has_uid(&every, (uid_t)-1));
	assert_true(idmap_takes_uid(&some, (uid_t)-1));
	assert_true(idmap_takes_gid(&some, (gid_t)-1));
	assert_false(idmap_takes_uid(&some, 11));
}

static void a_copy_lives_on(void **state)
{
	struct kernel_ids from = some, to;

	(void)state;
	assert_int_equal(idmap_copy(&to, &from), 0);
	assert_ptr_not_equal(to.uid, from.uid);
	assert_true(idmap_has_uid(&to, 65535));
	idmap_free(&to);
	assert_int_equal(to.nuid, 0);
}

static void a_process_must_have_ids_of_it(void **state)
{
	const gid_t groups[] = {1, 2, 11};
	struct oci_process p = {.uid = 11};
	struct oci_error err;

	(void)state;
	assert_int_equal(userns_check_process(&some, &p, "process.", &err), -EINVAL);
	assert_string_equal(err.msg, "process.user.uid: 11 is not mapped in the user namespace");
	p.uid = 10;
	p.gid = 65534;
	assert_int_equal(userns_check_process(&some, &p, "process.", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "user.gid: 65534"));
	p.gid = 0;
	p.groups = groups;
	p.ngroups = 2;
	assert_int_equal(userns_check_process(&some, &p, "process.", &err), 0);
	p.ngroups = 3;
	assert_int_equal(userns_check_process(&some, &p, "process.", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "additionalGids: 11"));
}

static void the_hosts_id_of_a_containers(void **state)
{
	const struct oci_idmap map[] = {{0, 1000, 1}, {1, 100000, 10}};
	struct oci_config cfg = {.uid_map = map, .nuid_map = 2};

	(void)state;
	assert_int_equal(userns_host_uid(&cfg, 0), 1000);
	assert_int_equal(userns_host_uid(&cfg, 5), 100004);
	assert_int_equal(userns_host_uid(&cfg, 11), 11);
}

static void our_own_maps_are_read(void **state)
{
	struct kernel_ids ids = {0};
	struct oci_error err;

	(void)state;
	assert_int_equal(userns_own_ids(&ids, &err), 0);
	assert_true(idmap_has_uid(&ids, getuid()));
	assert_true(idmap_has_gid(&ids, getgid()));
	userns_free_ids(&ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_of_each_line),
		cmocka_unit_test(every_id_without_lines),
		cmocka_unit_test(minus_one_is_no_id),
		cmocka_unit_test(a_copy_lives_on),
		cmocka_unit_test(a_process_must_have_ids_of_it),
		cmocka_unit_test(the_hosts_id_of_a_containers),
		cmocka_unit_test(our_own_maps_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
