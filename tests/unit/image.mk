# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/test_image tests/unit/test_image_hostile
tests_unit_test_image_SOURCES = tests/unit/test_image.c tests/unit/image_build.c \
	tests/unit/image_build.h
tests_unit_test_image_LDADD = $(IMAGE_LIBS) $(UNIT_LIBS)
tests_unit_test_image_hostile_SOURCES = tests/unit/test_image_hostile.c \
	tests/unit/image_build.c tests/unit/image_build.h
tests_unit_test_image_hostile_LDADD = $(IMAGE_LIBS) $(UNIT_LIBS)
TESTS += tests/unit/test_image tests/unit/test_image_hostile

# A layer of any bytes; a libFuzzer build links the same file without FUZZ_MAIN.
EXTRA_PROGRAMS += tests/fuzz/fuzz_image
tests_fuzz_fuzz_image_SOURCES = tests/fuzz/fuzz_image.c
tests_fuzz_fuzz_image_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_MAIN
tests_fuzz_fuzz_image_LDADD = $(IMAGE_LIBS) $(NACRE_LIBS)
