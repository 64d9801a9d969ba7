/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls are data. Each family keeps its rows in <module>/syscalls.def next to its handlers:
 *
 *	SYSCALL(name, x86_64 number, arm64 number, "argument kinds", flags)
 *
 * Number -1: the architecture has no such call. The table, the handler prototypes
 * (`int64_t sys_name(struct task *t, const uint64_t a[6])`), --strace's printing and the manual's
 * list are generated from these rows. A row exists only for a call that is implemented.
 *
 * Argument kinds, one letter each, in order:
 *	d int  u unsigned  x hex  l long  p pointer  s path or string  f descriptor  F dirfd
 *	o open flags  m mode (octal)  b buffer in  r buffer out (printed after)  n size
 *	g signal  P PROT_*  M MAP_*  c clone flags  S struct stat out  v argv  t timespec in
 */
#ifndef NACRE_RUNTIME_SYSCALL_SYSCALL_H
#define NACRE_RUNTIME_SYSCALL_SYSCALL_H

#include <stddef.h>
#include <stdint.h>

struct task;

#define SYSCALL_MAX  512u /* numbers at or above are never implemented */

#define SYS_BLOCKS   1u /* may park the task */
#define SYS_MM	     2u /* edits the address space: always on the vCPU's own thread */
#define SYS_NORETURN 4u /* does not write a result (exit, rt_sigreturn, execve on success) */
#define SYS_INSIDE   8u /* normally answered by the shim */

typedef int64_t (*syscall_fn)(struct task *t, const uint64_t a[6]);

struct syscall_row {
	const char *name, *args;
	syscall_fn fn;
	unsigned flags;
};

/* NULL: not implemented, answered with ENOSYS and counted. */
const struct syscall_row *syscall_lookup(uint64_t nr);
/* Name of any call of this architecture, implemented or not; NULL: no such number. */
const char *syscall_name(uint64_t nr);
/* Every row this architecture has, in table order; a non-zero answer of fn stops and is returned. */
int syscall_for_each(int (*fn)(int nr, const struct syscall_row *row, void *arg), void *arg);
/* Execute the call described by t->regs; returns its result or -ERESTART*. */
int64_t syscall_dispatch(struct task *t);

#endif
