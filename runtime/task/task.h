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
 *	      task->lock		leaf: pointers other threads may read
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
struct seccomp_chain;
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
/* Working copies, capability numbers and transformations: runtime/task/cred.h. */
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
bool cred_capable(const struct cred *c, int cap); /* effective set holds CAP_* */
bool cred_in_group(const struct cred *c, gid_t gid);

struct session {
	atomic_uint refs;
	pid_t sid;
	struct tty *tty; /* controlling terminal; protected by tasks_lock */
};

/* What a vfork parent sleeps on until the child has its own address space or is gone. */
struct vfork_wait {
	atomic_uint refs; /* parent and child; a killed parent leaves early */
	atomic_bool done;
	struct waitq wait;
};

struct process {
	struct kernel *kernel;
	pid_t pid; /* tgid */
	atomic_uint refs;

	/* protected by kernel->tasks_lock */
	struct process *parent;
	struct list children, sibling, all_link; /* all_link empty: reaped */
	/*
	 * struct task.group_link. Changed with tasks_lock and sig_lock both held, so either of them
	 * suffices to walk it. Tasks leave it when they exit; empty: zombie.
	 */
	struct list tasks;
	unsigned ntasks;
	atomic_uint live;     /* tasks that have not begun to exit */
	pid_t parent_tid;     /* the parent's thread that made us: __WNOTHREAD, PR_SET_PDEATHSIG */
	pid_t pgid;
	struct session *session;
	int exit_signal; /* to the parent, 0: none */
	bool zombie, execed, child_subreaper;
	bool tty_given_up; /* TIOCNOTTY: the session's terminal is not ours; children inherit it */
	int exit_status; /* wait(2) status */
	struct rusage usage, children_usage; /* of threads gone; of children waited for */
	pthread_cond_t thread_gone;	     /* execve waits here for the group's other threads */
	uid_t owner_uid;		     /* real uid when it became a zombie: siginfo, waitid */

	/* protected by sig_lock */
	pthread_mutex_t sig_lock;
	struct sigqueue shared_pending;
	bool group_exiting;
	int group_exit_status;
	struct task *group_exec; /* thread in execve: every other one exits */
	bool unkillable;	 /* init of the pid namespace: default actions do not apply inside */
	bool stopped;	    /* job control */
	int stop_signal;    /* reported by WUNTRACED until consumed */
	bool stop_reported, continued_unreported;
	bool stop_pending;	 /* a stop signal was taken; stopped once every task has halted */
	bool stop_dequeued;	 /* no SIGCONT came since a stop signal was taken from a queue */
	bool stop_notify, cont_notify; /* a thread owes the parent CLD_STOPPED, CLD_CONTINUED */
	unsigned sig_queued;	 /* queued siginfo, bounded by RLIMIT_SIGPENDING */

	struct waitq child_wait; /* wait4() sleeps here */
	struct waitq signalfd_wait;
	struct rlimit64 rlimits[16]; /* protected by sig_lock */
	struct timer_set *timers;    /* itimers and POSIX timers: runtime/task/timer.h */
	char exe[4096];		     /* protected by tasks_lock: resolved path of the program */
	uint64_t exe_dev, exe_ino;   /* protected by tasks_lock: its file, not to be written to */
	uint64_t start_ns;	     /* CLOCK_BOOTTIME at creation */
	atomic_int dumpable; /* PR_SET_DUMPABLE */
	atomic_int nice;
	atomic_int oom_score_adj; /* /proc/PID/oom_score_adj */
	bool thp_disable;
	atomic_uint membarrier; /* commands registered for, membarrier(2) */
	struct waitq exit_wait; /* pidfds: woken when the process became a zombie */
	void (*done)(int status, void *arg); /* exec'd from outside: told the status */
	void *done_arg;
};

struct task {
	struct process *process; /* immutable but for execve from a non-leader (tasks_lock) */
	struct kernel *kernel;
	pid_t tid;
	atomic_uint refs;
	struct list group_link; /* tasks_lock and process->sig_lock */
	pthread_t thread;	/* the host thread; valid while the task is in process->tasks */
	/*
	 * Protects the pointers below that others may look at: mm, files, fs, cred, cpu. The owner
	 * changes them under it and reads them freely; others use task_get_*().
	 */
	pthread_mutex_t lock;

	/* owner thread only (others read with the process stopped or under sig_lock) */
	struct arch_regs regs;
	struct cpu_thread *cpu;
	struct mm *mm;
	struct fdtable *files;
	struct fs_context *fs;
	struct sighand *sighand; /* shared by CLONE_SIGHAND */
	struct cred *cred;
	bool no_new_privs;
	bool seccomp_strict;			/* runtime/task/seccomp.h */
	struct seccomp_chain *_Atomic seccomp;	/* filters; NULL: none */
	atomic_bool answers_stale; /* another thread wants task_update_answers() called */
	int exit_status; /* wait(2) status of this thread alone (exit(2)) */
	atomic_uint *mm_users; /* tasks that run in mm: the last one tears it down */
	char comm[16];
	gva_t clear_child_tid, set_child_tid;
	gva_t robust_list;
	uint64_t robust_list_len;
	gva_t rseq;
	uint32_t rseq_len, rseq_sig;
	struct vfork_wait *vfork; /* we are a vfork child: tell the parent at exec or exit */
	int pdeath_signal;
	struct sched_state { /* what the guest asked for; the host schedules as it likes */
		int policy, priority;
		bool reset_on_fork;
		uint64_t timerslack_ns;
		uint64_t affinity[16]; /* bit n: CPU n */
	} sched;
	unsigned personality;
	struct rusage usage_base;  /* of the host thread when the task began */
	uint64_t cpu_base_ns;	   /* the same by cpu_clock */
	_Atomic uint64_t stime_ns; /* system time as of the last sample */
	clockid_t cpu_clock;	   /* of the host thread */
	uint64_t start_ns;	   /* CLOCK_BOOTTIME */
	uint64_t trapped_nr;	/* number of the last system call trapped; orig_rax may change */
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
	bool in_stop; /* halted by a job-control stop */
	atomic_bool futex_exited; /* will hand over no more PI futexes: runtime/task/futex_pi.c */
	stack_t_guest altstack;

