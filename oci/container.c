/* SPDX-License-Identifier: Apache-2.0 */
/* Containers after their creation. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/config.h"
#include "oci/control.h"
#include "oci/create.h"
#include "oci/hooks.h"
#include "oci/json.h"
#include "oci/log.h"

void container_free(struct container *c)
{
	if (c->dir >= 0)
		close(c->dir);
	if (c->master >= 0)
		close(c->master);
	c->dir = c->master = -1;
	oci_state_free(&c->state);
}

int container_open(const struct oci_global *g, const char *id, struct container *out,
		   enum oci_status *status, struct oci_error *err)
{
	int r;

	*out = (struct container){.dir = -1, .master = -1};
	out->dir = oci_state_dir_open(g->root, id, err);
	if (out->dir < 0)
		return out->dir;
	r = oci_state_lock(out->dir, err);
	if (!r)
		r = oci_state_load(out->dir, &out->state, err);
	if (r)
		container_free(out);
	else if (status)
		*status = oci_state_status(&out->state);
	return r;
}

/* The configuration as it was at creation; hooks only look at it. */
static int load_config(int dir, struct oci_config *cfg, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	r = json_read_file(dir, "config.json", JSON_MAX_SIZE, &text, &len, err);
	if (r)
		return r;
	/* Its warnings were given when the container was created. */
	log_mute(true);
	r = oci_config_parse(text, len, cfg, err);
	log_mute(false);
	return r;
}

static int run_hooks(struct container *c, enum oci_hook_kind kind, enum oci_status status,
		     struct oci_error *err)
{
	cleanup_buf struct buf json = {0};
	struct oci_config cfg;
	int r = load_config(c->dir, &cfg, err);

	if (r)
		return r;
	oci_state_json(&json, &c->state, status, false);
	if (cfg.hooks[kind].n && buf_ok(&json))
		r = oci_hooks_run(&cfg, kind, json.s, NULL, err);
	oci_config_free(&cfg);
	return r;
}

int container_start(struct container *c, struct oci_error *err)
{
	struct oci_error hook;
	int r = control_call(c->dir, CONTROL_START, 0, 0, NULL, err);

	if (r == -EALREADY)
		return oci_fail(err, EALREADY, "cannot start an already running container");
	if (r)
		return r;
	/* The container runs: the specification wants a failing poststart hook logged, no more. */
	if (run_hooks(c, OCI_HOOK_POSTSTART, OCI_RUNNING, &hook))
		log_warning("%s", hook.msg);
	return 0;
}

static int raw_kill(const struct container *c, int sig, struct oci_error *err)
{
	cleanup_fd int fd = oci_state_pidfd(&c->state);

	if (fd < 0)
		return oci_fail(err, ESRCH, "container not running");
	if (pidfd_send_signal(fd, sig, NULL, 0))
		return oci_fail_errno(err, errno, "cannot signal the container");
	return 0;
}

int container_kill(const struct container *c, int sig, bool all, struct oci_error *err)
{
	enum oci_status status = oci_state_status(&c->state);
	int r;

	if (status == OCI_STOPPED || status == OCI_CREATING)
		return all ? 0 : oci_fail(err, ESRCH, "container not running");
	if (!sig)
		return 0;
	/* The sandbox is the container: nothing in it outlives it, answering or not. */
	if (sig == SIGKILL) {
		r = raw_kill(c, sig, err);
		if (!r && status == OCI_PAUSED)
			oci_cgroup_freeze(&c->state, false, err);
		return r;
	}
	if (status == OCI_PAUSED)
		return raw_kill(c, sig, err);
	r = control_call(c->dir, CONTROL_SIGNAL, sig, all ? CONTROL_ALL : 0, NULL, err);
	/* It ended under the signal, as it does before start. */
	if (r == -ECONNRESET)
		return 0;
	if (r == -ECONNREFUSED || r == -ETIMEDOUT)
		r = raw_kill(c, sig, err);
	return r;
}

int container_end(const struct container *c, struct oci_error *err)
{
	cleanup_fd int fd = oci_state_pidfd(&c->state);
	struct pollfd p = {fd, POLLIN, 0};

	if (fd >= 0) {
		pidfd_send_signal(fd, SIGKILL, NULL, 0);
		if (oci_cgroup_frozen(&c->state))
			oci_cgroup_freeze(&c->state, false, err);
		if (poll(&p, 1, 10000) == 0)
			return oci_fail(err, ETIMEDOUT, "container %s does not end", c->state.id);
	}
	return 0;
}

int container_delete(const struct oci_global *g, struct container *c, const char *id,
		     struct oci_error *err)
{
	struct oci_error hook;
	int r;

	r = oci_cgroup_remove(&c->state, err);
	if (r)
		return r;
	if (c->state.id && run_hooks(c, OCI_HOOK_POSTSTOP, OCI_STOPPED, &hook))
		log_warning("%s", hook.msg);
	return oci_state_dir_remove(g->root, id, err);
}

int container_write_pid_file(const char *path, pid_t pid, struct oci_error *err)
{
	cleanup_free char *tmp = NULL;
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash - path) + 1 : 0;

	/* Readers poll for the file: it must never be there empty. */
	if (asprintf(&tmp, "%.*s.%s", n, path, path + n) < 0)
		return oci_fail_errno(err, ENOMEM, "--pid-file");
	cleanup_fd int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || dprintf(fd, "%d", (int)pid) < 0 || rename(tmp, path))
		return oci_fail_errno(err, errno, "cannot write --pid-file %s", path);
	return 0;
}
