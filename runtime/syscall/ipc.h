/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V IPC (sysvipc(7)): the container is one IPC namespace. Three kinds of objects with the same
 * identity and permission rules; one lock for all of them, taken inside mm's lock (a segment's last
 * mapping frees it), so no mm function is called with it held.
 */
#ifndef NACRE_RUNTIME_SYSCALL_IPC_H
#define NACRE_RUNTIME_SYSCALL_IPC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/types.h>

#include "runtime/list.h"

struct kernel;
struct process;
struct task;

/* The command that marks 64-bit structures; programs on 64-bit Linux may pass it or not. */
#define IPC_64_FLAG	0x100
#define IPC_OBJECTS_MAX 4096u /* of a kind: SHMMNI */

enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG, IPC_KINDS };

struct ipc_object {
	struct list link; /* in its kind's list while it can be found */
	int id;
	key_t key;
	uid_t uid, cuid;
	gid_t gid, cgid;
	unsigned mode;
	bool removed; /* IPC_RMID: the key no longer finds it */
};

struct ipc {
	pthread_mutex_t lock; /* protects everything below and all objects */
	struct list objects[IPC_KINDS];
	unsigned count[IPC_KINDS];
	int next_id;
	uint64_t dev;	   /* st_dev of segments */
	struct list undos; /* SEM_UNDO: struct sem_undo */
};

/* The kernel's IPC state, or NULL: no memory. */
struct ipc *ipc_of(struct kernel *k);
/* After every guest task is gone. */
void ipc_destroy(struct kernel *k);
/* The last thread of p is gone: apply its SEM_UNDO adjustments. */
void ipc_process_exit(struct process *p);

/* All with the lock held. */
struct ipc_object *ipc_find(struct ipc *ipc, enum ipc_kind kind, int id);
struct ipc_object *ipc_find_key(struct ipc *ipc, enum ipc_kind kind, key_t key);
struct ipc_object *ipc_nth(struct ipc *ipc, enum ipc_kind kind, int index);
void ipc_add(struct ipc *ipc, enum ipc_kind kind, struct ipc_object *o, struct task *t, key_t key,
	     int flags);
void ipc_unlink(struct ipc *ipc, enum ipc_kind kind, struct ipc_object *o);
/* want: 4 to read, 2 to alter, 1 to execute, or several. 0 or -EACCES. */
int ipc_permit(struct task *t, const struct ipc_object *o, unsigned want);
bool ipc_owner(struct task *t, const struct ipc_object *o); /* may IPC_SET and IPC_RMID */
/* The permission part of the *_ds structures, the same bytes on x86-64 and arm64. */
void ipc_fill_perm(const struct ipc_object *o, struct ipc_perm *out);
void ipc_set_perm(struct ipc_object *o, const struct ipc_perm *in);
/*
 * The common half of the *get calls: find by key or say that a new object is wanted. Returns the
 * object, or NULL with *err 0 (create) or -errno.
 */
struct ipc_object *ipc_get(struct ipc *ipc, enum ipc_kind kind, struct task *t, key_t key,
			   int flags, int *err);

void shm_destroy(struct ipc_object *o); /* drop the table's reference; lock not held */
void sem_destroy(struct ipc_object *o);
void msg_destroy(struct ipc_object *o);

#endif
