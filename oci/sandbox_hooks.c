/* SPDX-License-Identifier: Apache-2.0 */
/*
 * startContainer hooks: the specification runs them in the container, so they are processes of the
 * container, started by its application kernel before the first one, with the first one's user and
 * capabilities.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/sandbox.h"
#include "runtime/kernel.h"

struct hook_run {
	int ended; /* eventfd: status is valid */
	int status;
};

static void on_end(int status, void *arg)
{
	struct hook_run *run = arg;
	uint64_t one = 1;

	run->status = status;
	if (write(run->ended, &one, sizeof(one)) < 0)
		return;
}

/* 0, or -ETIMEDOUT when it was killed for taking too long. */
static int wait_for(struct kernel *k, pid_t pid, const struct hook_run *run, int seconds)
{
	struct pollfd p = {run->ended, POLLIN, 0};
	int n;

	do
		n = poll(&p, 1, seconds ? seconds * 1000 : -1);
	while (n < 0 && errno == EINTR);
	if (n)
		return 0;
	kernel_signal(k, pid, SIGKILL);
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	return -ETIMEDOUT;
}

static int run_hook(const struct sandbox *s, struct kernel *k, const struct oci_hook *h,
		    const char *json, struct oci_error *err)
{
	static char *const no_env[] = {NULL};
	char *const self[] = {(char *)h->path, NULL};
	cleanup_fd int in = memfd_create("state", MFD_CLOEXEC), ended = eventfd(0, EFD_CLOEXEC);
	struct hook_run run = {.ended = ended};
	struct kernel_process_spec spec = {0};
	char why[768] = "", **argv;
	int r;

	if (in < 0 || ended < 0 || write(in, json, strlen(json)) < 0 || lseek(in, 0, SEEK_SET) < 0)
		return oci_fail_errno(err, errno,
				      "cannot prepare the input of startContainer hook %s",
				      h->path);
	sandbox_fill_process(s, &s->cfg->process, &spec);
	/* The application kernel finds a program by its first argument. */
	spec.argv = self;
	if (h->args && h->args[0]) {
		size_t n = 0;

		while (h->args[n])
			n++;
		argv = oci_arena_alloc(&s->cfg->arena, n + 1, sizeof(*argv));
		if (!argv)
			return oci_fail_errno(err, ENOMEM, "startContainer hook %s", h->path);
		memcpy(argv, h->args, n * sizeof(*argv));
		argv[0] = (char *)h->path;
		spec.argv = argv;
	}
	spec.envp = h->env ? h->env : no_env;
	spec.cwd = "/";
	/* Ours are /dev/null. */
	spec.stdio[0] = steal_fd(&in);
	spec.stdio[1] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	spec.stdio[2] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	r = kernel_exec(k, &spec, on_end, &run, why, sizeof(why));
	if (r < 0)
		return oci_fail(err, -r, "startContainer hook %s: %s", h->path, why);
	if (wait_for(k, r, &run, h->timeout))
		return oci_fail(err, ETIMEDOUT,
				"startContainer hook %s ran longer than its timeout of %d s",
				h->path, h->timeout);
	if (WIFSIGNALED(run.status))
		return oci_fail(err, ECANCELED, "startContainer hook %s was killed by signal %d",
				h->path, WTERMSIG(run.status));
	if (WEXITSTATUS(run.status))
		return oci_fail(err, ECANCELED, "startContainer hook %s exited with status %d",
				h->path, WEXITSTATUS(run.status));
	return 0;
}

int sandbox_start_hooks(const struct sandbox *s, struct kernel *k, struct oci_error *err)
{
	const struct oci_hooks *hooks = &s->cfg->hooks[OCI_HOOK_START_CONTAINER];
	cleanup_buf struct buf json = {0};
	int r = 0;

	if (!hooks->n)
		return 0;
	oci_state_json(&json, s->state, OCI_CREATED, false);
	if (!buf_ok(&json))
		return oci_fail_errno(err, ENOMEM, "container state");
	for (size_t i = 0; i < hooks->n && !r; i++)
		r = run_hook(s, k, &hooks->list[i], json.s, err);
	return r;
}
