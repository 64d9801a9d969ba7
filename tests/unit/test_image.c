/* SPDX-License-Identifier: Apache-2.0 */
/* Images as builders make them: layers, whiteouts, metadata, platforms, archives, conversion. */
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
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "oci/image/platform.h"
#include "oci/image/target.h"
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

static void accepted(struct build *b)
{
	if (build_unpack(b))
		fail_msg("%s", b->err.msg);
}

static void holds(const struct build *b, const char *name, const char *text)
{
	char *s = slurp(b, name);

	assert_string_equal(s, text);
	free(s);
}

static void config_has(const struct build *b, const char *text)
{
	char *s = config_text(b);

	if (!strstr(s, text))
		fail_msg("no %s in %s", text, s);
	free(s);
}

static struct stat status(const struct build *b, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/rootfs/%s", b->bundle, name);
	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void layers_are_stacked(void **state)
{
	struct build *b = *state;

	add_file(b, "a", "1");
	add_file(b, "b", "1");
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "b", "2");
	add_file(b, "c", "2");
	layer_end(b, GZIP);
	layer_begin(b);
	add_file(b, "c", "3");
	layer_end(b, ZSTD);
	accepted(b);
	holds(b, "a", "1");
	holds(b, "b", "2");
	holds(b, "c", "3");
}

static void metadata_is_kept(void **state)
{
	struct build *b = *state;
	struct archive_entry *e = new_entry("./su", S_IFREG | 04755);
	struct stat st;

	add_dir(b, "./", 0751);
	add_dir(b, "./closed/", 0555);
	archive_entry_set_mtime(e, 1234567890, 987654321);
	if (!getuid()) {
		archive_entry_set_uid(e, 12345);
		archive_entry_set_gid(e, 54321);
	}
	add_entry(b, e, "x", 1);
	add_file(b, "./closed/file", "1");
	add_link(b, "link", "nowhere");
	layer_end(b, PLAIN);
	accepted(b);
	st = status(b, "su");
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_mtim.tv_sec, 1234567890);
	assert_int_equal(st.st_mtim.tv_nsec, 987654321);
	assert_true(getuid() || (st.st_uid == 12345 && st.st_gid == 54321));
	st = status(b, "closed");
	assert_int_equal(st.st_mode, S_IFDIR | 0555);
	assert_int_equal(st.st_mtim.tv_sec, 1000000000);
	assert_int_equal(status(b, "").st_mode, S_IFDIR | 0751);
	assert_int_equal(status(b, "link").st_mtim.tv_sec, 1000000000);
}

static void the_last_word_on_a_directory_counts(void **state)
{
	struct build *b = *state;

	add_dir(b, "d", 0700);
	layer_end(b, PLAIN);
	layer_begin(b);
	add_dir(b, "d", 0711);
	add_file(b, "d/x", "1");
	layer_end(b, PLAIN);
	accepted(b);
	assert_int_equal(status(b, "d").st_mode, S_IFDIR | 0711);
	assert_int_equal(status(b, "d").st_mtim.tv_sec, 1000000000);
}

static void hard_links_share_a_file(void **state)
{
	struct build *b = *state;

	add_file(b, "a/one", "text");
	add_hard_link(b, "b/two", "a/one");
	add_hard_link(b, "a/one", "b/two");
	layer_end(b, PLAIN);
	accepted(b);
	assert_int_equal(status(b, "a/one").st_ino, status(b, "b/two").st_ino);
	holds(b, "b/two", "text");
}

static void attributes_are_kept(void **state)
{
	struct build *b = *state;
	struct archive_entry *e = new_entry("file", S_IFREG | 0755);
	char path[300], value[16];

	archive_entry_xattr_add_entry(e, "user.colour", "red", 3);
	archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
	add_entry(b, e, "1", 1);
	layer_end(b, PLAIN);
	accepted(b);
	snprintf(path, sizeof(path), "%s/rootfs/file", b->bundle);
	assert_true(lgetxattr(path, "trusted.overlay.opaque", value, sizeof(value)) < 0);
	if (lgetxattr(path, "user.colour", value, sizeof(value)) < 0 && errno == ENOTSUP)
		skip();
	assert_int_equal(lgetxattr(path, "user.colour", value, sizeof(value)), 3);
	assert_memory_equal(value, "red", 3);
}