	/* the last fault, as a signal frame shows it: owner only */
	uint64_t trap_addr, trap_err;
	int trap_nr;

	/* park/wake */
	atomic_uint park_state;
	atomic_bool exit_requested; /* group exit or execve by another thread */
	atomic_bool attention;	    /* signals, stops, exits to look at before user mode */
};

struct kernel {
	pthread_mutex_t tasks_lock;
	struct list processes;	 /* process.all_link, in order of creation; zombies too */
	struct pid_table *pids;	 /* runtime/task/pid.h */
	unsigned ntasks;	 /* tasks alive */
	unsigned nzombies;	 /* processes that wait to be reaped */
	unsigned pids_max;	 /* bound of both together */
	struct process *init;	 /* a reference; also after its death */
	bool init_gone;		 /* no process may be made any more */
	int init_status;
	pthread_cond_t all_gone; /* with tasks_lock: ntasks fell to 0 */
	int ended_fd;		 /* an eventfd that says so outside, or -1; immutable once init runs */
	struct worker_pool *workers; /* host threads: runtime/task/loop.c */
	struct task *init_task;	     /* loaded, not started yet; its host thread waits */
	struct worker *init_worker;

	struct platform *platform;
	struct mm_system *mm_system;
	struct vfs *vfs; /* mount tree: runtime/fs/vfs.h */
	struct vdso *vdso;
	struct ipc *_Atomic ipc; /* System V IPC, made at its first use: runtime/syscall/ipc.h */
	struct futex_table *futexes;
	pthread_mutex_t uts_lock;
	char hostname[65], domainname[65];
	uint64_t boot_ns; /* CLOCK_BOOTTIME at creation */
	bool strace, debug;
	int log_fd, host_proc_fd;
	uint64_t host_affinity[16]; /* CPUs the sandbox may use; immutable */
	struct kernel_config config; /* deep copy of what must live */
	/* counters, relaxed */
	atomic_ullong syscalls_outside, syscalls_enosys, signals_sent, tasks_created, oom_kills;
	atomic_uint enosys_by_nr[512];
	atomic_ullong syscalls_by_nr[512];
};

/* tasks_lock held; no reference taken. NULL: none. */
struct task *task_find_locked(struct kernel *k, pid_t tid);
struct process *process_find_locked(struct kernel *k, pid_t pid);
/* With a reference. */
struct task *task_find(struct kernel *k, pid_t tid);
struct process *process_find(struct kernel *k, pid_t pid);
void task_get(struct task *t);
void task_put(struct task *t);
void process_get(struct process *p);
void process_put(struct process *p);
/* Any thread of the group that has not exited; tasks_lock or sig_lock held. NULL: a zombie. */
struct task *process_any_task_locked(struct process *p);
/* The same with a reference, taking sig_lock. */
struct task *process_any_task(struct process *p);
pid_t process_ppid(struct process *p); /* 0: the parent is outside. Takes tasks_lock. */

/* References to what another thread uses, for /proc, kill, ptrace-like checks; NULL: exited. */
struct mm *task_get_mm(struct task *t);
struct fdtable *task_get_files(struct task *t);
struct fs_context *task_get_fs(struct task *t);
struct cred *task_get_cred(struct task *t); /* never NULL */
/* Owner only: takes over the reference to c; the shim's answers follow. */
void task_set_cred(struct task *t, struct cred *c);
/* Owner only: tell the shim what getpid, gettid, getuid ... answer. */
void task_update_answers(struct task *t);

/*
 * Have a task look at its flags: sets attention, ends its park, kicks its vCPU. Any thread, also
 * with tasks_lock or sig_lock held.
 */
void task_interrupt(struct task *t);

/* End this thread group with a wait(2) status (exit_group, fatal signals). Any thread. */
void process_exit_group(struct process *p, int status);
void process_exit_group_locked(struct process *p, int status); /* sig_lock held */
/* What Linux prints and sends when it finds no memory for a fault: SIGKILL to the process. */
void process_oom_kill(struct process *p);
/* May t signal, look into or change p (kill(2)'s and ptrace's rules)? */
bool task_may_signal(struct task *t, struct process *p, int sig);
bool task_may_ptrace(struct task *t, struct task *target);

uint64_t process_rlimit(struct process *p, int resource); /* soft limit */

/* CPU time; user and system of the process's threads, living and gone. */
void process_cpu_times(struct process *p, uint64_t *user_ns, uint64_t *sys_ns);
void task_cpu_times(struct task *t, uint64_t *user_ns, uint64_t *sys_ns);

#endif
