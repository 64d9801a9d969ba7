/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre-backend.h: the interface between nacre and a hypervisor plugin.
 *
 * A plugin is a shared object that exports one symbol, `nacre_backend` (struct nacre_backend). It
 * includes nothing of nacre's but this header and shim/wire.h. See nacre-backend(7).
 *
 * Call order: probe() -> vm_create() -> vm_map() ... -> vcpu_create() -> vcpu_run() ... ->
 * vcpu_destroy() -> vm_destroy(). One VM per process is all that is ever asked for.
 *
 * Threads: vm_* and vcpu_create() may be called from any thread, one at a time per VM for
 * vm_map()/vm_unmap(). A vCPU is used by one thread at a time (by its creator only, when
 * NACRE_CAP_VCPU_BOUND is set); vcpu_kick() may come from any thread at any time.
 *
 * Errors: 0 or a negative host errno; functions that take `err` also write one sentence there that
 * names the file or feature at fault and what to do about it.
 */
#ifndef NACRE_BACKEND_H
#define NACRE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

/* Bumped whenever the meaning or the layout of anything below changes. */
#define NACRE_BACKEND_ABI 1u
#define NACRE_BACKEND_SYMBOL "nacre_backend"

struct nacre_vm;   /* the plugin's */
struct nacre_vcpu; /* the plugin's */

/* ---- capabilities: known once the VM exists, since some are found by looking ---- */

/* The hypervisor shadows the guest's tables and does not see the host's edits: use vm_invalidate(). */
#define NACRE_CAP_SHADOW_PAGING (1u << 0)
/* vCPUs are bound to the thread that created them. */
#define NACRE_CAP_VCPU_BOUND (1u << 1)
/*
 * What keeps a vCPU that comes back to a physical CPU from meeting translations it left there, which a
 * local flush elsewhere has not reached (mm/scope.h). On x86-64 with nested paging a backend must state
 * one of them; on arm64 one that states none gets broadcast flushes only.
 *
 * Local TLB maintenance is made to reach every CPU (HCR_EL2.FB).
 */
#define NACRE_CAP_FORCED_BROADCAST (1u << 2)
/* A vCPU that moves to another physical CPU starts there with a flushed TLB. */
#define NACRE_CAP_FLUSH_ON_MIGRATION (1u << 3)
/* SYSCALL from user level arrives as a page fault on the entry point (x86-64 under PVM). */
#define NACRE_CAP_SYSCALL_FAULTS (1u << 4)
/* Running a vCPU from another thread than last time costs milliseconds. */
#define NACRE_CAP_VCPU_STICKY (1u << 5)

struct nacre_caps {
	uint32_t flags;
	uint32_t max_vcpus;
	uint32_t fpu_bytes;    /* size of the vector state blob */
	uint32_t gpa_bits;     /* guest-physical address width */
	uint64_t fpu_features; /* x86-64: XCR0 */
	uint64_t counter_hz;   /* guest-visible counter (TSC, CNTPCT), 0: unknown */
	/* arm64: ID_AA64MMFR0_EL1 and ID_AA64ISAR0_EL1 as the guest has them */
	uint64_t arm_mmfr0, arm_isar0;
};

/* ---- registers ---- */

/* x86-64: what the shim protocol moves at each exit. */
struct nacre_regs_x86 {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	uint64_t fs_base, gs_base, cr2, cr3;
	uint32_t user; /* 1: at user level (CS/SS user), 0: in the shim */
	uint32_t pad;
};

/* x86-64: the fixed state a vCPU starts with; the shim's descriptor tables stand in guest memory. */
struct nacre_boot_x86 {
	uint64_t cr3, gdt_base, idt_base, tss_base;
	uint64_t lstar, star, sfmask, kernel_gs_base;
	uint16_t gdt_limit, idt_limit, tss_limit, tss_selector;
	uint16_t kernel_cs, kernel_ss, user_cs, user_ss;
};

/*
 * arm64: what a vCPU starts with, at EL1 with SP_EL1, interrupts masked. Registers never pass through
 * this interface afterwards: the shim keeps them in guest memory (struct nacre_regs stays unused), and
 * a kick is an interrupt that the shim answers by ringing with SHIM_TRAP_INTERRUPT.
 */
