/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two questions that only running answers: does the hypervisor see page-table edits made by the
 * host (nested paging) or not (shadow paging), and does SYSCALL enter ring 0 or fault on its entry
 * point. A 16-page guest asks both; its vCPU becomes the VM's vCPU 0.
 *
 * The user code reads a word, traps, and reads it again after the host pointed the page-table entry
 * at another page and ring 0 executed INVLPG; user code, because hosts that emulate ring 0 walk the
 * tables in software there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "backends/kvm/kvm.h"

#define PAGES 16
#define P 1ull
#define W 2ull
#define U 4ull

/* Guest-physical page numbers of the probe guest; identity-mapped low, so also virtual ones. */
enum { PML4 = 1, PDPT, PD, PT, TABLES, TEXT, STACK, USER, DATA_A, DATA_B, DATA };
#define AT(page) ((uint64_t)(page) << 12)
#define STUB_OFFSET 0x100
#define RESUME_OFFSET 0x800
#define SYSCALL_OFFSET 0x900

#define UD_VECTOR 6
#define PF_VECTOR 14

static void put_gate(uint8_t *idt, unsigned vector, uint64_t handler)
{
	uint64_t *gate = (uint64_t *)(idt + vector * 16);

	gate[0] =
		(handler & 0xffff) | 0x08ull << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
	gate[1] = handler >> 32;
}

static void build_guest(uint8_t *mem)
{
	/* INVLPG (RSI); IRETQ */
	static const uint8_t resume[] = {0x0f, 0x01, 0x3e, 0x48, 0xcf};
	/* MOV RAX, (RSI); UD2; MOV RAX, (RSI); UD2; SYSCALL */
	static const uint8_t user[] = {0x48, 0x8b, 0x06, 0x0f, 0x0b, 0x48,
				       0x8b, 0x06, 0x0f, 0x0b, 0x0f, 0x05};
	uint8_t *text = mem + AT(TEXT), *tables = mem + AT(TABLES);
	uint64_t *pt = (uint64_t *)(mem + AT(PT)), *gdt = (uint64_t *)tables;

	*(uint64_t *)(mem + AT(PML4)) = AT(PDPT) | P | W | U;
	*(uint64_t *)(mem + AT(PDPT)) = AT(PD) | P | W | U;
	*(uint64_t *)(mem + AT(PD)) = AT(PT) | P | W | U;
	for (unsigned i = 0; i < PAGES; i++)
		pt[i] = AT(i) | P | W | (i >= USER ? U : 0);
	pt[DATA] = AT(DATA_A) | P | W | U;

	for (unsigned i = 0; i < 32; i++) {
		text[STUB_OFFSET + i * 16] = 0xf4; /* HLT */
		put_gate(tables + 0x100, i, AT(TEXT) + STUB_OFFSET + i * 16);
	}
	memcpy(text + RESUME_OFFSET, resume, sizeof resume);
	text[SYSCALL_OFFSET] = 0xf4;
	memcpy(mem + AT(USER), user, sizeof user);

	gdt[1] = 0x00af9b000000ffff; /* ring 0 code */
	gdt[2] = 0x00cf93000000ffff; /* ring 0 data */
	gdt[4] = 0x00cff3000000ffff; /* ring 3 data, selector 0x23 */
	gdt[5] = 0x00affb000000ffff; /* ring 3 code, selector 0x2b */
	uint64_t tss = AT(TABLES) + 0x800;
	gdt[6] = 0x67 | (tss & 0xffffff) << 16 | 0x8bull << 40;
	uint64_t rsp0 = AT(STACK + 1);
	memcpy(tables + 0x804, &rsp0, sizeof rsp0);
	*(uint64_t *)(mem + AT(DATA_A)) = DATA_A;
	*(uint64_t *)(mem + AT(DATA_B)) = DATA_B;
}

