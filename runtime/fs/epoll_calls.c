/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of epoll(7). */
#include <limits.h>

#include "runtime/fs/epoll.h"
#include "runtime/fs/fdtable.h"
#include "runtime/task/task.h"

int64_t sys_epoll_ctl(struct task *t, const uint64_t a[6])
{
	struct epoll_event ev = {0};
	int op = (int)a[1], fd = (int)a[2];
	struct file *epf, *f;
	int64_t ret = 0;

	if (op != EPOLL_CTL_DEL && mm_copy_in(t->mm, &ev, GVA(a[3]), sizeof(ev)))
		return -EFAULT;
	epf = fd_get(t, (int)a[0]);
	f = fd_get(t, fd);
	if (!epf || !f)
		ret = -EBADF;
	if (!ret)
		ret = epoll_control(epf, op, f, fd, &ev);
	if (f)
		file_put(f);
	if (epf)
		file_put(epf);
	return ret;
}

static int64_t do_epoll_wait(struct task *t, int epfd, uint64_t events, int max, uint64_t deadline)
{
	struct epoll_event batch[EPOLL_BATCH];
	struct file *f;
	int64_t n;

	if (max <= 0 || max > (int)(INT_MAX / sizeof(struct epoll_event)))
		return -EINVAL;
	f = fd_get(t, epfd);
	if (!f)
		return -EBADF;
	n = epoll_gather(f, t, batch, max, deadline);
	if (n > 0 && mm_copy_out(t->mm, GVA(events), batch, (size_t)n * sizeof(batch[0])))
		n = -EFAULT;
	file_put(f);
	return n;
}

/* Milliseconds to a deadline: 0 means do not wait, negative for ever. */
static uint64_t ms_deadline(int ms)
{
	if (ms < 0)
		return DEADLINE_NONE;
	return ms ? monotonic_ns() + (uint64_t)ms * 1000000 : 0;
}

int64_t sys_epoll_wait(struct task *t, const uint64_t a[6])
{
	return do_epoll_wait(t, (int)a[0], a[1], (int)a[2], ms_deadline((int)a[3]));
}

int64_t sys_epoll_pwait(struct task *t, const uint64_t a[6])
{
	int ret = a[4] ? signal_temp_mask_from_guest(t, a[4], a[5]) : 0;

	return ret ? ret : do_epoll_wait(t, (int)a[0], a[1], (int)a[2], ms_deadline((int)a[3]));
}

int64_t sys_epoll_pwait2(struct task *t, const uint64_t a[6])
{
	uint64_t deadline = DEADLINE_NONE;
	struct timespec ts;
	int ret;

	if (a[3]) {
		if (mm_copy_in(t->mm, &ts, GVA(a[3]), sizeof(ts)))
			return -EFAULT;
		if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
			return -EINVAL;
		if (!ts.tv_sec && !ts.tv_nsec)
			deadline = 0;
		else if (ts.tv_sec < 1000000000)
			deadline = monotonic_ns() + (uint64_t)ts.tv_sec * 1000000000u +
				   (uint64_t)ts.tv_nsec;
	}
	ret = a[4] ? signal_temp_mask_from_guest(t, a[4], a[5]) : 0;
	return ret ? ret : do_epoll_wait(t, (int)a[0], a[1], (int)a[2], deadline);
}

static int64_t do_epoll_create(struct task *t, bool cloexec)
{
	struct file *f;
	int fd, ret = epoll_create_file(&f);

	if (ret)
		return ret;
	fd = fd_install(t, f, 0, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

int64_t sys_epoll_create(struct task *t, const uint64_t a[6])
{
	return (int)a[0] <= 0 ? -EINVAL : do_epoll_create(t, false);
}

int64_t sys_epoll_create1(struct task *t, const uint64_t a[6])
{
	return (int)a[0] & ~EPOLL_CLOEXEC ? -EINVAL : do_epoll_create(t, (int)a[0] & EPOLL_CLOEXEC);
}
