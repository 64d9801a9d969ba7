libnacre_a_SOURCES += runtime/arch/x86_64/arch_regs.h
libnacre_a_SOURCES += runtime/arch/x86_64/sigframe.c runtime/arch/x86_64/sigframe.h
libnacre_a_SOURCES += runtime/arch/x86_64/exception.c runtime/arch/x86_64/abi.c
