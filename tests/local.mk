# SPDX-License-Identifier: Apache-2.0
AM_TESTS_ENVIRONMENT = srcdir='$(abs_top_srcdir)' builddir='$(abs_top_builddir)' \
	NACRE='$(abs_top_builddir)/nacre' NACRE_BACKEND_DIR='$(abs_top_builddir)/backends/.libs'; \
	export srcdir builddir NACRE NACRE_BACKEND_DIR;
TEST_EXTENSIONS = .tap
# A test that hangs is a failed one.
LOG_COMPILER = timeout
AM_LOG_FLAGS = 180
TAP_LOG_COMPILER = timeout
AM_TAP_LOG_FLAGS = 1200
TAP_LOG_DRIVER = AWK='$(AWK)' $(SHELL) $(top_srcdir)/tap-driver.sh
AM_TAP_LOG_DRIVER_FLAGS = --ignore-exit

# Tests that boot containers; `make check-quick` leaves them out.
SLOW_TESTS = tests/guest/guest.tap tests/e2e/e2e.tap tests/e2e/crash.tap tests/e2e/memory.tap \
	tests/e2e/containerd.tap \
	tests/e2e/podman.tap tests/e2e/buildah.tap tests/e2e/image.tap tests/e2e/pull.tap tests/e2e/nokvm.tap tests/e2e/schema.tap tests/e2e/config.tap tests/e2e/walls.tap tests/e2e/cli.tap \
	tests/e2e/exec.tap tests/e2e/enginecrash.tap tests/e2e/systemd.tap \
	tests/e2e/rootless.tap tests/e2e/rootless-podman.tap tests/e2e/rootless-buildah.tap \
	tests/guest/hostile/hostile.tap tests/e2e/flush.tap
TESTS += $(SLOW_TESTS)
EXTRA_DIST += $(SLOW_TESTS) tests/guest/run tests/guest/guest.h tests/guest/guest.c \
	tests/guest/cred.c tests/guest/file.c tests/guest/futex.c \
	tests/guest/hostile/calls.c tests/guest/hostile/files.c \
	tests/guest/hostile/limits.c tests/guest/hostile/maps.c tests/guest/hostile/run \
	tests/guest/hostile/signals.c \
	tests/guest/arch/x86_64/guest_arch.h tests/guest/arch/x86_64/fpu.c \
	tests/guest/arch/x86_64/hostile_cpu.c tests/guest/arch/x86_64/hostile_signals.h \
	tests/guest/arch/arm64/guest_arch.h tests/guest/arch/arm64/fpu.c \
	tests/guest/arch/arm64/hostile_cpu.c tests/guest/arch/arm64/hostile_signals.h \
	tests/guest/hostile.c tests/guest/lock.c tests/guest/mem.c tests/guest/pipe.c \
	tests/guest/poll.c tests/guest/proc.c tests/guest/procfs.c tests/guest/signal.c \
	tests/guest/code.h tests/guest/smp.c tests/guest/tlb.c \
	tests/guest/seccomp.c tests/guest/sock.c tests/guest/timer.c tests/guest/tty.c \
	tests/e2e/flush.c tests/e2e/run tests/e2e/debian.sh tests/e2e/python.py tests/e2e/static.c \
	tests/e2e/exceptions.cc tests/e2e/inject.c tests/e2e/engines.sh tests/e2e/rootless.sh tests/e2e/systemd_mock.py tests/e2e/registry.py

EXTRA_DIST += tests/bench/run tests/bench/unpack tests/bench/micro.c tests/bench/spawn.c \
	tests/bench/tlb tests/bench/tlb.c tests/bench/migration
.PHONY: bench
bench: all
	NACRE='$(abs_top_builddir)/nacre' NACRE_BACKEND_DIR='$(abs_top_builddir)/backends/.libs' \
		$(srcdir)/tests/bench/run

clean-local:
	rm -rf guest
