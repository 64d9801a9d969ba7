/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/json.h"
#include "oci/log.h"

#define WORDS 300
#define MAX_LOGINS 2 /* of one request: a token may have run out */

int registry_init(struct registry *r, const char *where, const char *path, struct oci_error *err)
{
	size_t n = strcspn(where, "/");
	const char *prefix = where[n] ? where + n + 1 : "";

	*r = (struct registry){.authorization = NULL};
	if (!reference_host_valid(where, n) || (*prefix && !reference_path_valid(prefix)))
		return oci_fail(err, EINVAL,
				"registry %.300s: not of the form HOST[:PORT][/PREFIX]", where);
	snprintf(r->name, sizeof(r->name), "%s", where);
	snprintf(r->path, sizeof(r->path), "%s%s%s", prefix, *prefix ? "/" : "", path);
	snprintf(r->origin, sizeof(r->origin), "https://%.*s", (int)n, where);
	if (!http_origin(r->origin, r->origin, sizeof(r->origin)))
		return oci_fail(err, EINVAL, "registry %.300s: not a host name", where);
	pthread_mutex_init(&r->lock, NULL);
	return 0;
}

void registry_free(struct registry *r)
{
	free(r->authorization);
	pthread_mutex_destroy(&r->lock);
}

/* One exchange with the redirects it leads to; only `origin` sees the authorization. */
static int follow(struct http *h, const char *origin, const struct http_request *first,
		  struct http_reply *reply, struct oci_error *err)
{
	char url[HTTP_MAX_URL], next[HTTP_MAX_URL], where[HTTP_MAX_URL];
	struct http_request q = *first;
	bool away = false;

	snprintf(url, sizeof(url), "%s", first->url);
	q.url = url;
	for (int hops = 0; hops <= REGISTRY_MAX_REDIRECTS; hops++) {
		http_exchange(h, &q, reply);
		/* Nobody else may say where our credentials go. */
		if (away)
			reply->challenge = (struct challenge){.kind = CHALLENGE_NONE};
		if (reply->status < 301 || reply->status > 308 || reply->status == 304 ||
		    !reply->location[0])
			return 0;
		if (q.form)
			return oci_fail(err, EPROTO, "%s redirects a login", origin);
		if (!http_resolve(url, reply->location, next, sizeof(next)) ||
		    !http_origin(next, where, sizeof(where)))
			return oci_fail(err, EPROTO, "%s redirects to %.300s: not an https URL",
					origin, reply->location);
		log_debug("%.200s: redirected to %.300s", url, where);
		away = strcmp(where, origin) != 0;
		if (away)
			q.authorization = NULL;
		memcpy(url, next, sizeof(url));
	}
	return oci_fail(err, ELOOP, "%s: more than %d redirects", origin, REGISTRY_MAX_REDIRECTS);
}

static int pause_before(const struct registry *r, unsigned attempt, unsigned asked)
{
	uint64_t ms = (uint64_t)r->delay_ms << (attempt < 16 ? attempt - 1 : 15);
	struct timespec until, now;

	if (asked && ms < asked * 1000ull)
		ms = asked * 1000ull;
	if (ms > REGISTRY_MAX_WAIT * 1000ull)
		ms = REGISTRY_MAX_WAIT * 1000ull;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	for (;;) {
		struct timespec nap = {.tv_nsec = 20000000};
		int64_t left;

		if (image_interrupted())
			return -EINTR;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = (until.tv_sec - now.tv_sec) * 1000000000ll + until.tv_nsec - now.tv_nsec;
		if (left <= 0)
			return 0;
		if (left < nap.tv_nsec)
			nap.tv_nsec = (long)left;
		nanosleep(&nap, NULL);
	}
}

static const char *words_of(const struct http_reply *reply, char out[WORDS])
{
	if (reply->status)
		snprintf(out, WORDS, "status %ld %s", reply->status, reply->why);
	else
		snprintf(out, WORDS, "%s", reply->why);
	return out;
}

/* What a request moves on while it is attempted again. */
struct position {
	uint64_t *from, until;
	void (*begin)(void *arg);
};

static bool cut_short(const struct position *p, const struct http_reply *reply)
{
	return (reply->status == 200 || reply->status == 206) && p->from &&
	       p->until != UINT64_MAX && *p->from < p->until && !reply->stopped;
}

/* Until there is an answer that another attempt would not change. */
static int attempt(const struct registry *r, struct http *h, const char *origin,
		   struct http_request *q, const struct position *p, struct http_reply *reply,
		   struct oci_error *err)
{
	char words[WORDS];

