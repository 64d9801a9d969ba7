/* SPDX-License-Identifier: Apache-2.0 */
/* Putting the x86-64 shim in place: text, descriptor tables, per-vCPU memory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mm/mm.h"
#include "platform/internal.h"

#define IDT_OFFSET PAGE_SIZE /* the IDT is the page after the text */
#define VECTOR_DB 1u
#define VECTOR_NMI 2u
#define VECTOR_BP 3u
#define VECTOR_OF 4u
#define VECTOR_DF 8u
#define VECTOR_MC 18u

/* TF IF DF IOPL NT AC: what SYSCALL clears, so that the shim runs in a known state. */
#define SFMASK_BITS 0x47700ull

/* System-call numbers the shim can answer (unistd_64.h). */
enum { NR_SCHED_YIELD = 24, NR_GETPID = 39, NR_GETUID = 102, NR_GETGID = 104, NR_GETEUID = 107,
       NR_GETEGID = 108, NR_GETTID = 186 };
#define ASK_HOST UINT64_MAX

static void put_gate(uint64_t *idt, unsigned vector, uint64_t handler, unsigned dpl, unsigned ist)
{
	idt[vector * 2] = (handler & 0xffff) | (uint64_t)SHIM_KERNEL_CS << 16 | (uint64_t)ist << 32 |
			  (uint64_t)(0x8e | dpl << 5) << 40 | (handler >> 16 & 0xffff) << 48;
	idt[vector * 2 + 1] = handler >> 32;
}

static void build_idt(uint64_t *idt)
{
	for (unsigned i = 0; i < SHIM_VECTORS; i++) {
		bool user = i == VECTOR_BP || i == VECTOR_OF;
		bool own_stack = i == VECTOR_NMI || i == VECTOR_DF || i == VECTOR_MC;

		put_gate(idt, i, SHIM_TEXT_VA + i * SHIM_VECTOR_SLOT, user ? 3 : 0, own_stack);
	}
}

int arch_shim_install(struct platform *p, struct mm_system *sys, char *err, size_t errlen)
{
	size_t text = (size_t)(shim_text_end - shim_text_start);
	size_t cpu_pages = p->max_vcpus * (SHIM_CPU_STRIDE / PAGE_SIZE);
	gpa_t text_gpa, cpu_gpa;
	void *host, *cpus;

	/* No instruction here reaches what a vCPU left behind on another CPU (mm/scope.h). */
	if (platform_paging(p) == PLATFORM_PAGING_NESTED && flush_scope(p, 0) != TLB_LOCAL) {
		snprintf(err, errlen, "the backend %s does not flush a virtual CPU that moves",
			 p->ops->name);
		return -ENOTSUP;
	}
	int ret = mm_system_alloc_fixed(sys, 2, &text_gpa, &host);
	if (!ret)
		ret = mm_system_alloc_fixed(sys, cpu_pages, &cpu_gpa, &cpus);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_TEXT_VA), text_gpa, 1, false, true);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_TEXT_VA + IDT_OFFSET),
					   GPA(text_gpa.v + PAGE_SIZE), 1, false, false);
	if (!ret)
		ret = mm_system_map_kernel(sys, GVA(SHIM_CPU_VA), cpu_gpa, cpu_pages, true, false);
	if (!ret && p->caps.flags & NACRE_CAP_SYSCALL_FAULTS)
		ret = gate_install(p, sys);
	if (ret) {
		snprintf(err, errlen, "cannot place the shim in guest memory: %s", strerror(-ret));
		return ret;
	}
	memcpy(host, shim_text_start, text);
	build_idt((uint64_t *)((uint8_t *)host + IDT_OFFSET));
	p->shim_cpus = cpus;
	return 0;
}

