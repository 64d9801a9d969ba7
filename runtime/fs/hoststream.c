/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inherited descriptors. Pipes and other streams on stdio share their description with the caller
 * of the runtime, so O_NONBLOCK is never set on them: a transfer is tried with RWF_NOWAIT, or, where
 * the host's file type does not know that, made only after poll(2) said that it will not block.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/fs/tty.h"
#include "runtime/fs/vfs_internal.h"
#include "runtime/net/net.h"

#define STREAM_CHUNK 65536

struct hoststream {
	bool nowait; /* RWF_NOWAIT is understood; cleared at the first refusal */
};

static bool stream_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0;
}

/* Park until the descriptor is ready. 0 or -ERESTARTSYS. Without a task (kernel reads): poll. */
static int stream_wait(struct task *t, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int ret;

	if (!t)
		return poll(&p, 1, -1) < 0 ? -EINTR : 0;
	task_prepare_park(t);
	ret = task_park(t, DEADLINE_NONE, &p, 1);
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

/* One try. -EAGAIN: it would block. */
static int64_t stream_try(struct hoststream *s, int fd, void *buf, size_t len, bool read)
{
	struct iovec v = {buf, len};
	ssize_t n;

	if (s->nowait) {
		n = read ? preadv2(fd, &v, 1, -1, RWF_NOWAIT) : pwritev2(fd, &v, 1, -1, RWF_NOWAIT);
		if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL))
			return n < 0 ? -errno : n;
		s->nowait = false;
	}
	if (!stream_ready(fd, read ? POLLIN : POLLOUT))
		return -EAGAIN;
	/* POLLOUT promises room for PIPE_BUF bytes and no more. */
	if (!read && len > PIPE_BUF)
		len = PIPE_BUF;
	n = read ? readv(fd, &(struct iovec){buf, len}, 1) : writev(fd, &(struct iovec){buf, len}, 1);
	return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
}

static int64_t stream_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct hoststream *s = f->data;
	size_t len = to->resid < STREAM_CHUNK ? to->resid : STREAM_CHUNK;
	void *buf;
	int64_t ret;

	(void)pos;
	if (!len)
		return 0;
	buf = malloc(len);
	if (!buf)
		return -ENOMEM;
	for (;;) {
		ret = stream_try(s, f->host_fd, buf, len, true);
		if (ret != -EAGAIN || atomic_load(&f->flags) & O_NONBLOCK)
			break;
		ret = stream_wait(t, f->host_fd, POLLIN);
		if (ret)
			break;
	}
	if (ret > 0)
		ret = uio_write_to_guest(to, buf, ret);
	free(buf);
	return ret;
}

/* All of buf, waiting as needed. Bytes or, with none written, an error. */
static int64_t stream_write_all(struct file *f, struct task *t, const char *buf, size_t len)
{
	struct hoststream *s = f->data;
	size_t done = 0;
	int64_t ret = 0;

	while (done < len) {
		ret = stream_try(s, f->host_fd, (char *)(uintptr_t)buf + done, len - done, false);
		if (ret == -EAGAIN && !(atomic_load(&f->flags) & O_NONBLOCK)) {
			ret = stream_wait(t, f->host_fd, POLLOUT);
			if (!ret)
				continue;
		}
		if (ret < 0)
			break;
		done += ret;
	}
	return done ? (int64_t)done : ret;
}

static int64_t stream_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	int64_t done = 0, ret = 0;
	char *buf = malloc(from->resid < STREAM_CHUNK ? from->resid + 1 : STREAM_CHUNK);

	(void)pos;
	if (!buf)
		return -ENOMEM;
	while (from->resid) {
		int64_t n = uio_read_from_guest(from, buf, from->resid < STREAM_CHUNK ? from->resid
										      : STREAM_CHUNK);

		if (n <= 0) {
			ret = n;
			break;
		}
		ret = stream_write_all(f, t, buf, n);
		if (ret > 0)
			done += ret;
		if (ret < n)
			break;
	}
	free(buf);
	if (ret == -EPIPE && !done && t) {
		guest_siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};

		info.si_pid = t->process->pid;
		signal_send_task(t, SIGPIPE, &info);
	}
	return done ? done : ret;
}

static int64_t stream_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (ioctl(f->host_fd, FIONREAD, &n) < 0)
		return -errno;
	return mm_copy_out(t->mm, GVA(arg), &n, sizeof(n));
}

static int stream_getattr(struct file *f, struct kstat *out)
{
	return host_fstat(f->host_fd, out);
}

static void stream_release(struct file *f)
{
	close(f->host_fd);
	free(f->data);
}

/* No poll op: whoever polls asks the host descriptor. */
static const struct file_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.ioctl = stream_ioctl,
	.getattr = stream_getattr,
	.release = stream_release,
};

int hoststream_create(struct kernel *k, int fd, int flags, struct file **out)
{
	struct hoststream *s = calloc(1, sizeof(*s));
	struct file *f = s ? file_alloc(&stream_ops, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK)) : NULL;

	(void)k;
	if (!f) {
		free(s);
		close(fd);
		return -ENOMEM;
	}
	s->nowait = true;
	f->host_fd = fd;
	f->anon_name = "pipe";
	f->data = s;
	*out = f;
	return 0;
}

int file_from_host_fd(struct kernel *k, int fd, struct file **out)
{
	int flags = fcntl(fd, F_GETFL), ret;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (S_ISSOCK(st.st_mode))
		return net_file_from_host_fd(k, fd, out);
	if (S_ISCHR(st.st_mode) && isatty(fd))
		return tty_host_file(k, fd, out);
	flags &= O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return hoststream_create(k, fd, flags, out);
	if (S_ISDIR(st.st_mode))
		return hostdir_create(k, fd, flags, out);
	ret = hostfile_create(k, fd, flags, out);
	if (!ret) {
		((struct hostfile *)(*out)->data)->host_offset = true;
		(*out)->anon_name = "file";
	}
	return ret;
}
