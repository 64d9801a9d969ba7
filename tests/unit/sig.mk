# SPDX-License-Identifier: Apache-2.0
# These link the code under test alone, with stubs for guest memory and vCPUs.
check_PROGRAMS += tests/unit/test_wait tests/unit/test_futex tests/unit/test_timer
SIG_TEST_SOURCES = tests/unit/sig_stubs.c tests/unit/sig_stubs.h runtime/task/wait.c \
	runtime/task/signal.c runtime/task/sigqueue.c runtime/task/sighand.c \
	runtime/task/signal_deliver.c runtime/task/signal_stop.c runtime/task/futex.c \
	runtime/task/futex_pi.c runtime/task/futex_robust.c runtime/task/guest_clock.c \
	runtime/task/timer_queue.c runtime/task/itimer.c runtime/task/posix_timer.c \
	runtime/task/sleep.c runtime/task/altstack.c runtime/host/linux.c
if ARCH_X86_64
SIG_TEST_SOURCES += runtime/arch/x86_64/sigframe.c
endif
if ARCH_ARM64
SIG_TEST_SOURCES += runtime/arch/arm64/sigframe.c
endif
tests_unit_test_wait_SOURCES = tests/unit/test_wait.c $(SIG_TEST_SOURCES)
tests_unit_test_wait_LDADD = $(UNIT_LIBS)
# Frames are looked at register by register: x86-64's.
if ARCH_X86_64
check_PROGRAMS += tests/unit/test_signal
TESTS += tests/unit/test_signal
tests_unit_test_signal_SOURCES = tests/unit/test_signal.c $(SIG_TEST_SOURCES)
tests_unit_test_signal_LDADD = $(UNIT_LIBS)
endif
tests_unit_test_futex_SOURCES = tests/unit/test_futex.c $(SIG_TEST_SOURCES)
tests_unit_test_futex_LDADD = $(UNIT_LIBS)
tests_unit_test_timer_SOURCES = tests/unit/test_timer.c $(SIG_TEST_SOURCES)
tests_unit_test_timer_LDADD = $(UNIT_LIBS)
TESTS += tests/unit/test_timer tests/unit/test_wait tests/unit/test_futex
