/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendfile(2), copy_file_range(2), splice(2), tee(2), vmsplice(2). Between two host files the host
 * copies; everything else goes through a buffer. Bytes taken from a pipe cannot be put back, so the
 * output is made sure to take them first: it is waited for before the input is read, and what was
 * read is then written whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/pipe.h"
#include "runtime/fs/vfs_internal.h"

#define CHUNK 65536

static bool readable(struct file *f)
{
	return (atomic_load(&f->flags) & O_ACCMODE) != O_WRONLY;
}

static bool writable(struct file *f)
{
	return (atomic_load(&f->flags) & O_ACCMODE) != O_RDONLY;
}

static int get_pair(struct task *t, int in, int out, struct file **fi, struct file **fo)
{
	int ret = fd_get_io(t, in, fi);

	if (ret)
		return ret;
	ret = fd_get_io(t, out, fo);
	if (!ret && (!readable(*fi) || !writable(*fo))) {
		file_put(*fo);
		ret = -EBADF;
	}
	if (ret)
		file_put(*fi);
	return ret;
}

static void put_pair(struct file *fi, struct file *fo)
{
	file_put(fi);
	file_put(fo);
}

/* An optional offset argument: read it; negative is EINVAL. */
static int get_offset(struct task *t, uint64_t addr, int64_t *off)
{
	if (mm_copy_in(t->mm, off, GVA(addr), sizeof(*off)) < 0)
		return -EFAULT;
	return *off < 0 ? -EINVAL : 0;
}

/* Write all of buf; at NULL: the description's offset or a stream. */
static int64_t write_all(struct task *t, struct file *f, char *buf, size_t len, int64_t *at)
{
	size_t done = 0;

	while (done < len) {
		struct uio u;
		int64_t ret;

		uio_host(&u, buf + done, len - done);
		ret = file_write_uio(t, f, &u, at);
		if (ret <= 0)
			return done ? (int64_t)done : ret;
		done += ret;
	}
	return done;
}

