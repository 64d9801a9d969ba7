/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and FIFOs. The ring starts empty and grows by doubling up to the capacity, so that a pipe
 * nobody writes to costs no buffer. Data moves between guest memory and the ring with one copy.
 */
#include "runtime/fs/pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "runtime/fs/ring.h"
#include "runtime/task/task.h"

#define PIPE_DEFAULT_CAPACITY 65536u
#define PIPE_MAX_UNPRIVILEGED (1u << 20) /* /proc/sys/fs/pipe-max-size */
#define PIPE_MAX_CAPACITY (1u << 30)
#define PIPE_READABLE (POLLIN | POLLRDNORM)
#define PIPE_WRITABLE (POLLOUT | POLLWRNORM)

struct pipe {
	struct list fifo_link; /* fifo_lock; empty list: not a FIFO */
	uint64_t dev, ino;     /* a FIFO's node, or an anonymous pipe's own number; immutable */
	uint32_t uid, gid;     /* creator; immutable */
	bool packets;	       /* O_DIRECT: each write is a length word and its bytes; immutable */
	pthread_mutex_t lock;
	/* protected by lock */
	struct ring ring;
	unsigned readers, writers; /* open descriptions that may read, write */
	unsigned opens;		   /* descriptions and opens in progress */
	uint32_t reader_seq, writer_seq; /* opens ever: a FIFO's rendezvous */
	struct waitq wait;
};

/* Held around looking a FIFO up and dropping its last open; outside pipe.lock. */
static pthread_mutex_t fifo_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list fifos = LIST_INIT(fifos);
static atomic_ullong pipe_next_ino = 4096;

static const struct file_ops pipe_ops, fifo_ops;

static struct pipe *pipe_new(void)
{
	struct pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	list_init(&p->fifo_link);
	pthread_mutex_init(&p->lock, NULL);
	ring_init(&p->ring, PIPE_DEFAULT_CAPACITY);
	waitq_init(&p->wait);
	return p;
}

