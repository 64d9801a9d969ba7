/* SPDX-License-Identifier: Apache-2.0 */
/* What pulling reads: names, challenges, files with credentials and mirrors; and the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka's header wants those first */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/image/challenge.h"
#include "oci/image/credentials.h"
#include "oci/image/http.h"
#include "oci/image/reference.h"
#include "oci/image/registries.h"
#include "oci/image/registry.h"
#include "oci/image/store.h"
#include "oci/tree.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_names(void **state)
{
	static const struct {
		const char *text, *host, *path, *tag;
		int digest;
	} good[] = {
		{"box", "", "box", "latest", 0},
		{"team/box:1.0", "", "team/box", "1.0", 0},
		{"localhost/box", "localhost", "box", "latest", 0},
		{"localhost:5000/a/b:V_1.x-y", "localhost:5000", "a/b", "V_1.x-y", 0},
		{"Host/box", "Host", "box", "latest", 0},
		{"r.example/a__b/c--d.e@sha256:" HEX, "r.example", "a__b/c--d.e", "", 1},
		{"r.example/a:1@sha256:" HEX, "r.example", "a", "1", 1},
		{"[::1]:443/a", "[::1]:443", "a", "latest", 0},
		{"1.2.3.4/a", "1.2.3.4", "a", "latest", 0},
	};
	struct oci_error err;
	struct reference r;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(reference_parse(good[i].text, &r, &err), 0);
		assert_string_equal(r.host, good[i].host);
		assert_string_equal(r.path, good[i].path);
		assert_string_equal(r.tag, good[i].tag);
		assert_int_equal(r.digest.text[0] != 0, good[i].digest);
	}
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"/box",
		"a//b",
		"a/",
		"A",
		"a/B",
		"a/../b",
		"a/.b",
		"a/b.",
		"a___b",
		"a..b",
		"a:",
		"a:-x",
		"a:.x",
		"a b",
		"a?b",
		"a%2fb",
		"a@sha256:12",
		"a@md5:" HEX,
		"x.y:/a",
		"x.y:123456/a",
		"-x.y/a",
		"x-.y/a",
		"x..y/a",
		"x.y@z/a",
		"[::1/a",
		"[]/a",
		"a\nb",
		"h.x/a:b\r",
		"https://a/b",
		"a:b:c",
		"x.y/a@sha256:" HEX "0",
	};
	char large[REFERENCE_MAX_TEXT + 10];
	struct oci_error err;
	struct reference r;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.msg[0] = '\0';
		if (!reference_parse(bad[i], &r, &err))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(err.msg[0]);
	}
	memset(large, 'a', sizeof(large));
	large[sizeof(large) - 1] = '\0';
	assert_int_not_equal(reference_parse(large, &r, &err), 0);
	large[REFERENCE_MAX_NAME] = '\0';
	assert_int_not_equal(reference_parse(large, &r, &err), 0);
	large[REFERENCE_MAX_NAME - 1] = '\0';
	assert_int_equal(reference_parse(large, &r, &err), 0);
}

static void complete(const char *text, const char *host, const char *space, const char *whole)
{
	char out[REFERENCE_MAX_TEXT];
	struct oci_error err;
	struct reference r;

	assert_int_equal(reference_parse(text, &r, &err), 0);
	assert_int_equal(reference_complete(&r, host, space, &err), 0);
	reference_text(&r, out, sizeof(out));
	assert_string_equal(out, whole);
}

static void test_short_names(void **state)
{
	struct oci_error err;
	struct reference r;

	(void)state;
	complete("box", "r.example", "library", "r.example/library/box:latest");
	complete("box:1", "r.example", NULL, "r.example/box:1");
	complete("a/box", "r.example:1", "library", "r.example:1/a/box:latest");
	complete("x.y/box", "r.example", "library", "x.y/box:latest");
	assert_int_equal(reference_parse("box", &r, &err), 0);
	assert_int_not_equal(reference_complete(&r, NULL, NULL, &err), 0);
	assert_int_not_equal(reference_complete(&r, "a b", NULL, &err), 0);
}

static void challenge(const char *header, enum challenge_kind kind, const char *realm,
		      const char *service)
{
	struct challenge c = {.kind = CHALLENGE_NONE};

	challenge_read(header, &c);
	assert_int_equal(c.kind, kind);
	assert_string_equal(c.realm, realm);
	assert_string_equal(c.service, service);
}

