/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/walls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

struct wall {
	int nr;
	const char *why;
};
#define W(name, why)                \
	{                           \
		SCMP_SYS(name), why \
	}

static const struct wall allowed[] = {
	/* memory: the guest's arena, file windows, thread stacks */
	W(munmap, "file windows, thread stacks"),
	W(mremap, "allocator"),
	W(madvise, "freed frames; invalidation of shadowed frames"),
	W(mincore, "file windows"),
	W(msync, "msync of the guest"),
	W(brk, "allocator"),
	W(memfd_create, "anonymous files of the guest"),
	W(fallocate, "punching frames out; fallocate of the guest"),
	W(ftruncate, "arena, files"),
	W(truncate, "files"),
	W(mlock, "mlock of the guest"),
	W(munlock, "mlock of the guest"),
	W(membarrier, "address-space wide barriers"),
	/* threads and time */
	W(exit, "thread end"),
	W(exit_group, "sandbox end"),
	W(futex, "every wait and wake"),
	W(futex_waitv, "waits on several words"),
	W(set_robust_list, "thread start"),
	W(get_robust_list, "thread start"),
	W(rseq, "thread start"),
	W(set_tid_address, "thread start"),
	W(gettid, "kicks"),
	W(getpid, "kicks"),
	W(getppid, "library"),
	W(tgkill, "kicks"),
	W(tkill, "kicks"),
	W(kill, "ending with the container's signal"),
	W(rt_sigaction, "handlers of the sandbox"),
	W(rt_sigprocmask, "kick-safe waits"),
	W(rt_sigreturn, "handlers of the sandbox"),
	W(rt_sigtimedwait, "waits"),
	W(rt_sigpending, "waits"),
	W(rt_sigsuspend, "waits"),
	W(rt_sigqueueinfo, "kicks"),
	W(rt_tgsigqueueinfo, "kicks"),
	W(sigaltstack, "crash reports"),
	W(signalfd4, "signals from outside"),
	W(restart_syscall, "waits after a stop"),
	W(sched_yield, "spins"),
	W(sched_getaffinity, "number of CPUs"),
	W(sched_setaffinity, "affinity of the guest"),
	W(sched_getparam, "thread attributes"),
	W(sched_getscheduler, "thread attributes"),
	W(sched_setscheduler, "scheduling class of the guest"),
	W(sched_get_priority_min, "scheduling class of the guest"),
	W(sched_get_priority_max, "scheduling class of the guest"),
	W(getpriority, "nice of the guest"),
	W(setpriority, "nice of the guest"),
	W(getcpu, "getcpu of the guest"),
	W(nanosleep, "waits"),
	W(clock_nanosleep, "waits"),
	W(clock_gettime, "clocks"),
	W(clock_getres, "clocks"),
	W(gettimeofday, "clocks"),
	W(time, "clocks"),
	W(times, "clocks"),
	W(getitimer, "clocks"),
	W(setitimer, "clocks"),
	W(timer_create, "timers"),
	W(timer_settime, "timers"),
	W(timer_gettime, "timers"),
	W(timer_getoverrun, "timers"),
	W(timer_delete, "timers"),
	W(timerfd_create, "timers"),
	W(timerfd_settime, "timers"),
	W(timerfd_gettime, "timers"),
	W(getrusage, "usage of the guest"),
	W(getrlimit, "limits"),
	W(setrlimit, "limits"),
	W(sysinfo, "sysinfo of the guest"),
	W(uname, "library"),
	W(getrandom, "random numbers"),
	W(arch_prctl, "thread start"),
	W(wait4, "library"),
	W(waitid, "library"),
	/* descriptors */
	W(read, "files"),
	W(write, "files"),
	W(pread64, "files"),
	W(pwrite64, "files"),
	W(readv, "files"),
	W(writev, "files"),
	W(preadv, "files"),
	W(pwritev, "files"),
	W(preadv2, "files without blocking"),
	W(pwritev2, "files without blocking"),
	W(lseek, "files"),
	W(close, "files"),
	W(close_range, "files"),
	W(dup, "files"),
	W(dup2, "files"),
	W(dup3, "files"),
	W(fcntl, "descriptor flags, locks"),
	W(flock, "locks"),
	W(pipe, "wake-ups"),
	W(pipe2, "wake-ups"),
	W(eventfd2, "wake-ups"),
	W(splice, "copies"),
	W(tee, "copies"),
	W(vmsplice, "copies"),
	W(sendfile, "copies"),
	W(copy_file_range, "copies"),
	W(fsync, "files"),
	W(fdatasync, "files"),
	W(sync_file_range, "files"),
	W(syncfs, "files"),
	W(sync, "files"),
	W(fadvise64, "files"),
	W(readahead, "files"),
	W(poll, "waits"),
	W(ppoll, "waits"),
	W(select, "waits"),
	W(pselect6, "waits"),
	W(epoll_create1, "waits"),
	W(epoll_create, "waits"),
	W(epoll_ctl, "waits"),
	W(epoll_wait, "waits"),
	W(epoll_pwait, "waits"),
	W(epoll_pwait2, "waits"),
	W(inotify_init1, "inotify of the guest"),
	W(inotify_add_watch, "inotify of the guest"),
	W(inotify_rm_watch, "inotify of the guest"),
	/* paths: always relative to descriptors of the container's directories */
	W(open, "library"),
	W(openat, "files"),
	W(openat2, "files beneath a directory"),
	W(access, "library"),
	W(faccessat, "files"),
	W(faccessat2, "files"),
	W(stat, "library"),
	W(lstat, "library"),
	W(fstat, "files"),
	W(newfstatat, "files"),
	W(statx, "files"),
	W(statfs, "files"),
	W(fstatfs, "files"),
	W(getdents64, "directories"),
	W(getcwd, "library"),
	W(readlink, "library"),
	W(readlinkat, "links"),
	W(mkdirat, "directories"),
	W(mknodat, "fifos and sockets"),
	W(unlink, "library"),
	W(unlinkat, "files"),
	W(renameat, "files"),
	W(renameat2, "files"),
	W(linkat, "files"),
	W(symlinkat, "links"),
	W(name_to_handle_at, "file identity"),
	W(fchmod, "files"),
	W(fchmodat, "files"),
	{452, "files: fchmodat2"},
	W(chmod, "sockets"),
	W(fchown, "files"),
	W(fchownat, "files"),
	W(lchown, "sockets"),
	W(chown, "sockets"),
	W(utimensat, "files"),
	W(umask, "files"),
	W(chdir, "library"),
	W(fchdir, "sockets"),
	W(getxattr, "attributes"),
	W(lgetxattr, "attributes"),
	W(fgetxattr, "attributes"),
	W(setxattr, "attributes"),
	W(lsetxattr, "attributes"),
	W(fsetxattr, "attributes"),
	W(listxattr, "attributes"),
	W(llistxattr, "attributes"),
	W(flistxattr, "attributes"),
	W(removexattr, "attributes"),
	W(lremovexattr, "attributes"),
	W(fremovexattr, "attributes"),
	/* sockets; families are checked below */
	W(socketpair, "sockets"),
	W(bind, "sockets"),
	W(connect, "sockets"),
	W(listen, "sockets"),
	W(accept, "sockets"),
	W(accept4, "sockets, control socket"),
	W(getsockname, "sockets"),
	W(getpeername, "sockets"),
	W(setsockopt, "sockets"),
	W(getsockopt, "sockets"),
	W(sendto, "sockets"),
	W(recvfrom, "sockets"),
	W(sendmsg, "sockets"),
	W(recvmsg, "sockets"),
	W(sendmmsg, "sockets"),
	W(recvmmsg, "sockets"),
	W(shutdown, "sockets"),
	/* identity: files are made with the guest's ids */
	W(getuid, "identity"),
	W(geteuid, "identity"),
	W(getgid, "identity"),
	W(getegid, "identity"),
	W(getgroups, "identity"),
	W(getresuid, "identity"),
	W(getresgid, "identity"),
	W(setfsuid, "files of the guest's user"),
	W(setfsgid, "files of the guest's group"),
	W(capget, "identity"),
	W(capset, "dropping"),
	W(getpgrp, "terminals"),
	W(getpgid, "terminals"),
	W(getsid, "terminals"),
	W(pidfd_open, "waits"),
};

