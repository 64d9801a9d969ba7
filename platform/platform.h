/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform seam: what mm/ and runtime/ need of whatever runs guest code. The implementation
 * here is the hypervisor platform (page tables + shim + a backend plugin); nothing above this header
 * knows which hypervisor it is, or that there is one.
 *
 * Call order: platform_create() -> mm_system_create() -> platform_boot() -> threads call
 * cpu_thread_create(), cpu_run() ... cpu_thread_destroy() -> mm_system_destroy() ->
 * platform_destroy().
 */
#ifndef NACRE_PLATFORM_PLATFORM_H
#define NACRE_PLATFORM_PLATFORM_H

#include <stdatomic.h>

#include "mm/types.h"
#include "runtime/arch/regs.h" /* struct arch_regs: the guest user registers, pure data */

struct platform;
struct mm;
struct mm_system;
struct cpu_thread;

struct platform_options {
	const char *backend; /* name, path, or NULL: the best that probes */
	const char *backend_dir;
	unsigned max_vcpus; /* 0: chosen from the host's CPUs */
	bool no_inside;	    /* forward every system call (--strace) */
};

/* The host signal that ends guest execution and ppoll: blocked in every thread, handler empty. */
int platform_kick_signal(void);

/* On failure returns -errno and fills err with one sentence for the user. */
int platform_create(const struct platform_options *opt, struct platform **out, char *err,
		    size_t errlen);
/* Install the shim in guest memory, set up the vCPU pool. */
int platform_boot(struct platform *p, struct mm_system *sys, char *err, size_t errlen);
void platform_destroy(struct platform *p);
const char *platform_backend_name(const struct platform *p);

/* ---- mmu ops, called by mm/ ---- */

/* What mm/ must do to make an edit of a live entry visible to vCPUs. */
enum platform_paging {
	PLATFORM_PAGING_NESTED, /* hardware walks our tables: flush by instruction */
	PLATFORM_PAGING_SHADOW, /* edits of live entries are seen only through invalidate ops */
};
enum platform_paging platform_paging(const struct platform *p);

/* Give the guest [host, host+len) at gpa. `writable` false maps it read-only. */
int platform_map_memory(struct platform *p, gpa_t gpa, void *host, uint64_t len, bool writable);
int platform_unmap_memory(struct platform *p, gpa_t gpa, uint64_t len);
/* Shadow paging: no vCPU holds a translation to these host pages when this returns. */
int platform_invalidate(struct platform *p, void *host, uint64_t len);
/* Shadow paging: forget every shadowed table. No page-table page's old content is used afterwards. */
int platform_drop_tables(struct platform *p);
/*
 * Nested paging: every vCPU other than the calling thread's that runs, or may have cached
 * translations of, the address space `root` has flushed when this returns (those outside the guest
 * will before they enter); with `all`, every vCPU, whatever it runs. Returns the number of vCPUs
 * kicked.
 */
unsigned platform_flush_others(struct platform *p, uint64_t root, bool all);
/*
 * Nested paging, where live entries may only change through an executed flush (arm64): what the
 * calling thread has staged has been flushed on every vCPU when this returns.
 */
void platform_flush_now(struct platform *p);
/*
 * The same platforms: does another thread have a flush of this address space staged that nobody has
 * executed yet?
 */
bool platform_flush_owed(struct platform *p, uint64_t root);
/* The calling thread's vCPU, counted from 0; ~0u: it has none. */
unsigned platform_current_vcpu(void);
/*
 * A new root table, empty, at `table`: what it is called from now on, by mm_root(), the calls here and
 * flush requests. x86-64: its address; arm64: the address and an ASID, as TTBR0 holds them. 0: there
 * are too many.
 */
uint64_t platform_new_root(struct platform *p, gpa_t table);
/* The address space is being destroyed: no vCPU may keep it loaded. */
void platform_forget_root(struct platform *p, uint64_t root);

/* ---- cpu ops, called by runtime/ ---- */

enum cpu_trap_kind {
	CPU_TRAP_SYSCALL,
	CPU_TRAP_PAGE_FAULT, /* addr, access valid */
	CPU_TRAP_EXCEPTION,  /* vector, error code (architecture's numbers) */
	CPU_TRAP_KICKED,     /* cpu_kick(): look for signals */
	CPU_TRAP_HOST_FAULT, /* a host page behind the guest access at addr is gone */
	CPU_TRAP_CRASH,	     /* the impossible; details in the crash report */
};
struct cpu_trap {
	enum cpu_trap_kind kind;
	gva_t addr;
	unsigned access; /* MM_ACCESS_* */
	bool present;	 /* the entry was present: a permission fault */
	unsigned vector;
	uint64_t error_code;
};

/* Answers the shim gives without an exit, per thread. */
struct cpu_answers {
	int32_t pid, tid;
	uint32_t uid, euid, gid, egid;
	bool ask; /* none: every call comes out */
};

int cpu_thread_create(struct platform *p, struct cpu_thread **out);
void cpu_thread_destroy(struct cpu_thread *t);
/*
 * Run *regs in address space mm (page-table root mm_root(mm)) until a trap; *regs is the user state
 * at entry and at the trap. Takes a vCPU from the pool (affinity first) and keeps it until
 * cpu_release() or until another thread needs it. Called by the thread that owns t only.
 * After a system-call trap regs->ip is past the instruction.
 */
void cpu_run(struct cpu_thread *t, struct mm *mm, struct arch_regs *regs, struct cpu_trap *trap);
/* The thread is about to block: give the vCPU to whoever waits for one. Cheap when nobody does. */
void cpu_release(struct cpu_thread *t);
/* From any thread: make cpu_run() return CPU_TRAP_KICKED soon, also if it is called later. */
void cpu_kick(struct cpu_thread *t);
/* Change the in-guest answers; takes effect at the next cpu_run(). Owner only. */
void cpu_set_answers(struct cpu_thread *t, const struct cpu_answers *a);

/* The vector/FP state, in the architecture's signal-frame format (x86-64: XSAVE standard format). */
size_t cpu_fpu_size(const struct platform *p);
uint64_t cpu_fpu_features(const struct platform *p); /* x86-64: XCR0 */
void cpu_fpu_get(struct cpu_thread *t, void *buf);
int cpu_fpu_set(struct cpu_thread *t, const void *buf, size_t len); /* -EINVAL: not loadable */
void cpu_fpu_reset(struct cpu_thread *t);			    /* execve */
void cpu_fpu_copy(struct cpu_thread *dst, struct cpu_thread *src);  /* fork, clone */

/* The guest-visible time-stamp counter now, on this host CPU; and its frequency. */
uint64_t cpu_counter(void);
uint64_t platform_counter_hz(const struct platform *p);

struct platform_stats {
	uint64_t exits_syscall, exits_fault, exits_exception, exits_kick, exits_host, exits_other;
	uint64_t answered_inside; /* system calls the shim answered */
	uint64_t vcpus, vcpu_switches, vcpu_waits;
};
void platform_stats(struct platform *p, struct platform_stats *out);
/* Registers, the last exits and the shim's state of the calling thread's vCPU, as text. */
size_t platform_crash_report(struct platform *p, struct cpu_thread *t, char *buf, size_t cap);

#endif