static void test_challenges(void **state)
{
	char large[3000];

	(void)state;
	challenge("Basic realm=\"x\"", CHALLENGE_BASIC, "x", "");
	challenge("bearer REALM=\"https://a/b\" , service=\"s t\",scope=\"x:y:pull\"",
		  CHALLENGE_BEARER, "https://a/b", "s t");
	challenge("Bearer realm=\"a\\\"b\"", CHALLENGE_BEARER, "a\"b", "");
	challenge("Basic realm=x, Bearer realm=y,service=z", CHALLENGE_BEARER, "y", "z");
	challenge("Bearer realm=y,service=z, Basic realm=x", CHALLENGE_BEARER, "y", "z");
	challenge("Basic", CHALLENGE_BASIC, "", "");
	challenge("Bearer service=x", CHALLENGE_NONE, "", "");
	challenge("Bearer realm=\"open", CHALLENGE_NONE, "", "");
	challenge("Bearer realm=\"a\rb\"", CHALLENGE_NONE, "", "");
	challenge("Digest realm=\"x\"", CHALLENGE_NONE, "", "");
	challenge("", CHALLENGE_NONE, "", "");
	snprintf(large, sizeof(large), "Bearer realm=\"%02000d\"", 1);
	challenge(large, CHALLENGE_NONE, "", "");
}

static void login(const char *text, const char *host, const char *path, int found,
		  const char *basic, const char *identity)
{
	struct oci_error err;
	struct credentials c;

	assert_int_equal(credentials_in_text(text, strlen(text), "auth.json", host, path, &c, &err),
			 found);
	assert_string_equal(c.basic, basic);
	assert_string_equal(c.identity, identity);
}

static void test_auth_files(void **state)
{
	/* a:b, c:d, e:f and g:h */
	static const char file[] = "{\"auths\":{\"h\":{\"auth\":\"YTpi\"},"
				   "\"h/x\":{\"auth\":\"Yzpk\"},\"h/x/y\":{\"auth\":\"ZTpm\"},"
				   "\"https://old.example/v1/\":{\"auth\":\"Zzpo\"},"
				   "\"t\":{\"identitytoken\":\"tok\"},"
				   "\"p\":{\"username\":\"u\",\"password\":\"w\"},\"e\":{}}}";

	(void)state;
	login(file, "h", "z", 1, "a:b", "");
	login(file, "h", "x", 1, "c:d", "");
	login(file, "h", "x/q", 1, "c:d", "");
	login(file, "h", "xx", 1, "a:b", "");
	login(file, "h", "x/y/z", 1, "e:f", "");
	login(file, "h:1", "x", 0, "", "");
	login(file, "old.example", "x", 1, "g:h", "");
	login(file, "t", "x", 1, "", "tok");
	login(file, "p", "x", 1, "u:w", "");
	login(file, "e", "x", 0, "", "");
	login("{}", "h", "x", 0, "", "");
	login("[]", "h", "x", -22, "", "");
	login("{\"auths\":{\"h\":{\"auth\":\"!!!!\"}}}", "h", "x", -22, "", "");
	/* no colon; a NUL inside; a line feed */
	login("{\"auths\":{\"h\":{\"auth\":\"YWJj\"}}}", "h", "x", -22, "", "");
	login("{\"auths\":{\"h\":{\"auth\":\"YToAYg==\"}}}", "h", "x", -22, "", "");
	login("{\"auths\":{\"h\":{\"auth\":\"YToK\"}}}", "h", "x", -22, "", "");
}

static void test_registries(void **state)
{
	static const char good[] = "{\"default\":\"r.example\",\"namespace\":\"a/b\","
				   "\"mirrors\":{\"r.example\":[\"m:1/x/y\",\"n.example\"]}}";
	static const char *const bad[] = {"[]",
					  "{\"default\":\"a b\"}",
					  "{\"namespace\":\"A\"}",
					  "{\"mirrors\":{\"r\":[\"https://x\"]}}",
					  "{\"mirrors\":{\"r\":[1]}}",
					  "{\"mirrors\":{\"r\":{}}}"};
	const char *mirrors[REGISTRIES_MAX_MIRRORS];
	struct oci_error err;
	struct registries r;

	(void)state;
	assert_int_equal(registries_parse(good, strlen(good), "f", &r, &err), 0);
	assert_string_equal(r.fallback, "r.example");
	assert_int_equal(registries_mirrors(&r, "r.example", mirrors), 2);
	assert_string_equal(mirrors[0], "m:1/x/y");
	assert_int_equal(registries_mirrors(&r, "other", mirrors), 0);
	registries_free(&r);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(registries_parse(bad[i], strlen(bad[i]), "f", &r, &err), 0);
}

