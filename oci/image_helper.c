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
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"

#define IMAGE "nacre-image"
#define PULL "nacre-pull"
#define MAX_NAME 16 /* of those */
#define ERROR_FD 3  /* in the helper */
#define LOG_FD 4

extern char **environ;

static volatile sig_atomic_t helper_pid;

static void pass_on(int sig)
{
	if (helper_pid > 0)
		kill((pid_t)helper_pid, sig);
}

/* Beside this program, as in a build tree, or where it is installed. */
static int find_helper(const char *name, char path[PATH_MAX], struct oci_error *err)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - MAX_NAME - 1);
	char *slash;

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		snprintf(slash + 1, MAX_NAME, "%s", name);
		if (!access(path, X_OK))
			return 0;
	}
	snprintf(path, PATH_MAX, "%s/%s", NACRE_LIBEXEC_DIR, name);
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
static int wait_helper(const char *name, pid_t pid, int from, struct oci_error *err)
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
	return oci_fail(err, EIO, "%s ended by %s %d", name,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int run_helper(char **argv, struct oci_error *err)
{
	static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction sa = {.sa_handler = pass_on}, old[4];
	cleanup_fd int from = -1, to = -1;
	char path[PATH_MAX];
	int p[2], r = find_helper(argv[0], path, err);
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
		r = wait_helper(argv[0], pid, from, err);
		helper_pid = 0;
	}
	for (int i = 0; i < 4; i++)
		sigaction(passed[i], &old[i], NULL);
	return r;
}

/* Arguments for a helper; strings made here are freed with it. */
struct words {
	const char **list;
	size_t n, cap;
	char **own;
	size_t nown;
	bool failed;
};

static void add(struct words *w, const char *word)
{
	if (w->n + 2 > w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;
		const char **more = reallocarray(w->list, cap, sizeof(*more));
		char **own = reallocarray(w->own, cap, sizeof(*own));

		w->list = more ? more : w->list;
		w->own = own ? own : w->own;
		w->failed = w->failed || !more || !own;
		if (w->failed)
			return;
		w->cap = cap;
	}
	w->list[w->n++] = word;
	w->list[w->n] = NULL;
}

static void add_option(struct words *w, const char *name, const char *value)
{
	char *word = NULL;

	if (asprintf(&word, "--%s=%s", name, value) < 0) {
		w->failed = true;
		return;
	}
	add(w, word);
	if (w->failed)
		free(word);
	else
		w->own[w->nown++] = word;
}

/* Those of the table that have a value in c. */
static void add_options(struct words *w, const struct cli *c, const struct cli_option *table)
{
	for (; table->name; table++) {
		const char *v = cli_string(c, table->name);

		if (table->kind == CLI_LIST)
			for (const char *const *l = cli_list(c, table->name); *l; l++)
				add_option(w, table->name, *l);
		else if (v && strcmp(table->name, "store"))
			add_option(w, table->name, v);
	}
}

static int begin(struct words *w, const char *helper, const struct cli *c, struct oci_error *err)
{
	const char *given = cli_string(c, "store");
	cleanup_free char *store = NULL;
	int r = given ? 0 : image_helper_dir("images", &store, err);

	add(w, helper);
	add(w, "--error-fd=3");
	if (log_is_file())
		add(w, "--log-fd=4");
	if (log_is_json())
		add(w, "--log-json");
	if (log_debugging())
		add(w, "--log-debug");
	if (isatty(STDERR_FILENO))
		add(w, "--progress");
	if (!r)
		add_option(w, "store", given ? given : store);
	return r;
}

/* Run the helper with those words and forget them. */
static int finish(struct words *w, int r, struct oci_error *err)
{
	if (!r && w->failed)
		r = oci_fail_errno(err, ENOMEM, "arguments");
	if (!r)
		r = run_helper((char **)w->list, err);
	for (size_t i = 0; i < w->nown; i++)
		free(w->own[i]);
	free(w->own);
	free(w->list);
	return r;
}

int image_helper_unpack(const struct cli *c, const struct image_request *q, struct oci_error *err)
{
	static const struct cli_option passed[] = {CLI_IMAGE_OPTIONS, {0}};
	struct words w = {.n = 0};
	int r = begin(&w, IMAGE, c, err);

	if (q->terminal)
		add(&w, "--tty");
	if (q->want_command)
		add(&w, "--want-command");
	add_options(&w, c, passed);
	add(&w, "--");
	add(&w, q->image);
	add(&w, q->bundle);
	for (int i = 0; i < q->nargs; i++)
		add(&w, q->args[i]);
	return finish(&w, r, err);
}

int image_helper_pull(const struct cli *c, struct oci_error *err)
{
	static const struct cli_option passed[] = {CLI_PULL_OPTIONS, {0}};
	const char *creds = cli_string(c, "creds");
	struct cli without = *c;
	struct words w = {.n = 0};
	int r = begin(&w, PULL, c, err);

	for (int i = 0; passed[i].name; i++)
		if (!strcmp(passed[i].name, "creds"))
			without.values.value[i] = NULL;
	if (creds && setenv(IMAGE_HELPER_CREDS, creds, 1))
		w.failed = true;
	add_options(&w, &without, passed);
	add(&w, "--");
	add(&w, c->args[0]);
	return finish(&w, r, err);
}

int image_helper_images(const struct cli *c, struct oci_error *err)
{
	static const struct cli_option passed[] = {CLI_IMAGES_OPTIONS, {0}};
	struct words w = {.n = 0};
	int r = begin(&w, IMAGE, c, err);

	add(&w, "--images");
	add_options(&w, c, passed);
	add(&w, "--");
	for (int i = 0; i < c->nargs; i++)
		add(&w, c->args[i]);
	return finish(&w, r, err);
}

int image_helper_dir(const char *name, char **out, struct oci_error *err)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	int r;

	if (geteuid() == 0)
		r = asprintf(out, "/var/lib/nacre/%s", name);
	else if (data && *data == '/')
		r = asprintf(out, "%s/nacre/%s", data, name);
	else if (home && *home == '/')
		r = asprintf(out, "%s/.local/share/nacre/%s", home, name);
	else
		return oci_fail(err, ENOENT, "neither XDG_DATA_HOME nor HOME says where %s go",
				name);
	if (r < 0) {
		*out = NULL;
		return oci_fail_errno(err, ENOMEM, "%s", name);
	}
	return 0;
}
