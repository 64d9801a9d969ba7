/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "oci/image/image.h"

#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh." /* a storage driver's own, but for */
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct feed {
	struct layer_stream *stream;
	struct oci_error err;
};

static la_ssize_t on_read(struct archive *a, void *data, const void **p)
{
	struct feed *f = data;
	ssize_t n = layer_stream_read(f->stream, p, &f->err);

	if (n < 0) {
		archive_set_error(a, f->err.code, "%s", f->err.msg);
		return ARCHIVE_FATAL;
	}
	return n;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* A component of dir that begins with prefix. */
static bool has_component(const char *dir, const char *prefix)
{
	for (const char *p = dir; p && *p; p = strchr(p, '/')) {
		p += *p == '/';
		if (begins(p, prefix))
			return true;
	}
	return false;
}

/* A whiteout takes away what lower layers have: nothing when there is no such directory. */
static int whiteout(struct target *t, const char *dir, const char *name, const char **what)
{
	int fd, r;

	name += strlen(WHITEOUT);
	*what = "whiteout";
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	fd = target_dir(t, dir, false);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	r = target_whiteout(t, fd, name);
	return r == -ENOENT ? 0 : r;
}

static int opaque(struct target *t, const char *dir, const char **what)
{
	int fd = target_dir(t, dir, false);

	*what = "opaque whiteout";
	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	return target_hide(t, fd);
}

static int apply_entry(struct target *t, struct archive *a, struct archive_entry *e,
		       struct layer_progress *p, const char **what)
{
	const char *raw = archive_entry_pathname(e), *name;
	char path[PATH_MAX], dir[PATH_MAX];
	int r;

	*what = "name";
	if (!raw)
		return -EILSEQ;
	r = target_clean(raw, path);
	if (r)
		return r;
	name = target_split(path, dir);
	if (!begins(name, WHITEOUT) && !has_component(dir, WHITEOUT))
		return layer_node(t, a, e, path, p, what);
	if (!strcmp(name, WHITEOUT_OPAQUE) && !has_component(dir, WHITEOUT))
		return t->track ? opaque(t, dir, what) : 0;
	if (begins(name, WHITEOUT_META) || has_component(dir, WHITEOUT_META))
		return 0;
	if (has_component(dir, WHITEOUT))
		return -EINVAL;
	return t->track ? whiteout(t, dir, name, what) : 0;
}

static const char *reason(int r, char *buf, size_t len)
{
	switch (r) {
	case -EXDEV:
		return "leads out of the root file system";
	case -E2BIG:
		return "bigger than its header says";
	case -EMLINK:
		return "too many links";
	default:
		return oci_strerror(-r, buf, len);
	}
}

/* Names from an archive may hold anything: what a terminal would act on is shown as "?". */
static const char *printable(const char *name, char *out, size_t len)
{
	size_t i;

	for (i = 0; name && name[i] && i + 1 < len; i++)
		out[i] = (unsigned char)name[i] < ' ' || name[i] == 127 ? '?' : name[i];
	out[i] = '\0';
	return out;
}

static int entry_failed(const struct layer_stream *s, struct archive *a, struct archive_entry *e,
			int r, const char *what, const struct feed *f, struct oci_error *err)
{
	char shown[256], buf[128];

	if (f->err.msg[0]) { /* the bytes themselves failed, in the middle of this entry */
		*err = f->err;
		return -EBADMSG;
	}
	printable(archive_entry_pathname(e), shown, sizeof(shown));
	if (r == -EBADMSG)
		return oci_fail(err, EBADMSG, "%s: %s: %s", s->layer->name, shown,
				archive_error_string(a) ? archive_error_string(a) : "damaged");
	return oci_fail(err, -r, "%s: %s: %s: %s", s->layer->name, shown, what,
			reason(r, buf, sizeof(buf)));
}

static int apply_entries(struct target *t, struct archive *a, struct feed *f,
			 struct layer_progress *p, struct oci_error *err)
{
	const struct layer_stream *s = f->stream;
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
		const char *what = "";

		if (r < ARCHIVE_WARN && f->err.msg[0]) {
			*err = f->err;
			return -EBADMSG;
		}
		if (r < ARCHIVE_WARN)
			return oci_fail(err, EBADMSG, "%s: %s", s->layer->name,
					archive_error_string(a));
		if (image_interrupted())
			return oci_fail_errno(err, EINTR, "%s", s->layer->name);
		if (++p->entries > p->max_entries)
			return oci_fail(err, EFBIG,
					"%s: the layers have more than %llu entries "
					"(--max-entries)",
					s->layer->name, (unsigned long long)p->max_entries);
		r = apply_entry(t, a, e, p, &what);
		if (r)
			return entry_failed(s, a, e, r, what, f, err);
		if (p->report)
			p->report(p);
	}
	return 0;
}

int layer_apply(struct target *t, struct layer_stream *s, struct layer_progress *p,
		struct oci_error *err)
{
	struct archive *a = archive_read_new();
	struct feed f = {.stream = s};
	const void *rest;
	ssize_t n;
	int r;

	if (!a)
		return oci_fail_errno(err, ENOMEM, "%s", s->layer->name);
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (archive_read_open(a, &f, NULL, on_read, NULL) == ARCHIVE_OK)
		r = apply_entries(t, a, &f, p, err);
	else if (f.err.msg[0])
		*err = f.err, r = -EBADMSG;
	else
		r = oci_fail(err, EBADMSG, "%s: %s", s->layer->name, archive_error_string(a));
	archive_read_free(a);
	/* What follows the archive's end is not looked at, but is under the digest. */
	while (!r && (n = layer_stream_read(s, &rest, err)))
		r = n < 0 ? (int)n : 0;
	return r;
}
