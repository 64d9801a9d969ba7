/* SPDX-License-Identifier: Apache-2.0 */
/* System V message queues (msgop(2), msgctl(2)). */
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <time.h>

#include "runtime/syscall/ipc.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define MESSAGE_MAX	 8192u	/* MSGMAX */
#define QUEUE_BYTES	 16384u /* MSGMNB */
#define CMD_MSG_STAT	 11
#define CMD_MSG_INFO	 12
#define CMD_MSG_STAT_ANY 13

struct message {
	struct list link;
	int64_t type;
	size_t len;
	uint8_t data[];
};

struct msg_queue {
	struct ipc_object o;
	unsigned refs; /* the table's and one a sleeper; protected by the ipc lock, as all here */
	struct waitq wait; /* senders and receivers */
	struct list messages;
	uint64_t bytes, count, max_bytes;
	time_t stime, rtime, ctime;
	pid_t lspid, lrpid;
};

static struct msg_queue *queue_of(struct ipc_object *o)
{
	return container_of(o, struct msg_queue, o);
}

static void queue_put_locked(struct msg_queue *q)
{
	if (--q->refs)
		return;
	list_for_each_safe (pos, &q->messages)
		free(list_entry(pos, struct message, link));
	waitq_destroy(&q->wait);
	free(q);
}

void msg_destroy(struct ipc_object *o)
{
	list_del(&o->link);
	queue_put_locked(queue_of(o));
}

static int64_t queue_get_locked(struct ipc *ipc, struct task *t, key_t key, int flags)
{
	struct msg_queue *q;
	struct ipc_object *o;
	int err;

	o = ipc_get(ipc, IPC_MSG, t, key, flags, &err);
	if (err || o)
		return err ? err : o->id;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->refs = 1;
	q->max_bytes = QUEUE_BYTES;
	q->ctime = time(NULL);
	list_init(&q->messages);
	waitq_init(&q->wait);
	ipc_add(ipc, IPC_MSG, &q->o, t, key, flags);
	return q->o.id;
}

