# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/test_obj
tests_unit_test_obj_SOURCES = tests/unit/test_obj.c
tests_unit_test_obj_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_obj
