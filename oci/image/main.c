/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre-image: the helper that `nacre unpack`, `nacre run --image` and `nacre images` start, with
 * their options and those between the two alone (oci/image_helper.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cleanup.h"
#include "oci/image/helper.h"
#include "oci/image/image.h"
#include "oci/image/registries.h"
#include "oci/image/store.h"

static const struct cli_option options[] = {
	CLI_IMAGE_OPTIONS,
	CLI_IMAGES_OPTIONS,
	IMAGE_HELPER_OPTIONS,
	{0},
};

static int unpack(const struct helper *h, const struct registries *file, struct oci_error *err)
{
	struct image_options o = {
		.store = helper_value(h, "store"),
		.registry = file->fallback,
		.name_space = file->name_space,
		.platform = helper_value(h, "platform"),
		.entrypoint = helper_value(h, "entrypoint"),
		.terminal = helper_flag(h, "tty"),
		.want_command = helper_flag(h, "want-command"),
		.progress = helper_flag(h, "progress"),
		.args = (const char *const *)h->args + 2,
		.nargs = h->nargs > 2 ? (size_t)h->nargs - 2 : 0,
	};
	int r;

	if (h->nargs < 2)
		return oci_fail(err, EINVAL, "nacre-image is started by nacre unpack");
	o.image = h->args[0];
	o.bundle = h->args[1];
	r = helper_count(h, "max-size", &o.max_size, err);
	if (!r)
		r = helper_count(h, "max-entries", &o.max_entries, err);
	return r ? r : image_unpack(&o, err);
}

static int list(const struct store *s, bool quiet, struct oci_error *err)
{
	cleanup_free struct store_entry *all = NULL;
	size_t n, width = strlen("NAME");
	int r = store_list(s, &all, &n, err);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++)
		if (strlen(all[i].name) > width)
			width = strlen(all[i].name);
	if (!quiet)
		printf("%-*s  %-19s  %10s\n", (int)width, "NAME", "DIGEST", "MIB");
	for (size_t i = 0; i < n; i++)
		if (quiet)
			printf("%s\n", all[i].name);
		else
			printf("%-*s  %.19s  %10.1f\n", (int)width, all[i].name, all[i].digest.text,
			       (double)all[i].bytes / (1 << 20));
	return 0;
}

static int forget(const struct store *s, const char *name, const struct registries *file,
		  struct oci_error *err)
{
	struct store_entry e;
	struct reference ref;
	int r = reference_parse(name, &ref, err);

	if (!r)
		r = reference_complete(&ref, file->fallback, file->name_space, err);
	if (!r)
		r = store_find(s, &ref, &e, err);
	return r ? r : store_unname(s, e.name, err);
}

/* Without arguments a list; with --remove names go, with --prune what no image has. */
static int images(const struct helper *h, const struct registries *file, struct oci_error *err)
{
	bool remove = helper_flag(h, "remove"), prune = helper_flag(h, "prune");
	struct store_collected gone;
	struct store s;
	int r = 0;

	if (remove != (h->nargs > 0) || (remove && prune))
		return oci_fail(err, EINVAL,
				"names of images are given with --remove, and with it "
				"alone");
	r = store_open(&s, helper_value(h, "store"), true, err);
	if (r)
		return r;
	if (!remove && !prune)
		r = list(&s, helper_flag(h, "quiet"), err);
	for (int i = 0; !r && i < h->nargs; i++)
		r = forget(&s, h->args[i], file, err);
	if (!r && (remove || prune)) {
		r = store_collect(&s, true, &gone, err);
		/* The names are gone; the blobs go when nobody uses the store. */
		if (r == -EBUSY && remove)
			r = 0;
		else if (!r)
			printf("%" PRIu64 " blobs, %.1f MiB removed\n", gone.blobs,
			       (double)gone.bytes / (1 << 20));
	}
	store_close(&s);
	return r;
}

static int run(const struct helper *h, struct oci_error *err)
{
	struct registries file;
	int r;

	if (!helper_value(h, "store"))
		return oci_fail(err, EINVAL, "nacre-image is started by nacre");
	r = registries_load(NULL, &file, err);
	if (r)
		return r;
	r = helper_flag(h, "images") ? images(h, &file, err) : unpack(h, &file, err);
	registries_free(&file);
	return r;
}

int main(int argc, char **argv)
{
	return helper_main(options, argc, argv, run);
}
