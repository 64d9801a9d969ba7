# SPDX-License-Identifier: Apache-2.0
# The plugin loader against plugins that are wrong in one way each.
check_LTLIBRARIES += tests/unit/plugins/good.la tests/unit/plugins/newer.la \
	tests/unit/plugins/short.la tests/unit/plugins/unfit.la tests/unit/plugins/partial.la \
	tests/unit/plugins/foreign.la
PLUGIN_LDFLAGS = -module -avoid-version -shared -rpath /nonexistent
tests_unit_plugins_good_la_SOURCES = tests/unit/plugins/good.c tests/unit/plugins/plugin.h
tests_unit_plugins_good_la_LDFLAGS = $(PLUGIN_LDFLAGS)
tests_unit_plugins_newer_la_SOURCES = tests/unit/plugins/newer.c
tests_unit_plugins_newer_la_LDFLAGS = $(PLUGIN_LDFLAGS)
tests_unit_plugins_short_la_SOURCES = tests/unit/plugins/short.c
tests_unit_plugins_short_la_LDFLAGS = $(PLUGIN_LDFLAGS)
tests_unit_plugins_unfit_la_SOURCES = tests/unit/plugins/unfit.c
tests_unit_plugins_unfit_la_LDFLAGS = $(PLUGIN_LDFLAGS)
tests_unit_plugins_partial_la_SOURCES = tests/unit/plugins/partial.c
tests_unit_plugins_partial_la_LDFLAGS = $(PLUGIN_LDFLAGS)
tests_unit_plugins_foreign_la_SOURCES = tests/unit/plugins/foreign.c
tests_unit_plugins_foreign_la_LDFLAGS = $(PLUGIN_LDFLAGS)

check_PROGRAMS += tests/unit/test_backend
tests_unit_test_backend_SOURCES = tests/unit/test_backend.c
tests_unit_test_backend_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_backend

# The platform on the real hypervisor.
if ARCH_X86_64
check_PROGRAMS += tests/unit/test_cpu
tests_unit_test_cpu_SOURCES = tests/unit/test_cpu.c
tests_unit_test_cpu_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_cpu
endif

# What the host tells the arm64 shim, bit by bit; pure, so on any host.
check_PROGRAMS += tests/unit/test_wire_arm64
tests_unit_test_wire_arm64_SOURCES = tests/unit/test_wire_arm64.c
tests_unit_test_wire_arm64_LDADD = $(UNIT_LIBS)
TESTS += tests/unit/test_wire_arm64

# The lock-order checker itself, whether or not this build uses it.
check_PROGRAMS += tests/unit/test_lockdep
tests_unit_test_lockdep_SOURCES = tests/unit/test_lockdep.c platform/lockdep.c
tests_unit_test_lockdep_LDFLAGS = -Wl,--wrap=pthread_mutex_init,--wrap=pthread_mutex_destroy \
	-Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_trylock,--wrap=pthread_mutex_unlock
tests_unit_test_lockdep_LDADD = $(UNIT_LIBS)
TESTS += tests/unit/test_lockdep
