libnacre_a_SOURCES += runtime/arch/arm64/arch_regs.h runtime/arch/arm64/abi.c
libnacre_a_SOURCES += runtime/arch/arm64/sigframe.c runtime/arch/arm64/sigframe.h
libnacre_a_SOURCES += runtime/arch/arm64/exception.c
