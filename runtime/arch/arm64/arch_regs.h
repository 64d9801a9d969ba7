/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arm64 guest user registers, and the accessors that keep runtime/ free of register names.
 * Pure data and inline accessors: included by platform/ as well.
 */
#ifndef NACRE_ARCH_ARM64_REGS_H
#define NACRE_ARCH_ARM64_REGS_H

#include <stdint.h>

struct arch_regs {
	uint64_t x[31], sp, pc,
		pstate;	  /* in the order of the shim's page and of the signal frame */
	uint64_t tpidr;	  /* TPIDR_EL0: thread-local storage */
	uint64_t orig_x0; /* x0 at the system call's entry, which its result overwrites */
	uint64_t nr;	  /* system-call number at entry, or ~0: not in a system call (restart) */
};

#define ARCH_NAME "aarch64"
#define ARCH_NAME_32 "armv8l" /* what uname(2) says with PER_LINUX32 */
#define ARCH_SYSCALL_INSN_LEN 4
/* Positions of the last two arguments of clone(2), which differ between architectures. */
#define ARCH_CLONE_ARG_CTID 4
#define ARCH_CLONE_ARG_TLS 3
#define ARCH_NR_RESTART_SYSCALL 128
#define ARCH_AUDIT 0xc00000b7u /* AUDIT_ARCH_AARCH64: seccomp filters look at it */
#define ARCH_ELF_MACHINE 183   /* EM_AARCH64 */
#define ARCH_MAP_32BIT 0u      /* mmap(2): there is none */
/* What the kernel calls O_LARGEFILE, set for every 64-bit program; to the C library it is 0. */
#define ARCH_O_LARGEFILE 0400000
#define ARCH_MINSIGSTKSZ 5120u /* the constant sigaltstack(2) checks against */
/* This architecture's number of a row of the system-call table. */
#define ARCH_SYSCALL_COLUMN(x86_64, arm64) (arm64)

static inline uint64_t arch_pc(const struct arch_regs *r)
{
	return r->pc;
}
static inline void arch_set_pc(struct arch_regs *r, uint64_t v)
{
	r->pc = v;
}
static inline uint64_t arch_sp(const struct arch_regs *r)
{
	return r->sp;
}
static inline void arch_set_sp(struct arch_regs *r, uint64_t v)
{
	r->sp = v;
}
/* A system-call trap just came: keep what its result will overwrite. */
static inline uint64_t arch_begin_syscall(struct arch_regs *r)
{
	r->orig_x0 = r->x[0];
	return r->nr = r->x[8];
}
static inline uint64_t arch_syscall_nr(const struct arch_regs *r)
{
	return r->nr;
}
static inline void arch_syscall_args(const struct arch_regs *r, uint64_t a[6])
{
	a[0] = r->orig_x0;
	for (int i = 1; i < 6; i++)
		a[i] = r->x[i];
}
static inline void arch_set_result(struct arch_regs *r, int64_t v)
{
	r->x[0] = (uint64_t)v;
}
static inline int64_t arch_result(const struct arch_regs *r)
{
	return (int64_t)r->x[0];
}
static inline void arch_set_tls(struct arch_regs *r, uint64_t v)
{
	r->tpidr = v;
}
/* Rewind to the system-call instruction with the original argument, for a restart. */
static inline void arch_restart_syscall(struct arch_regs *r, uint64_t nr)
{
	r->pc -= ARCH_SYSCALL_INSN_LEN;
	r->x[0] = r->orig_x0;
	r->x[8] = nr;
}

#endif
