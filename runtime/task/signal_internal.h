/* SPDX-License-Identifier: Apache-2.0 */
/* What the signal files share; nobody else includes this. */
#ifndef NACRE_RUNTIME_TASK_SIGNAL_INTERNAL_H
#define NACRE_RUNTIME_TASK_SIGNAL_INTERNAL_H

#include "runtime/task/task.h"

/* struct sigaction's kernel constants that <signal.h> hides or names differently. */
#define GUEST_SA_RESTORER 0x04000000ull
#define GUEST_SS_AUTODISARM 0x80000000u
#define GUEST_MINSIGSTKSZ ARCH_MINSIGSTKSZ
#define HANDLER_DFL 0ull
#define HANDLER_IGN 1ull

#define SIGSET_STOP (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIGSET_IGNORE (SIGBIT(SIGCONT) | SIGBIT(SIGCHLD) | SIGBIT(SIGWINCH) | SIGBIT(SIGURG))
#define SIGSET_KERNEL_ONLY (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
#define SIGSET_SYNCHRONOUS                                                                         \
	(SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) |    \
	 SIGBIT(SIGSYS))
#define GUEST_SIGRTMIN 32

static inline bool sig_valid(uint64_t sig)
{
	return sig >= 1 && sig <= GUEST_NSIG;
}

/* Signals t would take now, blocked ones left out. sig_lock held. */
static inline uint64_t signal_unblocked_locked(const struct task *t)
{
	return (t->pending.set | t->process->shared_pending.set) & ~t->sig_blocked;
}

/* Wake the threads that could take shared signals of `set` which `except` no longer takes. */
void signal_retarget_locked(struct process *p, struct task *except, uint64_t set);
/* What signal_send_* do; t NULL: to the process. force: from outside the pid namespace. */
int signal_send_locked(struct process *p, struct task *t, int sig, const guest_siginfo_t *info,
		       bool force);
/* Discard these signals from the process's and all its threads' queues. */
void signal_flush_all_locked(struct process *p, uint64_t set);
/* Private first, then shared; synchronous ones before others. 0: none. */
int signal_take_locked(struct task *t, uint64_t from, guest_siginfo_t *info);

/* A stop signal was taken by t with p->stop_dequeued set; halts the group. No lock held. */
void signal_stop_group(struct task *t, int sig);
/* Halt while the group is stopped or stopping. */
void signal_stop_wait(struct task *t);
/* The SIGCONT half of sending: resume, discard stop signals. */
void signal_continue_locked(struct process *p);
/* All threads halted? Then the stop is complete and somebody has to tell the parent. */
void signal_stop_check_locked(struct process *p);
/* Tell the parent what p->stop_notify and p->cont_notify say. No lock held. */
void signal_stop_notify(struct process *p);
bool signal_pgrp_orphaned(struct process *p);

#endif
