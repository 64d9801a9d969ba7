/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp(2) for guest processes: programs of classic BPF that judge every system call of a task.
 *
 * A task's filters form a chain, newest first; a chain only ever grows, so it can be shared: by
 * children, and by all threads of a process (TSYNC). task->seccomp is changed with tasks_lock and
 * sig_lock held, by its owner or another thread of the process; it is read without a lock, since the
 * filters somebody may still be running are the tail of whatever replaces them.
 */
#ifndef NACRE_RUNTIME_TASK_SECCOMP_H
#define NACRE_RUNTIME_TASK_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;
struct seccomp_chain; /* the newest filter and, through it, all older ones */

/* ---- programs: no task, no guest (seccomp_bpf.c) ---- */

#define SECCOMP_PATH_MAX 32768u /* instructions of a chain, and 4 for each filter */

/*
 * A filter in front of prev, whose reference it takes over on success. Checks the program as Linux
 * does. 0, -EINVAL (length, instruction, jump, operand), -ENOMEM (also: the chain is too long).
 */
int seccomp_chain_push(struct seccomp_chain *prev, const struct sock_filter *insns, size_t n,
		       struct seccomp_chain **out);
struct seccomp_chain *seccomp_chain_get(struct seccomp_chain *c); /* NULL stays NULL */
void seccomp_chain_put(struct seccomp_chain *c);
unsigned seccomp_chain_length(const struct seccomp_chain *c);
/* Is `old` (or nothing at all) the tail of c? */
bool seccomp_chain_extends(const struct seccomp_chain *c, const struct seccomp_chain *old);
/* The verdict that takes precedence among all filters: an action and its 16 bits of data. */
uint32_t seccomp_chain_run(const struct seccomp_chain *c, const struct seccomp_data *d);

/* ---- tasks (seccomp.c) ---- */

/*
 * May t's system call nr go ahead? When not, *result is what the call returns, and a signal or an
 * exit may be on its way.
 */
bool seccomp_permits(struct task *t, uint64_t nr, const uint64_t args[6], int64_t *result);
/* c is made by t: it inherits what t has, no_new_privs included. tasks_lock held. */
void seccomp_inherit(struct task *t, struct task *c);
/* Owner only: c, whose reference is taken over, replaces what it is an extension of. */
void seccomp_attach(struct task *t, struct seccomp_chain *c);
int seccomp_mode(const struct task *t); /* SECCOMP_MODE_* */
int64_t seccomp_set_mode(struct task *t, unsigned op, unsigned flags, uint64_t arg);

#endif
