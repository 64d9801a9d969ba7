/* SPDX-License-Identifier: Apache-2.0 */
/* KVM vCPUs on x86-64: boot state, entry and exit through the shared register page, kicks. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

#define CR0_BITS 0x80050033ull /* PG AM WP NE ET MP PE */
#define CR4_BASE 0x6a0ull      /* OSXMMEXCPT OSFXSR PGE PAE */
#define CR4_UMIP (1ull << 11)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_OSXSAVE (1ull << 18)
#define EFER_BITS 0xd01ull /* NXE LMA LME SCE */

#define MSR_TSC 0x10u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u
#define MSR_KERNEL_GS_BASE 0xc0000102u

static struct kvm_segment segment(uint16_t selector, unsigned type, unsigned dpl, bool code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = (uint8_t)type,
		.present = 1,
		.dpl = (uint8_t)dpl,
		.db = !code,
		.s = 1,
		.l = code,
		.g = 1,
	};
}

static void set_level(struct kvm_sregs *s, const struct nacre_boot_x86 *boot, bool user)
{
	unsigned dpl = user ? 3 : 0;

	s->cs = segment(user ? boot->user_cs : boot->kernel_cs, 11, dpl, true);
	s->ss = segment(user ? boot->user_ss : boot->kernel_ss, 3, dpl, false);
}

static int set_msr(struct nacre_vcpu *v, uint32_t index, uint64_t data)
{
	union {
		struct kvm_msrs list;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} msrs = {.list.nmsrs = 1};

	msrs.list.entries[0] = (struct kvm_msr_entry){.index = index, .data = data};
	int n = ioctl(v->fd, KVM_SET_MSRS, &msrs);
	return n == 1 ? 0 : n < 0 ? -errno : -EINVAL;
}

static int set_msrs(struct nacre_vcpu *v, const struct nacre_boot_x86 *boot)
{
	int ret = set_msr(v, MSR_STAR, boot->star);

	ret = ret ? ret : set_msr(v, MSR_LSTAR, boot->lstar);
	ret = ret ? ret : set_msr(v, MSR_SFMASK, boot->sfmask);
	return ret ? ret : set_msr(v, MSR_KERNEL_GS_BASE, boot->kernel_gs_base);
}

/* The guest's RDTSC is the host's: the vDSO's clock page holds host counter values. */
static void set_counter_offset(struct nacre_vcpu *v)
{
	uint64_t zero = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&zero,
	};
	if (ioctl(v->fd, KVM_SET_DEVICE_ATTR, &attr) < 0)
		set_msr(v, MSR_TSC, __builtin_ia32_rdtsc());
}

/* KVM_RUN with the kick signal alone unblocked: a kick ends it with EINTR, at any moment. */
static int set_signal_mask(struct nacre_vcpu *v)
{
	uint64_t blocked = ~(1ull << (v->vm->kick_signal - 1));
	union {
		struct kvm_signal_mask mask; /* the set follows the length without padding */
		uint8_t room[sizeof(struct kvm_signal_mask) + sizeof blocked];
	} m = {.mask.len = sizeof blocked};

	memcpy(m.mask.sigset, &blocked, sizeof blocked);
	return ioctl(v->fd, KVM_SET_SIGNAL_MASK, &m) < 0 ? -errno : 0;
}

int kvm_vcpu_boot(struct nacre_vcpu *v, const struct nacre_boot_x86 *boot)
{
	struct kvm_sregs *s = &v->run->s.regs.sregs;

	v->boot.x86 = *boot;
	if (ioctl(v->fd, KVM_GET_SREGS, s) < 0)
		return -errno;
	s->cr0 = CR0_BITS;
	s->cr3 = boot->cr3;
	s->cr4 = CR4_BASE | CR4_OSXSAVE;
	if (kvm_cpuid_has(v->vm, 7, 0, 1, 0))
		s->cr4 |= CR4_FSGSBASE;
	if (kvm_cpuid_has(v->vm, 7, 0, 2, 2))
		s->cr4 |= CR4_UMIP;
	s->efer = EFER_BITS;
	set_level(s, boot, true);
	s->ds = s->es = s->fs = s->gs = (struct kvm_segment){.unusable = 1};
	s->ldt = (struct kvm_segment){.unusable = 1, .type = 2};
	s->tr = (struct kvm_segment){
		.base = boot->tss_base,
		.limit = boot->tss_limit,
		.selector = boot->tss_selector,
		.type = 11,
		.present = 1,
	};
	s->gdt.base = boot->gdt_base, s->gdt.limit = boot->gdt_limit;
	s->idt.base = boot->idt_base, s->idt.limit = boot->idt_limit;
	if (ioctl(v->fd, KVM_SET_SREGS, s) < 0)
		return -errno;
	int ret = set_msrs(v, boot);
	if (ret)
		return ret;
	struct kvm_xcrs xcrs = {.nr_xcrs = 1,
				.xcrs = {{.xcr = 0, .value = v->vm->caps.fpu_features}}};
	if (ioctl(v->fd, KVM_SET_XCRS, &xcrs) < 0)
		return -errno;
	set_counter_offset(v);
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return set_signal_mask(v);
}