	for (unsigned n = 1;; n++) {
		uint64_t before = p->from ? *p->from : 0;
		int e;

		q->from = before;
		if (p->begin)
			p->begin(q->arg);
		e = follow(h, origin, q, reply, err);
		if (e)
			return e;
		if (image_interrupted())
			return oci_fail_errno(err, EINTR, "%s", r->name);
		if (cut_short(p, reply)) {
			reply->transient = true;
			snprintf(reply->why, sizeof(reply->why), "the answer was cut short");
		}
		if (!reply->transient || reply->stopped)
			return 0;
		if (p->from && *p->from >= before + REGISTRY_PROGRESS)
			n = 1;
		if (n > r->retries)
			return oci_fail(err, reply->status ? EREMOTEIO : EIO,
					"%s: no success in %u attempts: %s", r->name, n,
					words_of(reply, words));
		log_debug("%s: attempt %u failed: %s", r->name, n, words_of(reply, words));
		if (pause_before(r, n, reply->retry_after))
			return oci_fail_errno(err, EINTR, "%s", r->name);
	}
}

struct body {
	struct buf text;
	size_t max;
	bool large;
};

static bool take_body(void *arg, const struct http_reply *reply, const void *p, size_t n)
{
	struct body *b = arg;

	(void)reply;
	b->large = n > b->max - b->text.len;
	if (!b->large)
		buf_add(&b->text, p, n);
	return !b->large && buf_ok(&b->text);
}

static void drop_body(void *arg)
{
	struct body *b = arg;

	buf_free(&b->text);
	b->large = false;
}

char *registry_read_token(const char *text, size_t len, const char *from, struct oci_error *err)
{
	struct json_in in = {from, err};
	yajl_val doc = json_parse(text, len, from, err);
	const char *token = NULL;
	char *header = NULL;
	int r = 0;

	if (!doc)
		return NULL;
	if (!YAJL_IS_OBJECT(doc))
		r = oci_fail(err, EPROTO, "%s: must be a JSON object", from);
	if (!r)
		r = json_in_string(&in, doc, "", "access_token", &token);
	if (!r && !token)
		r = json_in_string(&in, doc, "", "token", &token);
	for (const char *p = token; !r && p && *p; p++)
		if (*p <= ' ' || *p >= 127)
			r = oci_fail(err, EPROTO, "%s: the token has characters none may have",
				     from);
	if (!r && (!token || !*token))
		r = oci_fail(err, EPROTO, "%s: token must be given", from);
	if (!r && asprintf(&header, "Bearer %s", token) < 0) {
		header = NULL;
		oci_fail_errno(err, ENOMEM, "%s", from);
	}
	yajl_tree_free(doc);
	return header;
}

/* The scope is ours, not the challenge's: nobody but the user says what a token is for. */
static void token_query(const struct registry *r, const struct challenge *c, struct buf *b)
{
	cleanup_buf struct buf scope = {0};

	buf_str(b, "service=");
	http_escape(b, c->service);
	buf_printf(&scope, "repository:%s:pull", r->path);
	buf_str(b, "&scope=");
	http_escape(b, scope.s ? scope.s : "");
}

/* With an identity token a form is posted (OAuth 2), else the query says what is wanted. */
static int fetch_token(struct registry *r, struct http *h, const struct challenge *c,
		       struct oci_error *err)
{
	cleanup_buf struct buf url = {0}, form = {0};
	struct body body = {.max = REGISTRY_MAX_TOKEN};
	char basic[4096], origin[HTTP_MAX_URL], words[WORDS], *token = NULL;
	struct http_request q = {.sink = take_body, .arg = &body};
	const struct position none = {.until = UINT64_MAX, .begin = drop_body};
	struct http_reply reply;
	int e;

