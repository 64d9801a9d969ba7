/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/pull.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/image/pull_internal.h"
#include "oci/image/registries.h"
#include "oci/image/store_internal.h"
#include "oci/log.h"

#define MIRROR_RETRIES 1 /* the registry itself comes next */

static const char accepted[] = "application/vnd.oci.image.index.v1+json, "
			       "application/vnd.oci.image.manifest.v1+json, "
			       "application/vnd.docker.distribution.manifest.list.v2+json, "
			       "application/vnd.docker.distribution.manifest.v2+json";

struct document {
	struct buf text;
	struct oci_error *err;
};

static void on_begin(void *arg)
{
	buf_free(&((struct document *)arg)->text);
}

static bool on_bytes(void *arg, const struct http_reply *reply, const void *p, size_t n)
{
	struct document *d = arg;

	if (reply->length > IMAGE_MAX_DOCUMENT || n > IMAGE_MAX_DOCUMENT - d->text.len) {
		oci_fail(d->err, EFBIG, "manifest larger than %u bytes", IMAGE_MAX_DOCUMENT);
		return false;
	}
	buf_add(&d->text, p, n);
	return buf_ok(&d->text) || oci_fail_errno(d->err, ENOMEM, "manifest") > 0;
}

/* Its own word counts; the registry's where it has none. */
static int media_of(const struct document *d, const char *type, const char *from,
		    struct store_entry *out, struct oci_error *err)
{
	struct json_in in = {from, err};
	yajl_val doc = json_parse(d->text.s ? d->text.s : "", d->text.len, from, err);
	const char *media = type;
	int r;

	if (!doc)
		return -EBADMSG;
	r = json_in_string(&in, doc, "", "mediaType", &media);
	if (!r && !media_is_index(media) && !media_is_manifest(media))
		r = oci_fail(err, EINVAL, "%s: media type %.100s is not an image's", from, media);
	snprintf(out->media, sizeof(out->media), "%s", media);
	yajl_tree_free(doc);
	return r;
}

static int keep_document(struct pull *p, const struct document *d, const struct digest *digest,
			 struct oci_error *err)
{
	int fd, r = store_begin(&p->store, digest, d->text.len, &fd, err);

	if (r)
		return r < 0 ? r : 0;
	if (ftruncate(fd, 0) || pwrite(fd, d->text.s, d->text.len, 0) != (ssize_t)d->text.len) {
		r = oci_fail_errno(err, errno ? errno : ENOSPC, "store %s", p->store.path);
		store_leave(&p->store, digest, fd, true);
		return r;
	}
	return store_commit(&p->store, digest, fd, err);
}

static int document_from(struct pull *p, struct registry *from, struct http *h, const char *name,
			 const struct digest *want, struct document *d, struct store_entry *out,
			 struct oci_error *err)
{
	const struct digest sha256 = {"sha256:"}, *as = want->text[0] ? want : &sha256;
	const struct registry_request q = {.kind = "manifests",
					   .name = name,
					   .accept = accepted,
					   .until = UINT64_MAX,
					   .begin = on_begin,
					   .sink = on_bytes,
					   .arg = d};
	struct http_reply reply;
	struct hasher hash;
	bool right;
	int r = registry_get(from, h, &q, &reply, err);

	if (r == -ECANCELED)
		r = oci_fail_prefix(err, "%s: %s: ", from->name, name);
	if (r)
		return r;
	if (!hasher_start(&hash, as))
		return oci_fail_errno(err, ENOMEM, "%s", name);
	hasher_add(&hash, d->text.s, d->text.len);
	right = hasher_agrees(&hash, as, &out->digest);
	hasher_free(&hash);
	if (want->text[0] && !right)
		return oci_fail(err, EBADMSG, "%s: manifest %s: its bytes have digest %s",
				from->name, want->text, out->digest.text);
	out->size = d->text.len;
	r = media_of(d, reply.type, from->name, out, err);
	return r ? r : keep_document(p, d, &out->digest, err);
}

int pull_document(struct pull *p, struct http *h, const char *name, const struct digest *want,
		  struct store_entry *out, struct oci_error *err)
{
	struct document d = {.err = err};
	int r = -ENOENT;

