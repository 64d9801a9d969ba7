/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's alternate signal stack, sigaltstack(2). Only the thread itself reads or sets it. */
#ifndef NACRE_RUNTIME_TASK_ALTSTACK_H
#define NACRE_RUNTIME_TASK_ALTSTACK_H

#include "runtime/task/task.h"

/* stack_t as x86-64 and arm64 programs lay it out. */
struct guest_sigaltstack {
	uint64_t sp;
	int32_t flags, pad;
	uint64_t size;
};

/* Does sp lie in it? A stack that grows down: its first byte is not in use, its end may be. */
bool altstack_contains(const struct task *t, uint64_t sp);
/* Does the thread run on it? Never while it is disarmed (SS_AUTODISARM). */
bool altstack_in_use(const struct task *t);
/* 0, -EPERM: in use, -EINVAL: flags, -ENOMEM: too small. */
int altstack_set(struct task *t, const struct guest_sigaltstack *s);

/*
 * Where the frame of a handler ends that would follow sp on the current stack. *bounded: the frame
 * must lie in the alternate stack; running off it is an overflow, not a frame in whatever lies below.
 */
uint64_t altstack_frame_end(const struct task *t, const struct sigaction_guest *act, uint64_t sp,
			    bool *bounded);
/* What a frame tells of it, and its disarming once the frame is written. */
struct guest_sigaltstack altstack_image(const struct task *t);
void altstack_disarm(struct task *t);

#endif
