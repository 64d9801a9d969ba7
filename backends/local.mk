# The plugin loader, and one loadable module a hypervisor.
libnacre_a_SOURCES += backends/loader.c backends/loader.h backends/nacre-backend.h

include_HEADERS += backends/nacre-backend.h

backendsdir = $(pkglibdir)/backends
backends_LTLIBRARIES = backends/kvm.la
backends_kvm_la_SOURCES = backends/kvm/kvm.h backends/kvm/vm.c backends/kvm/vcpu.c
if ARCH_X86_64
backends_kvm_la_SOURCES += backends/kvm/vcpu_x86_64.c backends/kvm/cpuid_x86_64.c \
	backends/kvm/probe_x86_64.c
endif
if ARCH_ARM64
backends_kvm_la_SOURCES += backends/kvm/vcpu_arm64.c
endif
backends_kvm_la_LDFLAGS = -module -avoid-version -shared -export-symbols-regex '^nacre_backend$$'
AM_CPPFLAGS += -DNACRE_BACKENDS_DIR='"$(backendsdir)"'
