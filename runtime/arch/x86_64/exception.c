/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions of user code and the signals they become (Intel SDM vol. 3 chapter 6 for the vectors;
 * sigaction(2) for the codes).
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/task/task.h"

enum x86_vector {
	X86_DE = 0, X86_DB = 1, X86_BP = 3, X86_OF = 4, X86_BR = 5, X86_UD = 6, X86_NM = 7,
	X86_TS = 10, X86_NP = 11, X86_SS = 12, X86_GP = 13, X86_PF = 14, X86_MF = 16, X86_AC = 17,
	X86_XM = 19,
};

#define RFLAGS_TF 0x100u

/* The unmasked exception that is pending, from status and control words; 0: none. */
static int fpe_code(unsigned status)
{
	if (status & 0x01)
		return FPE_FLTINV;
	if (status & 0x04)
		return FPE_FLTDIV;
	if (status & 0x08)
		return FPE_FLTOVF;
	if (status & 0x12) /* denormal operand, underflow */
		return FPE_FLTUND;
	if (status & 0x20)
		return FPE_FLTRES;
	return 0;
}

static void fpu_exception(struct task *t, const struct cpu_trap *trap)
{
	size_t size = cpu_fpu_size(t->kernel->platform);
	uint8_t *buf = aligned_alloc(64, (size + 63) & ~(size_t)63);
	uint16_t fcw, fsw;
	uint32_t mxcsr;
	int code = 0;

	if (buf) {
		cpu_fpu_get(t->cpu, buf);
		memcpy(&fcw, buf, sizeof(fcw));
		memcpy(&fsw, buf + 2, sizeof(fsw));
		memcpy(&mxcsr, buf + 24, sizeof(mxcsr));
		free(buf);
		code = trap->vector == X86_MF ? fpe_code(fsw & ~(unsigned)fcw)
					      : fpe_code(mxcsr & ~(mxcsr >> 7));
	}
	signal_force_fault(t, SIGFPE, code ? code : FPE_FLTUNK, t->regs.rip, (int)trap->vector, 0);
}

/*
 * INT n: where guest-privileged code is emulated, the hypervisor calls it undefined. The processor
 * raises #GP with the gate's index, as no gate but INT3's and INTO's lets ring 3 in.
 */
static bool is_software_interrupt(struct task *t, uint64_t *err)
{
	uint8_t code[2];

	if (mm_copy_in(t->mm, code, GVA(t->regs.rip), sizeof(code)) != 0 || code[0] != 0xcd)
		return false;
	*err = (uint64_t)code[1] << 3 | 2;
	return true;
}

void arch_exception(struct task *t, const struct cpu_trap *trap)
{
	int nr = (int)trap->vector;
	uint64_t err = trap->error_code, ip = t->regs.rip;

	if (nr == X86_UD && is_software_interrupt(t, &err))
		nr = X86_GP;
	switch (nr) {
	case X86_DE:
		signal_force_fault(t, SIGFPE, FPE_INTDIV, ip, nr, err);
		break;
	case X86_DB:
		/* Without ptrace there are no hardware breakpoints: single steps, or INT1. */
		signal_force_fault(t, SIGTRAP, t->regs.rflags & RFLAGS_TF ? TRAP_TRACE : TRAP_BRKPT,
				   ip, nr, err);
		break;
	case X86_BP:
		signal_force_fault(t, SIGTRAP, SI_KERNEL, 0, nr, err);
		break;
	case X86_UD:
		signal_force_fault(t, SIGILL, ILL_ILLOPN, ip, nr, err);
		break;
	case X86_MF:
	case X86_XM:
		fpu_exception(t, trap);
		break;
	case X86_NP:
	case X86_SS:
		signal_force_fault(t, SIGBUS, SI_KERNEL, 0, nr, err);
		break;
	case X86_AC:
		signal_force_fault(t, SIGBUS, BUS_ADRALN, 0, nr, err);
		break;
	default: /* #OF, #BR, #NM, #TS, #GP and what no user code should be able to raise */
		signal_force_fault(t, SIGSEGV, SI_KERNEL, 0, nr, err);
		break;
	}
}

void arch_fault_signal(struct task *t, const struct cpu_trap *trap, int err)
{
	/* The page-fault error code as hardware gives it: P, W/R, U/S, I/D. */
	uint64_t code = (trap->present ? 1u : 0u) | (trap->access & MM_ACCESS_WRITE ? 2u : 0u) | 4u |
			(trap->access & MM_ACCESS_EXEC ? 16u : 0u);
	uint64_t addr = trap->addr.v;

	if (addr >= MM_TASK_SIZE)
		code |= 1u; /* Linux does not tell what is mapped there */
	t->trap_addr = addr;
	switch (err) {
	case -ENXIO:
		signal_force_fault(t, SIGBUS, BUS_ADRERR, addr, X86_PF, code);
		break;
	case -EACCES:
		signal_force_fault(t, SIGSEGV, SEGV_ACCERR, addr, X86_PF, code);
		break;
	default:
		signal_force_fault(t, SIGSEGV, SEGV_MAPERR, addr, X86_PF, code);
		break;
	}
}
