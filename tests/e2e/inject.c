/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes system calls in another process, by tracing it: what somebody could do who has taken it over.
 * usage: inject PID, then lines "NR ARG..." on standard input, an argument being a number or "text" (its
 * address is passed). Prints a line a call: the result, "killed" when the process ended of it.
 * x86-64 only.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRATCH 8192 /* below the stack pointer: out of the way of what is there */

static int stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid)
		return -1;
	return WIFSTOPPED(status) ? 0 : -1;
}

static int put_text(pid_t pid, uint64_t at, const char *s)
{
	size_t len = strlen(s) + 1;

	for (size_t i = 0; i < len; i += sizeof(long)) {
		long word = 0;

		memcpy(&word, s + i, len - i < sizeof(word) ? len - i : sizeof(word));
		if (ptrace(PTRACE_POKEDATA, pid, at + i, word))
			return -1;
	}
	return 0;
}

/* One line; the arguments' texts go to the scratch area. */
static int parse(pid_t pid, char *line, uint64_t scratch, uint64_t v[7])
{
	int n = 0;

	for (char *s = strtok(line, " \n"); s && n < 7; s = strtok(NULL, " \n"), n++) {
		v[n] = strtoull(s, NULL, 0);
		if (*s != '"')
			continue;
		s[strlen(s) - 1] = '\0';
		if (put_text(pid, scratch, s + 1))
			return -1;
		v[n] = scratch;
		scratch += 256;
	}
	return n;
}

/* The thread waits in a system call, so there is such an instruction just behind it. */
static int make_call(pid_t pid, const struct user_regs_struct *saved, const uint64_t v[7],
		     int64_t *out)
{
	struct user_regs_struct r = *saved;

	r.rip -= 2;
	r.rax = v[0], r.orig_rax = (uint64_t)-1;
	r.rdi = v[1], r.rsi = v[2], r.rdx = v[3], r.r10 = v[4], r.r8 = v[5], r.r9 = v[6];
	if (ptrace(PTRACE_SETREGS, pid, 0, &r) || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) ||
	    stop(pid) || ptrace(PTRACE_GETREGS, pid, 0, &r))
		return -1;
	*out = (int64_t)r.rax;
	return 0;
}

int main(int argc, char **argv)
{
	struct user_regs_struct saved;
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	char line[1024];
	long code;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || stop(pid) ||
	    ptrace(PTRACE_GETREGS, pid, 0, &saved)) {
		perror("inject");
		return 1;
	}
	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, pid, saved.rip - 2, 0);
	if (errno || (code & 0xffff) != 0x050f) {
		fprintf(stderr, "inject: the thread is not in a system call\n");
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t v[7] = {0};
		int64_t result;

		if (parse(pid, line, saved.rsp - SCRATCH, v) < 1 ||
		    make_call(pid, &saved, v, &result)) {
			puts("killed");
			return 0;
		}
		printf("%lld\n", (long long)result);
	}
	/* As it was: an interrupted call is begun again. */
	ptrace(PTRACE_SETREGS, pid, 0, &saved);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}
