/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pulling reads from strangers and from files: the first byte chooses the parser, the rest is
 * its input. What a parser lets through must keep its promise: no byte in a header, URL or path that
 * could end it.
 *
 * Build with -fsanitize=fuzzer,address; or with -DFUZZ_MAIN, which runs the files named on the
 * command line, or else mutations of the seeds below: FUZZ_RUNS of them (20000), from FUZZ_SEED (1).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/image/challenge.h"
#include "oci/image/credentials.h"
#include "oci/image/manifest.h"
#include "oci/image/reference.h"
#include "oci/image/registries.h"
#include "oci/image/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
	if (!ok)
		abort();
}

static int printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return 0;
	return 1;
}

static void one_reference(const char *text, size_t len)
{
	struct oci_error err = {0};
	struct reference r, again;
	char whole[REFERENCE_MAX_TEXT];

	(void)len;
	if (reference_parse(text, &r, &err)) {
		require(err.msg[0] != 0);
		return;
	}
	require(r.path[0] && r.path[0] != '/' && !strstr(r.path, "..") && !strstr(r.path, "//"));
	require(!strpbrk(r.path, "?#%@: \\") && !strpbrk(r.host, "/?#@ \\"));
	reference_text(&r, whole, sizeof(whole));
	/* A default of "latest" is written out; nothing else changes. */
	require(!reference_parse(whole, &again, &err) && !strcmp(r.host, again.host) &&
		!strcmp(r.path, again.path) && !strcmp(r.tag, again.tag) &&
		!strcmp(r.digest.text, again.digest.text));
}

static void one_challenge(const char *text, size_t len)
{
	struct challenge c = {.kind = CHALLENGE_NONE};

	(void)len;
	challenge_read(text, &c);
	require(printable(c.realm) && printable(c.service));
	require(c.kind != CHALLENGE_BEARER || c.realm[0]);
}

static void one_auth_file(const char *text, size_t len)
{
	struct oci_error err = {0};
	struct credentials c;
	char header[4096];
	int r = credentials_in_text(text, len, "auth", "host:5000", "a/b", &c, &err);

	require(printable(c.basic) && printable(c.identity));
	require(r >= 0 || err.msg[0]);
	if (r > 0 && c.basic[0])
		require(credentials_basic_header(&c, header, sizeof(header)) && printable(header));
}

static void one_registries(const char *text, size_t len)
{
	const char *mirrors[REGISTRIES_MAX_MIRRORS];
	struct oci_error err = {0};
	struct registries r;
	struct registry one;

	if (registries_parse(text, len, "registries", &r, &err)) {
		require(err.msg[0] != 0);
		return;
	}
	for (size_t n = registries_mirrors(&r, "host", mirrors); n; n--)
		if (!registry_init(&one, mirrors[n - 1], "a/b", &err)) {
			require(printable(one.origin) && !strstr(one.path, ".."));
			registry_free(&one);
		}
	registries_free(&r);
}

static void one_token(const char *text, size_t len)
{
	struct oci_error err = {0};
	char *header = registry_read_token(text, len, "token", &err);

	require(header ? printable(header) && !strchr(header + 7, ' ') : err.msg[0] != 0);
	free(header);
}

static void one_manifest(const char *text, size_t len)
{
	struct descriptor config, *layers = NULL;
	struct oci_error err = {0};
	struct digest d;
	size_t n;
	yajl_val m = json_parse(text, len, "manifest", &err);

	if (m && YAJL_IS_OBJECT(m) && !manifest_read(m, "manifest", &config, &layers, &n, &err)) {
		require(digest_parse(config.digest.text, &d));
		for (size_t i = 0; i < n; i++)
			require(digest_parse(layers[i].digest.text, &d));
	}
	free(layers);
	yajl_tree_free(m);
}

static void (*const parsers[])(const char *, size_t) = {
	one_reference, one_challenge, one_auth_file, one_registries, one_token, one_manifest,
};
#define PARSERS (sizeof(parsers) / sizeof(parsers[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (!size)
		return 0;
	/* A copy of its own, so that a read behind the end is seen. */
	text = malloc(size);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parsers[data[0] % PARSERS](text, size - 1);
	free(text);
	return 0;
}

#ifdef FUZZ_MAIN
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MAX 2048

static const char *const seeds[] = {
	"0localhost:5000/a-b/c.d__e:v1.0@sha256:" HEX,
	"0[::1]:443/box",
	"0Registry.example/team/app",
	"1Bearer realm=\"https://auth.example/token?x=1\",service=\"a "
	"\\\"b\\\"\",scope=\"r:x:pull\"",
	"1Basic realm=\"here\", Bearer realm=https, Negotiate abc==",
	"2{\"auths\":{\"https://host:5000/v1/\":{\"auth\":\"dXNlcjpwYXNz\"},\"host:5000/a\":"
	"{\"username\":\"u\",\"password\":\"p\",\"identitytoken\":\"t\"}}}",
	"3{\"default\":\"host:1\",\"namespace\":\"library\",\"mirrors\":{\"host\":"
	"[\"m.example:5000/p/q\",\"n\"]}}",
	"4{\"token\":\"abc.def\",\"access_token\":\"ghi\",\"expires_in\":60}",
	"5{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
	"vnd.oci.image.config.v1+json\","
	"\"digest\":\"sha256:" HEX "\",\"size\":2},\"layers\":[{\"mediaType\":"
	"\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:" HEX
	"\",\"size\":9}]}",
};
#define SEEDS (sizeof(seeds) / sizeof(seeds[0]))

static uint64_t state;

static size_t below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (size_t)(state % n);
}

/* One small change; the length stays below MAX. */
static size_t mutate(uint8_t *p, size_t n)
{
	static const char special[] = "\"\\/:@.,={}[]-_ \t\r\n%?#\x7f\xff";
	size_t at = 1 + below(n), run = 1 + below(8);

	switch (below(5)) {
	case 0: /* another byte */
		if (at < n)
			p[at] = below(2) ? (uint8_t)special[below(sizeof(special))]
					 : (uint8_t)below(256);
		return n;
	case 1: /* fewer */
		run = run > n - at ? n - at : run;
		memmove(p + at, p + at + run, n - at - run);
		return n - run;
	case 2: /* some twice */
		if (at + run > n || n + run >= MAX)
			return n;
		memmove(p + at + run, p + at, n - at);
		return n + run;
	case 3: { /* a piece of another */
		const char *other = seeds[below(SEEDS)];
		size_t from = below(strlen(other)), take = 1 + below(strlen(other) - from);

		if (at + take >= MAX)
			return n;
		memcpy(p + at, other + from, take);
		return at + take > n ? at + take : n;
	}
	default: /* cut off */
		return below(8) ? n : at;
	}
}

static int mutations(void)
{
	const char *runs = getenv("FUZZ_RUNS"), *seed = getenv("FUZZ_SEED");
	unsigned long left = runs ? strtoul(runs, NULL, 10) : 20000;
	uint8_t data[MAX];

	state = 0x9e3779b97f4a7c15 ^ (seed ? strtoul(seed, NULL, 10) : 1);
	for (size_t i = 0; i < SEEDS; i++)
		LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], strlen(seeds[i]));
	while (left--) {
		const char *from = seeds[below(SEEDS)];
		size_t n = strlen(from);

		memcpy(data, from, n);
		for (size_t k = 1 + below(6); k; k--)
			n = mutate(data, n);
		LLVMFuzzerTestOneInput(data, n);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	if (argc == 1)
		return mutations();
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f)
			return 1;
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), f));
		fclose(f);
	}
	return 0;
}
#endif
