/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --strace output. A line is put together in memory and leaves in one write(2). A call that may
 * block is kept in a list while it runs: when another task's line must go out first, the part known
 * so far is printed with "<unfinished ...>" and the rest with "<... name resumed>".
 */
#include "runtime/syscall/strace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/task/task.h"

#define STRACE_STRING 32 /* bytes of a string or buffer shown, as strace -s 32 */
/* Results at or above this of calls on address spaces are addresses: the rest are pids and 0. */
#define ADDRESS_MIN 0x10000
#define STRACE_ARGV 32 /* strings of argv shown */

/* Protects `running` and the order of lines; a leaf but for write(2) to the log. */
static pthread_mutex_t strace_lock = PTHREAD_MUTEX_INITIALIZER;
static struct strace_call *running;

void strace_add(struct strace_line *l, const char *fmt, ...)
{
	size_t room = sizeof(l->text) - l->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		l->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* The lock is held. The text may have been cut: the newline always fits. */
static void emit_locked(struct task *t, const struct strace_line *l, const char *tail)
{
	char out[sizeof(l->text) + 96];
	int n = snprintf(out, sizeof(out) - 1, "[pid %d] %s%s", t->tid, l->text, tail);

	if (n > (int)sizeof(out) - 2)
		n = (int)sizeof(out) - 2;
	out[n++] = '\n';
	/* A full or closed log loses lines; the guest must not notice. */
	if (t->kernel->log_fd >= 0 && write(t->kernel->log_fd, out, (size_t)n) < 0)
		return;
}

/* Another task is about to print: break off the calls in flight. */
static void break_off_locked(struct task *t)
{
	for (struct strace_call *c = running; c; c = c->next)
		if (c->task != t && !c->shown) {
			emit_locked(c->task, &c->line, " <unfinished ...>");
			c->shown = true;
		}
}

static void emit(struct task *t, const struct strace_line *l, const char *tail)
{
	pthread_mutex_lock(&strace_lock);
	break_off_locked(t);
	emit_locked(t, l, tail);
	pthread_mutex_unlock(&strace_lock);
}

static void unlink_locked(struct strace_call *call)
{
	for (struct strace_call **p = &running; *p; p = &(*p)->next)
		if (*p == call) {
			*p = call->next;
			return;
		}
}

/* ---- arguments ---- */

static void add_bytes(struct strace_line *l, const char *s, size_t n, bool more)
{
	strace_add(l, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		static const char from[] = "\n\t\r\v\f\"\\", to[] = "ntrvf\"\\";
		const char *esc = c ? strchr(from, c) : NULL;

		if (esc)
			strace_add(l, "\\%c", to[esc - from]);
		else if (c >= 0x20 && c < 0x7f)
			strace_add(l, "%c", c);
		else if (i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '7')
			strace_add(l, "\\%03o", c);
		else
			strace_add(l, "\\%o", c);
	}
	strace_add(l, more ? "\"..." : "\"");
}

static void add_pointer(struct strace_line *l, uint64_t p)
{
	if (p)
		strace_add(l, "%#llx", (unsigned long long)p);
	else
		strace_add(l, "NULL");
}

static void add_buffer(struct strace_line *l, struct task *t, uint64_t p, uint64_t len)
{
	char buf[STRACE_STRING];
	size_t want = len < sizeof(buf) ? (size_t)len : sizeof(buf), got;

	got = p ? mm_copy_in_some(t->mm, buf, GVA(p), want) : 0;
	if (!p || (want && !got))
		add_pointer(l, p);
	else
		add_bytes(l, buf, got, len > got);
}

static void add_string(struct strace_line *l, struct task *t, uint64_t p)
{
	char buf[256]; /* paths are shown whole up to this */
	size_t got, len;

	got = p ? mm_copy_in_some(t->mm, buf, GVA(p), sizeof(buf)) : 0;
	len = strnlen(buf, got);
	if (!got)
		add_pointer(l, p);
	else
		add_bytes(l, buf, len, len == got);
}

static void add_argv(struct strace_line *l, struct task *t, uint64_t p, bool env)
{
	uint64_t v;
	unsigned n;

	if (!p) {
		add_pointer(l, p);
		return;
	}
	if (!env)
		strace_add(l, "[");
	for (n = 0; n < 4096; n++) {
		if (mm_copy_in(t->mm, &v, GVA(p + n * 8), 8) || !v)
			break;
		if (env || n > STRACE_ARGV)
			continue;
		strace_add(l, n ? ", " : "");
		if (n == STRACE_ARGV)
			strace_add(l, "...");
		else
			add_string(l, t, v);
	}
	if (env)
		strace_add(l, "%#llx /* %u vars */", (unsigned long long)p, n);
	else
		strace_add(l, "]");
}

static void add_stat(struct strace_line *l, struct task *t, uint64_t p)
{
	struct stat st;

	if (mm_copy_in(t->mm, &st, GVA(p), sizeof(st))) {
		add_pointer(l, p);
		return;
	}
	strace_add(l, "{st_mode=");
	strace_stat_mode(l, st.st_mode);
	strace_add(l, ", st_size=%lld, ...}", (long long)st.st_size);
}

static void add_timespec(struct strace_line *l, struct task *t, uint64_t p)
{
	int64_t ts[2];

	if (!p || mm_copy_in(t->mm, ts, GVA(p), sizeof(ts)))
		add_pointer(l, p);
	else
		strace_add(l, "{tv_sec=%lld, tv_nsec=%lld}", (long long)ts[0], (long long)ts[1]);
}

/* Kinds that go through guest memory. Output kinds are pointers until the call has succeeded. */
static void add_memory_arg(struct strace_line *l, struct task *t, const char *args, unsigned i,
			   const uint64_t a[6], int64_t result, bool done)
{
	switch (args[i]) {
	case 's':
		add_string(l, t, a[i]);
		break;
	case 'b':
		if (args[i + 1] == 'n')
			add_buffer(l, t, a[i], a[i + 1]);
		else
			add_pointer(l, a[i]);
		break;
	case 'r':
		if (done && result > 0 && args[i + 1] == 'n' && (uint64_t)result <= a[i + 1])
			add_buffer(l, t, a[i], (uint64_t)result);
		else
			add_pointer(l, a[i]);
		break;
	case 'S':
		if (done && result == 0)
			add_stat(l, t, a[i]);
		else
			add_pointer(l, a[i]);
		break;
	case 'v':
		add_argv(l, t, a[i], i && args[i - 1] == 'v');
		break;
	case 't':
		add_timespec(l, t, a[i]);
		break;
	default:
		add_pointer(l, a[i]);
	}
}

static void add_arg(struct strace_line *l, struct task *t, const char *args, unsigned i,
		    const uint64_t a[6], int64_t result, bool done)
{
	uint64_t v = a[i];
	char buf[16];

	switch (args[i]) {
	case 'd':
	case 'f':
		strace_add(l, "%d", (int)v);
		break;
	case 'F':
		if ((int)v == AT_FDCWD)
			strace_add(l, "AT_FDCWD");
		else
			strace_add(l, "%d", (int)v);
		break;
	case 'u':
		strace_add(l, "%u", (unsigned)v);
		break;
	case 'n':
		strace_add(l, "%llu", (unsigned long long)v);
		break;
	case 'l':
		strace_add(l, "%lld", (long long)v);
		break;
	case 'x':
		strace_add(l, v ? "%#llx" : "%llx", (unsigned long long)v);
		break;
	case 'm':
		strace_add(l, "%#o", (unsigned)v);
		break;
	case 'o':
		strace_open_flags(l, (uint32_t)v);
		break;
	case 'g':
		strace_add(l, "%s", (int)v ? strace_signame((int)v, buf) : "0");
		break;
	case 'P':
		strace_prot(l, v);
		break;
	case 'M':
		strace_map_flags(l, v);
		break;
	case 'c':
		strace_clone_flags(l, v);
		break;
	default:
		add_memory_arg(l, t, args, i, a, result, done);
	}
}

/* open's mode means something only to calls that may create. */
static bool arg_is_moot(const char *args, unsigned i, const uint64_t a[6])
{
	if (args[i] != 'm' || !i || args[i - 1] != 'o')
		return false;
	/* O_TMPFILE contains O_DIRECTORY. */
	return !(a[i - 1] & O_CREAT) && (a[i - 1] & O_TMPFILE) != O_TMPFILE;
}

/* Print arguments from call->next_arg on; before the call has run, stop at the first output. */
static void add_args(struct strace_call *call, struct task *t, const char *args,
		     const uint64_t a[6], int64_t result, bool done)
{
	for (; call->next_arg < 6 && args[call->next_arg]; call->next_arg++) {
		unsigned i = call->next_arg;

		if (!done && (args[i] == 'r' || args[i] == 'S'))
			return;
		if (arg_is_moot(args, i, a))
			continue;
		if (i)
			strace_add(&call->line, ", ");
		add_arg(&call->line, t, args, i, a, result, done);
	}
}

/* ---- results ---- */

static void add_result(struct strace_line *l, const struct syscall_row *row, int64_t result)
{
	switch (result) {
	case -ERESTARTSYS:
		strace_add(l, " = ? ERESTARTSYS (To be restarted if SA_RESTART is set)");
		return;
	case -ERESTARTNOINTR:
		strace_add(l, " = ? ERESTARTNOINTR (To be restarted)");
		return;
	case -ERESTARTNOHAND:
		strace_add(l, " = ? ERESTARTNOHAND (To be restarted if no handler)");
		return;
	case -ERESTART_RESTARTBLOCK:
		strace_add(l, " = ? ERESTART_RESTARTBLOCK (Interrupted by signal)");
		return;
	}
	if (result < 0 && result > -4096) {
		const char *name = strace_errname((int)-result);
		const char *text = strerrordesc_np((int)-result);

		strace_add(l, " = -1 %s (%s)", name ? name : "E?", text ? text : "Unknown error");
	} else if (result > INT32_MAX ||
		   (row && row->flags & SYS_MM && result >= (int64_t)ADDRESS_MIN)) {
		strace_add(l, " = %#llx", (unsigned long long)result);
	} else {
		strace_add(l, " = %lld", (long long)result);
	}
}

/* ---- entry points ---- */

void strace_enter(struct task *t, const struct syscall_row *row, const uint64_t a[6],
		  struct strace_call *call)
{
	call->line.len = 0;
	call->line.text[0] = '\0';
	call->next_arg = 0;
	call->shown = false;
	call->task = t;
	call->next = NULL;
	strace_add(&call->line, "%s(", row->name);
	add_args(call, t, row->args, a, 0, false);
	if (!(row->flags & (SYS_BLOCKS | SYS_NORETURN)))
		return;
	pthread_mutex_lock(&strace_lock);
	call->next = running;
	running = call;
	pthread_mutex_unlock(&strace_lock);
}

void strace_leave(struct task *t, const struct syscall_row *row, const uint64_t a[6],
		  int64_t result, struct strace_call *call)
{
	if (row->flags & (SYS_BLOCKS | SYS_NORETURN)) {
		pthread_mutex_lock(&strace_lock);
		unlink_locked(call);
		pthread_mutex_unlock(&strace_lock);
	}
	if (call->shown) {
		call->line.len = 0;
		strace_add(&call->line, "<... %s resumed>", row->name);
	}
	/* A successful execve has replaced the memory the remaining arguments were in. */
	add_args(call, t, row->args, a, result, true);
	strace_add(&call->line, ")");
	add_result(&call->line, row, result);
	emit(t, &call->line, "");
}

void strace_abandon(struct task *t, struct strace_call *call)
{
	pthread_mutex_lock(&strace_lock);
	unlink_locked(call);
	if (call->shown) {
		call->line.len = 0;
		strace_add(&call->line, "<... resumed>");
	}
	break_off_locked(t);
	emit_locked(t, &call->line, ") = ?");
	pthread_mutex_unlock(&strace_lock);
}

void strace_unknown(struct task *t, uint64_t nr, const uint64_t a[6], int64_t result)
{
	struct strace_line l = {.len = 0};

	if (syscall_name(nr))
		strace_add(&l, "%s", syscall_name(nr));
	else
		strace_add(&l, "syscall_%#llx", (unsigned long long)nr);
	strace_add(&l, "(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx)", (unsigned long long)a[0],
		   (unsigned long long)a[1], (unsigned long long)a[2], (unsigned long long)a[3],
		   (unsigned long long)a[4], (unsigned long long)a[5]);
	add_result(&l, NULL, result);
	emit(t, &l, "");
}

static void add_signal_code(struct strace_line *l, int sig, int code)
{
	switch (code) {
	case SI_USER:
		strace_add(l, "SI_USER");
		return;
	case SI_KERNEL:
		strace_add(l, "SI_KERNEL");
		return;
	case SI_QUEUE:
		strace_add(l, "SI_QUEUE");
		return;
	case SI_TIMER:
		strace_add(l, "SI_TIMER");
		return;
	case SI_TKILL:
		strace_add(l, "SI_TKILL");
		return;
	}
	if (sig == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR))
		strace_add(l, code == SEGV_MAPERR ? "SEGV_MAPERR" : "SEGV_ACCERR");
	else if (sig == SIGCHLD && code >= CLD_EXITED && code <= CLD_CONTINUED)
		strace_add(l, "%s",
			   (const char *const[]){"CLD_EXITED", "CLD_KILLED", "CLD_DUMPED",
						 "CLD_TRAPPED", "CLD_STOPPED",
						 "CLD_CONTINUED"}[code - CLD_EXITED]);
	else
		strace_add(l, "%d", code);
}

