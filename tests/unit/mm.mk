# SPDX-License-Identifier: Apache-2.0
# mm/ and the flush protocol are built again for their tests, over a model of vCPUs (fake_platform.h), once
# under the rules of each architecture, whichever this one is.
MM_TEST_SOURCES = tests/unit/fake_platform.c tests/unit/fake_platform.h $(MM_SOURCES)
MM_TEST_X86_64 = tests/unit/fake_x86_64.c platform/flush_x86_64.c $(MM_TEST_SOURCES)
MM_TEST_ARM64 = tests/unit/fake_arm64.c platform/flush_arm64.c $(MM_TEST_SOURCES)
# The waits of the x86-64 protocol end in the model.
MM_TEST_WRAP = -Wl,--wrap=syscall
TEST_MM_SOURCES = tests/unit/test_mm.c tests/unit/test_mm.h tests/unit/test_mm_units.c \
	tests/unit/test_mm_calls.c tests/unit/test_mm_files.c \
	tests/unit/test_flush_counts.c
MM_MODEL_SOURCES = tests/unit/mm_model.c tests/unit/mm_model.h tests/unit/mm_model_ops.c

check_PROGRAMS += tests/unit/test_mm tests/unit/test_mm_arm64 tests/unit/mm_model \
	tests/unit/mm_model_arm64 tests/unit/test_scope
tests_unit_test_mm_SOURCES = $(TEST_MM_SOURCES) tests/unit/test_mm_x86_64.c $(MM_TEST_X86_64)
tests_unit_test_mm_CPPFLAGS = $(AM_CPPFLAGS) -DNACRE_GUEST_X86_64
tests_unit_test_mm_LDFLAGS = $(MM_TEST_WRAP)
tests_unit_test_mm_LDADD = $(UNIT_LIBS)
tests_unit_test_mm_arm64_SOURCES = $(TEST_MM_SOURCES) tests/unit/test_mm_arm64.c $(MM_TEST_ARM64)
tests_unit_test_mm_arm64_CPPFLAGS = $(AM_CPPFLAGS) -DNACRE_GUEST_ARM64
tests_unit_test_mm_arm64_LDADD = $(UNIT_LIBS)
# MM_MUTATION: each place that records or waits for a flush can be left out (mm/sites.h).
tests_unit_mm_model_SOURCES = $(MM_MODEL_SOURCES) $(MM_TEST_X86_64)
tests_unit_mm_model_CPPFLAGS = $(AM_CPPFLAGS) -DNACRE_GUEST_X86_64 -DMM_MUTATION
tests_unit_mm_model_LDFLAGS = $(MM_TEST_WRAP)
tests_unit_mm_model_LDADD = $(UNIT_LIBS)
tests_unit_mm_model_arm64_SOURCES = $(MM_MODEL_SOURCES) $(MM_TEST_ARM64)
tests_unit_mm_model_arm64_CPPFLAGS = $(AM_CPPFLAGS) -DNACRE_GUEST_ARM64 -DMM_MUTATION
tests_unit_mm_model_arm64_LDADD = $(UNIT_LIBS)
tests_unit_test_scope_SOURCES = tests/unit/test_scope.c mm/scope.h
tests_unit_test_scope_LDADD = $(UNIT_LIBS)
TESTS += tests/unit/test_mm tests/unit/test_mm_arm64 tests/unit/mm_model tests/unit/mm_model_arm64 \
	tests/unit/test_scope

# --tlb=paranoid on the real hypervisor, with a flush left out.
if ARCH_X86_64
check_PROGRAMS += tests/unit/test_paranoid
tests_unit_test_paranoid_SOURCES = tests/unit/test_paranoid.c platform/flush_x86_64.c $(MM_SOURCES)
tests_unit_test_paranoid_CPPFLAGS = $(AM_CPPFLAGS) -DMM_MUTATION
tests_unit_test_paranoid_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_paranoid
endif
