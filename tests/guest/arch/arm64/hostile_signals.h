/* SPDX-License-Identifier: Apache-2.0 */
/* The registers and signal frames of arm64, for the hostile programs. */
#ifndef NACRE_TESTS_HOSTILE_SIGNALS_H
#define NACRE_TESTS_HOSTILE_SIGNALS_H

#include <asm/sigcontext.h>

#include "guest.h"
#include "guest_arch.h"

/* The program's: a random number, and one that may mean something to the kernel. */
static uint64_t random64(void);
static uint64_t interesting(void);

/* Values to put into frames: states of the processor, addresses, marks and sizes of records. */
#define INTERESTING_VALUES                                                                       \
	0, 1, 0x3c5, 0x10, 0x5, 0x200000, 0xf0000000, ~0ull, 0x800000000000, 0x8000000000000000, \
		0xffffffff80000800, 0x7ffffffff000, FPSIMD_MAGIC, ESR_MAGIC, EXTRA_MAGIC,        \
		SVE_MAGIC, 528, 0x21046508001ull, 0x1046508001ull, 16, 4096

/* What a careless return from a handler would leave spoilt. */
static inline void spoil_registers(void)
{
	__asm__ volatile(
		"movi v0.2d, #0; movi v3.2d, #0; movi v7.2d, #0; movi v9.2d, #0; movi v15.2d, #0;"
		"movi v31.2d, #0; mov x9, #0x400000; msr fpcr, x9; mov x9, #0x1f; msr fpsr, x9; "
		"msr nzcv, xzr" ::
			: "v0", "v3", "v7", "v9", "v15", "v31", "x9", "cc");
}

/* A loop in registers alone: vector registers, the flags, the control and status words. */
static inline uint64_t hold_registers(uint64_t seed, uint64_t turns)
{
	uint64_t bad = 0;
	__asm__ volatile(
		"fmov d0, %[seed]; fmov d7, %[seed]; fmov d15, %[seed]; dup v31.2d, %[seed]\n"
		"mov x9, #0x800000; msr fpcr, x9; mov x9, #8; msr fpsr, x9\n"
		"mov x10, %[seed]; mov x18, %[seed]; mov x28, %[seed]; mov x30, %[seed]\n"
		"1: fmov x11, d0; cmp x11, %[seed]; b.ne 2f; fmov x11, d7; cmp x11, %[seed]; b.ne "
		"2f\n"
		"fmov x11, d15; cmp x11, %[seed]; b.ne 2f; mov x11, v31.d[1]; cmp x11, %[seed]; "
		"b.ne 2f\n"
		"cmp x10, %[seed]; b.ne 2f; cmp x18, %[seed]; b.ne 2f; cmp x28, %[seed]; b.ne 2f\n"
		"cmp x30, %[seed]; b.ne 2f; mov x11, #0xb0000000; msr nzcv, x11; nop; nop; nop; "
		"nop\n"
		"mrs x12, nzcv; cmp x11, x12; b.ne 2f; mrs x12, fpcr; cmp x12, #0x800000; b.ne 2f\n"
		"mrs x12, fpsr; cmp x12, #8; b.ne 2f; subs %[turns], %[turns], #1; b.ne 1b; b 3f\n"
		"2: add %[bad], %[bad], #1\n3: msr fpcr, xzr; msr fpsr, xzr"
		: [bad] "+r"(bad), [turns] "+r"(turns)
		: [seed] "r"(seed)
		: "x9", "x10", "x11", "x12", "x18", "x28", "x30", "v0", "v7", "v15", "v31",
		  "memory", "cc");
	return bad;
}

/* nanosleep(2) with a number in a vector register; what is there afterwards. */
static inline long nanosleep_holding(const struct timespec *ts, uint64_t before, uint64_t *after)
{
	register const struct timespec *x0 __asm__("x0") = ts;
	register const void *x1 __asm__("x1") = NULL;
	__asm__ volatile("fmov d9, %2; mov x8, %3; svc #0; fmov %1, d9"
			 : "+r"(x0), "=r"(*after)
			 : "r"(before), "i"(SYS_nanosleep), "r"(x1)
			 : "x8", "v9", "memory");
	return (long)x0;
}

/* Raise SIGUSR1 for the whole process with this stack pointer. */
static inline void signal_on_stack(unsigned long sp)
{
	__asm__ volatile("mov sp, %0; mov x8, #172; svc #0; mov x1, #10; mov x8, #129; svc #0; mov "
			 "x0, #0; mov x8, #94; svc #0" ::"r"(sp));
}

/* rt_sigreturn(2) with the stack pointer at a context. */
static inline void return_through(void *context)
{
	__asm__ volatile(
		"mov sp, %0; mov x8, #139; svc #0" ::"r"((char *)context - sizeof(siginfo_t)));
}

/* Change the vector state of a frame, its headers, its size, or state, stack pointer and pc. */
static inline void forge_vector_state(ucontext_t *uc)
{
	uint64_t *fp = (uint64_t *)uc->uc_mcontext.__reserved;
	for (int i = 0; i < 8; i++)
		fp[random64() % 66] = interesting();
}

static inline void forge_headers(ucontext_t *uc)
{
	uint32_t *records = (uint32_t *)uc->uc_mcontext.__reserved;
	records[(random64() & 1) * 132 + random64() % 4] = (uint32_t)interesting();
}

static inline void forge_place(ucontext_t *uc)
{
	char *end = (char *)uc->uc_mcontext.__reserved + 528;
	struct extra_context extra = {{EXTRA_MAGIC, sizeof extra},
				      interesting(),
				      (uint32_t)interesting(),
				      {0}};
	memcpy(end, &extra, sizeof extra);
}

static inline void forge_control(ucontext_t *uc)
{
	uc->uc_mcontext.pstate = interesting();
	if (random64() & 1)
		uc->uc_mcontext.sp = interesting();
	if (random64() & 1)
		uc->uc_mcontext.pc = interesting();
}

#endif
