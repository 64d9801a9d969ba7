/* SPDX-License-Identifier: Apache-2.0 */
/* Images made to do harm: each is refused or contained, and leaves nothing behind when refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/log.h"
#include "tests/unit/image_build.h"

static int setup(void **state)
{
	struct build *b = malloc(sizeof(*b));

	build_start(b);
	layer_begin(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	build_end(*state);
	free(*state);
	return 0;
}

/* Unpacking fails with a sentence like this one. */
static void refused(struct build *b, const char *says)
{
	assert_true(build_unpack(b) < 0);
	if (!strstr(b->err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", b->err.msg, says);
	assert_true(nothing_left(b));
}

static void accepted(struct build *b)
{
	if (build_unpack(b))
		fail_msg("%s", b->err.msg);
}

static void dotdot_is_refused(void **state)
{
	struct build *b = *state;

	add_file(b, "good", "1");
	add_file(b, "a/../../outside/bad", "2");
	layer_end(b, PLAIN);
	refused(b, "a/../../outside/bad: name: leads out of the root file system");
	assert_non_null(strstr(b->err.msg, b->layers[0].digest));
}

static void absolute_names_are_below_the_root(void **state)
{
	struct build *b = *state;
	char name[200];

	snprintf(name, sizeof(name), "%s/bad", b->outside);
	add_file(b, name, "1");
	layer_end(b, PLAIN);
	accepted(b);
	assert_true(exists(b, name + 1));
	assert_int_not_equal(access(name, F_OK), 0);
}

static void links_to_absolute_places_stay_inside(void **state)
{
	struct build *b = *state;
	char name[200];

	add_link(b, "door", b->outside);
	add_file(b, "door/bad", "1");
	layer_end(b, PLAIN);
	accepted(b);
	snprintf(name, sizeof(name), "%s/bad", b->outside);
	assert_true(exists(b, name + 1));
	assert_int_not_equal(access(name, F_OK), 0);
}

static void links_upwards_stay_inside(void **state)
{
	struct build *b = *state;

	add_link(b, "door", "../../../../../../../../..");
	add_link(b, "a/b/door", "../../../../../..");
	add_file(b, "door/one", "1");
	add_file(b, "a/b/door/two", "2");
	add_dir(b, "door/dir", 0755);
	layer_end(b, PLAIN);
	accepted(b);
	assert_true(exists(b, "one"));
	assert_true(exists(b, "two"));
	assert_true(exists(b, "dir"));
}

static void links_of_a_lower_layer_stay_inside(void **state)
{
	struct build *b = *state;
	char name[200];

	snprintf(name, sizeof(name), "%s/bad", b->outside);
	add_link(b, "etc", b->outside);
	layer_end(b, GZIP);
	layer_begin(b);
	add_file(b, "etc/bad", "1");
	add_file(b, "etc/.wh.bad", "");
	layer_end(b, GZIP);
	accepted(b);
	assert_int_not_equal(access(name, F_OK), 0);
}

static void files_replace_links_and_do_not_follow(void **state)
{
	struct build *b = *state;
	char target[200], *text;

	snprintf(target, sizeof(target), "%s/../layout/index.json", b->outside);
	add_link(b, "file", target);
	add_file(b, "file", "new");
	layer_end(b, PLAIN);
	accepted(b);
	text = slurp(b, "file");
	assert_string_equal(text, "new");
	free(text);
}

static void directories_replace_links(void **state)
{
	struct build *b = *state;
	struct stat st;
	char path[300];

	add_link(b, "dir", b->outside);
	add_dir(b, "dir", 0777);
	add_file(b, "dir/file", "1");
	layer_end(b, PLAIN);
	accepted(b);
	snprintf(path, sizeof(path), "%s/rootfs/dir", b->bundle);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(stat(b->outside, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
}

static void hard_links_do_not_reach_out(void **state)
{
	struct build *b = *state;

	add_hard_link(b, "bad", "../../layout/index.json");
	layer_end(b, PLAIN);
	refused(b, "bad: link target: leads out of the root file system");
}

static void hard_links_through_links_stay_inside(void **state)
{
	struct build *b = *state;

	add_link(b, "door", b->layout);
	add_hard_link(b, "bad", "door/index.json");
	layer_end(b, PLAIN);
	refused(b, "bad: link target: no such file or directory");
}

static void hard_links_to_links_do_not_follow(void **state)
{
	struct build *b = *state;
	char path[300];
	struct stat st;

	add_link(b, "door", "/etc/passwd");
	add_hard_link(b, "again", "door");
	layer_end(b, PLAIN);
	accepted(b);
	snprintf(path, sizeof(path), "%s/rootfs/again", b->bundle);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void hard_links_to_directories_are_refused(void **state)
{
	struct build *b = *state;

	add_dir(b, "dir", 0755);
	add_hard_link(b, "bad", "dir");
	layer_end(b, PLAIN);
	refused(b, "bad: link target: is a directory");
}

static void whiteouts_of_dots_are_refused(void **state)
{
	struct build *b = *state;

	add_dir(b, "a", 0755);
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "a/.wh...", "");
	layer_end(b, PLAIN);
	refused(b, "a/.wh...: whiteout: invalid argument");
}

static void size_is_bounded(void **state)
{
	struct build *b = *state;
	char *zeros = calloc(1, 8u << 20);

	b->options.max_size = 4u << 20;
	add_entry(b, new_entry("bomb", S_IFREG | 0644), zeros, 8u << 20);
	free(zeros);
	layer_end(b, ZSTD);
	assert_true(b->layers[0].size < 65536);
	refused(b, "more than 4194304 bytes uncompressed (--max-size)");
}

static void size_is_bounded_over_layers(void **state)
{
	struct build *b = *state;
	char *zeros = calloc(1, 1u << 20);

	b->options.max_size = 5u << 19;
	for (int i = 0; i < 3; i++) {
		if (i)
			layer_begin(b);
		add_entry(b, new_entry("part", S_IFREG | 0644), zeros, 1u << 20);
		layer_end(b, GZIP);
	}
	free(zeros);
	refused(b, "--max-size");
}

static void entries_are_bounded(void **state)
{
	struct build *b = *state;
	char name[32];

	for (int i = 0; i <= 1000; i++) {
		snprintf(name, sizeof(name), "d/%d", i);
		add_device(b, name);
	}
	layer_end(b, GZIP);
	refused(b, "more than 1000 entries (--max-entries)");
}

static void filters_do_not_nest(void **state)
{
	struct build *b = *state;
	static char packed[1 << 16];
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t n = 0;

	add_file(b, "file", "1");
	archive_write_close(b->layer);
	archive_write_free(b->layer);
	archive_write_set_format_raw(a);
	archive_write_add_filter_gzip(a);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open_memory(a, packed, sizeof(packed), &n);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_write_header(a, e);
	archive_write_data(a, b->bytes, b->used);
	archive_entry_free(e);
	archive_write_free(a);
	layer_bytes(b, packed, n, GZIP);
	refused(b, b->layers[0].digest);
}

static void wrong_digests_are_refused(void **state)
{
	struct build *b = *state;
	char path[300];
	int fd;

	add_file(b, "file", "some text");
	layer_end(b, PLAIN);
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", b->layout, b->layers[0].digest + 7);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* in the data: the tar itself stays whole */
	assert_int_equal(pwrite(fd, "S", 1,
				(char *)memmem(b->bytes, b->used, "some text", 9) - b->bytes),
			 1);
	close(fd);
	refused(b, "its bytes have digest sha256:");
}

static void wrong_sizes_are_refused(void **state)
{
	struct build *b = *state;

	add_file(b, "file", "1");
	layer_end(b, PLAIN);
	b->layers[0].size--;
	refused(b, "bytes, not");
}

static void wrong_diff_ids_are_refused(void **state)
{
	struct build *b = *state;

	add_file(b, "file", "1");
	layer_end(b, GZIP);
	b->layers[0].diff_id[10] = b->layers[0].diff_id[10] == '0' ? '1' : '0';
	refused(b, "its uncompressed bytes have digest");
}

static void digests_are_not_paths(void **state)
{
	struct build *b = *state;

	add_file(b, "file", "1");
	layer_end(b, PLAIN);
	snprintf(b->layers[0].digest, sizeof(b->layers[0].digest), "sha256:../../index.json");
	refused(b, "layers[0].digest must be sha256: or sha512:");
}

static void cut_streams_are_refused(void **state)
{
	struct build *b = *state;
	static unsigned char data[1 << 18];
	char path[300];

	for (uint32_t i = 0, x = 1; i < sizeof(data); i++, x = x * 1103515245 + 12345)
		data[i] = (unsigned char)(x >> 24);
	add_entry(b, new_entry("file", S_IFREG | 0644), data, sizeof(data));
	layer_end(b, GZIP);
	/* A manifest that agrees with the stump, so that only the stream itself is wrong. */
	snprintf(path, sizeof(path), "%s/blobs/sha256/%s", b->layout, b->layers[0].digest + 7);
	char *stump = malloc(b->layers[0].size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	b->layers[0].size /= 2;
	assert_int_equal(read(fd, stump, b->layers[0].size), b->layers[0].size);
	close(fd);
	put_blob(b, stump, b->layers[0].size, b->layers[0].digest);
	free(stump);
	refused(b, "truncated gzip");
	put_blob(b, "\x1f\x8b", 2, b->layers[0].digest);
	b->layers[0].size = 2;
	refused(b, "compressed data is damaged or cut short");
}

static void cut_archives_are_refused(void **state)
{
	struct build *b = *state;
	static char data[8192];

	add_entry(b, new_entry("file", S_IFREG | 0644), data, sizeof(data));
	archive_write_close(b->layer);
	archive_write_free(b->layer);
	layer_bytes(b, b->bytes, 4096, PLAIN);
	refused(b, "file: Truncated tar archive");
}

static void what_is_no_archive_is_refused(void **state)
{
	struct build *b = *state;
	static char junk[4096];

	memset(junk, 'x', sizeof(junk));
	archive_write_free(b->layer);
	layer_bytes(b, junk, sizeof(junk), PLAIN);
	refused(b, b->layers[0].digest);
}

static void types_may_change(void **state)
{
	struct build *b = *state;
	char *text;

	add_dir(b, "x", 0755);
	add_file(b, "x/below/deep", "1");
	add_file(b, "x", "file");
	add_link(b, "x", "/etc");
	add_dir(b, "x", 0700);
	add_file(b, "x/file", "2");
	layer_end(b, PLAIN);
	accepted(b);
	assert_false(exists(b, "x/below"));
	assert_false(exists(b, "etc/file"));
	text = slurp(b, "x/file");
	assert_string_equal(text, "2");
	free(text);
}

static void long_names_are_refused(void **state)
{
	struct build *b = *state;
	char name[300];

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	add_file(b, name, "1");
	layer_end(b, PLAIN);
	refused(b, "file name too long");
}

static void long_paths_are_refused(void **state)
{
	struct build *b = *state;
	static char name[5000];

	for (size_t i = 0; i < 4998; i++)
		name[i] = i % 2 ? '/' : 'd';
	add_file(b, name, "1");
	layer_end(b, PLAIN);
	refused(b, "file name too long");
}

/* Deeper than any path: through a link; removing it again must not need a path either. */
static void deep_trees_are_removed(void **state)
{
	struct build *b = *state;
	static char name[4000];

	for (size_t i = 0; i < 3998; i++)
		name[i] = i % 2 ? '/' : 'd';
	name[3997] = '\0';
	add_dir(b, name, 0755);
	add_link(b, "s", name);
	name[1] = '\0';
	snprintf(name, sizeof(name), "s/");
	for (size_t i = 2; i < 3900; i++)
		name[i] = i % 2 ? '/' : 'e';
	name[3899] = '\0';
	add_dir(b, name, 0755);
	add_file(b, "../bad", "1");
	layer_end(b, PLAIN);
	refused(b, "../bad");
}

static void terminals_are_not_written_to(void **state)
{
	struct build *b = *state;

	add_file(b, "../\033[2Jbad", "1");
	layer_end(b, PLAIN);
	refused(b, "../?[2Jbad");
}

static void owners_are_ids(void **state)
{
	struct build *b = *state;
	struct archive_entry *e = new_entry("file", S_IFREG | 0644);

	archive_entry_set_uid(e, 1ll << 32);
	add_entry(b, e, "1", 1);
	layer_end(b, PLAIN);
	refused(b, "file: owner: ");
}

static void indexes_do_not_nest_for_ever(void **state)
{
	struct build *b = *state;
	char one[700], digest[80];

	layer_end(b, PLAIN);
	put_manifest(b, one, sizeof(one));
	for (int i = 0; i < 6; i++) {
		char text[1000];
		int n = snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[{%s}]}",
				 one);

		put_blob(b, text, (size_t)n, digest);
		snprintf(one, sizeof(one),
			 "\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
			 "\"digest\":\"%s\",\"size\":%d",
			 digest, n);
	}
	char index[800];

	snprintf(index, sizeof(index), "{%s}", one);
	put_index(b, index);
	assert_int_equal(unpack(b, b->layout), -ELOOP);
	assert_true(nothing_left(b));
}

static void layouts_do_not_lead_out(void **state)
{
	struct build *b = *state;
	char path[300];

	layer_end(b, PLAIN);
	snprintf(path, sizeof(path), "%s/index.json", b->layout);
	assert_int_equal(symlink("/proc/self/status", path), 0);
	assert_true(unpack(b, b->layout) < 0);
	assert_true(nothing_left(b));
}

static void bundles_in_use_are_left_alone(void **state)
{
	struct build *b = *state;
	char path[300], *text;

	add_file(b, "file", "1");
	layer_end(b, PLAIN);
	accepted(b);
	assert_int_equal(build_unpack(b), -EEXIST);
	text = slurp(b, "file");
	assert_string_equal(text, "1");
	free(text);
	snprintf(path, sizeof(path), "%s/.nacre-unpack", b->bundle);
	assert_int_not_equal(access(path, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dotdot_is_refused),
		TEST(absolute_names_are_below_the_root),
		TEST(links_to_absolute_places_stay_inside),
		TEST(links_upwards_stay_inside),
		TEST(links_of_a_lower_layer_stay_inside),
		TEST(files_replace_links_and_do_not_follow),
		TEST(directories_replace_links),
		TEST(hard_links_do_not_reach_out),
		TEST(hard_links_through_links_stay_inside),
		TEST(hard_links_to_links_do_not_follow),
		TEST(hard_links_to_directories_are_refused),
		TEST(whiteouts_of_dots_are_refused),
		TEST(size_is_bounded),
		TEST(size_is_bounded_over_layers),
		TEST(entries_are_bounded),
		TEST(filters_do_not_nest),
		TEST(wrong_digests_are_refused),
		TEST(wrong_sizes_are_refused),
		TEST(wrong_diff_ids_are_refused),
		TEST(digests_are_not_paths),
		TEST(cut_streams_are_refused),
		TEST(cut_archives_are_refused),
		TEST(what_is_no_archive_is_refused),
		TEST(types_may_change),
		TEST(long_names_are_refused),
		TEST(long_paths_are_refused),
		TEST(deep_trees_are_removed),
		TEST(terminals_are_not_written_to),
		TEST(owners_are_ids),
		TEST(indexes_do_not_nest_for_ever),
		TEST(layouts_do_not_lead_out),
		TEST(bundles_in_use_are_left_alone),
	};

	log_mute(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
