/* SPDX-License-Identifier: Apache-2.0 */
/* Which manifest of a layout is meant: by reference and by platform, through nested indexes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/image/image.h"
#include "oci/image/manifest.h"

struct search {
	const struct image_source *source;
	const char *ref;
	const struct platform *want;
	unsigned looked, best;
	struct choice choice;
	char choice_ref[256];
	bool found, ambiguous;
	struct buf offers;  /* what there would have been, for errors */
	image_fetch *fetch; /* NULL: every index is there */
	void *arg;
	struct oci_error *err;
};

bool media_is_index(const char *media)
{
	return !strcmp(media, "application/vnd.oci.image.index.v1+json") ||
	       !strcmp(media, "application/vnd.docker.distribution.manifest.list.v2+json");
}

bool media_is_manifest(const char *media)
{
	return !strcmp(media, "application/vnd.oci.image.manifest.v1+json") ||
	       !strcmp(media, "application/vnd.docker.distribution.manifest.v2+json");
}

int image_document(const struct image_source *s, const char *name, const struct digest *d,
		   uint64_t size, yajl_val *out, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	char shown[400];
	size_t len;
	int r = image_source_document(s, name, d, size, &text, &len, err);

	if (r)
		return r;
	snprintf(shown, sizeof(shown), "%.200s: %.180s", s->path, name);
	*out = json_parse(text, len, shown, err);
	if (!*out)
		return err->code > 0 ? -err->code : -EINVAL;
	if (!YAJL_IS_OBJECT(*out)) {
		yajl_tree_free(*out);
		*out = NULL;
		return oci_fail(err, EINVAL, "%s: must be a JSON object", shown);
	}
	return 0;
}

int descriptor_read(struct json_in *in, yajl_val obj, const char *path, struct descriptor *d)
{
	const char *digest = NULL;
	yajl_val platform, annotations;
	char sub[256];
	int64_t size = -1;
	int r;

	*d = (struct descriptor){.media = ""};
	if (!YAJL_IS_OBJECT(obj))
		return oci_fail(in->err, EINVAL, "%s: %s must be an object", in->file, path);
	if ((r = json_in_string(in, obj, path, "mediaType", &d->media)) ||
	    (r = json_in_string(in, obj, path, "digest", &digest)) ||
	    (r = json_in_int(in, obj, path, "size", 0, INT64_MAX, &size)) ||
	    (r = json_in_object(in, obj, path, "platform", &platform)) ||
	    (r = json_in_object(in, obj, path, "annotations", &annotations)))
		return r;
	if (!digest || !digest_parse(digest, &d->digest))
		return oci_fail(in->err, EINVAL,
				"%s: %s.digest must be sha256: or sha512: and its digits", in->file,
				path);
	if (size < 0)
		return oci_fail(in->err, EINVAL, "%s: %s.size must be given", in->file, path);
	d->size = (uint64_t)size;
	if (annotations) {
		snprintf(sub, sizeof(sub), "%s.annotations", path);
		r = json_in_string(in, annotations, sub, IMAGE_REF_NAME, &d->ref);
	}
	if (!r && platform) {
		snprintf(sub, sizeof(sub), "%s.platform", path);
		if (!(r = json_in_string(in, platform, sub, "os", &d->os)) &&
		    !(r = json_in_string(in, platform, sub, "architecture", &d->arch)))
			r = json_in_string(in, platform, sub, "variant", &d->variant);
	}
	return r;
}

static void offer(struct search *s, const struct descriptor *d)
{
	if (s->offers.len > 400)
		return;
	buf_str(&s->offers, s->offers.len ? ", " : "");
	if (d->ref)
		buf_printf(&s->offers, "%.100s", d->ref);
	else if (d->os && d->arch)
		buf_printf(&s->offers, "%.30s/%.30s%s%.10s", d->os, d->arch, d->variant ? "/" : "",
			   d->variant ? d->variant : "");
	else
		buf_printf(&s->offers, "%.20s", d->digest.text);
}

/* Of equals the first counts, unless they have names and none was asked for. */
static void consider(struct search *s, const struct descriptor *d, const char *ref, unsigned score)
{
	if (s->found && score == s->best && strcmp(s->choice.digest.text, d->digest.text) && ref &&
	    s->choice_ref[0] && strcmp(ref, s->choice_ref))
		s->ambiguous = true;
	if (s->found && score <= s->best)
		return;
	s->ambiguous = false;
	s->found = true;
	s->best = score;
	s->choice = (struct choice){d->digest, d->size};
	snprintf(s->choice_ref, sizeof(s->choice_ref), "%s", ref ? ref : "");
}

