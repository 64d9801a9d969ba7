/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "guest.h"

extern const struct guest_test __start_guest_tests[], __stop_guest_tests[];

void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	int saved = errno;
	if (write(1, line, n) != n)
		_exit(98);
	errno = saved;
}

const char *error_name(int err)
{
	const char *name = err ? strerrorname_np(err) : "0";
	return name ? name : "?";
}

long report(const char *what, long result)
{
	if (result == -1)
		say("%s = -1 %s", what, error_name(errno));
	else
		say("%s = %ld", what, result);
	return result;
}

void describe_status(const char *what, int status)
{
	if (WIFEXITED(status))
		say("%s: exited %d", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		say("%s: killed by SIG%s", what, sigabbrev_np(WTERMSIG(status)));
	else if (WIFSTOPPED(status))
		say("%s: stopped by SIG%s", what, sigabbrev_np(WSTOPSIG(status)));
	else if (WIFCONTINUED(status))
		say("%s: continued", what);
}

int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

void sleep_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};
	while (nanosleep(&ts, &ts) == -1 && errno == EINTR)
		;
}

void set_limit(unsigned seconds)
{
	/* An emulated processor is slower: the runner says by how much. */
	const char *slower = getenv("GUEST_SLOWER");
	alarm(slower ? seconds * (unsigned)atoi(slower) : seconds);
}

pid_t spawn(int (*fn)(void *), void *arg)
{
	pid_t pid = MUST(fork());
	if (pid == 0)
		_exit(fn(arg));
	return pid;
}

void reap(const char *what, pid_t pid)
{
	int status;
	MUST(waitpid(pid, &status, 0));
	describe_status(what, status);
}

char thread_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return '-';
	text[n] = 0;
	const char *paren = strrchr(text, ')');
	return paren && paren[1] ? paren[2] : '-';
}

void wait_for_state(pid_t pid, pid_t tid, char state)
{
	const char *slower = getenv("GUEST_SLOWER");
	int64_t end = now_ns() + (slower ? atoi(slower) : 1) * 100000000000ll;
	while (thread_state(pid, tid) != state) {
		if (now_ns() > end) {
			say("not in state %c within 100 seconds, but in %c", state, thread_state(pid, tid));
			_exit(92);
		}
		sleep_ms(1);
	}
}

void wait_asleep(pid_t pid, pid_t tid)
{
	wait_for_state(pid, tid, 'S');
}

static _Atomic unsigned *disturbances; /* shared with the children that make them */

pid_t disturb(int sig, void (*then)(long), long arg)
{
	pid_t pid = getpid(), tid = (pid_t)syscall(SYS_gettid);
	if (!disturbances)
		disturbances = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned before = *disturbances;
	pid_t child = MUST(fork());
	if (child != 0)
		return child;
	wait_asleep(pid, tid);
	MUST(syscall(SYS_tgkill, pid, tid, sig));
	if (then) {
		while (*disturbances == before)
			sleep_ms(1);
		wait_asleep(pid, tid);
		then(arg);
	}
	_exit(0);
}

void disturbed(void)
{
	if (disturbances)
		++*disturbances;
}

int make_file(const char *path, const char *content)
{
	int fd = MUST(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
	if (*content && write(fd, content, strlen(content)) != (ssize_t)strlen(content))
		_exit(97);
	MUST(lseek(fd, 0, SEEK_SET));
	return fd;
}

/* The test is not to be process 1, whose signals are special: that one waits for it, as an init. */
static void leave_to_init(void)
{
	pid_t pid = MUST(fork());
	if (pid == 0)
		return;
	int status;
	pid_t got;
	while ((got = wait(&status)) != pid)
		if (got == -1 && errno != EINTR)
			_exit(95);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	bool list = strcmp(name, "--list") == 0;
	for (const struct guest_test *t = __start_guest_tests; t < __stop_guest_tests; t++) {
		if (list)
			say("%s", t->name);
		if (strcmp(t->name, name) != 0)
			continue;
		if (getpid() == 1 && strncmp(name, "init_", 5) != 0)
			leave_to_init();
		umask(022);
		set_limit(60);
		t->fn();
		return 0;
	}
	return list ? 0 : 96;
}
