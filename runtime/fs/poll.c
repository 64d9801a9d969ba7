/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll(2), ppoll(2), select(2), pselect(2): one loop over a mix of nacre's own objects (asked through
 * their poll op, waited for through their queues) and host descriptors (one host poll for all).
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fs/epoll.h"
#include "runtime/fs/fdtable.h"
#include "runtime/task/task.h"

#define POLL_ALWAYS (POLLERR | POLLHUP)
#define POLL_PLAIN (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM) /* files that never block */
#define SELECT_IN (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX POLLPRI
#define NO_HOST UINT_MAX

struct poll_entry {
	struct file *file; /* reference; NULL: not open */
	int fd;
	uint32_t events, revents;
	unsigned host; /* index into poll_set.host, or NO_HOST */
	struct waiter waiter;
};

struct poll_set {
	unsigned n, nhost;
	struct poll_entry *entry;
	struct pollfd *host;
};

static int poll_set_alloc(struct poll_set *s, unsigned n)
{
	*s = (struct poll_set){.entry = calloc(n ? n : 1, sizeof(*s->entry)),
			       .host = malloc((n ? n : 1) * sizeof(*s->host))};
	if (s->entry && s->host)
		return 0;
	free(s->entry);
	free(s->host);
	return -ENOMEM;
}

static void poll_set_free(struct poll_set *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		waitq_remove(&s->entry[i].waiter);
		if (s->entry[i].file)
			file_put(s->entry[i].file);
	}
	free(s->entry);
	free(s->host);
}

static void poll_set_add(struct poll_set *s, struct task *t, int fd, uint32_t events)
{
	struct poll_entry *e = &s->entry[s->n++];
	int host_fd;

	e->fd = fd;
	e->events = events;
	e->host = NO_HOST;
	waiter_init(&e->waiter, t);
	e->file = fd < 0 ? NULL : fd_get(t, fd);
	if (!e->file)
		return;
	host_fd = e->file->ops->poll ? epoll_host_fd(e->file) : e->file->host_fd;
	if (host_fd < 0)
		return;
	e->host = s->nhost++;
	s->host[e->host] = (struct pollfd){
		.fd = host_fd,
		.events = e->file->ops->poll ? POLLIN : (short)events,
	};
}

/* Fill in every revents; the number of entries with any. queue: also enter the wait queues. */
static int poll_set_scan(struct poll_set *s, bool queue)
{
	int ready = 0;

	if (s->nhost && poll(s->host, s->nhost, 0) < 0)
		for (unsigned i = 0; i < s->nhost; i++)
			s->host[i].revents = 0;
	for (unsigned i = 0; i < s->n; i++) {
		struct poll_entry *e = &s->entry[i];

		e->revents = 0;
		if (!e->file) {
			e->revents = e->fd < 0 ? 0 : POLLNVAL;
		} else if (e->file->ops->poll) {
			e->waiter.events = e->events | POLL_ALWAYS;
			e->revents = e->file->ops->poll(e->file, queue ? &e->waiter : NULL) &
				     (e->events | POLL_ALWAYS);
		} else if (e->host != NO_HOST) {
			e->revents = (uint16_t)s->host[e->host].revents;
		} else {
			e->revents = POLL_PLAIN & e->events;
		}
		ready += e->revents != 0;
	}
	return ready;
}

/* Ready entries, 0 at the deadline (0: do not wait), or -EINTR. */
static int poll_set_wait(struct poll_set *s, struct task *t, uint64_t deadline)
{
	bool queue = true;
	int n = poll_set_scan(s, false), ret = 0;

	if (n || !deadline)
		return n;
	for (;;) {
		task_prepare_park(t);
		n = poll_set_scan(s, queue);
		queue = false;
		if (n || ret)
			break;
		ret = task_park(t, deadline, s->host, s->nhost);
	}
	return n ? n : ret == -EINTR ? -EINTR : 0;
}

/* ---- poll ---- */