	for (size_t i = 0; r && i < p->nregistries; i++) {
		r = document_from(p, &p->registries[i], h, name, want, &d, out, err);
		if (!r)
			atomic_store(&p->first, i);
		else if (image_interrupted())
			break;
		else if (i + 1 < p->nregistries)
			log_debug("%s", err->msg);
	}
	buf_free(&d.text);
	return r;
}

struct fetcher {
	struct pull *pull;
	struct http *http;
};

/* Indexes and manifests below others, by digest. */
static int fetch(void *arg, const struct digest *d, uint64_t size, struct oci_error *err)
{
	struct fetcher *f = arg;
	struct store_entry e = {.size = 0};
	int r = store_has(&f->pull->store, d, size, err);

	if (r)
		return r < 0 ? r : 0;
	if (size > IMAGE_MAX_DOCUMENT)
		return oci_fail(err, EFBIG, "manifest %s: larger than %u bytes", d->text,
				IMAGE_MAX_DOCUMENT);
	return pull_document(f->pull, f->http, d->text, d, &e, err);
}

static int add_size(struct pull *p, const struct descriptor *d, struct oci_error *err)
{
	uint64_t total = atomic_load(&p->total);

	if (d->size > p->options->max_size - total)
		return oci_fail(err, EFBIG, "the image has more than %llu bytes (--max-size)",
				(unsigned long long)p->options->max_size);
	atomic_store(&p->total, total + d->size);
	return 0;
}

/* The configuration before the layers: it says whether the image is one for us. */
static int fetch_parts(struct pull *p, struct http *h, yajl_val m, const char *name,
		       const struct platform *want, struct oci_error *err)
{
	const struct image_source source = store_source(&p->store);
	cleanup_free struct descriptor *layers = NULL;
	struct descriptor config;
	size_t n, kept = 0;
	int r = manifest_read(m, name, &config, &layers, &n, err);

	if (!r && config.size > IMAGE_MAX_DOCUMENT)
		r = oci_fail(err, EFBIG, "%s: config.size: larger than %u bytes", name,
			     IMAGE_MAX_DOCUMENT);
	if (!r)
		r = add_size(p, &config, err);
	for (size_t i = 0; !r && i < n; i++) {
		bool seen = false;

		for (size_t k = 0; k < kept && !seen; k++)
			seen = !strcmp(layers[k].digest.text, layers[i].digest.text);
		if (seen)
			continue;
		layers[kept++] = layers[i];
		r = add_size(p, &layers[i], err);
	}
	if (!r)
		r = pull_blob(p, h, &config.digest, config.size, err);
	if (!r)
		r = image_check_config(&source, &config.digest, config.size, want, err);
	return r ? r : pull_blobs(p, layers, kept, err);
}

/* Everything below the document; at the end the image is read as unpacking will read it. */
static int fetch_image(struct pull *p, struct http *h, const struct store_entry *top,
		       const struct platform *want, struct oci_error *err)
{
	const struct image_source source = store_source(&p->store);
	struct choice chosen = {top->digest, top->size}, index = chosen;
	struct fetcher f = {p, h};
	char name[DIGEST_MAX + 16];
	struct image image;
	yajl_val m;
	int r = 0;

	if (media_is_index(top->media)) {
		r = image_choose_below(&source, &index, want, fetch, &f, &chosen, err);
		if (!r)
			r = fetch(&f, &chosen.digest, chosen.size, err);
	}
	if (r)
		return r;
	digest_blob_path(&chosen.digest, name, sizeof(name));
	r = image_document(&source, name, &chosen.digest, chosen.size, &m, err);
	if (r)
		return r;
	r = fetch_parts(p, h, m, name, want, err);
	yajl_tree_free(m);
	if (r)
		return r;
	r = image_of_manifest(&source, &chosen.digest, chosen.size, want, &image, err);
	if (!r)
		image_free(&image);
	return r;
}

static int pull_all(struct pull *p, struct http *h, const struct platform *want, char **name,
		    struct oci_error *err)
{
	const char *what = p->ref.digest.text[0] ? p->ref.digest.text : p->ref.tag;
	struct store_entry top = {.size = 0};
	struct store_collected removed;
	struct oci_error busy;
	int r = pull_document(p, h, what, &p->ref.digest, &top, err);

