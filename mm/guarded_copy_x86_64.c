/* SPDX-License-Identifier: Apache-2.0 */
#include <ucontext.h>

#include "mm/guarded_copy.h"

/*
 * System V calling convention. REP string instructions leave in RCX what is still to do when they
 * fault, which is the result; the word routines set the result before the access that may fault, and
 * the fix-up point returns it.
 */
__asm__(".pushsection .text\n"
	".balign 16\n"
	".globl guarded_copy, guarded_zero, guarded_load32, guarded_cmpxchg32\n"
	".globl guarded_begin, guarded_string_end, guarded_end, guarded_string_fix, "
	"guarded_word_fix\n"
	".hidden guarded_begin, guarded_string_end, guarded_end, guarded_string_fix, "
	"guarded_word_fix\n"
	".type guarded_copy, @function\n"
	".type guarded_zero, @function\n"
	".type guarded_load32, @function\n"
	".type guarded_cmpxchg32, @function\n"
	"guarded_begin:\n"
	"guarded_copy:\n"
	"	mov %rdx, %rcx\n"
	"	rep movsb\n"
	"	mov %rcx, %rax\n"
	"	ret\n"
	"guarded_zero:\n"
	"	mov %rsi, %rcx\n"
	"	xor %eax, %eax\n"
	"	rep stosb\n"
	"	mov %rcx, %rax\n"
	"	ret\n"
	"guarded_string_end:\n"
	"guarded_load32:\n"
	"	mov (%rdi), %edx\n"
	"	mov %edx, (%rsi)\n"
	"	mov $1, %eax\n"
	"	ret\n"
	"guarded_cmpxchg32:\n"
	"	mov %esi, %eax\n"
	"	lock cmpxchg %edx, (%rdi)\n"
	"	mov %eax, (%rcx)\n"
	"	mov $1, %eax\n"
	"	ret\n"
	"guarded_end:\n"
	"guarded_string_fix:\n"
	"	mov %rcx, %rax\n"
	"	ret\n"
	"guarded_word_fix:\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".popsection\n");

extern const char guarded_begin[], guarded_string_end[], guarded_end[];
extern const char guarded_string_fix[], guarded_word_fix[];

uintptr_t guarded_fixup(uintptr_t pc)
{
	if (pc < (uintptr_t)guarded_begin || pc >= (uintptr_t)guarded_end)
		return 0;
	return pc < (uintptr_t)guarded_string_end ? (uintptr_t)guarded_string_fix
						  : (uintptr_t)guarded_word_fix;
}

uintptr_t guarded_context_pc(const void *ucontext)
{
	return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
}

void guarded_context_set_pc(void *ucontext, uintptr_t pc)
{
	((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
}
