check_PROGRAMS += tests/unit/test_task
tests_unit_test_task_SOURCES = tests/unit/test_task.c
tests_unit_test_task_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_task

check_PROGRAMS += tests/unit/test_seccomp
tests_unit_test_seccomp_SOURCES = tests/unit/test_seccomp.c
tests_unit_test_seccomp_LDADD = libnacre.a $(UNIT_LIBS)
TESTS += tests/unit/test_seccomp
