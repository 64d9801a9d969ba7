/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering the guest and understanding how it came back, on x86-64: the host's half of shim/wire.h.
 */
#include <stdio.h>
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

#define VECTOR_DB 1u
#define VECTOR_UD 6u
#define VECTOR_GP 13u
#define VECTOR_PF 14u

#define PF_PRESENT 1u
#define PF_WRITE 2u
#define PF_FETCH 16u

#define RFLAGS_TF 0x100ull
#define RFLAGS_FIXED 0x202ull /* IF and the bit that is always one */
/* CF PF AF ZF SF TF DF OF NT RF AC ID: what a program may set. */
#define RFLAGS_USER 0x254dd5ull

/* Vectors that push an error code (Intel SDM volume 3, 6.13). */
#define HAS_ERROR_CODE 0x60227d00u

#define SYSCALL_BYTES 2

enum { FRAME_RIP, FRAME_CS, FRAME_RFLAGS, FRAME_RSP, FRAME_SS };

static uint64_t user_flags(uint64_t flags)
{
	return (flags & RFLAGS_USER) | RFLAGS_FIXED;
}

/* Bits 63..47 all alike: the processor refuses to load anything else (4-level paging). */
static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static bool in_text(uint64_t rip, uint64_t offset, uint64_t end)
{
	return rip >= SHIM_TEXT_VA + offset && rip < SHIM_TEXT_VA + end;
}