static void test_tokens(void **state)
{
	static const char *const bad[] = {"",
					  "{}",
					  "[]",
					  "{\"token\":\"\"}",
					  "{\"token\":\"a b\"}",
					  "{\"token\":\"a\\r\\nX: y\"}",
					  "{\"token\":1}"};
	static const char one[] = "{\"token\":\"a\"}";
	static const char two[] = "{\"token\":\"a\",\"access_token\":\"b\"}";
	struct oci_error err;
	char *s;

	(void)state;
	s = registry_read_token(one, strlen(one), "t", &err);
	assert_string_equal(s, "Bearer a");
	free(s);
	s = registry_read_token(two, strlen(two), "t", &err);
	assert_string_equal(s, "Bearer b");
	free(s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(registry_read_token(bad[i], strlen(bad[i]), "t", &err));
}

static void test_origins(void **state)
{
	static const char *const none[] = {"http://a/", "ftp://a/",	  "a",
					   "",		"https://u:p@a/", "file:///etc/passwd"};
	char out[300], url[300];

	(void)state;
	assert_true(http_origin("https://A.Example/x", out, sizeof(out)));
	assert_string_equal(out, "https://a.example");
	assert_true(http_origin("https://a:443/x?y", out, sizeof(out)));
	assert_string_equal(out, "https://a");
	assert_true(http_origin("https://a:444", out, sizeof(out)));
	assert_string_equal(out, "https://a:444");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(http_origin(none[i], out, sizeof(out)));
	assert_true(http_resolve("https://a:1/x/y", "/z?q", url, sizeof(url)));
	assert_string_equal(url, "https://a:1/z?q");
	assert_true(http_resolve("https://a:1/x/y", "https://b/z", url, sizeof(url)));
	assert_string_equal(url, "https://b/z");
}

/* The store */

struct box {
	char top[64], path[80];
	struct store store;
	struct oci_error err;
};

static int box_start(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->top, sizeof(b->top), "/tmp/nacre-test.XXXXXX");
	assert_non_null(mkdtemp(b->top));
	snprintf(b->path, sizeof(b->path), "%s/a/store", b->top);
	assert_int_equal(store_open(&b->store, b->path, true, &b->err), 0);
	*state = b;
	return 0;
}

static int box_end(void **state)
{
	struct box *b = *state;

	store_close(&b->store);
	assert_int_equal(tree_remove(AT_FDCWD, b->top), 0);
	free(b);
	return 0;
}

static struct digest put(struct box *b, const char *text)
{
	const struct digest sha256 = {"sha256:"};
	struct digest d;
	struct hasher h;
	int fd, r;

	assert_true(hasher_start(&h, &sha256));
	hasher_add(&h, text, strlen(text));
	hasher_agrees(&h, &sha256, &d);
	hasher_free(&h);
	r = store_begin(&b->store, &d, strlen(text), &fd, &b->err);
	assert_true(r >= 0);
	if (r)
		return d;
	assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
	assert_int_equal(store_commit(&b->store, &d, fd, &b->err), 0);
	return d;
}

/* An image of one layer, named. */
static struct digest put_image(struct box *b, const char *name, const char *layer)
{
	struct digest l = put(b, layer), c = put(b, "{}");
	struct store_entry e = {.media = "application/vnd.oci.image.manifest.v1+json"};
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		 "\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":"
		 "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
		 c.text, l.text, strlen(layer));
	e.digest = put(b, text);
	e.size = strlen(text);
	snprintf(e.name, sizeof(e.name), "%s", name);
	assert_int_equal(store_name(&b->store, &e, &b->err), 0);
	return e.digest;
}

