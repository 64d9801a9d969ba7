/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor platform: set-up, memory operations, threads, counters. */
#include "platform/platform.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mm/mm.h"
#include "platform/internal.h"

#define DEFAULT_MIN_VCPUS 4u
#define DEFAULT_MAX_VCPUS 32u
#define DEFAULT_STICKY_VCPUS 64u /* where they cannot be shared cheaply */

uint64_t platform_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int platform_kick_signal(void)
{
	return SIGRTMIN + 2;
}

static void on_kick(int sig)
{
	(void)sig; /* its arrival is the message: it ends KVM_RUN and ppoll */
}

static unsigned host_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static unsigned choose_vcpus(const struct platform *p, unsigned wanted)
{
	unsigned n = wanted;

	if (!n) {
		n = 2 * p->ncpus;
		n = n < DEFAULT_MIN_VCPUS ? DEFAULT_MIN_VCPUS : n;
		n = n > DEFAULT_MAX_VCPUS ? DEFAULT_MAX_VCPUS : n;
		if (p->caps.flags & NACRE_CAP_VCPU_STICKY)
			n = DEFAULT_STICKY_VCPUS;
	}
	n = n > SHIM_MAX_CPUS ? SHIM_MAX_CPUS : n;
	return n > p->caps.max_vcpus ? p->caps.max_vcpus : n;
}

int platform_create(const struct platform_options *opt, struct platform **out, char *err,
		    size_t errlen)
{
	struct platform *p = calloc(1, sizeof *p);
	struct sigaction sa = {.sa_handler = on_kick};
	struct nacre_host host = {.kick_signal = platform_kick_signal()};
	sigset_t kick;

	if (!p) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	sigemptyset(&sa.sa_mask);
	sigaction(host.kick_signal, &sa, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, host.kick_signal);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);

	int ret = backend_open(opt->backend, opt->backend_dir, &p->backend, err, errlen);
	if (ret) {
		free(p);
		return ret;
	}
	p->ops = p->backend.ops;
	ret = p->ops->vm_create(&host, &p->vm, &p->caps, err, errlen);
	if (ret) {
		backend_close(&p->backend);
		free(p);
		return ret;
	}
	p->ncpus = host_cpus();
	p->max_vcpus = choose_vcpus(p, opt->max_vcpus);
	bool sticky = p->caps.flags & NACRE_CAP_VCPU_STICKY;
	p->eager_vcpus = sticky || p->ncpus > p->max_vcpus ? p->max_vcpus : p->ncpus;
	p->slice_ns = sticky ? STICKY_SLICE_NS : SLICE_NS;
	p->no_inside = opt->no_inside;
	p->yield_inside = true;
	p->waiters_tail = &p->waiters;
	pthread_mutex_init(&p->pool_lock, NULL);
	*out = p;
	return 0;
}

int platform_boot(struct platform *p, struct mm_system *sys, char *err, size_t errlen)
{
	p->mm = sys;
	p->ledger = mm_system_ledger(sys);
	return arch_shim_install(p, sys, err, errlen);
}

void platform_destroy(struct platform *p)
{
	if (!p)
		return;
	pool_destroy(p);
	flush_destroy(p);
	p->ops->vm_destroy(p->vm);
	backend_close(&p->backend);
	pthread_mutex_destroy(&p->pool_lock);
	free(p);
}

const char *platform_backend_name(const struct platform *p)
{
	return p->ops->name;
}

uint64_t platform_counter_hz(const struct platform *p)
{
	return p->caps.counter_hz;
}

/* ---- mmu ops ---- */

enum platform_paging platform_paging(const struct platform *p)
{
	return p->caps.flags & NACRE_CAP_SHADOW_PAGING ? PLATFORM_PAGING_SHADOW
						       : PLATFORM_PAGING_NESTED;
}

int platform_map_memory(struct platform *p, gpa_t gpa, void *host, uint64_t len, bool writable)
{
	return p->ops->vm_map(p->vm, gpa.v, host, len,
			      NACRE_MAP_READ | NACRE_MAP_EXEC | (writable ? NACRE_MAP_WRITE : 0));
}

int platform_unmap_memory(struct platform *p, gpa_t gpa, uint64_t len)
{
	return p->ops->vm_unmap(p->vm, gpa.v, len);
}

int platform_invalidate(struct platform *p, void *host, uint64_t len)
{
	int ret = p->ops->vm_invalidate(p->vm, host, len);

	if (p->ledger && !ret)
		ledger_invalidated(p->ledger, host, len);
	return ret;
}

int platform_drop_tables(struct platform *p)
{
	int ret = p->ops->vm_drop_tables(p->vm);

	if (p->ledger && !ret)
		ledger_invalidated(p->ledger, NULL, 0);
	return ret;
}

/* ---- threads ---- */

int cpu_thread_create(struct platform *p, struct cpu_thread **out)
{
	struct cpu_thread *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->fpu = calloc(1, p->caps.fpu_bytes);
	if (!t->fpu) {
		free(t);
		return -ENOMEM;
	}
	t->platform = p;
	t->answers_changed = true;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->granted_cond, &attr);
	pthread_condattr_destroy(&attr);
	arch_fpu_init(p, t->fpu);
	*out = t;
	return 0;
}

void cpu_thread_destroy(struct cpu_thread *t)
{
	if (!t)
		return;
	cpu_release(t);
	struct platform *p = t->platform;
	pthread_mutex_lock(&p->pool_lock);
	if (t->fpu_vcpu)
		t->fpu_vcpu->last = NULL;
	pthread_mutex_unlock(&p->pool_lock);
	pthread_cond_destroy(&t->granted_cond);
	free(t->fpu);
	free(t);
}

