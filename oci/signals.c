/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/signals.h"

#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's numbers: the C library keeps the first real-time signals for itself. */
#define RTMIN 34
#define RTMAX 64

static int offset(const char *s, int sign, int base)
{
	char *end;
	long n;

	if (!*s)
		return base;
	n = strtol(s + 1, &end, 10);
	if ((*s == '+'	 ? 1
	     : *s == '-' ? -1
			 : 0) != sign ||
	    *end || !isdigit((unsigned char)s[1]) || n < 0 || n > RTMAX - RTMIN)
		return -1;
	return base + sign * (int)n;
}

int oci_signal_number(const char *name)
{
	char *end;

	if (isdigit((unsigned char)*name)) {
		long n = strtol(name, &end, 10);

		return *end || n > RTMAX ? -1 : (int)n;
	}
	if (!strncasecmp(name, "SIG", 3))
		name += 3;
	for (int sig = 1; sig < 32; sig++)
		if (sigabbrev_np(sig) && !strcasecmp(sigabbrev_np(sig), name))
			return sig;
	if (!strcasecmp(name, "IOT"))
		return SIGABRT;
	if (!strcasecmp(name, "POLL"))
		return SIGIO;
	if (!strcasecmp(name, "CLD"))
		return SIGCHLD;
	if (!strncasecmp(name, "RTMIN", 5))
		return offset(name + 5, 1, RTMIN);
	if (!strncasecmp(name, "RTMAX", 5))
		return offset(name + 5, -1, RTMAX);
	return -1;
}

void oci_signal_set(int sig, void (*handler)(int))
{
	struct sigaction sa = {.sa_handler = handler};

	sigaction(sig, &sa, NULL);
}

void oci_end_as(int status)
{
	if (WIFSIGNALED(status)) {
		sigset_t none;
		int sig = WTERMSIG(status);

		sigemptyset(&none);
		if (sig > 0 && sig < NSIG) {
			oci_signal_set(sig, SIG_DFL);
			kill(getpid(), sig);
			sigprocmask(SIG_SETMASK, &none, NULL);
		}
		/* The first process of a pid namespace cannot kill itself. */
		_exit(128 + sig);
	}
	_exit(WEXITSTATUS(status));
}
