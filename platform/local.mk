# The hypervisor platform: vCPU pool, traps, flushes.
libnacre_a_SOURCES += platform/platform.h platform/internal.h platform/platform.c platform/pool.c
if ARCH_X86_64
libnacre_a_SOURCES += platform/flush_x86_64.c platform/shim_x86_64.c platform/cpu_x86_64.c \
	platform/fpu_x86_64.c platform/counter_x86_64.c platform/gate_x86_64.c
endif
if ARCH_ARM64
libnacre_a_SOURCES += platform/flush_arm64.c platform/shim_arm64.c platform/cpu_arm64.c \
	platform/fpu_arm64.c platform/counter_arm64.c
endif

# Debug builds check the lock order at run time: a library of its own, since the unit tests that
# bring their own objects are linked with the same flags.
if DEBUG
noinst_LIBRARIES += liblockdep.a
liblockdep_a_SOURCES = platform/lockdep.c
NACRE_LIBS += liblockdep.a
AM_LDFLAGS += -Wl,--wrap=pthread_mutex_init,--wrap=pthread_mutex_destroy \
	-Wl,--wrap=pthread_mutex_lock,--wrap=pthread_mutex_trylock,--wrap=pthread_mutex_unlock
endif
