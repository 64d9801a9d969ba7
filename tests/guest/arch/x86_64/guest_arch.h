/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest programs need to know of x86-64. */
#ifndef NACRE_TESTS_GUEST_ARCH_H
#define NACRE_TESTS_GUEST_ARCH_H

#include <linux/audit.h>
#include <ucontext.h>

#define GUEST_AUDIT_ARCH AUDIT_ARCH_X86_64
/* The first address a program cannot map. */
#define GUEST_TASK_SIZE 0x7ffffffff000ul
/* Calls like fork(2) and pause(2) that newer architectures do without: the tail of a list. */
#define GUEST_OLD_CALLS , SYS_fork, SYS_vfork, SYS_pause, SYS_alarm
#define GUEST_OLD_CALLS_WITH_BIG_SUMS(CALL, p)                        \
	CALL(syscall(SYS_poll, p, 0x7fffffff, 0));                    \
	CALL(syscall(SYS_select, 0x7fffffff, 0, 0, 0, p));            \
	CALL(syscall(SYS_epoll_wait, 0, p, 0x7fffffff, 0));           \
	CALL(syscall(SYS_readlink, "/proc/self/exe", p, 0x80000000)); \
	CALL(syscall(SYS_dup2, 0, 0x7fffffff))

/* In a signal's context: where it happened, the register run_illegal() shows, going past its instruction. */
#define CONTEXT_PC(uc) ((unsigned long)(uc)->uc_mcontext.gregs[REG_RIP])
#define CONTEXT_RESULT(uc) ((uc)->uc_mcontext.gregs[REG_RAX])
#define CONTEXT_SKIP_ILLEGAL(uc) ((uc)->uc_mcontext.gregs[REG_RIP] += 2)

/* An undefined instruction with this value in a register; returns what is in it then. */
static inline unsigned long run_illegal(unsigned long value)
{
	__asm__ volatile("ud2" : "+a"(value));
	return value;
}

/* Store one byte this far below the stack pointer. */
static inline void touch_below_stack(unsigned long distance)
{
	__asm__ volatile("mov %%rsp, %%rax; sub %0, %%rax; movb $1, (%%rax)" ::"r"(distance)
			 : "rax", "memory", "cc");
}

/* Push until something stops it. */
static inline void overflow_stack(void)
{
	__asm__ volatile("1: push %rax; jmp 1b");
}

/* kill(2) by hand with flags set, not through a C library that may change them; those left after it. */
static inline unsigned long kill_with_flags(long pid, long sig)
{
	unsigned long flags;
	__asm__ volatile("stc; std; mov $62, %%eax; mov %1, %%rdi; mov %2, %%rsi; syscall; pushfq; "
			 "pop %0; cld"
			 : "=&r"(flags)
			 : "r"(pid), "r"(sig)
			 : "rax", "rdi", "rsi", "rcx", "r11", "memory", "cc");
	return flags & 0x401; /* carry and direction */
}

/* Each X("what", statement) ends by a signal, or goes on as natively. */
#define INSTRUCTION_TRAPS(X)                                                         \
	X("ud2", __asm__ volatile("ud2"));                                           \
	X("int3", __asm__ volatile("int3"));                                         \
	X("hlt", __asm__ volatile("hlt"));                                           \
	X("cli", __asm__ volatile("cli"));                                           \
	X("in", __asm__ volatile("inb $0x80, %%al" ::: "eax"));                      \
	X("read cr0", {                                                              \
		unsigned long v;                                                     \
		__asm__ volatile("mov %%cr0, %0" : "=r"(v));                         \
	});                                                                          \
	X("wrmsr", __asm__ volatile("wrmsr" ::"c"(0xc0000080), "a"(0), "d"(0)));     \
	X("lidt", {                                                                  \
		static char z[10];                                                   \
		__asm__ volatile("lidt %0" ::"m"(z));                                \
	});                                                                          \
	X("invlpg", __asm__ volatile("invlpg (%%rsp)" ::: "memory"));                \
	X("int 0x81", __asm__ volatile("int $0x81"));                                \
	X("trap flag", __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop" :: \
						: "memory", "cc"));                  \
	X("bad segment", __asm__ volatile("mov %0, %%ds" ::"r"(0x1234)));            \
	X("sse exception", {                                                         \
		unsigned csr = 0x1f80 & ~0x200u;                                     \
		__asm__ volatile("ldmxcsr %0" ::"m"(csr));                           \
		volatile double zero = 0, one = 1;                                   \
		one = one / zero;                                                    \
	})

/* What user level may not execute; nothing of it may end by going on. */
#define PRIVILEGED_ASM(text) \
	__asm__ volatile(text ::"a"(0), "c"(0xc0000082), "d"(0), "b"(0) : "memory")
#define PRIVILEGED_INSTRUCTIONS(X) \
	X("hlt");                  \
	X("cli");                  \
	X("sti");                  \
	X("wrmsr");                \
	X("rdmsr");                \
	X("mov %%rax, %%cr3");     \
	X("mov %%cr4, %%rax");     \
	X("mov %%rax, %%dr7");     \
	X("lgdt (%%rsp)");         \
	X("lidt (%%rsp)");         \
	X("ltr %%ax");             \
	X("invlpg (%%rax)");       \
	X("wbinvd");               \
	X("clts");                 \
	X("swapgs");               \
	X("sysretq");              \
	X("iretq");                \
	X("outb %%al, $0x80");     \
	X("xsetbv");               \
	X("int $0x20");            \
	X("int $0x0e");            \
	X("int $0x08");            \
	X("int $0x02");            \
	X("ud2");                  \
	X("lldt %%ax");            \
	X("mov %%ax, %%ss")

/* Calls of the hypervisor, with arguments all zero or all ones. */
static inline void call_hypervisor_with_zeros(void)
{
	__asm__ volatile("vmcall" ::"a"(0), "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
}

static inline void call_hypervisor_with_ones(void)
{
	__asm__ volatile("vmmcall" ::"a"(~0ul), "b"(~0ul), "c"(~0ul), "d"(~0ul), "S"(~0ul)
			 : "memory");
}

static inline void fault_on_a_bad_stack(void)
{
	__asm__ volatile("mov $0x1234567890, %rsp; push %rax; ud2");
}

static inline void sigreturn_without_a_stack(void)
{
	__asm__ volatile("mov $15, %eax; xor %esp, %esp; syscall; ud2");
}

/* Code of a function that returns 42, and of a program that does exit(7). */
#define CODE_RETURN_42 0xb8, 42, 0, 0, 0, 0xc3
#define CODE_EXIT_7 0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05
#define GUEST_ELF_MACHINE EM_X86_64
#define GUEST_OTHER_MACHINE EM_AARCH64

#endif