/* 0 when f can take bytes; -EAGAIN, -ERESTARTSYS. Regular files always can. */
static int wait_writable(struct task *t, struct file *f, bool nonblock)
{
	struct waiter w;
	int ret = 0;

	if (f->ops->seek)
		return 0;
	nonblock |= !!(atomic_load(&f->flags) & O_NONBLOCK);
	if (file_poll(f, NULL) & (POLLOUT | POLLERR | POLLHUP))
		return 0;
	if (nonblock)
		return -EAGAIN;
	if (!f->ops->poll) {
		struct pollfd p = {.fd = f->host_fd, .events = POLLOUT};

		task_prepare_park(t);
		ret = task_park(t, DEADLINE_NONE, &p, 1);
		return ret == -EINTR ? -ERESTARTSYS : ret;
	}
	waiter_init(&w, t);
	for (bool queued = false; !ret; queued = true) {
		task_prepare_park(t);
		if (f->ops->poll(f, queued ? NULL : &w) & (POLLOUT | POLLERR | POLLHUP))
			break;
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
	}
	waitq_remove(&w);
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

struct copy {
	struct task *t;
	struct file *in, *out;
	int64_t *in_at, *out_at; /* NULL: their own */
	bool nonblock;
};

/* Through the buffer. Stops at a short read or write once something was moved. */
static int64_t copy_bytes(struct copy *c, uint64_t len)
{
	char *buf = malloc(CHUNK);
	int64_t done = 0, ret = buf ? 0 : -ENOMEM;

	while (!ret && len) {
		struct uio u;
		int64_t n, start = c->in_at ? *c->in_at : 0;

		ret = wait_writable(c->t, c->out, c->nonblock || done);
		if (!ret && c->nonblock && !c->in->ops->seek &&
		    !(file_poll(c->in, NULL) & (POLLIN | POLLHUP | POLLERR)))
			ret = -EAGAIN;
		/* A stream that gave something is not waited on for more. */
		if (!ret && done && !c->in->ops->seek &&
		    !(file_poll(c->in, NULL) & (POLLIN | POLLHUP)))
			break;
		if (ret)
			break;
		uio_host(&u, buf, len < CHUNK ? len : CHUNK);
		n = file_read_uio(c->t, c->in, &u, c->in_at);
		if (n <= 0) {
			ret = n;
			break;
		}
		ret = write_all(c->t, c->out, buf, n, c->out_at);
		if (ret > 0)
			done += ret;
		if (ret < n) {
			/* What was read and not written: a file's offset goes back. */
			if (c->in_at)
				*c->in_at = start + (ret > 0 ? ret : 0);
			else if (c->in->ops->seek) {
				pthread_mutex_lock(&c->in->pos_lock);
				c->in->ops->seek(c->in, (ret > 0 ? ret : 0) - n, SEEK_CUR);
				pthread_mutex_unlock(&c->in->pos_lock);
			}
			break;
		}
		len -= n;
		ret = 0;
	}
	free(buf);
	return done ? done : ret;
}

int64_t sys_sendfile(struct task *t, const uint64_t a[6])
{
	struct copy c = {.t = t};
	uint64_t len = a[3] > 0x7ffff000 ? 0x7ffff000 : a[3];
	int64_t off, ret = get_pair(t, (int)a[1], (int)a[0], &c.in, &c.out);

	if (ret)
		return ret;
	if ((int64_t)a[3] < 0)
		ret = -EINVAL;
	if (!ret && a[2]) {
		ret = get_offset(t, a[2], &off);
		c.in_at = &off;
		if (!ret && !c.in->ops->seek)
			ret = -ESPIPE;
	}
	/* The source must be mappable, the target not append-only (sendfile(2)). */
	if (!ret && (!c.in->ops->seek || atomic_load(&c.out->flags) & O_APPEND))
		ret = -EINVAL;
	if (!ret)
		ret = copy_bytes(&c, len);
	if (ret >= 0 && a[2] && mm_copy_out(t->mm, GVA(a[2]), &off, sizeof(off)) < 0)
		ret = -EFAULT;
	put_pair(c.in, c.out);
	return ret;
}

/* ---- copy_file_range ---- */

static bool is_regular(struct file *f)
{
	return f->path.node && f->path.node->type == S_IFREG && hostfile_of(f) &&
	       !hostfile_of(f)->host_offset;
}

static int64_t copy_on_host(struct copy *c, int64_t *in, int64_t *out, uint64_t len)
{
	off_t i = *in, o = *out;
	ssize_t n = copy_file_range(c->in->host_fd, &i, c->out->host_fd, &o, len, 0);

	if (n < 0)
		return -errno;
	*in = i;
	*out = o;
	return n;
}

static int copy_range_check(struct copy *c, int64_t in, int64_t out, uint64_t len)
{
	int64_t end;

	if (!c->in->path.node || !c->out->path.node)
		return -EINVAL;
	if (c->in->path.node->type == S_IFDIR || c->out->path.node->type == S_IFDIR)
		return -EISDIR;
	if (c->in->path.node->type != S_IFREG || c->out->path.node->type != S_IFREG)
		return -EINVAL;
	if (atomic_load(&c->out->flags) & O_APPEND)
		return -EBADF;
	if (__builtin_add_overflow(in, (int64_t)len, &end) ||
	    __builtin_add_overflow(out, (int64_t)len, &end))
		return -EOVERFLOW;
	if (vpath_same(&c->in->path, &c->out->path) && in < out + (int64_t)len &&
	    out < in + (int64_t)len)
		return -EINVAL;
	return 0;
}

/* The offsets to work at: from the arguments, or the descriptions' own. */
static int64_t own_offset(struct file *f)
{
	int64_t pos;

	pthread_mutex_lock(&f->pos_lock);
	pos = f->pos;
	pthread_mutex_unlock(&f->pos_lock);
	return pos;
}

static int put_offset(struct task *t, struct file *f, uint64_t addr, int64_t off)
{
	if (addr)
		return mm_copy_out(t->mm, GVA(addr), &off, sizeof(off)) < 0 ? -EFAULT : 0;
	pthread_mutex_lock(&f->pos_lock);
	f->pos = off;
	pthread_mutex_unlock(&f->pos_lock);
	return 0;
}

int64_t sys_copy_file_range(struct task *t, const uint64_t a[6])
{
	uint64_t len = a[4] > 0x7ffff000 ? 0x7ffff000 : a[4];
	struct copy c = {.t = t};
	int64_t in, out, ret;

	if ((unsigned)a[5])
		return -EINVAL;
	ret = get_pair(t, (int)a[0], (int)a[2], &c.in, &c.out);
	if (ret)
		return ret;
	if (a[1])
		ret = get_offset(t, a[1], &in);
	else
		in = own_offset(c.in);
	if (!ret && a[3])
		ret = get_offset(t, a[3], &out);
	else if (!ret)
		out = own_offset(c.out);
	if (!ret)
		ret = copy_range_check(&c, in, out, len);
	if (!ret && is_regular(c.in) && is_regular(c.out) && !hostfile_of(c.out)->reserve)
		ret = copy_on_host(&c, &in, &out, len);
	else if (!ret)
		ret = -EXDEV;
	if (ret == -EXDEV || ret == -EOPNOTSUPP || ret == -ENOSYS) {
		c.in_at = &in;
		c.out_at = &out;
		ret = copy_bytes(&c, len);
	} else if (ret > 0) {
		vfs_kill_suid(t, c.out->path.node);
		vfs_notify_file(c.out, IN_MODIFY);
	}
	if (ret > 0 && (put_offset(t, c.in, a[1], in) < 0 || put_offset(t, c.out, a[3], out) < 0))
		ret = -EFAULT;
	put_pair(c.in, c.out);
	return ret;
}

/* ---- pipes ---- */

int64_t sys_splice(struct task *t, const uint64_t a[6])
{
	unsigned flags = (unsigned)a[5];
	struct copy c = {.t = t, .nonblock = flags & SPLICE_F_NONBLOCK};
	int64_t in, out, ret;
	bool pi, po;

	if (flags & ~(unsigned)(SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT))
		return -EINVAL;
	ret = get_pair(t, (int)a[0], (int)a[2], &c.in, &c.out);
	if (ret)
		return ret;
	pi = file_is_pipe(c.in);
	po = file_is_pipe(c.out);
	if (!pi && !po)
		ret = -EINVAL;
	else if ((pi && a[1]) || (po && a[3]))
		ret = -ESPIPE;
	else if (!po && atomic_load(&c.out->flags) & O_APPEND && c.out->ops->seek)
		ret = -EINVAL;
	if (!ret && a[1]) {
		ret = c.in->ops->seek ? get_offset(t, a[1], &in) : -EINVAL;
		c.in_at = &in;
	}
	if (!ret && a[3]) {
		ret = c.out->ops->seek ? get_offset(t, a[3], &out) : -EINVAL;
		c.out_at = &out;
	}
	if (!ret)
		ret = copy_bytes(&c, a[4] > CHUNK ? CHUNK : a[4]);
	if (ret > 0 && a[1] && mm_copy_out(t->mm, GVA(a[1]), &in, sizeof(in)) < 0)
		ret = -EFAULT;
	if (ret > 0 && a[3] && mm_copy_out(t->mm, GVA(a[3]), &out, sizeof(out)) < 0)
		ret = -EFAULT;
	put_pair(c.in, c.out);
	return ret;
}

int64_t sys_tee(struct task *t, const uint64_t a[6])
{
	struct file *in, *out;
	struct uio u;
	char *buf;
	int64_t ret = get_pair(t, (int)a[0], (int)a[1], &in, &out);
	size_t len = a[2] > CHUNK ? CHUNK : a[2];

	if (ret)
		return ret;
	buf = malloc(CHUNK);
	if (!file_is_pipe(in) || !file_is_pipe(out))
		ret = -EINVAL;
	else if (!buf)
		ret = -ENOMEM;
	if (!ret && len)
		ret = wait_writable(t, out, (unsigned)a[3] & SPLICE_F_NONBLOCK);
	if (!ret && len) {
		uio_host(&u, buf, len);
		ret = pipe_peek(in, t, &u, (unsigned)a[3] & SPLICE_F_NONBLOCK);
		if (ret > 0)
			ret = write_all(t, out, buf, ret, NULL);
	}
	free(buf);
	put_pair(in, out);
	return ret;
}

int64_t sys_vmsplice(struct task *t, const uint64_t a[6])
{
	struct file *f;
	struct uio u;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = file_is_pipe(f) ? uio_import(&u, t->mm, GVA(a[1]), a[2]) : -EBADF;
	if (!ret) {
		if (writable(f))
			ret = wait_writable(t, f, (unsigned)a[3] & SPLICE_F_NONBLOCK);
		else if ((unsigned)a[3] & SPLICE_F_NONBLOCK && !(file_poll(f, NULL) & (POLLIN | POLLHUP)))
			ret = -EAGAIN;
		if (!ret)
			ret = writable(f) ? file_write_uio(t, f, &u, NULL)
					  : file_read_uio(t, f, &u, NULL);
		uio_free(&u);
	}
	file_put(f);
	return ret;
}
