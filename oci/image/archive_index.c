/* SPDX-License-Identifier: Apache-2.0 */
/* Archives of images: which file is where in the tar, so that blobs are read in place. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/source.h"

#define MAX_MEMBERS 65536
#define MAX_NAME 4096
#define MAX_LINKS 8
#define BLOCK (256u << 10)

static void free_reader(struct archive **a)
{
	archive_read_free(*a);
}
#define cleanup_reader __attribute__((cleanup(free_reader)))

/*
 * name without "." and "..", seen from the directory of `from` (NULL: the top). False: it leads out
 * or is too long.
 */
static bool normalise(const char *from, const char *name, char *out, size_t len)
{
	char text[2 * MAX_NAME];
	const char *slash = from && name[0] != '/' ? strrchr(from, '/') : NULL, *p = text;
	int n = snprintf(text, sizeof(text), "%.*s/%s", slash ? (int)(slash - from) : 0,
			 slash ? from : "", name);
	size_t at = 0;

	if (n < 0 || (size_t)n >= sizeof(text))
		return false;
	out[0] = '\0';
	while (*(p += strspn(p, "/"))) {
		size_t part = strcspn(p, "/");

		if (part == 2 && !strncmp(p, "..", 2)) {
			char *up = strrchr(out, '/');

			if (!at)
				return false;
			at = up ? (size_t)(up - out) : 0;
			out[at] = '\0';
		} else if (part != 1 || *p != '.') {
			if (at + part + 2 > len)
				return false;
			at += (size_t)snprintf(out + at, len - at, "%s%.*s", at ? "/" : "",
					       (int)part, p);
		}
		p += part;
	}
	return at > 0;
}

static int add_member(struct image_source *s, struct archive *a, struct archive_entry *e)
{
	const char *name = archive_entry_pathname(e), *hard = archive_entry_hardlink(e);
	const char *soft = archive_entry_symlink(e);
	char clean[MAX_NAME], target[MAX_NAME];
	struct member *m;

	if (!name || !normalise(NULL, name, clean, sizeof(clean)))
		return 0;
	if (!hard && !soft && archive_entry_filetype(e) != AE_IFREG)
		return 0;
	if ((hard && !normalise(NULL, hard, target, sizeof(target))) ||
	    (!hard && soft && !normalise(clean, soft, target, sizeof(target))))
		return 0;
	if (!hard && !soft && archive_entry_sparse_count(e))
		return 0; /* not one run of bytes */
	if (s->nmembers == MAX_MEMBERS)
		return -E2BIG;
	if (!(s->nmembers & (s->nmembers - 1))) {
		size_t cap = s->nmembers ? s->nmembers * 2 : 1;

		m = reallocarray(s->members, cap, sizeof(*m));
		if (!m)
			return -ENOMEM;
		s->members = m;
	}
	m = &s->members[s->nmembers];
	*m = (struct member){.name = strdup(clean),
			     .link = hard || soft ? strdup(target) : NULL,
			     .offset = (off_t)archive_filter_bytes(a, 0),
			     .size = (uint64_t)archive_entry_size(e)};
	if (!m->name || ((hard || soft) && !m->link)) {
		free(m->name);
		free(m->link);
		return -ENOMEM;
	}
	s->nmembers++;
	return 0;
}

int archive_index(struct image_source *s, struct oci_error *err)
{
	cleanup_reader struct archive *a = archive_read_new();
	struct archive_entry *e;
	int r;

	if (!a)
		return oci_fail_errno(err, ENOMEM, "%s", s->path);
	archive_read_support_format_tar(a);
	if (lseek(s->file, 0, SEEK_SET) < 0 ||
	    archive_read_open_fd(a, s->file, 10240) != ARCHIVE_OK)
		return oci_fail(err, EINVAL, "%s: %s", s->path, archive_error_string(a));
	while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
		if (r < ARCHIVE_WARN)
			return oci_fail(err, EINVAL, "%s: not a tar archive of an image: %s",
					s->path, archive_error_string(a));
		r = image_interrupted() ? -EINTR : add_member(s, a, e);
		if (r == -E2BIG)
			return oci_fail(err, E2BIG, "%s: more than %d files", s->path, MAX_MEMBERS);
		if (r)
			return oci_fail_errno(err, -r, "%s", s->path);
	}
	return 0;
}

const struct member *archive_find(const struct image_source *s, const char *name)
{
	char clean[MAX_NAME];

	if (!normalise(NULL, name, clean, sizeof(clean)))
		return NULL;
	for (int links = 0; links <= MAX_LINKS; links++) {
		const struct member *m = NULL;

		/* As in any tar archive the last of equal names counts. */
		for (size_t i = s->nmembers; i-- && !m;)
			if (!strcmp(s->members[i].name, clean))
				m = &s->members[i];
		if (!m || !m->link)
			return m;
		snprintf(clean, sizeof(clean), "%s", m->link);
	}
	return NULL;
}

static bool is_compressed(int fd)
{
	static const struct {
		const char *bytes;
		size_t n;
	} magic[] = {{"\x1f\x8b", 2},
		     {"\x28\xb5\x2f\xfd", 4},
		     {"\xfd"
		      "7zXZ",
		      5},
		     {"BZh", 3}};
	char head[8] = {0};

	if (pread(fd, head, sizeof(head), 0) < 0)
		return false;
	for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
		if (!memcmp(head, magic[i].bytes, magic[i].n))
			return true;
	return false;
}

static int spool(const struct image_source *s, struct archive *a, int to, uint64_t max_size,
		 struct oci_error *err)
{
	cleanup_free char *p = malloc(BLOCK);
	uint64_t total = 0;
	la_ssize_t n;

	if (!p)
		return oci_fail_errno(err, ENOMEM, "%s", s->path);
	while ((n = archive_read_data(a, p, BLOCK)) > 0) {
		total += (uint64_t)n;
		if (image_interrupted())
			return oci_fail_errno(err, EINTR, "%s", s->path);
		if (total > max_size)
			return oci_fail(err, EFBIG,
					"%s: more than %llu bytes uncompressed "
					"(--max-size)",
					s->path, (unsigned long long)max_size);
		for (la_ssize_t done = 0; done < n;) {
			ssize_t w = write(to, p + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return oci_fail_errno(err, errno, "%s: uncompressing", s->path);
			done += w > 0 ? w : 0;
		}
	}
	return n < 0 ? oci_fail(err, EINVAL, "%s: %s", s->path, archive_error_string(a)) : 0;
}

int archive_uncompress(struct image_source *s, uint64_t max_size, struct oci_error *err)
{
	cleanup_reader struct archive *a = NULL;
	const char *dir = getenv("TMPDIR");
	struct archive_entry *e;
	int to, r;

	if (!is_compressed(s->file))
		return 0;
	a = archive_read_new();
	if (!a)
		return oci_fail_errno(err, ENOMEM, "%s", s->path);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_fd(a, s->file, BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(a, &e) < ARCHIVE_WARN)
		return oci_fail(err, EINVAL, "%s: %s", s->path, archive_error_string(a));
	dir = dir && *dir == '/' ? dir : "/var/tmp";
	to = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (to < 0)
		return oci_fail_errno(err, errno, "temporary file in %s", dir);
	r = spool(s, a, to, max_size, err);
	if (r) {
		close(to);
		return r;
	}
	close(s->file);
	s->file = to;
	return 0;
}
