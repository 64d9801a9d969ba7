/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: actions, masks, queues, delivery. Guest ABI structures are in runtime/arch/.
 * Signal sets are uint64_t: bit n-1 is signal n.
 */
#ifndef NACRE_RUNTIME_TASK_SIGNAL_H
#define NACRE_RUNTIME_TASK_SIGNAL_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/list.h"

struct task;
struct process;
struct kernel;
struct session;

#define GUEST_NSIG 64
#define SIGBIT(n) ((uint64_t)1 << ((n)-1))

/* siginfo_t as the guest sees it: the same 128 bytes on x86-64 and arm64 (sigaction(2)). */
typedef siginfo_t guest_siginfo_t;

typedef struct {
	uint64_t sp;
	int32_t flags;
	uint64_t size;
} stack_t_guest;

struct sigqueue {
	uint64_t set;	   /* signals pending here */
	struct list infos; /* queued siginfo, in order of arrival */
};

struct sigaction_guest {
	uint64_t handler, flags, restorer, mask; /* the kernel's struct, same layout on both ABIs */
};

struct sighand { /* shared by CLONE_SIGHAND */
	atomic_uint refs;
	struct sigaction_guest action[GUEST_NSIG + 1]; /* protected by process->sig_lock */
};

/* Signal numbers are checked by the caller (0 < sig <= 64). info NULL: SI_KERNEL. 0 or -EAGAIN. */
int signal_send_task(struct task *t, int sig, const guest_siginfo_t *info);
int signal_send_process(struct process *p, int sig, const guest_siginfo_t *info);
/* Every process of the group / of the session's foreground group (terminals). Takes tasks_lock. */
int signal_send_pgrp(struct kernel *k, pid_t pgid, int sig, const guest_siginfo_t *info);
/* Synchronous fault: cannot be blocked or ignored (force_sig_info). */
void signal_force_fault(struct task *t, int sig, int code, uint64_t addr, int trapno, uint64_t err);

/* A signal that would be delivered now, or a stop or exit to act on: blocking calls return. */
bool signal_pending(struct task *t);
/*
 * Called by the task loop before user mode with the system call's result (or in_syscall false): acts
 * on exits and stops, sets up a handler frame, decides on restart. Returns false when the task ended.
 */
bool signal_deliver(struct task *t, bool in_syscall, int64_t result);
/* sigsuspend and friends: replace the mask until the next delivery. */
void signal_set_temp_mask(struct task *t, uint64_t mask);

#endif