void cpu_run(struct cpu_thread *t, struct mm *mm, struct arch_regs *regs, struct cpu_trap *trap)
{
	uint64_t root = mm_root(mm);

	for (;;) {
		int ret = t->vcpu ? 0 : pool_acquire(t);

		if (ret) {
			trap->kind = CPU_TRAP_CRASH;
			return;
		}
		struct vcpu *v = t->vcpu;
		if (t->answers_changed) {
			t->answers_changed = false;
			arch_load_answers(t->platform, v, &t->answers);
		}
		atomic_store(&t->running, v);
		bool done = atomic_load(&t->kicked);
		if (done)
			trap->kind = CPU_TRAP_KICKED;
		else
			done = arch_enter(v, root, regs, trap);
		atomic_store(&t->running, NULL);
		if (atomic_exchange(&t->kicked, false) && !done) {
			trap->kind = CPU_TRAP_KICKED;
			done = true;
		}
		if (done)
			return;
		if (atomic_exchange(&t->preempt, false))
			pool_yield(t);
	}
}

void cpu_release(struct cpu_thread *t)
{
	if (t->vcpu)
		pool_release(t);
}

void cpu_kick(struct cpu_thread *t)
{
	atomic_store(&t->kicked, true);
	struct vcpu *v = atomic_load(&t->running);
	if (v)
		t->platform->ops->vcpu_kick(v->hv);
}

void cpu_set_answers(struct cpu_thread *t, const struct cpu_answers *a)
{
	t->answers = *a;
	t->answers_changed = true;
}

/* ---- vector state ---- */

size_t cpu_fpu_size(const struct platform *p)
{
	return p->caps.fpu_bytes;
}

uint64_t cpu_fpu_features(const struct platform *p)
{
	return p->caps.fpu_features;
}

/* Bring t->fpu up to date. pool_lock held. */
static void fpu_fetch_locked(struct cpu_thread *t)
{
	if (t->fpu_vcpu)
		t->platform->ops->vcpu_get_fpu(t->fpu_vcpu->hv, t->fpu);
}

/* t->fpu was changed: load it now if the thread's vCPU has the old one, else when it next runs. */
static void fpu_store_locked(struct cpu_thread *t)
{
	if (!t->fpu_vcpu)
		return;
	if (t->vcpu == t->fpu_vcpu) {
		t->platform->ops->vcpu_set_fpu(t->vcpu->hv, t->fpu);
	} else {
		t->fpu_vcpu->last = NULL;
		t->fpu_vcpu = NULL;
	}
}

void cpu_fpu_get(struct cpu_thread *t, void *buf)
{
	pthread_mutex_lock(&t->platform->pool_lock);
	fpu_fetch_locked(t);
	memcpy(buf, t->fpu, t->platform->caps.fpu_bytes);
	pthread_mutex_unlock(&t->platform->pool_lock);
}

int cpu_fpu_set(struct cpu_thread *t, const void *buf, size_t len)
{
	pthread_mutex_lock(&t->platform->pool_lock);
	int ret = arch_fpu_sanitize(t->platform, t->fpu, buf, len);
	if (!ret)
		fpu_store_locked(t);
	pthread_mutex_unlock(&t->platform->pool_lock);
	return ret;
}

void cpu_fpu_reset(struct cpu_thread *t)
{
	pthread_mutex_lock(&t->platform->pool_lock);
	arch_fpu_init(t->platform, t->fpu);
	fpu_store_locked(t);
	pthread_mutex_unlock(&t->platform->pool_lock);
}

void cpu_fpu_copy(struct cpu_thread *dst, struct cpu_thread *src)
{
	pthread_mutex_lock(&src->platform->pool_lock);
	fpu_fetch_locked(src);
	memcpy(dst->fpu, src->fpu, src->platform->caps.fpu_bytes);
	fpu_store_locked(dst);
	pthread_mutex_unlock(&src->platform->pool_lock);
}

/* ---- counters and reports ---- */

void platform_stats(struct platform *p, struct platform_stats *out)
{
	memset(out, 0, sizeof *out);
	pthread_mutex_lock(&p->pool_lock);
	out->vcpus = p->nvcpus;
	for (unsigned i = 0; i < p->nvcpus; i++) {
		const struct vcpu_stats *s = &p->vcpus[i]->stats;

		out->exits_syscall += s->syscalls;
		out->exits_fault += s->faults;
		out->exits_exception += s->exceptions;
		out->exits_kick += s->kicks;
		out->exits_host += s->host;
		out->exits_other += s->other;
		out->vcpu_switches += s->switches;
		out->answered_inside += p->vcpus[i]->shim->answered;
		if (p->vcpus[i]->gate_count)
			out->answered_inside += *p->vcpus[i]->gate_count;
	}
	out->vcpu_waits = p->waits;
	pthread_mutex_unlock(&p->pool_lock);
}

size_t platform_crash_report(struct platform *p, struct cpu_thread *t, char *buf, size_t cap)
{
	const struct vcpu *v = t->vcpu ? t->vcpu : t->last;
	int n = snprintf(buf, cap, "backend %s (%s), %u vCPUs of %u\n", p->ops->name,
			 platform_paging(p) == PLATFORM_PAGING_SHADOW ? "shadow paging"
								      : "nested paging",
			 p->nvcpus, p->max_vcpus);

	if (n < 0 || (size_t)n >= cap || !v)
		return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap;
	return (size_t)n + arch_report(v, buf + n, cap - (size_t)n);
}
