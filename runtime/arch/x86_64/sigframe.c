/* SPDX-License-Identifier: Apache-2.0 */
/* Building and undoing signal frames: see sigaction(2), sigreturn(2), sigaltstack(2). */
#include <stdlib.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/arch/x86_64/sigframe.h"
#include "runtime/task/signal_internal.h"

#define RFLAGS_DF 0x400ull
#define RFLAGS_TF 0x100ull
#define RFLAGS_RF 0x10000ull
/* AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF: what a program may set for itself. */
#define RFLAGS_USER 0x50dd5ull

static size_t fpu_frame_size(const struct platform *p)
{
	size_t size = cpu_fpu_size(p);

	return size > X86_FXSAVE_SIZE ? size + sizeof(uint32_t) : size;
}

size_t arch_minsigstksz(const struct platform *p)
{
	/* The worst alignment of both parts. */
	return sizeof(struct x86_rt_sigframe) + fpu_frame_size(p) + 64 + 16;
}

void x86_context_from_regs(struct x86_sigcontext *sc, const struct arch_regs *r)
{
	*sc = (struct x86_sigcontext){
		.r8 = r->r8, .r9 = r->r9, .r10 = r->r10, .r11 = r->r11, .r12 = r->r12,
		.r13 = r->r13, .r14 = r->r14, .r15 = r->r15, .rdi = r->rdi, .rsi = r->rsi,
		.rbp = r->rbp, .rbx = r->rbx, .rdx = r->rdx, .rax = r->rax, .rcx = r->rcx,
		.rsp = r->rsp, .rip = r->rip, .rflags = r->rflags, .cs = r->cs, .ss = r->ss,
	};
}

/*
 * Segment selectors stay what the platform gave the task, whatever the frame says: nacre has one
 * user code and one user data segment. A return address outside the user half faults on hardware.
 */
int x86_regs_from_context(struct arch_regs *r, const struct x86_sigcontext *sc)
{
	if (sc->rip >= MM_TASK_SIZE)
		return -EFAULT;
	r->r8 = sc->r8, r->r9 = sc->r9, r->r10 = sc->r10, r->r11 = sc->r11;
	r->r12 = sc->r12, r->r13 = sc->r13, r->r14 = sc->r14, r->r15 = sc->r15;
	r->rdi = sc->rdi, r->rsi = sc->rsi, r->rbp = sc->rbp, r->rbx = sc->rbx;
	r->rdx = sc->rdx, r->rax = sc->rax, r->rcx = sc->rcx, r->rsp = sc->rsp;
	r->rip = sc->rip;
	r->rflags = (r->rflags & ~RFLAGS_USER) | (sc->rflags & RFLAGS_USER);
	r->orig_rax = ~0ull; /* no system call to restart */
	return 0;
}

/* ---- the floating-point part ---- */

static int fpu_save(struct task *t, uint64_t addr)
{
	size_t size = cpu_fpu_size(t->kernel->platform), total = fpu_frame_size(t->kernel->platform);
	uint8_t *buf = aligned_alloc(64, (total + 63) & ~(size_t)63);
	uint32_t magic2 = X86_FP_XSTATE_MAGIC2;
	int ret;

	if (!buf)
		return -EFAULT;
	memset(buf, 0, total);
	cpu_fpu_get(t->cpu, buf);
	if (size > X86_FXSAVE_SIZE) {
		struct x86_fpx_sw_bytes sw = {
			.magic1 = X86_FP_XSTATE_MAGIC1,
			.extended_size = (uint32_t)total,
			.xfeatures = cpu_fpu_features(t->kernel->platform),
			.xstate_size = (uint32_t)size,
		};

		memcpy(buf + X86_FP_SW_OFFSET, &sw, sizeof(sw));
		memcpy(buf + size, &magic2, sizeof(magic2));
	}
	ret = mm_copy_out(t->mm, GVA(addr), buf, total);
	free(buf);
	return ret;
}

int x86_fpu_sanitise(uint8_t *buf, uint32_t size, uint64_t features, bool extended)
{
	uint64_t *header = (uint64_t *)(void *)(buf + X86_FXSAVE_SIZE);

	/* The loader of the image must see nothing of the software bytes. */
	memset(buf + X86_FP_SW_OFFSET, 0, X86_FXSAVE_SIZE - X86_FP_SW_OFFSET);
	if (size < X86_FXSAVE_SIZE + X86_XSAVE_HEADER_SIZE)
		return 0;
	if (!extended) {
		memset(header, 0, size - X86_FXSAVE_SIZE);
		header[0] = features & 3;
		return 0;
	}
	/* XCOMP_BV and the reserved words: XRSTOR faults on them. */
	for (unsigned i = 1; i < X86_XSAVE_HEADER_SIZE / sizeof(uint64_t); i++)
		if (header[i])
			return -EFAULT;
	header[0] &= features;
	return 0;
}

/* Does the frame carry a whole XSAVE image? Otherwise it is used as plain FXSAVE. */
static bool fpu_extended(struct task *t, uint64_t addr, const struct x86_fpx_sw_bytes *sw, size_t size)
{
	uint32_t magic2 = 0;

	if (sw->magic1 != X86_FP_XSTATE_MAGIC1 || sw->xstate_size > size ||
	    sw->xstate_size < X86_FXSAVE_SIZE + X86_XSAVE_HEADER_SIZE ||
	    sw->xstate_size > sw->extended_size)
		return false;
	if (mm_copy_in(t->mm, &magic2, GVA(addr + sw->xstate_size), sizeof(magic2)))
		return false;
	return magic2 == X86_FP_XSTATE_MAGIC2;
}

