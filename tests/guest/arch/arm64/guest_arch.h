/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest programs need to know of arm64. */
#ifndef NACRE_TESTS_GUEST_ARCH_H
#define NACRE_TESTS_GUEST_ARCH_H

#include <linux/audit.h>
#include <ucontext.h>

#define GUEST_AUDIT_ARCH AUDIT_ARCH_AARCH64
/* With 48 bits, the first address a program cannot map. */
#define GUEST_TASK_SIZE 0x1000000000000ul
/* Calls like fork(2) and pause(2), which are not here: the tail of a list. */
#define GUEST_OLD_CALLS
#define GUEST_OLD_CALLS_WITH_BIG_SUMS(CALL, p)

/* In a signal's context: where it happened, the register run_illegal() shows, going past its instruction. */
#define CONTEXT_PC(uc) ((unsigned long)(uc)->uc_mcontext.pc)
#define CONTEXT_RESULT(uc) ((uc)->uc_mcontext.regs[0])
#define CONTEXT_SKIP_ILLEGAL(uc) ((uc)->uc_mcontext.pc += 4)

/* An undefined instruction with this value in a register; returns what is in it then. */
static inline unsigned long run_illegal(unsigned long value)
{
	register unsigned long x0 __asm__("x0") = value;
	__asm__ volatile("udf #0" : "+r"(x0));
	return x0;
}

/* Store one byte this far below the stack pointer. */
static inline void touch_below_stack(unsigned long distance)
{
	__asm__ volatile("mov x9, sp; sub x9, x9, %0; strb wzr, [x9]" ::"r"(distance)
			 : "x9", "memory");
}

/* Push until something stops it. */
static inline void overflow_stack(void)
{
	__asm__ volatile("1: str x0, [sp, #-16]!; b 1b");
}

/* kill(2) by hand with flags set, not through a C library that may change them; those left after it. */
static inline unsigned long kill_with_flags(long pid, long sig)
{
	unsigned long flags;
	__asm__ volatile("mov x0, %1; mov x1, %2; mov x8, #129; mov x9, #0xb0000000; msr nzcv, x9; "
			 "svc #0; mrs %0, nzcv"
			 : "=&r"(flags)
			 : "r"(pid), "r"(sig)
			 : "x0", "x1", "x8", "x9", "memory", "cc");
	return flags;
}

/*
 * Each X("what", statement) ends by a signal, or goes on as natively. Not tried: the cycle counter, which
 * QEMU lets a virtual machine read whatever its hypervisor asked for.
 */
#define INSTRUCTION_TRAPS(X)                                                                     \
	X("udf", __asm__ volatile("udf #0"));                                                    \
	X("udf 0xffff", __asm__ volatile("udf #0xffff"));                                        \
	X("brk", __asm__ volatile("brk #0"));                                                    \
	X("brk 0x1234", __asm__ volatile("brk #0x1234"));                                        \
	X("hlt", __asm__ volatile("hlt #0"));                                                    \
	X("hvc", __asm__ volatile("hvc #0" ::: "x0", "x1", "x2", "x3"));                         \
	X("smc", __asm__ volatile(".inst 0xd4000003"));                                          \
	X("eret", __asm__ volatile("eret"));                                                     \
	X("read sctlr", __asm__ volatile("mrs x9, sctlr_el1" ::: "x9"));                         \
	X("write vbar", __asm__ volatile("msr vbar_el1, x9"));                                   \
	X("read current level", __asm__ volatile("mrs x9, currentel" ::: "x9"));                 \
	X("mask interrupts", __asm__ volatile("msr daifset, #2"));                               \
	X("tlbi", __asm__ volatile("tlbi vmalle1is"));                                           \
	X("ic iallu", __asm__ volatile("ic iallu"));                                             \
	X("dc isw", __asm__ volatile("dc isw, x9"));                                             \
	X("at", __asm__ volatile("at s1e1r, x9"));                                               \
	X("timer control", __asm__ volatile("mrs x9, cntv_ctl_el0" ::: "x9"));                   \
	X("wfi", __asm__ volatile("wfi"));                                                       \
	X("stack alignment", {                                                                   \
		__asm__ volatile(                                                                \
			"mov x9, sp; sub x10, x9, #8; mov sp, x10; ldr x11, [sp]; mov sp, x9" :: \
				: "x9", "x10", "x11", "memory");                                 \
	});                                                                                      \
	X("jump to odd", ((void (*)(void))((unsigned long)overflow_stack + 1))());               \
	X("misaligned exclusive", {                                                              \
		static char z[64];                                                               \
		__asm__ volatile("ldaxr x9, [%0]" ::"r"(z + 1) : "x9", "memory");                \
	})

