/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 guest user registers, and the accessors that keep runtime/ free of register names.
 * Pure data and inline accessors: included by platform/ as well.
 */
#ifndef NACRE_ARCH_X86_64_REGS_H
#define NACRE_ARCH_X86_64_REGS_H

#include <stdint.h>

struct arch_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t fs_base, gs_base;
	uint16_t cs, ss, ds, es, fs, gs;
	uint64_t orig_rax; /* system-call number at entry, or ~0: not in a system call (restart) */
};

#define ARCH_NAME "x86_64"
#define ARCH_NAME_32 "i686" /* what uname(2) says with PER_LINUX32 */
#define ARCH_SYSCALL_INSN_LEN 2
/* Positions of the last two arguments of clone(2), which differ between architectures. */
#define ARCH_CLONE_ARG_CTID 3
#define ARCH_CLONE_ARG_TLS 4
#define ARCH_NR_RESTART_SYSCALL 219
#define ARCH_AUDIT 0xc000003eu /* AUDIT_ARCH_X86_64: seccomp filters look at it */
#define ARCH_ELF_MACHINE 62 /* EM_X86_64 */
#define ARCH_MAP_32BIT 0x40u /* mmap(2) */
/* What the kernel calls O_LARGEFILE, set for every 64-bit program; to the C library it is 0. */
#define ARCH_O_LARGEFILE 0100000
#define ARCH_MINSIGSTKSZ 2048u /* the constant sigaltstack(2) checks against */
/* This architecture's number of a row of the system-call table. */
#define ARCH_SYSCALL_COLUMN(x86_64, arm64) (x86_64)

static inline uint64_t arch_pc(const struct arch_regs *r) { return r->rip; }
static inline void arch_set_pc(struct arch_regs *r, uint64_t v) { r->rip = v; }
static inline uint64_t arch_sp(const struct arch_regs *r) { return r->rsp; }
static inline void arch_set_sp(struct arch_regs *r, uint64_t v) { r->rsp = v; }
/* A system-call trap just came: keep the number, which the result will overwrite. */
static inline uint64_t arch_begin_syscall(struct arch_regs *r)
{
	return r->orig_rax = r->rax;
}
static inline uint64_t arch_syscall_nr(const struct arch_regs *r) { return r->orig_rax; }
static inline void arch_syscall_args(const struct arch_regs *r, uint64_t a[6])
{
	a[0] = r->rdi, a[1] = r->rsi, a[2] = r->rdx, a[3] = r->r10, a[4] = r->r8, a[5] = r->r9;
}
static inline void arch_set_result(struct arch_regs *r, int64_t v) { r->rax = (uint64_t)v; }
static inline int64_t arch_result(const struct arch_regs *r) { return (int64_t)r->rax; }
static inline void arch_set_tls(struct arch_regs *r, uint64_t v) { r->fs_base = v; }
/* Rewind to the system-call instruction with the original number, for a restart. */
static inline void arch_restart_syscall(struct arch_regs *r, uint64_t nr)
{
	r->rip -= ARCH_SYSCALL_INSN_LEN;
	r->rax = nr;
}

#endif
