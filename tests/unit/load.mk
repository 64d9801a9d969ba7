check_PROGRAMS += tests/unit/test_loader tests/unit/test_syscall_table
tests_unit_test_loader_SOURCES = tests/unit/test_loader.c
tests_unit_test_loader_LDADD = libnacre.a $(UNIT_LIBS)
tests_unit_test_syscall_table_SOURCES = tests/unit/test_syscall_table.c
tests_unit_test_syscall_table_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_loader tests/unit/test_syscall_table