static void holes_stay_holes(void **state)
{
	struct build *b = *state;
	struct archive_entry *e = new_entry("sparse", S_IFREG | 0644);
	static char data[1 << 20];
	struct stat st;

	archive_entry_set_size(e, sizeof(data));
	archive_entry_sparse_add_entry(e, 0, 4096);
	archive_entry_sparse_add_entry(e, sizeof(data) - 8192, 4096);
	memset(data, 'a', 4096);
	memset(data + sizeof(data) - 8192, 'b', 4096);
	add_entry(b, e, data, sizeof(data));
	layer_end(b, PLAIN);
	accepted(b);
	st = status(b, "sparse");
	assert_int_equal(st.st_size, sizeof(data));
	assert_true(st.st_blocks * 512 < 1 << 17);
}

static void devices_are_made_or_left_out(void **state)
{
	struct build *b = *state;

	add_device(b, "dev/null");
	add_file(b, "after", "1");
	layer_end(b, PLAIN);
	accepted(b);
	holds(b, "after", "1");
	if (exists(b, "dev/null"))
		assert_true(S_ISCHR(status(b, "dev/null").st_mode));
}

static void names_are_bytes(void **state)
{
	struct build *b = *state;

	add_file(b, "caf\xc3\xa9", "1");
	add_file(b, "latin\xe9", "2");
	add_link(b, "link", "caf\xc3\xa9");
	layer_end(b, PLAIN);
	accepted(b);
	holds(b, "caf\xc3\xa9", "1");
	holds(b, "latin\xe9", "2");
	holds(b, "link", "1");
}

static void whiteouts_remove(void **state)
{
	struct build *b = *state;

	add_file(b, "d/gone", "1");
	add_file(b, "d/stays", "1");
	add_file(b, "tree/a/b/c", "1");
	add_link(b, "link", "d");
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "d/.wh.gone", "");
	add_file(b, ".wh.tree", "");
	add_file(b, ".wh.link", "");
	add_file(b, ".wh.never", "");
	add_file(b, "no/such/.wh.file", "");
	layer_end(b, PLAIN);
	accepted(b);
	assert_false(exists(b, "d/gone"));
	assert_false(exists(b, "tree"));
	assert_false(exists(b, "link"));
	assert_false(exists(b, "no"));
	holds(b, "d/stays", "1");
}

static void whiteouts_spare_their_own_layer(void **state)
{
	struct build *b = *state;

	add_file(b, "x/old", "1");
	add_file(b, "y", "1");
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "x/new", "2");
	add_file(b, "y", "2");
	add_file(b, ".wh.x", "");
	add_file(b, ".wh.y", "");
	layer_end(b, PLAIN);
	accepted(b);
	assert_false(exists(b, "x/old"));
	holds(b, "x/new", "2");
	holds(b, "y", "2");
}

static void opaque_directories_hide_lower_layers(void **state)
{
	struct build *b = *state;

	add_file(b, "d/old", "1");
	add_file(b, "d/sub/old", "1");
	add_file(b, "d/both/old", "1");
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "d/before", "2");
	add_file(b, "d/both/new", "2");
	add_file(b, "d/.wh..wh..opq", "");
	add_file(b, "d/after", "2");
	layer_end(b, PLAIN);
	accepted(b);
	assert_false(exists(b, "d/old"));
	assert_false(exists(b, "d/sub"));
	assert_false(exists(b, "d/both/old"));
	assert_false(exists(b, "d/.wh..wh..opq"));
	holds(b, "d/before", "2");
	holds(b, "d/both/new", "2");
	holds(b, "d/after", "2");
}

