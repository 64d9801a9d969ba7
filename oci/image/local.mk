# SPDX-License-Identifier: Apache-2.0
# The helpers that pull and unpack images: their libraries take longer to load than a container to
# start.
noinst_LIBRARIES += libimage.a
libimage_a_CFLAGS = $(AM_CFLAGS) $(ARCHIVE_CFLAGS) $(CRYPTO_CFLAGS) $(CURL_CFLAGS)
libimage_a_SOURCES = \
	oci/image/archive_index.c \
	oci/image/bundle_config.c \
	oci/image/bundle_config.h \
	oci/image/challenge.c \
	oci/image/challenge.h \
	oci/image/choose.c \
	oci/image/credentials.c \
	oci/image/credentials.h \
	oci/image/digest.c \
	oci/image/digest.h \
	oci/image/helper.c \
	oci/image/helper.h \
	oci/image/http.c \
	oci/image/http.h \
	oci/image/http_tls.c \
	oci/image/image.h \
	oci/image/interrupt.c \
	oci/image/layer.c \
	oci/image/layer.h \
	oci/image/layer_node.c \
	oci/image/manifest.c \
	oci/image/manifest.h \
	oci/image/platform.c \
	oci/image/platform.h \
	oci/image/pull.c \
	oci/image/pull.h \
	oci/image/pull_blob.c \
	oci/image/pull_internal.h \
	oci/image/pull_walls.c \
	oci/image/reference.c \
	oci/image/reference.h \
	oci/image/registries.c \
	oci/image/registries.h \
	oci/image/registry.c \
	oci/image/registry.h \
	oci/image/source.c \
	oci/image/source.h \
	oci/image/store.c \
	oci/image/store.h \
	oci/image/store_collect.c \
	oci/image/store_index.c \
	oci/image/store_internal.h \
	oci/image/stream.c \
	oci/image/stream.h \
	oci/image/target.c \
	oci/image/target.h \
	oci/image/unpack.c \
	oci/image/users.c \
	oci/image/users.h
IMAGE_LIBS = libimage.a libnacre.a $(ARCHIVE_LIBS) $(CRYPTO_LIBS)

pkglibexec_PROGRAMS = nacre-image nacre-pull
nacre_image_SOURCES = oci/image/main.c
nacre_image_LDADD = $(IMAGE_LIBS) $(NACRE_LIBS)
# Alone to need libcurl.
nacre_pull_SOURCES = oci/image/pull_main.c
nacre_pull_LDADD = $(IMAGE_LIBS) $(CURL_LIBS) $(NACRE_LIBS)

libnacre_a_SOURCES += oci/cmd_images.c oci/cmd_pull.c oci/cmd_unpack.c oci/image_bundles.c \
	oci/image_bundles.h oci/image_helper.c oci/image_helper.h oci/tree.c oci/tree.h
AM_CPPFLAGS += -DNACRE_LIBEXEC_DIR='"$(pkglibexecdir)"' -DNACRE_SYSCONF_DIR='"$(sysconfdir)"'
