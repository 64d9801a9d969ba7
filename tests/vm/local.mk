# SPDX-License-Identifier: Apache-2.0
# Emulated machines. An instrumented nacre would take too long in them.
VM_TESTS = tests/vm/arm64.tap tests/vm/x86_64.tap
EXTRA_DIST += tests/vm/arm64.tap tests/vm/x86_64.tap tests/vm/run tests/vm/prepare \
	tests/vm/inside tests/vm/lib.sh tests/vm/quick.list tests/vm/all.list
if PLAIN_BUILD
SLOW_TESTS += $(VM_TESTS)
endif

.PHONY: check-vm
check-vm: all
	builddir='$(abs_top_builddir)' $(srcdir)/tests/vm/run -a arm64 -a x86_64 all
