/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM vCPUs on arm64: boot state, doorbell exits, kicks, vector state. Between two runs the guest's
 * registers are in its own memory, where the shim put them; nothing is fetched register by register
 * but the vector state.
 *
 * There is no interrupt controller: a kick raises the vCPU's IRQ line, which the shim answers at user
 * level by ringing the doorbell, and the run that sees that lowers it. So a kick is never lost and
 * never needs the guest's registers where they cannot be had.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/kvm/kvm.h"
#include "shim/wire.h"

#define CORE_REG(size, field) \
	(KVM_REG_ARM64 | (size) | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
#define CORE_U64(field) CORE_REG(KVM_REG_SIZE_U64, field)
#define VREG(n) CORE_REG(KVM_REG_SIZE_U128, fp_regs.vregs[0]) + 4 * (n)
#define FPSR CORE_REG(KVM_REG_SIZE_U32, fp_regs.fpsr)
#define FPCR CORE_REG(KVM_REG_SIZE_U32, fp_regs.fpcr)

#define SYS_SCTLR ARM64_SYS_REG(3, 0, 1, 0, 0)
#define SYS_CPACR ARM64_SYS_REG(3, 0, 1, 0, 2)
#define SYS_TTBR0 ARM64_SYS_REG(3, 0, 2, 0, 0)
#define SYS_TTBR1 ARM64_SYS_REG(3, 0, 2, 0, 1)
#define SYS_TCR ARM64_SYS_REG(3, 0, 2, 0, 2)
#define SYS_MAIR ARM64_SYS_REG(3, 0, 10, 2, 0)
#define SYS_VBAR ARM64_SYS_REG(3, 0, 12, 0, 0)
#define SYS_CNTKCTL ARM64_SYS_REG(3, 0, 14, 1, 0)
#define SYS_ID_MMFR0 ARM64_SYS_REG(3, 0, 0, 7, 0)
#define SYS_ID_ISAR0 ARM64_SYS_REG(3, 0, 0, 6, 0)

#define PSTATE_SHIM 0x3c5u /* EL1 with SP_EL1, D A I F masked */

/* struct fpsimd_context of a signal frame: head, FPSR, FPCR, 32 vectors. */
#define FPU_BYTES 528
#define FPU_FPSR 8
#define FPU_FPCR 12
#define FPU_VREGS 16

#define IPA_BITS_DEFAULT 40u
#define MEMORY_RETRIES 8 /* runs until the interrupt that stands in for a memory exit is taken */

static int set_reg(struct nacre_vcpu *v, uint64_t id, const void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	return ioctl(v->fd, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
}

static int get_reg(struct nacre_vcpu *v, uint64_t id, void *value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};

	return ioctl(v->fd, KVM_GET_ONE_REG, &reg) < 0 ? -errno : 0;
}

static int set_line(struct nacre_vcpu *v, bool raised)
{
	struct kvm_irq_level line = {
		.irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
		       v->id << KVM_ARM_IRQ_VCPU_SHIFT |
		       KVM_ARM_IRQ_CPU_IRQ << KVM_ARM_IRQ_NUM_SHIFT,
		.level = raised,
	};
	return ioctl(v->vm->vm_fd, KVM_IRQ_LINE, &line) < 0 ? -errno : 0;
}

int kvm_arch_check(int kvm_fd, char *err, size_t errlen)
{
	return kvm_need(kvm_fd, KVM_CAP_ONE_REG, "KVM_CAP_ONE_REG", err, errlen);
}

/* Machines with less than 40 bits of physical address want to be told how many to use. */
static uint32_t ipa_bits(int kvm_fd)
{
	int most = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return most > 0 && (uint32_t)most < IPA_BITS_DEFAULT ? (uint32_t)most : IPA_BITS_DEFAULT;
}

unsigned long kvm_arch_vm_type(int kvm_fd)
{
	uint32_t bits = ipa_bits(kvm_fd);

	return bits == IPA_BITS_DEFAULT ? 0 : KVM_VM_TYPE_ARM_IPA_SIZE(bits);
}

static uint64_t counter_hz(void)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	return hz;
}

/*
 * Kernels name the vCPU of an interrupt line by its number or by its place in the order of creation:
 * here the two are the same.
 */