static void pipe_free(struct pipe *p)
{
	ring_free(&p->ring);
	waitq_destroy(&p->wait);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static bool may_read(unsigned flags)
{
	return (flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(unsigned flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static void pipe_count_open(struct pipe *p, unsigned flags)
{
	if (may_read(flags))
		p->readers++, p->reader_seq++;
	if (may_write(flags))
		p->writers++, p->writer_seq++;
	p->opens++;
}

/* Undo pipe_count_open(); the pipe is gone when nobody has it open. */
static void pipe_drop_open(struct pipe *p, unsigned flags)
{
	bool last;

	pthread_mutex_lock(&fifo_lock);
	pthread_mutex_lock(&p->lock);
	if (may_read(flags))
		p->readers--;
	if (may_write(flags))
		p->writers--;
	last = --p->opens == 0;
	if (last)
		list_del(&p->fifo_link);
	else
		waitq_wake(&p->wait, 0, 0);
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&fifo_lock);
	if (last)
		pipe_free(p);
}

/* ---- reading ---- */

/* One attempt with the lock held; -EAGAIN: nothing there yet. */
static int64_t pipe_read_locked(struct pipe *p, struct uio *to)
{
	uint32_t len;
	int64_t n;

	if (!ring_used(&p->ring))
		return p->writers ? -EAGAIN : 0;
	if (!p->packets)
		return ring_to_uio(&p->ring, to, to->resid);
	ring_peek(&p->ring, &len, sizeof(len));
	ring_drop(&p->ring, sizeof(len));
	n = ring_to_uio(&p->ring, to, len < to->resid ? len : to->resid);
	/* What the reader's buffer had no room for is lost: pipe(2), O_DIRECT. */
	ring_drop(&p->ring, n > 0 ? len - (size_t)n : len);
	return n;
}

static int64_t pipe_read_once(struct pipe *p, struct uio *to)
{
	bool was_full;
	int64_t n;

	pthread_mutex_lock(&p->lock);
	was_full = ring_room(&p->ring) < PIPE_BUF;
	n = pipe_read_locked(p, to);
	if (n > 0 && was_full)
		waitq_wake(&p->wait, PIPE_WRITABLE, 0);
	pthread_mutex_unlock(&p->lock);
	return n;
}

static int64_t pipe_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct pipe *p = f->data;
	struct waiter w;
	int64_t n;

	(void)pos;
	if (!to->resid)
		return 0;
	n = pipe_read_once(p, to);
	if (n != -EAGAIN || (f->flags & O_NONBLOCK))
		return n;
	waiter_init(&w, t);
	w.exclusive = true;
	waitq_add(&p->wait, &w, PIPE_READABLE);
	for (;;) {
		task_prepare_park(t);
		n = pipe_read_once(p, to);
		if (n != -EAGAIN)
			break;
		if (task_park(t, DEADLINE_NONE, NULL, 0) == -EINTR) {
			n = -ERESTARTSYS;
			break;
		}
	}
	waitq_remove(&w);
	/* This reader may have used up a wake-up that another one needs. */
	pthread_mutex_lock(&p->lock);
	if (ring_used(&p->ring))
		waitq_wake(&p->wait, PIPE_READABLE, 1);
	pthread_mutex_unlock(&p->lock);
	return n;
}

static int64_t pipe_peek_once(struct pipe *p, struct uio *to)
{
	int64_t ret;
	size_t n;
	void *buf;

	pthread_mutex_lock(&p->lock);
	n = ring_used(&p->ring) < to->resid ? ring_used(&p->ring) : to->resid;
	buf = n ? malloc(n) : NULL;
	if (!ring_used(&p->ring))
		ret = p->writers ? -EAGAIN : 0;
	else if (!buf)
		ret = -ENOMEM;
	else if (p->packets)
		ret = -EINVAL; /* length words are not for copying */
	else
		ret = 1;
	if (ret > 0)
		ring_peek(&p->ring, buf, n);
	pthread_mutex_unlock(&p->lock);
	if (ret > 0)
		ret = uio_write_to_guest(to, buf, n);
	free(buf);
	return ret;
}

int64_t pipe_peek(struct file *f, struct task *t, struct uio *to, bool nonblock)
{
	struct pipe *p = f->data;
	struct waiter w;
	int64_t n;

	waiter_init(&w, t);
	waitq_add(&p->wait, &w, PIPE_READABLE);
	for (;;) {
		task_prepare_park(t);
		n = pipe_peek_once(p, to);
		if (n != -EAGAIN || nonblock || f->flags & O_NONBLOCK)
			break;
		if (task_park(t, DEADLINE_NONE, NULL, 0) == -EINTR) {
			n = -ERESTARTSYS;
			break;
		}
	}
	waitq_remove(&w);
	return n;
}

/* ---- writing ---- */

static int64_t pipe_write_packet(struct pipe *p, struct uio *from)
{
	uint32_t len = from->resid < PIPE_BUF ? (uint32_t)from->resid : PIPE_BUF;
	uint8_t buf[PIPE_BUF];
	int64_t n;
	int ret;

	if (ring_room(&p->ring) < len + sizeof(len))
		return -EAGAIN;
	n = uio_read_from_guest(from, buf, len);
	if (n <= 0)
		return n;
	len = (uint32_t)n;
	ret = ring_reserve(&p->ring, len + sizeof(len));
	if (ret)
		return ret;
	ring_put(&p->ring, &len, sizeof(len));
	ring_put(&p->ring, buf, len);
	return n;
}

/*
 * One attempt. Writes of at most PIPE_BUF bytes (when *atomic) go in whole or not at all; larger ones
 * as far as there is room. -EAGAIN: no room.
 */
static int64_t pipe_write_once(struct pipe *p, struct uio *from, bool atomic)
{
	size_t room;
	int64_t n;

	pthread_mutex_lock(&p->lock);
	room = ring_room(&p->ring);
	if (!p->readers)
		n = -EPIPE;
	else if (p->packets)
		n = pipe_write_packet(p, from);
	else if (!room || (atomic && room < from->resid))
		n = -EAGAIN;
	else
		n = ring_from_uio(&p->ring, from, room < from->resid ? room : from->resid);
	if (n > 0)
		waitq_wake(&p->wait, PIPE_READABLE, 1);
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void pipe_signal_broken(struct task *t)
{
	guest_siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};

	info.si_pid = t->process->pid;
	info.si_uid = t->cred->uid;
	signal_send_task(t, SIGPIPE, &info);
}

static int64_t pipe_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct pipe *p = f->data;
	bool atomic = from->resid <= PIPE_BUF, queued = false;
	struct waiter w;
	int64_t n = 0, done = 0;

	(void)pos;
	if (!from->resid)
		return 0;
	while (from->resid) {
		if (queued)
			task_prepare_park(t);
		n = pipe_write_once(p, from, atomic);
		if (n > 0) {
			done += n;
			continue;
		}
		if (n != -EAGAIN || (f->flags & O_NONBLOCK))
			break;
		if (!queued) {
			waiter_init(&w, t);
			waitq_add(&p->wait, &w, PIPE_WRITABLE);
			queued = true;
			continue;
		}
		if (task_park(t, DEADLINE_NONE, NULL, 0) == -EINTR) {
			n = -ERESTARTSYS;
			break;
		}
	}
	if (queued)
		waitq_remove(&w);
	if (n == -EPIPE)
		pipe_signal_broken(t);
	return done ? done : n;
}

/* ---- the rest of the description's operations ---- */

static uint32_t pipe_poll(struct file *f, struct waiter *w)
{
	struct pipe *p = f->data;
	uint32_t ev = 0;

	if (w)
		waitq_add(&p->wait, w, w->events);
	pthread_mutex_lock(&p->lock);
	if (may_read(f->flags)) {
		if (ring_used(&p->ring))
			ev |= PIPE_READABLE;
		if (!p->writers && f->pos != (int64_t)p->writer_seq)
			ev |= POLLHUP;
	}
	if (may_write(f->flags)) {
		if (ring_room(&p->ring) >= PIPE_BUF)
			ev |= PIPE_WRITABLE;
		if (!p->readers)
			ev |= POLLERR;
	}
	pthread_mutex_unlock(&p->lock);
	return ev;
}

static int64_t pipe_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct pipe *p = f->data;
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	pthread_mutex_lock(&p->lock);
	n = (int)ring_used(&p->ring);
	pthread_mutex_unlock(&p->lock);
	return mm_copy_out(t->mm, GVA(arg), &n, sizeof(n));
}

