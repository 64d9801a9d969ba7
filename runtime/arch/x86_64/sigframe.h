/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86-64 signal frame as the guest sees it (Linux's UAPI asm/sigcontext.h and asm/ucontext.h;
 * struct rt_sigframe). Above it on the stack, 64-byte aligned, lies the XSAVE image.
 */
#ifndef NACRE_ARCH_X86_64_SIGFRAME_H
#define NACRE_ARCH_X86_64_SIGFRAME_H

#include <stdint.h>

#include "runtime/task/altstack.h"

#define X86_RED_ZONE 128
#define X86_UC_FP_XSTATE 1u
#define X86_UC_SIGCONTEXT_SS 2u
#define X86_UC_STRICT_RESTORE_SS 4u

#define X86_FXSAVE_SIZE 512u
#define X86_XSAVE_HEADER_SIZE 64u
#define X86_FP_XSTATE_MAGIC1 0x46505853u
#define X86_FP_XSTATE_MAGIC2 0x46505845u
#define X86_FP_SW_OFFSET 464u

struct x86_fpx_sw_bytes {
	uint32_t magic1;
	uint32_t extended_size; /* XSAVE image and the trailing magic */
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};
_Static_assert(sizeof(struct x86_fpx_sw_bytes) == 48, "software bytes of the FXSAVE image");

struct x86_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};
_Static_assert(sizeof(struct x86_sigcontext) == 256, "struct sigcontext");

struct x86_ucontext {
	uint64_t flags, link;
	struct guest_sigaltstack stack;
	struct x86_sigcontext mcontext;
	uint64_t sigmask;
};
_Static_assert(sizeof(struct x86_ucontext) == 304, "struct ucontext");

struct x86_rt_sigframe {
	uint64_t pretcode;
	struct x86_ucontext uc;
	uint8_t info[128];
};
_Static_assert(sizeof(struct x86_rt_sigframe) == 440, "struct rt_sigframe");

/* Pure, for the tests: registers from a frame's context; cs, ss and reserved flags are kept. */
struct arch_regs;
int x86_regs_from_context(struct arch_regs *regs, const struct x86_sigcontext *sc);
void x86_context_from_regs(struct x86_sigcontext *sc, const struct arch_regs *regs);
/*
 * Make an image that was read from the guest loadable: features outside `features` and, for a frame
 * without valid software bytes, everything but x87 and SSE are put in their initial state. `buf`
 * has room for size bytes, of which `got` were read. 0 or -EFAULT.
 */
int x86_fpu_sanitise(uint8_t *buf, uint32_t size, uint64_t features, bool extended);

#endif
