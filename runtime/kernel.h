/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application kernel of one container: what its processes share. Created once by
 * kernel_create(), set going by kernel_start(); it says through a descriptor when the first process
 * has ended and every guest thread is gone.
 *
 * oci/ fills struct kernel_config and knows nothing below this header.
 */
#ifndef NACRE_RUNTIME_KERNEL_H
#define NACRE_RUNTIME_KERNEL_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

struct kernel;
struct sock_filter; /* <linux/filter.h> */

struct kernel_mount {
	const char *target; /* absolute path in the container */
	const char *fstype; /* "host": the directory (or file) behind dirfd; "proc", "devpts",
			       "tmpfs", "dev", "mqueue"; what is on one of these: "mask" hides it
			       behind an empty directory or the device behind dirfd,
			       "readonly" protects it; nothing is done where nothing is */
	int dirfd;	    /* "host" and "mask"; owned by the kernel after kernel_create() */
	const char *source, *options; /* shown by /proc/mounts, flags apart; parsed by the fs */
	unsigned long flags;	      /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME ... */
};

struct kernel_process_spec {
	char *const *argv;
	char *const *envp;
	const char *cwd;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t ngroups;
	mode_t umask; /* (mode_t)-1: 022 */
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	bool no_new_privs;
	const struct sock_filter *seccomp; /* judges its system calls and its children's; or NULL */
	size_t nseccomp;		   /* instructions */
	struct rlimit64 rlimits[16]; /* indexed by RLIMIT_*, always all filled in */
	int stdio[3];		     /* host descriptors; -1: closed. Owned by the kernel afterwards */
	int extra_fds;		     /* --preserve-fds: how many become descriptors 3 .. 3+n-1 */
	int *extra;		     /* their host descriptors; NULL: the same numbers. Not copied */
	bool terminal;		     /* stdio is the container's controlling terminal */
	unsigned personality;	     /* personality(2) */
	int sched_policy, sched_priority; /* sched(7), as reported */
	bool sched_reset_on_fork;
	int nice;
	uint64_t affinity[16]; /* CPUs it may run on; all 0: every one */
};

/* A node to make: mknod(2). */
struct kernel_device {
	const char *path; /* absolute, in the container */
	mode_t mode;	  /* with its type */
	uint64_t rdev;
	uid_t uid;
	gid_t gid;
};

/* How translations are flushed: nacre(1), --tlb. */
enum kernel_tlb { KERNEL_TLB_SELECTIVE, KERNEL_TLB_BROADCAST, KERNEL_TLB_PARANOID };

/* A line of /proc/PID/uid_map: `count` ids from `inside` on stand for those from `outside` on. */
struct kernel_idmap {
	uint32_t inside, outside, count;
};
/* The user namespace that the container's ids belong to (user_namespaces(7)). */
struct kernel_ids {
	const struct kernel_idmap *uid, *gid; /* copied; none: every id is itself */
	size_t nuid, ngid;
	bool no_setgroups; /* setgroups(2) was given up for the right to map a group */
};

struct platform; /* opaque: the machine, still empty */

struct kernel_config {
	const char *hostname, *domainname;
	const char *backend, *backend_dir;
	unsigned max_vcpus;	   /* 0: default */
	enum kernel_tlb tlb;
	uint64_t memory_bytes;	   /* container's memory limit, 0: none */
	unsigned pids_max;	   /* guest processes and threads, 0: default bound */
	int rootfs_fd;		   /* directory of the root file system; owned afterwards */
	int host_proc_fd;	   /* the host's /proc, O_PATH, kept from before the pivot; or -1 */
	bool root_readonly;
	const struct kernel_mount *mounts;
	size_t nmounts;
	const struct kernel_device *devices; /* beside the default ones */
	size_t ndevices;
	int64_t boottime_offset; /* ns the container's clocks say it has run before it began */
	bool strace;		   /* print guest system calls to log_fd */
	bool debug;
	int log_fd;		   /* where strace, debug and crash reports go; -1: none */
	struct kernel_ids ids;
	struct platform *platform; /* from kernel_open_machine(); the kernel's after kernel_create() */
	struct kernel_process_spec init;
};

/*
 * Open the hypervisor and make the empty machine: cfg->platform, by what cfg says of backend and vCPUs.
 * A step of its own, because the process may be about to become somebody who may not open it. 0 or
 * -errno with one sentence in err.
 */
int kernel_open_machine(struct kernel_config *cfg, char *err, size_t errlen);

/* 0 or -errno with one sentence for the user in err. Nothing of the guest has run yet. */
int kernel_create(const struct kernel_config *cfg, struct kernel **out, char *err, size_t errlen);
/*
 * Load the init process (so that a bad argv[0] fails here, with "executable file not found in $PATH"
 * or "no such file or directory" or "permission denied" in err), but run nothing yet.
 */
int kernel_load_init(struct kernel *k, char *err, size_t errlen);
/*
 * Run init. When it has ended and all other guest tasks were killed, `ended` (an eventfd) becomes
 * readable.
 */
void kernel_start(struct kernel *k, int ended);
/* Init's wait(2) status, after that. */
int kernel_status(struct kernel *k);
/* From any thread of the sandbox: deliver a signal from outside. pid 0: init; -1: every process. */
int kernel_signal(struct kernel *k, pid_t pid, int sig);
/*
 * A signal a host terminal raised (^C, a new window size): to the foreground group of the container's
 * terminal or, with the pid of a process from kernel_exec(), of that process's terminal. SIGHUP also
 * hangs its session up. -ENOTTY or -ESRCH when there is none.
 */
int kernel_terminal_signal(struct kernel *k, pid_t pid, int sig);
/*
 * Start a further process (exec). Its wait status goes to done(status, arg) when it ended.
 * Returns its guest pid or -errno with a sentence.
 */
int kernel_exec(struct kernel *k, const struct kernel_process_spec *spec,
		void (*done)(int status, void *arg), void *arg, char *err, size_t errlen);
/* Guest pids alive, at most cap; returns the count. */
size_t kernel_pids(struct kernel *k, pid_t *pids, size_t cap);
/* Another bound for processes and threads; 0: the default one. Those above it live on. */
void kernel_set_pids_max(struct kernel *k, unsigned pids_max);
/*
 * The processes as a JSON array of {pid, ppid, uid, threads, ageMs, cpuMs, command}; those that do not
 * fit in cap (at least 4 bytes) are left out. The length.
 */
size_t kernel_processes_json(struct kernel *k, char *buf, size_t cap);
/* nacre's own counters as one JSON object; returns the length (snprintf rules). */
size_t kernel_stats_json(struct kernel *k, char *buf, size_t cap);
void kernel_destroy(struct kernel *k);

#endif
