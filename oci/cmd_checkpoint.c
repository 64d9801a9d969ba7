/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint and restore: runc's flags, and a refusal that engines can show. */
#include <errno.h>

#include "oci/commands.h"

static int refuse(struct oci_error *err, const char *id)
{
	return oci_fail(err, ENOTSUP, "cannot checkpoint or restore container %s: not supported",
			id);
}

static int checkpoint(const struct cli *c, int *status, struct oci_error *err)
{
	struct oci_state s;
	int r = oci_state_find(c->global.root, c->args[0], &s, NULL, NULL, err);

	(void)status;
	if (r)
		return r;
	oci_state_free(&s);
	return refuse(err, c->args[0]);
}

static int restore(const struct cli *c, int *status, struct oci_error *err)
{
	(void)status;
	return refuse(err, c->args[0]);
}

#define SHARED                                                                           \
	{"image-path", NULL, CLI_STRING, "directory of the image", NULL},                \
		{"work-path", NULL, CLI_STRING, "directory for logs", NULL},             \
		{"tcp-established", NULL, CLI_BOOL, "allow open TCP connections", NULL}, \
		{"ext-unix-sk", NULL, CLI_BOOL, "allow external UNIX sockets", NULL},    \
		{"shell-job", NULL, CLI_BOOL, "allow shell jobs", NULL},                 \
		{"file-locks", NULL, CLI_BOOL, "handle file locks", NULL},               \
		{"manage-cgroups-mode", NULL, CLI_STRING, "soft, full or strict", NULL}, \
		{"empty-ns", NULL, CLI_LIST, "namespace that is made but empty", NULL},  \
		{"auto-dedup", NULL, CLI_BOOL, "deduplicate the image's memory", NULL},  \
	{                                                                                \
		"lazy-pages", NULL, CLI_BOOL, "bring memory in when it is touched", NULL \
	}

static const struct cli_option checkpoint_options[] = {
	SHARED,
	{"parent-path", NULL, CLI_STRING, "directory of the previous image", NULL},
	{"leave-running", NULL, CLI_BOOL, "let the container go on", NULL},
	{"status-fd", NULL, CLI_NUMBER, "descriptor to write to when lazy pages can be asked for",
	 "-1"},
	{"page-server", NULL, CLI_STRING, "ADDRESS:PORT of the page server", NULL},
	{"pre-dump", NULL, CLI_BOOL, "write memory only and let the container go on", NULL},
	{0},
};

static const struct cli_option restore_options[] = {
	SHARED,
	{"bundle", "b", CLI_STRING, "bundle directory", NULL},
	{"console-socket", NULL, CLI_STRING,
	 "AF_UNIX socket that gets the master end of the container's terminal", NULL},
	{"detach", "d", CLI_BOOL, "do not wait for the container", NULL},
	{"pid-file", NULL, CLI_STRING, "file to write the process id to", NULL},
	{"no-subreaper", NULL, CLI_BOOL, "do not adopt orphans of the container's processes", NULL},
	{"no-pivot", NULL, CLI_BOOL, "enter the rootfs without pivot_root", NULL},
	{"lsm-profile", NULL, CLI_STRING, "TYPE:NAME of the restored processes", NULL},
	{"lsm-mount-context", NULL, CLI_STRING, "context of the restored mounts", NULL},
	{0},
};

const struct cli_command cmd_checkpoint = {
	.name = "checkpoint",
	.usage = "refused: a container cannot be written to an image",
	.args = "<container-id>",
	.description = "Takes runc's options and always fails: nacre has no checkpoints.",
	.min_args = 1,
	.max_args = 1,
	.options = checkpoint_options,
	.run = checkpoint,
};

const struct cli_command cmd_restore = {
	.name = "restore",
	.usage = "refused: there are no checkpoints to restore",
	.args = "<container-id>",
	.description = "Takes runc's options and always fails: nacre has no checkpoints.",
	.min_args = 1,
	.max_args = 1,
	.options = restore_options,
	.run = restore,
};