static int search_index(struct search *s, yajl_val index, const char *file, const char *ref,
			unsigned depth);

static int descend(struct search *s, const struct descriptor *d, const char *ref, unsigned depth)
{
	char name[DIGEST_MAX + 16];
	yajl_val index;
	int r;

	if (depth == IMAGE_MAX_NESTING)
		return oci_fail(s->err, ELOOP, "%s: indexes nested deeper than %d levels",
				s->source->path, IMAGE_MAX_NESTING);
	if (s->fetch && (r = s->fetch(s->arg, &d->digest, d->size, s->err)))
		return r;
	digest_blob_path(&d->digest, name, sizeof(name));
	r = image_document(s->source, name, &d->digest, d->size, &index, s->err);
	if (r)
		return r;
	r = search_index(s, index, name, ref, depth + 1);
	yajl_tree_free(index);
	return r;
}

static int search_one(struct search *s, struct json_in *in, yajl_val v, size_t i, const char *ref,
		      unsigned depth)
{
	struct descriptor d;
	unsigned score = 1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "manifests[%zu]", i);
	r = descriptor_read(in, v, path, &d);
	if (r)
		return r;
	if (++s->looked > IMAGE_MAX_CHOICES)
		return oci_fail(s->err, E2BIG, "%s: more than %d manifests", s->source->path,
				IMAGE_MAX_CHOICES);
	offer(s, &d);
	if (!depth) {
		if (s->ref && (!d.ref || strcmp(d.ref, s->ref)))
			return 0;
		ref = d.ref;
	}
	if (d.os && d.arch) {
		score = platform_score(s->want, d.os, d.arch, d.variant);
		if (!score)
			return 0;
		score++; /* better than one that does not say */
	}
	if (media_is_index(d.media))
		return descend(s, &d, ref, depth);
	if (media_is_manifest(d.media))
		consider(s, &d, ref, score);
	return 0;
}

static int search_index(struct search *s, yajl_val index, const char *file, const char *ref,
			unsigned depth)
{
	struct json_in in = {file, s->err};
	yajl_val list;
	int r = json_in_array(&in, index, "", "manifests", IMAGE_MAX_CHOICES, &list);

	if (!r && !list)
		r = oci_fail(s->err, EINVAL, "%s: %s: manifests must be given", s->source->path,
			     file);
	for (size_t i = 0; !r && i < list->u.array.len; i++)
		r = search_one(s, &in, list->u.array.values[i], i, ref, depth);
	return r;
}

/* The end of a search: what it found, or why that is not enough. */
static int conclude(struct search *s, int r, struct choice *out)
{
	const struct platform *want = s->want;

	if (!r && !s->found)
		r = oci_fail(s->err, ENOENT, "%s: no image%s%s for %s/%s; there are: %s",
			     s->source->path, s->ref ? " named " : "", s->ref ? s->ref : "",
			     want->os, want->arch, s->offers.len ? s->offers.s : "none");
	if (!r && s->ambiguous)
		r = oci_fail(s->err, EINVAL,
			     "%s: has several images: add one of these after a colon: %s",
			     s->source->path, s->offers.s);
	*out = s->choice;
	buf_free(&s->offers);
	return r;
}

int image_choose(const struct image_source *source, const char *ref, const struct platform *want,
		 struct choice *out, struct oci_error *err)
{
	struct search s = {.source = source, .ref = ref, .want = want, .err = err};
	const struct digest none = {0};
	yajl_val index;
	int r = image_document(source, "index.json", &none, IMAGE_ANY_SIZE, &index, err);

	if (r)
		return r;
	r = search_index(&s, index, "index.json", NULL, 0);
	yajl_tree_free(index);
	return conclude(&s, r, out);
}

int image_choose_below(const struct image_source *source, const struct choice *index,
		       const struct platform *want, image_fetch *fetch, void *arg,
		       struct choice *out, struct oci_error *err)
{
	struct search s = {.source = source, .want = want, .fetch = fetch, .arg = arg, .err = err};
	const struct descriptor top = {.digest = index->digest, .size = index->size};

	return conclude(&s, descend(&s, &top, NULL, 0), out);
}