static void entries_go_through_links_of_lower_layers(void **state)
{
	struct build *b = *state;

	add_link(b, "lib", "usr/lib");
	add_link(b, "var/run", "/run");
	add_dir(b, "usr/lib", 0755);
	layer_end(b, PLAIN);
	layer_begin(b);
	add_file(b, "lib/a.so", "2");
	add_file(b, "var/run/x/pid", "2");
	layer_end(b, PLAIN);
	accepted(b);
	holds(b, "usr/lib/a.so", "2");
	holds(b, "run/x/pid", "2");
	assert_true(S_ISLNK(status(b, "lib").st_mode));
}

static void process_comes_from_the_configuration(void **state)
{
	struct build *b = *state;

	b->config = "\"User\":\"web\",\"Env\":[\"A=b c\"],\"Entrypoint\":[\"/run\",\"-x\"],"
		    "\"Cmd\":[\"one\"],\"WorkingDir\":\"/srv/www\",\"StopSignal\":\"SIGQUIT\","
		    "\"Labels\":{\"me\":\"you\"},\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}";
	add_file(b, "etc/passwd",
		 "bad line\nroot:x:0:0::/root:/bin/sh\n"
		 "web:x:33:34:Web:/var/www:/bin/sh");
	add_file(b, "etc/group", "a:x:50:root,web\nb:x:51:webmaster\nweb:x:34:\nc:x:52:web");
	layer_end(b, PLAIN);
	accepted(b);
	config_has(b, "\"uid\": 33,");
	config_has(b, "\"gid\": 34,");
	config_has(b, "\"additionalGids\": [\n\t\t\t\t50,\n\t\t\t\t52\n");
	config_has(b, "\"args\": [\n\t\t\t\"/run\",\n\t\t\t\"-x\",\n\t\t\t\"one\"\n");
	config_has(b, "\"A=b c\",\n\t\t\t\"PATH=/usr/local/sbin");
	config_has(b, "\"HOME=/var/www\"");
	config_has(b, "\"cwd\": \"/srv/www\"");
	config_has(b, "\"org.opencontainers.image.stopSignal\": \"SIGQUIT\"");
	config_has(b, "\"org.opencontainers.image.exposedPorts\": \"80/tcp,53/udp\"");
	config_has(b, "\"org.opencontainers.image.os\": \"linux\"");
	config_has(b, "\"me\": \"you\"");
	assert_true(exists(b, "srv/www"));
}

static void arguments_replace_the_command_only(void **state)
{
	struct build *b = *state;
	static const char *const args[] = {"two", "three"};

	b->config = "\"Entrypoint\":[\"/run\"],\"Cmd\":[\"one\"]";
	b->options.args = args;
	b->options.nargs = 2;
	layer_end(b, PLAIN);
	accepted(b);
	config_has(b, "\"args\": [\n\t\t\t\"/run\",\n\t\t\t\"two\",\n\t\t\t\"three\"\n");
}

static void an_entrypoint_drops_the_command(void **state)
{
	struct build *b = *state;

	b->config = "\"Entrypoint\":[\"/run\"],\"Cmd\":[\"one\"]";
	b->options.entrypoint = "/other";
	layer_end(b, PLAIN);
	accepted(b);
	config_has(b, "\"args\": [\n\t\t\t\"/other\"\n");
}

static void numeric_users_need_no_files(void **state)
{
	struct build *b = *state;

	b->config = "\"User\":\"1000:2000\"";
	layer_end(b, PLAIN);
	accepted(b);
	config_has(b, "\"uid\": 1000,\n\t\t\t\"gid\": 2000\n");
}

static void unknown_users_are_errors(void **state)
{
	struct build *b = *state;

	b->config = "\"User\":\"nobody-here\"";
	layer_end(b, PLAIN);
	assert_true(build_unpack(b) < 0);
	assert_non_null(strstr(b->err.msg, "User nobody-here: no such user"));
	assert_true(nothing_left(b));
}

static void other_platforms_are_refused(void **state)
{
	struct build *b = *state;

	b->arch = "s390x";
	layer_end(b, PLAIN);
	assert_true(build_unpack(b) < 0);
	assert_non_null(strstr(b->err.msg, "the image is for linux/s390x"));
	b->options.platform = "linux/s390x";
	accepted(b);
}

