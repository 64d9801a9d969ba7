libnacre_a_SOURCES += \
	runtime/task/clone.c \
	runtime/task/clone.h \
	runtime/task/cred.c \
	runtime/task/cred.h \
	runtime/task/cred_calls.c \
	runtime/task/exec.c \
	runtime/task/exec.h \
	runtime/task/exit.c \
	runtime/task/ident.c \
	runtime/task/ident.h \
	runtime/task/idmap.c \
	runtime/task/idmap.h \
	runtime/task/loop.c \
	runtime/task/loop.h \
	runtime/task/pgrp.c \
	runtime/task/pgrp.h \
	runtime/task/pid.c \
	runtime/task/pid.h \
	runtime/task/pidfd.c \
	runtime/task/pidfd.h \
	runtime/task/prctl.c \
	runtime/task/rlimit.c \
	runtime/task/priority.c \
	runtime/task/seccomp.c \
	runtime/task/seccomp.h \
	runtime/task/seccomp_bpf.c \
	runtime/task/sched.c \
	runtime/task/sched.h \
	runtime/task/task.c \
	runtime/task/task.h \
	runtime/task/usage.c \
	runtime/task/usage.h \
	runtime/task/waitpid.c
if ARCH_X86_64
libnacre_a_SOURCES += runtime/task/arch_prctl_x86_64.c
endif
