/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static const struct algorithm {
	const char *name;
	size_t digits;
	const EVP_MD *(*md)(void);
} algorithms[] = {
	{"sha256", 64, EVP_sha256},
	{"sha512", 128, EVP_sha512},
};

static const struct algorithm *algorithm_of(const char *text)
{
	size_t n = strcspn(text, ":");

	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
		if (strlen(algorithms[i].name) == n && !strncmp(algorithms[i].name, text, n))
			return &algorithms[i];
	return NULL;
}

bool digest_parse(const char *text, struct digest *d)
{
	const struct algorithm *a = algorithm_of(text);
	const char *hex = strchr(text, ':');

	d->text[0] = '\0';
	if (!a || !hex || strlen(hex + 1) != a->digits ||
	    strspn(hex + 1, "0123456789abcdef") != a->digits)
		return false;
	snprintf(d->text, sizeof(d->text), "%s", text);
	return true;
}

void digest_blob_path(const struct digest *d, char *out, size_t len)
{
	int n = (int)strcspn(d->text, ":");

	snprintf(out, len, "blobs/%.*s/%s", n, d->text, d->text + n + 1);
}

bool hasher_start(struct hasher *h, const struct digest *d)
{
	const struct algorithm *a = algorithm_of(d->text);

	h->ctx = NULL;
	if (!a)
		return true;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx && EVP_DigestInit_ex(h->ctx, a->md(), NULL))
		return true;
	hasher_free(h);
	return false;
}

void hasher_add(struct hasher *h, const void *p, size_t n)
{
	if (h->ctx)
		EVP_DigestUpdate(h->ctx, p, n);
}

bool hasher_agrees(struct hasher *h, const struct digest *d, struct digest *found)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	size_t at;

	*found = *d;
	if (!h->ctx)
		return true;
	found->text[0] = '\0';
	if (!EVP_DigestFinal_ex(h->ctx, raw, &n))
		return false;
	at = (size_t)snprintf(found->text, sizeof(found->text), "%.*s:", (int)strcspn(d->text, ":"),
			      d->text);
	for (unsigned int i = 0; i < n && at + 3 <= sizeof(found->text); i++)
		at += (size_t)snprintf(found->text + at, sizeof(found->text) - at, "%02x", raw[i]);
	return !strcmp(found->text, d->text);
}

void hasher_free(struct hasher *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}
