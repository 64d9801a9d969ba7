/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task/altstack.h"

#include <errno.h>
#include <signal.h>

#include "runtime/task/signal_internal.h"

static bool autodisarms(const struct task *t)
{
	return (uint32_t)t->altstack.flags & GUEST_SS_AUTODISARM;
}

bool altstack_contains(const struct task *t, uint64_t sp)
{
	return sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

bool altstack_in_use(const struct task *t)
{
	return t->altstack.size && !autodisarms(t) && altstack_contains(t, arch_sp(&t->regs));
}

int altstack_set(struct task *t, const struct guest_sigaltstack *s)
{
	uint32_t mode = (uint32_t)s->flags & ~GUEST_SS_AUTODISARM;

	if (altstack_in_use(t))
		return -EPERM;
	if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->altstack = (stack_t_guest){.flags = s->flags};
		return 0;
	}
	if (s->size < GUEST_MINSIGSTKSZ)
		return -ENOMEM;
	t->altstack = (stack_t_guest){.sp = s->sp, .flags = s->flags, .size = s->size};
	return 0;
}

uint64_t altstack_frame_end(const struct task *t, const struct sigaction_guest *act, uint64_t sp,
			    bool *bounded)
{
	bool nested = altstack_in_use(t);
	bool entering = (act->flags & SA_ONSTACK) && t->altstack.size && !nested;

	*bounded = nested || entering;
	return entering ? t->altstack.sp + t->altstack.size : sp;
}

struct guest_sigaltstack altstack_image(const struct task *t)
{
	return (struct guest_sigaltstack){
		.sp = t->altstack.sp, .flags = t->altstack.flags, .size = t->altstack.size};
}

void altstack_disarm(struct task *t)
{
	if (autodisarms(t))
		t->altstack = (stack_t_guest){.flags = SS_DISABLE};
}

int64_t sys_sigaltstack(struct task *t, const uint64_t a[6])
{
	struct guest_sigaltstack set, old = altstack_image(t);
	int ret;

	old.flags = (int32_t)((uint32_t)old.flags & GUEST_SS_AUTODISARM);
	if (!old.size)
		old.flags |= SS_DISABLE;
	else if (altstack_in_use(t))
		old.flags |= SS_ONSTACK;
	if (a[0]) {
		if (mm_copy_in(t->mm, &set, GVA(a[0]), sizeof(set)))
			return -EFAULT;
		ret = altstack_set(t, &set);
		if (ret)
			return ret;
	}
	if (a[1] && mm_copy_out(t->mm, GVA(a[1]), &old, sizeof(old)))
		return -EFAULT;
	return 0;
}
