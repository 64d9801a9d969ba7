/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of pending signals (signal(7), "Queueing and delivery semantics"). A set bit without a
 * queued entry means: pending, its siginfo was lost to RLIMIT_SIGPENDING or lack of memory.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/task/signal_internal.h"

struct sigqueue_entry {
	struct list link;
	guest_siginfo_t info;
};

void sigqueue_init(struct sigqueue *q)
{
	q->set = 0;
	list_init(&q->infos);
}

static void entry_free(struct process *p, struct sigqueue_entry *e)
{
	list_del(&e->link);
	p->sig_queued--;
	free(e);
}

void sigqueue_flush(struct process *p, struct sigqueue *q, uint64_t set)
{
	if (!(q->set & set))
		return;
	q->set &= ~set;
	list_for_each_safe(n, &q->infos) {
		struct sigqueue_entry *e = list_entry(n, struct sigqueue_entry, link);

		if (SIGBIT(e->info.si_signo) & set)
			entry_free(p, e);
	}
}

/* A POSIX timer has at most one entry queued: further expirations count as overruns. */
static bool timer_overrun(struct sigqueue *q, const guest_siginfo_t *info)
{
	list_for_each(n, &q->infos) {
		struct sigqueue_entry *e = list_entry(n, struct sigqueue_entry, link);

		if (e->info.si_code == SI_TIMER && e->info.si_timerid == info->si_timerid &&
		    e->info.si_signo == info->si_signo) {
			int64_t n_over = (int64_t)e->info.si_overrun + info->si_overrun + 1;

			e->info.si_overrun = n_over > INT32_MAX ? INT32_MAX : (int)n_over;
			return true;
		}
	}
	return false;
}

static void siginfo_fill(guest_siginfo_t *out, int sig, const guest_siginfo_t *info)
{
	if (info) {
		*out = *info;
	} else {
		memset(out, 0, sizeof(*out));
		out->si_code = SI_KERNEL;
	}
	out->si_signo = sig;
}

int sigqueue_add(struct process *p, struct sigqueue *q, int sig, const guest_siginfo_t *info,
		 bool must)
{
	bool timer = info && info->si_code == SI_TIMER;
	struct sigqueue_entry *e = NULL;

	if (timer && timer_overrun(q, info))
		return 0;
	if (sig < GUEST_SIGRTMIN && !timer && (q->set & SIGBIT(sig)))
		return 0;
	if (must || timer || p->sig_queued < p->rlimits[RLIMIT_SIGPENDING].rlim_cur)
		e = calloc(1, sizeof(*e));
	if (e) {
		siginfo_fill(&e->info, sig, info);
		list_add_tail(&q->infos, &e->link);
		p->sig_queued++;
	} else if (sig >= GUEST_SIGRTMIN && info && info->si_code != SI_USER) {
		return -EAGAIN; /* sigqueue(3): nothing was sent */
	}
	q->set |= SIGBIT(sig);
	return 0;
}

static int sigqueue_next(uint64_t set)
{
	if (!set)
		return 0;
	if (set & SIGSET_SYNCHRONOUS)
		set &= SIGSET_SYNCHRONOUS;
	return __builtin_ctzll(set) + 1;
}

int sigqueue_take(struct process *p, struct sigqueue *q, uint64_t from, guest_siginfo_t *info)
{
	int sig = sigqueue_next(q->set & from);
	struct sigqueue_entry *first = NULL;
	bool more = false;

	if (!sig)
		return 0;
	list_for_each(n, &q->infos) {
		struct sigqueue_entry *e = list_entry(n, struct sigqueue_entry, link);

		if (e->info.si_signo != sig)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = e;
	}
	if (!more)
		q->set &= ~SIGBIT(sig);
	if (first) {
		*info = first->info;
		entry_free(p, first);
	} else {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		info->si_code = SI_USER;
	}
	return sig;
}
