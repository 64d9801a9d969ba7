/* SPDX-License-Identifier: Apache-2.0 */
#include <ucontext.h>

#include "mm/guarded_copy.h"

/*
 * Procedure call standard of AArch64. The bulk loops, when they fault, go on byte by byte from where
 * they stood, so that the byte loops find the exact place; what is still to do, then in x2 (copy) or
 * x1 (zero), is the result. The word routines return 0 from their fix-up point.
 */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".globl guarded_copy, guarded_zero, guarded_load32, guarded_cmpxchg32\n"
	".globl guarded_copy_bytes, guarded_copy_end, guarded_zero_bytes, guarded_zero_end\n"
	".globl guarded_end, guarded_word_fix\n"
	".hidden guarded_copy_bytes, guarded_copy_end, guarded_zero_bytes, guarded_zero_end\n"
	".hidden guarded_end, guarded_word_fix\n"
	".type guarded_copy, %function\n"
	".type guarded_zero, %function\n"
	".type guarded_load32, %function\n"
	".type guarded_cmpxchg32, %function\n"
	"guarded_copy:\n"
	"1:	cmp x2, #64\n"
	"	b.lo 2f\n"
	"	ldp x3, x4, [x1]\n"
	"	ldp x5, x6, [x1, #16]\n"
	"	ldp x7, x8, [x1, #32]\n"
	"	ldp x9, x10, [x1, #48]\n"
	"	stp x3, x4, [x0]\n"
	"	stp x5, x6, [x0, #16]\n"
	"	stp x7, x8, [x0, #32]\n"
	"	stp x9, x10, [x0, #48]\n"
	"	add x0, x0, #64\n"
	"	add x1, x1, #64\n"
	"	sub x2, x2, #64\n"
	"	b 1b\n"
	"2:	cmp x2, #8\n"
	"	b.lo guarded_copy_bytes\n"
	"	ldr x3, [x1]\n"
	"	str x3, [x0]\n"
	"	add x0, x0, #8\n"
	"	add x1, x1, #8\n"
	"	sub x2, x2, #8\n"
	"	b 2b\n"
	"guarded_copy_bytes:\n"
	"	cbz x2, guarded_copy_end\n"
	"	ldrb w3, [x1]\n"
	"	strb w3, [x0]\n"
	"	add x0, x0, #1\n"
	"	add x1, x1, #1\n"
	"	sub x2, x2, #1\n"
	"	b guarded_copy_bytes\n"
	"guarded_copy_end:\n"
	"	mov x0, x2\n"
	"	ret\n"
	"guarded_zero:\n"
	"3:	cmp x1, #64\n"
	"	b.lo guarded_zero_bytes\n"
	"	stp xzr, xzr, [x0]\n"
	"	stp xzr, xzr, [x0, #16]\n"
	"	stp xzr, xzr, [x0, #32]\n"
	"	stp xzr, xzr, [x0, #48]\n"
	"	add x0, x0, #64\n"
	"	sub x1, x1, #64\n"
	"	b 3b\n"
	"guarded_zero_bytes:\n"
	"	cbz x1, guarded_zero_end\n"
	"	strb wzr, [x0]\n"
	"	add x0, x0, #1\n"
	"	sub x1, x1, #1\n"
	"	b guarded_zero_bytes\n"
	"guarded_zero_end:\n"
	"	mov x0, x1\n"
	"	ret\n"
	"guarded_load32:\n"
	"	ldr w2, [x0]\n"
	"	str w2, [x1]\n"
	"	mov w0, #1\n"
	"	ret\n"
	"guarded_cmpxchg32:\n"
	"4:	ldaxr w4, [x0]\n"
	"	cmp w4, w1\n"
	"	b.ne 5f\n"
	"	stlxr w5, w2, [x0]\n"
	"	cbnz w5, 4b\n"
	"5:	dmb ish\n"
	"	str w4, [x3]\n"
	"	mov w0, #1\n"
	"	ret\n"
	"guarded_end:\n"
	"guarded_word_fix:\n"
	"	mov w0, #0\n"
	"	ret\n"
	".popsection\n");

extern const char guarded_copy_bytes[], guarded_copy_end[], guarded_zero_bytes[];
extern const char guarded_zero_end[], guarded_end[], guarded_word_fix[];

uintptr_t guarded_fixup(uintptr_t pc)
{
	const struct {
		uintptr_t begin, end, fix;
	} zone[] = {
		{(uintptr_t)guarded_copy, (uintptr_t)guarded_copy_bytes,
		 (uintptr_t)guarded_copy_bytes},
		{(uintptr_t)guarded_copy_bytes, (uintptr_t)guarded_copy_end,
		 (uintptr_t)guarded_copy_end},
		{(uintptr_t)guarded_zero, (uintptr_t)guarded_zero_bytes,
		 (uintptr_t)guarded_zero_bytes},
		{(uintptr_t)guarded_zero_bytes, (uintptr_t)guarded_zero_end,
		 (uintptr_t)guarded_zero_end},
		{(uintptr_t)guarded_load32, (uintptr_t)guarded_end, (uintptr_t)guarded_word_fix},
	};

	for (unsigned i = 0; i < sizeof zone / sizeof zone[0]; i++)
		if (pc >= zone[i].begin && pc < zone[i].end)
			return zone[i].fix;
	return 0;
}

uintptr_t guarded_context_pc(const void *ucontext)
{
	return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.pc;
}

void guarded_context_set_pc(void *ucontext, uintptr_t pc)
{
	((ucontext_t *)ucontext)->uc_mcontext.pc = pc;
}
