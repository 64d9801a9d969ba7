/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One registry or mirror, and one repository in it: requests that log in, follow redirects and are
 * made again (distribution-spec; the token service's protocol is docker's).
 *
 * - Credentials go to the registry's own host, and to the token service it names over HTTPS; a
 *   redirect to another host gets none, and one to another scheme is refused.
 * - A request is made again after 408, 429, 5xx and lost connections, each wait twice as long as the
 *   one before or as long as the registry asks; progress starts the count anew.
 */
#ifndef NACRE_OCI_IMAGE_REGISTRY_H
#define NACRE_OCI_IMAGE_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "oci/error.h"
#include "oci/image/credentials.h"
#include "oci/image/http.h"
#include "oci/image/reference.h"

#define REGISTRY_MAX_REDIRECTS 5
#define REGISTRY_MAX_TOKEN (64u << 10) /* bytes of the token service's answer */
#define REGISTRY_MAX_WAIT 60	       /* seconds between attempts, whatever is asked for */
#define REGISTRY_PROGRESS (1u << 20)   /* bytes that make an attempt one that got somewhere */

struct registry {
	char name[REFERENCE_MAX_HOST + REFERENCE_MAX_NAME]; /* HOST[/PREFIX], for errors */
	char origin[REFERENCE_MAX_HOST + 16];		    /* https://HOST[:PORT] */
	char path[2 * REFERENCE_MAX_NAME];		    /* of the repository, prefix included */
	struct credentials credentials;
	unsigned retries, delay_ms;
	pthread_mutex_t lock; /* protects authorization */
	char *authorization;  /* the header's value; NULL: not logged in */
};

/* where: HOST[:PORT][/PREFIX]; path: the repository's below it. */
int registry_init(struct registry *r, const char *where, const char *path, struct oci_error *err);
void registry_free(struct registry *r);

struct registry_request {
	const char *kind, *name; /* "manifests" and a tag or digest, "blobs" and a digest */
	const char *accept;
	/*
	 * Where to go on, moved by the sink; NULL: from the start always. until: where it ends, or
	 * UINT64_MAX. A reply with status 200 begins at 0 whatever was asked for.
	 */
	uint64_t *from;
	uint64_t until;
	http_sink *sink;
	void (*begin)(void *arg); /* called before every attempt; may be NULL */
	void *arg;
};

/*
 * 0, -ECANCELED when the sink stopped it (err is left alone), -ERANGE when the range is refused, or
 * another -errno with err filled: -ENOENT for 404, -EACCES for what no login helps against.
 */
int registry_get(struct registry *r, struct http *h, const struct registry_request *q,
		 struct http_reply *reply, struct oci_error *err);

/* The token in a token service's answer, as a header's value for free(); NULL with err filled. */
char *registry_read_token(const char *text, size_t len, const char *from, struct oci_error *err);

#endif
