/* SPDX-License-Identifier: Apache-2.0 */
/* System V semaphores (semop(2), semctl(2)), with SEM_UNDO by process. */
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <time.h>

#include "runtime/syscall/ipc.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define SEMS_MAX	 32000u /* SEMMSL */
#define OPS_MAX		 500u	/* SEMOPM */
#define VALUE_MAX	 32767	/* SEMVMX */
#define CMD_SEM_STAT	 18
#define CMD_SEM_INFO	 19
#define CMD_SEM_STAT_ANY 20
#define NS_PER_SEC	 1000000000ull

struct sem {
	int value;
	pid_t pid;
	unsigned ncnt, zcnt; /* waiting for an increase, for zero */
};

struct sem_set {
	struct ipc_object o;
	unsigned refs; /* the table's and one a sleeper; protected by the ipc lock, as all here */
	struct waitq wait;
	time_t otime, ctime;
	unsigned nsems;
	struct sem sems[];
};

struct sem_undo {
	struct list link;
	struct process *process;
	int id;
	unsigned nsems;
	int adjust[];
};

static struct sem_set *set_of(struct ipc_object *o)
{
	return container_of(o, struct sem_set, o);
}

static void set_put_locked(struct sem_set *s)
{
	if (--s->refs)
		return;
	waitq_destroy(&s->wait);
	free(s);
}

/* ---- undo ---- */

static struct sem_undo *undo_find(struct ipc *ipc, struct process *p, int id)
{
	list_for_each (pos, &ipc->undos) {
		struct sem_undo *u = list_entry(pos, struct sem_undo, link);

		if (u->process == p && u->id == id)
			return u;
	}
	return NULL;
}

static struct sem_undo *undo_need(struct ipc *ipc, struct process *p, struct sem_set *s)
{
	struct sem_undo *u = undo_find(ipc, p, s->o.id);

	if (u)
		return u;
	u = calloc(1, sizeof(*u) + s->nsems * sizeof(u->adjust[0]));
	if (!u)
		return NULL;
	u->process = p;
	u->id = s->o.id;
	u->nsems = s->nsems;
	list_add_tail(&ipc->undos, &u->link);
	return u;
}

/* Forget adjustments of one semaphore (SETVAL) or, index -1, of the whole set. */
static void undo_clear(struct ipc *ipc, int id, int index, bool drop)
{
	list_for_each_safe (pos, &ipc->undos) {
		struct sem_undo *u = list_entry(pos, struct sem_undo, link);

		if (u->id != id)
			continue;
		for (unsigned i = 0; i < u->nsems; i++)
			if (index < 0 || i == (unsigned)index)
				u->adjust[i] = 0;
		if (drop) {
			list_del(&u->link);
			free(u);
		}
	}
}

static void undo_apply(struct ipc *ipc, struct sem_undo *u)
{
	struct ipc_object *o = ipc_find(ipc, IPC_SEM, u->id);
	struct sem_set *s = o ? set_of(o) : NULL;

	for (unsigned i = 0; s && i < u->nsems; i++) {
		int v = s->sems[i].value + u->adjust[i];

		if (!u->adjust[i])
			continue;
		s->sems[i].value = v < 0 ? 0 : v > VALUE_MAX ? VALUE_MAX : v;
		s->sems[i].pid = u->process->pid;
	}
	if (s) {
		s->otime = time(NULL);
		waitq_wake(&s->wait, 0, 0);
	}
}

void ipc_process_exit(struct process *p)
{
	struct ipc *ipc = atomic_load(&p->kernel->ipc);

	if (!ipc)
		return;
	pthread_mutex_lock(&ipc->lock);
	list_for_each_safe (pos, &ipc->undos) {
		struct sem_undo *u = list_entry(pos, struct sem_undo, link);

		if (u->process != p)
			continue;
		undo_apply(ipc, u);
		list_del(&u->link);
		free(u);
	}
	pthread_mutex_unlock(&ipc->lock);
}

/* ---- sets ---- */

static void set_remove_locked(struct ipc *ipc, struct sem_set *s)
{
	s->o.removed = true;
	ipc_unlink(ipc, IPC_SEM, &s->o);
	undo_clear(ipc, s->o.id, -1, true);
	waitq_wake(&s->wait, 0, 0);
	set_put_locked(s);
}

void sem_destroy(struct ipc_object *o)
{
	list_del(&o->link);
	set_put_locked(set_of(o));
}