static int pipe_getattr(struct file *f, struct kstat *out)
{
	const struct pipe *p = f->data;

	*out = (struct kstat){.dev = 13,
			      .ino = p->ino,
			      .mode = S_IFIFO | 0600,
			      .nlink = 1,
			      .uid = p->uid,
			      .gid = p->gid,
			      .blksize = 4096};
	clock_gettime(CLOCK_REALTIME, &out->mtime);
	out->atime = out->ctime = out->mtime;
	return 0;
}

static void pipe_release(struct file *f)
{
	pipe_drop_open(f->data, f->flags);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.getattr = pipe_getattr,
	.release = pipe_release,
};
static const struct file_ops fifo_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops || f->ops == &fifo_ops;
}

/* ---- opening ---- */

static struct file *pipe_file(struct pipe *p, const struct file_ops *ops, unsigned flags)
{
	struct file *f = file_alloc(ops, flags);

	if (!f)
		return NULL;
	f->data = p;
	f->pos = -1;
	f->anon_name = "pipe";
	f->anon_ino = p->ino;
	return f;
}

int pipe_create(const struct cred *owner, unsigned flags, struct file **rd, struct file **wr)
{
	struct pipe *p = pipe_new();

	if (!p)
		return -ENOMEM;
	p->ino = atomic_fetch_add(&pipe_next_ino, 1);
	p->uid = owner->fsuid;
	p->gid = owner->fsgid;
	p->packets = flags & O_DIRECT;
	pipe_count_open(p, O_RDWR);
	p->opens = 2;
	*rd = pipe_file(p, &pipe_ops, O_RDONLY | flags);
	*wr = pipe_file(p, &pipe_ops, O_WRONLY | flags);
	if (*rd && *wr)
		return 0;
	if (*rd)
		file_put(*rd);
	else
		pipe_drop_open(p, O_RDONLY);
	if (*wr)
		file_put(*wr);
	else
		pipe_drop_open(p, O_WRONLY);
	return -ENFILE;
}

