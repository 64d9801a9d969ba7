/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim <-> host protocol on arm64: see shim/wire.h.
 *
 * Every trap from user level saves the whole user state in the vCPU's own page, then rings the
 * doorbell: a store, of what kind of trap it was, to a page that no memory slot backs, which exits
 * to the host with the vCPU between two instructions of the shim. The host reads and changes the
 * saved state, leaves its reply beside it, and runs the vCPU again. The shim flushes what the reply
 * asks for, loads the whole user state and returns to it. So between two runs a vCPU is always in
 * the shim, and its user state always in memory.
 *
 * A kick is an interrupt: user level is left by the vector, with its state saved as by any other trap.
 * The shim itself runs with interrupts masked.
 *
 * The reply, in memory and, while the shim acts on it, in these registers:
 *
 *	X8	SHIM_REPLY_*: what to flush
 *	X9	RANGE: page-aligned start address; RANGE_OP: operand of TLBI RVAE1IS
 *	X10	RANGE: number of pages; further ranges follow in shim_cpu.more, 0 pages end the list
 *	X11	SHIM_REPLY_CODE, SHIM_REPLY_RETURN, SHIM_REPLY_LOCAL; the ASID in bits 63..48
 *
 * A DSB ISHST stands before the first TLBI, a DSB ISH after the last; with SHIM_REPLY_LOCAL, for RANGE,
 * RANGE_OP and SPACE, the TLBIs are those of this CPU alone and a DSB NSH follows; with SHIM_REPLY_CODE the
 * instruction caches of all CPUs are invalidated; an ISB ends it (Arm ARM, D8.13 and B2.4.4).
 *
 * Per-vCPU memory, at SHIM_CPU_VA + index * SHIM_CPU_STRIDE, guest-privileged only; SP_EL1 points
 * there, always:
 *
 *	page 0	struct shim_cpu
 *	page 1	answers: one 64-bit word per system-call number; negative: ask the host
 */
#ifndef NACRE_SHIM_WIRE_ARM64_H
#define NACRE_SHIM_WIRE_ARM64_H

#define SHIM_VERSION 1

#define SHIM_TEXT_VA 0xffffffff80000000
#define SHIM_DOORBELL_VA 0xffffffff80010000
#define SHIM_CPU_VA 0xffffffff80100000
#define SHIM_CPU_STRIDE 0x2000
#define SHIM_MAX_CPUS 128

/* Below all guest memory; no slot may ever cover it. */
#define SHIM_DOORBELL_GPA 0x1000

#define SHIM_ANSWERS_OFFSET 0x1000
#define SHIM_ANSWERS 512

/* Text: the vectors (VBAR_EL1), then the way back to user level. */
#define SHIM_RESUME 0x800
#define SHIM_TEXT_BYTES 0x1000

/* What rang: the word stored to the doorbell, also in shim_cpu.trap. */
#define SHIM_TRAP_SYNC 1      /* esr and far say what */
#define SHIM_TRAP_INTERRUPT 2 /* a kick */
#define SHIM_TRAP_SERROR 3
#define SHIM_TRAP_FLUSHED 4 /* the answer to SHIM_REPLY_RETURN */
#define SHIM_TRAP_CRASH 5   /* an exception in the shim; crash[] says where */

#define SHIM_REPLY_NONE 0
#define SHIM_REPLY_ALL 1      /* TLBI VMALLE1IS */
#define SHIM_REPLY_RELOAD 2   /* nothing: the state is always loaded from memory */
#define SHIM_REPLY_RANGE 3    /* TLBI VAE1IS for each page */
#define SHIM_REPLY_RANGE_OP 4 /* TLBI RVAE1IS, FEAT_TLBIRANGE */
#define SHIM_REPLY_SPACE 5    /* TLBI ASIDE1IS */

#define SHIM_REPLY_CODE_BIT 0	/* executable mappings changed */
#define SHIM_REPLY_RETURN_BIT 1 /* ring again after the flush */
#define SHIM_REPLY_LOCAL_BIT 2	/* this CPU's TLB only */

