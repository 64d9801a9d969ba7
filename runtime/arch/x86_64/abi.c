/* SPDX-License-Identifier: Apache-2.0 */
/* The x86-64 guest's registers at starts and clones, and its structures. */
#include <stdio.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

#define RFLAGS_START 0x202ull /* IF and the bit that is always one */

int arch_set_thread_tls(struct arch_regs *regs, uint64_t tls)
{
	if (tls >= MM_TASK_SIZE)
		return -EPERM;
	arch_set_tls(regs, tls);
	return 0;
}

/* Selectors are the platform's: it fills in those left zero. */
void arch_start_regs(struct arch_regs *regs, uint64_t entry, uint64_t sp)
{
	*regs = (struct arch_regs){
		.rip = entry, .rsp = sp, .rflags = RFLAGS_START, .orig_rax = ~0ull};
}

void arch_child_regs(struct arch_regs *child, uint64_t sp)
{
	arch_set_result(child, 0);
	child->orig_rax = ~0ull;
	if (sp)
		arch_set_sp(child, sp);
}

struct x86_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	int64_t unused[3];
};
_Static_assert(sizeof(struct x86_stat) == ARCH_STAT_SIZE_MAX, "struct stat");

size_t arch_stat(const struct kstat *in, uint8_t out[ARCH_STAT_SIZE_MAX])
{
	struct x86_stat s = {
		.dev = in->dev, .ino = in->ino, .nlink = in->nlink,
		.mode = in->mode, .uid = in->uid, .gid = in->gid, .rdev = in->rdev,
		.size = (int64_t)in->size, .blksize = in->blksize, .blocks = (int64_t)in->blocks,
		.atime = in->atime.tv_sec, .atime_ns = in->atime.tv_nsec,
		.mtime = in->mtime.tv_sec, .mtime_ns = in->mtime.tv_nsec,
		.ctime = in->ctime.tv_sec, .ctime_ns = in->ctime.tv_nsec,
	};

	memcpy(out, &s, sizeof(s));
	return sizeof(s);
}

size_t arch_dump_regs(const struct arch_regs *r, char *buf, size_t cap)
{
	int n = snprintf(buf, cap,
			 "rip %016lx rsp %016lx rflags %08lx\n"
			 "rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
			 "rsi %016lx rdi %016lx rbp %016lx orig %016lx\n"
			 "r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n"
			 "r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n"
			 "fs  %016lx gs  %016lx\n",
			 r->rip, r->rsp, r->rflags, r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi,
			 r->rbp, r->orig_rax, r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14,
			 r->r15, r->fs_base, r->gs_base);

	return n < 0 ? 0 : (size_t)n;
}
