/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of any bytes, over a root that has a link out of it. The first byte chooses: even, the
 * bytes are a layer as it is; odd, they are an archive of a whole image. Build with
 * -fsanitize=fuzzer,address, or with -DFUZZ_MAIN to run it over the files named on the command line.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/image/image.h"
#include "oci/image/layer.h"
#include "oci/log.h"
#include "oci/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64];

/* Anything there was written through a link. */
static void check_outside(void)
{
	char path[128];
	DIR *d;
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/outside", top);
	d = opendir(path);
	if (!d)
		abort();
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' || strlen(e->d_name) > 2)
			abort();
	closedir(d);
}

static int memory_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	return fd;
}

static void one_layer(const uint8_t *data, size_t size)
{
	struct image_layer l = {.blob = {memory_file(data, size), true, 0, size}, .name = "layer"};
	struct stream_budget budget = {.left = 1 << 20, .total = 1 << 20};
	struct layer_progress progress = {.max_entries = 256};
	struct oci_error err = {0};
	struct layer_stream s;
	struct target t;
	char path[128];
	int root;

	snprintf(path, sizeof(path), "%s/outside", top);
	root = openat(AT_FDCWD, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || mkdirat(root, "root", 0755))
		abort();
	close(root);
	snprintf(path, sizeof(path), "%s/root", top);
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || symlinkat("../outside", root, "up") || mkdirat(root, "d", 0755))
		abort();
	target_init(&t, root);
	target_next_layer(&t, true);
	if (!layer_stream_start(&s, &l, &budget, &err)) {
		if (layer_apply(&t, &s, &progress, &err) && !err.msg[0])
			abort(); /* an error without a sentence */
		layer_stream_end(&s);
	}
	target_finish(&t);
	target_free(&t);
	close(root);
	blob_close(&l.blob);
	if (tree_remove(AT_FDCWD, path))
		abort();
}

static void one_image(const uint8_t *data, size_t size)
{
	struct image_options o = {.max_size = 1 << 20, .max_entries = 256};
	struct oci_error err = {0};
	char image[64], bundle[128];
	int fd = memory_file(data, size);

	snprintf(image, sizeof(image), "/proc/self/fd/%d", fd);
	snprintf(bundle, sizeof(bundle), "%s/bundle", top);
	o.image = image;
	o.bundle = bundle;
	if (image_unpack(&o, &err)) {
		if (!err.msg[0] || !access(bundle, F_OK))
			abort();
	} else if (tree_remove(AT_FDCWD, bundle)) {
		abort();
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[128];

	if (!top[0]) {
		snprintf(top, sizeof(top), "/tmp/nacre-fuzz.XXXXXX");
		if (!mkdtemp(top))
			abort();
		snprintf(path, sizeof(path), "%s/outside", top);
		if (mkdir(path, 0755))
			abort();
		log_mute(true);
	}
	if (!size)
		return 0;
	if (data[0] & 1)
		one_image(data + 1, size - 1);
	else
		one_layer(data + 1, size - 1);
	check_outside();
	return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
	static uint8_t data[16 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f)
			return 1;
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), f));
		fclose(f);
	}
	return top[0] ? tree_remove(AT_FDCWD, top) != 0 : 0;
}
#endif
