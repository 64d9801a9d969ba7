# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/test_vfs
tests_unit_test_vfs_SOURCES = tests/unit/test_vfs.c
tests_unit_test_vfs_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_vfs
