/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the hypervisor platform: the vCPU pool and the threads that borrow from it.
 *
 * Lock order: pool_lock is a leaf; plugin calls on idle vCPUs are made under it.
 */
#ifndef NACRE_PLATFORM_INTERNAL_H
#define NACRE_PLATFORM_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "backends/loader.h"
#include "mm/ledger.h"
#include "mm/scope.h"
#include "mm/tlb.h"
#include "platform/platform.h"
#include "shim/wire.h"

#define EXIT_RING 16 /* exits remembered for the crash report */
/* A waiter preempts a vCPU's holder after this long; where a hand-over itself costs milliseconds: */
#define SLICE_NS 10000000ull
#define STICKY_SLICE_NS 200000000ull

struct vcpu_stats { /* written by the holder only, read by anyone */
	atomic_ullong syscalls, faults, exceptions, kicks, host, other, switches;
};

struct exit_record {
	uint8_t reason, trap;
	uint16_t vector;
	uint32_t detail; /* arm64: struct nacre_exit's */
	uint64_t pc, addr, nr;
};

struct vcpu {
	struct nacre_vcpu *hv;
	unsigned index;
	struct shim_cpu *shim; /* host view of its memory: shim/wire.h */
	uint64_t *answers;
	uint32_t *gate_answers; /* NULL: SYSCALL enters the shim proper */
	uint64_t *gate_count;	/* calls answered by the gate */
	uint64_t *frame;	/* x86-64: RIP CS RFLAGS RSP SS at the top of the trap stack */

	/* the holder's */
	struct nacre_regs regs; /* at the last exit */
	bool stepping;		/* leaving the shim with TF set, to be stopped again */
	uint64_t step_r11;	/* the R11 that set it */
	struct exit_record ring[EXIT_RING];
	unsigned exits;
	struct vcpu_stats stats;

	/* protected by pool_lock while idle, the holder's while held */
	struct cpu_thread *last; /* whose vector state and answers are loaded */
	struct cpu_thread *holder;
	pid_t host_tid;	   /* the host thread that ran it last */
	uint64_t since_ns; /* when the holder got it */
	struct vcpu *next_idle;

	/* nested paging: see flush_x86_64.c, flush_arm64.c */
	_Atomic uint64_t root; /* the address space it has loaded */
	_Atomic uint64_t
		staged_root; /* arm64: its holder's flush of that one is not executed yet */
	atomic_uint in_guest;
	atomic_bool need_flush;
};

struct cpu_thread {
	struct platform *platform;
	struct vcpu *vcpu;     /* held now; owner only */
	struct vcpu *last;     /* affinity */
	struct vcpu *fpu_vcpu; /* where the vector state is, NULL: in fpu; pool_lock */
	uint8_t *fpu;
	struct cpu_answers answers;
	bool answers_changed;
	_Atomic(struct vcpu *) running; /* for kicks */
	atomic_bool kicked, preempt;

	/* waiting for a vCPU; protected by pool_lock */
	pthread_cond_t granted_cond;
	struct vcpu *granted;
	struct cpu_thread *next_waiter;
};

struct platform {
	struct backend backend;
	const struct nacre_backend *ops;
	struct nacre_vm *vm;
	struct nacre_caps caps;
	struct mm_system *mm;
	struct ledger *ledger; /* paranoid: mm/ledger.h */
	bool no_inside;	       /* every system call goes to the host */

	uint8_t *shim_cpus; /* host view of SHIM_CPU_VA */
	uint8_t *gates;	    /* x86-64: the gates' counts and answers, two pages a vCPU; or NULL */
	struct flush_state *flush; /* arm64: flush_arm64.c's own */
	struct nacre_boot boot_template;

	pthread_mutex_t pool_lock; /* protects the rest */
	struct vcpu *vcpus[SHIM_MAX_CPUS];
	_Atomic unsigned nvcpus;
	unsigned max_vcpus, ncpus, busy;
	unsigned
		eager_vcpus; /* up to this many, make a new one rather than move one between threads */
	uint64_t slice_ns;
	bool yield_inside;
	struct vcpu *idle; /* most recently released first */
	struct cpu_thread *waiters, **waiters_tail;
	atomic_uint nwaiters;
	atomic_ullong waits;
};

