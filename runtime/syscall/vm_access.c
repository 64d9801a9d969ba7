/* SPDX-License-Identifier: Apache-2.0 */
/* process_vm_readv(2), process_vm_writev(2): one process's memory to another's. */
#include "runtime/fs/uio.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define CHUNK 16384u

/* Bytes moved until either list ends or a fault stops it; an error only when nothing moved. */
static int64_t copy_between(struct uio *from, struct uio *to)
{
	uint8_t buf[CHUNK];
	int64_t total = 0;

	while (from->resid && to->resid) {
		size_t want = from->resid < to->resid ? from->resid : to->resid;
		int64_t got, put;

		if (want > sizeof(buf))
			want = sizeof(buf);
		got = uio_read_from_guest(from, buf, want);
		if (got <= 0)
			return total ? total : got;
		put = uio_write_to_guest(to, buf, (size_t)got);
		if (put <= 0)
			return total ? total : put;
		total += put;
		if (put < got || (size_t)got < want)
			break;
	}
	return total;
}

static int target_mm(struct task *t, pid_t pid, struct mm **out)
{
	struct task *target = task_find(t->kernel, pid);
	int ret = 0;

	if (!target)
		return -ESRCH;
	if (!task_may_ptrace(t, target)) {
		ret = -EPERM;
	} else {
		*out = task_get_mm(target);
		if (!*out)
			ret = -ESRCH;
	}
	task_put(target);
	return ret;
}

static int64_t vm_rw(struct task *t, const uint64_t a[6], bool write)
{
	struct uio local, remote;
	struct mm *mm;
	int64_t ret;

	if (a[5])
		return -EINVAL;
	ret = uio_import(&local, t->mm, GVA(a[1]), a[2]);
	if (ret)
		return ret;
	/* The remote list itself lives in the caller's memory. */
	ret = uio_import(&remote, t->mm, GVA(a[3]), a[4]);
	if (ret) {
		uio_free(&local);
		return ret;
	}
	ret = target_mm(t, (pid_t)a[0], &mm);
	if (!ret) {
		remote.mm = mm;
		ret = write ? copy_between(&local, &remote) : copy_between(&remote, &local);
		mm_put(mm);
	}
	uio_free(&remote);
	uio_free(&local);
	return ret;
}

int64_t sys_process_vm_readv(struct task *t, const uint64_t a[6])
{
	return vm_rw(t, a, false);
}

int64_t sys_process_vm_writev(struct task *t, const uint64_t a[6])
{
	return vm_rw(t, a, true);
}
