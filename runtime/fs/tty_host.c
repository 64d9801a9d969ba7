/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host terminals on the container's stdio. Editing, echo and flow control are the host's; which guest
 * session and group the terminal belongs to is ours.
 */
#include <asm/termbits.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/fs/dev_priv.h"
#include "runtime/fs/tty_priv.h"
#include "runtime/fs/vfs_internal.h"

static pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list host_ttys = LIST_INIT(host_ttys); /* each with a reference of this list's */

struct tty *tty_console(void)
{
	struct tty *y = NULL;

	pthread_mutex_lock(&host_lock);
	list_for_each (l, &host_ttys) {
		struct tty *x = list_entry(l, struct tty, host_link);

		if (x->console)
			y = tty_get(x);
	}
	pthread_mutex_unlock(&host_lock);
	return y;
}

/*
 * The container's own is /dev/console; those of processes started from outside get a name in devpts.
 * host_lock held.
 */
static struct tty *host_tty_new(struct kernel *k, const struct stat *st)
{
	struct tty *y = tty_alloc(k);

	if (!y)
		return NULL;
	y->host = true;
	y->host_rdev = st->st_rdev;
	y->host_fd = -1;
	/* Those the first process is given come before it is in the table. */
	y->console = !k->init && list_empty(&host_ttys);
	y->rdev = makedev(5, 1);
	y->uid = st->st_uid;
	y->gid = 5; /* tty, as in ptmx_open() */
	y->mode = 0620;
	if (!y->console && pts_allocate(y)) {
		tty_put(y);
		return NULL;
	}
	if (y->console)
		snprintf(y->name, sizeof(y->name), "/dev/console");
	else
		snprintf(y->name, sizeof(y->name), "/dev/pts/%d", y->index);
	list_add_tail(&host_ttys, &y->host_link);
	return y;
}

/* The tty of a host device, made when it is new. With a reference. */
static struct tty *host_tty_of(struct kernel *k, const struct stat *st)
{
	struct tty *y = NULL;

	pthread_mutex_lock(&host_lock);
	list_for_each (l, &host_ttys) {
		struct tty *x = list_entry(l, struct tty, host_link);

		if (x->host_rdev == st->st_rdev)
			y = x;
	}
	if (!y)
		y = host_tty_new(k, st);
	if (y)
		tty_get(y);
	pthread_mutex_unlock(&host_lock);
	return y;
}

/* Terminal attributes from the host, for VMIN and VTIME. */
static bool host_timed_read(int fd, uint64_t *wait_ns)
{
	struct termios tio;

	if (ioctl(fd, TCGETS, &tio) || (tio.c_lflag & ICANON) || tio.c_cc[VMIN])
		return false;
	*wait_ns = (uint64_t)tio.c_cc[VTIME] * 100000000u;
	return true;
}

static int64_t host_tty_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct pollfd pfd = {.fd = f->host_fd, .events = POLLIN};
	uint64_t deadline = DEADLINE_NONE, wait_ns;
	int64_t n = 0;
	int ret = 0;

	(void)pos;
	ret = tty_check_background(f->data, t, SIGTTIN);
	if (ret || !to->resid)
		return ret;
	if (host_timed_read(f->host_fd, &wait_ns))
		deadline = monotonic_ns() + wait_ns;
	for (;;) {
		task_prepare_park(t);
		n = poll(&pfd, 1, 0) == 1 ? uio_host_read(to, f->host_fd, -1, 0) : -EAGAIN;
		if ((n != -EAGAIN && n != -EINTR) || (f->flags & O_NONBLOCK))
			return n == -EINTR ? -EAGAIN : n;
		if (ret)
			return ret == -EINTR ? -ERESTARTSYS : 0;
		ret = task_park(t, deadline, &pfd, 1);
	}
}

static int64_t host_tty_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct pollfd pfd = {.fd = f->host_fd, .events = POLLOUT};
	struct termios tio;
	int64_t done = 0, n = 0;

	(void)pos;
	if (!ioctl(f->host_fd, TCGETS, &tio) && (tio.c_lflag & TOSTOP)) {
		int ret = tty_check_background(f->data, t, SIGTTOU);

		if (ret)
			return ret;
	}
	while (from->resid) {
		task_prepare_park(t);
		n = uio_host_write(from, f->host_fd, -1, 0);
		if (n > 0) {
			done += n;
			continue;
		}
		if ((n != -EAGAIN && n != -EINTR) || (f->flags & O_NONBLOCK))
			break;
		if (task_park(t, DEADLINE_NONE, &pfd, 1) == -EINTR) {
			n = -ERESTARTSYS;
			break;
		}
	}
	return done ? done : n;
}

/* Host ioctls that pass through: number, bytes in, bytes out. 0, 0: the argument is a value. */
static const struct host_tty_ioctl {
	unsigned cmd;
	uint8_t in, out;
	bool change; /* a background group gets SIGTTOU */
} host_ioctls[] = {
	{TCGETS, 0, 36, false},	    {TCSETS, 36, 0, true},	 {TCSETSW, 36, 0, true},
	{TCSETSF, 36, 0, true},	    {0x802C542Au, 0, 44, false}, {0x402C542Bu, 44, 0, true},
	{0x402C542Cu, 44, 0, true}, {0x402C542Du, 44, 0, true},	 {TIOCGWINSZ, 0, 8, false},
	{TIOCSWINSZ, 8, 0, false},  {FIONREAD, 0, 4, false},	 {TIOCOUTQ, 0, 4, false},
	{TIOCGETD, 0, 4, false},    {TCFLSH, 0, 0, true},	 {TCXONC, 0, 0, true},
	{TCSBRK, 0, 0, true},	    {TCSBRKP, 0, 0, true},
};

