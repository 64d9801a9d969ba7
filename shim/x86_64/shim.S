/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86-64 shim: all of nacre's guest-privileged code. Copied to SHIM_TEXT_VA and run in ring 0;
 * it never runs in this process. shim/wire.h is the protocol.
 *
 * On hosts that emulate guest-privileged code each instruction costs about a microsecond, so the
 * common paths are a handful long and touch no register they need not.
 */
#include "shim/wire.h"

	.section .rodata.shim, "a"
	.balign 4096
	.globl shim_text_start, shim_text_end
shim_text_start:

/* Exceptions: HLT tells the host, the slot tells which. A frame's error code stays on the stack. */
	.set vector, 0
	.rept SHIM_VECTORS
	.org shim_text_start + vector * SHIM_VECTOR_SLOT, 0xcc
	hlt
	ud2
	.set vector, vector + 1
	.endr

/* LSTAR: the user's stack pointer is still in RSP; only GS leads to the vCPU's memory. */
	.org shim_text_start + SHIM_SYSCALL, 0xcc
	cmpq $SHIM_ANSWERS, %rax
	jae 3f
	swapgs
	movq %rcx, %gs:SHIM_CPU_SCRATCH
	movq %gs:SHIM_ANSWERS_OFFSET(, %rax, 8), %rcx
	testq %rcx, %rcx
	js 4f
	movq %rcx, %rax
	movq %gs:SHIM_CPU_SCRATCH, %rcx
	incq %gs:SHIM_CPU_ANSWERED
	swapgs
	sysretq
4:	movq %gs:SHIM_CPU_SCRATCH, %rcx
	swapgs
3:	hlt
	ud2

	.org shim_text_start + SHIM_SYSRET, 0xcc
	sysretq

	.org shim_text_start + SHIM_IRET, 0xcc
	iretq

/* RSP = the frame; 40 bytes above it is the stack's top. */
	.org shim_text_start + SHIM_FLUSH, 0xcc
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	leaq (32 + SHIM_FRAME_BYTES - SHIM_TOP_TO_CPU)(%rsp), %rsi
	movl SHIM_CPU_FLUSH_KIND(%rsi), %eax
	cmpl $SHIM_FLUSH_SPACE, %eax
	je 7f
	ja 8f
	movl SHIM_CPU_FLUSH_COUNT(%rsi), %edx
	leaq SHIM_CPU_FLUSH_RANGES(%rsi), %rsi
5:	movq (%rsi), %rax
	movq 8(%rsi), %rcx
6:	invlpg (%rax)
	addq $4096, %rax
	decq %rcx
	jnz 6b
	addq $16, %rsi
	decl %edx
	jnz 5b
	jmp 9f
7:	movq SHIM_CPU_FLUSH_CR3(%rsi), %rax
	movq %rax, %cr3
	jmp 9f
8:	movq SHIM_CPU_FLUSH_CR3(%rsi), %rax
	movq %rax, %cr3
	movq %cr4, %rax
	movq %rax, %rcx
	xorq $0x80, %rcx
	movq %rcx, %cr4
	movq %rax, %cr4
9:	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	iretq

	.org shim_text_start + SHIM_TEXT_BYTES, 0xcc
shim_text_end:

/* LSTAR at user level: shim/wire.h. No instruction here changes a flag. */
	.balign 64
	.globl shim_gate_start, shim_gate_end
shim_gate_start:
	leaq SHIM_GATE_ANSWERS + shim_gate_start(%rip), %r11
	movl (%r11, %rax, 4), %r11d
	xchgq %r11, %rcx
	.if . - shim_gate_start - SHIM_GATE_SWAPPED
	.error "SHIM_GATE_SWAPPED"
	.endif
	jrcxz 1f
	movq SHIM_GATE_COUNT + shim_gate_start(%rip), %rax
	.if . - shim_gate_start - SHIM_GATE_ANSWERED
	.error "SHIM_GATE_ANSWERED"
	.endif
	leaq 1(%rax), %rax
	movq %rax, SHIM_GATE_COUNT + shim_gate_start(%rip)
	leal -1(%rcx), %eax
	.if . - shim_gate_start - SHIM_GATE_RESULT
	.error "SHIM_GATE_RESULT"
	.endif
	movq %r11, %rcx
	.if . - shim_gate_start - SHIM_GATE_RETURN
	.error "SHIM_GATE_RETURN"
	.endif
	jmpq *%rcx
1:	.byte 0xe9 /* jmp, with the offset that the gate has in the guest */
	.long SHIM_GATE_LEAVE - (. + 4 - shim_gate_start)
shim_gate_end:
	.section .note.GNU-stack, "", @progbits
