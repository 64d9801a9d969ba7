/* SPDX-License-Identifier: Apache-2.0 */
/* The registers and signal frames of x86-64, for the hostile programs. */
#ifndef NACRE_TESTS_HOSTILE_SIGNALS_H
#define NACRE_TESTS_HOSTILE_SIGNALS_H

#include "guest.h"
#include "guest_arch.h"

/* The program's: a random number, and one that may mean something to the kernel. */
static uint64_t random64(void);
static uint64_t interesting(void);

/* Values to put into frames: flags, selectors, addresses, sizes and marks of vector state. */
#define INTERESTING_VALUES                                                                      \
	0, 1, 0x202, 0x3202, 0x4202, 0x100, ~0ull, 0x33, 0x2b, 0x10, 0x23, 0x800000000000,      \
		0x8000000000000000, 0xffffffff80000300, 0x7ffffffff000, 0x46505853, 0x46505845, \
		832, 4096

/* What a careless return from a handler would leave spoilt. */
static inline void spoil_registers(void)
{
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, "
			 "%%xmm15; fninit; fldz; fldz;"
			 "movl $0x9f80, -8(%%rsp); ldmxcsr -8(%%rsp)" ::
				 : "xmm0", "xmm7", "xmm15", "memory");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile(
			"vxorps %%ymm3, %%ymm3, %%ymm3; vxorps %%ymm12, %%ymm12, %%ymm12" ::
				: "xmm3", "xmm12");
}

/* A loop in registers alone: every vector register, the flags, the x87 stack, MXCSR. */
static inline uint64_t hold_registers(uint64_t seed, uint64_t turns)
{
	uint64_t bad = 0;
	bool avx = __builtin_cpu_supports("avx");
	uint64_t block[4] = {seed, ~seed, seed * 3, seed * 7};

	if (avx)
		__asm__ volatile("vmovups (%0), %%ymm3; vmovups (%0), %%ymm12" ::"r"(block)
				 : "xmm3", "xmm12");
	__asm__ volatile(
		"movq %[seed], %%xmm0; movq %[seed], %%xmm7; movq %[seed], %%xmm15\n"
		"fninit; fldpi; fldl2e; mov %[seed], %%r12; mov %[seed], %%r15; mov %[seed], "
		"%%rbx\n"
		"movl $0x1fa0, -8(%%rsp); ldmxcsr -8(%%rsp)\n"
		"1: movq %%xmm0, %%rax; cmp %%rax, %[seed]; jne 2f; movq %%xmm7, %%rax; cmp %%rax, "
		"%[seed]; jne 2f\n"
		"movq %%xmm15, %%rax; cmp %%rax, %[seed]; jne 2f; cmp %%r12, %[seed]; jne 2f; cmp "
		"%%r15, %[seed]; jne 2f\n"
		"cmp %%rbx, %[seed]; jne 2f; stc; jnc 2f; std; pushf; cld; pop %%rax; test $0x400, "
		"%%eax; jz 2f\n"
		"dec %[turns]; jnz 1b\n"
		"stmxcsr -8(%%rsp); cmpl $0x1fa0, -8(%%rsp); jne 2f; fstsw %%ax; and $0x3800, "
		"%%eax; cmp $0x3000, %%eax; jne 2f\n"
		"jmp 3f\n2: inc %[bad]\n3: fninit; movl $0x1f80, -8(%%rsp); ldmxcsr -8(%%rsp); cld"
		: [bad] "+r"(bad), [turns] "+r"(turns)
		: [seed] "r"(seed)
		: "rax", "rbx", "r12", "r15", "xmm0", "xmm7", "xmm15", "memory", "cc", "st");
	if (avx) {
		uint64_t a[4], b[4];
		__asm__ volatile("vmovups %%ymm3, (%0); vmovups %%ymm12, (%1)" ::"r"(a), "r"(b)
				 : "memory");
		bad += memcmp(a, block, 32) != 0 || memcmp(b, block, 32) != 0;
	}
	return bad;
}

/* nanosleep(2) with a number in a vector register; what is there afterwards. */
static inline long nanosleep_holding(const struct timespec *ts, uint64_t before, uint64_t *after)
{
	long n;
	__asm__ volatile("movq %2, %%xmm9; mov %3, %%eax; syscall; movq %%xmm9, %1"
			 : "=&a"(n), "=r"(*after)
			 : "r"(before), "i"(SYS_nanosleep), "D"(ts), "S"(NULL)
			 : "rcx", "r11", "xmm9", "memory");
	return n;
}

/* Raise SIGUSR1 for the whole process with this stack pointer. */
static inline void signal_on_stack(unsigned long sp)
{
	__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, "
			 "%%esi; mov $62, %%eax; syscall" ::"r"(sp));
}

/* rt_sigreturn(2) with the stack pointer at a context. */
static inline void return_through(void *context)
{
	__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall" ::"r"(context));
}

/* Change the vector state of a frame, its headers, where it is, or flags, selectors and pc. */
static inline void forge_vector_state(ucontext_t *uc)
{
	uint64_t *fp = (uint64_t *)uc->uc_mcontext.fpregs;
	for (int i = 0; i < 8; i++)
		fp[random64() % 104] = interesting();
}

static inline void forge_headers(ucontext_t *uc)
{
	uint64_t *fp = (uint64_t *)uc->uc_mcontext.fpregs;
	fp[464 / 8 + random64() % 16] = interesting();
}

static inline void forge_place(ucontext_t *uc)
{
	uintptr_t fp = (uintptr_t)uc->uc_mcontext.fpregs;
	uc->uc_mcontext.fpregs = (void *)(random64() & 1 ? interesting() : fp + (random64() & 127));
}

static inline void forge_control(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_EFL] = (greg_t)interesting();
	uc->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)interesting();
	if (random64() & 1)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)interesting();
}

#endif