/* Offsets in struct shim_cpu that assembly uses. */
#define SHIM_CPU_X 0
#define SHIM_CPU_SP 248
#define SHIM_CPU_PC 256
#define SHIM_CPU_PSTATE 264
#define SHIM_CPU_ESR 272
#define SHIM_CPU_FAR 280
#define SHIM_CPU_TPIDR 288
#define SHIM_CPU_TTBR0 296
#define SHIM_CPU_REPLY 304
#define SHIM_CPU_TRAP 336
#define SHIM_CPU_ANSWERED 344
#define SHIM_CPU_CRASH 352
#define SHIM_CPU_MORE 384
#define SHIM_MORE_RANGES 3

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct shim_reply {
	uint64_t kind, start, pages, flags; /* X8 to X11 */
};

struct shim_cpu {
	uint64_t x[31], sp, pc, pstate; /* the user's */
	uint64_t esr, far;
	uint64_t tpidr; /* TPIDR_EL0 */
	uint64_t ttbr0; /* what to run on: table and ASID */
	struct shim_reply reply;
	uint64_t trap;
	uint64_t answered; /* system calls answered inside, written by the shim only */
	uint64_t crash[4]; /* ELR_EL1, ESR_EL1, FAR_EL1, SPSR_EL1 of an exception in the shim */
	struct shim_range {
		uint64_t start, pages;
	} more[SHIM_MORE_RANGES + 1]; /* the last one is always empty */
};

_Static_assert(offsetof(struct shim_cpu, x) == SHIM_CPU_X, "wire");
_Static_assert(offsetof(struct shim_cpu, sp) == SHIM_CPU_SP, "wire");
_Static_assert(offsetof(struct shim_cpu, pc) == SHIM_CPU_PC, "wire");
_Static_assert(offsetof(struct shim_cpu, pstate) == SHIM_CPU_PSTATE, "wire");
_Static_assert(offsetof(struct shim_cpu, esr) == SHIM_CPU_ESR, "wire");
_Static_assert(offsetof(struct shim_cpu, far) == SHIM_CPU_FAR, "wire");
_Static_assert(offsetof(struct shim_cpu, tpidr) == SHIM_CPU_TPIDR, "wire");
_Static_assert(offsetof(struct shim_cpu, ttbr0) == SHIM_CPU_TTBR0, "wire");
_Static_assert(offsetof(struct shim_cpu, reply) == SHIM_CPU_REPLY, "wire");
_Static_assert(offsetof(struct shim_cpu, trap) == SHIM_CPU_TRAP, "wire");
_Static_assert(offsetof(struct shim_cpu, answered) == SHIM_CPU_ANSWERED, "wire");
_Static_assert(offsetof(struct shim_cpu, crash) == SHIM_CPU_CRASH, "wire");
_Static_assert(offsetof(struct shim_cpu, more) == SHIM_CPU_MORE, "wire");
_Static_assert(sizeof(struct shim_cpu) <= 4096, "struct shim_cpu fills page 0 at most");

/*
 * Operand of TLBI RVAE1IS for an even number of 4 KiB pages, at most 64 (Arm ARM, TLBI RVAE1IS): ASID
 * [63:48], TG [47:46] = 1 (4 KiB), SCALE [45:44] = 0, NUM [43:39], TTL [38:37] = 0 (any level),
 * BaseADDR [36:0]; (NUM + 1) * 2 pages.
 */
static inline uint64_t shim_range_operand(uint64_t asid, uint64_t start, uint64_t pages)
{
	return asid << 48 | (uint64_t)1 << 46 | (pages / 2 - 1) << 39 |
	       (start >> 12 & (((uint64_t)1 << 37) - 1));
}

/* The assembled shim, copied to SHIM_TEXT_VA in guest memory. */
extern const unsigned char shim_text_start[], shim_text_end[];
#endif

#endif