/* Two platforms in an index in the index; each image says in a file which one it is. */
static void platforms_are_chosen_in_nested_indexes(void **state)
{
	struct build *b = *state;
	char one[300], two[300], text[1000], digest[80];
	int n;

	add_file(b, "which", "one");
	layer_end(b, PLAIN);
	b->arch = "riscv64";
	put_manifest(b, one, sizeof(one));
	b->nlayers = 0;
	layer_begin(b);
	add_file(b, "which", "two");
	layer_end(b, PLAIN);
	b->arch = NULL;
	put_manifest(b, two, sizeof(two));
	n = snprintf(text, sizeof(text),
		     "{\"manifests\":[{%s,\"platform\":{\"os\":\"linux\",\"architecture\":"
		     "\"riscv64\"}},{%s,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
		     one, two, host_arch());
	put_blob(b, text, (size_t)n, digest);
	snprintf(text, sizeof(text),
		 "{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"%s\","
		 "\"size\":%d}",
		 digest, n);
	put_index(b, text);
	assert_int_equal(unpack(b, b->layout), 0);
	holds(b, "which", "two");
	snprintf(b->bundle, sizeof(b->bundle), "%s/second", b->top);
	b->options.platform = "linux/riscv64";
	assert_int_equal(unpack(b, b->layout), 0);
	holds(b, "which", "one");
	b->options.platform = "plan9/vax";
	snprintf(b->bundle, sizeof(b->bundle), "%s/third", b->top);
	assert_int_equal(unpack(b, b->layout), -ENOENT);
}

static void variants_are_levels(void **state)
{
	struct platform p;
	struct oci_error err;

	(void)state;
	assert_int_equal(platform_parse("linux/amd64/v2", &p, &err), 0);
	assert_int_equal(platform_score(&p, "linux", "amd64", NULL), 1);
	assert_int_equal(platform_score(&p, "linux", "amd64", "v2"), 2);
	assert_int_equal(platform_score(&p, "linux", "amd64", "v3"), 0);
	assert_int_equal(platform_score(&p, "linux", "arm64", "v8"), 0);
	assert_int_equal(platform_parse("linux/arm64", &p, &err), 0);
	assert_int_equal(platform_score(&p, "linux", "arm64", "v8"), 8);
	assert_int_equal(platform_score(&p, "linux", "arm64", "v9"), 0);
	assert_true(platform_parse("linux", &p, &err) < 0);
	assert_true(platform_parse("linux/amd64/2", &p, &err) < 0);
}

static void references_choose(void **state)
{
	struct build *b = *state;
	char one[300], two[300], index[1000], image[200];
	static const char name[] = "\"annotations\":{\"org.opencontainers.image.ref.name\":";

	add_file(b, "which", "one");
	layer_end(b, PLAIN);
	put_manifest(b, one, sizeof(one));
	b->nlayers = 0;
	layer_begin(b);
	add_file(b, "which", "two");
	layer_end(b, PLAIN);
	put_manifest(b, two, sizeof(two));
	snprintf(index, sizeof(index), "{%s,%s\"a\"}},{%s,%s\"x.io/b:2\"}}", one, name, two, name);
	put_index(b, index);
	assert_true(unpack(b, b->layout) < 0);
	assert_non_null(strstr(b->err.msg, "a, x.io/b:2"));
	snprintf(image, sizeof(image), "oci:%s:x.io/b:2", b->layout);
	assert_int_equal(unpack(b, image), 0);
	holds(b, "which", "two");
	snprintf(image, sizeof(image), "%s:c", b->layout);
	assert_int_equal(unpack(b, image), -ENOENT);
}

