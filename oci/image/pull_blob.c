/* SPDX-License-Identifier: Apache-2.0 */
/* Downloading blobs: verified as they come, gone on with where they stopped. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/pull_internal.h"
#include "oci/log.h"

#define BLOCK (256u << 10)

struct download {
	struct pull *pull;
	const struct digest *digest;
	uint64_t size, at; /* what it must have, what the file has and the hasher saw */
	int fd;
	struct hasher hash;
	bool began;	       /* this attempt's answer has been looked at */
	struct oci_error *err; /* why the sink stopped */
};

static void count(struct download *d, uint64_t at)
{
	/* Unsigned arithmetic: what is thrown away is taken off. */
	atomic_fetch_add(&d->pull->got, at - d->at);
	d->at = at;
}

static int start_again(struct download *d)
{
	hasher_free(&d->hash);
	if (!hasher_start(&d->hash, d->digest))
		return oci_fail_errno(d->err, ENOMEM, "%s", d->digest->text);
	if (ftruncate(d->fd, 0))
		return oci_fail_errno(d->err, errno, "%s/%s", d->pull->store.path, d->digest->text);
	count(d, 0);
	return 0;
}

/* What an earlier attempt left goes through the hasher once more. */
static int take_up(struct download *d)
{
	cleanup_free char *p = malloc(BLOCK);
	uint64_t at = 0;
	struct stat st;
	ssize_t n;

	if (!p || fstat(d->fd, &st))
		return oci_fail_errno(d->err, errno, "%s", d->digest->text);
	if ((uint64_t)st.st_size > d->size)
		return start_again(d);
	if (!hasher_start(&d->hash, d->digest))
		return oci_fail_errno(d->err, ENOMEM, "%s", d->digest->text);
	while ((n = pread(d->fd, p, BLOCK, (off_t)at)) > 0) {
		hasher_add(&d->hash, p, (size_t)n);
		at += (uint64_t)n;
	}
	if (n < 0)
		return oci_fail_errno(d->err, errno, "%s", d->digest->text);
	count(d, at);
	return 0;
}

static void on_begin(void *arg)
{
	((struct download *)arg)->began = false;
}

static int look_at_answer(struct download *d, const struct http_reply *reply)
{
	d->began = true;
	if (reply->status == 200 && d->at)
		return start_again(d);
	if (reply->status == 206 && reply->range_first != (int64_t)d->at)
		return oci_fail(d->err, ERANGE, "%s: another range than asked for",
				d->digest->text);
	return 0;
}

