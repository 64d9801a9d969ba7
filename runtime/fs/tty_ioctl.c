/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl_tty(2) on pseudo-terminals: what does not concern job control. */
#include <asm/termbits.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/tty_priv.h"

/* asm/ioctls.h numbers that carry no type of ours */
#define IOC_TCGETS2 0x802C542Au
#define IOC_TCSETS2 0x402C542Bu
#define IOC_TCSETSW2 0x402C542Cu
#define IOC_TCSETSF2 0x402C542Du
#define IOC_TIOCGPTN 0x80045430u
#define IOC_TIOCSPTLCK 0x40045431u
#define IOC_TIOCSIG 0x40045436u
#define IOC_TIOCGPKT 0x80045438u
#define IOC_TIOCGPTLCK 0x80045439u
#define IOC_TIOCGPTPEER 0x5441u

static int64_t put_int(struct task *t, uint64_t arg, int v)
{
	return mm_copy_out(t->mm, GVA(arg), &v, sizeof(v));
}

static int64_t get_termios(struct tty *y, struct task *t, uint64_t arg, size_t len)
{
	struct tty_termios tio;

	pthread_mutex_lock(&y->lock);
	tio = y->ld.tio;
	pthread_mutex_unlock(&y->lock);
	return mm_copy_out(t->mm, GVA(arg), &tio, len);
}

/* Wait until the master has read what was written (tcdrain, TCSETSW). */
static int64_t drain(struct file *f, struct tty *y, struct task *t)
{
	struct waiter w;
	int ret = 0;

	if (file_is_pty_master(f))
		return 0;
	waiter_init(&w, t);
	waitq_add(&y->wait, &w, 0);
	while (!ret) {
		bool empty;

		task_prepare_park(t);
		pthread_mutex_lock(&y->lock);
		empty = !ring_used(&y->ld.out) || !y->master_open;
		pthread_mutex_unlock(&y->lock);
		if (empty)
			break;
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
	}
	waitq_remove(&w);
	return ret ? -ERESTARTSYS : 0;
}

