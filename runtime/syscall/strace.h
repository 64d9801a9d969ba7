/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace: guest system calls, signals and exits as strace(1) prints them, one write(2) a line to
 * kernel->log_fd. Everything here is a no-op unless kernel->strace.
 */
#ifndef NACRE_RUNTIME_SYSCALL_STRACE_H
#define NACRE_RUNTIME_SYSCALL_STRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/signal.h"

struct task;

/* One line being put together. Silently cut at its capacity, never overrun. */
struct strace_line {
	char text[2048];
	size_t len;
};
void strace_add(struct strace_line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a call's entry leaves for its return: the text of the arguments printed so far. */
struct strace_call {
	struct strace_line line;
	unsigned next_arg;	  /* index of the first argument kind not printed yet */
	bool shown;		  /* "<unfinished ...>" went out already */
	struct strace_call *next; /* calls in flight of this kernel: protected by the strace lock */
	struct task *task;
};

void strace_enter(struct task *t, const struct syscall_row *row, const uint64_t a[6],
		  struct strace_call *call);
void strace_leave(struct task *t, const struct syscall_row *row, const uint64_t a[6],
		  int64_t result, struct strace_call *call);
/* A call with no row in the table. */
void strace_unknown(struct task *t, uint64_t nr, const uint64_t a[6], int64_t result);
/* A call that will not return (exit, a fatal signal inside it) is ended with "= ?". */
void strace_abandon(struct task *t, struct strace_call *call);

/* "--- SIGSEGV {si_signo=SIGSEGV, ...} ---": called when a signal is delivered to t. */
void strace_signal(struct task *t, int sig, const guest_siginfo_t *info);
/* "+++ exited with N +++" or "+++ killed by SIGNAME +++": called once as t ends, wait(2) status. */
void strace_exit(struct task *t, int status);

/* The decoders of flag arguments (strace_flags.c). */
const char *strace_signame(int sig, char buf[16]);
const char *strace_errname(int err); /* "ENOENT" or NULL */
void strace_open_flags(struct strace_line *l, uint64_t flags);
void strace_prot(struct strace_line *l, uint64_t prot);
void strace_map_flags(struct strace_line *l, uint64_t flags);
void strace_clone_flags(struct strace_line *l, uint64_t flags);
void strace_stat_mode(struct strace_line *l, uint32_t mode);

#endif
