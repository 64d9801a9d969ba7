# SPDX-License-Identifier: Apache-2.0
# The helper that unpacks images: its libraries take longer to load than a container to start.
noinst_LIBRARIES += libimage.a
libimage_a_CFLAGS = $(AM_CFLAGS) $(ARCHIVE_CFLAGS) $(CRYPTO_CFLAGS)
libimage_a_SOURCES = \
	oci/image/archive_index.c \
	oci/image/bundle_config.c \
	oci/image/bundle_config.h \
	oci/image/choose.c \
	oci/image/digest.c \
	oci/image/digest.h \
	oci/image/image.h \
	oci/image/layer.c \
	oci/image/layer.h \
	oci/image/layer_node.c \
	oci/image/manifest.c \
	oci/image/manifest.h \
	oci/image/platform.c \
	oci/image/platform.h \
	oci/image/source.c \
	oci/image/source.h \
	oci/image/stream.c \
	oci/image/stream.h \
	oci/image/target.c \
	oci/image/target.h \
	oci/image/unpack.c \
	oci/image/users.c \
	oci/image/users.h
IMAGE_LIBS = libimage.a libnacre.a $(ARCHIVE_LIBS) $(CRYPTO_LIBS)

pkglibexec_PROGRAMS = nacre-image
nacre_image_SOURCES = oci/image/main.c
nacre_image_LDADD = $(IMAGE_LIBS) $(NACRE_LIBS)

libnacre_a_SOURCES += oci/cmd_unpack.c oci/image_helper.c oci/image_helper.h oci/tree.c oci/tree.h
AM_CPPFLAGS += -DNACRE_LIBEXEC_DIR='"$(pkglibexecdir)"'