static void count(atomic_ullong *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void put_general(struct nacre_regs_x86 *to, const struct arch_regs *r)
{
	to->rax = r->rax, to->rbx = r->rbx, to->rcx = r->rcx, to->rdx = r->rdx;
	to->rsi = r->rsi, to->rdi = r->rdi, to->rsp = r->rsp, to->rbp = r->rbp;
	to->r8 = r->r8, to->r9 = r->r9, to->r10 = r->r10, to->r11 = r->r11;
	to->r12 = r->r12, to->r13 = r->r13, to->r14 = r->r14, to->r15 = r->r15;
	to->rip = r->rip, to->rflags = user_flags(r->rflags);
}

static void get_general(struct arch_regs *r, const struct nacre_regs_x86 *from)
{
	r->rax = from->rax, r->rbx = from->rbx, r->rcx = from->rcx, r->rdx = from->rdx;
	r->rsi = from->rsi, r->rdi = from->rdi, r->rsp = from->rsp, r->rbp = from->rbp;
	r->r8 = from->r8, r->r9 = from->r9, r->r10 = from->r10, r->r11 = from->r11;
	r->r12 = from->r12, r->r13 = from->r13, r->r14 = from->r14, r->r15 = from->r15;
	r->rip = from->rip, r->rflags = from->rflags;
	r->fs_base = from->fs_base, r->gs_base = from->gs_base;
	r->cs = SHIM_USER_CS, r->ss = SHIM_USER_SS;
}

/* ---- entry ---- */

static void write_frame(struct vcpu *v, const struct arch_regs *r)
{
	v->frame[FRAME_RIP] = r->rip;
	v->frame[FRAME_CS] = SHIM_USER_CS;
	v->frame[FRAME_RFLAGS] = user_flags(r->rflags);
	v->frame[FRAME_RSP] = r->rsp;
	v->frame[FRAME_SS] = SHIM_USER_SS;
}

/* Fill v->regs for an entry; returns what vcpu_run() must load. */
static uint32_t prepare_entry(struct vcpu *v, uint64_t root, const struct arch_regs *r, bool flush)
{
	struct nacre_regs_x86 *x = &v->regs.x86;
	uint64_t frame_va = SHIM_CPU_VA + (uint64_t)v->index * SHIM_CPU_STRIDE +
			    SHIM_ANSWERS_OFFSET - SHIM_FRAME_BYTES;
	uint32_t load = NACRE_LOAD_GENERAL;

	/*
	 * The shim itself needs a live page table to run on, so the root is loaded from outside even
	 * where the shim then loads it again to flush: the old one may be gone.
	 */
	if (x->fs_base != r->fs_base || x->gs_base != r->gs_base || (flush && x->user) ||
	    x->cr3 != root) {
		load |= NACRE_LOAD_SYSTEM;
		x->fs_base = r->fs_base, x->gs_base = r->gs_base;
		x->cr3 = root;
		if (flush)
			x->user = 0;
	}
	/* Where ring 0 is emulated, loading user level costs less than having it return there. */
	if (v->gate_answers && !x->user && !flush) {
		load |= NACRE_LOAD_SYSTEM;
		x->user = 1;
	}
	put_general(x, r);
	if (x->user)
		return load;
	if (!flush && r->rcx == r->rip && r->r11 == x->rflags) {
		x->rip = SHIM_TEXT_VA + SHIM_SYSRET;
		x->rflags = 2;
		return load;
	}
	write_frame(v, r);
	x->rip = SHIM_TEXT_VA + (flush ? SHIM_FLUSH : SHIM_IRET);
	x->rsp = frame_va;
	x->rflags = 2;
	return load;
}

/* ---- exit ---- */

static void record(struct vcpu *v, const struct nacre_exit *exit, const struct cpu_trap *trap,
		   const struct arch_regs *r)
{
	v->ring[v->exits++ % EXIT_RING] = (struct exit_record){
		.reason = (uint8_t)exit->reason,
		.trap = (uint8_t)trap->kind,
		.vector = (uint16_t)trap->vector,
		.pc = r->rip,
		.addr = trap->addr.v,
		.nr = r->rax,
	};
}

static void trap_exception(struct cpu_trap *trap, unsigned vector, uint64_t error_code)
{
	trap->kind = CPU_TRAP_EXCEPTION;
	trap->vector = vector;
	trap->error_code = error_code;
}

static void trap_syscall(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap)
{
	r->rip = r->rcx;
	r->rflags = r->r11 = user_flags(r->r11);
	trap->kind = CPU_TRAP_SYSCALL;
	count(&v->stats.syscalls);
}

static void trap_page_fault(struct vcpu *v, uint64_t error_code, struct cpu_trap *trap)
{
	trap->kind = CPU_TRAP_PAGE_FAULT;
	trap->vector = VECTOR_PF;
	trap->error_code = error_code;
	trap->addr = GVA(v->regs.x86.cr2);
	trap->present = error_code & PF_PRESENT;
	trap->access = error_code & PF_WRITE   ? MM_ACCESS_WRITE
		       : error_code & PF_FETCH ? MM_ACCESS_EXEC
					       : MM_ACCESS_READ;
	count(&v->stats.faults);
}

/*
 * The shim's own return instruction faulted: the user state it was to load is one the processor
 * refuses. Linux gives such a program SIGSEGV.
 */
static bool shim_return_faulted(const struct vcpu *v)
{
	return (v->frame[FRAME_CS] & 3) == 0 &&
	       in_text(v->frame[FRAME_RIP], SHIM_SYSCALL, SHIM_TEXT_BYTES);
}

/* The vCPU halted in the shim: which trap was it? */
static void decode_halt(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap)
{
	const struct nacre_regs_x86 *x = &v->regs.x86;
	uint64_t at = x->rip - 1 - SHIM_TEXT_VA;
	struct arch_regs before = *r;
	unsigned vector;

	get_general(r, x);
	if (at >= SHIM_SYSCALL && at < SHIM_SYSRET) {
		trap_syscall(v, r, trap);
		return;
	}
	if (at < SHIM_VECTORS * SHIM_VECTOR_SLOT) {
		vector = (unsigned)(at / SHIM_VECTOR_SLOT);
	} else {
		trap->kind = CPU_TRAP_CRASH;
		return;
	}
	uint64_t error_code = HAS_ERROR_CODE >> vector & 1 ? v->frame[-1] : 0;
	if ((v->frame[FRAME_CS] & 3) == 0) {
		if (!shim_return_faulted(v)) {
			trap->kind = CPU_TRAP_CRASH;
			return;
		}
		*r = before;
		trap_exception(trap, VECTOR_GP, 0);
		count(&v->stats.exceptions);
		return;
	}
	r->rip = v->frame[FRAME_RIP];
	r->rflags = user_flags(v->frame[FRAME_RFLAGS]);
	r->rsp = v->frame[FRAME_RSP];
	if (gate_settle(v, r) == GATE_CALL) {
		trap_syscall(v, r, trap);
		return;
	}
	if (vector == VECTOR_PF) {
		trap_page_fault(v, error_code, trap);
		return;
	}
	trap_exception(trap, vector, error_code);
	count(&v->stats.exceptions);
}

/*
 * Take settle_kick()'s single-step flag off the user's state. SYSCALL leaves RFLAGS in R11, and the
 * instruction stepped over may have loaded R11 with something of its own.
 */
static void undo_stepping(struct vcpu *v, struct arch_regs *r)
{
	v->stepping = false;
	r->rflags &= ~RFLAGS_TF;
	if (r->r11 == v->step_r11 || r->r11 == user_flags(v->step_r11))
		r->r11 &= ~RFLAGS_TF;
}

/*
 * Kicked. At user level the registers are the user's. In the shim on its way out nothing has
 * happened yet: *r stands. In the shim on its way in, run on with the single-step flag in the user's
 * RFLAGS, so that an answer given inside comes back after one user instruction.
 */
static bool settle_kick(struct vcpu *v, struct arch_regs *r, uint32_t *load)
{
	struct nacre_regs_x86 *x = &v->regs.x86;

	*load = 0;
	if (x->user) {
		get_general(r, x);
		r->rflags = user_flags(x->rflags);
		/* In the gate: before or after, never half way. */
		if (gate_settle(v, r) == GATE_CALL)
			r->rip = r->rcx - SYSCALL_BYTES;
		if (v->stepping)
			undo_stepping(v, r);
		return true;
	}
	if (in_text(x->rip, SHIM_SYSRET, SHIM_TEXT_BYTES))
		return true;
	if (in_text(x->rip, SHIM_SYSCALL, SHIM_SYSRET) && !(x->r11 & RFLAGS_TF)) {
		x->r11 |= RFLAGS_TF;
		v->stepping = true;
		v->step_r11 = x->r11;
		*load = NACRE_LOAD_GENERAL;
	}
	return false;
}

/* The guest is out of the shim's way-in. True: only by the single step, nothing else happened. */
static bool end_stepping(struct vcpu *v, struct arch_regs *r, const struct cpu_trap *trap)
{
	undo_stepping(v, r);
	return trap->kind == CPU_TRAP_EXCEPTION && trap->vector == VECTOR_DB;
}

/* The way out of the gate, or an instruction of a program's that nothing can run. */
static void trap_instruction(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap)
{
	const struct nacre_regs_x86 *x = &v->regs.x86;

	if (x->user) {
		get_general(r, x);
		r->rflags = user_flags(x->rflags);
		if (gate_settle(v, r) == GATE_CALL) {
			trap_syscall(v, r, trap);
			return;
		}
		trap_exception(trap, VECTOR_UD, 0);
	} else {
		trap->kind = CPU_TRAP_CRASH;
	}
	count(&v->stats.other);
}

/* One vcpu_run() made sense of. 0: *trap is filled; 1: kicked, registers settled; 2: run on. */
static int run_once(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap, uint32_t *load)
{
	const struct nacre_backend *ops = v->holder->platform->ops;
	struct nacre_exit exit;
	int ret = 0;

	ops->vcpu_run(v->hv, &v->regs, *load, &exit);
	*load = 0;
	switch (exit.reason) {
	case NACRE_EXIT_DOORBELL:
		decode_halt(v, r, trap);
		if (v->stepping && end_stepping(v, r, trap))
			ret = 1;
		break;
	case NACRE_EXIT_KICKED:
		count(&v->stats.kicks);
		return settle_kick(v, r, load) ? 1 : 2;
	case NACRE_EXIT_MEMORY:
		count(&v->stats.host);
		trap->kind = CPU_TRAP_HOST_FAULT;
		if (v->regs.x86.user) {
			get_general(r, &v->regs.x86);
			r->rflags = user_flags(v->regs.x86.rflags);
		}
		break;
	case NACRE_EXIT_INSTRUCTION:
		trap_instruction(v, r, trap);
		break;
	default:
		count(&v->stats.other);
		trap->kind = CPU_TRAP_CRASH;
		if (v->regs.x86.user && exit.reason == NACRE_EXIT_OTHER) {
			/* An instruction the hypervisor would not run for a program: illegal here. */
			get_general(r, &v->regs.x86);
			trap_exception(trap, VECTOR_GP, 0);
		}
		break;
	}
	record(v, &exit, trap, r);
	return ret;
}

bool arch_enter(struct vcpu *v, uint64_t root, struct arch_regs *regs, struct cpu_trap *trap)
{
	bool nested = platform_paging(v->holder->platform) == PLATFORM_PAGING_NESTED, flush = false;
	struct tlb_request req;
	uint32_t load;
	int ret;

	memset(trap, 0, sizeof *trap);
	if (!canonical(regs->rip) || !canonical(regs->fs_base) || !canonical(regs->gs_base)) {
		trap_exception(trap, VECTOR_GP, 0);
		return true;
	}
	tlb_take(&req);
	flush_enter(v);
	if (nested)
		flush = flush_prepare(v->holder->platform, v, root, &req);
	load = prepare_entry(v, root, regs, flush);
	do
		ret = run_once(v, regs, trap, &load);
	while (ret == 2);
	flush_leave(v->holder->platform, v);
	if (nested && v->regs.x86.user == 0 && ret == 1 && flush &&
	    in_text(v->regs.x86.rip, SHIM_FLUSH, SHIM_TEXT_BYTES))
		atomic_store(&v->need_flush, true);
	/* Executed, or marked to execute before this vCPU reaches user level again. */
	if (req.kind != TLB_NONE)
		mm_flush_executed();
	return ret == 0;
}

/* ---- crash report ---- */

size_t arch_report(const struct vcpu *v, char *buf, size_t cap)
{
	static const char *const reasons[] = {"doorbell", "kicked", "memory",
					      "shutdown", "other",  "instruction"};
	static const char *const traps[] = {"syscall",	"page fault", "exception",
					    "kicked",	"host fault", "crash"};
	const struct nacre_regs_x86 *x = &v->regs.x86;
	size_t len = 0;
	int n = snprintf(buf, cap,
			 "vCPU %u at %s level\n"
			 "rip %016lx rsp %016lx rflags %08lx cr2 %016lx cr3 %016lx\n"
			 "rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
			 "rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n"
			 "r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n"
			 "r13 %016lx r14 %016lx r15 %016lx\n"
			 "fs  %016lx gs  %016lx\n"
			 "trap frame: error %lx rip %lx cs %lx rflags %lx rsp %lx ss %lx\n",
			 v->index, x->user ? "user" : "shim", x->rip, x->rsp, x->rflags, x->cr2,
			 x->cr3, x->rax, x->rbx, x->rcx, x->rdx, x->rsi, x->rdi, x->rbp, x->r8,
			 x->r9, x->r10, x->r11, x->r12, x->r13, x->r14, x->r15, x->fs_base,
			 x->gs_base, v->frame[-1], v->frame[0], v->frame[1], v->frame[2], v->frame[3],
			 v->frame[4]);

	len = n < 0 ? 0 : (size_t)n;
	for (unsigned i = v->exits > EXIT_RING ? v->exits - EXIT_RING : 0; i < v->exits && len < cap;
	     i++) {
		const struct exit_record *e = &v->ring[i % EXIT_RING];

		n = snprintf(buf + len, cap - len,
			     "exit %u: %s, %s, vector %u, pc %lx, address %lx, rax %lx\n", i,
			     reasons[e->reason], traps[e->trap], e->vector, e->pc, e->addr, e->nr);
		len += n < 0 ? 0 : (size_t)n;
	}
	return len < cap ? len : cap;
}