static void build_gdt(uint64_t *gdt, uint64_t tss)
{
	gdt[SHIM_KERNEL_CS / 8] = 0x00af9b000000ffff;
	gdt[SHIM_KERNEL_SS / 8] = 0x00cf93000000ffff;
	gdt[SHIM_USER_SS / 8] = 0x00cff3000000ffff;
	gdt[SHIM_USER_CS / 8] = 0x00affb000000ffff;
	gdt[SHIM_TSS_SELECTOR / 8] = 0x67 | (tss & 0xffffff) << 16 | 0x8bull << 40 |
				     (tss >> 24 & 0xff) << 56;
	gdt[SHIM_TSS_SELECTOR / 8 + 1] = tss >> 32;
}

void arch_vcpu_boot(struct platform *p, struct vcpu *v, struct nacre_boot *boot)
{
	uint64_t va = SHIM_CPU_VA + (uint64_t)v->index * SHIM_CPU_STRIDE;
	uint8_t *host = p->shim_cpus + (size_t)v->index * SHIM_CPU_STRIDE;
	uint64_t stack_top = va + SHIM_ANSWERS_OFFSET;
	uint64_t fault_stack_top = va + offsetof(struct shim_cpu, fault_stack) +
				   sizeof((struct shim_cpu *)0)->fault_stack;

	v->shim = (struct shim_cpu *)host;
	v->answers = (uint64_t *)(host + SHIM_ANSWERS_OFFSET);
	v->frame = (uint64_t *)(host + SHIM_ANSWERS_OFFSET - SHIM_FRAME_BYTES);
	for (unsigned i = 0; i < SHIM_ANSWERS; i++)
		v->answers[i] = ASK_HOST;
	build_gdt(v->shim->gdt, va + offsetof(struct shim_cpu, tss));
	memcpy(v->shim->tss + 4, &stack_top, 8);	/* RSP0 */
	memcpy(v->shim->tss + 36, &fault_stack_top, 8); /* IST1 */
	v->shim->tss[102] = sizeof v->shim->tss;	/* no I/O permission map */
	v->regs.x86.user = 1;

	boot->x86 = (struct nacre_boot_x86){
		.gdt_base = va + offsetof(struct shim_cpu, gdt),
		.gdt_limit = sizeof v->shim->gdt - 1,
		.idt_base = SHIM_TEXT_VA + IDT_OFFSET,
		.idt_limit = SHIM_VECTORS * 16 - 1,
		.tss_base = va + offsetof(struct shim_cpu, tss),
		.tss_limit = 0x67,
		.tss_selector = SHIM_TSS_SELECTOR,
		.lstar = SHIM_TEXT_VA + SHIM_SYSCALL,
		.star = (uint64_t)SHIM_STAR_USER_BASE << 48 | (uint64_t)SHIM_KERNEL_CS << 32,
		.sfmask = SFMASK_BITS,
		.kernel_gs_base = va,
		.kernel_cs = SHIM_KERNEL_CS,
		.kernel_ss = SHIM_KERNEL_SS,
		.user_cs = SHIM_USER_CS,
		.user_ss = SHIM_USER_SS,
	};
	if (p->gates)
		gate_boot(p, v, &boot->x86);
}

static void set_answer(struct vcpu *v, unsigned nr, uint64_t answer)
{
	__atomic_store_n(&v->answers[nr], answer, __ATOMIC_RELAXED);
	gate_set_answer(v, nr, answer);
}

void arch_load_answers(struct platform *p, struct vcpu *v, const struct cpu_answers *a)
{
	bool inside = !p->no_inside && !a->ask;

	set_answer(v, NR_GETPID, inside ? (uint64_t)a->pid : ASK_HOST);
	set_answer(v, NR_GETTID, inside ? (uint64_t)a->tid : ASK_HOST);
	set_answer(v, NR_GETUID, inside ? a->uid : ASK_HOST);
	set_answer(v, NR_GETEUID, inside ? a->euid : ASK_HOST);
	set_answer(v, NR_GETGID, inside ? a->gid : ASK_HOST);
	set_answer(v, NR_GETEGID, inside ? a->egid : ASK_HOST);
}

void arch_set_yield_answer(struct vcpu *v, bool inside)
{
	set_answer(v, NR_SCHED_YIELD, inside ? 0 : ASK_HOST);
}
