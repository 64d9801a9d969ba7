# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/test_oci
tests_unit_test_oci_SOURCES = tests/unit/test_oci.c
tests_unit_test_oci_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_oci

check_PROGRAMS += tests/unit/test_walls
tests_unit_test_walls_SOURCES = tests/unit/test_walls.c
tests_unit_test_walls_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_walls

# The config parser against the bundles named on its command line; a libFuzzer build links the same
# file without FUZZ_MAIN.
EXTRA_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_MAIN
tests_fuzz_fuzz_config_LDADD = libnacre.a $(NACRE_LIBS)

check_PROGRAMS += tests/unit/test_systemd
tests_unit_test_systemd_SOURCES = tests/unit/test_systemd.c
tests_unit_test_systemd_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_systemd

check_PROGRAMS += tests/unit/test_userns
tests_unit_test_userns_SOURCES = tests/unit/test_userns.c
tests_unit_test_userns_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_userns