static int write_all(struct download *d, const char *p, size_t n)
{
	while (n) {
		ssize_t w = pwrite(d->fd, p, n, (off_t)d->at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return oci_fail_errno(d->err, errno, "%s/%s", d->pull->store.path,
					      d->digest->text);
		hasher_add(&d->hash, p, (size_t)w);
		count(d, d->at + (uint64_t)w);
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static bool on_bytes(void *arg, const struct http_reply *reply, const void *p, size_t n)
{
	struct download *d = arg;

	if (!d->began && look_at_answer(d, reply))
		return false;
	if (atomic_load(&d->pull->stop))
		return oci_fail(d->err, ECANCELED, "%s: another download failed", d->digest->text) >
		       0;
	if (n > d->size - d->at) {
		oci_fail(d->err, EBADMSG, "%s: more than the %llu bytes it must have",
			 d->digest->text, (unsigned long long)d->size);
		return false;
	}
	return !write_all(d, p, n);
}

/* From one registry. -EBADMSG: what it sends is not the blob. */
static int download_from(struct download *d, struct registry *from, struct http *h)
{
	const struct registry_request q = {.kind = "blobs",
					   .name = d->digest->text,
					   .from = &d->at,
					   .until = d->size,
					   .begin = on_begin,
					   .sink = on_bytes,
					   .arg = d};
	struct http_reply reply;
	struct digest found;
	int r = 0;

	for (int again = 0; d->at < d->size; again++) {
		r = registry_get(from, h, &q, &reply, d->err);
		if (r == -ECANCELED)
			r = d->err->code > 0 ? -d->err->code : -EIO;
		/* What is there may not be what the registry has: from the start, once. */
		if (r == -ERANGE && !again)
			r = start_again(d);
		if (r)
			break;
	}
	if (!r && !hasher_agrees(&d->hash, d->digest, &found))
		r = oci_fail(d->err, EBADMSG, "%s: its bytes have digest %s", d->digest->text,
			     found.text);
	if (r == -EBADMSG && start_again(d))
		r = -EIO;
	return r ? oci_fail_prefix(d->err, "%s: ", from->name) : 0;
}

static int download(struct pull *p, struct http *h, struct download *d)
{
	size_t first = atomic_load(&p->first);
	int r = take_up(d);

	for (size_t i = 0; !r && i < p->nregistries; i++) {
		struct registry *from = &p->registries[(first + i) % p->nregistries];

		r = download_from(d, from, h);
		if (!r)
			return 0;
		if (i + 1 == p->nregistries || image_interrupted() || atomic_load(&p->stop) ||
		    d->err->code == ENOSPC)
			return r;
		log_debug("%s", d->err->msg);
		r = 0;
	}
	return r;
}

int pull_blob(struct pull *p, struct http *h, const struct digest *digest, uint64_t size,
	      struct oci_error *err)
{
	struct download d = {.pull = p, .digest = digest, .size = size, .fd = -1, .err = err};
	int r = store_has(&p->store, digest, size, err);

	if (!r)
		r = store_begin(&p->store, digest, size, &d.fd, err);
	if (r) {
		atomic_fetch_add(&p->got, r > 0 ? size : 0);
		return r < 0 ? r : 0;
	}
	r = download(p, h, &d);
	hasher_free(&d.hash);
	if (!r)
		return store_commit(&p->store, digest, d.fd, err);
	store_leave(&p->store, digest, d.fd, r == -EBADMSG);
	return r;
}

struct crew {
	struct pull *pull;
	const struct descriptor *list;
	size_t n;
	_Atomic size_t next, done;
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t ended;
	unsigned running;
	struct oci_error err; /* the first failure */
};

static void *work(void *arg)
{
	struct crew *c = arg;
	struct oci_error err = {0};
	struct http *h = http_new(&c->pull->tls, &err);
	int r = h ? 0 : -ENOMEM;
	size_t i;

	while (!r && !atomic_load(&c->pull->stop) && (i = atomic_fetch_add(&c->next, 1)) < c->n) {
		r = pull_blob(c->pull, h, &c->list[i].digest, c->list[i].size, &err);
		atomic_fetch_add(&c->done, 1);
	}
	http_free(h);
	pthread_mutex_lock(&c->lock);
	if (r && !atomic_exchange(&c->pull->stop, true))
		c->err = err;
	c->running--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void show(const struct crew *c)
{
	fprintf(stderr, "\r%s: %zu of %zu blobs, %llu of %llu MiB\033[K", c->pull->ref.path,
		atomic_load(&c->done), c->n, (unsigned long long)atomic_load(&c->pull->got) >> 20,
		(unsigned long long)atomic_load(&c->pull->total) >> 20);
}

/* Waits for all; the line on the terminal is brought up to date ten times a second. */
static void watch(struct crew *c)
{
	bool progress = c->pull->options->progress;

	pthread_mutex_lock(&c->lock);
	while (c->running) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&c->ended, &c->lock, &until);
		if (progress)
			show(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (progress)
		fprintf(stderr, "\r\033[K");
}

int pull_blobs(struct pull *p, const struct descriptor *list, size_t n, struct oci_error *err)
{
	struct crew c = {.pull = p,
			 .list = list,
			 .n = n,
			 .lock = PTHREAD_MUTEX_INITIALIZER,
			 .ended = PTHREAD_COND_INITIALIZER};
	pthread_t threads[PULL_MAX_PARALLEL];
	unsigned want = p->options->parallel, started = 0;
	int r = 0;

	if (want > n)
		want = (unsigned)n;
	for (; started < want; started++) {
		pthread_mutex_lock(&c.lock);
		c.running++;
		pthread_mutex_unlock(&c.lock);
		r = pthread_create(&threads[started], NULL, work, &c);
		if (r)
			break;
	}
	if (r) {
		pthread_mutex_lock(&c.lock);
		c.running--;
		pthread_mutex_unlock(&c.lock);
	}
	/* Fewer threads do it as well. */
	if (started)
		watch(&c);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (r && !started)
		return oci_fail_errno(err, r, "download threads");
	if (!atomic_load(&p->stop))
		return 0;
	*err = c.err;
	return err->code > 0 ? -err->code : -EIO;
}
