/* SPDX-License-Identifier: Apache-2.0 */
/* The SYSCALL entry that runs at user level, where SYSCALL stays there: shim/wire.h. */
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

#define PAGES_PER_CPU 2 /* count, answers */
/* A guest-physical page below the arena that no slot ever covers. */
#define NOTHING_GPA 0xd0000000ull
#define RFLAGS_RF 0x10000ull

static uint64_t gate_va(unsigned index)
{
	return SHIM_GATE_VA + (uint64_t)index * SHIM_GATE_STRIDE;
}

static int map_one(struct mm_system *sys, unsigned index, gpa_t text, gpa_t pages)
{
	uint64_t va = gate_va(index);
	int ret = mm_system_map_gate(sys, GVA(va), text, 1, false, true);

	if (!ret)
		ret = mm_system_map_gate(sys, GVA(va + SHIM_GATE_LEAVE), GPA(NOTHING_GPA), 1, false,
					 true);
	if (!ret)
		ret = mm_system_map_gate(sys, GVA(va + SHIM_GATE_COUNT), pages, 1, true, false);
	if (!ret)
		ret = mm_system_map_gate(sys, GVA(va + SHIM_GATE_ANSWERS), GPA(pages.v + PAGE_SIZE), 1,
					 false, false);
	return ret;
}

int gate_install(struct platform *p, struct mm_system *sys)
{
	gpa_t text, pages;
	void *code, *data;
	int ret = mm_system_alloc_fixed(sys, 1, &text, &code);

	if (!ret)
		ret = mm_system_alloc_fixed(sys, p->max_vcpus * PAGES_PER_CPU, &pages, &data);
	for (unsigned i = 0; !ret && i < p->max_vcpus; i++)
		ret = map_one(sys, i, text, GPA(pages.v + i * PAGES_PER_CPU * PAGE_SIZE));
	if (ret)
		return ret;
	memset(code, 0xcc, PAGE_SIZE);
	memcpy(code, shim_gate_start, (size_t)(shim_gate_end - shim_gate_start));
	p->gates = data;
	return 0;
}

void gate_boot(struct platform *p, struct vcpu *v, struct nacre_boot_x86 *boot)
{
	uint8_t *own = p->gates + (size_t)v->index * PAGES_PER_CPU * PAGE_SIZE;

	v->gate_count = (uint64_t *)own;
	v->gate_answers = (uint32_t *)(own + PAGE_SIZE);
	boot->lstar = gate_va(v->index);
	boot->sfmask = 0;
}

void gate_set_answer(struct vcpu *v, unsigned nr, uint64_t answer)
{
	if (v->gate_answers)
		__atomic_store_n(&v->gate_answers[nr], (uint32_t)(answer + 1), __ATOMIC_RELAXED);
}

enum gate_state gate_settle(const struct vcpu *v, struct arch_regs *r)
{
	/* Another vCPU's gate is as good: a program that jumps there gets what it asks for. */
	uint64_t at = (r->rip - SHIM_GATE_VA) % SHIM_GATE_STRIDE;
	enum gate_state state = GATE_ANSWERED;

	if (!v->gate_answers || r->rip < SHIM_GATE_VA || r->rip >= gate_va(SHIM_MAX_CPUS) ||
	    at >= SHIM_GATE_BYTES)
		return GATE_OUTSIDE;
	if (at < SHIM_GATE_ANSWERED || at > SHIM_GATE_RETURN)
		state = GATE_CALL;
	else if (at < SHIM_GATE_RESULT)
		r->rax = (uint32_t)(r->rcx - 1);
	if (at >= SHIM_GATE_SWAPPED && at != SHIM_GATE_RETURN)
		r->rcx = r->r11;
	r->rflags &= ~RFLAGS_RF; /* the fault's, not the program's */
	r->r11 = r->rflags;
	r->rip = r->rcx;
	return state;
}