static void run_tar(const char *const argv[])
{
	pid_t pid = fork();
	int st;

	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void archives_are_read_in_place(void **state)
{
	static const char *const ways[] = {"-c", "-cz"};
	struct build *b = *state;
	char tar[200], index[600], one[512];

	add_file(b, "file", "text");
	layer_end(b, GZIP);
	put_manifest(b, one, sizeof(one));
	snprintf(index, sizeof(index), "{%s}", one);
	put_index(b, index);
	for (int i = 0; i < 2; i++) {
		snprintf(tar, sizeof(tar), "%s/%d.tar", b->top, i);
		snprintf(b->bundle, sizeof(b->bundle), "%s/bundle%d", b->top, i);
		run_tar((const char *const[]){"tar", "-C", b->layout, ways[i], "-f", tar, ".",
					      NULL});
		if (unpack(b, tar))
			fail_msg("%s", b->err.msg);
		holds(b, "file", "text");
	}
}

/* As docker save wrote them for years: a configuration by digest, layers in directories, links. */
static void docker_archives(void **state)
{
	struct build *b = *state;
	char text[600], name[200], config[80], from[300], to[300], tar[200];

	add_file(b, "file", "text");
	layer_end(b, PLAIN);
	snprintf(text, sizeof(text),
		 "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{\"Cmd\":[\"go\"]},"
		 "\"rootfs\":{\"diff_ids\":[\"%s\",\"%s\"]}}",
		 host_arch(), b->layers[0].diff_id, b->layers[0].diff_id);
	put_blob(b, text, strlen(text), config);
	snprintf(name, sizeof(name), "%s.json", config + 7);
	put_file(b, name, text);
	snprintf(from, sizeof(from), "%s/blobs/sha256/%s", b->layout, b->layers[0].digest + 7);
	snprintf(to, sizeof(to), "%s/layer.tar", b->layout);
	assert_int_equal(rename(from, to), 0);
	snprintf(to, sizeof(to), "%s/second.tar", b->layout);
	assert_int_equal(symlink("./layer.tar", to), 0);
	snprintf(text, sizeof(text),
		 "[{\"Config\":\"%s\",\"RepoTags\":[\"me/you:latest\"],"
		 "\"Layers\":[\"layer.tar\",\"second.tar\"]}]",
		 name);
	put_file(b, "manifest.json", text);
	snprintf(tar, sizeof(tar), "%s/save.tar", b->top);
	run_tar((const char *const[]){"tar", "-C", b->layout, "-cf", tar, ".", NULL});
	snprintf(text, sizeof(text), "docker-archive:%s:latest", tar);
	if (unpack(b, text))
		fail_msg("%s", b->err.msg);
	holds(b, "file", "text");
	config_has(b, "\"go\"");
	snprintf(b->bundle, sizeof(b->bundle), "%s/second", b->top);
	snprintf(text, sizeof(text), "%s:other", tar);
	assert_int_equal(unpack(b, text), -ENOENT);
}

static void interrupted_work_leaves_nothing(void **state)
{
	struct build *b = *state;

	add_file(b, "file", "text");
	layer_end(b, GZIP);
	image_interrupt();
	assert_true(build_unpack(b) < 0);
	assert_true(nothing_left(b));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(layers_are_stacked),
		TEST(metadata_is_kept),
		TEST(the_last_word_on_a_directory_counts),
		TEST(hard_links_share_a_file),
		TEST(attributes_are_kept),
		TEST(holes_stay_holes),
		TEST(devices_are_made_or_left_out),
		TEST(names_are_bytes),
		TEST(whiteouts_remove),
		TEST(whiteouts_spare_their_own_layer),
		TEST(opaque_directories_hide_lower_layers),
		TEST(entries_go_through_links_of_lower_layers),
		TEST(process_comes_from_the_configuration),
		TEST(arguments_replace_the_command_only),
		TEST(an_entrypoint_drops_the_command),
		TEST(numeric_users_need_no_files),
		TEST(unknown_users_are_errors),
		TEST(other_platforms_are_refused),
		TEST(platforms_are_chosen_in_nested_indexes),
		cmocka_unit_test(variants_are_levels),
		TEST(references_choose),
		TEST(archives_are_read_in_place),
		TEST(docker_archives),
		TEST(interrupted_work_leaves_nothing), /* last: it cannot be taken back */
	};

	log_mute(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
