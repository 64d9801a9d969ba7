/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPU pool: fewer vCPUs than guest threads. A thread takes one to run guest code, prefers the
 * one it last had (its vector state may still be in there), and gives it back before it blocks.
 * When all are busy, a waiter lets the longest holder finish its slice and then preempts it.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "platform/internal.h"

_Thread_local struct vcpu *pool_own;

unsigned platform_current_vcpu(void)
{
	return pool_own ? pool_own->index : LEDGER_NO_VCPU;
}

static int create_vcpu(struct platform *p, struct vcpu **out)
{
	struct vcpu *v = calloc(1, sizeof *v);
	struct nacre_boot boot;

	if (!v)
		return -ENOMEM;
	v->index = p->nvcpus;
	arch_vcpu_boot(p, v, &boot);
	int ret = p->ops->vcpu_create(p->vm, v->index, &boot, &v->hv);
	if (ret) {
		free(v);
		return ret;
	}
	arch_set_yield_answer(v, p->yield_inside && !p->no_inside);
	p->vcpus[v->index] = v;
	p->nvcpus++;
	*out = v;
	return 0;
}

void pool_destroy(struct platform *p)
{
	for (unsigned i = 0; i < p->nvcpus; i++) {
		p->ops->vcpu_destroy(p->vcpus[i]->hv);
		free(p->vcpus[i]);
	}
	p->nvcpus = 0;
}

/* sched_yield() is a no-op inside the guest while every busy vCPU can have a CPU of its own. */
static void update_yield(struct platform *p)
{
	bool inside = p->busy <= p->ncpus;

	if (inside == p->yield_inside)
		return;
	p->yield_inside = inside;
	for (unsigned i = 0; i < p->nvcpus; i++)
		arch_set_yield_answer(p->vcpus[i], inside && !p->no_inside);
}

static void remove_idle(struct platform *p, struct vcpu *v)
{
	for (struct vcpu **at = &p->idle; *at; at = &(*at)->next_idle) {
		if (*at != v)
			continue;
		*at = v->next_idle;
		return;
	}
}

static pid_t own_tid(void)
{
	static _Thread_local pid_t tid;

	if (!tid)
		tid = gettid();
	return tid;
}

/*
 * The idle vCPU that costs least to take: the thread's own, the one this host thread ran last (for
 * an earlier guest thread), one nobody's state is in, or the one idle for longest (the list is most
 * recent first).
 */
static struct vcpu *choose_idle(struct platform *p, const struct cpu_thread *t)
{
	struct vcpu *best = NULL, *same_host = NULL;
	pid_t tid = own_tid();

	for (struct vcpu *v = p->idle; v; v = v->next_idle) {
		if (v->last == t)
			return v;
		if (v->host_tid == tid)
			same_host = v;
		if (!best || !v->last || best->last)
			best = v;
	}
	return same_host ? same_host : best;
}

/* Bring t->fpu up to date; the vCPU that had the state then has nobody's. pool_lock held. */
static void take_state_out(struct platform *p, struct cpu_thread *t)
{
	struct vcpu *v = t->fpu_vcpu;

	if (!v)
		return;
	p->ops->vcpu_get_fpu(v->hv, t->fpu);
	t->fpu_vcpu = NULL;
	v->last = NULL;
}

/*
 * Make the vCPU t's: vector state in, the previous thread's out. v->last == t if and only if
 * t->fpu_vcpu == v. t's own state may be in a third vCPU, one that was granted to a thread that has
 * not woken up to take it yet. pool_lock held.
 */
static void adopt(struct platform *p, struct cpu_thread *t, struct vcpu *v)
{
	if (v->last != t) {
		if (v->last)
			take_state_out(p, v->last);
		take_state_out(p, t);
		p->ops->vcpu_set_fpu(v->hv, t->fpu);
		t->fpu_vcpu = v;
		v->last = t;
		t->answers_changed = true;
		atomic_fetch_add_explicit(&v->stats.switches, 1, memory_order_relaxed);
	}
	v->holder = t;
	v->host_tid = own_tid();
	v->since_ns = platform_now_ns();
	t->vcpu = t->last = v;
	pool_own = v;
}

