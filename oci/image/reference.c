/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/reference.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* Length of the run of such characters at s, at most len. */
static size_t run_of(const char *s, size_t len, const char *set)
{
	size_t n = 0;

	while (n < len && s[n] && strchr(set, s[n]))
		n++;
	return n;
}

static bool is_port(const char *s, size_t len)
{
	return len > 0 && len <= 5 && run_of(s, len, DIGIT) == len;
}

/* Labels of letters, digits and inner hyphens, with dots between them; or an IPv6 address. */
bool reference_host_valid(const char *host, size_t len)
{
	size_t at = 0;

	if (!len || len >= REFERENCE_MAX_HOST)
		return false;
	if (host[0] == '[') {
		at = 1 + run_of(host + 1, len - 1, DIGIT "abcdefABCDEF:");
		if (at < 3 || at == len || host[at++] != ']')
			return false;
	} else {
		for (;; at++) {
			size_t n = run_of(host + at, len - at, LOWER UPPER DIGIT "-");

			if (!n || n > 63 || host[at] == '-' || host[at + n - 1] == '-')
				return false;
			at += n;
			if (at == len || host[at] != '.')
				break;
		}
	}
	return at == len || (host[at] == ':' && is_port(host + at + 1, len - at - 1));
}

/* Letters and digits; between them a dot, one or two underscores, or any number of hyphens. */
static bool is_component(const char *s, size_t len)
{
	size_t at = run_of(s, len, LOWER DIGIT);

	if (!at)
		return false;
	while (at < len) {
		size_t dots = run_of(s + at, len - at, "."), bars = run_of(s + at, len - at, "_");
		size_t hyphens = run_of(s + at, len - at, "-"), n;

		if (dots > 1 || bars > 2 || !(dots + bars + hyphens))
			return false;
		at += dots + bars + hyphens;
		n = run_of(s + at, len - at, LOWER DIGIT);
		if (!n)
			return false;
		at += n;
	}
	return true;
}

bool reference_path_valid(const char *path)
{
	if (strlen(path) >= REFERENCE_MAX_NAME)
		return false;
	for (;;) {
		size_t n = strcspn(path, "/");

		if (!is_component(path, n))
			return false;
		if (!path[n])
			return true;
		path += n + 1;
	}
}

static bool is_tag(const char *s, size_t len)
{
	return len && len < REFERENCE_MAX_TAG && s[0] != '.' && s[0] != '-' &&
	       run_of(s, len, LOWER UPPER DIGIT "_.-") == len;
}

static bool names_host(const char *s, size_t len)
{
	return run_of(s, len, LOWER DIGIT "-_") < len || (len == 9 && !strncmp(s, "localhost", 9));
}

int reference_parse(const char *text, struct reference *r, struct oci_error *err)
{
	size_t len = strcspn(text, "@"), host = strcspn(text, "/");
	const char *path = text, *colon;

	*r = (struct reference){0};
	if (strlen(text) >= REFERENCE_MAX_TEXT)
		return oci_fail(err, EINVAL, "image name %.60s...: too long", text);
	if (text[len] && !digest_parse(text + len + 1, &r->digest))
		return oci_fail(err, EINVAL,
				"image %s: the digest must be sha256: or sha512: and its digits",
				text);
	if (host < len && names_host(text, host)) {
		if (!reference_host_valid(text, host))
			return oci_fail(err, EINVAL, "image %s: %.*s is not a registry's host name",
					text, (int)host, text);
		memcpy(r->host, text, host);
		path = text + host + 1;
		len -= host + 1;
	}
	colon = memchr(path, ':', len);
	if (colon) {
		size_t n = len - (size_t)(colon + 1 - path);

		if (!is_tag(colon + 1, n))
			return oci_fail(err, EINVAL, "image %s: %.*s is not a tag", text, (int)n,
					colon + 1);
		memcpy(r->tag, colon + 1, n);
		len = (size_t)(colon - path);
	} else if (!r->digest.text[0]) {
		snprintf(r->tag, sizeof(r->tag), "latest");
	}
	if (len < sizeof(r->path))
		memcpy(r->path, path, len);
	if (len >= sizeof(r->path) || !reference_path_valid(r->path))
		return oci_fail(err, EINVAL,
				"image %s: a name has components of lower-case letters and digits, "
				"with . _ - inside them and / between them",
				text);
	return 0;
}

int reference_complete(struct reference *r, const char *registry, const char *name_space,
		       struct oci_error *err)
{
	char path[sizeof(r->path)];
	size_t n = name_space ? strlen(name_space) : 0;

	if (r->host[0])
		return 0;
	if (!registry)
		return oci_fail(err, EINVAL,
				"image %s: the name has no registry, and no default one is "
				"configured (--registry)",
				r->path);
	if (!reference_host_valid(registry, strlen(registry)))
		return oci_fail(err, EINVAL, "registry %s: not a host name", registry);
	snprintf(r->host, sizeof(r->host), "%s", registry);
	if (!n || strchr(r->path, '/'))
		return 0;
	if (!reference_path_valid(name_space) || n + strlen(r->path) + 2 > sizeof(path))
		return oci_fail(err, EINVAL, "name space %.300s: not a part of an image's name",
				name_space);
	memcpy(path, r->path, sizeof(path));
	memcpy(r->path, name_space, n);
	r->path[n] = '/';
	memcpy(r->path + n + 1, path, strlen(path) + 1);
	return 0;
}

void reference_name(const struct reference *r, char *out, size_t len)
{
	snprintf(out, len, "%s%s%s", r->host, r->host[0] ? "/" : "", r->path);
}

void reference_text(const struct reference *r, char *out, size_t len)
{
	snprintf(out, len, "%s%s%s%s%s%s%s", r->host, r->host[0] ? "/" : "", r->path,
		 r->tag[0] ? ":" : "", r->tag, r->digest.text[0] ? "@" : "", r->digest.text);
}
