/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/syscall/ipc.h"

#include <stdlib.h>
#include <string.h>

#include <linux/capability.h>

#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

struct ipc *ipc_of(struct kernel *k)
{
	struct ipc *ipc = atomic_load(&k->ipc), *expected = NULL;

	if (ipc)
		return ipc;
	ipc = calloc(1, sizeof(*ipc));
	if (!ipc)
		return NULL;
	pthread_mutex_init(&ipc->lock, NULL);
	for (int i = 0; i < IPC_KINDS; i++)
		list_init(&ipc->objects[i]);
	list_init(&ipc->undos);
	ipc->dev = vfs_new_dev();
	if (atomic_compare_exchange_strong(&k->ipc, &expected, ipc))
		return ipc;
	pthread_mutex_destroy(&ipc->lock);
	free(ipc);
	return expected;
}

void ipc_destroy(struct kernel *k)
{
	static void (*const destroy[IPC_KINDS])(struct ipc_object *) = {
		[IPC_SHM] = shm_destroy, [IPC_SEM] = sem_destroy, [IPC_MSG] = msg_destroy};
	struct ipc *ipc = atomic_load(&k->ipc);

	if (!ipc)
		return;
	for (int i = 0; i < IPC_KINDS; i++)
		list_for_each_safe (pos, &ipc->objects[i]) {
			struct ipc_object *o = list_entry(pos, struct ipc_object, link);

			if (!o->removed)
				destroy[i](o);
		}
	pthread_mutex_destroy(&ipc->lock);
	free(ipc);
	atomic_store(&k->ipc, NULL);
}

struct ipc_object *ipc_find(struct ipc *ipc, enum ipc_kind kind, int id)
{
	list_for_each (pos, &ipc->objects[kind]) {
		struct ipc_object *o = list_entry(pos, struct ipc_object, link);

		if (o->id == id)
			return o;
	}
	return NULL;
}

struct ipc_object *ipc_find_key(struct ipc *ipc, enum ipc_kind kind, key_t key)
{
	list_for_each (pos, &ipc->objects[kind]) {
		struct ipc_object *o = list_entry(pos, struct ipc_object, link);

		if (o->key == key && !o->removed && key != IPC_PRIVATE)
			return o;
	}
	return NULL;
}

struct ipc_object *ipc_nth(struct ipc *ipc, enum ipc_kind kind, int index)
{
	list_for_each (pos, &ipc->objects[kind])
		if (index-- == 0)
			return list_entry(pos, struct ipc_object, link);
	return NULL;
}

void ipc_add(struct ipc *ipc, enum ipc_kind kind, struct ipc_object *o, struct task *t, key_t key,
	     int flags)
{
	do {
		o->id = ipc->next_id;
		ipc->next_id = ipc->next_id == INT32_MAX ? 0 : ipc->next_id + 1;
	} while (ipc_find(ipc, kind, o->id));
	o->key = key;
	o->mode = (unsigned)flags & 0777;
	o->uid = o->cuid = t->cred->euid;
	o->gid = o->cgid = t->cred->egid;
	o->removed = false;
	list_add_tail(&ipc->objects[kind], &o->link);
	ipc->count[kind]++;
}

void ipc_unlink(struct ipc *ipc, enum ipc_kind kind, struct ipc_object *o)
{
	list_del(&o->link);
	ipc->count[kind]--;
}

int ipc_permit(struct task *t, const struct ipc_object *o, unsigned want)
{
	unsigned granted = o->mode;

	if (t->cred->euid == o->uid || t->cred->euid == o->cuid)
		granted >>= 6;
	else if (cred_in_group(t->cred, o->gid) || cred_in_group(t->cred, o->cgid))
		granted >>= 3;
	/* `want` names the same right for everyone: its lowest digit is what is asked. */
	if (want & 7 & ~granted && !cred_capable(t->cred, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

bool ipc_owner(struct task *t, const struct ipc_object *o)
{
	return t->cred->euid == o->uid || t->cred->euid == o->cuid ||
	       cred_capable(t->cred, CAP_SYS_ADMIN);
}

void ipc_fill_perm(const struct ipc_object *o, struct ipc_perm *out)
{
	memset(out, 0, sizeof(*out));
	out->__key = o->removed ? IPC_PRIVATE : o->key;
	out->uid = o->uid;
	out->gid = o->gid;
	out->cuid = o->cuid;
	out->cgid = o->cgid;
	out->mode = (unsigned short)(o->mode | (o->removed ? 01000 : 0)); /* SHM_DEST */
	out->__seq = (unsigned short)o->id;
}

void ipc_set_perm(struct ipc_object *o, const struct ipc_perm *in)
{
	o->uid = in->uid;
	o->gid = in->gid;
	o->mode = (o->mode & ~0777u) | (in->mode & 0777u);
}

struct ipc_object *ipc_get(struct ipc *ipc, enum ipc_kind kind, struct task *t, key_t key,
			   int flags, int *err)
{
	struct ipc_object *o = key == IPC_PRIVATE ? NULL : ipc_find_key(ipc, kind, key);
	unsigned want = (unsigned)flags & 0777;

	*err = 0;
	if (o) {
		want = (want >> 6 | want >> 3 | want) & 7;
		if ((flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
			*err = -EEXIST;
		else
			*err = ipc_permit(t, o, want);
		return *err ? NULL : o;
	}
	if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
		*err = -ENOENT;
	else if (ipc->count[kind] >= IPC_OBJECTS_MAX)
		*err = -ENOSPC;
	return NULL;
}