static int alloc_in_order(struct nacre_vm *vm, struct nacre_vcpu **out)
{
	int ret;

	pthread_mutex_lock(&vm->lock);
	ret = kvm_vcpu_alloc(vm, vm->nvcpus, out);
	vm->nvcpus += !ret;
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

static int vcpu_init(struct nacre_vcpu *v)
{
	struct kvm_vcpu_init init;

	if (ioctl(v->vm->vm_fd, KVM_ARM_PREFERRED_TARGET, &init) < 0)
		return -errno;
	memset(init.features, 0, sizeof init.features);
	return ioctl(v->fd, KVM_ARM_VCPU_INIT, &init) < 0 ? -errno : 0;
}

int kvm_arch_vm_init(struct nacre_vm *vm, char *err, size_t errlen)
{
	int ret = alloc_in_order(vm, &vm->first);

	if (!ret)
		ret = vcpu_init(vm->first);
	if (!ret)
		ret = get_reg(vm->first, SYS_ID_MMFR0, &vm->caps.arm_mmfr0);
	if (!ret)
		ret = get_reg(vm->first, SYS_ID_ISAR0, &vm->caps.arm_isar0);
	if (ret) {
		snprintf(err, errlen, "KVM cannot create a virtual CPU: %s", strerror(-ret));
		return ret;
	}
	vm->caps.max_vcpus--; /* one of the platform's is not in its pool */
	vm->caps.gpa_bits = ipa_bits(vm->kvm_fd);
	vm->caps.fpu_bytes = FPU_BYTES;
	vm->caps.counter_hz = counter_hz();
	/*
	 * HCR_EL2.FB is among the bits every guest runs with (Linux, HCR_GUEST_FLAGS). A vCPU that
	 * moves keeps what it left behind where no other vCPU of this VM ran since.
	 */
	vm->caps.flags |= NACRE_CAP_FORCED_BROADCAST;
	return 0;
}

static int boot_regs(struct nacre_vcpu *v, const struct nacre_boot_arm64 *b)
{
	const uint64_t pstate = PSTATE_SHIM;
	const struct {
		uint64_t id;
		const uint64_t *value;
	} regs[] = {
		{SYS_MAIR, &b->mair},
		{SYS_TCR, &b->tcr},
		{SYS_TTBR0, &b->ttbr0},
		{SYS_TTBR1, &b->ttbr1},
		{SYS_VBAR, &b->vbar},
		{SYS_CPACR, &b->cpacr},
		{SYS_SCTLR, &b->sctlr},
		{SYS_CNTKCTL, &b->cntkctl},
		{CORE_U64(regs.pc), &b->pc},
		{CORE_U64(sp_el1), &b->sp},
		{CORE_U64(regs.pstate), &pstate},
	};

	for (size_t i = 0; i < sizeof regs / sizeof regs[0]; i++) {
		int ret = set_reg(v, regs[i].id, regs[i].value);

		if (ret)
			return ret;
	}
	return 0;
}

int kvm_vcpu_create(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
		    struct nacre_vcpu **out)
{
	struct nacre_vcpu *v = NULL;
	int ret = 0;

	if (index == 0 && vm->first) {
		v = vm->first;
		vm->first = NULL;
	} else {
		ret = alloc_in_order(vm, &v);
		if (!ret)
			ret = vcpu_init(v);
	}
	if (!ret) {
		v->boot = *boot;
		ret = boot_regs(v, &boot->arm64);
	}
	if (ret) {
		if (v)
			kvm_vcpu_destroy(v);
		return ret;
	}
	*out = v;
	return 0;
}

static bool is_doorbell(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write &&
	       run->mmio.phys_addr == SHIM_DOORBELL_GPA;
}

/* The vCPU stands nobody knows where: back to the start, so that its next user finds it in the shim. */
static void start_over(struct nacre_vcpu *v)
{
	v->run->immediate_exit = 1; /* finish a half-done access, which would move the pc */
	ioctl(v->fd, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	boot_regs(v, &v->boot.arm64);
	set_line(v, false);
}

static void explain_other(struct nacre_vcpu *v, int err, struct nacre_exit *exit)
{
	const struct kvm_run *run = v->run;

	exit->reason = NACRE_EXIT_OTHER;
	exit->detail = err ? 0x10000u + (uint32_t)err : run->exit_reason;
	exit->gpa = !err && run->exit_reason == KVM_EXIT_MMIO ? run->mmio.phys_addr : ~0ull;
}

/*
 * Runs until the doorbell rings. A host page that cannot be had ends KVM_RUN at the user's
 * instruction; an interrupt then brings the user's state into memory, and is reported as what it
 * stands for.
 */
int kvm_vcpu_run(struct nacre_vcpu *v, struct nacre_regs *regs, uint32_t load,
		 struct nacre_exit *exit)
{
	int err, memory = 0;

	(void)regs;
	(void)load;
	for (;;) {
		err = ioctl(v->fd, KVM_RUN, 0) < 0 ? errno : 0;
		if (err == EINTR || err == EAGAIN || (!err && v->run->exit_reason == KVM_EXIT_INTR))
			continue;
		if ((err != EFAULT && err != EHWPOISON) || memory++ == MEMORY_RETRIES)
			break;
		set_line(v, true);
	}
	*exit = (struct nacre_exit){.reason = NACRE_EXIT_DOORBELL, .gpa = ~0ull};
	if (err || !is_doorbell(v->run)) {
		explain_other(v, err, exit);
		start_over(v);
		return 0;
	}
	memcpy(&exit->detail, v->run->mmio.data, sizeof exit->detail);
	if (exit->detail == SHIM_TRAP_INTERRUPT) {
		set_line(v, false);
		exit->reason = memory ? NACRE_EXIT_MEMORY : NACRE_EXIT_KICKED;
	}
	return 0;
}

void kvm_vcpu_kick(struct nacre_vcpu *v)
{
	set_line(v, true);
}

int kvm_vcpu_get_fpu(struct nacre_vcpu *v, void *buf)
{
	uint8_t *to = buf;
	int ret = get_reg(v, FPSR, to + FPU_FPSR);

	if (!ret)
		ret = get_reg(v, FPCR, to + FPU_FPCR);
	for (unsigned i = 0; i < 32 && !ret; i++)
		ret = get_reg(v, VREG(i), to + FPU_VREGS + 16 * i);
	return ret;
}

int kvm_vcpu_set_fpu(struct nacre_vcpu *v, const void *buf)
{
	const uint8_t *from = buf;
	int ret = set_reg(v, FPSR, from + FPU_FPSR);

	if (!ret)
		ret = set_reg(v, FPCR, from + FPU_FPCR);
	for (unsigned i = 0; i < 32 && !ret; i++)
		ret = set_reg(v, VREG(i), from + FPU_VREGS + 16 * i);
	return ret;
}
