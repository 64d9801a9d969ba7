/* SPDX-License-Identifier: Apache-2.0 */
/* What proc.c (the tree) and proc_text.c (its text files) share; nobody else includes this. */
#ifndef NACRE_RUNTIME_FS_PROC_NODE_H
#define NACRE_RUNTIME_FS_PROC_NODE_H

#include "runtime/fs/proc.h"

struct procfs;

struct proc_node {
	struct vnode v;
	struct procfs *fs;
	const struct proc_row *row;
	pid_t pid, tid; /* 0: global; tid 0: not below task/ */
	int fd;
};

static inline struct proc_node *proc_node_of(struct vnode *v)
{
	return container_of(v, struct proc_node, v);
}

/* Whom the node is about, for that reader; end it with proc_ctx_put(). 0, or -ESRCH: gone. */
int proc_ctx_get(struct proc_node *n, struct task *reader, struct proc_ctx *c);
void proc_ctx_put(struct proc_ctx *c);

/* A description of a text file; the caller sets its path. 0, -ENFILE or -ENOMEM. */
int proc_text_open(int flags, struct file **out);

#endif
