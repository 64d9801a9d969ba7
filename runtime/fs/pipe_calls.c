/* SPDX-License-Identifier: Apache-2.0 */
/* pipe(2) and pipe2(2). */
#include <errno.h>
#include <fcntl.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/pipe.h"
#include "runtime/task/task.h"

static int64_t do_pipe(struct task *t, uint64_t guest_fds, uint64_t flags)
{
	struct file *rd, *wr;
	int fds[2], ret;

	if (flags & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	ret = pipe_create(t->cred, flags & (O_NONBLOCK | O_DIRECT), &rd, &wr);
	if (ret)
		return ret;
	fds[0] = fd_install(t, rd, 0, flags & O_CLOEXEC);
	if (fds[0] < 0) {
		file_put(rd);
		file_put(wr);
		return fds[0];
	}
	fds[1] = fd_install(t, wr, 0, flags & O_CLOEXEC);
	if (fds[1] < 0) {
		fd_close(t, fds[0]);
		file_put(wr);
		return fds[1];
	}
	ret = mm_copy_out(t->mm, GVA(guest_fds), fds, sizeof(fds));
	if (ret) {
		fd_close(t, fds[0]);
		fd_close(t, fds[1]);
	}
	return ret;
}

int64_t sys_pipe(struct task *t, const uint64_t a[6])
{
	return do_pipe(t, a[0], 0);
}

int64_t sys_pipe2(struct task *t, const uint64_t a[6])
{
	return do_pipe(t, a[0], (uint32_t)a[1]);
}