/* pool.c */
int pool_acquire(struct cpu_thread *t);
void pool_release(struct cpu_thread *t);
/* Give the vCPU to whoever waits, and queue for another. */
void pool_yield(struct cpu_thread *t);
void pool_destroy(struct platform *p);
/* An idle vCPU that this host thread ran last, taken out of the pool for a moment; NULL: none. */
struct vcpu *pool_borrow(struct platform *p);
void pool_return(struct platform *p, struct vcpu *v);
extern _Thread_local struct vcpu *pool_own; /* the calling thread's vCPU */

/* flush_x86_64.c, flush_arm64.c */
/* The thread gives the vCPU up with this request of its own not executed. */
void flush_abandon(struct platform *p, struct vcpu *v, const struct tlb_request *req);
void flush_destroy(struct platform *p);
/* How far a flush must reach when `others` vCPUs but its own may hold the translations. */
static inline enum tlb_scope flush_scope(const struct platform *p, unsigned others)
{
	const struct tlb_reach reach = {
		.others = others,
		.forced_broadcast = p->caps.flags & NACRE_CAP_FORCED_BROADCAST,
		.flush_on_migration = p->caps.flags & NACRE_CAP_FLUSH_ON_MIGRATION,
		.pinned = false, /* the host's scheduler places the threads */
		.sticky = p->caps.flags & NACRE_CAP_VCPU_BOUND,
	};

	return tlb_scope(&reach);
}
/* x86-64 */
void flush_enter(struct vcpu *v); /* about to run guest code; pairs with flush_leave() */
void flush_leave(struct platform *p, struct vcpu *v);
/*
 * Nested paging, after flush_enter(): what the shim must flush before user level, with `req` taken
 * from the thread's slot, written to the vCPU's memory. False: nothing.
 */
bool flush_prepare(struct platform *p, struct vcpu *v, uint64_t root,
		   const struct tlb_request *req);
/* arm64 */
int flush_boot(struct platform *p);
unsigned flush_asid_bits(const struct platform *p);
/*
 * Take the thread's request and write the reply: what the shim flushes before user level, on which
 * table. Returns what flush_after_run() must be told.
 */
bool flush_before_run(struct platform *p, struct vcpu *v, uint64_t root);
void flush_after_run(struct platform *p, struct vcpu *v, bool staged);

/* gate_x86_64.c: the SYSCALL entry at user level, shim/wire.h */
int gate_install(struct platform *p, struct mm_system *sys);
struct nacre_boot_x86;
void gate_boot(struct platform *p, struct vcpu *v, struct nacre_boot_x86 *boot);
/* No answer: UINT64_MAX. */
void gate_set_answer(struct vcpu *v, unsigned nr, uint64_t answer);
/*
 * *r is stopped at user level. If that is within the gate, give it the state it has for the program:
 * before the call (GATE_CALL: rip is the instruction after SYSCALL, RAX the number), or after the
 * answer.
 */
enum gate_state { GATE_OUTSIDE, GATE_CALL, GATE_ANSWERED };
enum gate_state gate_settle(const struct vcpu *v, struct arch_regs *r);

/* arch: shim_*.c, cpu_*.c, fpu_*.c */
int arch_shim_install(struct platform *p, struct mm_system *sys, char *err, size_t errlen);
/* Fill the vCPU's descriptor tables and say how it starts. */
void arch_vcpu_boot(struct platform *p, struct vcpu *v, struct nacre_boot *boot);
void arch_load_answers(struct platform *p, struct vcpu *v, const struct cpu_answers *a);
void arch_set_yield_answer(struct vcpu *v, bool inside);
void arch_fpu_init(const struct platform *p, uint8_t *fpu);
/* Make an untrusted image loadable. -EINVAL: too short. */
int arch_fpu_sanitize(const struct platform *p, uint8_t *fpu, const void *src, size_t len);
/*
 * One entry into the guest and back. True: *trap and *regs are filled. False: a kick for the
 * platform's own purposes; look at flags and enter again.
 */
bool arch_enter(struct vcpu *v, uint64_t root, struct arch_regs *regs, struct cpu_trap *trap);
size_t arch_report(const struct vcpu *v, char *buf, size_t cap);

uint64_t platform_now_ns(void);

#endif
