/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/control.h"
#include "oci/json.h"
#include "oci/text.h"

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

/* What ps(1) prints with the arguments given; its wait status, or -errno. */
static int run_ps(const struct cli *c, struct buf *out, struct oci_error *err)
{
	cleanup_free char **argv = calloc((size_t)c->nargs + 3, sizeof(*argv));
	cleanup_fd int from = -1, to = -1;
	int pair[2], status = 0, k = 0;
	char text[4096];
	ssize_t n;
	pid_t child;

	if (!argv)
		return oci_fail_errno(err, ENOMEM, "ps");
	argv[k++] = "ps";
	if (c->nargs < 2)
		argv[k++] = "-ef";
	for (int i = 1; i < c->nargs; i++)
		argv[k++] = c->args[i];
	if (pipe2(pair, O_CLOEXEC))
		return oci_fail_errno(err, errno, "pipe");
	from = pair[0];
	to = pair[1];
	child = fork();
	if (!child) {
		dup2(to, STDOUT_FILENO);
		dup2(to, STDERR_FILENO);
		execvp("ps", argv);
		_exit(127);
	}
	close(steal_fd(&to));
	while ((n = read(from, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR))
		buf_add(out, text, n > 0 ? (size_t)n : 0);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child < 0)
		return oci_fail_errno(err, errno, "fork");
	return buf_ok(out) ? status : oci_fail_errno(err, ENOMEM, "ps");
}

/* The number of the column in a line of words, from 0; -1: it has none. */
static int column_of(const char *line, const char *name)
{
	const char *end = strchrnul(line, '\n');
	char word[64];

	for (int k = 0; line < end && text_word(&line, word, sizeof(word)); k++)
		if (!strcmp(word, name))
			return k;
	return -1;
}

static bool is_listed(const char *line, int column, const pid_t *pids, size_t n)
{
	char word[32];

	text_skip(&line, (unsigned)column);
	text_word(&line, word, sizeof(word));
	for (size_t i = 0; i < n; i++)
		if (strtol(word, NULL, 10) == pids[i])
			return true;
	return false;
}

/* ps(1) for everything, with the options given; shown are the header and the container's lines. */
static int print_host_table(const struct cli *c, const pid_t *pids, size_t n, struct oci_error *err)
{
	cleanup_buf struct buf out = {0};
	int status = run_ps(c, &out, err), column;

	if (status < 0)
		return status;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return oci_fail(err, ENOENT, "exec: \"ps\": executable file not found in $PATH");
	if (status)
		return oci_fail(err, EINVAL, "exit status %d: %s", WEXITSTATUS(status), out.s);
	column = column_of(out.s, "PID");
	if (column < 0)
		return oci_fail(err, EINVAL, "couldn't find PID field in ps output");
	for (const char *line = out.s; line; line = text_next_line(line))
		if (line == out.s || is_listed(line, column, pids, n))
			printf("%.*s\n", (int)strcspn(line, "\n"), line);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

/* "hh:mm" of today, "Mon02" before that, as ps -f has it. */
static void start_time(int64_t age_ms, char out[16])
{
	time_t now = time(NULL), then = now - age_ms / 1000;
	struct tm tm;

	localtime_r(&then, &tm);
	strftime(out, 16, age_ms < 86400000 ? "%H:%M" : "%b%d", &tm);
}

static void print_row(yajl_val v, struct oci_error *err)
{
	struct json_in in = {"ps", err};
	int64_t n[6] = {0};
	static const char *const keys[] = {"uid", "pid", "ppid", "threads", "ageMs", "cpuMs"};
	const char *command = "";
	char start[16];

	for (size_t i = 0; i < 6; i++)
		json_in_int(&in, v, "", keys[i], 0, INT64_MAX, &n[i]);
	json_in_string(&in, v, "", "command", &command);
	start_time(n[4], start);
	printf("%-8lld %7lld %7lld %4lld %5s %02lld:%02lld:%02lld ", (long long)n[0],
	       (long long)n[1], (long long)n[2], (long long)n[3], start,
	       (long long)(n[5] / 3600000), (long long)(n[5] / 60000 % 60),
	       (long long)(n[5] / 1000 % 60));
	/* A terminal must not take orders from a process's arguments. */
	for (; *command; command++)
		putchar((unsigned char)*command < 0x20 || *command == 0x7f ? '?' : *command);
	putchar('\n');
}

/* The container's own processes, as it numbers them. */
static int print_guest_table(int dir, struct oci_error *err)
{
	cleanup_free struct control_reply *reply = malloc(sizeof(*reply));
	yajl_val list;
	int r;

	if (!reply)
		return oci_fail_errno(err, ENOMEM, "ps");
	r = control_call(dir, CONTROL_PS, 0, 0, reply, err);
	if (r)
		return r;
	list = json_parse(reply->payload, reply->len, "ps", err);
	if (!list)
		return -EPROTO;
	printf("%-8s %7s %7s %4s %5s %8s %s\n", "UID", "PID", "PPID", "NLWP", "STIME", "TIME",
	       "CMD");
	for (size_t i = 0; YAJL_IS_ARRAY(list) && i < list->u.array.len; i++)
		print_row(list->u.array.values[i], err);
	yajl_tree_free(list);
	return fflush(stdout) ? oci_fail_errno(err, errno, "standard output") : 0;
}

static int ps(const struct cli *c, int *exit_status, struct oci_error *err)
{
	const char *format = cli_string(c, "format");
	static pid_t pids[MAX_PIDS];
	cleanup_fd int dir = -1;
	enum oci_status status;
	struct oci_state s;
	size_t n;
	int r = oci_state_find(c->global.root, c->args[0], &s, &status, &dir, err);

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
	/* A frozen sandbox cannot tell. */
	if (c->nargs > 1 || (status != OCI_RUNNING && status != OCI_CREATED))
		return print_host_table(c, pids, n, err);
	return print_guest_table(dir, err);
}

static const struct cli_option options[] = {
	{"format", "f", CLI_STRING, "table or json", "table"},
	{0},
};

const struct cli_command cmd_ps = {
	.name = "ps",
	.usage = "list the processes of a container",
	.args = "<container-id> [ps options]",
	.description = "The table has the container's own processes with its own numbers. The json "
		       "format\n"
		       "has the pids of the host processes that stand for the container: the "
		       "sandbox and one\n"
		       "for each \"nacre exec\"; so has the table when ps(1) options are given.",
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.options = options,
	.run = ps,
};
