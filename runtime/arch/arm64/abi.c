/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 guest's registers at starts and clones, and its structures. */
#include <stdio.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

#define NOT_IN_SYSCALL (~0ull)

int arch_set_thread_tls(struct arch_regs *regs, uint64_t tls)
{
	arch_set_tls(regs, tls);
	return 0;
}

void arch_start_regs(struct arch_regs *regs, uint64_t entry, uint64_t sp)
{
	*regs = (struct arch_regs){.pc = entry, .sp = sp, .nr = NOT_IN_SYSCALL};
}

void arch_child_regs(struct arch_regs *child, uint64_t sp)
{
	arch_set_result(child, 0);
	child->nr = NOT_IN_SYSCALL;
	if (sp)
		arch_set_sp(child, sp);
}

/* The generic layout (asm-generic/stat.h). */
struct arm64_stat {
	uint64_t dev, ino;
	uint32_t mode, nlink, uid, gid;
	uint64_t rdev, pad1;
	int64_t size;
	int32_t blksize, pad2;
	int64_t blocks;
	int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	uint32_t unused[2];
};
_Static_assert(sizeof(struct arm64_stat) == 128, "struct stat");
_Static_assert(sizeof(struct arm64_stat) <= ARCH_STAT_SIZE_MAX, "struct stat");

size_t arch_stat(const struct kstat *in, uint8_t out[ARCH_STAT_SIZE_MAX])
{
	struct arm64_stat s = {
		.dev = in->dev,
		.ino = in->ino,
		.mode = in->mode,
		.nlink = in->nlink,
		.uid = in->uid,
		.gid = in->gid,
		.rdev = in->rdev,
		.size = (int64_t)in->size,
		.blksize = (int32_t)in->blksize,
		.blocks = (int64_t)in->blocks,
		.atime = in->atime.tv_sec,
		.atime_ns = in->atime.tv_nsec,
		.mtime = in->mtime.tv_sec,
		.mtime_ns = in->mtime.tv_nsec,
		.ctime = in->ctime.tv_sec,
		.ctime_ns = in->ctime.tv_nsec,
	};

	memcpy(out, &s, sizeof(s));
	return sizeof(s);
}

size_t arch_dump_regs(const struct arch_regs *r, char *buf, size_t cap)
{
	int n = snprintf(buf, cap, "pc %016lx sp %016lx pstate %08lx tpidr %016lx\n", r->pc, r->sp,
			 r->pstate, r->tpidr);
	size_t len = n < 0 ? 0 : (size_t)n;

	for (int i = 0; i < 31 && len < cap; i++) {
		n = snprintf(buf + len, cap - len, "x%-2d %016lx%c", i, r->x[i],
			     i % 4 == 3 || i == 30 ? '\n' : ' ');
		len += n < 0 ? 0 : (size_t)n;
	}
	return len;
}
