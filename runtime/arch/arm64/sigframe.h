/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 signal frame as the guest sees it (Linux's UAPI asm/sigcontext.h and asm/ucontext.h;
 * struct rt_sigframe). Above it on the stack lies a frame record for unwinders.
 */
#ifndef NACRE_ARCH_ARM64_SIGFRAME_H
#define NACRE_ARCH_ARM64_SIGFRAME_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/task/altstack.h"

/* Where the vDSO's link script puts __kernel_rt_sigreturn. */
#define ARM64_VDSO_SIGRETURN 0x800

#define ARM64_FPSIMD_MAGIC 0x46508001u
#define ARM64_ESR_MAGIC 0x45535201u
#define ARM64_EXTRA_MAGIC 0x45585401u
#define ARM64_CONTEXT_RESERVED 4096u

struct arm64_record { /* struct _aarch64_ctx */
	uint32_t magic, size;
};

struct arm64_fpsimd { /* the vector state blob of platform.h as well */
	struct arm64_record head;
	uint32_t fpsr, fpcr;
	uint8_t v[32][16];
};
_Static_assert(sizeof(struct arm64_fpsimd) == 528, "struct fpsimd_context");

struct arm64_esr {
	struct arm64_record head;
	uint64_t esr;
};

struct arm64_sigcontext {
	uint64_t fault_address;
	uint64_t x[31], sp, pc, pstate;
	uint8_t reserved[ARM64_CONTEXT_RESERVED] __attribute__((aligned(16)));
};
_Static_assert(offsetof(struct arm64_sigcontext, reserved) == 288, "struct sigcontext");

struct arm64_ucontext {
	uint64_t flags, link;
	struct guest_sigaltstack stack;
	uint64_t sigmask;
	uint8_t unused[120]; /* room for 1024 signals */
	struct arm64_sigcontext mcontext;
};
_Static_assert(offsetof(struct arm64_ucontext, mcontext) == 176, "struct ucontext");

struct arm64_rt_sigframe {
	uint8_t info[128];
	struct arm64_ucontext uc;
};
_Static_assert(sizeof(struct arm64_rt_sigframe) == 4688, "struct rt_sigframe");

struct arm64_frame_record {
	uint64_t fp, lr;
};

#endif