static int64_t host_tty_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	const struct host_tty_ioctl *d = NULL;
	int64_t ret = tty_job_ioctl(f, f->data, t, cmd, arg);
	uint8_t buf[64] = {0};
	bool by_value;

	if (ret != TTY_NOT_MINE)
		return ret;
	for (size_t i = 0; i < sizeof(host_ioctls) / sizeof(host_ioctls[0]); i++)
		if (host_ioctls[i].cmd == cmd)
			d = &host_ioctls[i];
	if (!d)
		return -ENOTTY;
	by_value = !d->in && !d->out;
	ret = d->change ? tty_check_background(f->data, t, SIGTTOU) : 0;
	if (ret)
		return ret;
	if (d->in && mm_copy_in(t->mm, buf, GVA(arg), d->in))
		return -EFAULT;
	if (by_value ? ioctl(f->host_fd, cmd, (unsigned long)arg) : ioctl(f->host_fd, cmd, buf))
		return errno == EINTR ? -ERESTARTSYS : -errno;
	if (cmd == TIOCSWINSZ)
		tty_send_signals(f->data, SIGBIT(SIGWINCH));
	return d->out ? mm_copy_out(t->mm, GVA(arg), buf, d->out) : ret;
}

static int host_tty_getattr(struct file *f, struct kstat *out)
{
	struct tty *y = f->data;
	int ret;

	if (f->path.node)
		return f->path.node->ops->getattr(f->path.node, out);
	/* So that ttyname(3) finds it under the name /proc has. */
	if (!y->console) {
		pty_stat(y, y->rdev, out);
		return 0;
	}
	ret = dev_console_stat(out);
	if (!ret)
		return 0;
	*out = (struct kstat){.dev = 13,
			      .ino = 2,
			      .rdev = y->rdev,
			      .mode = S_IFCHR | 0620,
			      .nlink = 1,
			      .blksize = 1024};
	return 0;
}

/*
 * The last description of a terminal that is not the console went (an exec'd session ended): let go of
 * it, so that whoever holds the other end sees the hang-up.
 */
static void host_tty_unused(struct tty *y)
{
	bool drop = false;

	pthread_mutex_lock(&host_lock);
	if (--y->slaves == 0 && !y->console && !list_empty(&y->host_link)) {
		list_del(&y->host_link);
		drop = true;
		if (y->host_fd >= 0)
			close(y->host_fd);
		y->host_fd = -1;
	}
	pthread_mutex_unlock(&host_lock);
	if (drop) {
		pts_free(y);
		tty_put(y);
	}
}

static void host_tty_release(struct file *f)
{
	if (f->host_fd >= 0)
		close(f->host_fd);
	f->host_fd = -1;
	host_tty_unused(f->data);
	tty_put(f->data);
}

const struct file_ops tty_host_ops = {
	.read = host_tty_read,
	.write = host_tty_write,
	.ioctl = host_tty_ioctl,
	.getattr = host_tty_getattr,
	.release = host_tty_release,
};

/* Takes over fd and y's reference. */
static int host_file(struct kernel *k, struct tty *y, int fd, unsigned flags, struct file **out)
{
	/*
	 * An own description without blocking: a read that two tasks race for must not hang. Where it
	 * cannot be had the poll before the read has to do.
	 */
	int own =
		host_reopen(k->host_proc_fd, fd, (int)((flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	struct file *f = file_alloc(&tty_host_ops, flags & (O_ACCMODE | O_NONBLOCK | O_APPEND));

	if (!f) {
		if (own >= 0)
			close(own);
		close(fd);
		tty_put(y);
		return -ENFILE;
	}
	if (own >= 0)
		close(fd);
	f->host_fd = own >= 0 ? own : fd;
	f->data = y;
	f->anon_name = y->name;
	pthread_mutex_lock(&host_lock);
	y->slaves++;
	pthread_mutex_unlock(&host_lock);
	*out = f;
	return 0;
}

int tty_host_file(struct kernel *k, int fd, struct file **out)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;
	struct tty *y;

	if (flags < 0 || fstat(fd, &st) || !isatty(fd)) {
		close(fd);
		return -ENOTTY;
	}
	y = host_tty_of(k, &st);
	if (!y) {
		close(fd);
		return -ENOMEM;
	}
	/* A description kept from before keeps the host terminal open for /dev/tty and /dev/console. */
	pthread_mutex_lock(&host_lock);
	if (y->host_fd < 0)
		y->host_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&host_lock);
	return host_file(k, y, fd, (unsigned)flags, out);
}

int tty_host_open(struct task *t, struct tty *y, unsigned flags, struct file **out)
{
	int fd, ret;

	pthread_mutex_lock(&host_lock);
	fd = y->host_fd < 0 ? -1 : fcntl(y->host_fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&host_lock);
	if (fd < 0)
		return -EIO;
	ret = host_file(t->kernel, tty_get(y), fd, flags, out);
	if (!ret)
		tty_maybe_acquire(y, t, flags);
	return ret;
}
