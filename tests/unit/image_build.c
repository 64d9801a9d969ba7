/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "oci/tree.h"
#include "tests/unit/image_build.h"

#define MAX_TAR (32u << 20)

static void path_of(char *out, size_t len, const char *dir, const char *name)
{
	assert_true((size_t)snprintf(out, len, "%s/%s", dir, name) < len);
}

static void make_dir(const char *dir, const char *name)
{
	char path[256];

	path_of(path, sizeof(path), dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

void build_start(struct build *b)
{
	*b = (struct build){.top = "/tmp/nacre-image.XXXXXX"};
	assert_non_null(mkdtemp(b->top));
	path_of(b->layout, sizeof(b->layout), b->top, "layout");
	path_of(b->bundle, sizeof(b->bundle), b->top, "bundle");
	path_of(b->outside, sizeof(b->outside), b->top, "outside");
	make_dir(b->top, "layout");
	make_dir(b->top, "outside");
	make_dir(b->layout, "blobs");
	make_dir(b->layout, "blobs/sha256");
	b->options = (struct image_options){.max_size = 1u << 30, .max_entries = 1000};
}

void build_end(struct build *b)
{
	free(b->bytes);
	assert_int_equal(tree_remove(AT_FDCWD, b->top), 0);
}

void layer_begin(struct build *b)
{
	b->bytes = b->bytes ? b->bytes : malloc(MAX_TAR);
	assert_non_null(b->bytes);
	b->layer = archive_write_new();
	archive_write_set_format_pax(b->layer);
	archive_write_set_options(b->layer, "hdrcharset=BINARY");
	archive_write_set_bytes_per_block(b->layer, 512);
	archive_write_open_memory(b->layer, b->bytes, MAX_TAR, &b->used);
}

struct archive_entry *new_entry(const char *name, mode_t mode)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, name);
	archive_entry_set_mode(e, mode);
	archive_entry_set_uid(e, getuid());
	archive_entry_set_gid(e, getgid());
	archive_entry_set_mtime(e, 1000000000, 0);
	return e;
}

void add_entry(struct build *b, struct archive_entry *e, const void *data, size_t n)
{
	if (data && !archive_entry_size_is_set(e))
		archive_entry_set_size(e, (la_int64_t)n);
	if (archive_write_header(b->layer, e) < ARCHIVE_WARN)
		fail_msg("%s", archive_error_string(b->layer));
	if (data)
		assert_int_equal(archive_write_data(b->layer, data, n), n);
	archive_entry_free(e);
}

void add_file(struct build *b, const char *name, const char *text)
{
	add_entry(b, new_entry(name, S_IFREG | 0644), text, strlen(text));
}

void add_dir(struct build *b, const char *name, mode_t mode)
{
	add_entry(b, new_entry(name, S_IFDIR | mode), NULL, 0);
}

void add_link(struct build *b, const char *name, const char *to)
{
	struct archive_entry *e = new_entry(name, S_IFLNK | 0777);

	archive_entry_copy_symlink(e, to);
	add_entry(b, e, NULL, 0);
}

void add_hard_link(struct build *b, const char *name, const char *to)
{
	struct archive_entry *e = new_entry(name, S_IFREG | 0644);

	archive_entry_copy_hardlink(e, to);
	add_entry(b, e, NULL, 0);
}

void add_device(struct build *b, const char *name)
{
	struct archive_entry *e = new_entry(name, S_IFCHR | 0666);

	archive_entry_set_rdevmajor(e, 1);
	archive_entry_set_rdevminor(e, 3);
	add_entry(b, e, NULL, 0);
}

static void digest_of(const void *p, size_t n, char out[80])
{
	unsigned char raw[32];
	int at = snprintf(out, 80, "sha256:");

	assert_true(EVP_Digest(p, n, raw, NULL, EVP_sha256(), NULL));
	for (int i = 0; i < 32; i++)
		at += snprintf(out + at, 80 - (size_t)at, "%02x", raw[i]);
}