int kvm_arch_check(int kvm_fd, char *err, size_t errlen)
{
	static const struct {
		int cap;
		const char *name;
	} need[] = {
		{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
		{KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
		{KVM_CAP_XCRS, "KVM_CAP_XCRS"},
	};
	int sync = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, ret = 0;

	for (size_t i = 0; !ret && i < sizeof need / sizeof need[0]; i++)
		ret = kvm_need(kvm_fd, need[i].cap, need[i].name, err, errlen);
	if (!ret && (ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & sync) != sync) {
		snprintf(err, errlen, "/dev/kvm lacks KVM_CAP_SYNC_REGS: Linux 4.17 is needed");
		ret = -ENOTSUP;
	}
	return ret;
}

unsigned long kvm_arch_vm_type(int kvm_fd)
{
	(void)kvm_fd;
	return 0;
}

int kvm_arch_vm_init(struct nacre_vm *vm, char *err, size_t errlen)
{
	int ret = kvm_cpuid_filter(vm, err, errlen);

	vm->caps.gpa_bits = 36;
	/*
	 * A vCPU loaded on another CPU than last starts there with a flushed TLB: KVM_REQ_TLB_FLUSH in
	 * vmx_vcpu_load_vmcs(), a new ASID in pre_svm_run().
	 */
	vm->caps.flags |= NACRE_CAP_FLUSH_ON_MIGRATION;
	return ret ? ret : kvm_paging_probe(vm, err, errlen);
}

/*
 * The probe's vCPU serves as vCPU 0, unless another thread's running it costs more than a new one.
 * Its KVM number is 0, so new ones count from 1.
 */
int kvm_vcpu_create(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
		    struct nacre_vcpu **out)
{
	struct nacre_vcpu *v = NULL;
	int ret = 0;

	if (vm->first && !(vm->caps.flags & NACRE_CAP_VCPU_STICKY)) {
		v = vm->first;
		vm->first = NULL;
	} else {
		ret = kvm_vcpu_alloc(vm, index + 1, &v);
		if (!ret && ioctl(v->fd, KVM_SET_CPUID2, vm->cpuid) < 0)
			ret = -errno;
	}
	if (!ret)
		ret = kvm_vcpu_boot(v, &boot->x86);
	if (ret) {
		if (v)
			kvm_vcpu_destroy(v);
		return ret;
	}
	*out = v;
	return 0;
}

static void load_regs(struct nacre_vcpu *v, const struct nacre_regs_x86 *r, uint32_t load)
{
	struct kvm_run *run = v->run;

	if (load & NACRE_LOAD_GENERAL) {
		run->s.regs.regs = (struct kvm_regs){
			r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rbp, r->r8,
			r->r9,	r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip, r->rflags,
		};
		run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
	}
	if (load & NACRE_LOAD_SYSTEM) {
		struct kvm_sregs *s = &run->s.regs.sregs;

		s->cr3 = r->cr3;
		s->fs = s->gs = (struct kvm_segment){.unusable = 1};
		s->fs.base = r->fs_base;
		s->gs.base = r->gs_base;
		set_level(s, &v->boot.x86, r->user);
		run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
	}
}

static void store_regs(const struct nacre_vcpu *v, struct nacre_regs_x86 *r)
{
	const struct kvm_regs *g = &v->run->s.regs.regs;
	const struct kvm_sregs *s = &v->run->s.regs.sregs;

	*r = (struct nacre_regs_x86){
		g->rax,
		g->rbx,
		g->rcx,
		g->rdx,
		g->rsi,
		g->rdi,
		g->rsp,
		g->rbp,
		g->r8,
		g->r9,
		g->r10,
		g->r11,
		g->r12,
		g->r13,
		g->r14,
		g->r15,
		g->rip,
		g->rflags,
		.fs_base = s->fs.base,
		.gs_base = s->gs.base,
		.cr2 = s->cr2,
		.cr3 = s->cr3,
		.user = (s->cs.selector & 3) == 3,
	};
}

/* A kick that ended KVM_RUN is still pending, and blocked again: take it off. */
static void consume_kick(struct nacre_vcpu *v)
{
	static const struct timespec now = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, v->vm->kick_signal);
	while (sigtimedwait(&set, NULL, &now) > 0)
		;
}

static void explain_exit(struct nacre_vcpu *v, int err, struct nacre_exit *exit)
{
	struct kvm_run *run = v->run;

	exit->gpa = ~0ull;
	exit->detail = run->exit_reason;
	if (err == EINTR) {
		exit->reason = NACRE_EXIT_KICKED;
	} else if (err == EFAULT || err == EHWPOISON) {
		exit->reason = NACRE_EXIT_MEMORY;
	} else if (err) {
		exit->reason = NACRE_EXIT_OTHER;
		exit->detail = 0x10000u + (uint32_t)err;
	} else if (run->exit_reason == KVM_EXIT_HLT) {
		exit->reason = NACRE_EXIT_DOORBELL;
	} else if (run->exit_reason == KVM_EXIT_SHUTDOWN) {
		exit->reason = NACRE_EXIT_SHUTDOWN;
	} else if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
		   run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		exit->reason = NACRE_EXIT_INSTRUCTION;
	} else {
		exit->reason = NACRE_EXIT_OTHER;
		if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
			exit->detail |= run->internal.suberror << 8;
		if (run->exit_reason == KVM_EXIT_MMIO)
			exit->gpa = run->mmio.phys_addr;
	}
}

