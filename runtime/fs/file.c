/* SPDX-License-Identifier: Apache-2.0 */
/* Open file descriptions. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "runtime/fs/epoll.h"
#include "runtime/fs/fasync.h"
#include "runtime/fs/inotify.h"
#include "runtime/fs/lock.h"
#include "runtime/fs/vfs_internal.h"

struct file *file_alloc(const struct file_ops *ops, unsigned flags)
{
	static atomic_ullong anon_ino = 1;
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->ops = ops;
	atomic_init(&f->refs, 1);
	atomic_init(&f->flags, flags);
	pthread_mutex_init(&f->pos_lock, NULL);
	f->host_fd = -1;
	f->anon_ino = atomic_fetch_add_explicit(&anon_ino, 1, memory_order_relaxed);
	list_init(&f->epoll_links);
	return f;
}

struct file *file_get(struct file *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void file_put(struct file *f)
{
	if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (f->path.node) {
		lock_release_file(f->path.node, f);
		vfs_notify_file(f, (atomic_load(&f->flags) & O_ACCMODE) == O_RDONLY
					   ? IN_CLOSE_NOWRITE
					   : IN_CLOSE_WRITE);
	}
	epoll_file_released(f);
	if (f->ops->release)
		f->ops->release(f);
	vpath_put(&f->path);
	free(f->fasync);
	pthread_mutex_destroy(&f->pos_lock);
	free(f);
}

int64_t file_pread(struct file *f, void *buf, size_t len, int64_t pos)
{
	size_t done = 0;

	if (!f->ops->read)
		return -EINVAL;
	while (done < len) {
		struct uio u;
		int64_t at = pos + (int64_t)done, ret;

		uio_host(&u, (char *)buf + done, len - done);
		ret = f->ops->read(f, NULL, &u, &at);
		uio_free(&u);
		if (ret < 0)
			return done ? (int64_t)done : ret;
		if (!ret)
			break;
		done += ret;
	}
	return done;
}

/* What stat says about descriptors without a place: pipes, sockets, eventfd ... */
static void stat_anonymous(struct file *f, struct kstat *out)
{
	*out = (struct kstat){.ino = f->anon_ino, .mode = 0600, .nlink = 1, .blksize = 4096};
	clock_gettime(CLOCK_REALTIME, &out->mtime);
	out->atime = out->ctime = out->mtime;
}

int file_stat(struct file *f, struct kstat *out)
{
	if (f->ops->getattr)
		return f->ops->getattr(f, out);
	if (f->path.node)
		return vpath_getattr(&f->path, out);
	stat_anonymous(f, out);
	return 0;
}

uint32_t file_poll(struct file *f, struct waiter *w)
{
	struct pollfd p = {.fd = f->host_fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};

	if (f->ops->poll)
		return f->ops->poll(f, w);
	if (f->host_fd < 0)
		return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	if (poll(&p, 1, 0) < 0)
		return POLLERR;
	return p.revents | (p.revents & POLLIN ? POLLRDNORM : 0) |
	       (p.revents & POLLOUT ? POLLWRNORM : 0);
}

int64_t file_seek_endless(struct file *f, int64_t off, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	if (whence == SEEK_CUR && __builtin_add_overflow(off, f->pos, &off))
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}
