/* SPDX-License-Identifier: Apache-2.0 */
/* From a system-call trap to its handler: counting, tracing, ENOSYS. */
#include "runtime/syscall/strace.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/seccomp.h"
#include "runtime/task/task.h"

static int64_t syscall_missing(struct task *t, uint64_t nr, const uint64_t a[6])
{
	struct kernel *k = t->kernel;

	atomic_fetch_add_explicit(&k->syscalls_enosys, 1, memory_order_relaxed);
	if (nr < SYSCALL_MAX)
		atomic_fetch_add_explicit(&k->enosys_by_nr[nr], 1, memory_order_relaxed);
	if (k->strace)
		strace_unknown(t, nr, a, -ENOSYS);
	return -ENOSYS;
}

static int64_t syscall_traced(struct task *t, const struct syscall_row *row, const uint64_t a[6])
{
	struct strace_call call;
	int64_t ret;

	strace_enter(t, row, a, &call);
	ret = row->fn(t, a);
	if (t->exit_requested)
		strace_abandon(t, &call);
	else
		strace_leave(t, row, a, ret, &call);
	return ret;
}

int64_t syscall_dispatch(struct task *t)
{
	struct kernel *k = t->kernel;
	/* Linux looks at the low 32 bits of the number register only. */
	uint64_t nr = (uint32_t)arch_syscall_nr(&t->regs), a[6];
	const struct syscall_row *row = syscall_lookup(nr);
	int64_t ret;

	arch_syscall_args(&t->regs, a);
	atomic_fetch_add_explicit(&k->syscalls_outside, 1, memory_order_relaxed);
	if (__builtin_expect(t->seccomp_strict || atomic_load_explicit(&t->seccomp,
								       memory_order_relaxed), 0) &&
	    !seccomp_permits(t, nr, a, &ret)) {
		if (k->strace)
			strace_unknown(t, nr, a, ret);
		return ret;
	}
	if (!row)
		return syscall_missing(t, nr, a);
	atomic_fetch_add_explicit(&k->syscalls_by_nr[nr], 1, memory_order_relaxed);
	t->syscall_nr = (int)nr;
	ret = __builtin_expect(k->strace, 0) ? syscall_traced(t, row, a) : row->fn(t, a);
	t->syscall_nr = -1;
	return ret;
}
