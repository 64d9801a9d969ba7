/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTPS exchange, by libcurl: what comes back is bounded, redirects are the caller's to follow,
 * and no scheme but https is spoken.
 */
#ifndef NACRE_OCI_IMAGE_HTTP_H
#define NACRE_OCI_IMAGE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/buf.h"
#include "oci/error.h"
#include "oci/image/challenge.h"

#define HTTP_MAX_URL 4096
#define HTTP_STALL_TIME 30 /* seconds without a byte that count as a lost connection */

/* What certificates are checked against, and what we show; the same for all exchanges of a pull. */
struct http_tls {
	bool insecure;	  /* no check at all */
	struct buf roots; /* PEM, beside the system's */
	/* PEM of our own, for one registry's host only. */
	char client_host[280];
	struct buf cert, key;
};

/*
 * Certificates of dir as registries' tools keep them: *.crt, and NAME.cert with NAME.key. What is
 * missing is no error when the directory was not asked for.
 */
int http_tls_load(struct http_tls *t, const char *dir, const char *host, bool asked,
		  struct oci_error *err);
void http_tls_free(struct http_tls *t);

struct http; /* one connection pool; one thread at a time */
struct http *http_new(const struct http_tls *tls, struct oci_error *err);
void http_free(struct http *h);

struct http_reply {
	long status;	/* 0: none came */
	bool transient; /* no answer, or one that another attempt may turn: 408, 429, 5xx */
	bool stopped;	/* by the sink */
	char location[HTTP_MAX_URL];
	char type[128]; /* Content-Type without parameters */
	struct challenge challenge;
	int64_t length;	      /* Content-Length, -1: not said */
	int64_t range_first;  /* of Content-Range, -1: none */
	unsigned retry_after; /* seconds, 0: not said */
	char why[256];	      /* what went wrong, or the body's beginning */
};

/* A piece of a body with status 200 or 206. False ends the exchange; *stopped says so. */
typedef bool http_sink(void *arg, const struct http_reply *reply, const void *p, size_t n);

struct http_request {
	const char *url;
	const char *authorization; /* the header's value, or NULL */
	const char *accept;	   /* or NULL */
	const char *form;	   /* POST this, or NULL */
	uint64_t from;		   /* ask for the bytes from here on */
	http_sink *sink;
	void *arg;
};

void http_exchange(struct http *h, const struct http_request *q, struct http_reply *reply);
/* text as a part of a query, appended. */
void http_escape(struct buf *b, const char *text);

/* "https://HOST[:PORT]" of a URL, lower case and with the port 443 left out; false: no such URL. */
bool http_origin(const char *url, char *out, size_t len);
/* A Location against the URL it came from: absolute, or a path of the same host. */
bool http_resolve(const char *base, const char *location, char *out, size_t len);

#endif
