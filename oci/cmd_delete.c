/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "oci/commands.h"
#include "oci/log.h"

/* Whatever is left of it, in whatever state: nothing that is missing is an error. */
static int delete_forced(const struct cli *c, struct oci_error *err)
{
	const char *id = c->args[0];
	struct container box = {.dir = -1, .master = -1};
	struct oci_error why;
	int r = oci_id_validate(id, err);

	if (r)
		return r;
	box.dir = oci_state_dir_open(c->global.root, id, &why);
	if (box.dir < 0)
		return 0;
	if (oci_state_lock(box.dir, &why))
		log_warning("%s", why.msg);
	if (oci_state_load(box.dir, &box.state, &why)) {
		log_debug("state of %s is incomplete: %s", id, why.msg);
		box.state = (struct oci_state){0};
	}
	r = container_end(&box, err);
	if (!r)
		r = container_delete(&c->global, &box, id, err);
	container_free(&box);
	return r;
}

static int delete (const struct cli *c, int *status, struct oci_error *err)
{
	struct container box;
	enum oci_status now;
	int r;

	(void)status;
	if (cli_bool(c, "force"))
		return delete_forced(c, err);
	r = container_open(&c->global, c->args[0], &box, &now, err);
	if (r)
		return r;
	/* One that was created and never started goes too, as with runc. */
	if (now == OCI_CREATED || now == OCI_CREATING)
		r = container_end(&box, err);
	else if (now != OCI_STOPPED)
		r = oci_fail(err, EBUSY, "cannot delete container %s that is not stopped: %s",
			     c->args[0], oci_status_name(now));
	if (!r)
		r = container_delete(&c->global, &box, c->args[0], err);
	container_free(&box);
	return r;
}

static const struct cli_option options[] = {
	{"force", "f", CLI_BOOL, "kill the container first (SIGKILL) if it is still running", NULL},
	{0},
};

const struct cli_command cmd_delete = {
	.name = "delete",
	.usage = "delete what a container holds",
	.args = "<container-id>",
	.description = "Removes the control groups and the state of a container that has stopped.",
	.min_args = 1,
	.max_args = 1,
	.options = options,
	.run = delete,
};