/* What user level may not execute; nothing of it may end by going on. */
#define PRIVILEGED_ASM(text) __asm__ volatile(text ::: "x0", "x9", "memory")
#define PRIVILEGED_INSTRUCTIONS(X) \
	X("hvc #0");               \
	X("hvc #0xffff");          \
	X(".inst 0xd4000003");     \
	X("eret");                 \
	X("msr daifset, #15");     \
	X("msr daifclr, #15");     \
	X("msr sctlr_el1, x9");    \
	X("mrs x9, sctlr_el1");    \
	X("msr ttbr0_el1, x9");    \
	X("msr ttbr1_el1, x9");    \
	X("msr tcr_el1, x9");      \
	X("msr vbar_el1, x9");     \
	X("msr elr_el1, x9");      \
	X("msr spsr_el1, x9");     \
	X("msr sp_el0, x9");       \
	X("msr cpacr_el1, x9");    \
	X("msr mdscr_el1, x9");    \
	X("msr oslar_el1, x9");    \
	X("msr cntkctl_el1, x9");  \
	X("mrs x9, cntp_ctl_el0"); \
	X("msr spsel, #1");        \
	X(".inst 0xd500409f");     \
	X("tlbi vmalle1is");       \
	X("tlbi alle1is");         \
	X("ic ialluis");           \
	X("dc csw, x9");           \
	X("at s1e0w, x9");         \
	X("mrs x9, far_el1");      \
	X("mrs x9, esr_el2");      \
	X("msr hcr_el2, x9");      \
	X("msr icc_sre_el1, x9");  \
	X("hlt #0");               \
	X("dcps1");                \
	X("udf #0")

/* Calls of the hypervisor, with arguments all zero or all ones. */
static inline void call_hypervisor_with_zeros(void)
{
	register unsigned long x0 __asm__("x0") = 0;
	__asm__ volatile("mov x1, #0; mov x2, #0; mov x3, #0; hvc #0"
			 : "+r"(x0)::"x1", "x2", "x3", "memory");
}

static inline void call_hypervisor_with_ones(void)
{
	register unsigned long x0 __asm__("x0") = ~0ul;
	__asm__ volatile("mov x1, #-1; mov x2, #-1; mov x3, #-1; .inst 0xd4000003"
			 : "+r"(x0)::"x1", "x2", "x3", "memory");
}

static inline void fault_on_a_bad_stack(void)
{
	__asm__ volatile("mov x0, #0x12340000; mov sp, x0; str x0, [sp, #-16]!; udf #0");
}

static inline void sigreturn_without_a_stack(void)
{
	__asm__ volatile("mov x8, #139; mov x0, #0; mov sp, x0; svc #0; udf #0");
}

/* Code of a function that returns 42, and of a program that does exit(7). */
#define CODE_RETURN_42 0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6
#define CODE_EXIT_7 0xe0, 0x00, 0x80, 0x52, 0xa8, 0x0b, 0x80, 0x52, 0x01, 0x00, 0x00, 0xd4
#define GUEST_ELF_MACHINE EM_AARCH64
#define GUEST_OTHER_MACHINE EM_X86_64

#endif
