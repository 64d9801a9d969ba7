/* SPDX-License-Identifier: Apache-2.0 */
/* Signal dispositions (sigaction(2)): creation, sharing, execve's reset. */
#include <stdlib.h>
#include <string.h>

#include "runtime/task/signal_internal.h"

struct sighand *sighand_create(void)
{
	struct sighand *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

struct sighand *sighand_copy(struct sighand *src)
{
	struct sighand *s = sighand_create();

	if (!s)
		return NULL;
	pthread_mutex_lock(&src->lock);
	memcpy(s->action, src->action, sizeof(s->action));
	pthread_mutex_unlock(&src->lock);
	return s;
}

struct sighand *sighand_get(struct sighand *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void sighand_put(struct sighand *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void sighand_action(struct sighand *s, int sig, struct sigaction_guest *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->action[sig];
	pthread_mutex_unlock(&s->lock);
}

static void sighand_reset(struct sighand *s)
{
	for (int sig = 1; sig <= GUEST_NSIG; sig++) {
		bool ignored = s->action[sig].handler == HANDLER_IGN;

		s->action[sig] = (struct sigaction_guest){.handler = ignored ? HANDLER_IGN : HANDLER_DFL};
	}
}

/*
 * A sighand shared with another process is replaced. Without memory for the copy the shared one is
 * reset, which the other process may notice; failing here is no longer possible.
 */
void signal_exec_reset(struct task *t)
{
	struct sighand *old = t->sighand, *copy = NULL;

	if (atomic_load(&old->refs) > 1)
		copy = sighand_copy(old);
	pthread_mutex_lock(&t->process->sig_lock);
	if (copy)
		t->sighand = copy;
	pthread_mutex_lock(&t->sighand->lock);
	sighand_reset(t->sighand);
	pthread_mutex_unlock(&t->sighand->lock);
	t->altstack = (stack_t_guest){.flags = SS_DISABLE};
	t->restart.fn = NULL;
	atomic_store(&t->futex_exited, false); /* the new program may own PI futexes again */
	pthread_mutex_unlock(&t->process->sig_lock);
	if (copy)
		sighand_put(old);
}