/* Runs to the next HLT; returns the address after it, or 0. */
static uint64_t run_to_halt(struct nacre_vcpu *v, struct nacre_regs *r, uint32_t load)
{
	struct nacre_exit exit;

	do {
		kvm_vcpu_run(v, r, load, &exit);
		load = 0;
	} while (exit.reason == NACRE_EXIT_KICKED);
	return exit.reason == NACRE_EXIT_DOORBELL ? r->x86.rip : 0;
}

static bool at_vector(uint64_t rip, unsigned vector)
{
	return rip == AT(TEXT) + STUB_OFFSET + vector * 16 + 1;
}

static int ask(struct nacre_vm *vm, uint8_t *mem, struct nacre_vcpu *v)
{
	struct nacre_regs r = {.x86 = {.rip = AT(USER),
				       .rflags = 2,
				       .rsp = AT(DATA),
				       .rsi = AT(DATA),
				       .cr3 = AT(PML4),
				       .user = 1}};
	uint64_t *frame = (uint64_t *)(mem + AT(STACK + 1)) - 5;
	uint64_t rip = run_to_halt(v, &r, NACRE_LOAD_GENERAL | NACRE_LOAD_SYSTEM);

	if (!at_vector(rip, UD_VECTOR) || r.x86.rax != DATA_A)
		return -EIO;
	((uint64_t *)(mem + AT(PT)))[DATA] = AT(DATA_B) | P | W | U;
	frame[0] += 2;
	r.x86.rip = AT(TEXT) + RESUME_OFFSET;
	rip = run_to_halt(v, &r, NACRE_LOAD_GENERAL);
	if (!at_vector(rip, UD_VECTOR))
		return -EIO;
	if (r.x86.rax != DATA_B)
		vm->caps.flags |= NACRE_CAP_SHADOW_PAGING;
	frame[0] += 2;
	r.x86.rip = AT(TEXT) + RESUME_OFFSET;
	rip = run_to_halt(v, &r, NACRE_LOAD_GENERAL);
	if (at_vector(rip, PF_VECTOR))
		vm->caps.flags |= NACRE_CAP_SYSCALL_FAULTS;
	else if (rip != AT(TEXT) + SYSCALL_OFFSET + 1)
		return -EIO;
	return 0;
}

int kvm_paging_probe(struct nacre_vm *vm, char *err, size_t errlen)
{
	static const struct nacre_boot_x86 boot = {
		.cr3 = AT(PML4),
		.gdt_base = AT(TABLES),
		.gdt_limit = 0x3f,
		.idt_base = AT(TABLES) + 0x100,
		.idt_limit = 32 * 16 - 1,
		.tss_base = AT(TABLES) + 0x800,
		.tss_limit = 0x67,
		.tss_selector = 0x30,
		.star = 0x18ull << 48 | 0x08ull << 32,
		.lstar = AT(TEXT) + SYSCALL_OFFSET,
		.kernel_cs = 0x08,
		.kernel_ss = 0x10,
		.user_cs = 0x2b,
		.user_ss = 0x23,
	};
	uint8_t *mem =
		mmap(NULL, AT(PAGES), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (mem == MAP_FAILED) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	build_guest(mem);
	ret = kvm_vm_map(vm, 0, mem, AT(PAGES), NACRE_MAP_READ | NACRE_MAP_WRITE);
	if (!ret)
		ret = kvm_vcpu_alloc(vm, 0, &vm->first);
	if (!ret && ioctl(vm->first->fd, KVM_SET_CPUID2, vm->cpuid) < 0)
		ret = -errno;
	if (!ret) {
		int khz = ioctl(vm->first->fd, KVM_GET_TSC_KHZ, 0);
		vm->caps.counter_hz = khz > 0 ? (uint64_t)khz * 1000 : 0;
		ret = kvm_vcpu_boot(vm->first, &boot);
	}
	if (!ret)
		ret = ask(vm, mem, vm->first);
	kvm_vm_unmap(vm, 0, AT(PAGES));
	munmap(mem, AT(PAGES));
	if (ret)
		snprintf(err, errlen, "KVM does not run a small test guest: %s", strerror(-ret));
	return ret;
}
