/* SPDX-License-Identifier: Apache-2.0 */
/* Who and where a program is: numbers, names, the machine; and registrations of a thread. */
#include "runtime/task/ident.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "runtime/host/host.h"
#include "runtime/task/cred.h"

int64_t sys_getpid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->process->pid;
}

int64_t sys_gettid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->tid;
}

int64_t sys_getppid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return process_ppid(t->process);
}

int64_t sys_set_tid_address(struct task *t, const uint64_t a[6])
{
	t->clear_child_tid = GVA(a[0]);
	return t->tid;
}

/* ---- robust futex lists (get_robust_list(2)) ---- */

#define ROBUST_LIST_HEAD_SIZE 24

int64_t sys_set_robust_list(struct task *t, const uint64_t a[6])
{
	if (a[1] != ROBUST_LIST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = GVA(a[0]);
	t->robust_list_len = a[1];
	return 0;
}

int64_t sys_get_robust_list(struct task *t, const uint64_t a[6])
{
	uint64_t head, len = ROBUST_LIST_HEAD_SIZE;
	pid_t tid = (pid_t)a[0];
	struct task *other;

	if (tid) {
		other = task_find(t->kernel, tid);
		if (!other)
			return -ESRCH;
		if (!task_may_ptrace(t, other)) {
			task_put(other);
			return -EPERM;
		}
		head = other->robust_list.v;
		task_put(other);
	} else {
		head = t->robust_list.v;
	}
	if (mm_copy_out(t->mm, GVA(a[2]), &len, sizeof(len)) ||
	    mm_copy_out(t->mm, GVA(a[1]), &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/* ---- names ---- */

int64_t sys_uname(struct task *t, const uint64_t a[6])
{
	struct kernel *k = t->kernel;
	char out[6][65] = {NACRE_UTS_SYSNAME, "",	 NACRE_UTS_RELEASE,
			   NACRE_UTS_VERSION, ARCH_NAME, ""};

	if ((t->personality & PER_MASK) == PER_LINUX32)
		memcpy(out[4], ARCH_NAME_32, sizeof(ARCH_NAME_32));
	pthread_mutex_lock(&k->uts_lock);
	memcpy(out[1], k->hostname, sizeof(out[1]));
	memcpy(out[5], k->domainname, sizeof(out[5]));
	pthread_mutex_unlock(&k->uts_lock);
	return mm_copy_out(t->mm, GVA(a[0]), out, sizeof(out));
}

static int64_t uts_set(struct task *t, char dst[65], uint64_t addr, int len)
{
	char name[65] = {0};

	if (!cred_capable(t->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > 64)
		return -EINVAL;
	if (mm_copy_in(t->mm, name, GVA(addr), (size_t)len))
		return -EFAULT;
	pthread_mutex_lock(&t->kernel->uts_lock);
	memcpy(dst, name, sizeof(name));
	pthread_mutex_unlock(&t->kernel->uts_lock);
	return 0;
}

int64_t sys_sethostname(struct task *t, const uint64_t a[6])
{
	return uts_set(t, t->kernel->hostname, a[0], (int)a[1]);
}

int64_t sys_setdomainname(struct task *t, const uint64_t a[6])
{
	return uts_set(t, t->kernel->domainname, a[0], (int)a[1]);
}

/* ---- the machine ---- */

int64_t sys_sysinfo(struct task *t, const uint64_t a[6])
{
	struct kernel *k = t->kernel;
	struct mm_stats ms;
	struct sysinfo host, out = {0};
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	mm_system_stats(k->mm_system, &ms);
	out.uptime = now.tv_sec + (now.tv_nsec > 0);
	if (sysinfo(&host) == 0)
		memcpy(out.loads, host.loads, sizeof(out.loads));
	out.totalram = ms.frames_total * PAGE_SIZE;
	out.freeram = (ms.frames_total - ms.frames_used) * PAGE_SIZE;
	out.mem_unit = 1;
	pthread_mutex_lock(&k->tasks_lock);
	out.procs = (unsigned short)(k->ntasks < 65535 ? k->ntasks : 65535);
	pthread_mutex_unlock(&k->tasks_lock);
	return mm_copy_out(t->mm, GVA(a[0]), &out, sizeof(out));
}

/* A guest thread runs on its host thread: so it is on that one's processor. */
int64_t sys_getcpu(struct task *t, const uint64_t a[6])
{
	unsigned cpu = 0, node = 0;

	host_processor(&cpu, &node);
	if (a[0] && mm_copy_out(t->mm, GVA(a[0]), &cpu, sizeof(cpu)))
		return -EFAULT;
	if (a[1] && mm_copy_out(t->mm, GVA(a[1]), &node, sizeof(node)))
		return -EFAULT;
	return 0;
}

#define PERSONALITY_QUERY 0xffffffffu

int64_t sys_personality(struct task *t, const uint64_t a[6])
{
	unsigned old = t->personality, want = (unsigned)a[0];

	if (want != PERSONALITY_QUERY)
		t->personality = want;
	return old;
}

/*
 * All guest threads are threads of one host process, so the host's private barrier orders every one
 * of them, in guest mode too: the interrupt it sends ends or serialises guest execution.
 */
#define MEMBARRIER_REGISTERS                                                                    \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)

static int64_t membarrier_expedited(struct task *t, unsigned registration, int reg_cmd, int cmd)
{
	if (registration && !(atomic_load(&t->process->membarrier) & registration))
		return -EPERM;
	if (host_membarrier(cmd) == 0)
		return 0;
	/* the first use in this sandbox: the host wants a registration as well */
	if (host_membarrier(reg_cmd) || host_membarrier(cmd))
		return -EINVAL;
	return 0;
}

int64_t sys_membarrier(struct task *t, const uint64_t a[6])
{
	int cmd = (int)a[0], host = host_membarrier(MEMBARRIER_CMD_QUERY);

	if (host < 0)
		return -ENOSYS;
	if ((unsigned)a[1])
		return -EINVAL;
	host &= MEMBARRIER_REGISTERS | MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |
		MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE;
	if (cmd == MEMBARRIER_CMD_QUERY)
		return host;
	if ((host & cmd) != cmd || cmd & (cmd - 1))
		return -EINVAL;
	if (cmd & MEMBARRIER_REGISTERS) {
		atomic_fetch_or(&t->process->membarrier, (unsigned)cmd);
		return 0;
	}
	switch (cmd) {
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		return membarrier_expedited(t, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
					    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, cmd);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return membarrier_expedited(t, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
					    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
					    cmd);
	default: /* all guest processes are one host process */
		return membarrier_expedited(t, 0, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
					    MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	}
}

/* ---- what this kernel never lets a container do ---- */

int64_t sys_ptrace(struct task *t, const uint64_t a[6])
{
	(void)t;
	(void)a;
	return -EPERM;
}

int64_t sys_reboot(struct task *t, const uint64_t a[6])
{
	(void)t;
	(void)a;
	return -EPERM;
}
