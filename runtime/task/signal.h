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
#include <stddef.h>
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

/*
 * Dispositions, shared by CLONE_SIGHAND. Its lock is taken inside process->sig_lock (tasks of two
 * processes may share one sighand) and is a leaf.
 */
struct sighand {
	atomic_uint refs;
	pthread_mutex_t lock;			       /* protects action */
	struct sigaction_guest action[GUEST_NSIG + 1]; /* index 0 is unused */
};
struct sighand *sighand_create(void);			  /* all default; NULL: no memory */
struct sighand *sighand_copy(struct sighand *src);	  /* fork without CLONE_SIGHAND */
struct sighand *sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);
void sighand_action(struct sighand *s, int sig, struct sigaction_guest *out);

/* ---- life of a process and a task, called by task/ ---- */

/* sig_lock, shared_pending, stop state, signalfd_wait. Before publication. */
void signal_process_init(struct process *p);
void signal_process_destroy(struct process *p); /* last reference: frees queued siginfo */
/* Private pending set, masks, altstack, park state, restart. t->sighand is the caller's business. */
void signal_task_init(struct task *t);
/* t was just entered into p->tasks (sig_lock held): it takes part in a stop under way. */
void signal_task_joined_locked(struct task *t);
/*
 * t was just taken out of p->tasks at its exit (sig_lock held; tasks_lock may be). Discards its own
 * signals, hands shared ones it would have taken to others, completes a stop that waited for it.
 */
void signal_task_left_locked(struct task *t);
/*
 * execve after the point of no return, all other threads gone: unshares sighand, resets handlers to
 * default (ignored stay ignored), forgets the altstack. Pending signals and the mask stay.
 */
void signal_exec_reset(struct task *t);

/* ---- queues (sig_lock held) ---- */

void sigqueue_init(struct sigqueue *q);
void sigqueue_flush(struct process *p, struct sigqueue *q, uint64_t set); /* discard these signals */
/* 0, or -EAGAIN past RLIMIT_SIGPENDING. A standard signal already pending stays as it is. */
int sigqueue_add(struct process *p, struct sigqueue *q, int sig, const guest_siginfo_t *info,
		 bool must);
/* Take one signal out of set `from`: synchronous first, then lowest number. 0: none. */
int sigqueue_take(struct process *p, struct sigqueue *q, uint64_t from, guest_siginfo_t *info);

/* ---- sending ---- */

/*
 * Signal numbers are checked by the caller (0 < sig <= 64). info NULL: SI_KERNEL. 0 or -EAGAIN.
 * Both take sig_lock; tasks_lock may be held or not. The caller keeps t or p alive.
 */
int signal_send_task(struct task *t, int sig, const guest_siginfo_t *info);
int signal_send_process(struct process *p, int sig, const guest_siginfo_t *info);
/*
 * From a timer of p: to its thread tid, or to the process when tid is 0. Takes no reference, which the
 * timer thread could not drop. -ESRCH: nobody is left.
 */
int signal_send_timer(struct process *p, pid_t tid, int sig, const guest_siginfo_t *info);
/* From outside the container: SIGKILL and SIGSTOP work on init too (pid_namespaces(7)). */
int signal_send_external(struct process *p, int sig);
/*
 * Every process of the group (terminals, orphaned groups). Takes tasks_lock. 0, or -ESRCH when there
 * is none.
 */
int signal_send_pgrp(struct kernel *k, pid_t pgid, int sig, const guest_siginfo_t *info);
int signal_send_pgrp_locked(struct kernel *k, pid_t pgid, int sig, const guest_siginfo_t *info);
/* Synchronous fault: cannot be blocked or ignored (force_sig_info). t is the calling thread's. */
void signal_force_fault(struct task *t, int sig, int code, uint64_t addr, int trapno, uint64_t err);
/* Force SIGSEGV with SI_KERNEL: a signal frame could not be built or was bad. */
void signal_force_segv(struct task *t, int during_sig);
/* Same, any signal and siginfo (seccomp's SIGSYS). */
void signal_force_info(struct task *t, int sig, const guest_siginfo_t *info);
/* Would sig be ignored or is it blocked by t? (tty: SIGTTIN, SIGTTOU rules) */
bool signal_ignored_or_blocked(struct task *t, int sig);
/* t's pending signals (private and shared) within set; sig_lock taken. */
uint64_t signal_pending_set(struct task *t);

/* A signal that would be delivered now, or a stop or exit to act on: blocking calls return. */
bool signal_pending(struct task *t);
/* Only what ends the task: exit_requested or a pending SIGKILL (vfork waits). */
bool signal_fatal_pending(struct task *t);
/*
 * Called by the task loop before user mode whenever t->attention is set or the system call's result
 * is an -ERESTART*: with in_syscall, stores `result` into t->regs (or rewinds for a restart), acts on
 * exits and stops, sets up handler frames. Returns false when the task must end (exit_requested, or
 * a fatal signal for which process_exit_group() was called).
 */
bool signal_deliver(struct task *t, bool in_syscall, int64_t result);
/* sigsuspend and friends: replace the mask until the next delivery or the end of this call. */
void signal_set_temp_mask(struct task *t, uint64_t mask);
/* The ppoll/pselect/epoll_pwait argument: copy a sigset in (size must be 8) and set it. 0, -errno. */
int signal_temp_mask_from_guest(struct task *t, uint64_t addr, uint64_t size);
/* Replace the mask (rt_sigreturn, rt_sigprocmask); SIGKILL and SIGSTOP are left out. */
void signal_set_mask(struct task *t, uint64_t mask);

#endif
