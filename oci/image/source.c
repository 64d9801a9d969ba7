/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"

void blob_close(struct blob *b)
{
	if (b->owned && b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

ssize_t blob_read(const struct blob *b, void *p, size_t n, uint64_t at)
{
	ssize_t r;

	if (at >= b->size)
		return 0;
	if (n > b->size - at)
		n = (size_t)(b->size - at);
	do
		r = pread(b->fd, p, n, b->offset + (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int file_in_directory(const struct image_source *s, const char *name, struct blob *out)
{
	/* A link in the layout may point to another place in it, never out of it. */
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	cleanup_fd int fd = (int)syscall(SYS_openat2, s->dir, name, &how, sizeof(how));
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*out = (struct blob){.fd = steal_fd(&fd), .owned = true, .size = (uint64_t)st.st_size};
	return 0;
}

int image_source_file(const struct image_source *s, const char *name, struct blob *out,
		      struct oci_error *err)
{
	const struct member *m;
	int r;

	if (s->dir >= 0) {
		r = file_in_directory(s, name, out);
		return r ? oci_fail_errno(err, -r, "%s/%s", s->path, name) : 0;
	}
	m = archive_find(s, name);
	if (!m)
		return oci_fail_errno(err, ENOENT, "%s: %.300s", s->path, name);
	*out = (struct blob){.fd = s->file, .offset = m->offset, .size = m->size};
	return 0;
}

static int read_document(const struct image_source *s, const char *name, const struct blob *b,
			 char *text, struct oci_error *err)
{
	uint64_t n = 0;

	while (n < b->size) {
		ssize_t r = blob_read(b, text + n, (size_t)(b->size - n), n);

		if (r < 0)
			return oci_fail_errno(err, (int)-r, "%s: %.300s", s->path, name);
		if (!r)
			return oci_fail(err, EIO, "%s: %.300s: cut short", s->path, name);
		n += (uint64_t)r;
	}
	text[n] = '\0';
	return 0;
}

int image_source_document(const struct image_source *s, const char *name, const struct digest *want,
			  uint64_t size, char **out, size_t *len, struct oci_error *err)
{
	struct blob b = {.fd = -1};
	struct hasher h;
	struct digest found;
	cleanup_free char *text = NULL;
	int r = image_source_file(s, name, &b, err);

	if (r)
		return r;
	if (size != IMAGE_ANY_SIZE && size != b.size)
		r = oci_fail(err, EBADMSG, "%s: %.300s has %llu bytes, not %llu", s->path, name,
			     (unsigned long long)b.size, (unsigned long long)size);
	else if (b.size > IMAGE_MAX_DOCUMENT)
		r = oci_fail(err, EFBIG, "%s: %.300s: larger than %u bytes", s->path, name,
			     IMAGE_MAX_DOCUMENT);
	else if (!(text = malloc((size_t)b.size + 1)) || !hasher_start(&h, want))
		r = oci_fail_errno(err, ENOMEM, "%s", s->path);
	else {
		r = read_document(s, name, &b, text, err);
		if (!r)
			hasher_add(&h, text, (size_t)b.size);
		if (!r && !hasher_agrees(&h, want, &found))
			r = oci_fail(err, EBADMSG, "%s: %.300s has digest %s, not %s", s->path,
				     name, found.text, want->text);
		hasher_free(&h);
	}
	if (!r) {
		*len = (size_t)b.size;
		*out = steal_ptr(&text);
	}
	blob_close(&b);
	return r;
}

static bool has(const struct image_source *s, const char *name)
{
	struct oci_error ignored;
	struct blob b;

	if (image_source_file(s, name, &b, &ignored))
		return false;
	blob_close(&b);
	return true;
}

static int open_either(struct image_source *s, uint64_t max_size, struct oci_error *err)
{
	struct stat st;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0 || fstat(fd, &st)) {
		r = oci_fail_errno(err, errno, "cannot open image %s", s->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	if (S_ISDIR(st.st_mode)) {
		s->dir = fd;
		return 0;
	}
	s->file = fd;
	if (!S_ISREG(st.st_mode))
		return oci_fail(err, EINVAL, "%s: neither a directory nor a regular file", s->path);
	if ((r = archive_uncompress(s, max_size, err)) || (r = archive_index(s, err)))
		return r;
	return 0;
}

int image_source_open(struct image_source *s, const char *path, uint64_t max_size,
		      struct oci_error *err)
{
	int r;

	*s = (struct image_source){.path = path, .dir = -1, .file = -1};
	r = open_either(s, max_size, err);
	if (!r && !has(s, "index.json")) {
		s->docker = has(s, "manifest.json");
		if (!s->docker)
			r = oci_fail(err, EINVAL,
				     "%s: neither an OCI layout (index.json) nor an archive by "
				     "docker save (manifest.json)",
				     path);
	}
	if (r)
		image_source_close(s);
	return r;
}

void image_source_close(struct image_source *s)
{
	for (size_t i = 0; i < s->nmembers; i++) {
		free(s->members[i].name);
		free(s->members[i].link);
	}
	free(s->members);
	if (s->dir >= 0)
		close(s->dir);
	if (s->file >= 0)
		close(s->file);
	*s = (struct image_source){.dir = -1, .file = -1};
}
