/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world for the signal, wait and futex code without guests: tasks are host threads that run no
 * guest code, guest memory is the test's own (a guest address is a host pointer).
 */
#ifndef NACRE_TESTS_UNIT_SIG_STUBS_H
#define NACRE_TESTS_UNIT_SIG_STUBS_H

#include "runtime/task/task.h"

struct world {
	struct kernel kernel;
	struct process parent, process; /* pids 10 and 20; `process` is the parent's child */
	struct task parent_task, task[8];
	unsigned ntasks;
	atomic_int exit_status; /* what process_exit_group() got, -1: nothing */
	atomic_uint kicks;
};

void world_init(struct world *w, unsigned ntasks);
void world_destroy(struct world *w);
/* A test thread becomes the task: signals blocked, handle set. */
void world_become(struct task *t);

#endif
