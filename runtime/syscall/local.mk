libnacre_a_SOURCES += \
	runtime/stats.c \
	runtime/syscall/clock_calls.c \
	runtime/syscall/dispatch.c \
	runtime/syscall/ipc.c \
	runtime/syscall/ipc.h \
	runtime/syscall/mm_calls.c \
	runtime/syscall/msg.c \
	runtime/syscall/random.c \
	runtime/syscall/sem.c \
	runtime/syscall/shm.c \
	runtime/syscall/strace.c \
	runtime/syscall/strace.h \
	runtime/syscall/strace_flags.c \
	runtime/syscall/syscall.h \
	runtime/syscall/table.c \
	runtime/syscall/vm_access.c
if ARCH_X86_64
libnacre_a_SOURCES += runtime/syscall/names_x86_64.c
endif
if ARCH_ARM64
libnacre_a_SOURCES += runtime/syscall/names_arm64.c
endif
EXTRA_DIST += \
	runtime/fs/obj_syscalls.def \
	runtime/fs/syscalls.def \
	runtime/net/syscalls.def \
	runtime/syscall/all.def \
	runtime/syscall/syscalls.def \
	runtime/task/sig_syscalls.def \
	runtime/task/syscalls.def