	if (!r)
		r = fetch_image(p, h, &top, want, err);
	if (r)
		return r;
	reference_text(&p->ref, top.name, sizeof(top.name));
	r = store_name(&p->store, &top, err);
	if (r)
		return r;
	if (asprintf(name, "%s/%s@%s", p->ref.host, p->ref.path, top.digest.text) < 0) {
		*name = NULL;
		return oci_fail_errno(err, ENOMEM, "%s", p->ref.path);
	}
	/* What pulls that never ended left; whoever uses the store now will do it. */
	if (store_collect(&p->store, false, &removed, &busy))
		log_debug("%s", busy.msg);
	return 0;
}

static int add_registry(struct pull *p, const char *where, const char *creds, bool mirror,
			struct oci_error *err)
{
	const struct pull_options *o = p->options;
	struct registry *r = &p->registries[p->nregistries];
	char host[REFERENCE_MAX_HOST];
	int e = registry_init(r, where, p->ref.path, err);

	if (e)
		return e;
	p->nregistries++;
	r->retries = mirror && o->retries > MIRROR_RETRIES ? MIRROR_RETRIES : o->retries;
	r->delay_ms = o->delay_ms;
	snprintf(host, sizeof(host), "%.*s", (int)strcspn(where, "/"), where);
	return creds ? credentials_parse(creds, &r->credentials, err)
		     : credentials_find(o->auth_file, host, r->path, &r->credentials, err);
}

static int list_registries(struct pull *p, const struct registries *file, struct oci_error *err)
{
	const struct pull_options *o = p->options;
	const char *configured[REGISTRIES_MAX_MIRRORS];
	size_t n, given = 0;
	int r = reference_complete(&p->ref, o->registry ? o->registry : file->fallback,
				   o->registry ? NULL : file->name_space, err);

	if (r)
		return r;
	n = registries_mirrors(file, p->ref.host, configured);
	while (o->mirrors[given])
		given++;
	p->registries = calloc(given + n + 1, sizeof(*p->registries));
	if (!p->registries)
		return oci_fail_errno(err, ENOMEM, "registries");
	for (size_t i = 0; !r && i < given; i++)
		r = add_registry(p, o->mirrors[i], NULL, true, err);
	for (size_t i = 0; !r && i < n; i++)
		r = add_registry(p, configured[i], NULL, true, err);
	return r ? r : add_registry(p, p->ref.host, o->creds, false, err);
}

static int find_registries(struct pull *p, struct oci_error *err)
{
	struct registries file;
	int r = registries_load(p->options->registries, &file, err);

	if (!r)
		r = list_registries(p, &file, err);
	registries_free(&file);
	return r;
}

static int load_certificates(struct pull *p, struct oci_error *err)
{
	static const char *const usual[] = {"/etc/containers/certs.d", "/etc/docker/certs.d"};
	const struct pull_options *o = p->options;
	char dir[512];
	int r = 0;

	p->tls.insecure = o->insecure;
	if (o->cert_dir)
		return http_tls_load(&p->tls, o->cert_dir, p->ref.host, true, err);
	for (size_t i = 0; !r && i < sizeof(usual) / sizeof(usual[0]); i++) {
		snprintf(dir, sizeof(dir), "%s/%s", usual[i], p->ref.host);
		r = http_tls_load(&p->tls, dir, p->ref.host, false, err);
	}
	return r;
}

static int prepare(struct pull *p, struct platform *want, struct oci_error *err)
{
	int r = reference_parse(p->options->image, &p->ref, err);

	if (!r)
		r = platform_parse(p->options->platform, want, err);
	if (!r)
		r = find_registries(p, err);
	if (!r)
		r = load_certificates(p, err);
	if (!r && curl_global_init(CURL_GLOBAL_DEFAULT))
		r = oci_fail(err, EIO, "libcurl cannot be initialised");
	if (!r)
		r = store_open(&p->store, p->options->store, true, err);
	return r ? r : pull_confine(p->store.dir, err);
}

int image_pull(const struct pull_options *o, char **name, struct oci_error *err)
{
	struct pull p = {.options = o, .store = {.dir = -1, .lock = -1}};
	struct http *h = NULL;
	struct platform want;
	int r = prepare(&p, &want, err);

	if (!r && !(h = http_new(&p.tls, err)))
		r = -ENOMEM;
	if (!r)
		r = pull_all(&p, h, &want, name, err);
	http_free(h);
	store_close(&p.store);
	for (size_t i = 0; i < p.nregistries; i++)
		registry_free(&p.registries[i]);
	free(p.registries);
	http_tls_free(&p.tls);
	return r;
}
