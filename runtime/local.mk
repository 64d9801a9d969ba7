libnacre_a_SOURCES += \
	runtime/errno.h \
	runtime/host/host.h \
	runtime/host/linux.c \
	runtime/kernel.c \
	runtime/kernel.h \
	runtime/list.h \
	runtime/process_spec.c \
	runtime/process_spec.h \
	runtime/processes.c
