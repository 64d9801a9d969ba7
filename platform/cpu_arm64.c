/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entering the guest and understanding how it came back, on arm64: the host's half of shim/wire.h.
 */
#include <stdio.h>
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

/* N Z C V, DIT, SSBS, BTYPE: what a program may have set. The rest is EL0t, nothing masked. */
#define PSTATE_USER 0xf1001c00ull

/* Exception classes (Arm ARM, ESR_EL1) that are not passed on as they are. */
#define EC_SHIFT 26
#define EC_WFX 0x01u
#define EC_SVC 0x15u
#define EC_INSTRUCTION_ABORT 0x20u
#define EC_DATA_ABORT 0x24u
#define EC_SERROR 0x2fu

#define ISS_FSC 0x3fu
#define ISS_WNR (1u << 6) /* a write, or cache maintenance */
#define ISS_CM (1u << 8)  /* cache maintenance */
#define FSC_TLB_CONFLICT 0x30u
#define FSC_KIND(fsc) ((fsc)&0x3c)
#define FSC_TRANSLATION 0x04u
#define FSC_ACCESS 0x08u
#define FSC_PERMISSION 0x0cu

static void count(atomic_ullong *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static void put_regs(struct shim_cpu *to, const struct arch_regs *r)
{
	memcpy(to->x, r->x, sizeof to->x);
	to->sp = r->sp;
	to->pc = r->pc;
	to->pstate = r->pstate & PSTATE_USER;
	to->tpidr = r->tpidr;
}

static void get_regs(struct arch_regs *r, const struct shim_cpu *from)
{
	memcpy(r->x, from->x, sizeof r->x);
	r->sp = from->sp;
	r->pc = from->pc;
	r->pstate = from->pstate & PSTATE_USER;
	r->tpidr = from->tpidr;
}

static void record(struct vcpu *v, const struct nacre_exit *exit, const struct cpu_trap *trap,
		   const struct arch_regs *r)
{
	v->ring[v->exits++ % EXIT_RING] = (struct exit_record){
		.reason = (uint8_t)exit->reason,
		.trap = (uint8_t)trap->kind,
		.vector = (uint16_t)trap->vector,
		.detail = exit->detail,
		.pc = r->pc,
		.addr = trap->addr.v,
		.nr = r->x[8],
	};
}

/* The top byte is no part of a user address (TCR_EL1.TBI0). */
static uint64_t untagged(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 8) >> 8);
}

static bool is_page_fault(unsigned fsc)
{
	return FSC_KIND(fsc) == FSC_TRANSLATION || FSC_KIND(fsc) == FSC_ACCESS ||
	       FSC_KIND(fsc) == FSC_PERMISSION;
}

static void decode_abort(struct vcpu *v, unsigned class, struct cpu_trap *trap)
{
	uint64_t esr = v->shim->esr;
	bool write = esr & ISS_WNR && !(esr & ISS_CM);

	trap->addr = GVA(untagged(v->shim->far));
	if (!is_page_fault(esr & ISS_FSC)) {
		trap->kind = CPU_TRAP_EXCEPTION;
		count(&v->stats.exceptions);
		return;
	}
	trap->kind = CPU_TRAP_PAGE_FAULT;
	trap->present = FSC_KIND(esr & ISS_FSC) == FSC_PERMISSION;
	trap->access = class == EC_INSTRUCTION_ABORT ? MM_ACCESS_EXEC
		       : write			     ? MM_ACCESS_WRITE
						     : MM_ACCESS_READ;
	count(&v->stats.faults);
}

/* A synchronous exception of user level. False: nothing for anyone to know, run on. */
static bool decode_sync(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap)
{
	unsigned class = (unsigned)(v->shim->esr >> EC_SHIFT) & 0x3f;

	trap->vector = class;
	trap->error_code = v->shim->esr & 0xffffffff;
	switch (class) {
	case EC_SVC:
		trap->kind = CPU_TRAP_SYSCALL;
		count(&v->stats.syscalls);
		return true;
	case EC_WFX:
		/* There is nothing to wait for that would not be delivered anyway. */
		r->pc += 4;
		return false;
	case EC_INSTRUCTION_ABORT:
	case EC_DATA_ABORT:
		if ((v->shim->esr & ISS_FSC) == FSC_TLB_CONFLICT) {
			atomic_store(&v->need_flush, true);
			return false;
		}
		decode_abort(v, class, trap);
		return true;
	default:
		trap->kind = CPU_TRAP_EXCEPTION;
		trap->addr = GVA(v->shim->far);
		count(&v->stats.exceptions);
		return true;
	}
}