struct nacre_boot_arm64 {
	uint64_t pc, sp;
	uint64_t sctlr, tcr, mair, ttbr0, ttbr1, vbar, cpacr, cntkctl;
};

struct nacre_regs {
	union {
		struct nacre_regs_x86 x86;
	};
};

struct nacre_boot {
	union {
		struct nacre_boot_x86 x86;
		struct nacre_boot_arm64 arm64;
	};
};

/* Which parts of struct nacre_regs vcpu_run() must load before it enters; all are valid after. */
#define NACRE_LOAD_GENERAL (1u << 0) /* general registers, rip, rflags */
#define NACRE_LOAD_SYSTEM (1u << 1)  /* cr3, fs_base, gs_base, level */

enum nacre_exit_reason {
	NACRE_EXIT_DOORBELL, /* the shim wants the host */
	NACRE_EXIT_KICKED,   /* vcpu_kick(), or a host signal */
	NACRE_EXIT_MEMORY, /* the host page behind a slot cannot be had (file truncated, no memory) */
	NACRE_EXIT_SHUTDOWN,	/* triple fault or its like */
	NACRE_EXIT_OTHER,	/* anything the protocol does not know: `detail` says what */
	NACRE_EXIT_INSTRUCTION, /* an instruction, or its fetch, that the hypervisor cannot run */
};
struct nacre_exit {
	enum nacre_exit_reason reason;
	uint32_t detail; /* the hypervisor's own code, for crash reports */
	uint64_t gpa;	 /* NACRE_EXIT_MEMORY: guest-physical address, ~0 when unknown */
};

#define NACRE_MAP_READ 1u
#define NACRE_MAP_WRITE 2u
#define NACRE_MAP_EXEC 4u

struct nacre_host {
	int kick_signal; /* blocked in every thread; an empty handler is installed */
};

struct nacre_backend {
	uint32_t abi;	     /* NACRE_BACKEND_ABI */
	uint32_t size;	     /* sizeof(struct nacre_backend) */
	const char *name;    /* "kvm", "hvf" */
	const char *summary; /* one line for `nacre features` */

	/* Can it work here? Touches nothing that needs undoing. */
	int (*probe)(char *err, size_t errlen);

	int (*vm_create)(const struct nacre_host *host, struct nacre_vm **out,
			 struct nacre_caps *caps, char *err, size_t errlen);
	void (*vm_destroy)(struct nacre_vm *vm);
	/* Page-aligned; regions never overlap. flags: NACRE_MAP_*. */
	int (*vm_map)(struct nacre_vm *vm, uint64_t gpa, void *host, uint64_t len, uint32_t flags);
	int (*vm_unmap)(struct nacre_vm *vm, uint64_t gpa, uint64_t len);
	/*
	 * Shadow paging only. After vm_invalidate() no vCPU holds a translation to the host pages
	 * [host, host+len); their contents stay. After vm_drop_tables() nothing derived from any page
	 * table page is remembered.
	 */
	int (*vm_invalidate)(struct nacre_vm *vm, void *host, uint64_t len);
	int (*vm_drop_tables)(struct nacre_vm *vm);

	int (*vcpu_create)(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
			   struct nacre_vcpu **out);
	void (*vcpu_destroy)(struct nacre_vcpu *vcpu);
	int (*vcpu_run)(struct nacre_vcpu *vcpu, struct nacre_regs *regs, uint32_t load,
			struct nacre_exit *exit);
	/* The current or, if none is under way, the next vcpu_run() returns NACRE_EXIT_KICKED soon. */
	void (*vcpu_kick)(struct nacre_vcpu *vcpu);
	/* Vector state, caps.fpu_bytes long, in the architecture's own memory format. */
	int (*vcpu_get_fpu)(struct nacre_vcpu *vcpu, void *buf);
	int (*vcpu_set_fpu)(struct nacre_vcpu *vcpu, const void *buf);
};

extern const struct nacre_backend nacre_backend;

#endif