static int64_t set_get_locked(struct ipc *ipc, struct task *t, key_t key, int nsems, int flags)
{
	struct ipc_object *o;
	struct sem_set *s;
	int err;

	o = ipc_get(ipc, IPC_SEM, t, key, flags, &err);
	if (err)
		return err;
	if (o)
		return nsems < 0 || (unsigned)nsems > set_of(o)->nsems ? -EINVAL : o->id;
	if (nsems <= 0 || (unsigned)nsems > SEMS_MAX)
		return -EINVAL;
	s = calloc(1, sizeof(*s) + (unsigned)nsems * sizeof(s->sems[0]));
	if (!s)
		return -ENOMEM;
	s->refs = 1;
	s->nsems = (unsigned)nsems;
	s->ctime = time(NULL);
	waitq_init(&s->wait);
	ipc_add(ipc, IPC_SEM, &s->o, t, key, flags);
	return s->o.id;
}

int64_t sys_semget(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	pthread_mutex_lock(&ipc->lock);
	ret = set_get_locked(ipc, t, (key_t)a[0], (int)a[1], (int)a[2]);
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

/* ---- operations ---- */

static void ops_revert(struct sem_set *s, const struct sembuf *ops, unsigned n)
{
	while (n--)
		s->sems[ops[n].sem_num].value -= ops[n].sem_op;
}

/* All or nothing. 0: done; -EAGAIN: ops[*blocked] would have to wait; -ERANGE. */
static int ops_try(struct sem_set *s, const struct sembuf *ops, unsigned n, unsigned *blocked)
{
	for (unsigned i = 0; i < n; i++) {
		struct sem *sem = &s->sems[ops[i].sem_num];
		int v = sem->value + ops[i].sem_op;

		if (v < 0 || (!ops[i].sem_op && sem->value)) {
			ops_revert(s, ops, i);
			*blocked = i;
			return -EAGAIN;
		}
		if (v > VALUE_MAX) {
			ops_revert(s, ops, i);
			return -ERANGE;
		}
		sem->value = v;
	}
	return 0;
}

static int ops_commit(struct ipc *ipc, struct task *t, struct sem_set *s, const struct sembuf *ops,
		      unsigned n)
{
	struct sem_undo *u = NULL;

	for (unsigned i = 0; i < n && !u; i++)
		if (ops[i].sem_flg & SEM_UNDO) {
			u = undo_need(ipc, t->process, s);
			if (!u) {
				ops_revert(s, ops, n);
				return -ENOMEM;
			}
		}
	for (unsigned i = 0; i < n; i++) {
		s->sems[ops[i].sem_num].pid = t->process->pid;
		if (ops[i].sem_flg & SEM_UNDO)
			u->adjust[ops[i].sem_num] -= ops[i].sem_op;
	}
	s->otime = time(NULL);
	waitq_wake(&s->wait, 0, 0);
	return 0;
}

static void count_waiter(struct sem_set *s, const struct sembuf *op, int by)
{
	unsigned *count = op->sem_op ? &s->sems[op->sem_num].ncnt : &s->sems[op->sem_num].zcnt;

	*count += (unsigned)by;
}

/* Called and returns with the lock held, which is dropped while asleep. */
static int ops_wait_locked(struct ipc *ipc, struct task *t, struct sem_set *s,
			   const struct sembuf *ops, unsigned n, uint64_t deadline)
{
	struct waiter w;
	unsigned blocked;
	int ret;

	waiter_init(&w, t);
	waitq_add(&s->wait, &w, 0);
	s->refs++;
	for (;;) {
		task_prepare_park(t);
		ret = s->o.removed ? -EIDRM : ops_try(s, ops, n, &blocked);
		if (ret != -EAGAIN || ops[blocked].sem_flg & IPC_NOWAIT)
			break;
		count_waiter(s, &ops[blocked], 1);
		pthread_mutex_unlock(&ipc->lock);
		ret = task_park(t, deadline, NULL, 0);
		pthread_mutex_lock(&ipc->lock);
		count_waiter(s, &ops[blocked], -1);
		if (ret) {
			if (s->o.removed)
				ret = -EIDRM;
			else if (ret == -ETIMEDOUT)
				ret = -EAGAIN;
			break;
		}
	}
	waitq_remove(&w);
	if (!ret)
		ret = ops_commit(ipc, t, s, ops, n);
	set_put_locked(s);
	return ret;
}

static int ops_check(struct task *t, struct sem_set *s, const struct sembuf *ops, unsigned n)
{
	unsigned want = 0;

	for (unsigned i = 0; i < n; i++) {
		if (ops[i].sem_num >= s->nsems)
			return -EFBIG;
		want |= ops[i].sem_op ? 2 : 4;
	}
	return ipc_permit(t, &s->o, want);
}

static int64_t do_semop(struct task *t, const uint64_t a[6], uint64_t deadline)
{
	struct ipc *ipc = ipc_of(t->kernel);
	unsigned n = (unsigned)a[2];
	struct sembuf ops[OPS_MAX];
	struct ipc_object *o;
	int ret;

	if (!ipc)
		return -ENOMEM;
	if (!n)
		return -EINVAL;
	if (n > OPS_MAX)
		return -E2BIG;
	if (mm_copy_in(t->mm, ops, GVA(a[1]), n * sizeof(ops[0])))
		return -EFAULT;
	pthread_mutex_lock(&ipc->lock);
	o = ipc_find(ipc, IPC_SEM, (int)a[0]);
	ret = o ? ops_check(t, set_of(o), ops, n) : -EINVAL;
	if (!ret)
		ret = ops_wait_locked(ipc, t, set_of(o), ops, n, deadline);
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

int64_t sys_semop(struct task *t, const uint64_t a[6])
{
	return do_semop(t, a, DEADLINE_NONE);
}

int64_t sys_semtimedop(struct task *t, const uint64_t a[6])
{
	int64_t ts[2];

	if (!a[3])
		return do_semop(t, a, DEADLINE_NONE);
	if (mm_copy_in(t->mm, ts, GVA(a[3]), sizeof(ts)))
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (int64_t)NS_PER_SEC)
		return -EINVAL;
	if (ts[0] > INT32_MAX)
		return do_semop(t, a, DEADLINE_NONE);
	return do_semop(t, a, monotonic_ns() + (uint64_t)ts[0] * NS_PER_SEC + (uint64_t)ts[1]);
}

/* ---- semctl ---- */

static int64_t sem_info(struct ipc *ipc, struct task *t, int cmd, uint64_t addr)
{
	struct seminfo info = {
		.semmap = 1024000000,
		.semmni = IPC_OBJECTS_MAX,
		.semmns = 1024000000,
		.semmnu = 1024000000,
		.semmsl = SEMS_MAX,
		.semopm = OPS_MAX,
		.semume = OPS_MAX,
		.semusz = (int)ipc->count[IPC_SEM],
		.semvmx = VALUE_MAX,
		.semaem = VALUE_MAX,
	};
	int last = ipc->count[IPC_SEM] ? (int)ipc->count[IPC_SEM] - 1 : 0;

	if (cmd == CMD_SEM_INFO) {
		info.semaem = 0;
		pthread_mutex_lock(&ipc->lock);
		list_for_each (pos, &ipc->objects[IPC_SEM])
			info.semaem += (int)set_of(list_entry(pos, struct ipc_object, link))->nsems;
		pthread_mutex_unlock(&ipc->lock);
	}
	return mm_copy_out(t->mm, GVA(addr), &info, sizeof(info)) ? -EFAULT : last;
}

/* Commands about one semaphore. */
static int64_t sem_one(struct ipc *ipc, struct task *t, struct sem_set *s, int index, int cmd,
		       uint64_t arg)
{
	int ret = ipc_permit(t, &s->o, cmd == SETVAL ? 2 : 4);

	if (index < 0 || (unsigned)index >= s->nsems)
		return -EINVAL;
	if (ret)
		return ret;
	switch (cmd) {
	case GETVAL:
		return s->sems[index].value;
	case GETPID:
		return s->sems[index].pid;
	case GETNCNT:
		return s->sems[index].ncnt;
	case GETZCNT:
		return s->sems[index].zcnt;
	}
	if ((int)arg < 0 || (int)arg > VALUE_MAX)
		return -ERANGE;
	s->sems[index].value = (int)arg;
	s->sems[index].pid = t->process->pid;
	s->ctime = time(NULL);
	undo_clear(ipc, s->o.id, index, false);
	waitq_wake(&s->wait, 0, 0);
	return 0;
}

/* GETALL and SETALL through a host copy, so that guest memory is not touched with the lock held. */
static int64_t sem_all(struct ipc *ipc, struct task *t, int id, int cmd, uint64_t addr)
{
	uint16_t *v = calloc(SEMS_MAX, sizeof(*v));
	struct ipc_object *o;
	unsigned n = 0;
	int64_t ret;

	if (!v)
		return -ENOMEM;
	pthread_mutex_lock(&ipc->lock);
	o = ipc_find(ipc, IPC_SEM, id);
	ret = o ? ipc_permit(t, o, cmd == SETALL ? 2 : 4) : -EINVAL;
	if (!ret)
		n = set_of(o)->nsems;
	for (unsigned i = 0; i < n; i++)
		v[i] = (uint16_t)set_of(o)->sems[i].value;
	pthread_mutex_unlock(&ipc->lock);
	if (!ret && cmd == GETALL)
		ret = mm_copy_out(t->mm, GVA(addr), v, n * sizeof(*v));
	if (!ret && cmd == SETALL) {
		ret = mm_copy_in(t->mm, v, GVA(addr), n * sizeof(*v));
		for (unsigned i = 0; i < n && !ret; i++)
			ret = v[i] > VALUE_MAX ? -ERANGE : 0;
		pthread_mutex_lock(&ipc->lock);
		if (!ret && ipc_find(ipc, IPC_SEM, id) != o)
			ret = -EIDRM;
		for (unsigned i = 0; i < n && !ret; i++) {
			set_of(o)->sems[i].value = v[i];
			set_of(o)->sems[i].pid = t->process->pid;
		}
		if (!ret) {
			set_of(o)->ctime = time(NULL);
			undo_clear(ipc, id, -1, false);
			waitq_wake(&set_of(o)->wait, 0, 0);
		}
		pthread_mutex_unlock(&ipc->lock);
	}
	free(v);
	return ret;
}

static int64_t set_control(struct ipc *ipc, struct task *t, struct sem_set *s, const uint64_t a[6],
			   int cmd, struct semid_ds *ds)
{
	int ret;

	switch (cmd) {
	case IPC_STAT:
	case CMD_SEM_STAT:
	case CMD_SEM_STAT_ANY:
		ret = cmd == CMD_SEM_STAT_ANY ? 0 : ipc_permit(t, &s->o, 4);
		if (ret)
			return ret;
		memset(ds, 0, sizeof(*ds));
		ipc_fill_perm(&s->o, &ds->sem_perm);
		ds->sem_otime = s->otime;
		ds->sem_ctime = s->ctime;
		ds->sem_nsems = s->nsems;
		return cmd == IPC_STAT ? 0 : s->o.id;
	case IPC_SET:
	case IPC_RMID:
		if (!ipc_owner(t, &s->o))
			return -EPERM;
		if (cmd == IPC_RMID) {
			set_remove_locked(ipc, s);
		} else {
			ipc_set_perm(&s->o, &ds->sem_perm);
			s->ctime = time(NULL);
		}
		return 0;
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
		return sem_one(ipc, t, s, (int)a[1], cmd, a[3]);
	default:
		return -EINVAL;
	}
}

int64_t sys_semctl(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int cmd = (int)a[2] & ~IPC_64_FLAG;
	bool by_index = cmd == CMD_SEM_STAT || cmd == CMD_SEM_STAT_ANY;
	struct ipc_object *o;
	struct semid_ds ds;
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	if ((int)a[0] < 0)
		return -EINVAL;
	if (cmd == IPC_INFO || cmd == CMD_SEM_INFO)
		return sem_info(ipc, t, cmd, a[3]);
	if (cmd == GETALL || cmd == SETALL)
		return sem_all(ipc, t, (int)a[0], cmd, a[3]);
	if (cmd == IPC_SET && mm_copy_in(t->mm, &ds, GVA(a[3]), sizeof(ds)))
		return -EFAULT;
	pthread_mutex_lock(&ipc->lock);
	o = by_index ? ipc_nth(ipc, IPC_SEM, (int)a[0]) : ipc_find(ipc, IPC_SEM, (int)a[0]);
	ret = o ? set_control(ipc, t, set_of(o), a, cmd, &ds) : -EINVAL;
	pthread_mutex_unlock(&ipc->lock);
	if (ret >= 0 && (cmd == IPC_STAT || by_index) &&
	    mm_copy_out(t->mm, GVA(a[3]), &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}
