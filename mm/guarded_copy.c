/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/guarded_copy.h"

#include <errno.h>
#include <signal.h>

static struct sigaction old_bus, old_segv;

/* Not ours: do what would have been done without us. */
static void pass_on(int sig, siginfo_t *info, void *context)
{
	struct sigaction *old = sig == SIGBUS ? &old_bus : &old_segv;

	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, context);
	else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
		old->sa_handler(sig);
	else /* the instruction runs again and the process dies of it */
		sigaction(sig, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t to = guarded_fixup(guarded_context_pc(context));

	if (to)
		guarded_context_set_pc(context, to);
	else
		pass_on(sig, info, context);
}

static int install(int sig, struct sigaction *old)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, now;

	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, NULL, &now) < 0)
		return -errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	*old = now;
	return sigaction(sig, &sa, NULL) < 0 ? -errno : 0;
}

int guarded_install(void)
{
	int ret = install(SIGBUS, &old_bus);

	return ret ? ret : install(SIGSEGV, &old_segv);
}
