/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "oci/image/image.h"

#define INPUT (256u << 10)

static int failed(struct layer_stream *s, int code, const char *what)
{
	return oci_fail(&s->err, code, "%s: %s", s->layer->name, what);
}

/* Hand the filled chunk on and wait for an empty one. */
static int pass_chunk(struct layer_stream *s)
{
	int r = 0;

	if (!s->fill)
		return 0;
	hasher_add(&s->plain, s->chunk[s->head % STREAM_CHUNKS], s->fill);
	pthread_mutex_lock(&s->lock);
	s->size[s->head % STREAM_CHUNKS] = s->fill;
	s->head++;
	pthread_cond_signal(&s->more);
	while (s->head - s->tail == STREAM_CHUNKS && !s->cancelled)
		pthread_cond_wait(&s->room, &s->lock);
	if (s->cancelled)
		r = -ECANCELED;
	pthread_mutex_unlock(&s->lock);
	s->fill = 0;
	return r;
}

static int produce(struct layer_stream *s, const unsigned char *p, size_t n)
{
	if (atomic_fetch_sub(&s->budget->left, (int64_t)n) < (int64_t)n)
		return oci_fail(&s->err, EFBIG,
				"%s: the layers have more than %llu bytes uncompressed "
				"(--max-size)",
				s->layer->name, (unsigned long long)s->budget->total);
	while (n) {
		unsigned char **c = &s->chunk[s->head % STREAM_CHUNKS];
		size_t part = STREAM_CHUNK - s->fill;
		int r;

		if (!*c && !(*c = malloc(STREAM_CHUNK)))
			return failed(s, ENOMEM, "out of memory");
		if (part > n)
			part = n;
		memcpy(*c + s->fill, p, part);
		s->fill += part;
		p += part;
		n -= part;
		if (s->fill == STREAM_CHUNK && (r = pass_chunk(s)))
			return r;
	}
	return 0;
}

static ssize_t next_input(struct layer_stream *s)
{
	ssize_t n = blob_read(&s->layer->blob, s->in, INPUT, s->at);

	if (n < 0)
		return oci_fail_errno(&s->err, (int)-n, "%s: reading", s->layer->name);
	if (!n && s->at < s->layer->blob.size)
		return failed(s, EIO, "cut short while it was read");
	hasher_add(&s->raw, s->in, (size_t)n);
	s->at += (uint64_t)n;
	return n;
}

static la_ssize_t on_read(struct archive *a, void *data, const void **p)
{
	struct layer_stream *s = data;
	ssize_t n = next_input(s);

	if (n < 0) {
		archive_set_error(a, s->err.code, "%s", s->err.msg);
		return ARCHIVE_FATAL;
	}
	*p = s->in;
	return n;
}

static int copy_plain(struct layer_stream *s)
{
	ssize_t n;
	int r = 0;

	while (!r && (n = next_input(s)) > 0)
		r = produce(s, s->in, (size_t)n);
	return r ? r : (int)n;
}

/* One filter, chosen by us: libarchive's own choice would go on into filters within filters. */
static int uncompress(struct layer_stream *s, int filter)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	const void *p;
	size_t n;
	la_int64_t at;
	int r;

	if (!a)
		return failed(s, ENOMEM, "out of memory");
	archive_read_support_format_raw(a);
	archive_read_append_filter(a, filter);
	r = archive_read_open(a, s, NULL, on_read, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(a, &e);
	/* Errors in the first block come out as a format that is not known. */
	if (r < ARCHIVE_WARN)
		archive_set_error(a, EBADMSG, "compressed data is damaged or cut short");
	while (r >= ARCHIVE_WARN && r != ARCHIVE_EOF) {
		r = archive_read_data_block(a, &p, &n, &at);
		if (r >= ARCHIVE_WARN && n && produce(s, p, n)) {
			archive_read_free(a);
			return -1;
		}
	}
	if (r < ARCHIVE_WARN && !s->err.msg[0])
		failed(s, EBADMSG, archive_error_string(a) ? archive_error_string(a) : "damaged");
	archive_read_free(a);
	return r < ARCHIVE_WARN ? -1 : 0;
}

