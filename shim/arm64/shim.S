/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arm64 shim: all of nacre's guest-privileged code. Copied to SHIM_TEXT_VA and run at EL1; it
 * never runs in this process. shim/wire_arm64.h is the protocol.
 *
 * SP (SP_EL1) is the vCPU's page from first to last; there is no stack. A trap clobbers no register
 * before it is saved.
 */
#include "shim/wire.h"

	.arch armv8.4-a /* RVAE1IS; executed only where the host found it */

	.section .rodata.shim, "a"
	.balign 4096
	.globl shim_text_start, shim_text_end
shim_text_start:

	.macro vector at
	.org shim_text_start + \at, 0
	.endm

	.macro save_general
	stp x0, x1, [sp, #SHIM_CPU_X]
	stp x2, x3, [sp, #SHIM_CPU_X + 16]
	stp x4, x5, [sp, #SHIM_CPU_X + 32]
	stp x6, x7, [sp, #SHIM_CPU_X + 48]
	stp x8, x9, [sp, #SHIM_CPU_X + 64]
	stp x10, x11, [sp, #SHIM_CPU_X + 80]
	stp x12, x13, [sp, #SHIM_CPU_X + 96]
	stp x14, x15, [sp, #SHIM_CPU_X + 112]
	stp x16, x17, [sp, #SHIM_CPU_X + 128]
	stp x18, x19, [sp, #SHIM_CPU_X + 144]
	stp x20, x21, [sp, #SHIM_CPU_X + 160]
	stp x22, x23, [sp, #SHIM_CPU_X + 176]
	stp x24, x25, [sp, #SHIM_CPU_X + 192]
	stp x26, x27, [sp, #SHIM_CPU_X + 208]
	stp x28, x29, [sp, #SHIM_CPU_X + 224]
	.endm

/* Exceptions at EL1: the host ends the container; nothing here can be gone on with. */
	.set at, 0
	.rept 8
	vector at
	b crash
	.set at, at + 0x80
	.endr

/* From user level, AArch64: synchronous. A system call that has an answer returns from here. */
	vector 0x400
	stp x0, x1, [sp, #SHIM_CPU_X]
	mrs x0, esr_el1
	lsr x1, x0, #26
	cmp x1, #0x15 /* SVC */
	b.ne 1f
	cmp x8, #SHIM_ANSWERS
	b.hs 1f
	add x1, sp, x8, lsl #3
	ldr x0, [x1, #SHIM_ANSWERS_OFFSET]
	tbnz x0, #63, 1f
	ldr x1, [sp, #SHIM_CPU_ANSWERED]
	add x1, x1, #1
	str x1, [sp, #SHIM_CPU_ANSWERED]
	ldr x1, [sp, #SHIM_CPU_X + 8]
	eret
1:	ldp x0, x1, [sp, #SHIM_CPU_X]
	b trap_sync

	vector 0x480 /* IRQ */
	save_general
	mov x8, #SHIM_TRAP_INTERRUPT
	b trap

	vector 0x500 /* FIQ */
	save_general
	mov x8, #SHIM_TRAP_INTERRUPT
	b trap

	vector 0x580 /* SError */
	save_general
	mov x8, #SHIM_TRAP_SERROR
	b trap

/* From user level, AArch32: there is none. */
	.set at, 0x600
	.rept 4
	vector at
	b crash
	.set at, at + 0x80
	.endr

/* A new vCPU starts here, and every trap goes on here after the doorbell. */
	.org shim_text_start + SHIM_RESUME, 0
resume:
	ldp x8, x9, [sp, #SHIM_CPU_REPLY]
	ldp x10, x11, [sp, #SHIM_CPU_REPLY + 16]
	/* The host's edits come before any walk, flush or not. */
	dsb ishst
	mrs x12, ttbr0_el1
	ldr x13, [sp, #SHIM_CPU_TTBR0]
	cmp x12, x13
	b.eq 2f
	msr ttbr0_el1, x13
	isb
2:	cbz x8, flushed
	and x12, x11, #0xffff000000000000
	tbnz x11, #SHIM_REPLY_LOCAL_BIT, flush_local
	cmp x8, #SHIM_REPLY_RANGE
	b.eq flush_range
	cmp x8, #SHIM_REPLY_SPACE
	b.eq flush_space
	cmp x8, #SHIM_REPLY_RANGE_OP
	b.eq flush_range_op
	cmp x8, #SHIM_REPLY_ALL
	b.ne flushed
	tlbi vmalle1is
	b flush_end
flush_space:
	tlbi aside1is, x12
	b flush_end
flush_range_op:
	tlbi rvae1is, x9
	b flush_end
flush_range:
	add x13, sp, #SHIM_CPU_MORE
5:	cbz x10, flush_end
	orr x9, x12, x9, lsr #12
3:	tlbi vae1is, x9
	add x9, x9, #1
	subs x10, x10, #1
	b.ne 3b
	ldp x9, x10, [x13], #16
	b 5b
/* The same kinds for this CPU alone; SHIM_REPLY_ALL is never local. */
flush_local:
	cmp x8, #SHIM_REPLY_RANGE
	b.eq local_range
	cmp x8, #SHIM_REPLY_SPACE
	b.eq local_space
	tlbi rvae1, x9
	b local_end
local_space:
	tlbi aside1, x12
	b local_end
local_range:
	add x13, sp, #SHIM_CPU_MORE
6:	cbz x10, local_end
	orr x9, x12, x9, lsr #12
7:	tlbi vae1, x9
	add x9, x9, #1
	subs x10, x10, #1
	b.ne 7b
	ldp x9, x10, [x13], #16
	b 6b
local_end:
	dsb nsh
	b flush_code
flush_end:
	dsb ish
flush_code:
	tbz x11, #SHIM_REPLY_CODE_BIT, 4f
	ic ialluis
	dsb ish
4:	isb
flushed:
	mov x8, #SHIM_TRAP_FLUSHED
	tbnz x11, #SHIM_REPLY_RETURN_BIT, doorbell

	ldr x0, [sp, #SHIM_CPU_SP]
	msr sp_el0, x0
	ldp x0, x1, [sp, #SHIM_CPU_PC]
	msr elr_el1, x0
	msr spsr_el1, x1
	ldr x0, [sp, #SHIM_CPU_TPIDR]
	msr tpidr_el0, x0
	ldp x2, x3, [sp, #SHIM_CPU_X + 16]
	ldp x4, x5, [sp, #SHIM_CPU_X + 32]
	ldp x6, x7, [sp, #SHIM_CPU_X + 48]
	ldp x8, x9, [sp, #SHIM_CPU_X + 64]
	ldp x10, x11, [sp, #SHIM_CPU_X + 80]
	ldp x12, x13, [sp, #SHIM_CPU_X + 96]
	ldp x14, x15, [sp, #SHIM_CPU_X + 112]
	ldp x16, x17, [sp, #SHIM_CPU_X + 128]
	ldp x18, x19, [sp, #SHIM_CPU_X + 144]
	ldp x20, x21, [sp, #SHIM_CPU_X + 160]
	ldp x22, x23, [sp, #SHIM_CPU_X + 176]
	ldp x24, x25, [sp, #SHIM_CPU_X + 192]
	ldp x26, x27, [sp, #SHIM_CPU_X + 208]
	ldp x28, x29, [sp, #SHIM_CPU_X + 224]
	ldr x30, [sp, #SHIM_CPU_X + 240]
	ldp x0, x1, [sp, #SHIM_CPU_X]
	eret

trap_sync:
	save_general
	mov x8, #SHIM_TRAP_SYNC
trap:
	mrs x0, sp_el0
	stp x30, x0, [sp, #SHIM_CPU_X + 240] /* x30 and sp are neighbours */
	mrs x0, elr_el1
	mrs x1, spsr_el1
	stp x0, x1, [sp, #SHIM_CPU_PC]
	mrs x0, esr_el1
	mrs x1, far_el1
	stp x0, x1, [sp, #SHIM_CPU_ESR]
	mrs x0, tpidr_el0
	str x0, [sp, #SHIM_CPU_TPIDR]
doorbell:
	str x8, [sp, #SHIM_CPU_TRAP]
	mov x0, #(SHIM_DOORBELL_VA & 0xffff)
	movk x0, #((SHIM_DOORBELL_VA >> 16) & 0xffff), lsl #16
	movk x0, #0xffff, lsl #32
	movk x0, #0xffff, lsl #48
	str w8, [x0]
	b resume

crash:
	mrs x0, elr_el1
	mrs x1, esr_el1
	stp x0, x1, [sp, #SHIM_CPU_CRASH]
	mrs x0, far_el1
	mrs x1, spsr_el1
	stp x0, x1, [sp, #SHIM_CPU_CRASH + 16]
	mov x8, #SHIM_TRAP_CRASH
	b doorbell

	.org shim_text_start + SHIM_TEXT_BYTES, 0
shim_text_end:
	.section .note.GNU-stack, "", %progbits
