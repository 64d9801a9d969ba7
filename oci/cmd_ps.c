/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/commands.h"

#define MAX_PIDS 4096

static int print_json(const pid_t *pids, size_t n)
{
	if (!n) {
		printf("null\n");
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "[", (int)pids[i]);
	printf("]\n");
	return 0;
}

/* ps(1) for the host processes that stand for the container. */
static int print_table(const struct cli *c, const pid_t *pids, size_t n, struct oci_error *err)
{
	cleanup_buf struct buf list = {0};
	char *argv[64] = {"ps", "-p", NULL, "-f", NULL};
	int k = 3, status = 0;
	pid_t child;

	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%d", i ? "," : "", (int)pids[i]);
	/* No process has this number: ps prints its header alone. */
	if (!n)
		buf_printf(&list, "%d", INT32_MAX);
	if (!buf_ok(&list))
		return oci_fail_errno(err, ENOMEM, "ps");
	argv[2] = list.s;
	for (int i = 1; i < c->nargs && k < 62; i++)
		argv[k++] = c->args[i];
	if (c->nargs > 1)
		argv[k] = NULL;
	fflush(stdout);
	child = fork();
	if (!child) {
		execvp("ps", argv);
		_exit(127);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127))
		return oci_fail(err, ENOENT, "exec: \"ps\": executable file not found in $PATH");
	return 0;
}

static int ps(const struct cli *c, int *exit_status, struct oci_error *err)
{
	const char *format = cli_string(c, "format");
	static pid_t pids[MAX_PIDS];
	enum oci_status status;
	struct oci_state s;
	size_t n;
	int r = oci_state_find(c->global.root, c->args[0], &s, &status, NULL, err);

	(void)exit_status;
	if (r)
		return r;
	n = oci_cgroup_pids(&s, pids, MAX_PIDS);
	if (!n && status != OCI_STOPPED) {
		pids[0] = s.pid;
		n = 1;
	}
	n = n > MAX_PIDS ? MAX_PIDS : n;
	oci_state_free(&s);
	if (!strcmp(format, "json"))
		return print_json(pids, n);
	if (strcmp(format, "table"))
		return oci_fail(err, EINVAL, "invalid format option");
	return print_table(c, pids, n, err);
}

static const struct cli_option options[] = {
	{"format", "f", CLI_STRING, "table or json", "table"},
	{0},
};

const struct cli_command cmd_ps = {
	.name = "ps",
	.usage = "list the host processes of a container",
	.args = "<container-id> [ps options]",
	.description =
		"The container's own processes live in one host process, the sandbox; it is what\n"
		"the host's ps(1) can show.",
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.options = options,
	.run = ps,
};