static void put(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

void put_blob(struct build *b, const void *p, size_t n, char out[80])
{
	char path[256];

	digest_of(p, n, out);
	assert_true((size_t)snprintf(path, sizeof(path), "%s/blobs/sha256/%s", b->layout, out + 7) <
		    sizeof(path));
	put(path, p, n);
}

void put_file(struct build *b, const char *name, const char *text)
{
	char path[256];

	path_of(path, sizeof(path), b->layout, name);
	put(path, text, strlen(text));
}

static size_t compress(const void *p, size_t n, int filter, void *out, size_t room)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	archive_write_set_format_raw(a);
	if (filter == GZIP)
		archive_write_add_filter_gzip(a);
	else
		archive_write_add_filter_zstd(a);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open_memory(a, out, room, &used);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_write_header(a, e);
	assert_int_equal(archive_write_data(a, p, n), n);
	archive_entry_free(e);
	archive_write_free(a);
	return used;
}

void layer_bytes(struct build *b, const void *tar, size_t n, int filter)
{
	static const char *const media[] = {"", "+gzip", "+zstd"};
	size_t i = b->nlayers++;

	digest_of(tar, n, b->layers[i].diff_id);
	b->layers[i].media = media[filter];
	if (filter == PLAIN) {
		b->layers[i].size = n;
		put_blob(b, tar, n, b->layers[i].digest);
	} else {
		size_t room = n + (1u << 16);
		char *small = malloc(room);

		assert_non_null(small);
		b->layers[i].size = compress(tar, n, filter, small, room);
		put_blob(b, small, b->layers[i].size, b->layers[i].digest);
		free(small);
	}
}

void layer_end(struct build *b, int filter)
{
	archive_write_close(b->layer);
	archive_write_free(b->layer);
	layer_bytes(b, b->bytes, b->used, filter);
}

const char *host_arch(void)
{
	static struct utsname u;

	uname(&u);
	return !strcmp(u.machine, "x86_64")    ? "amd64"
	       : !strcmp(u.machine, "aarch64") ? "arm64"
					       : u.machine;
}

void put_manifest(struct build *b, char *descriptor, size_t len)
{
	static char text[16384];
	char config[80], manifest[80];
	int n = snprintf(text, sizeof(text),
			 "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{%s},"
			 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
			 b->arch ? b->arch : host_arch(), b->config ? b->config : "");
	int size;

	for (size_t i = 0; i < b->nlayers; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s\"%s\"", i ? "," : "",
			      b->layers[i].diff_id);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "]}}");
	put_blob(b, text, (size_t)n, config);
	size = n;
	n = snprintf(text, sizeof(text),
		     "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
		     "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
		     "\"size\":%d},\"layers\":[",
		     config, size);
	for (size_t i = 0; i < b->nlayers; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar%s\","
			      "\"digest\":\"%s\",\"size\":%zu}",
			      i ? "," : "", b->layers[i].media, b->layers[i].digest,
			      b->layers[i].size);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "]}");
	put_blob(b, text, (size_t)n, manifest);
	snprintf(descriptor, len,
		 "\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		 "\"digest\":\"%s\",\"size\":%d",
		 manifest, n);
}

void put_index(struct build *b, const char *descriptors)
{
	static char text[16384];

	snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[%s]}", descriptors);
	put_file(b, "index.json", text);
	put_file(b, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

int unpack(struct build *b, const char *image)
{
	b->options.image = image;
	b->options.bundle = b->bundle;
	b->err = (struct oci_error){0};
	return image_unpack(&b->options, &b->err);
}

int build_unpack(struct build *b)
{
	char one[512], index[600];

	put_manifest(b, one, sizeof(one));
	snprintf(index, sizeof(index), "{%s}", one);
	put_index(b, index);
	return unpack(b, b->layout);
}

static char *read_all(const char *path)
{
	char *s = calloc(1, 65536);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s, 65535);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return s;
}

char *slurp(const struct build *b, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/rootfs/%s", b->bundle, name);
	return read_all(path);
}

char *config_text(const struct build *b)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/config.json", b->bundle);
	return read_all(path);
}

bool exists(const struct build *b, const char *name)
{
	char path[5000];
	struct stat st;

	snprintf(path, sizeof(path), "%s/rootfs/%s", b->bundle, name);
	return !lstat(path, &st);
}

bool nothing_left(const struct build *b)
{
	DIR *d = opendir(b->outside);
	struct dirent *e;
	struct stat st;
	bool clean = lstat(b->bundle, &st) && errno == ENOENT;

	while ((e = readdir(d)))
		clean = clean && e->d_name[0] == '.';
	closedir(d);
	return clean;
}
