/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions of user code and the signals they become (Arm ARM, ESR_EL1 for the classes; sigaction(2)
 * for the codes).
 */
#include "runtime/arch/arch.h"
#include "runtime/task/task.h"

enum arm64_class {
	ARM_EC_UNKNOWN = 0x00,
	ARM_EC_FP_TRAP = 0x07,
	ARM_EC_BTI = 0x0d,
	ARM_EC_ILLEGAL = 0x0e,
	ARM_EC_SYSREG = 0x18,
	ARM_EC_SVE = 0x19,
	ARM_EC_FPAC = 0x1c,
	ARM_EC_IABT = 0x20,
	ARM_EC_PC_ALIGN = 0x22,
	ARM_EC_DABT = 0x24,
	ARM_EC_SP_ALIGN = 0x26,
	ARM_EC_FP_EXC = 0x2c,
	ARM_EC_SERROR = 0x2f,
	ARM_EC_BREAKPOINT = 0x30,
	ARM_EC_STEP = 0x32,
	ARM_EC_WATCHPOINT = 0x34,
	ARM_EC_BRK = 0x3c,
};

#define FSC_MASK 0x3fu
#define FSC_ALIGNMENT 0x21u

/* FEAT_FP's trapped exceptions: the ISS says which (ESR_EL1, "trapped floating-point"). */
static int fpe_code(uint64_t esr)
{
	if (!(esr & 1u << 23))
		return FPE_FLTUNK;
	if (esr & 0x01)
		return FPE_FLTINV;
	if (esr & 0x02)
		return FPE_FLTDIV;
	if (esr & 0x04)
		return FPE_FLTOVF;
	if (esr & 0x08)
		return FPE_FLTUND;
	if (esr & 0x10)
		return FPE_FLTRES;
	return FPE_FLTUNK;
}

/*
 * What a frame says of the fault besides the signal is the thread's, as Linux keeps it: aborts leave
 * address and syndrome, refused instructions neither, misalignments and the like only the syndrome;
 * breakpoints and arithmetic leave what was there before.
 */
static void send(struct task *t, const struct cpu_trap *trap, int sig, int code, uint64_t addr)
{
	signal_force_fault(t, sig, code, addr, (int)trap->vector, t->trap_err);
}

static void send_and_note(struct task *t, const struct cpu_trap *trap, int sig, int code,
			  uint64_t addr, uint64_t esr)
{
	t->trap_addr = 0;
	signal_force_fault(t, sig, code, addr, (int)trap->vector, esr);
}

#define KERNEL_HALF (1ull << 55)
#define ESR_CLASS_SHIFT 26
#define ESR_IL (1ull << 25)
#define ESR_ACCESS 0x140ull /* CM and WnR */
#define FSC_TRANSLATION_0 0x04ull

/* Of the kernel's half a program is told nothing but that it was not there. */
static uint64_t abort_syndrome(const struct cpu_trap *trap)
{
	uint64_t keep = (0x3full << ESR_CLASS_SHIFT) | ESR_IL;

	if (!(trap->addr.v & KERNEL_HALF))
		return trap->error_code;
	if (trap->vector == ARM_EC_DABT)
		keep |= ESR_ACCESS;
	return (trap->error_code & keep) | FSC_TRANSLATION_0;
}

static void send_abort(struct task *t, const struct cpu_trap *trap, int sig, int code)
{
	t->trap_addr = trap->addr.v;
	signal_force_fault(t, sig, code, trap->addr.v, (int)trap->vector, abort_syndrome(trap));
}

void arch_exception(struct task *t, const struct cpu_trap *trap)
{
	uint64_t pc = t->regs.pc;

	switch ((enum arm64_class)trap->vector) {
	case ARM_EC_IABT:
	case ARM_EC_DABT:
		if ((trap->error_code & FSC_MASK) == FSC_ALIGNMENT)
			send_abort(t, trap, SIGBUS, BUS_ADRALN);
		else
			send_and_note(t, trap, SIGBUS, BUS_OBJERR, trap->addr.v, trap->error_code);
		break;
	case ARM_EC_PC_ALIGN:
		send_and_note(t, trap, SIGBUS, BUS_ADRALN, trap->addr.v, trap->error_code);
		break;
	case ARM_EC_SP_ALIGN:
		send_and_note(t, trap, SIGBUS, BUS_ADRALN, t->regs.sp, trap->error_code);
		break;
	case ARM_EC_SERROR:
		send_and_note(t, trap, SIGBUS, BUS_OBJERR, 0, trap->error_code);
		break;
	case ARM_EC_FP_EXC:
		send(t, trap, SIGFPE, fpe_code(trap->error_code), pc);
		break;
	case ARM_EC_STEP:
		send(t, trap, SIGTRAP, TRAP_TRACE, pc);
		break;
	case ARM_EC_BREAKPOINT:
	case ARM_EC_WATCHPOINT:
		send(t, trap, SIGTRAP, TRAP_HWBKPT, pc);
		break;
	case ARM_EC_BRK:
		send(t, trap, SIGTRAP, TRAP_BRKPT, pc);
		break;
	case ARM_EC_FPAC:
		send_and_note(t, trap, SIGILL, ILL_ILLOPN, pc, trap->error_code);
		break;
	case ARM_EC_UNKNOWN: /* what the processor does not know or the shim keeps from programs */
	case ARM_EC_SYSREG:
	case ARM_EC_SVE:
	case ARM_EC_FP_TRAP:
	case ARM_EC_BTI:
		send_and_note(t, trap, SIGILL, ILL_ILLOPC, pc, 0);
		break;
	default:
		send_and_note(t, trap, SIGILL, ILL_ILLOPC, pc, trap->error_code);
		break;
	}
}

void arch_fault_signal(struct task *t, const struct cpu_trap *trap, int err)
{
	if (err == -ENXIO)
		send_abort(t, trap, SIGBUS, BUS_ADRERR);
	else
		send_abort(t, trap, SIGSEGV, err == -EACCES ? SEGV_ACCERR : SEGV_MAPERR);
}
