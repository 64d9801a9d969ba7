/* SPDX-License-Identifier: Apache-2.0 */
/* Making images for tests: layouts in a new directory, layer by layer, as wrong as is wanted. */
#ifndef NACRE_TESTS_IMAGE_BUILD_H
#define NACRE_TESTS_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/image/image.h"

#define BUILD_LAYERS 8

struct archive;
struct build {
	char top[64];				  /* a temporary directory */
	char layout[96], bundle[96], outside[96]; /* below it */
	struct archive *layer;			  /* being written */
	char *bytes;				  /* its tar */
	size_t used;
	struct {
		char digest[80], diff_id[80];
		size_t size;
		const char *media;
	} layers[BUILD_LAYERS];
	size_t nlayers;
	const char *config; /* members of "config", or NULL */
	const char *arch;   /* of the configuration; NULL: the host's */
	struct oci_error err;
	struct image_options options;
};

/* filters: what layer_end() compresses with */
enum { PLAIN, GZIP, ZSTD };

void build_start(struct build *b);
void build_end(struct build *b);
void layer_begin(struct build *b);
void layer_end(struct build *b, int filter);
/* layer_end() for bytes that need not be a tar */
void layer_bytes(struct build *b, const void *tar, size_t n, int filter);
void add_file(struct build *b, const char *name, const char *text);
void add_dir(struct build *b, const char *name, mode_t mode);
void add_link(struct build *b, const char *name, const char *to);
void add_hard_link(struct build *b, const char *name, const char *to);
void add_device(struct build *b, const char *name);
/* One entry with everything; text NULL: no data. */
struct archive_entry;
struct archive_entry *new_entry(const char *name, mode_t mode);
void add_entry(struct build *b, struct archive_entry *e, const void *data, size_t n);
/* Write a blob; its digest goes to out. */
void put_blob(struct build *b, const void *p, size_t n, char out[80]);
void put_file(struct build *b, const char *name, const char *text);
/* Configuration and manifest of the layers so far; the manifest's descriptor without braces. */
void put_manifest(struct build *b, char *descriptor, size_t len);
void put_index(struct build *b, const char *descriptors);
const char *host_arch(void);
/* All of that for one image, and unpack it. */
int build_unpack(struct build *b);
int unpack(struct build *b, const char *image);

/* Looking at what came of it: paths below the bundle's rootfs. */
char *slurp(const struct build *b, const char *name);
bool exists(const struct build *b, const char *name);
char *config_text(const struct build *b);
/* Neither bundle nor anything new in `outside`. */
bool nothing_left(const struct build *b);

#endif