/*
 * A kick can end KVM_RUN between an exception and its delivery: KVM then delivers it on the next run,
 * whoever's registers are loaded by then. It goes first; its handler exits at once.
 */
static bool delivery_outstanding(struct nacre_vcpu *v)
{
	struct kvm_vcpu_events events;

	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return false;
	return events.exception.injected || events.exception.pending;
}

static void settle_kick(struct nacre_vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	consume_kick(v);
}

/* gettid() is a system call, and this is asked at every entry. */
static int own_tid(void)
{
	static _Thread_local int tid;

	if (!tid)
		tid = (int)gettid();
	return tid;
}

int kvm_vcpu_run(struct nacre_vcpu *v, struct nacre_regs *regs, uint32_t load,
		 struct nacre_exit *exit)
{
	bool again;
	int err;

	load_regs(v, &regs->x86, load);
	atomic_store(&v->runner, own_tid());
	do {
		err = ioctl(v->fd, KVM_RUN, 0) < 0 ? errno : 0;
		again = err == EAGAIN;
		if (err == EINTR || (!err && v->run->exit_reason == KVM_EXIT_INTR)) {
			err = EINTR;
			settle_kick(v);
			again = delivery_outstanding(v);
		}
	} while (again);
	atomic_store(&v->runner, 0);
	store_regs(v, &regs->x86);
	explain_exit(v, err, exit);
	return 0;
}

/*
 * immediate_exit catches the run that has not reached the guest yet, the signal the one that has.
 * The runner's tid may be stale by the time the signal goes out: the thread then takes one spurious
 * kick at its next run, which callers expect.
 */
void kvm_vcpu_kick(struct nacre_vcpu *v)
{
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	int tid = atomic_load(&v->runner);
	if (tid)
		syscall(SYS_tgkill, getpid(), tid, v->vm->kick_signal);
}

int kvm_vcpu_get_fpu(struct nacre_vcpu *v, void *buf)
{
	struct kvm_xsave xsave;

	if (ioctl(v->fd, KVM_GET_XSAVE, &xsave) < 0)
		return -errno;
	memcpy(buf, &xsave, v->vm->caps.fpu_bytes);
	return 0;
}

int kvm_vcpu_set_fpu(struct nacre_vcpu *v, const void *buf)
{
	struct kvm_xsave xsave = {0};

	memcpy(&xsave, buf, v->vm->caps.fpu_bytes);
	return ioctl(v->fd, KVM_SET_XSAVE, &xsave) < 0 ? -errno : 0;
}
