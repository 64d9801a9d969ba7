/* SPDX-License-Identifier: Apache-2.0 */
/* Memory-mapping calls: arguments are checked here, areas are mm/'s business. */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#include <linux/capability.h>

#define MINCORE_CHUNK	  4096u
#define NODEMASK_MAX_BITS 4096u
#define LEGACY_MAP_FLAGS                                                                         \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_GROWSDOWN | \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |    \
	 ARCH_MAP_32BIT | MAP_FIXED_NOREPLACE)

/* What mmap(2) asks of the descriptor. */
static int map_backing(struct file *f, unsigned prot, unsigned flags, struct mm_backing **out)
{
	unsigned mode = f->flags & O_ACCMODE;
	bool shared = (flags & MAP_TYPE) == MAP_SHARED;
	int ret;

	if (f->flags & O_PATH)
		return -EBADF;
	if (mode == O_WRONLY || (shared && prot & PROT_WRITE && mode != O_RDWR))
		return -EACCES;
	if (!f->ops->backing)
		return -ENODEV;
	ret = f->ops->backing(f, out);
	if (ret)
		return ret;
	if (prot & PROT_EXEC && !(*out)->executable)
		ret = -EPERM;
	else if (shared && prot & PROT_WRITE && !(*out)->writable)
		ret = -EACCES;
	if (ret)
		mm_backing_put(*out);
	return ret;
}

int64_t sys_mmap(struct task *t, const uint64_t a[6])
{
	struct mm_map_args args = {
		.addr = GVA(a[0]),
		.len = a[1],
		.prot = (unsigned)a[2],
		.flags = (unsigned)a[3],
		.offset = a[5],
	};
	struct file *f;
	int64_t ret;

	if (a[5] & ~PAGE_MASK)
		return -EINVAL;
	if ((args.flags & MAP_TYPE) == MAP_SHARED_VALIDATE) {
		if (args.flags & ~(unsigned)LEGACY_MAP_FLAGS)
			return -EOPNOTSUPP;
		args.flags = (args.flags & ~(unsigned)MAP_TYPE) | MAP_SHARED;
	}
	if (args.flags & MAP_HUGETLB)
		return -ENOMEM; /* a system without reserved huge pages */
	if (args.flags & MAP_ANONYMOUS) {
		args.offset = 0;
		return mm_map(t->mm, &args);
	}
	f = fd_get(t, (int)a[4]);
	if (!f)
		return -EBADF;
	ret = map_backing(f, args.prot, args.flags, &args.backing);
	if (!ret) {
		ret = mm_map(t->mm, &args);
		mm_backing_put(args.backing);
	}
	file_put(f);
	return ret;
}

int64_t sys_munmap(struct task *t, const uint64_t a[6])
{
	return mm_unmap(t->mm, GVA(a[0]), a[1]);
}

int64_t sys_mprotect(struct task *t, const uint64_t a[6])
{
	return mm_protect(t->mm, GVA(a[0]), a[1], (unsigned)a[2]);
}

int64_t sys_mremap(struct task *t, const uint64_t a[6])
{
	return mm_remap(t->mm, GVA(a[0]), a[1], a[2], (unsigned)a[3], GVA(a[4]));
}

int64_t sys_brk(struct task *t, const uint64_t a[6])
{
	return (int64_t)mm_brk(t->mm, GVA(a[0])).v;
}

int64_t sys_madvise(struct task *t, const uint64_t a[6])
{
	return mm_advise(t->mm, GVA(a[0]), a[1], (int)a[2]);
}

int64_t sys_msync(struct task *t, const uint64_t a[6])
{
	int flags = (int)a[2];

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	return mm_sync(t->mm, GVA(a[0]), a[1], flags);
}

int64_t sys_mincore(struct task *t, const uint64_t a[6])
{
	uint64_t pages = a[1] / PAGE_SIZE + (a[1] & ~PAGE_MASK ? 1 : 0);
	uint8_t vec[MINCORE_CHUNK];

	if (a[0] & ~PAGE_MASK)
		return -EINVAL;
	if (a[0] > MM_TASK_SIZE || a[1] > MM_TASK_SIZE - a[0])
		return -ENOMEM;
	for (uint64_t done = 0; done < pages;) {
		uint64_t n = pages - done < sizeof(vec) ? pages - done : sizeof(vec);
		int ret = mm_incore(t->mm, GVA(a[0] + done * PAGE_SIZE), n * PAGE_SIZE, vec);

		if (!ret)
			ret = mm_copy_out(t->mm, GVA(a[2] + done), vec, n);
		if (ret)
			return ret;
		done += n;
	}
	return 0;
}

/* ---- locking: guest memory is never paged out by nacre, so it means "present now" ---- */

static int may_lock(struct task *t, uint64_t len)
{
	uint64_t limit = process_rlimit(t->process, RLIMIT_MEMLOCK);

	if (cred_capable(t->cred, CAP_IPC_LOCK))
		return 0;
	if (!limit)
		return -EPERM;
	return page_up(len) > limit ? -ENOMEM : 0;
}