static int64_t do_poll(struct task *t, uint64_t ufds, uint32_t nfds, uint64_t deadline)
{
	struct pollfd *fds;
	struct poll_set s;
	int64_t n;

	if (nfds > process_rlimit(t->process, RLIMIT_NOFILE) || nfds > INT_MAX / sizeof(*fds))
		return -EINVAL;
	fds = malloc((nfds ? nfds : 1) * sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	if (mm_copy_in(t->mm, fds, GVA(ufds), nfds * sizeof(*fds))) {
		free(fds);
		return -EFAULT;
	}
	if (poll_set_alloc(&s, nfds)) {
		free(fds);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nfds; i++)
		poll_set_add(&s, t, fds[i].fd, (uint16_t)fds[i].events);
	n = poll_set_wait(&s, t, deadline);
	for (uint32_t i = 0; i < nfds; i++)
		fds[i].revents = (short)s.entry[i].revents;
	poll_set_free(&s);
	if (n >= 0 && nfds && mm_copy_out(t->mm, GVA(ufds), fds, nfds * sizeof(*fds)))
		n = -EFAULT;
	free(fds);
	return n;
}

static int64_t poll_restart(struct task *t, struct restart_block *r)
{
	int64_t n = do_poll(t, r->arg[0], (uint32_t)r->arg[1], r->deadline_ns);

	return n == -EINTR ? -ERESTART_RESTARTBLOCK : n;
}

int64_t sys_poll(struct task *t, const uint64_t a[6])
{
	int ms = (int)a[2];
	uint64_t deadline = ms < 0 ? DEADLINE_NONE
			    : ms   ? monotonic_ns() + (uint64_t)ms * 1000000
				   : 0;
	int64_t n = do_poll(t, a[0], (uint32_t)a[1], deadline);

	if (n != -EINTR)
		return n;
	t->restart = (struct restart_block){
		.fn = poll_restart, .deadline_ns = deadline, .arg = {a[0], (uint32_t)a[1]}};
	return -ERESTART_RESTARTBLOCK;
}

/* ---- timeouts that are given back ---- */

struct poll_timeout {
	uint64_t addr; /* 0: none */
	bool usec;     /* struct timeval */
	uint64_t deadline;
};

static int timeout_import(struct poll_timeout *to, struct task *t, uint64_t addr, bool usec)
{
	int64_t v[2];
	int64_t limit = usec ? 1000000 : 1000000000;

	*to = (struct poll_timeout){.addr = addr, .usec = usec, .deadline = DEADLINE_NONE};
	if (!addr)
		return 0;
	if (mm_copy_in(t->mm, v, GVA(addr), sizeof(v)))
		return -EFAULT;
	if (usec && v[0] >= 0 && v[1] >= limit) { /* select(2) takes unnormalised ones */
		v[0] += v[1] / limit;
		v[1] %= limit;
	}
	if (v[0] < 0 || v[1] < 0 || v[1] >= limit)
		return -EINVAL;
	if (!v[0] && !v[1])
		to->deadline = 0;
	else if (v[0] < 1000000000)
		to->deadline = monotonic_ns() + (uint64_t)v[0] * 1000000000u +
			       (uint64_t)v[1] * (usec ? 1000 : 1);
	return 0;
}

/*
 * Linux updates the timeout to what is left; a call interrupted by a signal then starts over with
 * it. When that cannot be written the call must not be restarted.
 */
static int64_t timeout_finish(struct poll_timeout *to, struct task *t, int64_t ret)
{
	uint64_t now, left = 0;
	int64_t v[2];

	if (to->addr && to->deadline && to->deadline != DEADLINE_NONE) {
		now = monotonic_ns();
		if (to->deadline > now)
			left = to->deadline - now;
		v[0] = (int64_t)(left / 1000000000);
		v[1] = (int64_t)(left % 1000000000) / (to->usec ? 1000 : 1);
		if (mm_copy_out(t->mm, GVA(to->addr), v, sizeof(v)) && ret == -EINTR)
			return -EINTR;
	}
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

int64_t sys_ppoll(struct task *t, const uint64_t a[6])
{
	struct poll_timeout to;
	int ret = timeout_import(&to, t, a[2], false);

	if (!ret && a[3])
		ret = signal_temp_mask_from_guest(t, a[3], a[4]);
	if (ret)
		return ret;
	return timeout_finish(&to, t, do_poll(t, a[0], (uint32_t)a[1], to.deadline));
}

/* ---- select ---- */

struct select_sets {
	unsigned n, words;
	uint64_t addr[3]; /* in, out, except */
	uint64_t *bits;	  /* 3 * words */
};

static const uint32_t select_events[3] = {SELECT_IN, SELECT_OUT, SELECT_EX};

static int select_import(struct select_sets *ss, struct task *t)
{
	uint64_t tail = ss->n % 64 ? ((uint64_t)1 << ss->n % 64) - 1 : UINT64_MAX;

	ss->words = (ss->n + 63) / 64;
	ss->bits = calloc(3 * (ss->words ? ss->words : 1), sizeof(uint64_t));
	if (!ss->bits)
		return -ENOMEM;
	for (int i = 0; i < 3; i++) {
		uint64_t *b = ss->bits + i * ss->words;

		if (!ss->addr[i] || !ss->words)
			continue;
		if (mm_copy_in(t->mm, b, GVA(ss->addr[i]), ss->words * sizeof(*b)))
			return -EFAULT;
		b[ss->words - 1] &= tail;
	}
	return 0;
}

static uint32_t select_wanted(const struct select_sets *ss, unsigned fd)
{
	uint32_t ev = 0;

	for (int i = 0; i < 3; i++)
		if (ss->bits[i * ss->words + fd / 64] >> fd % 64 & 1)
			ev |= select_events[i];
	return ev;
}

static int select_build(struct select_sets *ss, struct poll_set *s, struct task *t)
{
	unsigned count = 0;
	int ret;

	for (unsigned w = 0; w < ss->words; w++)
		count += (unsigned)__builtin_popcountll(ss->bits[w] | ss->bits[ss->words + w] |
							ss->bits[2 * ss->words + w]);
	ret = poll_set_alloc(s, count);
	for (unsigned fd = 0; !ret && fd < ss->n; fd++) {
		uint32_t ev = select_wanted(ss, fd);

		if (!ev)
			continue;
		poll_set_add(s, t, (int)fd, ev);
		if (!s->entry[s->n - 1].file) {
			poll_set_free(s);
			return -EBADF;
		}
	}
	return ret;
}

/* Turn the request bits into result bits; the number of bits set. */
static int select_results(struct select_sets *ss, const struct poll_set *s)
{
	uint64_t *res = calloc(3 * (ss->words ? ss->words : 1), sizeof(*res));
	int n = 0;

	if (!res)
		return -ENOMEM;
	for (unsigned k = 0; k < s->n; k++) {
		unsigned fd = (unsigned)s->entry[k].fd;

		for (int i = 0; i < 3; i++) {
			size_t w = i * ss->words + fd / 64;

			if (!(ss->bits[w] >> fd % 64 & 1) ||
			    !(s->entry[k].revents & select_events[i]))
				continue;
			res[w] |= (uint64_t)1 << fd % 64;
			n++;
		}
	}
	free(ss->bits);
	ss->bits = res;
	return n;
}

/* Does any entry have an event its sets asked for? POLLHUP alone is none for a writer. */
static bool select_satisfied(const struct poll_set *s)
{
	for (unsigned k = 0; k < s->n; k++)
		if (s->entry[k].revents & s->entry[k].events)
			return true;
	return false;
}

static int64_t select_run(struct select_sets *ss, struct task *t, uint64_t deadline)
{
	struct poll_set s;
	int64_t n = select_build(ss, &s, t);

	if (n)
		return n;
	n = poll_set_wait(&s, t, deadline);
	/* An event nobody asked for (hang-up of a descriptor watched for exceptions only): sleep on. */
	while (n > 0 && !select_satisfied(&s) && deadline) {
		uint64_t step = monotonic_ns() + 10000000;
		int ret;

		if (deadline != DEADLINE_NONE && monotonic_ns() >= deadline)
			break;
		task_prepare_park(t);
		ret = task_park(t, step < deadline ? step : deadline, NULL, 0);
		n = ret == -EINTR ? -EINTR : poll_set_scan(&s, false);
		if (!n)
			n = poll_set_wait(&s, t, deadline);
	}
	if (n >= 0)
		n = select_results(ss, &s);
	poll_set_free(&s);
	return n;
}

static int64_t do_select(struct task *t, const uint64_t a[6], uint64_t deadline)
{
	uint64_t limit = process_rlimit(t->process, RLIMIT_NOFILE);
	struct select_sets ss = {.addr = {a[1], a[2], a[3]}};
	int64_t n;

	if ((int)a[0] < 0)
		return -EINVAL;
	/* Descriptors past the limit cannot be open; Linux ignores them as well. */
	ss.n = (unsigned)a[0];
	if (limit < 1024)
		limit = 1024;
	if (limit > 1u << 20)
		limit = 1u << 20;
	if (ss.n > limit)
		ss.n = (unsigned)limit;
	n = select_import(&ss, t);
	if (!n)
		n = select_run(&ss, t, deadline);
	for (int i = 0; i < 3 && n >= 0; i++)
		if (ss.addr[i] && ss.words &&
		    mm_copy_out(t->mm, GVA(ss.addr[i]), ss.bits + i * ss.words, ss.words * 8))
			n = -EFAULT;
	free(ss.bits);
	return n;
}

int64_t sys_select(struct task *t, const uint64_t a[6])
{
	struct poll_timeout to;
	int ret = timeout_import(&to, t, a[4], true);

	return ret ? ret : timeout_finish(&to, t, do_select(t, a, to.deadline));
}

int64_t sys_pselect6(struct task *t, const uint64_t a[6])
{
	uint64_t mask[2] = {0, 0}; /* address and size */
	struct poll_timeout to;
	int ret;

	if (a[5] && mm_copy_in(t->mm, mask, GVA(a[5]), sizeof(mask)))
		return -EFAULT;
	ret = timeout_import(&to, t, a[4], false);
	if (!ret && mask[0])
		ret = signal_temp_mask_from_guest(t, mask[0], mask[1]);
	return ret ? ret : timeout_finish(&to, t, do_select(t, a, to.deadline));
}
