/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin loader: what it takes, what it refuses, and what it says then. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/loader.h"

static char dir[4096];
static char err[1024];

static void refuse(const char *name, int status, const char *part1, const char *part2)
{
	struct backend b;

	err[0] = '\0';
	assert_int_equal(backend_open(name, dir, &b, err, sizeof err), status);
	assert_non_null(strstr(err, part1));
	assert_non_null(strstr(err, part2));
}

static void test_opens_by_name(void **state)
{
	struct backend b;

	(void)state;
	assert_int_equal(backend_open("good", dir, &b, err, sizeof err), 0);
	assert_string_equal(b.ops->name, "fixture");
	backend_close(&b);
}

static void test_opens_by_path(void **state)
{
	char path[5000];
	struct backend b;

	(void)state;
	snprintf(path, sizeof path, "%s/good.so", dir);
	assert_int_equal(backend_open(path, "/nonexistent", &b, err, sizeof err), 0);
	assert_string_equal(b.path, path);
	backend_close(&b);
}

static void test_environment_names_directory(void **state)
{
	struct backend b;

	(void)state;
	setenv("NACRE_BACKEND_DIR", dir, 1);
	assert_int_equal(backend_open("good", NULL, &b, err, sizeof err), 0);
	backend_close(&b);
	setenv("NACRE_BACKEND_DIR", "/nonexistent", 1);
	assert_int_equal(backend_open("good", NULL, &b, err, sizeof err), -ENOENT);
	unsetenv("NACRE_BACKEND_DIR");
}

static void test_missing_file(void **state)
{
	(void)state;
	refuse("absent", -ENOENT, "absent.so", "No such file");
}

static void test_not_a_shared_object(void **state)
{
	char path[5000];

	(void)state;
	snprintf(path, sizeof path, "%s/text.so", dir);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello\n", 6), 6);
	close(fd);
	refuse("text", -ENOEXEC, "text.so", "is not a plugin");
	unlink(path);
}

static void test_foreign_shared_object(void **state)
{
	(void)state;
	refuse("foreign", -ENOEXEC, "foreign.so", "no symbol nacre_backend");
}

static void test_other_version(void **state)
{
	(void)state;
	refuse("newer", -EPROTO, "newer.so", "version 2, this nacre speaks version 1");
}

static void test_other_size(void **state)
{
	(void)state;
	refuse("short", -EPROTO, "short.so", "16 bytes");
}

static void test_missing_function(void **state)
{
	(void)state;
	refuse("partial", -EPROTO, "partial.so", "leaves a required function out");
}

static void test_failing_probe(void **state)
{
	(void)state;
	refuse("unfit", -ENODEV, "unfit.so", "the moon is in the wrong phase");
}

static void test_missing_directory(void **state)
{
	struct backend b;

	(void)state;
	assert_int_equal(backend_open(NULL, "/nonexistent", &b, err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, "/nonexistent"));
}

static void test_best_is_one_that_probes(void **state)
{
	struct backend b;

	(void)state;
	assert_int_equal(backend_open(NULL, dir, &b, err, sizeof err), 0);
	assert_non_null(strstr(b.path, "good.so"));
	backend_close(&b);
}

struct seen {
	int usable, broken;
};

static int see(const struct backend_info *info, void *arg)
{
	struct seen *s = arg;

	if (info->status == 0) {
		assert_string_equal(info->name, "fixture");
		assert_string_equal(info->error, "");
		s->usable++;
	} else {
		assert_true(info->error[0] != '\0');
		s->broken++;
	}
	return 0;
}

static void test_list_shows_all_with_reasons(void **state)
{
	struct seen s = {0, 0};

	(void)state;
	assert_int_equal(backend_list(dir, see, &s), 0);
	assert_int_equal(s.usable, 1);
	assert_int_equal(s.broken, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_by_name),
		cmocka_unit_test(test_opens_by_path),
		cmocka_unit_test(test_environment_names_directory),
		cmocka_unit_test(test_missing_file),
		cmocka_unit_test(test_not_a_shared_object),
		cmocka_unit_test(test_foreign_shared_object),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_other_size),
		cmocka_unit_test(test_missing_function),
		cmocka_unit_test(test_failing_probe),
		cmocka_unit_test(test_missing_directory),
		cmocka_unit_test(test_best_is_one_that_probes),
		cmocka_unit_test(test_list_shows_all_with_reasons),
	};
	const char *base = getenv("builddir");

	snprintf(dir, sizeof dir, "%s/tests/unit/plugins/.libs", base ? base : ".");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