static int64_t lock_range(struct task *t, uint64_t addr, uint64_t len, bool populate)
{
	uint64_t start = page_down(addr), end = page_up(addr + len);
	int ret = may_lock(t, len);

	if (ret)
		return ret;
	if (addr + len < addr || (len && end < start))
		return -EINVAL;
	if (start == end || !populate)
		return 0;
	return mm_lock_range(t->mm, GVA(start), end - start, true);
}

int64_t sys_mlock(struct task *t, const uint64_t a[6])
{
	return lock_range(t, a[0], a[1], true);
}

int64_t sys_mlock2(struct task *t, const uint64_t a[6])
{
	if (a[2] & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	return lock_range(t, a[0], a[1], !(a[2] & MLOCK_ONFAULT));
}

int64_t sys_munlock(struct task *t, const uint64_t a[6])
{
	uint64_t start = page_down(a[0]), end = page_up(a[0] + a[1]);

	if (a[0] + a[1] < a[0] || (a[1] && end < start))
		return -EINVAL;
	return start == end ? 0 : mm_lock_range(t->mm, GVA(start), end - start, false);
}

struct area_list {
	size_t n, cap;
	struct {
		uint64_t start, len;
	} * v;
};

static int collect_area(const struct mm_area_info *info, void *arg)
{
	struct area_list *l = arg;

	if (!(info->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		void *v = reallocarray(l->v, cap, sizeof(*l->v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n].start = info->start;
	l->v[l->n++].len = info->end - info->start;
	return 0;
}

static int lock_all(struct task *t, bool lock)
{
	struct area_list l = {0};
	int ret = mm_for_each_area(t->mm, false, collect_area, &l);

	/* An area that cannot be made present whole (past a file's end) is left as it is, as Linux. */
	for (size_t i = 0; i < l.n && !ret; i++)
		mm_lock_range(t->mm, GVA(l.v[i].start), l.v[i].len, lock);
	free(l.v);
	return ret;
}

int64_t sys_mlockall(struct task *t, const uint64_t a[6])
{
	struct mm_usage usage;
	int flags = (int)a[0], ret;

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	mm_get_usage(t->mm, &usage);
	ret = may_lock(t, flags & MCL_CURRENT ? usage.vm_bytes : 0);
	if (ret || !(flags & MCL_CURRENT) || flags & MCL_ONFAULT)
		return ret;
	return lock_all(t, true);
}

int64_t sys_munlockall(struct task *t, const uint64_t a[6])
{
	(void)a;
	return lock_all(t, false);
}

/* ---- protection keys: a CPU without them (pkeys(7)) ---- */

/* EINVAL, where the manual says ENOSPC, is what x86 kernels answer on such a CPU. */
int64_t sys_pkey_alloc(struct task *t, const uint64_t a[6])
{
	(void)t, (void)a;
	return -EINVAL;
}

int64_t sys_pkey_free(struct task *t, const uint64_t a[6])
{
	(void)t, (void)a;
	return -EINVAL; /* none was ever allocated */
}

int64_t sys_pkey_mprotect(struct task *t, const uint64_t a[6])
{
	return (int)a[3] == -1 ? sys_mprotect(t, a) : -EINVAL;
}

/* ---- NUMA policy: one node; moving or binding is the host's to decide ---- */

static int64_t policy_allowed(uint64_t mode)
{
	unsigned base = (unsigned)mode & ~(unsigned)MPOL_MODE_FLAGS;

	if (base >= MPOL_MAX)
		return -EINVAL;
	return base == MPOL_DEFAULT || base == MPOL_LOCAL ? 0 : -EPERM;
}

int64_t sys_set_mempolicy(struct task *t, const uint64_t a[6])
{
	(void)t;
	return policy_allowed(a[0]);
}

int64_t sys_mbind(struct task *t, const uint64_t a[6])
{
	(void)t;
	if (a[0] & ~PAGE_MASK || a[0] + a[1] < a[0])
		return -EINVAL;
	return policy_allowed(a[2]);
}

int64_t sys_get_mempolicy(struct task *t, const uint64_t a[6])
{
	uint64_t flags = a[4], bits = a[2], mask = flags & MPOL_F_MEMS_ALLOWED ? 1 : 0;
	int32_t mode = MPOL_DEFAULT;

	if (flags & ~(uint64_t)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED && flags & (MPOL_F_NODE | MPOL_F_ADDR))
		return -EINVAL;
	if (a[1] && (!bits || bits > NODEMASK_MAX_BITS))
		return -EINVAL;
	/* MPOL_F_NODE asks for a node number: 0, which is also MPOL_DEFAULT. */
	if (a[0] && mm_copy_out(t->mm, GVA(a[0]), &mode, sizeof(mode)))
		return -EFAULT;
	if (!a[1])
		return 0;
	for (uint64_t i = 0; i < (bits + 63) / 64; i++, mask = 0)
		if (mm_copy_out(t->mm, GVA(a[1] + i * 8), &mask, 8))
			return -EFAULT;
	return 0;
}
