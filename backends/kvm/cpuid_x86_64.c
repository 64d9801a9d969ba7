/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest may know of its CPU: KVM's supported set, minus features whose state or privileged
 * half nacre does not carry. Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/kvm/kvm.h"

#define KVM_CPUID_ENTRIES 256

struct cpuid_table {
	union {
		struct kvm_cpuid2 list;
		uint8_t room[sizeof(struct kvm_cpuid2) +
			     KVM_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
	};
};

enum { EAX, EBX, ECX, EDX };

/* Vector state nacre saves and restores: x87, SSE, AVX, AVX-512 (opmask, ZMM_Hi256, Hi16_ZMM). */
#define XCR0_SUPPORTED 0xe7ull
#define XSAVE_LEGACY_BYTES 576 /* legacy region and header */

static const struct {
	uint32_t leaf, subleaf;
	int reg, bit;
	const char *why;
} hidden[] = {
	{1, 0, ECX, 3, "MONITOR: privileged sleep"},
	{1, 0, ECX, 5, "VMX: no nested guests"},
	{1, 0, ECX, 15, "PDCM: no performance counters"},
	{1, 0, ECX, 21, "x2APIC: no interrupt controller"},
	{1, 0, ECX, 24, "TSC deadline: no interrupt controller"},
	{1, 0, EDX, 7, "MCE"},
	{1, 0, EDX, 9, "APIC"},
	{1, 0, EDX, 12, "MTRR"},
	{1, 0, EDX, 14, "MCA"},
	{7, 0, EBX, 2, "SGX"},
	{7, 0, EBX, 12, "PQM"},
	{7, 0, EBX, 14, "MPX: state not carried"},
	{7, 0, EBX, 25, "Intel PT"},
	{7, 0, ECX, 3, "PKU: protection keys are refused"},
	{7, 0, ECX, 4, "OSPKE"},
	{7, 0, ECX, 5, "WAITPKG"},
	{7, 0, ECX, 7, "CET shadow stacks: state not carried"},
	{7, 0, ECX, 22, "RDPID: TSC_AUX does not name a CPU"},
	{7, 0, ECX, 29, "ENQCMD"},
	{7, 0, EDX, 5, "UINTR"},
	{7, 0, EDX, 20, "CET indirect branch tracking"},
	{7, 0, EDX, 22, "AMX bf16: state not carried"},
	{7, 0, EDX, 24, "AMX tile"},
	{7, 0, EDX, 25, "AMX int8"},
	{0x80000001, 0, ECX, 2, "SVM: no nested guests"},
	{0x80000001, 0, ECX, 3, "extended APIC space"},
	{0x80000001, 0, ECX, 10, "IBS"},
	{0x80000001, 0, ECX, 15, "LWP: state not carried"},
	{0x80000001, 0, ECX, 23, "performance counters"},
	{0x80000001, 0, ECX, 29, "MONITORX"},
};

static struct kvm_cpuid_entry2 *find(const struct nacre_vm *vm, uint32_t leaf, uint32_t subleaf)
{
	for (uint32_t i = 0; i < vm->cpuid->list.nent; i++) {
		struct kvm_cpuid_entry2 *e = &vm->cpuid->list.entries[i];

		if (e->function == leaf && e->index == subleaf)
			return e;
	}
	return NULL;
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, int reg)
{
	uint32_t *const regs[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

	return regs[reg];
}

bool kvm_cpuid_has(const struct nacre_vm *vm, uint32_t leaf, uint32_t subleaf, int reg, int bit)
{
	struct kvm_cpuid_entry2 *e = find(vm, leaf, subleaf);

	return e && *reg_of(e, reg) >> bit & 1;
}

/* Limit XCR0 and everything leaf 0xd says about sizes to the supported components. */
static void filter_xsave(struct nacre_vm *vm)
{
	struct kvm_cpuid_entry2 *e = find(vm, 0xd, 0);
	uint64_t xcr0 = e ? (e->eax | (uint64_t)e->edx << 32) & XCR0_SUPPORTED : 3;
	uint32_t bytes = XSAVE_LEGACY_BYTES;

	if ((xcr0 & 0xe4) != 0xe4) /* AVX-512 needs AVX and all three of its parts */
		xcr0 &= 7;
	for (uint32_t i = 2; i < 63; i++) {
		struct kvm_cpuid_entry2 *part = find(vm, 0xd, i);

		if (!part)
			continue;
		if (!(xcr0 >> i & 1))
			part->eax = part->ebx = part->ecx = part->edx = 0;
		else if (part->ebx + part->eax > bytes)
			bytes = part->ebx + part->eax;
	}
	if (e) {
		e->eax = (uint32_t)xcr0;
		e->edx = 0;
		e->ebx = e->ecx = bytes;
	}
	e = find(vm, 0xd, 1);
	if (e)
		e->ecx = e->edx = 0; /* no supervisor state */
	vm->caps.fpu_features = xcr0;
	vm->caps.fpu_bytes = bytes;
}

int kvm_cpuid_filter(struct nacre_vm *vm, char *err, size_t errlen)
{
	vm->cpuid = calloc(1, sizeof *vm->cpuid);
	if (!vm->cpuid) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	vm->cpuid->list.nent = KVM_CPUID_ENTRIES;
	if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, vm->cpuid) < 0) {
		int e = errno;
		snprintf(err, errlen, "KVM_GET_SUPPORTED_CPUID: %s", strerror(e));
		return -e;
	}
	for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
		struct kvm_cpuid_entry2 *e = find(vm, hidden[i].leaf, hidden[i].subleaf);

		if (e)
			*reg_of(e, hidden[i].reg) &= ~(1u << hidden[i].bit);
	}
	struct kvm_cpuid_entry2 *pmu = find(vm, 0xa, 0);
	if (pmu)
		pmu->eax = pmu->ebx = pmu->ecx = pmu->edx = 0;
	filter_xsave(vm);
	if (vm->caps.fpu_bytes > sizeof(struct kvm_xsave)) {
		snprintf(err, errlen,
			 "the host's XSAVE area of %u bytes is larger than KVM_GET_XSAVE gives",
			 vm->caps.fpu_bytes);
		return -ENOTSUP;
	}
	return 0;
}
