libnacre_a_SOURCES += \
	runtime/loader/elf.c \
	runtime/loader/elf.h \
	runtime/loader/loader.c \
	runtime/loader/loader.h \
	runtime/loader/script.c \
	runtime/loader/script.h \
	runtime/loader/stack.c \
	runtime/loader/stack.h \
	runtime/loader/vdso.c \
	runtime/loader/vdso_data.h \
	runtime/loader/vdso_image.S
if ARCH_X86_64
libnacre_a_SOURCES += runtime/loader/hwcap_x86_64.c
vdso_arch_options = -mcmodel=small -fcf-protection=none
endif
if ARCH_ARM64
libnacre_a_SOURCES += runtime/loader/hwcap_arm64.c
vdso_arch_options = -mno-outline-atomics -mbranch-protection=none
endif

# The guest's vDSO: a shared object of its own, carried inside nacre as bytes.
vdso_compile_options = -std=gnu17 -O2 -fPIC -ffreestanding -fno-stack-protector -fno-builtin \
	-fno-asynchronous-unwind-tables -fvisibility=hidden -U_FORTIFY_SOURCE \
	$(vdso_arch_options) -Wall -Wextra
vdso_link_options = -shared -nostdlib -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both -Wl,-Bsymbolic \
	-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro -Wl,-z,max-page-size=4096
vdso_dir = $(srcdir)/runtime/loader/vdso/$(NACRE_ARCH)

runtime/loader/vdso.so: $(vdso_dir)/vdso.c $(vdso_dir)/vdso.lds runtime/loader/vdso_data.h runtime/loader/vdso/clock.h
	$(AM_V_GEN)$(MKDIR_P) runtime/loader && $(CC) -I$(srcdir) $(vdso_compile_options) $(vdso_link_options) \
		-Wl,-T,$(vdso_dir)/vdso.lds -o $@ $(vdso_dir)/vdso.c
runtime/loader/vdso_image.$(OBJEXT): runtime/loader/vdso.so

BUILT_SOURCES += runtime/loader/vdso.so
CLEANFILES += runtime/loader/vdso.so
EXTRA_DIST += runtime/loader/vdso/clock.h \
	runtime/loader/vdso/x86_64/vdso.c runtime/loader/vdso/x86_64/vdso.lds \
	runtime/loader/vdso/arm64/vdso.c runtime/loader/vdso/arm64/vdso.lds
