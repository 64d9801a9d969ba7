# The hypervisor platform: vCPU pool, traps, flushes.
libnacre_a_SOURCES += platform/platform.h platform/internal.h platform/platform.c platform/pool.c \
	platform/flush.c platform/shim_x86_64.c platform/cpu_x86_64.c platform/fpu_x86_64.c \
	platform/counter_x86_64.c
