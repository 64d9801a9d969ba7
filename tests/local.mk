# SPDX-License-Identifier: Apache-2.0
AM_TESTS_ENVIRONMENT = srcdir='$(abs_top_srcdir)' builddir='$(abs_top_builddir)' \
	NACRE='$(abs_top_builddir)/nacre' NACRE_BACKEND_DIR='$(abs_top_builddir)/backends/.libs'; \
	export srcdir builddir NACRE NACRE_BACKEND_DIR;
TEST_EXTENSIONS = .tap
TAP_LOG_DRIVER = AWK='$(AWK)' $(SHELL) $(top_srcdir)/tap-driver.sh

# Tests that boot containers; `make check-quick` leaves them out.
SLOW_TESTS =