/* Wait until *seq moves from `from`: the other side was opened. Lock held, dropped meanwhile. */
static int fifo_wait_peer(struct pipe *p, struct task *t, const uint32_t *seq)
{
	uint32_t from = *seq;
	struct waiter w;
	int ret = 0;

	waiter_init(&w, t);
	waitq_add(&p->wait, &w, 0);
	while (*seq == from && !ret) {
		task_prepare_park(t);
		pthread_mutex_unlock(&p->lock);
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
		pthread_mutex_lock(&p->lock);
	}
	if (*seq != from)
		ret = 0;
	waitq_remove(&w);
	return ret ? -ERESTARTSYS : 0;
}

/*
 * Join a pipe whose `opens` already counts this attempt through pipe_count_open(). Only those with a
 * name wait for the other side, or refuse when it is missing (fifo(7)).
 */
static int pipe_join(struct task *t, struct pipe *p, const struct file_ops *ops, int flags,
		     struct file **out)
{
	bool named = ops == &fifo_ops;
	bool nonblock = flags & O_NONBLOCK;
	int64_t hup_seq = -1;
	int ret = 0;

	pthread_mutex_lock(&p->lock);
	waitq_wake(&p->wait, 0, 0);
	if (named && (flags & O_ACCMODE) == O_RDONLY && !p->writers) {
		if (nonblock)
			hup_seq = p->writer_seq;
		else
			ret = fifo_wait_peer(p, t, &p->writer_seq);
	} else if (named && (flags & O_ACCMODE) == O_WRONLY && !p->readers) {
		ret = nonblock ? -ENXIO : fifo_wait_peer(p, t, &p->reader_seq);
	}
	pthread_mutex_unlock(&p->lock);
	if (!ret) {
		*out = pipe_file(p, ops, (unsigned)flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC));
		if (!*out)
			ret = -ENFILE;
		else
			(*out)->pos = hup_seq;
	}
	if (ret)
		pipe_drop_open(p, (unsigned)flags);
	return ret;
}

static struct pipe *fifo_find_locked(const struct vnode *node)
{
	list_for_each(l, &fifos) {
		struct pipe *p = list_entry(l, struct pipe, fifo_link);

		if (p->ino == node->ino && p->dev == node->dev)
			return p;
	}
	return NULL;
}

int fifo_open(struct task *t, struct vnode *node, int flags, struct file **out)
{
	struct pipe *p;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	pthread_mutex_lock(&fifo_lock);
	p = fifo_find_locked(node);
	if (!p) {
		p = pipe_new();
		if (!p) {
			pthread_mutex_unlock(&fifo_lock);
			return -ENOMEM;
		}
		p->dev = node->dev;
		p->ino = node->ino;
		list_add_tail(&fifos, &p->fifo_link);
	}
	pthread_mutex_lock(&p->lock);
	pipe_count_open(p, (unsigned)flags);
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&fifo_lock);
	return pipe_join(t, p, &fifo_ops, flags, out);
}

int pipe_reopen(struct task *t, struct file *f, int flags, struct file **out)
{
	struct pipe *p = f->data;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	pthread_mutex_lock(&p->lock);
	pipe_count_open(p, (unsigned)flags);
	pthread_mutex_unlock(&p->lock);
	return pipe_join(t, p, f->ops, flags, out);
}

/* ---- fcntl helpers ---- */

int64_t pipe_get_size(struct file *f)
{
	struct pipe *p = f->data;

	return file_is_pipe(f) ? (int64_t)ring_capacity(&p->ring) : -EBADF;
}

int64_t pipe_set_size(struct file *f, struct task *t, uint64_t size)
{
	struct pipe *p = f->data;
	size_t cap = PIPE_BUF;
	int ret;

	if (!file_is_pipe(f))
		return -EBADF;
	if (p->packets)
		cap *= 2; /* a whole packet and its length word */
	if (size > PIPE_MAX_CAPACITY || !size)
		return -EINVAL;
	while (cap < size)
		cap *= 2;
	pthread_mutex_lock(&p->lock);
	if (cap > ring_capacity(&p->ring) && cap > PIPE_MAX_UNPRIVILEGED &&
	    !cred_capable(t->cred, 24 /* CAP_SYS_RESOURCE */))
		ret = -EPERM;
	else
		ret = ring_set_capacity(&p->ring, cap);
	if (!ret)
		waitq_wake(&p->wait, PIPE_WRITABLE, 0);
	pthread_mutex_unlock(&p->lock);
	return ret ? ret : (int64_t)cap;
}
