/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry asks for in WWW-Authenticate (RFC 9110 section 11.6.1, token spec of registries). */
#ifndef NACRE_OCI_IMAGE_CHALLENGE_H
#define NACRE_OCI_IMAGE_CHALLENGE_H

enum challenge_kind { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
	enum challenge_kind kind;
	char realm[1024]; /* bearer: the URL of the token service */
	char service[256];
};

/*
 * Read one header's value, which may hold several challenges; the strongest of those seen stays in
 * c, so that headers can be read one after the other. Anything malformed, overlong or with control
 * characters counts as nothing. c begins as {0}.
 */
void challenge_read(const char *header, struct challenge *c);

#endif
