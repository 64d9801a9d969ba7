# SPDX-License-Identifier: Apache-2.0
# mm/ is built again for its tests, over a model of vCPUs (fake_platform) in place of the real ones.
# The model is of x86-64: each vCPU flushes for itself, the hardware keeps an accessed bit.
if ARCH_X86_64
MM_TEST_SOURCES = tests/unit/fake_platform.c tests/unit/fake_platform.h $(MM_SOURCES)

check_PROGRAMS += tests/unit/test_mm tests/unit/mm_model
tests_unit_test_mm_SOURCES = tests/unit/test_mm.c tests/unit/test_mm.h tests/unit/test_mm_units.c \
	tests/unit/test_mm_calls.c tests/unit/test_mm_files.c $(MM_TEST_SOURCES)
tests_unit_test_mm_CPPFLAGS = $(AM_CPPFLAGS)
tests_unit_test_mm_LDADD = $(UNIT_LIBS)
tests_unit_mm_model_SOURCES = tests/unit/mm_model.c tests/unit/mm_model.h tests/unit/mm_model_ops.c \
	$(MM_TEST_SOURCES)
# MM_MUTATION: each place that records or waits for a flush can be left out (mm/edit.h).
tests_unit_mm_model_CPPFLAGS = $(AM_CPPFLAGS) -DMM_MUTATION
tests_unit_mm_model_LDADD = $(UNIT_LIBS)
TESTS += tests/unit/test_mm tests/unit/mm_model
endif
