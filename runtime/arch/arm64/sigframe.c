/* SPDX-License-Identifier: Apache-2.0 */
/* Building and undoing signal frames: see sigaction(2), sigreturn(2), sigaltstack(2). */
#include "runtime/arch/arm64/sigframe.h"

#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/task/signal_internal.h"

/* What a frame may not ask for: another level than EL0t, AArch32, masked exceptions. */
#define PSTATE_REFUSED 0x3dfull
#define PSTATE_BTYPE 0xc00ull

size_t arch_minsigstksz(const struct platform *p)
{
	(void)p;
	return sizeof(struct arm64_rt_sigframe) + sizeof(struct arm64_frame_record) + 16;
}

/*
 * Where the frame record goes; the frame follows below. Running off the alternate stack is an
 * overflow: SIGSEGV rather than a frame in whatever lies below it.
 */
static int frame_place(const struct task *t, const struct sigaction_guest *act, uint64_t *record,
		       uint64_t *frame)
{
	bool bounded;
	uint64_t sp = altstack_frame_end(t, act, t->regs.sp, &bounded);

	*record = (sp & ~15ull) - sizeof(struct arm64_frame_record);
	*frame = *record - sizeof(struct arm64_rt_sigframe);
	if (*frame > sp || sp > MM_TASK_SIZE)
		return -EFAULT;
	if (bounded && !altstack_contains(t, *frame))
		return -EFAULT;
	return 0;
}

static void fill_records(struct task *t, uint8_t *at)
{
	struct arm64_esr esr = {{ARM64_ESR_MAGIC, sizeof(esr)}, t->trap_err};

	cpu_fpu_get(t->cpu, at);
	at += sizeof(struct arm64_fpsimd);
	if (t->trap_err)
		memcpy(at, &esr, sizeof(esr));
}

static void fill_frame(struct task *t, struct arm64_rt_sigframe *f, const guest_siginfo_t *info,
		       uint64_t mask)
{
	struct arm64_sigcontext *sc = &f->uc.mcontext;

	memcpy(f->info, info, sizeof(f->info));
	f->uc.stack = altstack_image(t);
	f->uc.sigmask = mask;
	sc->fault_address = t->trap_addr;
	memcpy(sc->x, t->regs.x, sizeof(sc->x));
	sc->sp = t->regs.sp;
	sc->pc = t->regs.pc;
	sc->pstate = t->regs.pstate;
	fill_records(t, sc->reserved);
}

int arch_signal_frame(struct task *t, int sig, const struct sigaction_guest *act,
		      const guest_siginfo_t *info, uint64_t mask)
{
	struct arm64_frame_record record = {t->regs.x[29], t->regs.x[30]};
	struct arm64_rt_sigframe f = {0};
	struct mm_layout layout;
	uint64_t record_at, frame;

	if (frame_place(t, act, &record_at, &frame))
		return -EFAULT;
	fill_frame(t, &f, info, mask);
	if (mm_copy_out(t->mm, GVA(frame), &f, sizeof(f)) ||
	    mm_copy_out(t->mm, GVA(record_at), &record, sizeof(record)))
		return -EFAULT;
	altstack_disarm(t);
	mm_get_layout(t->mm, &layout);
	t->regs.x[0] = (uint64_t)sig;
	if (act->flags & SA_SIGINFO) {
		t->regs.x[1] = frame + offsetof(struct arm64_rt_sigframe, info);
		t->regs.x[2] = frame + offsetof(struct arm64_rt_sigframe, uc);
	}
	t->regs.x[29] = record_at;
	t->regs.x[30] = act->flags & GUEST_SA_RESTORER ? act->restorer
						       : layout.vdso.v + ARM64_VDSO_SIGRETURN;
	t->regs.sp = frame;
	t->regs.pc = act->handler;
	t->regs.pstate &= ~PSTATE_BTYPE;
	t->regs.nr = ~0ull;
	return 0;
}

/* The vector state is the one record a frame must have; unknown ones make it a bad frame. */
static int restore_records(struct task *t, const uint8_t *at)
{
	struct arm64_fpsimd fpsimd;
	struct arm64_record r;
	bool seen = false;

	for (size_t i = 0; i + sizeof(r) <= ARM64_CONTEXT_RESERVED; i += r.size) {
		memcpy(&r, at + i, sizeof(r));
		if (!r.magic && !r.size)
			break;
		if (r.size < sizeof(r) || r.size & 15 || r.size > ARM64_CONTEXT_RESERVED - i)
			return -EFAULT;
		if (r.magic == ARM64_FPSIMD_MAGIC && r.size == sizeof(fpsimd) && !seen) {
			memcpy(&fpsimd, at + i, sizeof(fpsimd));
			seen = true;
		} else if (r.magic != ARM64_ESR_MAGIC) {
			return -EFAULT;
		}
	}
	return seen ? cpu_fpu_set(t->cpu, &fpsimd, sizeof(fpsimd)) : -EFAULT;
}

int arch_sigreturn(struct task *t)
{
	struct arm64_ucontext uc;
	const struct arm64_sigcontext *sc = &uc.mcontext;
	uint64_t frame = t->regs.sp;

	if (frame & 15 ||
	    mm_copy_in(t->mm, &uc, GVA(frame + offsetof(struct arm64_rt_sigframe, uc)), sizeof(uc)))
		return -EFAULT;
	signal_set_mask(t, uc.sigmask);
	if (sc->pstate & PSTATE_REFUSED || restore_records(t, sc->reserved))
		return -EFAULT;
	memcpy(t->regs.x, sc->x, sizeof(sc->x));
	t->regs.sp = sc->sp;
	t->regs.pc = sc->pc;
	t->regs.pstate = sc->pstate;
	t->regs.nr = ~0ull; /* no system call to restart */
	altstack_set(t, &uc.stack); /* from the restored stack pointer; a refusal is no error here */
	t->restart.fn = NULL;
	return 0;
}
