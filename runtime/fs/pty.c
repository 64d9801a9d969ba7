/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo-terminal pairs (pty(7)). The master's writes are what is typed; what it reads is the line
 * discipline's output ring.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <asm/termbits.h>
#include <sys/sysmacros.h>

#include "runtime/fs/tty_priv.h"

#define PTY_CHUNK 2048 /* bytes moved per turn of a lock */

static pthread_mutex_t pts_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tty *pts[PTS_MAX]; /* protected by pts_lock; no reference, gone with the master */

struct tty *pts_by_index(unsigned index)
{
	struct tty *y = NULL;

	pthread_mutex_lock(&pts_lock);
	if (index < PTS_MAX && pts[index])
		y = tty_get(pts[index]);
	pthread_mutex_unlock(&pts_lock);
	return y;
}

int pts_next(int index)
{
	pthread_mutex_lock(&pts_lock);
	while (index < (int)PTS_MAX && !pts[index])
		index++;
	pthread_mutex_unlock(&pts_lock);
	return index < (int)PTS_MAX ? index : -1;
}

void pts_free(struct tty *y)
{
	pthread_mutex_lock(&pts_lock);
	pts[y->index] = NULL;
	pthread_mutex_unlock(&pts_lock);
}

void pty_wake_all(struct tty *y)
{
	waitq_wake(&y->wait, 0, 0);
	waitq_wake(&y->master_wait, 0, 0);
}

/* The end of a turn: drop the lock, wake both sides as told, send what ^C asked for. */
static void pty_unlock_and_tell(struct tty *y, uint32_t slave_events, uint32_t master_events)
{
	uint64_t signals = y->ld.signals;

	y->ld.signals = 0;
	if (slave_events)
		waitq_wake(&y->wait, slave_events, 0);
	if (master_events || ring_used(&y->ld.out))
		waitq_wake(&y->master_wait, master_events | TTY_READABLE, 0);
	pthread_mutex_unlock(&y->lock);
	tty_send_signals(y, signals);
}

/* Repeat an attempt until it says something else than -EAGAIN. */
static int64_t pty_block(struct file *f, struct task *t, struct waitq *q, uint64_t deadline,
			 int64_t (*attempt)(struct file *, struct uio *), struct uio *u)
{
	struct waiter w;
	int64_t n = attempt(f, u);
	int ret = 0;

	if (n != -EAGAIN || (f->flags & O_NONBLOCK))
		return n;
	waiter_init(&w, t);
	waitq_add(q, &w, 0);
	for (;;) {
		task_prepare_park(t);
		n = attempt(f, u);
		if (n != -EAGAIN || ret)
			break;
		ret = task_park(t, deadline, NULL, 0);
	}
	waitq_remove(&w);
	if (n == -EAGAIN)
		return ret == -EINTR ? -ERESTARTSYS : 0;
	return n;
}

/* ---- master ---- */

static int64_t master_read_once(struct file *f, struct uio *to)
{
	struct tty *y = f->data;
	uint8_t status;
	int64_t n = 0;

	pthread_mutex_lock(&y->lock);
	if (y->packet && (y->packet_status || (!y->ld.stopped && ring_used(&y->ld.out)))) {
		status = y->packet_status; /* 0 is TIOCPKT_DATA */
		n = uio_write_to_guest(to, &status, 1);
		if (n == 1)
			y->packet_status = 0;
	}
	if (n < 0 || (n && status)) {
		;
	} else if (ring_used(&y->ld.out) && !y->ld.stopped) {
		int64_t got = ring_to_uio(&y->ld.out, to, to->resid);

		n = got >= 0 ? n + got : n ? n : got;
	} else if (!n) {
		n = y->slave_seen && !y->slaves ? -EIO : -EAGAIN;
	}
	if (n > 0)
		waitq_wake(&y->wait, TTY_WRITABLE, 0);
	pthread_mutex_unlock(&y->lock);
	return n;
}

static int64_t master_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct tty *y = f->data;

	(void)pos;
	if (!to->resid)
		return 0;
	return pty_block(f, t, &y->master_wait, DEADLINE_NONE, master_read_once, to);
}

static int64_t master_write_once(struct file *f, struct uio *from)
{
	struct tty *y = f->data;
	struct uio start = *from;
	uint8_t buf[PTY_CHUNK];
	int64_t n;
	size_t took, len = from->resid < sizeof(buf) ? from->resid : sizeof(buf);

	n = uio_read_from_guest(from, buf, len);
	if (n <= 0)
		return n;
	pthread_mutex_lock(&y->lock);
	took = ldisc_input(&y->ld, buf, (size_t)n);
	pty_unlock_and_tell(y, TTY_READABLE | TTY_WRITABLE, 0);
	if (took < (size_t)n) { /* give the rest back */
		*from = start;
		if (took)
			uio_read_from_guest(from, buf, took);
	}
	return took ? (int64_t)took : -EAGAIN;
}

