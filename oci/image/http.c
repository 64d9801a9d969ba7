/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "oci/image/image.h"

#define CONNECT_TIME 20L /* seconds */
#define MAX_RETRY_AFTER 3600

struct http {
	CURL *curl;
	const struct http_tls *tls;
	const struct http_request *request; /* of the exchange under way */
	struct http_reply *reply;
};

struct http *http_new(const struct http_tls *tls, struct oci_error *err)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h)
		h->curl = curl_easy_init();
	if (!h || !h->curl) {
		free(h);
		oci_fail_errno(err, ENOMEM, "libcurl");
		return NULL;
	}
	h->tls = tls;
	return h;
}

void http_free(struct http *h)
{
	if (h)
		curl_easy_cleanup(h->curl);
	free(h);
}

/* The value of a header of this name, trimmed into out; what does not fit is no value. */
static bool header_value(const char *line, size_t len, const char *name, char *out, size_t room)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) || line[n] != ':')
		return false;
	line += n + 1;
	len -= n + 1;
	while (len && isspace((unsigned char)*line))
		line++, len--;
	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	if (len >= room || memchr(line, '\0', len))
		return false;
	memcpy(out, line, len);
	out[len] = '\0';
	return true;
}

/* Digits alone; -1: anything else. */
static int64_t number(const char *s)
{
	char *end;
	long long n;

	if (!isdigit((unsigned char)*s))
		return -1;
	errno = 0;
	n = strtoll(s, &end, 10);
	return errno || n < 0 ? -1 : (int64_t)n;
}

static size_t on_header(char *line, size_t size, size_t len, void *arg)
{
	struct http_reply *r = ((struct http *)arg)->reply;
	char value[HTTP_MAX_URL];

	(void)size;
	if (len > 5 && !strncmp(line, "HTTP/", 5)) { /* a new reply: an interim one came before */
		*r = (struct http_reply){.length = -1, .range_first = -1};
	} else if (header_value(line, len, "location", value, sizeof(value))) {
		snprintf(r->location, sizeof(r->location), "%s", value);
	} else if (header_value(line, len, "www-authenticate", value, sizeof(value))) {
		challenge_read(value, &r->challenge);
	} else if (header_value(line, len, "content-type", value, sizeof(r->type))) {
		snprintf(r->type, sizeof(r->type), "%.*s", (int)strcspn(value, "; "), value);
	} else if (header_value(line, len, "content-length", value, sizeof(value))) {
		r->length = number(value);
	} else if (header_value(line, len, "content-range", value, sizeof(value))) {
		r->range_first = strncmp(value, "bytes ", 6) ? -1 : number(value + 6);
	} else if (header_value(line, len, "retry-after", value, sizeof(value))) {
		int64_t n = number(value);

		r->retry_after = n < 0 ? 0 : n > MAX_RETRY_AFTER ? MAX_RETRY_AFTER : (unsigned)n;
	}
	return len;
}

/* What a terminal would act on becomes "?". */
static void keep_words(struct http_reply *r, const char *p, size_t n)
{
	size_t at = strlen(r->why);

	for (; n && at + 1 < sizeof(r->why); p++, n--)
		r->why[at++] = (unsigned char)*p < ' ' || *p == 127 ? '?' : *p;
	r->why[at] = '\0';
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	struct http_reply *r = h->reply;

	(void)size;
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &r->status);
	if (r->status == 200 || r->status == 206) {
		if (h->request->sink(h->request->arg, r, p, n))
			return n;
		r->stopped = true;
		return 0;
	}
	keep_words(r, p, n);
	/* An endless explanation is none. */
	return strlen(r->why) + 1 < sizeof(r->why) ? n : 0;
}

static int on_progress(void *arg, curl_off_t all, curl_off_t now, curl_off_t up_all, curl_off_t up)
{
	(void)arg, (void)all, (void)now, (void)up_all, (void)up;
	return image_interrupted();
}

static struct curl_blob pem(const struct buf *b)
{
	return (struct curl_blob){.data = b->s, .len = b->len, .flags = CURL_BLOB_NOCOPY};
}