static int64_t set_termios(struct file *f, struct tty *y, struct task *t, uint64_t arg, size_t len,
			   bool wait, bool flush)
{
	struct tty_termios tio;
	int64_t ret = file_is_pty_master(f) ? 0 : tty_check_background(y, t, SIGTTOU);

	if (ret)
		return ret;
	pthread_mutex_lock(&y->lock);
	tio = y->ld.tio; /* TCSETS leaves the speeds */
	pthread_mutex_unlock(&y->lock);
	if (mm_copy_in(t->mm, &tio, GVA(arg), len))
		return -EFAULT;
	ret = wait ? drain(f, y, t) : 0;
	if (ret)
		return ret;
	/* A pty has no line: 8 bits, no parity, always receiving. */
	tio.cflag = (tio.cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;
	pthread_mutex_lock(&y->lock);
	if (flush)
		ldisc_flush_input(&y->ld);
	ldisc_set_termios(&y->ld, &tio);
	pty_wake_all(y);
	pthread_mutex_unlock(&y->lock);
	return 0;
}

static int64_t set_winsize(struct tty *y, struct task *t, uint64_t arg)
{
	struct winsize ws;
	bool changed;

	if (mm_copy_in(t->mm, &ws, GVA(arg), sizeof(ws)))
		return -EFAULT;
	pthread_mutex_lock(&y->lock);
	changed = memcmp(&ws, &y->ws, sizeof(ws)) != 0;
	y->ws = ws;
	pthread_mutex_unlock(&y->lock);
	if (changed)
		tty_send_signals(y, SIGBIT(SIGWINCH));
	return 0;
}

static int64_t get_winsize(struct tty *y, struct task *t, uint64_t arg)
{
	struct winsize ws;

	pthread_mutex_lock(&y->lock);
	ws = y->ws;
	pthread_mutex_unlock(&y->lock);
	return mm_copy_out(t->mm, GVA(arg), &ws, sizeof(ws));
}

static int64_t flush_queues(struct file *f, struct tty *y, uint64_t which)
{
	bool master = file_is_pty_master(f);

	if (which > TCIOFLUSH)
		return -EINVAL;
	pthread_mutex_lock(&y->lock);
	/* A master's input is the slave's output. */
	if (which == TCIOFLUSH || (which == TCIFLUSH) != master) {
		ldisc_flush_input(&y->ld);
		y->packet_status |= y->packet ? TIOCPKT_FLUSHREAD : 0;
	}
	if (which == TCIOFLUSH || (which == TCOFLUSH) != master) {
		ldisc_flush_output(&y->ld);
		y->packet_status |= y->packet ? TIOCPKT_FLUSHWRITE : 0;
	}
	pty_wake_all(y);
	pthread_mutex_unlock(&y->lock);
	return 0;
}

static int64_t flow(struct tty *y, uint64_t action)
{
	if (action > TCION)
		return -EINVAL;
	if (action == TCIOFF || action == TCION)
		return 0; /* would send a STOP or START character to a device */
	pthread_mutex_lock(&y->lock);
	y->ld.stopped = action == TCOOFF;
	pty_wake_all(y);
	pthread_mutex_unlock(&y->lock);
	return 0;
}

static int64_t queue_bytes(struct file *f, struct tty *y, struct task *t, uint64_t arg, bool input)
{
	int n;

	pthread_mutex_lock(&y->lock);
	if (file_is_pty_master(f))
		n = input ? (int)ring_used(&y->ld.out) : 0;
	else
		n = input ? (int)ldisc_available(&y->ld) : (int)ring_used(&y->ld.out);
	pthread_mutex_unlock(&y->lock);
	return put_int(t, arg, n);
}

/* ---- master only ---- */

static int64_t open_peer(struct tty *y, struct task *t, unsigned flags)
{
	struct file *f;
	int fd, ret;

	ret = pts_open(t, y, flags & (O_ACCMODE | O_NONBLOCK | O_NOCTTY), &f);
	if (ret)
		return ret;
	fd = fd_install(t, f, 0, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

static int64_t set_flag(struct tty *y, struct task *t, uint64_t arg, bool *flag)
{
	int v;

	if (mm_copy_in(t->mm, &v, GVA(arg), sizeof(v)))
		return -EFAULT;
	pthread_mutex_lock(&y->lock);
	*flag = v;
	y->packet_status = 0;
	pthread_mutex_unlock(&y->lock);
	return 0;
}

static int64_t master_ioctl(struct tty *y, struct task *t, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case IOC_TIOCGPTN:
		return put_int(t, arg, y->index);
	case IOC_TIOCSPTLCK:
		return set_flag(y, t, arg, &y->pt_locked);
	case IOC_TIOCGPTLCK:
		return put_int(t, arg, y->pt_locked);
	case IOC_TIOCGPTPEER:
		return open_peer(y, t, (unsigned)arg);
	case TIOCPKT:
		return set_flag(y, t, arg, &y->packet);
	case IOC_TIOCGPKT:
		return put_int(t, arg, y->packet);
	case IOC_TIOCSIG:
		if (arg < 1 || arg > 31)
			return -EINVAL;
		tty_send_signals(y, SIGBIT(arg));
		return 0;
	default:
		return TTY_NOT_MINE;
	}
}

static int64_t termios_ioctl(struct file *f, struct tty *y, struct task *t, unsigned cmd,
			     uint64_t arg)
{
	const size_t full = sizeof(struct tty_termios);

	switch (cmd) {
	case TCGETS:
		return get_termios(y, t, arg, TTY_TERMIOS_BYTES);
	case IOC_TCGETS2:
		return get_termios(y, t, arg, full);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_termios(f, y, t, arg, TTY_TERMIOS_BYTES, cmd != TCSETS, cmd == TCSETSF);
	case IOC_TCSETS2:
	case IOC_TCSETSW2:
	case IOC_TCSETSF2:
		return set_termios(f, y, t, arg, full, cmd != IOC_TCSETS2, cmd == IOC_TCSETSF2);
	default:
		return TTY_NOT_MINE;
	}
}

int64_t pty_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct tty *y = f->data;
	int64_t ret = tty_job_ioctl(f, y, t, cmd, arg);

	if (ret == TTY_NOT_MINE)
		ret = termios_ioctl(f, y, t, cmd, arg);
	if (ret == TTY_NOT_MINE && file_is_pty_master(f))
		ret = master_ioctl(y, t, cmd, arg);
	if (ret != TTY_NOT_MINE)
		return ret;
	switch (cmd) {
	case TIOCGWINSZ:
		return get_winsize(y, t, arg);
	case TIOCSWINSZ:
		return set_winsize(y, t, arg);
	case FIONREAD:
		return queue_bytes(f, y, t, arg, true);
	case TIOCOUTQ:
		return queue_bytes(f, y, t, arg, false);
	case TCFLSH:
		return flush_queues(f, y, arg);
	case TCXONC:
		return flow(y, arg);
	case TCSBRK:
	case TCSBRKP:
		/* A non-zero argument to TCSBRK is tcdrain(); a pty has no line to break. */
		return cmd == TCSBRK && arg ? drain(f, y, t) : 0;
	case TIOCGETD:
		return put_int(t, arg, 0);
	case TIOCSETD:
		return 0;
	default:
		return -ENOTTY;
	}
}