	if (!http_origin(c->realm, origin, sizeof(origin)))
		return oci_fail(err, EPROTO, "%s: wants a login at %.300s: not an https URL",
				r->name, c->realm);
	buf_str(&url, c->realm);
	if (r->credentials.identity[0]) {
		buf_str(&form, "grant_type=refresh_token&client_id=nacre&refresh_token=");
		http_escape(&form, r->credentials.identity);
		buf_str(&form, "&");
		token_query(r, c, &form);
		q.form = form.s;
	} else {
		buf_str(&url, strchr(c->realm, '?') ? "&" : "?");
		token_query(r, c, &url);
		if (r->credentials.basic[0] &&
		    credentials_basic_header(&r->credentials, basic, sizeof(basic)))
			q.authorization = basic;
	}
	if (url.failed || form.failed || url.len >= HTTP_MAX_URL)
		return oci_fail(err, EPROTO, "%s: the login's URL is too long", r->name);
	q.url = url.s;
	e = attempt(r, h, origin, &q, &none, &reply, err);
	if (!e && body.large)
		e = oci_fail(err, EPROTO, "%s: the answer is larger than %u bytes", origin,
			     REGISTRY_MAX_TOKEN);
	else if (!e && reply.status != 200)
		e = oci_fail(err, EACCES, "%s: login at %s failed: %s", r->name, origin,
			     words_of(&reply, words));
	else if (!e && !(token = registry_read_token(body.text.s ? body.text.s : "", body.text.len,
						     origin, err)))
		e = err->code > 0 ? -err->code : -EPROTO;
	buf_free(&body.text);
	if (token) {
		free(r->authorization);
		r->authorization = token;
	}
	return e;
}

static int log_in_locked(struct registry *r, struct http *h, const struct challenge *c,
			 const char *used, struct oci_error *err)
{
	char basic[4096];

	if (c->kind == CHALLENGE_BEARER)
		return fetch_token(r, h, c, err);
	if (c->kind == CHALLENGE_NONE)
		return oci_fail(err, EACCES, "%s: refused, without a way to log in", r->name);
	if (!r->credentials.basic[0] ||
	    !credentials_basic_header(&r->credentials, basic, sizeof(basic)))
		return oci_fail(err, EACCES,
				"%s: wants a user's name and password (--creds, --authfile)",
				r->name);
	if (used && !strcmp(used, basic))
		return oci_fail(err, EACCES, "%s: refuses this user's name and password", r->name);
	free(r->authorization);
	r->authorization = strdup(basic);
	return r->authorization ? 0 : oci_fail_errno(err, ENOMEM, "%s", r->name);
}

/* Unless another thread has done it since `used` was. */
static int log_in(struct registry *r, struct http *h, const struct challenge *c, const char *used,
		  struct oci_error *err)
{
	int e = 0;

	pthread_mutex_lock(&r->lock);
	if (!r->authorization || (used && !strcmp(r->authorization, used)))
		e = log_in_locked(r, h, c, used, err);
	pthread_mutex_unlock(&r->lock);
	return e;
}

static char *current_login(struct registry *r)
{
	char *copy;

	pthread_mutex_lock(&r->lock);
	copy = r->authorization ? strdup(r->authorization) : NULL;
	pthread_mutex_unlock(&r->lock);
	return copy;
}

static int refused(const struct registry *r, const struct registry_request *q,
		   const struct http_reply *reply, struct oci_error *err)
{
	static const struct {
		long status;
		int code;
		const char *words;
	} known[] = {{401, EACCES, "login needed"},
		     {403, EACCES, "access denied"},
		     {404, ENOENT, "not there"},
		     {416, ERANGE, "range refused"}};
	char words[WORDS];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == reply->status)
			return oci_fail(err, known[i].code, "%s: %s %s of %s: %s: %.200s", r->name,
					q->kind, q->name, r->path, known[i].words, reply->why);
	return oci_fail(err, EREMOTEIO, "%s: %s %s of %s: %s", r->name, q->kind, q->name, r->path,
			words_of(reply, words));
}

int registry_get(struct registry *r, struct http *h, const struct registry_request *q,
		 struct http_reply *reply, struct oci_error *err)
{
	const struct position p = {q->from, q->until, q->begin};
	cleanup_buf struct buf url = {0};
	struct http_request one = {.accept = q->accept, .sink = q->sink, .arg = q->arg};

	buf_printf(&url, "%s/v2/%s/%s/%s", r->origin, r->path, q->kind, q->name);
	if (!buf_ok(&url) || url.len >= HTTP_MAX_URL)
		return oci_fail(err, EINVAL, "%s: name too long", r->name);
	one.url = url.s;
	for (int logins = 0;; logins++) {
		cleanup_free char *login = current_login(r);
		int e;

		one.authorization = login;
		e = attempt(r, h, r->origin, &one, &p, reply, err);
		if (e)
			return e;
		if (reply->stopped)
			return -ECANCELED;
		if (reply->status == 200 || reply->status == 206)
			return 0;
		if (reply->status != 401 || logins == MAX_LOGINS)
			return refused(r, q, reply, err);
		e = log_in(r, h, &reply->challenge, login, err);
		if (e)
			return e;
	}
}
