/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/walls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/socket.h>

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
	W(mmap, "file windows, thread stacks"),
	W(munmap, "file windows, thread stacks"),
	W(mremap, "allocator"),
	W(mprotect, "thread stacks, relocations of late bound libraries"),
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
	W(userfaultfd, "pages that vanish under a file window"),
	W(membarrier, "address-space wide barriers"),
	/* threads and time */
	W(clone, "guest threads are host threads; flags are checked below by no_new_privs"),
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
	W(prlimit64, "limits"),
	W(getrlimit, "limits"),
	W(setrlimit, "limits"),
	W(sysinfo, "sysinfo of the guest"),
	W(uname, "library"),
	W(getrandom, "random numbers"),
	W(prctl, "thread names"),
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
	W(ioctl, "the hypervisor's device, terminals, sockets"),
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
	W(seccomp, "the container's own profile"),
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

static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};

static int fill(scmp_filter_ctx ctx)
{
	int r;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		/* Numbers an architecture does not have are negative: nothing to allow. */
		if (allowed[i].nr < 0 || allowed[i].nr == SCMP_SYS(clone))
			continue;
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i].nr, 0);
		if (r)
			return r;
	}
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		if (deadly[i].nr < 0)
			continue;
		r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i].nr, 0);
		if (r)
			return r;
	}
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i], 0));
		if (r)
			return r;
	}
	/* Threads only: a process of the host's would be outside the container's accounting. */
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_NEWUSER,
				     CLONE_THREAD));
	if (r)
		return r;
	/* clone3's flags are in memory where a filter cannot see: the C library falls back to clone. */
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

int walls_install(struct oci_error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = ctx ? 0 : -ENOMEM;

	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Hot calls come first in a binary tree of compares. */
	if (!r)
		seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!r)
		r = fill(ctx);
	if (!r)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r ? oci_fail_errno(err, -r, "cannot install the sandbox's seccomp filter") : 0;
}