static int64_t write_all(struct file *f, struct task *t, struct uio *from, struct waitq *q,
			 int64_t (*attempt)(struct file *, struct uio *))
{
	int64_t done = 0, n = 0;

	while (from->resid) {
		n = pty_block(f, t, q, DEADLINE_NONE, attempt, from);
		if (n <= 0)
			break;
		done += n;
	}
	return done ? done : n;
}

static int64_t master_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct tty *y = f->data;

	(void)pos;
	return write_all(f, t, from, &y->master_wait, master_write_once);
}

static uint32_t master_poll(struct file *f, struct waiter *w)
{
	struct tty *y = f->data;
	uint32_t ev = 0;

	if (w)
		waitq_add(&y->master_wait, w, w->events);
	pthread_mutex_lock(&y->lock);
	if (ring_used(&y->ld.out) && !y->ld.stopped)
		ev |= TTY_READABLE;
	if (y->packet && y->packet_status)
		ev |= TTY_READABLE | POLLPRI;
	if (y->slave_seen && !y->slaves)
		ev |= POLLHUP;
	if (y->ld.used < LDISC_INPUT - 1)
		ev |= TTY_WRITABLE;
	pthread_mutex_unlock(&y->lock);
	return ev;
}

static void master_release(struct file *f)
{
	struct tty *y = f->data;

	pts_free(y);
	pthread_mutex_lock(&y->lock);
	y->master_open = false;
	pty_wake_all(y);
	pthread_mutex_unlock(&y->lock);
	tty_hangup_session(y);
	tty_put(y);
}

/* ---- slave: f->pos is negative in one that failed to open and was not counted ---- */

static bool slave_hung(const struct tty *y)
{
	return !y->master_open;
}

static int64_t slave_read_once(struct file *f, struct uio *to)
{
	struct tty *y = f->data;
	size_t want = to->resid < LDISC_INPUT ? to->resid : LDISC_INPUT;
	uint8_t buf[LDISC_INPUT];
	bool eof = false;
	unsigned min;
	size_t n;

	pthread_mutex_lock(&y->lock);
	if (slave_hung(y)) {
		pthread_mutex_unlock(&y->lock);
		return 0;
	}
	min = y->ld.tio.cc[VMIN];
	if (min > want || (f->flags & O_NONBLOCK) || y->ld.tio.cc[VTIME])
		min = min > want ? (unsigned)want : 1;
	if (!ldisc_readable(&y->ld, min)) {
		bool now = !(y->ld.tio.lflag & ICANON) && !y->ld.tio.cc[VMIN] && !y->ld.tio.cc[VTIME];

		pthread_mutex_unlock(&y->lock);
		return now ? 0 : -EAGAIN;
	}
	n = ldisc_read(&y->ld, buf, want, &eof);
	pty_unlock_and_tell(y, 0, TTY_WRITABLE);
	return n ? uio_write_to_guest(to, buf, n) : 0;
}

static int64_t slave_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct tty *y = f->data;
	uint64_t deadline = DEADLINE_NONE;
	int ret;

	(void)pos;
	ret = tty_check_background(y, t, SIGTTIN);
	if (ret || !to->resid)
		return ret;
	pthread_mutex_lock(&y->lock);
	/* With VMIN 0, VTIME bounds the wait for the first byte, in tenths of a second. */
	if (!(y->ld.tio.lflag & ICANON) && !y->ld.tio.cc[VMIN] && y->ld.tio.cc[VTIME])
		deadline = monotonic_ns() + (uint64_t)y->ld.tio.cc[VTIME] * 100000000u;
	pthread_mutex_unlock(&y->lock);
	return pty_block(f, t, &y->wait, deadline, slave_read_once, to);
}

static int64_t slave_write_once(struct file *f, struct uio *from)
{
	struct tty *y = f->data;
	struct uio start = *from;
	uint8_t buf[PTY_CHUNK];
	size_t took, len = from->resid < sizeof(buf) ? from->resid : sizeof(buf);
	int64_t n = uio_read_from_guest(from, buf, len);

	if (n <= 0)
		return n;
	pthread_mutex_lock(&y->lock);
	if (slave_hung(y)) {
		pthread_mutex_unlock(&y->lock);
		return -EIO;
	}
	took = ldisc_output(&y->ld, buf, (size_t)n);
	pty_unlock_and_tell(y, 0, 0);
	if (took < (size_t)n) {
		*from = start;
		if (took)
			uio_read_from_guest(from, buf, took);
	}
	return took ? (int64_t)took : -EAGAIN;
}

static int64_t slave_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct tty *y = f->data;

	(void)pos;
	if (y->ld.tio.lflag & TOSTOP) {
		int ret = tty_check_background(y, t, SIGTTOU);

		if (ret)
			return ret;
	}
	return write_all(f, t, from, &y->wait, slave_write_once);
}