int64_t sys_msgget(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	pthread_mutex_lock(&ipc->lock);
	ret = queue_get_locked(ipc, t, (key_t)a[0], (int)a[1]);
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

/*
 * Run `attempt` with the lock held until it says something else than -EAGAIN. The queue stays
 * allocated while the caller sleeps; its removal ends the wait.
 */
struct operation {
	struct task *t;
	struct message *msg; /* in: to send; out: received */
	int64_t type;
	size_t room;
	int flags;
};

static int operate(struct ipc *ipc, int id, unsigned want,
		   int (*attempt)(struct msg_queue *q, struct operation *op), struct operation *op)
{
	struct ipc_object *o;
	struct msg_queue *q;
	struct waiter w;
	int ret;

	pthread_mutex_lock(&ipc->lock);
	o = ipc_find(ipc, IPC_MSG, id);
	ret = o ? ipc_permit(op->t, o, want) : -EINVAL;
	if (ret) {
		pthread_mutex_unlock(&ipc->lock);
		return ret;
	}
	q = queue_of(o);
	q->refs++;
	waiter_init(&w, op->t);
	waitq_add(&q->wait, &w, 0);
	for (;;) {
		task_prepare_park(op->t);
		ret = q->o.removed ? -EIDRM : attempt(q, op);
		if (ret != -EAGAIN || op->flags & IPC_NOWAIT)
			break;
		pthread_mutex_unlock(&ipc->lock);
		ret = task_park(op->t, DEADLINE_NONE, NULL, 0);
		pthread_mutex_lock(&ipc->lock);
		if (ret) {
			ret = q->o.removed ? -EIDRM : -ERESTARTNOHAND;
			break;
		}
	}
	waitq_remove(&w);
	queue_put_locked(q);
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

static int try_send(struct msg_queue *q, struct operation *op)
{
	struct message *m = op->msg;

	if (q->bytes + m->len > q->max_bytes || q->count + 1 > q->max_bytes)
		return -EAGAIN;
	list_add_tail(&q->messages, &m->link);
	op->msg = NULL;
	q->bytes += m->len;
	q->count++;
	q->stime = time(NULL);
	q->lspid = op->t->process->pid;
	waitq_wake(&q->wait, 0, 0);
	return 0;
}

int64_t sys_msgsnd(struct task *t, const uint64_t a[6])
{
	struct operation op = {.t = t, .flags = (int)a[3]};
	struct ipc *ipc = ipc_of(t->kernel);
	size_t len = a[2];
	int ret;

	if (a[2] > MESSAGE_MAX || (int)a[0] < 0)
		return -EINVAL;
	op.msg = ipc ? malloc(sizeof(*op.msg) + len) : NULL;
	if (!op.msg)
		return -ENOMEM;
	op.msg->len = len;
	ret = mm_copy_in(t->mm, &op.msg->type, GVA(a[1]), 8);
	if (!ret)
		ret = mm_copy_in(t->mm, op.msg->data, GVA(a[1] + 8), len);
	if (!ret && op.msg->type < 1)
		ret = -EINVAL;
	if (!ret)
		ret = operate(ipc, (int)a[0], 2, try_send, &op);
	free(op.msg); /* NULL once it is queued */
	return ret;
}

static bool message_matches(const struct message *m, const struct operation *op)
{
	if (!op->type)
		return true;
	if (op->type < 0)
		return m->type <= -op->type;
	return op->flags & MSG_EXCEPT ? m->type != op->type : m->type == op->type;
}

static struct message *choose(struct msg_queue *q, const struct operation *op)
{
	struct message *best = NULL;

	list_for_each (pos, &q->messages) {
		struct message *m = list_entry(pos, struct message, link);

		if (!message_matches(m, op))
			continue;
		if (op->type >= 0)
			return m;
		if (!best || m->type < best->type) /* the lowest type not above |type| */
			best = m;
	}
	return best;
}

static int try_receive(struct msg_queue *q, struct operation *op)
{
	struct message *m = choose(q, op);

	if (!m)
		return op->flags & IPC_NOWAIT ? -ENOMSG : -EAGAIN;
	if (m->len > op->room && !(op->flags & MSG_NOERROR))
		return -E2BIG;
	list_del(&m->link);
	q->bytes -= m->len;
	q->count--;
	q->rtime = time(NULL);
	q->lrpid = op->t->process->pid;
	op->msg = m;
	waitq_wake(&q->wait, 0, 0);
	return 0;
}

int64_t sys_msgrcv(struct task *t, const uint64_t a[6])
{
	struct operation op = {.t = t, .type = (int64_t)a[3], .room = a[2], .flags = (int)a[4]};
	struct ipc *ipc = ipc_of(t->kernel);
	size_t len;
	int ret;

	if ((int64_t)a[2] < 0 || (int)a[0] < 0 || op.type == INT64_MIN)
		return -EINVAL;
	if (op.flags & MSG_COPY)
		return -ENOSYS; /* a kernel without checkpoint support */
	if (!ipc)
		return -ENOMEM;
	ret = operate(ipc, (int)a[0], 4, try_receive, &op);
	if (ret)
		return ret;
	len = op.msg->len < op.room ? op.msg->len : op.room;
	if (mm_copy_out(t->mm, GVA(a[1]), &op.msg->type, 8) ||
	    mm_copy_out(t->mm, GVA(a[1] + 8), op.msg->data, len))
		ret = -EFAULT;
	free(op.msg);
	return ret ? ret : (int64_t)len;
}

/* ---- msgctl ---- */

static void queue_stat(struct msg_queue *q, struct msqid_ds *out)
{
	memset(out, 0, sizeof(*out));
	ipc_fill_perm(&q->o, &out->msg_perm);
	out->msg_stime = q->stime;
	out->msg_rtime = q->rtime;
	out->msg_ctime = q->ctime;
	out->__msg_cbytes = q->bytes;
	out->msg_qnum = q->count;
	out->msg_qbytes = q->max_bytes;
	out->msg_lspid = q->lspid;
	out->msg_lrpid = q->lrpid;
}

static int64_t queue_control(struct ipc *ipc, struct task *t, struct msg_queue *q, int cmd,
			     struct msqid_ds *ds)
{
	int ret;

	switch (cmd) {
	case IPC_STAT:
	case CMD_MSG_STAT:
	case CMD_MSG_STAT_ANY:
		ret = cmd == CMD_MSG_STAT_ANY ? 0 : ipc_permit(t, &q->o, 4);
		if (ret)
			return ret;
		queue_stat(q, ds);
		return cmd == IPC_STAT ? 0 : q->o.id;
	case IPC_SET:
		if (!ipc_owner(t, &q->o) || ds->msg_qbytes > QUEUE_BYTES)
			return -EPERM;
		ipc_set_perm(&q->o, &ds->msg_perm);
		q->max_bytes = ds->msg_qbytes;
		q->ctime = time(NULL);
		waitq_wake(&q->wait, 0, 0);
		return 0;
	case IPC_RMID:
		if (!ipc_owner(t, &q->o))
			return -EPERM;
		q->o.removed = true;
		ipc_unlink(ipc, IPC_MSG, &q->o);
		waitq_wake(&q->wait, 0, 0);
		queue_put_locked(q);
		return 0;
	default:
		return -EINVAL;
	}
}

static int64_t msg_info(struct ipc *ipc, struct task *t, int cmd, uint64_t addr)
{
	struct msginfo info = {
		.msgpool = (int)(IPC_OBJECTS_MAX * QUEUE_BYTES / 1024),
		.msgmap = QUEUE_BYTES,
		.msgmax = MESSAGE_MAX,
		.msgmnb = QUEUE_BYTES,
		.msgmni = IPC_OBJECTS_MAX,
		.msgssz = 16,
		.msgtql = QUEUE_BYTES,
		.msgseg = 0xffff,
	};
	unsigned n;

	pthread_mutex_lock(&ipc->lock);
	n = ipc->count[IPC_MSG];
	if (cmd == CMD_MSG_INFO) {
		info.msgpool = (int)n;
		info.msgmap = info.msgtql = 0;
		list_for_each (pos, &ipc->objects[IPC_MSG]) {
			struct msg_queue *q = queue_of(list_entry(pos, struct ipc_object, link));

			info.msgmap += (int)q->count;
			info.msgtql += (int)q->bytes;
		}
	}
	pthread_mutex_unlock(&ipc->lock);
	return mm_copy_out(t->mm, GVA(addr), &info, sizeof(info)) ? -EFAULT : n ? (int)n - 1 : 0;
}

int64_t sys_msgctl(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int cmd = (int)a[1] & ~IPC_64_FLAG;
	bool by_index = cmd == CMD_MSG_STAT || cmd == CMD_MSG_STAT_ANY;
	struct ipc_object *o;
	struct msqid_ds ds;
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	if ((int)a[0] < 0)
		return -EINVAL;
	if (cmd == IPC_INFO || cmd == CMD_MSG_INFO)
		return msg_info(ipc, t, cmd, a[2]);
	if (cmd == IPC_SET && mm_copy_in(t->mm, &ds, GVA(a[2]), sizeof(ds)))
		return -EFAULT;
	pthread_mutex_lock(&ipc->lock);
	o = by_index ? ipc_nth(ipc, IPC_MSG, (int)a[0]) : ipc_find(ipc, IPC_MSG, (int)a[0]);
	ret = o ? queue_control(ipc, t, queue_of(o), cmd, &ds) : -EINVAL;
	pthread_mutex_unlock(&ipc->lock);
	if (ret >= 0 && (cmd == IPC_STAT || by_index) &&
	    mm_copy_out(t->mm, GVA(a[2]), &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}
