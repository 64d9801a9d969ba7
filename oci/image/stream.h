/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uncompressed bytes of a layer, made and checked by a thread of its own: it reads the blob,
 * hashes it, uncompresses, hashes again, and hands on chunks through a ring. Streams of later
 * layers run ahead while an earlier one is applied.
 *
 * Calls, by one consumer: layer_stream_start(), layer_stream_read() until it returns 0 or fails,
 * layer_stream_end() always.
 */
#ifndef NACRE_OCI_IMAGE_STREAM_H
#define NACRE_OCI_IMAGE_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/error.h"
#include "oci/image/digest.h"
#include "oci/image/source.h"

#define STREAM_CHUNK (512u << 10)
#define STREAM_CHUNKS 16

struct image_layer {
	struct blob blob;
	struct digest digest;  /* of the blob; empty in archives by docker save */
	struct digest diff_id; /* of the uncompressed bytes */
	char name[160];	       /* for errors: "layer sha256:..." */
};

/* Uncompressed bytes all layers may still produce. */
struct stream_budget {
	_Atomic int64_t left;
	uint64_t total; /* what it began with, for the error */
};

struct layer_stream {
	const struct image_layer *layer;
	struct stream_budget *budget;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* protects what follows, up to err */
	pthread_cond_t more, room;
	unsigned head, tail; /* chunks produced and consumed, not reduced modulo */
	bool ended, cancelled;
	struct oci_error err; /* set before ended when the thread failed */
	unsigned char *chunk[STREAM_CHUNKS];
	size_t size[STREAM_CHUNKS];
	/* the thread's own */
	struct hasher raw, plain;
	uint64_t at; /* position in the blob */
	size_t fill; /* bytes in the chunk being filled */
	unsigned char *in;
};

int layer_stream_start(struct layer_stream *s, const struct image_layer *l, struct stream_budget *b,
		       struct oci_error *err);
/*
 * The next bytes, valid until the next call; 0: the layer is complete and its digests are right;
 * -errno with err filled.
 */
ssize_t layer_stream_read(struct layer_stream *s, const void **p, struct oci_error *err);
void layer_stream_end(struct layer_stream *s);

#endif
