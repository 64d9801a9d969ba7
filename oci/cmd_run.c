/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/console.h"
#include "oci/foreground.h"
#include "oci/image_bundles.h"
#include "oci/image_helper.h"
#include "oci/log.h"

static void forward(int sig, void *arg)
{
	const struct container *box = arg;
	struct oci_error err;

	if (container_kill(box, sig, false, &err))
		log_debug("signal %d not forwarded: %s", sig, err.msg);
}

static int foreground(const struct cli *c, const char *id, struct container *box, int sfd,
		      int *status, struct oci_error *err)
{
	struct console_relay relay;
	bool terminal = box->master >= 0;
	struct foreground f = {.pid = box->state.pid,
			       .relay = terminal ? &relay : NULL,
			       .signals = sfd,
			       .forward = forward,
			       .arg = box};
	int r;

	if (terminal && (r = console_relay_start(&relay, steal_fd(&box->master), err)))
		return r;
	r = container_start(box, err);
	if (r) {
		if (terminal)
			console_relay_stop(&relay);
		return r;
	}
	/* Other commands work on the container while it runs. */
	oci_state_unlock(box->dir);
	*status = foreground_exit_code(foreground_wait(&f));
	if (terminal)
		console_relay_stop(&relay);
	if (cli_bool(c, "keep") || (r = oci_state_lock(box->dir, err)))
		return r;
	/* Deleted by somebody else meanwhile; what has its name now is not ours. */
	if (faccessat(box->dir, OCI_STATE_FILE, F_OK, 0))
		return 0;
	return container_delete(&c->global, box, id, err);
}

static int run_bundle(const struct cli *c, struct container_options o, int *status,
		      struct oci_error *err)
{
	struct container box;
	struct oci_error ignored;
	cleanup_fd int sfd = -1;
	int r;

	if (!o.detach && !cli_bool(c, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!o.detach) {
		sfd = foreground_signals(err);
		if (sfd < 0)
			return sfd;
	}
	r = container_create(&c->global, &o, &box, err);
	if (r)
		return r;
	r = o.detach ? container_start(&box, err) : foreground(c, o.id, &box, sfd, status, err);
	if (r && !container_end(&box, &ignored)) {
		waitpid(box.state.pid, NULL, 0);
		container_delete(&c->global, &box, o.id, &ignored);
	}
	container_free(&box);
	return r;
}

/* A bundle of the image, kept where --bundle says, else gone with the container. */
static int run_image(const struct cli *c, struct container_options o, int *status,
		     struct oci_error *err)
{
	bool kept = cli_string(c, "bundle") != NULL;
	struct image_request q = {
		.image = cli_string(c, "image"),
		.args = c->args,
		.nargs = c->nargs,
		.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		.want_command = true,
	};
	char id[IMAGE_BUNDLE_ID];
	struct image_bundle own;
	int r;

	if (!kept && (o.detach || cli_bool(c, "keep")))
		return oci_fail(
			err, EINVAL,
			"--image with --detach or --keep wants --bundle, to be removed later");
	r = image_bundle_id(id, err);
	if (r)
		return r;
	o.id = cli_string(c, "name") ? cli_string(c, "name") : id;
	if (!kept) {
		r = image_bundle_begin(&own, &c->global, id, o.id, err);
		if (r)
			return r;
		o.bundle = own.path;
	}
	q.bundle = o.bundle;
	r = image_helper_unpack(c, &q, err);
	if (!r)
		r = run_bundle(c, o, status, err);
	if (!kept)
		image_bundle_end(&own);
	return r;
}

static int run(const struct cli *c, int *status, struct oci_error *err)
{
	struct container_options o;

	cli_container_options(c, &o);
	o.detach = cli_bool(c, "detach");
	return cli_string(c, "image") ? run_image(c, o, status, err)
				      : run_bundle(c, o, status, err);
}

static const struct cli_option options[] = {
	CLI_CREATE_OPTIONS,
	CLI_IMAGE_OPTIONS,
	{"image", NULL, CLI_STRING, "run this image; the arguments replace its command", NULL},
	{"name", NULL, CLI_STRING, "the container's id, with --image", NULL},
	{"detach", "d", CLI_BOOL, "do not wait for the container", NULL},
	{"keep", NULL, CLI_BOOL, "do not delete the container when it has ended", NULL},
	{"no-subreaper", NULL, CLI_BOOL, "do not adopt orphans of the container's processes", NULL},
	{0},
};

const struct cli_command cmd_run = {
	.name = "run",
	.usage = "create and start a container",
	.args = "<container-id>, or --image IMAGE [argument...]",
	.description =
		"Makes a container of a bundle, starts it, and, without --detach, waits for it:\n"
		"signals are passed on, its exit status is the command's, and what it held is\n"
		"deleted. The id must be unique on this host. With --image the bundle is made of\n"
		"a container image first, as by nacre unpack, and removed at the end.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = run,
	.prefix = "nacre run failed: ",
	.program_option = "image",
};