static bool decode_doorbell(struct vcpu *v, struct arch_regs *r, struct cpu_trap *trap)
{
	switch (v->shim->trap) {
	case SHIM_TRAP_SYNC:
		return decode_sync(v, r, trap);
	case SHIM_TRAP_SERROR:
		trap->kind = CPU_TRAP_EXCEPTION;
		trap->vector = EC_SERROR;
		trap->error_code = v->shim->esr & 0xffffffff;
		count(&v->stats.exceptions);
		return true;
	default:
		trap->kind = CPU_TRAP_CRASH;
		return true;
	}
}

bool arch_enter(struct vcpu *v, uint64_t root, struct arch_regs *regs, struct cpu_trap *trap)
{
	struct platform *p = v->holder->platform;
	struct nacre_exit exit;
	bool staged, done = true;

	memset(trap, 0, sizeof *trap);
	staged = flush_before_run(p, v, root);
	put_regs(v->shim, regs);
	p->ops->vcpu_run(v->hv, &v->regs, 0, &exit);
	flush_after_run(p, v, staged);
	get_regs(regs, v->shim);
	switch (exit.reason) {
	case NACRE_EXIT_DOORBELL:
		done = decode_doorbell(v, regs, trap);
		break;
	case NACRE_EXIT_KICKED:
		count(&v->stats.kicks);
		return false;
	case NACRE_EXIT_MEMORY:
		count(&v->stats.host);
		trap->kind = CPU_TRAP_HOST_FAULT;
		break;
	default:
		count(&v->stats.other);
		trap->kind = CPU_TRAP_CRASH;
		break;
	}
	record(v, &exit, trap, regs);
	return done;
}

size_t arch_report(const struct vcpu *v, char *buf, size_t cap)
{
	static const char *const reasons[] = {"doorbell", "kicked", "memory", "shutdown", "other"};
	static const char *const traps[] = {"syscall", "page fault", "exception",
					    "kicked",  "host fault", "crash"};
	const struct shim_cpu *s = v->shim;
	size_t len = 0;
	int n = snprintf(buf, cap,
			 "vCPU %u, trap %lu, reply %lu\n"
			 "pc %016lx sp %016lx pstate %08lx tpidr %016lx\n"
			 "esr %08lx far %016lx ttbr0 %016lx\n"
			 "shim: elr %016lx esr %08lx far %016lx spsr %08lx\n",
			 v->index, s->trap, s->reply.kind, s->pc, s->sp, s->pstate, s->tpidr,
			 s->esr, s->far, s->ttbr0, s->crash[0], s->crash[1], s->crash[2],
			 s->crash[3]);

	len = n < 0 ? 0 : (size_t)n;
	for (unsigned i = 0; i < 31 && len < cap; i++) {
		n = snprintf(buf + len, cap - len, "x%-2u %016lx%c", i, s->x[i],
			     i % 4 == 3 || i == 30 ? '\n' : ' ');
		len += n < 0 ? 0 : (size_t)n;
	}
	for (unsigned i = v->exits > EXIT_RING ? v->exits - EXIT_RING : 0;
	     i < v->exits && len < cap; i++) {
		const struct exit_record *e = &v->ring[i % EXIT_RING];

		n = snprintf(buf + len, cap - len,
			     "exit %u: %s (%#x), %s, class %u, pc %lx, address %lx, x8 %lx\n", i,
			     reasons[e->reason], e->detail, traps[e->trap], e->vector, e->pc,
			     e->addr, e->nr);
		len += n < 0 ? 0 : (size_t)n;
	}
	return len < cap ? len : cap;
}
