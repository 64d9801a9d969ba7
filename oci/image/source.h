/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image's files are: a directory with an OCI layout, or a tar archive of a layout or by
 * `docker save`. Archives are indexed once and read in place; a compressed one is first
 * uncompressed into a file without a name.
 */
#ifndef NACRE_OCI_IMAGE_SOURCE_H
#define NACRE_OCI_IMAGE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/error.h"
#include "oci/image/digest.h"

/* A run of bytes in an open file; read with pread(2), so threads may share the descriptor. */
struct blob {
	int fd;
	bool owned; /* blob_close() closes fd */
	off_t offset;
	uint64_t size;
};

void blob_close(struct blob *b);
/* At most n bytes from position at; 0 at the end, -errno. */
ssize_t blob_read(const struct blob *b, void *p, size_t n, uint64_t at);

struct member {
	char *name, *link; /* link: the name of the member it stands for, or NULL */
	off_t offset;
	uint64_t size;
};

struct image_source {
	const char *path; /* for errors; the caller's */
	int dir;	  /* the layout, or -1 */
	int file;	  /* the archive, or -1 */
	struct member *members;
	size_t nmembers;
	bool docker; /* no layout: manifest.json by docker save */
};

/* max_size bounds what a compressed archive may grow to. */
int image_source_open(struct image_source *s, const char *path, uint64_t max_size,
		      struct oci_error *err);
void image_source_close(struct image_source *s);
/* A regular file by its name in the layout or archive; -ENOENT when there is none. */
int image_source_file(const struct image_source *s, const char *name, struct blob *out,
		      struct oci_error *err);
/* A whole document as a NUL-terminated string, checked against want (empty: not) */
int image_source_document(const struct image_source *s, const char *name, const struct digest *want,
			  uint64_t size, char **out, size_t *len, struct oci_error *err);
#define IMAGE_ANY_SIZE UINT64_MAX

/* archive_index.c */
int archive_index(struct image_source *s, struct oci_error *err);
/* Replace s->file by an uncompressed copy of it when it is compressed. */
int archive_uncompress(struct image_source *s, uint64_t max_size, struct oci_error *err);
const struct member *archive_find(const struct image_source *s, const char *name);

#endif