/* Nothing of nacre's ever calls these: whoever does is not nacre. */
static const struct wall deadly[] = {
	W(ptrace, "other processes"),
	W(process_vm_readv, "other processes"),
	W(process_vm_writev, "other processes"),
	W(kexec_load, "the host's kernel"),
	W(kexec_file_load, "the host's kernel"),
	W(init_module, "the host's kernel"),
	W(finit_module, "the host's kernel"),
	W(delete_module, "the host's kernel"),
	W(bpf, "the host's kernel"),
	W(perf_event_open, "the host's kernel"),
	W(mount, "the walls"),
	W(umount2, "the walls"),
	W(pivot_root, "the walls"),
	W(chroot, "the walls"),
	W(move_mount, "the walls"),
	W(open_tree, "the walls"),
	W(fsopen, "the walls"),
	W(fsmount, "the walls"),
	W(mount_setattr, "the walls"),
	W(setns, "the walls"),
	W(unshare, "the walls"),
	W(reboot, "the host"),
	W(swapon, "the host"),
	W(swapoff, "the host"),
	W(iopl, "the host's ports"),
	W(ioperm, "the host's ports"),
	W(open_by_handle_at, "files outside the container"),
	W(execve, "another program"),
	W(execveat, "another program"),
	W(process_madvise, "other processes"),
	W(pidfd_getfd, "other processes"),
	W(add_key, "the host's keys"),
	W(request_key, "the host's keys"),
	W(keyctl, "the host's keys"),
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define DENY (SECCOMP_RET_ERRNO | EPERM)
/* Numbers from here on belong to another ABI of the same architecture (x32). */
#define NR_LIMIT 0x40000000u

#define EXACTLY(value)                          \
	{                                       \
		~0u, (value), SECCOMP_RET_ALLOW \
	}

/* Code comes with the program. A library that is loaded later would be one of the container's. */
static const struct walls_match not_executable[] = {{PROT_EXEC, 0, SECCOMP_RET_ALLOW}};

static const struct walls_match families[] = {
	EXACTLY(AF_UNIX),    EXACTLY(AF_INET),	 EXACTLY(AF_INET6),
	EXACTLY(AF_NETLINK), EXACTLY(AF_PACKET),
};

/* Threads only: a process of the host's would be outside the container's accounting. */
static const struct walls_match threads[] = {
	{CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
		 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
	 CLONE_THREAD, SECCOMP_RET_ALLOW},
};

/* The C library names its memory, nacre its threads. */
static const struct walls_match process_settings[] = {
	EXACTLY(PR_SET_NAME),
	EXACTLY(PR_GET_NAME),
	EXACTLY(PR_SET_VMA),
};

static const struct walls_match own_limits[] = {EXACTLY(0)};

/*
 * Requests have the kind of device in their second byte. Of the hypervisor's all may be made but the one
 * for another machine; of terminals and sockets those that the application kernel hands through, so
 * that no text can be typed into a terminal that is shared with the host (TIOCSTI, TIOCLINUX).
 */
#define HYPERVISOR_KIND 0xae00u
#define HYPERVISOR_CREATE 0xae01u
#define TERMIOS2(dir, nr) (dir | 44u << 16 | 'T' << 8 | (nr))
static const struct walls_match requests[] = {
	{~0u, HYPERVISOR_CREATE, DENY},
	EXACTLY(FIONREAD),
	EXACTLY(FIONBIO),
	EXACTLY(FIOCLEX),
	EXACTLY(TCGETS),
	EXACTLY(TCSETS),
	EXACTLY(TCSETSW),
	EXACTLY(TCSETSF),
	EXACTLY(TERMIOS2(0x80000000u, 0x2a)),
	EXACTLY(TERMIOS2(0x40000000u, 0x2b)),
	EXACTLY(TERMIOS2(0x40000000u, 0x2c)),
	EXACTLY(TERMIOS2(0x40000000u, 0x2d)),
	EXACTLY(TIOCGWINSZ),
	EXACTLY(TIOCSWINSZ),
	EXACTLY(TIOCOUTQ),
	EXACTLY(TIOCGETD),
	EXACTLY(TIOCGPGRP),
	EXACTLY(TIOCGSID),
	EXACTLY(TIOCGPTN),
	EXACTLY(TCFLSH),
	EXACTLY(TCXONC),
	EXACTLY(TCSBRK),
	EXACTLY(TCSBRKP),
	EXACTLY(SIOCOUTQNSD),
	EXACTLY(SIOCATMARK),
	EXACTLY(SIOCGIFCONF),
	EXACTLY(SIOCGIFNAME),
	EXACTLY(SIOCGIFFLAGS),
	EXACTLY(SIOCGIFADDR),
	EXACTLY(SIOCGIFDSTADDR),
	EXACTLY(SIOCGIFBRDADDR),
	EXACTLY(SIOCGIFNETMASK),
	EXACTLY(SIOCGIFMETRIC),
	EXACTLY(SIOCGIFMTU),
	EXACTLY(SIOCGIFHWADDR),
	EXACTLY(SIOCGIFINDEX),
	EXACTLY(SIOCGIFTXQLEN),
	EXACTLY(SIOCGIFMAP),
	EXACTLY(SIOCSIFFLAGS),
	EXACTLY(SIOCSIFADDR),
	EXACTLY(SIOCSIFNETMASK),
	EXACTLY(SIOCSIFBRDADDR),
	EXACTLY(SIOCSIFDSTADDR),
	EXACTLY(SIOCSIFMTU),
	EXACTLY(SIOCSIFTXQLEN),
	{0xff00u, HYPERVISOR_KIND, SECCOMP_RET_ALLOW},
};

/* Calls that are allowed with some arguments. */
static const struct {
	int nr;
	unsigned arg;
	const struct walls_match *match;
	unsigned n;
	const char *why;
} checked[] = {
	{SCMP_SYS(mmap), 2, not_executable, COUNT(not_executable), "file windows, thread stacks"},
	{SCMP_SYS(mprotect), 2, not_executable, COUNT(not_executable), "thread stacks"},
	{SCMP_SYS(ioctl), 1, requests, COUNT(requests), "the machine, terminals, sockets"},
	{SCMP_SYS(prctl), 0, process_settings, COUNT(process_settings), "names"},
	{SCMP_SYS(prlimit64), 0, own_limits, COUNT(own_limits), "limits of this process"},
	{SCMP_SYS(socket), 0, families, COUNT(families), "sockets of the guest"},
	{SCMP_SYS(clone), 0, threads, COUNT(threads), "threads"},
};

static size_t add_walls(struct walls_rule *rules, size_t n, const struct wall *w, size_t count,
			uint32_t action)
{
	/* Numbers an architecture does not have are negative: nothing to say of them. */
	for (size_t i = 0; i < count; i++)
		if (w[i].nr >= 0)
			rules[n++] = (struct walls_rule){.nr = (uint32_t)w[i].nr, .action = action};
	return n;
}

size_t walls_program(struct sock_filter *out, size_t cap)
{
	struct walls_rule rules[COUNT(allowed) + COUNT(deadly) + COUNT(checked) + 1];
	size_t n = add_walls(rules, 0, allowed, COUNT(allowed), SECCOMP_RET_ALLOW);

	n = add_walls(rules, n, deadly, COUNT(deadly), SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < COUNT(checked); i++)
		if (checked[i].nr >= 0)
			rules[n++] =
				(struct walls_rule){(uint32_t)checked[i].nr, DENY, checked[i].arg,
						    checked[i].match, checked[i].n};
	/* clone3's flags are in memory where a filter cannot see: the C library falls back to clone. */
	rules[n++] = (struct walls_rule){
		.nr = SCMP_SYS(clone3),
		.action = SECCOMP_RET_ERRNO | ENOSYS,
	};
	return walls_compile(rules, n, seccomp_arch_native(), NR_LIMIT, DENY, out, cap);
}

int walls_install(struct oci_error *err)
{
	struct sock_filter code[2048];
	struct sock_fprog prog = {.filter = code};

	prog.len = (unsigned short)walls_program(code, COUNT(code));
	if (!prog.len)
		return oci_fail(err, E2BIG, "the sandbox's seccomp filter is too large");
	/* 0, or the thread that has another filter already. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog))
		return oci_fail_errno(err, errno ? errno : EBUSY,
				      "cannot install the sandbox's seccomp filter");
	return 0;
}