static uint32_t slave_poll(struct file *f, struct waiter *w)
{
	struct tty *y = f->data;
	uint32_t ev = 0;

	if (w)
		waitq_add(&y->wait, w, w->events);
	pthread_mutex_lock(&y->lock);
	if (slave_hung(y)) {
		ev = TTY_READABLE | TTY_WRITABLE | POLLERR | POLLHUP;
	} else {
		if (ldisc_readable(&y->ld, y->ld.tio.cc[VTIME] ? 1 : y->ld.tio.cc[VMIN]))
			ev |= TTY_READABLE;
		if (!y->ld.stopped && ring_room(&y->ld.out) >= 256)
			ev |= TTY_WRITABLE;
	}
	pthread_mutex_unlock(&y->lock);
	return ev;
}

static void slave_release(struct file *f)
{
	struct tty *y = f->data;

	pthread_mutex_lock(&y->lock);
	if (f->pos >= 0 && y->slaves && --y->slaves == 0)
		waitq_wake(&y->master_wait, 0, 0);
	pthread_mutex_unlock(&y->lock);
	tty_put(y);
}

static int64_t slave_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct tty *y = f->data;
	bool hung;

	pthread_mutex_lock(&y->lock);
	hung = slave_hung(y);
	pthread_mutex_unlock(&y->lock);
	if (hung)
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	return pty_ioctl(f, t, cmd, arg);
}

void pty_stat(const struct tty *y, uint64_t rdev, struct kstat *out)
{
	*out = (struct kstat){.dev = devpts_dev(),
			      .ino = 3 + (uint64_t)y->index,
			      .rdev = rdev,
			      .mode = S_IFCHR | y->mode,
			      .nlink = 1,
			      .uid = y->uid,
			      .gid = y->gid,
			      .blksize = 1024};
}

/* Descriptions opened through no path (TIOCGPTPEER, /dev/tty) have no node to ask. */
static int slave_getattr(struct file *f, struct kstat *out)
{
	struct tty *y = f->data;

	if (f->path.node)
		return f->path.node->ops->getattr(f->path.node, out);
	pty_stat(y, y->rdev, out);
	return 0;
}

static int master_getattr(struct file *f, struct kstat *out)
{
	if (f->path.node)
		return f->path.node->ops->getattr(f->path.node, out);
	pty_stat(f->data, makedev(5, 2), out);
	return 0;
}

const struct file_ops pty_master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = pty_ioctl,
	.getattr = master_getattr,
	.release = master_release,
};
const struct file_ops pty_slave_ops = {
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
	.getattr = slave_getattr,
	.release = slave_release,
};

/* ---- opening ---- */

int pts_open(struct task *t, struct tty *y, unsigned flags, struct file **out)
{
	struct file *f;
	int ret = 0;

	if (y->host)
		return tty_host_open(t, y, flags, out);
	f = file_alloc(&pty_slave_ops,
		       flags & ~(unsigned)(O_NOCTTY | O_CREAT | O_EXCL | O_TRUNC));
	if (!f)
		return -ENFILE;
	f->data = tty_get(y);
	f->anon_name = "/dev/tty";
	f->pos = -1;
	pthread_mutex_lock(&y->lock);
	if (!y->master_open || y->pt_locked) {
		ret = -EIO;
	} else {
		f->pos = 0;
		y->slaves++;
		y->slave_seen = true;
	}
	pthread_mutex_unlock(&y->lock);
	if (ret) {
		file_put(f);
		return ret;
	}
	tty_maybe_acquire(y, t, flags);
	*out = f;
	return 0;
}

int pts_allocate(struct tty *y)
{
	int ret = -ENOSPC;

	pthread_mutex_lock(&pts_lock);
	for (unsigned i = 0; i < PTS_MAX; i++) {
		if (pts[i])
			continue;
		pts[i] = y;
		y->index = (int)i;
		y->rdev = makedev(PTS_MAJOR + i / 256, i % 256);
		ret = 0;
		break;
	}
	pthread_mutex_unlock(&pts_lock);
	return ret;
}

int ptmx_open(struct task *t, int flags, struct file **out)
{
	struct tty *y = tty_alloc(t->kernel);
	struct file *f;

	if (!y)
		return -ENOMEM;
	f = file_alloc(&pty_master_ops, (unsigned)flags & ~(unsigned)(O_NOCTTY | O_CREAT | O_TRUNC));
	if (!f) {
		tty_put(y);
		return -ENFILE;
	}
	y->pt_locked = y->master_open = true;
	y->uid = t->cred->fsuid;
	y->gid = 5; /* group tty, as the default mount options of devpts say */
	y->mode = 0620;
	if (pts_allocate(y)) {
		free(f);
		tty_put(y);
		return -ENOSPC;
	}
	f->data = y;
	f->anon_name = "/dev/ptmx";
	*out = f;
	return 0;
}