void strace_signal(struct task *t, int sig, const guest_siginfo_t *info)
{
	struct strace_line l = {.len = 0};
	char name[16];

	if (!t->kernel->strace)
		return;
	strace_signame(sig, name);
	strace_add(&l, "--- %s {si_signo=%s, si_code=", name, name);
	add_signal_code(&l, sig, info ? info->si_code : SI_KERNEL);
	if (info && sig == SIGCHLD && info->si_code > 0)
		strace_add(&l, ", si_pid=%d, si_uid=%u, si_status=%d", info->si_pid, info->si_uid,
			   info->si_status);
	else if (info && info->si_code > 0 &&
		 (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE ||
		  sig == SIGTRAP))
		strace_add(&l, ", si_addr=%p", info->si_addr);
	else if (info && info->si_code <= 0)
		strace_add(&l, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
	strace_add(&l, "} ---");
	emit(t, &l, "");
}

void strace_exit(struct task *t, int status)
{
	struct strace_line l = {.len = 0};
	char name[16];

	if (!t->kernel->strace)
		return;
	if (WIFSIGNALED(status))
		strace_add(&l, "+++ killed by %s%s +++", strace_signame(WTERMSIG(status), name),
			   WCOREDUMP(status) ? " (core dumped)" : "");
	else
		strace_add(&l, "+++ exited with %d +++", WEXITSTATUS(status));
	emit(t, &l, "");
}
