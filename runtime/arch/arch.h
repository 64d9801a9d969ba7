/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between guest architectures above the register file: signal frames, the meaning of
 * exceptions, ABI structures. Implemented in runtime/arch/$ARCH/.
 */
#ifndef NACRE_RUNTIME_ARCH_ARCH_H
#define NACRE_RUNTIME_ARCH_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "platform/platform.h"
#include "runtime/arch/regs.h"
#include "runtime/task/signal.h"

struct task;
struct kstat;

/* Turn a CPU_TRAP_EXCEPTION into the signal Linux would send. Called on t's own thread. */
void arch_exception(struct task *t, const struct cpu_trap *trap);
/* mm_fault() or mm_fault_host() refused (-EFAULT, -EACCES, -ENXIO): send SIGSEGV or SIGBUS. */
void arch_fault_signal(struct task *t, const struct cpu_trap *trap, int err);

/*
 * Build the handler's frame on the guest stack and point t->regs at the handler. `mask` is what
 * sigreturn restores. 0, or -EFAULT when the stack is not writable or the action not usable: the
 * caller forces SIGSEGV. t->regs is unchanged on failure.
 */
int arch_signal_frame(struct task *t, int sig, const struct sigaction_guest *act,
		      const guest_siginfo_t *info, uint64_t mask);
/* Undo it. 0, or -EFAULT for a frame that cannot be read or loaded. */
int arch_sigreturn(struct task *t);
/* Smallest and advertised signal stack (AT_MINSIGSTKSZ, sigaltstack(2)). */
size_t arch_minsigstksz(const struct platform *p);

/* Point a new thread's TLS register at tls (CLONE_SETTLS). 0 or -EPERM: not a user address. */
int arch_set_thread_tls(struct arch_regs *regs, uint64_t tls);
/* Registers of a fresh program: everything zero but the entry point and the stack. */
void arch_start_regs(struct arch_regs *regs, uint64_t entry, uint64_t sp);
/* A new thread or process's view of the call that made it: result 0, optionally another stack. */
void arch_child_regs(struct arch_regs *child, uint64_t sp);

/* Is this word of /proc/cpuinfo's list of features one that the guest does not have? */
bool arch_hides_cpu_feature(const char *name);

/* The guest's struct stat (newfstatat and friends). */
#define ARCH_STAT_SIZE_MAX 144
size_t arch_stat(const struct kstat *in, uint8_t out[ARCH_STAT_SIZE_MAX]);
/* Text of the guest's user registers for crash reports. snprintf rules. */
size_t arch_dump_regs(const struct arch_regs *regs, char *buf, size_t cap);

#endif
