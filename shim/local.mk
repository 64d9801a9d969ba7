# Guest-privileged code: assembled into the program, copied into the guest.
libnacre_a_SOURCES += shim/wire.h shim/wire_x86_64.h shim/wire_arm64.h
if ARCH_X86_64
libnacre_a_SOURCES += shim/x86_64/shim.S
endif
if ARCH_ARM64
libnacre_a_SOURCES += shim/arm64/shim.S
endif
