/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a counter that reads wait for and writes add to. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

#define EVENTFD_MAX (UINT64_MAX - 1)

struct eventfd {
	pthread_mutex_t lock;
	uint64_t count; /* protected by lock */
	bool semaphore; /* immutable */
	struct waitq wait;
};

/* One attempt; *value is what the read takes or the write adds. */
static int eventfd_take(struct eventfd *e, uint64_t *value)
{
	int ret = -EAGAIN;

	pthread_mutex_lock(&e->lock);
	if (e->count) {
		*value = e->semaphore ? 1 : e->count;
		e->count -= *value;
		waitq_wake(&e->wait, POLLOUT | POLLWRNORM, 0);
		ret = 0;
	}
	pthread_mutex_unlock(&e->lock);
	return ret;
}

static int eventfd_add(struct eventfd *e, uint64_t *value)
{
	int ret = -EAGAIN;

	pthread_mutex_lock(&e->lock);
	if (EVENTFD_MAX - e->count >= *value) {
		e->count += *value;
		waitq_wake(&e->wait, POLLIN | POLLRDNORM, 0);
		ret = 0;
	}
	pthread_mutex_unlock(&e->lock);
	return ret;
}

static int eventfd_block(struct file *f, struct task *t, uint64_t *value, uint32_t events,
			 int (*attempt)(struct eventfd *, uint64_t *))
{
	struct eventfd *e = f->data;
	struct waiter w;
	int ret = attempt(e, value);

	if (ret != -EAGAIN || (f->flags & O_NONBLOCK))
		return ret;
	waiter_init(&w, t);
	waitq_add(&e->wait, &w, events);
	for (;;) {
		task_prepare_park(t);
		ret = attempt(e, value);
		if (ret != -EAGAIN)
			break;
		if (task_park(t, DEADLINE_NONE, NULL, 0) == -EINTR) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	waitq_remove(&w);
	return ret;
}

static int64_t evfd_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	uint64_t value;
	int64_t n;
	int ret;

	(void)pos;
	if (to->resid < sizeof(value))
		return -EINVAL;
	ret = eventfd_block(f, t, &value, POLLIN | POLLRDNORM, eventfd_take);
	if (ret)
		return ret;
	n = uio_write_to_guest(to, &value, sizeof(value));
	return n == sizeof(value) ? n : -EFAULT;
}

static int64_t evfd_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	uint64_t value;
	int ret;

	(void)pos;
	if (from->resid < sizeof(value))
		return -EINVAL;
	if (uio_read_from_guest(from, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	ret = eventfd_block(f, t, &value, POLLOUT | POLLWRNORM, eventfd_add);
	return ret ? ret : (int64_t)sizeof(value);
}

static uint32_t eventfd_poll(struct file *f, struct waiter *w)
{
	struct eventfd *e = f->data;
	uint32_t ev = 0;

	if (w)
		waitq_add(&e->wait, w, w->events);
	pthread_mutex_lock(&e->lock);
	if (e->count)
		ev |= POLLIN | POLLRDNORM;
	if (e->count < EVENTFD_MAX)
		ev |= POLLOUT | POLLWRNORM;
	pthread_mutex_unlock(&e->lock);
	return ev;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->data;

	waitq_destroy(&e->wait);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static const struct file_ops eventfd_ops = {
	.read = evfd_read,
	.write = evfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
};

static int64_t do_eventfd(struct task *t, uint32_t count, int flags)
{
	struct eventfd *e;
	struct file *f;
	int fd;

	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	f = file_alloc(&eventfd_ops, O_RDWR | (unsigned)(flags & EFD_NONBLOCK));
	if (!f) {
		free(e);
		return -ENFILE;
	}
	pthread_mutex_init(&e->lock, NULL);
	waitq_init(&e->wait);
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	f->data = e;
	f->anon_name = "anon_inode:[eventfd]";
	fd = fd_install(t, f, 0, flags & EFD_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_eventfd(struct task *t, const uint64_t a[6])
{
	return do_eventfd(t, (uint32_t)a[0], 0);
}

int64_t sys_eventfd2(struct task *t, const uint64_t a[6])
{
	return do_eventfd(t, (uint32_t)a[0], (int)a[1]);
}
