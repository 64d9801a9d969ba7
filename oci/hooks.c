/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/signals.h"

static void child(const struct oci_hook *h, int in, const char *cwd)
{
	static char *const no_env[] = {NULL};
	char *const self[] = {(char *)h->path, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	oci_signal_set(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) < 0 || (cwd && chdir(cwd)))
		_exit(126);
	close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
	execve(h->path, h->args ? h->args : self, h->env ? h->env : no_env);
	_exit(errno == ENOENT ? 127 : 126);
}

static int wait_for(pid_t pid, const struct oci_hook *h, const char *what, struct oci_error *err)
{
	cleanup_fd int fd = pidfd_open(pid, 0);
	struct pollfd p = {fd, POLLIN, 0};
	int status, ready = 1;

	if (h->timeout && fd >= 0)
		do
			ready = poll(&p, 1, h->timeout * 1000);
		while (ready < 0 && errno == EINTR);
	if (!ready)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ready)
		return oci_fail(err, ETIMEDOUT, "%s %s ran longer than its timeout of %d s", what,
				h->path, h->timeout);
	if (WIFSIGNALED(status))
		return oci_fail(err, ECANCELED, "%s %s was killed by signal %d", what, h->path,
				WTERMSIG(status));
	if (WEXITSTATUS(status))
		return oci_fail(err, ECANCELED, "%s %s exited with status %d", what, h->path,
				WEXITSTATUS(status));
	return 0;
}

int oci_hooks_run(const struct oci_config *cfg, enum oci_hook_kind kind, const char *state_json,
		  const char *cwd, struct oci_error *err)
{
	char what[64];

	snprintf(what, sizeof(what), "%s hook", oci_hook_names[kind]);
	for (size_t i = 0; i < cfg->hooks[kind].n; i++) {
		const struct oci_hook *h = &cfg->hooks[kind].list[i];
		/* A file, not a pipe: a hook that does not read cannot stall us. */
		cleanup_fd int in = memfd_create("state", MFD_CLOEXEC);
		pid_t pid;
		int r;

		if (in < 0 || write(in, state_json, strlen(state_json)) < 0 ||
		    lseek(in, 0, SEEK_SET) < 0)
			return oci_fail_errno(err, errno, "cannot prepare the input of %s %s", what,
					      h->path);
		pid = fork();
		if (pid < 0)
			return oci_fail_errno(err, errno, "cannot start %s %s", what, h->path);
		if (!pid)
			child(h, in, cwd);
		r = wait_for(pid, h, what, err);
		if (r)
			return r;
	}
	return 0;
}

bool oci_hooks_pause(const struct oci_config *cfg)
{
	return cfg->hooks[OCI_HOOK_PRESTART].n || cfg->hooks[OCI_HOOK_CREATE_RUNTIME].n;
}
