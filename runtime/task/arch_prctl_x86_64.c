/* SPDX-License-Identifier: Apache-2.0 */
/* arch_prctl(2): the segment bases of a thread. */
#include <asm/prctl.h>

#include "runtime/arch/arch.h"
#include "runtime/task/task.h"

int64_t sys_arch_prctl(struct task *t, const uint64_t a[6])
{
	switch ((int)a[0]) {
	case ARCH_SET_FS:
		return arch_set_thread_tls(&t->regs, a[1]);
	case ARCH_SET_GS:
		if (a[1] >= MM_TASK_SIZE)
			return -EPERM;
		t->regs.gs_base = a[1];
		return 0;
	case ARCH_GET_FS:
		return mm_copy_out(t->mm, GVA(a[1]), &t->regs.fs_base, sizeof(uint64_t));
	case ARCH_GET_GS:
		return mm_copy_out(t->mm, GVA(a[1]), &t->regs.gs_base, sizeof(uint64_t));
	case ARCH_GET_CPUID:
		return 1;
	case ARCH_SET_CPUID:
		return -ENODEV;
	default: /* shadow stacks, extended-state permissions: not offered */
		return -EINVAL;
	}
}