static void test_store_names(void **state)
{
	struct box *b = *state;
	struct digest one = put_image(b, "h.x/a:1", "layer"),
		      two = put_image(b, "h.x/a:2", "other");
	struct store_entry e, *list;
	struct reference r;
	char text[300];
	size_t n;

	assert_int_equal(reference_parse("h.x/a:1", &r, &b->err), 0);
	assert_int_equal(store_find(&b->store, &r, &e, &b->err), 0);
	assert_string_equal(e.digest.text, one.text);
	snprintf(text, sizeof(text), "h.x/a@%s", two.text);
	assert_int_equal(reference_parse(text, &r, &b->err), 0);
	assert_int_equal(store_find(&b->store, &r, &e, &b->err), 0);
	assert_string_equal(e.name, "h.x/a:2");
	snprintf(text, sizeof(text), "h.x/b@%s", two.text);
	assert_int_equal(reference_parse(text, &r, &b->err), 0);
	assert_int_not_equal(store_find(&b->store, &r, &e, &b->err), 0);
	/* A name moves on. */
	put_image(b, "h.x/a:1", "third");
	assert_int_equal(store_list(&b->store, &list, &n, &b->err), 0);
	assert_int_equal(n, 2);
	assert_true(list[0].bytes > strlen("third") + 2);
	free(list);
	assert_int_equal(store_unname(&b->store, "h.x/a:1", &b->err), 0);
	assert_int_not_equal(store_unname(&b->store, "h.x/a:1", &b->err), 0);
}

static void test_store_collects(void **state)
{
	struct box *b = *state;
	struct store_collected gone;
	struct store other;
	struct digest d;
	int fd;

	put_image(b, "h.x/a:1", "layer");
	put_image(b, "h.x/a:2", "other");
	d = put(b, "nobody's");
	/* What is young stays for the next attempt. */
	assert_int_equal(store_collect(&b->store, false, &gone, &b->err), 0);
	assert_int_equal(gone.blobs, 0);
	assert_int_equal(store_has(&b->store, &d, 8, &b->err), 1);
	assert_int_equal(store_collect(&b->store, true, &gone, &b->err), 0);
	assert_int_equal(gone.blobs, 1);
	assert_int_equal(store_has(&b->store, &d, 8, &b->err), 0);
	/* Layer and manifest go; the configuration is the other image's too. */
	assert_int_equal(store_unname(&b->store, "h.x/a:1", &b->err), 0);
	assert_int_equal(store_open(&other, b->path, false, &b->err), 0);
	assert_int_equal(store_collect(&b->store, true, &gone, &b->err), -16 /* EBUSY */);
	store_close(&other);
	assert_int_equal(store_begin(&b->store, &d, 8, &fd, &b->err), 0);
	assert_int_equal(write(fd, "nob", 3), 3);
	store_leave(&b->store, &d, fd, false);
	assert_int_equal(store_collect(&b->store, true, &gone, &b->err), 0);
	assert_int_equal(gone.blobs, 3);
}

static void test_store_goes_on(void **state)
{
	struct box *b = *state;
	struct digest d = put(b, "x");
	char text[4] = "";
	int fd;

	/* There already, and with another size than it must have. */
	assert_int_equal(store_begin(&b->store, &d, 1, &fd, &b->err), 1);
	assert_int_equal(store_has(&b->store, &d, 2, &b->err), -74 /* EBADMSG */);
	snprintf(d.text, sizeof(d.text), "sha256:" HEX);
	assert_int_equal(store_begin(&b->store, &d, 6, &fd, &b->err), 0);
	assert_int_equal(write(fd, "abc", 3), 3);
	store_leave(&b->store, &d, fd, false);
	assert_int_equal(store_begin(&b->store, &d, 6, &fd, &b->err), 0);
	assert_int_equal(pread(fd, text, 3, 0), 3);
	assert_string_equal(text, "abc");
	store_leave(&b->store, &d, fd, true);
	assert_int_equal(store_begin(&b->store, &d, 6, &fd, &b->err), 0);
	assert_int_equal(pread(fd, text, 3, 0), 0);
	store_leave(&b->store, &d, fd, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_short_names),
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_auth_files),
		cmocka_unit_test(test_registries),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_origins),
		cmocka_unit_test_setup_teardown(test_store_names, box_start, box_end),
		cmocka_unit_test_setup_teardown(test_store_collects, box_start, box_end),
		cmocka_unit_test_setup_teardown(test_store_goes_on, box_start, box_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
