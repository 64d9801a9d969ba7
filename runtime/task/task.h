/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks (guest threads) and processes (thread groups). Each task is one host thread.
 *
 * Lock order of the application kernel (indented: taken inside):
 *	kernel->tasks_lock		pid table, parent/child/group/session links, exit states
 *	  process->sig_lock		actions, shared and private pending sets, stop state
 *	  fdtable->lock
 *	  file->pos_lock
 *	    vnode and object locks (pipe, tty, epoll ...)
 *	      mm's lock
 *	        frame allocator's lock
 *	      waitq->lock		leaf
 */
#ifndef NACRE_RUNTIME_TASK_TASK_H
#define NACRE_RUNTIME_TASK_TASK_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "mm/mm.h"
#include "platform/platform.h"
#include "runtime/arch/regs.h"
#include "runtime/errno.h"
#include "runtime/kernel.h"
#include "runtime/list.h"
#include "runtime/task/signal.h"
#include "runtime/task/wait.h"

struct fdtable;
struct file;
struct fs_context; /* root, cwd, umask: runtime/fs/fs_context.h */
struct tty;

/* Immutable after publication; replace the pointer to change (setuid and friends, execve). */
struct cred {
	atomic_uint refs;
	uid_t uid, euid, suid, fsuid;
	gid_t gid, egid, sgid, fsgid;
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	size_t ngroups;
	gid_t groups[]; /* sorted */
};
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
bool cred_capable(const struct cred *c, int cap); /* effective set holds CAP_* */
bool cred_in_group(const struct cred *c, gid_t gid);

struct session {
	atomic_uint refs;
	pid_t sid;
	struct tty *tty; /* controlling terminal; protected by tasks_lock */
};

struct process {
	struct kernel *kernel;
	pid_t pid; /* tgid */
	atomic_uint refs;

	/* protected by kernel->tasks_lock */
	struct process *parent;
	struct list children, sibling, all_link;
	struct list tasks; /* struct task.group_link */
	unsigned ntasks;
	pid_t pgid;
	struct session *session;
	int exit_signal; /* to the parent, 0: none */
	bool zombie, execed, child_subreaper;
	int exit_status; /* wait(2) status */
	struct rusage usage, children_usage;

	/* protected by sig_lock */
	pthread_mutex_t sig_lock;
	struct sigqueue shared_pending;
	bool group_exiting;
	int group_exit_status;
	bool stopped;	    /* job control */
	int stop_signal;    /* reported by WUNTRACED until consumed */
	bool stop_reported, continued_unreported;

	struct waitq child_wait; /* wait4() sleeps here */
	struct waitq signalfd_wait;
	struct rlimit64 rlimits[16]; /* protected by sig_lock */
	struct timer_set *timers;    /* itimers and POSIX timers: runtime/task/timer.h */
	char exe[4096];		     /* protected by tasks_lock: resolved path of the program */
	uint64_t start_ns;	     /* CLOCK_BOOTTIME at creation */
	bool dumpable;
	void (*done)(int status, void *arg); /* exec'd from outside: told the status */
	void *done_arg;
	struct process *vfork_parent_unused;
};

struct task {
	struct process *process; /* immutable but for execve from a non-leader (tasks_lock) */
	struct kernel *kernel;
	pid_t tid;
	atomic_uint refs;
	struct list group_link; /* tasks_lock */
	struct list hash_link;	/* tasks_lock */
	pthread_t thread;

	/* owner thread only (others read with the process stopped or under sig_lock) */
	struct arch_regs regs;
	struct cpu_thread *cpu;
	struct mm *mm;
	struct fdtable *files;
	struct fs_context *fs;
	struct sighand *sighand; /* shared by CLONE_SIGHAND */
	struct cred *cred;
	bool no_new_privs;
	char comm[16];
	gva_t clear_child_tid, set_child_tid;
	gva_t robust_list;
	uint64_t robust_list_len;
	gva_t rseq;
	uint32_t rseq_len, rseq_sig;
	struct waitq *vfork_done; /* parent sleeps here until exec or exit */
	int pdeath_signal;
	int syscall_nr;		/* being executed, -1: none; read by /proc */
	struct restart_block {
		int64_t (*fn)(struct task *t, struct restart_block *r);
		uint64_t deadline_ns;
		uint64_t arg[5];
	} restart;

	/* protected by process->sig_lock */
	uint64_t sig_blocked;	    /* bit n-1 is signal n */
	uint64_t sig_saved_blocked; /* sigsuspend, ppoll ...: restored after delivery */
	bool restore_saved_blocked;
	struct sigqueue pending;
	uint64_t sig_wait; /* sigtimedwait()'s set */
	stack_t_guest altstack;

	/* park/wake */
	atomic_uint park_state;
	atomic_bool exit_requested; /* group exit or execve by another thread */
	atomic_bool attention;	    /* signals, stops, exits to look at before user mode */
	struct timespec utime_base_unused;
};

struct kernel {
	pthread_mutex_t tasks_lock;
	struct list processes;	 /* process.all_link */
	struct list *task_hash;	 /* tid -> task */
	pid_t last_pid;
	unsigned ntasks, pids_max;
	struct process *init;
	struct waitq all_gone;

	struct platform *platform;
	struct mm_system *mm_system;
	struct vfs *vfs; /* mount tree: runtime/fs/vfs.h */
	struct vdso *vdso;
	struct futex_table *futexes;
	pthread_mutex_t uts_lock;
	char hostname[65], domainname[65];
	uint64_t boot_ns; /* CLOCK_BOOTTIME at creation */
	bool strace, debug;
	int log_fd, host_proc_fd;
	struct kernel_config config; /* deep copy of what must live */
	/* counters, relaxed */
	atomic_ullong syscalls_outside, syscalls_enosys, signals_sent, tasks_created;
	atomic_uint enosys_by_nr[512];
	atomic_ullong syscalls_by_nr[512];
};

/* tasks_lock held; no reference taken. NULL: none. */
struct task *task_find_locked(struct kernel *k, pid_t tid);
struct process *process_find_locked(struct kernel *k, pid_t pid);
void process_get(struct process *p);
void process_put(struct process *p);

/* End this thread group with a wait(2) status (exit_group, fatal signals). Any thread. */
void process_exit_group(struct process *p, int status);
/* What Linux prints and sends when it finds no memory for a fault: SIGKILL to the process. */
void process_oom_kill(struct process *p);

uint64_t process_rlimit(struct process *p, int resource); /* soft limit */

#endif
