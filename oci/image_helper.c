/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"

#define HELPER "nacre-image"
#define ERROR_FD 3 /* in the helper */
#define LOG_FD 4

extern char **environ;

static volatile sig_atomic_t helper_pid;

static void pass_on(int sig)
{
	if (helper_pid > 0)
		kill((pid_t)helper_pid, sig);
}

/* Beside this program, as in a build tree, or where it is installed. */
static int find_helper(char path[PATH_MAX], struct oci_error *err)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(HELPER) - 1);
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		snprintf(slash + 1, sizeof(HELPER), "%s", HELPER);
		if (!access(path, X_OK))
			return 0;
	}
	snprintf(path, PATH_MAX, "%s", NACRE_LIBEXEC_DIR "/" HELPER);
	if (access(path, X_OK))
		return oci_fail_errno(err, errno, "%s", path);
	return 0;
}

static int start_helper(const char *path, char **argv, int error_fd, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none;
	/* Above those they become in the helper, so that none overwrites the other. */
	cleanup_fd int e = fcntl(error_fd, F_DUPFD_CLOEXEC, LOG_FD + 1);
	cleanup_fd int l = log_is_file() ? fcntl(log_fd(), F_DUPFD_CLOEXEC, LOG_FD + 1) : -1;
	int r;

	if (e < 0)
		return -errno;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, e, ERROR_FD);
	if (l >= 0)
		posix_spawn_file_actions_adddup2(&files, l, LOG_FD);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	r = posix_spawn(pid, path, &files, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

/* Its sentence, if it has one; then its end. */
static int wait_helper(pid_t pid, int from, struct oci_error *err)
{
	char msg[sizeof(err->msg)];
	size_t n = 0;
	ssize_t r;
	int status;

	while (n < sizeof(msg) - 1) {
		r = read(from, msg + n, sizeof(msg) - 1 - n);
		if (r > 0)
			n += (size_t)r;
		else if (!r || errno != EINTR)
			break;
	}
	msg[n] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (n)
		return oci_fail(err, EINVAL, "%s", msg);
	return oci_fail(err, EIO, HELPER " ended by %s %d",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int run_helper(char **argv, struct oci_error *err)
{
	static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction sa = {.sa_handler = pass_on}, old[4];
	cleanup_fd int from = -1, to = -1;
	char path[PATH_MAX];
	int p[2], r = find_helper(path, err);
	pid_t pid;

	if (r)
		return r;
	if (pipe2(p, O_CLOEXEC))
		return oci_fail_errno(err, errno, "pipe");
	from = p[0];
	to = p[1];
	helper_pid = 0;
	for (int i = 0; i < 4; i++)
		sigaction(passed[i], &sa, &old[i]);
	r = start_helper(path, argv, to, &pid);
	close(steal_fd(&to));
	if (r) {
		oci_fail_errno(err, -r, "%s", path);
	} else {
		helper_pid = pid;
		r = wait_helper(pid, from, err);
		helper_pid = 0;
	}
	for (int i = 0; i < 4; i++)
		sigaction(passed[i], &old[i], NULL);
	return r;
}

int image_helper_unpack(const struct cli *c, const struct image_request *q, struct oci_error *err)
{
	static const char *const passed[] = {"platform", "max-size", "max-entries", "entrypoint"};
	const char **argv = calloc((size_t)q->nargs + 32, sizeof(*argv));
	size_t n = 0;
	int r;

	if (!argv)
		return oci_fail_errno(err, ENOMEM, "%s", q->image);
	argv[n++] = HELPER;
	argv[n++] = "--error-fd=3";
	if (log_is_file())
		argv[n++] = "--log-fd=4";
	if (log_is_json())
		argv[n++] = "--log-json";
	if (log_debugging())
		argv[n++] = "--log-debug";
	if (q->terminal)
		argv[n++] = "--tty";
	if (q->want_command)
		argv[n++] = "--want-command";
	if (isatty(STDERR_FILENO))
		argv[n++] = "--progress";
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		static char flags[sizeof(passed) / sizeof(passed[0])][20];
		const char *v = cli_string(c, passed[i]);

		if (!v)
			continue;
		snprintf(flags[i], sizeof(flags[i]), "--%s", passed[i]);
		argv[n++] = flags[i];
		argv[n++] = v;
	}
	argv[n++] = "--";
	argv[n++] = q->image;
	argv[n++] = q->bundle;
	for (int i = 0; i < q->nargs; i++)
		argv[n++] = q->args[i];
	r = run_helper((char **)argv, err);
	free(argv);
	return r;
}

static int make_path(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = '\0';
			if (mkdir(path, 0700) && errno != EEXIST)
				return -errno;
			*p = '/';
		}
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

int image_helper_store(char **out, struct oci_error *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	cleanup_free char *path = NULL;
	int r;

	if (geteuid() == 0)
		r = asprintf(&path, "/var/lib/nacre/bundles");
	else if (data && *data == '/')
		r = asprintf(&path, "%s/nacre/bundles", data);
	else if (home && *home == '/')
		r = asprintf(&path, "%s/.local/share/nacre/bundles", home);
	else
		return oci_fail(err, ENOENT,
				"neither XDG_DATA_HOME nor HOME says where bundles go");
	if (r < 0) {
		path = NULL;
		return oci_fail_errno(err, ENOMEM, "bundles");
	}
	r = make_path(path);
	if (r)
		return oci_fail_errno(err, -r, "%s", path);
	*out = steal_ptr(&path);
	return 0;
}
