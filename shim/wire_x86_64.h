/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim <-> host protocol on x86-64: see shim/wire.h.
 *
 * Every trap ends in a HLT, which exits to the host with all registers intact; which HLT it
 * was says what happened. The trap frame the processor pushed stands at the top of the vCPU's stack
 * page, where only the shim and the host reach it. The host goes on by choosing where in the shim
 * execution resumes:
 *
 *	SHIM_SYSRET	RSP = user RSP, RCX = user RIP, R11 = user RFLAGS: after a system call
 *	SHIM_IRET	RSP = the trap frame, which the host filled in: after anything else
 *	SHIM_FLUSH	as SHIM_IRET, but first the flush described in struct shim_cpu is executed
 *
 * or, when the vCPU was stopped at user level by a kick, by writing the user registers directly.
 *
 * Per-vCPU memory, at SHIM_CPU_VA + index * SHIM_CPU_STRIDE, supervisor only:
 *
 *	page 0	struct shim_cpu: descriptor tables, flush request, counters
 *	page 1	the trap stack; its top is the start of page 2
 *	page 2	answers: one 64-bit word per system-call number; negative: ask the host
 *
 * The gate. Some hosts (PVM) leave the program at user level when SYSCALL jumps to LSTAR. There LSTAR
 * is code that *runs* at user level, at native speed, and answers what it can; it touches no flag,
 * since they are the program's (SFMASK is 0), and only the registers that SYSCALL clobbers. What it
 * cannot answer it leaves by a jump to a page that no memory backs: the cheapest exit. Per vCPU, at
 * SHIM_GATE_VA + index * SHIM_GATE_STRIDE, readable at user level:
 *
 *	page 0	the code, the same page for all
 *	page 1	backed by nothing
 *	page 2	the number of calls answered (writable: a program may spoil the statistics)
 *
 * and at SHIM_GATE_ANSWERS one page of 32-bit words by system-call number: the answer plus one; 0:
 * ask the host. Nothing is mapped around it, so that a number out of range faults.
 *
 * A trap at user level within page 0 or 1 is a system call that has been answered, or not, depending
 * on where the trap was; RCX and R11 trade places on the way (SHIM_GATE_SWAPPED and following).
 */
#ifndef NACRE_SHIM_WIRE_X86_64_H
#define NACRE_SHIM_WIRE_X86_64_H

#define SHIM_VERSION 1

#define SHIM_TEXT_VA 0xffffffff80000000
#define SHIM_CPU_VA 0xffffffff80100000
#define SHIM_CPU_STRIDE 0x4000
#define SHIM_CPU_PAGES 3
#define SHIM_MAX_CPUS 128

#define SHIM_STACK_OFFSET 0x1000
#define SHIM_ANSWERS_OFFSET 0x2000 /* = the trap stack's top */
#define SHIM_ANSWERS 512

/* Distances from the trap stack's top, where the shim finds things relative to RSP. */
#define SHIM_TOP_TO_CPU 0x2000 /* subtract: struct shim_cpu */
#define SHIM_FRAME_BYTES 40    /* RIP CS RFLAGS RSP SS */

/* Text: one 16-byte slot per exception vector, then the fixed entry points. */
#define SHIM_VECTOR_SLOT 16
#define SHIM_VECTORS 32
#define SHIM_SYSCALL 0x300 /* LSTAR */
#define SHIM_SYSRET 0x400
#define SHIM_IRET 0x410
#define SHIM_FLUSH 0x420
#define SHIM_TEXT_BYTES 0x600

#define SHIM_GATE_VA 0xffffe00000000000
#define SHIM_GATE_STRIDE 0x800000000
#define SHIM_GATE_LEAVE 0x1000
#define SHIM_GATE_COUNT 0x2000
#define SHIM_GATE_ANSWERS 0x40000000
#define SHIM_GATE_BYTES 0x2000 /* pages 0 and 1 */
/* Instructions of the gate, by their offsets. */
#define SHIM_GATE_SWAPPED 14  /* R11 = return address, RCX = the table's word */
#define SHIM_GATE_ANSWERED 23 /* RAX is in use: the answer is RCX - 1 */
#define SHIM_GATE_RESULT 37   /* RAX = the answer */
#define SHIM_GATE_RETURN 40   /* RCX = return address */

/* Selectors: as Linux shows them to programs (CS 0x33, SS 0x2b). */
#define SHIM_KERNEL_CS 0x10
#define SHIM_KERNEL_SS 0x18
#define SHIM_USER_CS 0x33
#define SHIM_USER_SS 0x2b
#define SHIM_STAR_USER_BASE 0x23 /* SYSRET: CS = base + 16, SS = base + 8 */
#define SHIM_TSS_SELECTOR 0x40

/* Offsets in struct shim_cpu that assembly uses. */
#define SHIM_CPU_SCRATCH 0
#define SHIM_CPU_ANSWERED 8
#define SHIM_CPU_FLUSH_KIND 16
#define SHIM_CPU_FLUSH_COUNT 20
#define SHIM_CPU_FLUSH_CR3 24
#define SHIM_CPU_FLUSH_RANGES 32
#define SHIM_FLUSH_RANGES 4

/* Flush kinds, in shim_cpu.flush_kind. */
#define SHIM_FLUSH_RANGE 1 /* INVLPG over each range */
#define SHIM_FLUSH_SPACE 2 /* load flush_cr3: this address space, and the switch to it */
#define SHIM_FLUSH_ALL 3   /* every translation, global ones too */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct shim_flush_range {
	uint64_t start;
	uint64_t pages;
};

struct shim_cpu {
	uint64_t scratch;  /* RCX while the SYSCALL entry looks up an answer */
	uint64_t answered; /* system calls answered inside, written by the shim only */
	uint32_t flush_kind, flush_count;
	uint64_t flush_cr3;
	struct shim_flush_range flush_range[SHIM_FLUSH_RANGES];
	uint64_t gdt[16];
	uint8_t tss[104];
	uint8_t pad[8];
	uint8_t fault_stack[1024] __attribute__((aligned(16))); /* #DF, NMI, #MC: IST1 */
};

_Static_assert(offsetof(struct shim_cpu, scratch) == SHIM_CPU_SCRATCH, "wire");
_Static_assert(offsetof(struct shim_cpu, answered) == SHIM_CPU_ANSWERED, "wire");
_Static_assert(offsetof(struct shim_cpu, flush_kind) == SHIM_CPU_FLUSH_KIND, "wire");
_Static_assert(offsetof(struct shim_cpu, flush_count) == SHIM_CPU_FLUSH_COUNT, "wire");
_Static_assert(offsetof(struct shim_cpu, flush_cr3) == SHIM_CPU_FLUSH_CR3, "wire");
_Static_assert(offsetof(struct shim_cpu, flush_range) == SHIM_CPU_FLUSH_RANGES, "wire");
_Static_assert(sizeof(struct shim_cpu) <= 4096, "struct shim_cpu fills page 0 at most");

/* The assembled shim, copied to SHIM_TEXT_VA in guest memory. */
extern const unsigned char shim_text_start[], shim_text_end[];
extern const unsigned char shim_gate_start[], shim_gate_end[];
#endif

#endif
