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

check_PROGRAMS += tests/unit/test_pull
tests_unit_test_pull_SOURCES = tests/unit/test_pull.c
tests_unit_test_pull_LDADD = $(IMAGE_LIBS) $(CURL_LIBS) $(UNIT_LIBS)
TESTS += tests/unit/test_pull

# The parsers of pulling: a short run in every check, a long one by `make fuzz`.
check_PROGRAMS += tests/fuzz/fuzz_pull
tests_fuzz_fuzz_pull_SOURCES = tests/fuzz/fuzz_pull.c
tests_fuzz_fuzz_pull_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_MAIN
tests_fuzz_fuzz_pull_LDADD = $(IMAGE_LIBS) $(CURL_LIBS) $(NACRE_LIBS)
TESTS += tests/fuzz/fuzz_pull
FUZZ_RUNS = 2000000
.PHONY: fuzz
fuzz: tests/fuzz/fuzz_pull$(EXEEXT)
	@seed=$$$$; echo "FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_SEED=$$seed tests/fuzz/fuzz_pull"; \
		FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_SEED=$$seed tests/fuzz/fuzz_pull