static int fpu_restore(struct task *t, uint64_t addr)
{
	size_t size = cpu_fpu_size(t->kernel->platform);
	uint64_t features = cpu_fpu_features(t->kernel->platform);
	struct x86_fpx_sw_bytes sw;
	bool extended = false;
	uint8_t *buf;
	int ret;

	if (!addr) {
		cpu_fpu_reset(t->cpu);
		return 0;
	}
	if (addr & 63)
		return -EFAULT;
	buf = aligned_alloc(64, (size + 63) & ~(size_t)63);
	if (!buf)
		return -EFAULT;
	memset(buf, 0, size);
	ret = mm_copy_in(t->mm, buf, GVA(addr), X86_FXSAVE_SIZE);
	memcpy(&sw, buf + X86_FP_SW_OFFSET, sizeof(sw));
	if (!ret && size > X86_FXSAVE_SIZE) {
		extended = fpu_extended(t, addr, &sw, size);
		if (extended) {
			features &= sw.xfeatures;
			ret = mm_copy_in(t->mm, buf + X86_FXSAVE_SIZE, GVA(addr + X86_FXSAVE_SIZE),
					 sw.xstate_size - X86_FXSAVE_SIZE);
		}
	}
	if (!ret)
		ret = x86_fpu_sanitise(buf, (uint32_t)size, features, extended);
	if (!ret)
		ret = cpu_fpu_set(t->cpu, buf, size);
	free(buf);
	return ret ? -EFAULT : 0;
}

/* ---- frames ---- */

/*
 * Where the frame and the FPU image go. Running off the alternate stack is an overflow: SIGSEGV
 * rather than a frame in whatever lies below it.
 */
static int frame_place(struct task *t, const struct sigaction_guest *act, uint64_t *frame,
		       uint64_t *fpstate)
{
	bool bounded;
	uint64_t sp = altstack_frame_end(t, act, t->regs.rsp - X86_RED_ZONE, &bounded);

	*fpstate = (sp - fpu_frame_size(t->kernel->platform)) & ~63ull;
	*frame = ((*fpstate - sizeof(struct x86_rt_sigframe)) & ~15ull) - 8;
	if (*frame > sp || sp > MM_TASK_SIZE)
		return -EFAULT;
	if (bounded && !altstack_contains(t, *frame))
		return -EFAULT;
	return 0;
}

static void frame_fill(struct task *t, struct x86_rt_sigframe *f, const guest_siginfo_t *info,
		       uint64_t mask)
{
	f->uc.flags = X86_UC_SIGCONTEXT_SS | X86_UC_STRICT_RESTORE_SS;
	if (cpu_fpu_size(t->kernel->platform) > X86_FXSAVE_SIZE)
		f->uc.flags |= X86_UC_FP_XSTATE;
	f->uc.stack = altstack_image(t);
	x86_context_from_regs(&f->uc.mcontext, &t->regs);
	f->uc.mcontext.err = t->trap_err;
	f->uc.mcontext.trapno = (uint64_t)t->trap_nr;
	f->uc.mcontext.cr2 = t->trap_addr;
	f->uc.mcontext.oldmask = mask;
	f->uc.sigmask = mask;
	memcpy(f->info, info, sizeof(f->info));
}

int arch_signal_frame(struct task *t, int sig, const struct sigaction_guest *act,
		      const guest_siginfo_t *info, uint64_t mask)
{
	struct x86_rt_sigframe f = {0};
	uint64_t frame, fpstate;

	if (!(act->flags & GUEST_SA_RESTORER) || act->handler >= MM_TASK_SIZE ||
	    frame_place(t, act, &frame, &fpstate))
		return -EFAULT;
	frame_fill(t, &f, info, mask);
	f.pretcode = act->restorer;
	f.uc.mcontext.fpstate = fpstate;
	if (fpu_save(t, fpstate) || mm_copy_out(t->mm, GVA(frame), &f, sizeof(f)))
		return -EFAULT;
	altstack_disarm(t);
	t->regs.rdi = (uint64_t)sig;
	t->regs.rsi = frame + offsetof(struct x86_rt_sigframe, info);
	t->regs.rdx = frame + offsetof(struct x86_rt_sigframe, uc);
	t->regs.rax = 0;
	t->regs.rip = act->handler;
	t->regs.rsp = frame;
	t->regs.rflags &= ~(RFLAGS_DF | RFLAGS_TF | RFLAGS_RF);
	t->regs.orig_rax = ~0ull;
	return 0;
}

int arch_sigreturn(struct task *t)
{
	struct x86_ucontext uc;
	uint64_t frame = t->regs.rsp - 8; /* the handler's ret has popped pretcode */

	if (mm_copy_in(t->mm, &uc, GVA(frame + offsetof(struct x86_rt_sigframe, uc)), sizeof(uc)))
		return -EFAULT;
	signal_set_mask(t, uc.sigmask);
	if (x86_regs_from_context(&t->regs, &uc.mcontext) || fpu_restore(t, uc.mcontext.fpstate))
		return -EFAULT;
	altstack_set(t, &uc.stack); /* from the restored stack pointer; a refusal is no error here */
	t->restart.fn = NULL;
	return 0;
}
