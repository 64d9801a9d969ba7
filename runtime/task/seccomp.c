/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp(2): the modes of a task, what a verdict does to it, and the calls. */
#include "runtime/task/seccomp.h"

#include <string.h>
#include <sys/syscall.h>

#include "runtime/task/cred.h"

/* ---- verdicts ---- */

static void send_sigsys(struct task *t, uint64_t nr, unsigned data)
{
	guest_siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGSYS;
	info.si_errno = (int)data;
	info.si_code = 1; /* SYS_SECCOMP */
	info.si_call_addr = (void *)(uintptr_t)arch_pc(&t->regs);
	info.si_syscall = (int)nr;
	info.si_arch = ARCH_AUDIT;
	signal_force_info(t, SIGSYS, &info);
}

/* Only the thread, unless it is the last one. */
static void kill_thread(struct task *t, int sig)
{
	if (atomic_load(&t->process->live) <= 1) {
		process_exit_group(t->process, sig);
		return;
	}
	t->exit_status = sig;
	atomic_store(&t->exit_requested, true);
	atomic_store(&t->attention, true);
}

/* Strict mode knows four calls. */
static bool strict_permits(uint64_t nr)
{
	return nr == SYS_read || nr == SYS_write || nr == SYS_exit || nr == SYS_rt_sigreturn;
}

/* What the call returns instead of being made. */
static int64_t carry_out(struct task *t, uint32_t verdict, uint64_t nr)
{
	unsigned data = verdict & SECCOMP_RET_DATA;

	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ERRNO:
		return -(int64_t)(data > 4095 ? 4095 : data);
	case SECCOMP_RET_TRAP:
		send_sigsys(t, nr, data);
		return (int64_t)nr; /* the handler finds the number where the call put it */
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_USER_NOTIF:
		return -ENOSYS; /* nobody is there to ask */
	case SECCOMP_RET_KILL_THREAD:
		kill_thread(t, SIGSYS);
		return (int64_t)nr;
	default: /* SECCOMP_RET_KILL_PROCESS, and actions nobody knows */
		process_exit_group(t->process, SIGSYS);
		return (int64_t)nr;
	}
}

bool seccomp_permits(struct task *t, uint64_t nr, const uint64_t args[6], int64_t *result)
{
	struct seccomp_data d = {
		.nr = (int)nr, .arch = ARCH_AUDIT, .instruction_pointer = arch_pc(&t->regs)};
	uint32_t verdict;

	if (t->seccomp_strict) {
		if (strict_permits(nr))
			return true;
		kill_thread(t, SIGKILL);
		*result = (int64_t)nr;
		return false;
	}
	memcpy(d.args, args, sizeof(d.args));
	verdict = seccomp_chain_run(atomic_load(&t->seccomp), &d);
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return true;
	}
	*result = carry_out(t, verdict, nr);
	arch_set_result(&t->regs, *result); /* also where calls do not write one */
	return false;
}

/* ---- modes ---- */

int seccomp_mode(const struct task *t)
{
	return t->seccomp_strict	     ? SECCOMP_MODE_STRICT
	       : atomic_load(&t->seccomp) ? SECCOMP_MODE_FILTER
					     : SECCOMP_MODE_DISABLED;
}

void seccomp_inherit(struct task *t, struct task *c)
{
	c->no_new_privs = t->no_new_privs;
	c->seccomp_strict = t->seccomp_strict;
	atomic_store(&c->seccomp, seccomp_chain_get(atomic_load(&t->seccomp)));
}

void seccomp_attach(struct task *t, struct seccomp_chain *c)
{
	atomic_store(&t->seccomp, c);
	task_update_answers(t);
}

static int64_t set_strict(struct task *t)
{
	if (atomic_load(&t->seccomp))
		return -EINVAL;
	t->seccomp_strict = true;
	task_update_answers(t);
	return 0;
}

/* The first thread that has filters of its own; tasks_lock and sig_lock held. */
static struct task *odd_thread_locked(struct task *t)
{
	list_for_each(l, &t->process->tasks) {
		struct task *o = list_entry(l, struct task, group_link);

		if (o != t && (o->seccomp_strict || !seccomp_chain_extends(atomic_load(&t->seccomp),
									   atomic_load(&o->seccomp))))
			return o;
	}
	return NULL;
}

/* Give every other thread the caller's filters; tasks_lock and sig_lock held. */
static void spread_locked(struct task *t)
{
	list_for_each(l, &t->process->tasks) {
		struct task *o = list_entry(l, struct task, group_link);

		if (o == t)
			continue;
		if (t->no_new_privs)
			o->no_new_privs = true;
		/* What it had is the tail of what it gets. */
		seccomp_chain_put(atomic_exchange(
			&o->seccomp, seccomp_chain_get(atomic_load(&t->seccomp))));
		atomic_store(&o->answers_stale, true);
		pthread_mutex_lock(&o->lock);
		if (o->cpu)
			cpu_kick(o->cpu);
		pthread_mutex_unlock(&o->lock);
	}
}

/* Takes effect for one thread, or all of them or none. */
static int64_t install(struct task *t, const struct sock_filter *insns, size_t n, unsigned flags)
{
	bool all = flags & SECCOMP_FILTER_FLAG_TSYNC;
	struct seccomp_chain *c;
	struct task *odd = NULL;
	int64_t ret;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	pthread_mutex_lock(&t->process->sig_lock);
	if (all)
		odd = odd_thread_locked(t);
	if (odd) {
		ret = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : odd->tid;
	} else {
		ret = seccomp_chain_push(atomic_load(&t->seccomp), insns, n, &c);
		if (!ret) {
			seccomp_attach(t, c);
			if (all)
				spread_locked(t);
		}
	}
	pthread_mutex_unlock(&t->process->sig_lock);
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

static int64_t set_filter(struct task *t, unsigned flags, uint64_t arg)
{
	const unsigned known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			       SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	struct sock_filter insns[BPF_MAXINSNS];
	struct {
		uint16_t len;
		uint64_t filter;
	} prog;

	if (flags & ~known)
		return -EINVAL;
	if (mm_copy_in(t->mm, &prog, GVA(arg), sizeof(prog)))
		return -EFAULT;
	if (prog.len == 0 || prog.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!t->no_new_privs && !cred_capable(t->cred, CAP_SYS_ADMIN))
		return -EACCES;
	if (mm_copy_in(t->mm, insns, GVA(prog.filter), prog.len * sizeof(insns[0])))
		return -EFAULT;
	if (t->seccomp_strict)
		return -EINVAL;
	return install(t, insns, prog.len, flags);
}

static int64_t action_available(struct task *t, uint64_t arg)
{
	uint32_t action;

	if (mm_copy_in(t->mm, &action, GVA(arg), sizeof(action)))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP;
}

int64_t seccomp_set_mode(struct task *t, unsigned op, unsigned flags, uint64_t arg)
{
	switch (op) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || arg ? -EINVAL : set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return set_filter(t, flags, arg);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_available(t, arg);
	}
	return -EINVAL; /* also SECCOMP_GET_NOTIF_SIZES: there are no listeners here */
}

int64_t sys_seccomp(struct task *t, const uint64_t a[6])
{
	return seccomp_set_mode(t, (unsigned)a[0], (unsigned)a[1], a[2]);
}
