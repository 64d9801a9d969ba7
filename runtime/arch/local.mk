# The register file, and what differs between guest architectures above it.
libnacre_a_SOURCES += runtime/arch/arch.h runtime/arch/regs.h
if ARCH_X86_64
include runtime/arch/x86_64/local.mk
endif
if ARCH_ARM64
include runtime/arch/arm64/local.mk
endif
