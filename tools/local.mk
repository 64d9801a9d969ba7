# SPDX-License-Identifier: Apache-2.0
dist_check_SCRIPTS += tools/check-layers tools/check-banned tools/check-listed tools/check-shim-page
EXTRA_DIST += bootstrap tools/check-dist tools/check-sources tools/guest-run .ci/run
TESTS += tools/check-layers tools/check-banned tools/check-listed tools/check-shim-page

# What the formatter and the analysers look at.
format_files = `$(SHELL) $(top_srcdir)/tools/check-sources $(top_srcdir)`
tidy_files = `$(SHELL) $(top_srcdir)/tools/check-sources $(top_srcdir) c`

need = test -n "`command -v $(1)`" || { echo "$(1) not found: install the Debian package $(2)" >&2; exit 1; }

.PHONY: format format-check tidy cppcheck check-quick
format:
	@$(call need,$(CLANG_FORMAT),clang-format-14)
	$(CLANG_FORMAT) -i $(format_files)
format-check:
	@$(call need,$(CLANG_FORMAT),clang-format-14)
	$(CLANG_FORMAT) --dry-run -Werror $(format_files)
tidy:
	@$(call need,$(CLANG_TIDY),clang-tidy-14)
	$(CLANG_TIDY) --quiet --warnings-as-errors='*' $(tidy_files) -- \
		-std=gnu17 $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(YAJL_CFLAGS) $(CMOCKA_CFLAGS)
cppcheck:
	@$(call need,$(CPPCHECK),cppcheck)
	$(CPPCHECK) --quiet --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 \
		-D_GNU_SOURCE -D__x86_64__ -D__linux__ -I$(top_srcdir) \
		-I$(top_srcdir)/runtime/arch/$(NACRE_ARCH) $(tidy_files)

# Unit tests and source checks only: nothing that needs a hypervisor or more than seconds.
check-quick: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) check TESTS="$(filter-out $(SLOW_TESTS),$(TESTS))"