static void set_tls(struct http *h, const char *url)
{
	const struct http_tls *t = h->tls;
	struct curl_blob roots = pem(&t->roots), cert = pem(&t->cert), key = pem(&t->key);
	char origin[300], ours[300];

	curl_easy_setopt(h->curl, CURLOPT_SSL_VERIFYPEER, t->insecure ? 0L : 1L);
	curl_easy_setopt(h->curl, CURLOPT_SSL_VERIFYHOST, t->insecure ? 0L : 2L);
	curl_easy_setopt(h->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (t->roots.len)
		curl_easy_setopt(h->curl, CURLOPT_CAINFO_BLOB, &roots);
	snprintf(ours, sizeof(ours), "https://%s", t->client_host);
	if (t->cert.len && http_origin(url, origin, sizeof(origin)) &&
	    http_origin(ours, ours, sizeof(ours)) && !strcmp(origin, ours)) {
		curl_easy_setopt(h->curl, CURLOPT_SSLCERT_BLOB, &cert);
		curl_easy_setopt(h->curl, CURLOPT_SSLKEY_BLOB, &key);
	}
}

static void set_options(struct http *h, const struct http_request *q)
{
	CURL *c = h->curl;
	char range[32];

	/* Keeps connections and sessions, forgets what the last request had. */
	curl_easy_reset(c);
	set_tls(h, q->url);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "nacre/" NACRE_VERSION);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIME);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)HTTP_STALL_TIME);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	/* Digests are of the bytes as stored: no encoding on the way. */
	curl_easy_setopt(c, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
	if (q->form)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
	snprintf(range, sizeof(range), "%" PRIu64 "-", q->from);
	/* Not RESUME_FROM: a registry may answer with the whole, and the sink begins again. */
	if (q->from)
		curl_easy_setopt(c, CURLOPT_RANGE, range);
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	struct buf line = {0};
	struct curl_slist *more = NULL;

	buf_printf(&line, "%s: %s", name, value);
	if (buf_ok(&line))
		more = curl_slist_append(*list, line.s);
	buf_free(&line);
	if (more)
		*list = more;
	return more != NULL;
}

/* Failures of the way there, not of what is there. */
static bool is_transient(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

void http_exchange(struct http *h, const struct http_request *q, struct http_reply *reply)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	*reply = (struct http_reply){.length = -1, .range_first = -1};
	h->request = q;
	h->reply = reply;
	set_options(h, q);
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, detail);
	if ((!q->authorization || add_header(&headers, "Authorization", q->authorization)) &&
	    (!q->accept || add_header(&headers, "Accept", q->accept))) {
		curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
		code = curl_easy_perform(h->curl);
	}
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(headers);
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &reply->status);
	if (code == CURLE_OK || (reply->status >= 300 && code == CURLE_WRITE_ERROR)) {
		reply->transient = reply->status == 408 || reply->status == 429 ||
				   (reply->status >= 500 && reply->status != 501);
		return;
	}
	if (reply->stopped)
		return;
	reply->status = 0;
	reply->transient = is_transient(code);
	snprintf(reply->why, sizeof(reply->why), "%s", *detail ? detail : curl_easy_strerror(code));
}

void http_escape(struct buf *b, const char *text)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			buf_add(b, text, 1);
		else
			buf_printf(b, "%%%02X", (unsigned char)*text);
}

bool http_origin(const char *url, char *out, size_t len)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
	bool ok = u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
		  !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) && !strcmp(scheme, "https") &&
		  !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
		  !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
		  curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;

	if (ok) {
		for (char *p = host; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		ok = snprintf(out, len, "https://%s%s%s", host, strcmp(port, "443") ? ":" : "",
			      strcmp(port, "443") ? port : "") < (int)len;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_url_cleanup(u);
	return ok;
}

bool http_resolve(const char *base, const char *location, char *out, size_t len)
{
	CURLU *u = curl_url();
	char *whole = NULL;
	bool ok = u && !curl_url_set(u, CURLUPART_URL, base, 0) &&
		  !curl_url_set(u, CURLUPART_URL, location, 0) &&
		  !curl_url_get(u, CURLUPART_URL, &whole, 0) && strlen(whole) < len;

	if (ok)
		snprintf(out, len, "%s", whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return ok;
}