static int check(struct layer_stream *s)
{
	const struct image_layer *l = s->layer;
	struct digest found;
	ssize_t n;

	/* What follows the compressed data belongs to the blob and to its digest. */
	while ((n = next_input(s)) > 0)
		;
	if (n < 0)
		return (int)n;
	if (!hasher_agrees(&s->raw, &l->digest, &found))
		return oci_fail(&s->err, EBADMSG, "%s: its bytes have digest %s", l->name,
				found.text);
	if (!hasher_agrees(&s->plain, &l->diff_id, &found))
		return oci_fail(&s->err, EBADMSG,
				"%s: its uncompressed bytes have digest %s, not %s as the "
				"configuration says",
				l->name, found.text, l->diff_id.text);
	return 0;
}

static void *run(void *arg)
{
	struct layer_stream *s = arg;
	unsigned char head[4] = {0};
	int r = 0;

	if (blob_read(&s->layer->blob, head, sizeof(head), 0) < 0)
		head[0] = 0; /* reading it again will say why */
	if (!memcmp(head, "\x1f\x8b", 2))
		r = uncompress(s, ARCHIVE_FILTER_GZIP);
	else if (!memcmp(head, "\x28\xb5\x2f\xfd", 4))
		r = uncompress(s, ARCHIVE_FILTER_ZSTD);
	else
		r = copy_plain(s);
	if (!r)
		r = pass_chunk(s);
	if (!r)
		check(s);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int layer_stream_start(struct layer_stream *s, const struct image_layer *l, struct stream_budget *b,
		       struct oci_error *err)
{
	int r;

	*s = (struct layer_stream){.layer = l, .budget = b};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	pthread_cond_init(&s->room, NULL);
	s->in = malloc(INPUT);
	if (!s->in || !hasher_start(&s->raw, &l->digest) || !hasher_start(&s->plain, &l->diff_id))
		r = ENOMEM;
	else
		r = pthread_create(&s->thread, NULL, run, s);
	s->started = !r;
	if (r) {
		layer_stream_end(s);
		return oci_fail_errno(err, r, "%s", l->name);
	}
	return 0;
}

/* Until a chunk is there or the thread has ended; signals are looked at ten times a second. */
static void wait_for_chunk(struct layer_stream *s, unsigned wanted)
{
	while (s->head == wanted && !s->ended && !image_interrupted()) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&s->more, &s->lock, &until);
	}
}

ssize_t layer_stream_read(struct layer_stream *s, const void **p, struct oci_error *err)
{
	ssize_t n = 0;

	pthread_mutex_lock(&s->lock);
	/* The chunk given out last time goes back; size marks that there is one. */
	if (s->tail != s->head && !s->size[s->tail % STREAM_CHUNKS]) {
		s->tail++;
		pthread_cond_signal(&s->room);
	}
	wait_for_chunk(s, s->tail);
	if (image_interrupted()) {
		n = oci_fail_errno(err, EINTR, "%s", s->layer->name);
	} else if (s->head != s->tail) {
		*p = s->chunk[s->tail % STREAM_CHUNKS];
		n = (ssize_t)s->size[s->tail % STREAM_CHUNKS];
		s->size[s->tail % STREAM_CHUNKS] = 0;
	} else if (s->err.msg[0]) {
		*err = s->err;
		n = err->code > 0 ? -err->code : -EINVAL;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

void layer_stream_end(struct layer_stream *s)
{
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->cancelled = true;
		pthread_cond_signal(&s->room);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	for (unsigned i = 0; i < STREAM_CHUNKS; i++)
		free(s->chunk[i]);
	free(s->in);
	hasher_free(&s->raw);
	hasher_free(&s->plain);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->more);
	pthread_cond_destroy(&s->room);
	s->started = false;
}