static void preempt_longest(struct platform *p)
{
	struct vcpu *oldest = NULL;

	for (unsigned i = 0; i < p->nvcpus; i++) {
		struct vcpu *v = p->vcpus[i];

		if (v->holder && (!oldest || v->since_ns < oldest->since_ns))
			oldest = v;
	}
	if (!oldest)
		return;
	oldest->since_ns = platform_now_ns();
	atomic_store(&oldest->holder->preempt, true);
	p->ops->vcpu_kick(oldest->hv);
}

/* Queue until a vCPU is granted. pool_lock held. */
static struct vcpu *wait_for_vcpu(struct platform *p, struct cpu_thread *t)
{
	t->granted = NULL;
	t->next_waiter = NULL;
	*p->waiters_tail = t;
	p->waiters_tail = &t->next_waiter;
	atomic_fetch_add(&p->nwaiters, 1);
	atomic_fetch_add_explicit(&p->waits, 1, memory_order_relaxed);
	while (!t->granted) {
		uint64_t until = platform_now_ns() + p->slice_ns;
		struct timespec ts = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};

		if (pthread_cond_timedwait(&t->granted_cond, &p->pool_lock, &ts) == ETIMEDOUT &&
		    !t->granted)
			preempt_longest(p);
	}
	return t->granted;
}

int pool_acquire(struct cpu_thread *t)
{
	struct platform *p = t->platform;
	struct vcpu *v;
	int ret = 0;

	pthread_mutex_lock(&p->pool_lock);
	v = choose_idle(p, t);
	if (v && v->host_tid != own_tid() && p->nvcpus < p->eager_vcpus) {
		/* A fresh one costs less than moving states to and fro from now on. */
		struct vcpu *fresh;

		if (create_vcpu(p, &fresh) == 0) {
			v = fresh;
			v->next_idle = p->idle;
			p->idle = v;
		}
	}
	if (v) {
		remove_idle(p, v);
		p->busy++;
	} else if (p->nvcpus < p->max_vcpus) {
		ret = create_vcpu(p, &v);
		p->busy += !ret;
	}
	if (ret && p->nvcpus > 0)
		ret = 0; /* the host has no room for more vCPUs: share those there are */
	if (!ret && !v)
		v = wait_for_vcpu(p, t);
	if (!ret) {
		adopt(p, t, v);
		update_yield(p);
	}
	pthread_mutex_unlock(&p->pool_lock);
	return ret;
}

/* To whoever waits longest, or idle. pool_lock held. */
static void give_back_locked(struct platform *p, struct vcpu *v)
{
	struct cpu_thread *w = p->waiters;

	if (w) {
		p->waiters = w->next_waiter;
		if (!p->waiters)
			p->waiters_tail = &p->waiters;
		atomic_fetch_sub(&p->nwaiters, 1);
		w->granted = v;
		pthread_cond_signal(&w->granted_cond);
	} else {
		v->next_idle = p->idle;
		p->idle = v;
		p->busy--;
		update_yield(p);
	}
}

void pool_release(struct cpu_thread *t)
{
	struct platform *p = t->platform;
	struct vcpu *v = t->vcpu;
	struct tlb_request staged;

	/* The vCPU's next user must not meet translations whose flush waits in this thread's slot. */
	if (tlb_take(&staged) != TLB_NONE) {
		flush_abandon(p, v, &staged);
		mm_flush_executed();
	}
	pthread_mutex_lock(&p->pool_lock);
	t->vcpu = NULL;
	v->holder = NULL;
	pool_own = NULL;
	give_back_locked(p, v);
	pthread_mutex_unlock(&p->pool_lock);
}

struct vcpu *pool_borrow(struct platform *p)
{
	struct vcpu *v;

	pthread_mutex_lock(&p->pool_lock);
	for (v = p->idle; v && v->host_tid != own_tid(); v = v->next_idle)
		;
	if (v) {
		remove_idle(p, v);
		p->busy++;
	}
	pthread_mutex_unlock(&p->pool_lock);
	return v;
}

void pool_return(struct platform *p, struct vcpu *v)
{
	pthread_mutex_lock(&p->pool_lock);
	give_back_locked(p, v);
	pthread_mutex_unlock(&p->pool_lock);
}

void pool_yield(struct cpu_thread *t)
{
	if (atomic_load(&t->platform->nwaiters))
		pool_release(t);
}
