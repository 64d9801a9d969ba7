/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/caps.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/console.h"
#include "oci/exec.h"
#include "oci/foreground.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/lsm.h"
#include "oci/rootfs.h"

/* "uid" or "uid:gid", numbers as with runc. */
static int parse_user(const char *s, struct oci_process *p, struct oci_error *err)
{
	char *end;
	unsigned long n;

	if (!s)
		return 0;
	n = strtoul(s, &end, 10);
	if (end == s || n >= UINT32_MAX || (*end && *end != ':'))
		return oci_fail(err, EINVAL, "parsing %s as int for uid failed: invalid syntax", s);
	p->uid = (uid_t)n;
	if (!*end)
		return 0;
	s = end + 1;
	n = strtoul(s, &end, 10);
	if (end == s || n >= UINT32_MAX || *end)
		return oci_fail(err, EINVAL, "parsing %s as int for gid failed: invalid syntax", s);
	p->gid = (gid_t)n;
	return 0;
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

static int add_groups(const struct cli *c, struct oci_arena **arena, struct oci_process *p,
		      struct oci_error *err)
{
	const char *const *list = cli_list(c, "additional-gids");
	size_t n = count(list);
	gid_t *groups;

	if (!n)
		return 0;
	groups = oci_arena_alloc(arena, p->ngroups + n, sizeof(*groups));
	if (!groups)
		return oci_fail_errno(err, ENOMEM, "exec");
	if (p->ngroups)
		memcpy(groups, p->groups, p->ngroups * sizeof(*groups));
	for (size_t i = 0; i < n; i++) {
		long long g = strtoll(list[i], NULL, 0);

		if (g < 0 || g >= UINT32_MAX)
			return oci_fail(err, EINVAL, "invalid group id %s", list[i]);
		groups[p->ngroups + i] = (gid_t)g;
	}
	p->groups = groups;
	p->ngroups += n;
	return 0;
}

static void add_caps(const struct cli *c, struct oci_process *p)
{
	const char *const *list = cli_list(c, "cap");

	for (; *list; list++) {
		int cap = oci_cap_number(*list);

		if (cap < 0) {
			log_warning("ignoring unknown or unavailable capabilities: [%s]", *list);
			continue;
		}
		p->cap_bounding |= (uint64_t)1 << cap;
		p->cap_effective |= (uint64_t)1 << cap;
		p->cap_permitted |= (uint64_t)1 << cap;
		p->cap_ambient |= (uint64_t)1 << cap;
	}
}

/* The container's environment, with the settings of --env in the place of its own. */
static int add_env(const struct cli *c, struct oci_arena **arena, struct oci_process *p,
		   struct oci_error *err)
{
	const char *const *list = cli_list(c, "env");
	size_t n = 0, k = 0, more = count(list);
	char **env;

	while (p->env[n])
		n++;
	env = oci_arena_alloc(arena, n + more + 1, sizeof(*env));
	if (!env)
		return oci_fail_errno(err, ENOMEM, "exec");
	for (size_t i = 0; i < n + more; i++) {
		char *s = i < n ? p->env[i] : (char *)list[i - n];
		size_t name = strcspn(s, "=");
		bool again = false;

		if (!s[name] || !name)
			return oci_fail(err, EINVAL,
					"unable to start container process: invalid environment "
					"variable: \"%s\"",
					s);
		for (size_t j = i < n ? 0 : i - n + 1; j < more && !again; j++)
			again = !strncmp(list[j], s, name + 1);
		if (!again)
			env[k++] = s;
	}
	p->env = env;
	return 0;
}

/* The process of the container's own configuration, changed by the flags. */
static int from_flags(const struct cli *c, struct oci_config *cfg, struct oci_error *err)
{
	struct oci_process *p = &cfg->process;
	int r;

	p->args = c->args + 1;
	if (cli_string(c, "cwd"))
		p->cwd = cli_string(c, "cwd");
	if (p->cwd[0] != '/')
		return oci_fail(err, EINVAL, "Cwd must be an absolute path");
	/* The first process's terminal is its own. */
	p->terminal = cli_bool(c, "tty");
	p->console_height = p->console_width = 0;
	if (cli_string(c, "no-new-privs"))
		p->no_new_privs = cli_bool(c, "no-new-privs");
	if ((r = parse_user(cli_string(c, "user"), p, err)) ||
	    (r = add_groups(c, &cfg->arena, p, err)))
		return r;
	add_caps(c, p);
	return add_env(c, &cfg->arena, p, err);
}

static int from_file(const char *path, struct oci_config *cfg, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = json_read_file(AT_FDCWD, path, JSON_MAX_SIZE, &text, &len, err);

	if (r)
		return r;
	cfg->tree = json_parse(text, len, path, err);
	return cfg->tree ? oci_process_parse(&cfg->arena, cfg->tree, path, "", &cfg->process, err)
			 : -EINVAL;
}

static int load_process(const struct cli *c, const struct container *box, struct oci_config *cfg,
			struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (cli_string(c, "process"))
		return from_file(cli_string(c, "process"), cfg, err);
	if (c->nargs < 2)
		return oci_fail(err, EINVAL, "process args cannot be empty");
	r = json_read_file(box->dir, "config.json", JSON_MAX_SIZE, &text, &len, err);
	if (r)
		return r;
	/* Its warnings were given when the container was created. */
	log_mute(true);
	r = oci_config_parse(text, len, cfg, err);
	log_mute(false);
	return r ? r : from_flags(c, cfg, err);
}

/* The labels of the flags go before those of the configuration. */
static int labels(const struct cli *c, struct oci_process *p, struct oci_error *err)
{
	const char *apparmor = cli_string(c, "apparmor"), *selinux = cli_string(c, "process-label");

	if (apparmor && *apparmor && !lsm_apparmor_enabled())
		return oci_fail(err, EINVAL,
				"unable to start container process: apparmor failed to apply "
				"profile: AppArmor is not enabled on this host");
	if (selinux && *selinux && !lsm_selinux_enabled())
		return oci_fail(err, EINVAL,
				"selinux label is specified in config, but selinux is disabled or "
				"not supported");
	p->apparmor = apparmor ? apparmor : p->apparmor;
	p->selinux = selinux ? selinux : p->selinux;
	return 0;
}

/* HOME as the container's passwd has it, unless the process's environment says. */
static void add_home(const struct container *box, struct oci_config *cfg)
{
	static char pair[512];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)box->state.pid);
	cleanup_fd int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	rootfs_home(root, cfg->process.uid, pair, sizeof(pair));
	oci_env_default(&cfg->arena, &cfg->process.env, pair);
}

static int check(const struct cli *c, enum oci_status status, const struct oci_process *p,
		 struct oci_error *err)
{
	int preserve = cli_int(c, "preserve-fds");

	if (status == OCI_STOPPED)
		return oci_fail(err, ESRCH, "cannot exec in a stopped container");
	if (status == OCI_CREATING)
		return oci_fail(err, ESRCH, "cannot exec in a container that is being created");
	if (status == OCI_PAUSED && !cli_bool(c, "ignore-paused"))
		return oci_fail(
			err, EBUSY,
			"cannot exec in a paused container (use --ignore-paused to override)");
	if (p->terminal && cli_bool(c, "detach") && !cli_string(c, "console-socket"))
		return oci_fail(
			err, EINVAL,
			"cannot allocate tty if runc will detach without setting console socket");
	if ((!p->terminal || !cli_bool(c, "detach")) && cli_string(c, "console-socket"))
		return oci_fail(
			err, EINVAL,
			"cannot use console socket if runc will not detach or allocate tty");
	if (preserve > 200)
		return oci_fail(err, EINVAL, "--preserve-fds %d: at most 200", preserve);
	for (int fd = 3; fd < 3 + preserve; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return oci_fail(err, EBADF,
					"unable to set the file descriptor %d: it is not open", fd);
	return 0;
}

static int hand_over_console(const struct cli *c, struct console *console, struct oci_error *err)
{
	const char *path = cli_string(c, "console-socket");
	int r = 0;

	if (console->slave < 0)
		return 0;
	close(console->slave);
	console->slave = -1;
	if (path) {
		r = console_send(console, path, err);
		close(console->master);
		console->master = -1;
	}
	return r;
}

static void forward(int sig, void *arg)
{
	kill(*(pid_t *)arg, sig);
}

static int wait_for(pid_t pid, int sfd, struct console *console, int *status, struct oci_error *err)
{
	struct console_relay relay;
	struct foreground f = {.pid = pid, .signals = sfd, .forward = forward, .arg = &pid};
	int r;

	if (console->master >= 0) {
		r = console_relay_start(&relay, console->master, err);
		console->master = -1;
		if (r)
			return r;
		f.relay = &relay;
	}
	*status = foreground_exit_code(foreground_wait(&f));
	if (f.relay)
		console_relay_stop(&relay);
	return 0;
}

static int launch(const struct cli *c, const struct container *box, struct oci_process *p,
		  struct console *console, int *status, struct oci_error *err)
{
	struct exec_request req = {.box = box, .process = p};
	const char *pid_file = cli_string(c, "pid-file");
	bool detach = cli_bool(c, "detach");
	cleanup_fd int sfd = -1;
	pid_t pid;
	int r = 0;

	if (p->terminal && (r = console_open(console, p->console_height, p->console_width, err)))
		return r;
	req.slave = console->slave;
	req.preserve_fds = cli_int(c, "preserve-fds");
	pid = exec_start(&req, err);
	if (pid < 0)
		return pid;
	/* Not before: until then a signal ends this command, and the child that has nobody to tell. */
	if (!detach && (sfd = foreground_signals(err)) < 0) {
		kill(pid, SIGKILL);
		return sfd;
	}
	if ((r = hand_over_console(c, console, err)) ||
	    (pid_file && (r = container_write_pid_file(pid_file, pid, err))))
		kill(pid, SIGKILL);
	else if (!detach)
		r = wait_for(pid, sfd, console, status, err);
	return r;
}

static int exec_process(const struct cli *c, int *status, struct oci_error *err)
{
	struct container box = {.dir = -1, .master = -1};
	struct console console = {-1, -1, ""};
	struct oci_config cfg = {0};
	enum oci_status now;
	int r = oci_state_find(c->global.root, c->args[0], &box.state, &now, &box.dir, err);

	if (r)
		return r;
	r = load_process(c, &box, &cfg, err);
	if (!r)
		r = check(c, now, &cfg.process, err);
	if (!r)
		r = labels(c, &cfg.process, err);
	if (!r)
		r = oci_cgroup_descend(&box.state, cli_list(c, "cgroup"), err);
	if (!r) {
		add_home(&box, &cfg);
		r = launch(c, &box, &cfg.process, &console, status, err);
	}
	if (console.master >= 0)
		close(console.master);
	if (console.slave >= 0)
		close(console.slave);
	oci_config_free(&cfg);
	container_free(&box);
	return r;
}

static const struct cli_option options[] = {
	{"console-socket", NULL, CLI_STRING,
	 "AF_UNIX socket that gets the master end of the process's terminal", NULL},
	{"cwd", NULL, CLI_STRING, "working directory in the container", NULL},
	{"env", "e", CLI_LIST, "NAME=value for the environment, again and again", NULL},
	{"tty", "t", CLI_BOOL, "give the process a terminal", NULL},
	{"user", "u", CLI_STRING, "UID[:GID]", NULL},
	{"additional-gids", "g", CLI_INT_LIST, "a further group, again and again", NULL},
	{"process", "p", CLI_STRING, "file with a process object (config.json's \"process\")",
	 NULL},
	{"detach", "d", CLI_BOOL, "do not wait for the process", NULL},
	{"pid-file", NULL, CLI_STRING, "file to write the process id to", NULL},
	{"process-label", NULL, CLI_STRING, "SELinux label of the host process", NULL},
	{"apparmor", NULL, CLI_STRING, "AppArmor profile of the host process", NULL},
	{"no-new-privs", NULL, CLI_BOOL, "no privileges by set-id programs", NULL},
	{"cap", "c", CLI_LIST, "a further capability, again and again", NULL},
	{"preserve-fds", NULL, CLI_INT, "number of further descriptors the process gets, from 3 on",
	 "0"},
	{"cgroup", NULL, CLI_LIST,
	 "an existing group below the container's, [controller[,...]:]path", NULL},
	{"ignore-paused", NULL, CLI_BOOL, "let a paused container start it when it is resumed",
	 NULL},
	{"no-subreaper", NULL, CLI_BOOL, "taken and ignored", NULL},
	{0},
};

const struct cli_command cmd_exec = {
	.name = "exec",
	.usage = "run a further process in a container",
	.args = "<container-id> <command> [arguments] || --process <file> <container-id>",
	.description =
		"Runs a command in a container with the container's user, environment,\n"
		"capabilities and directory as options change them, or the process of a file.\n"
		"Without --detach its exit status is the command's; 255 says that it could not be\n"
		"started.",
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.options = options,
	.run = exec_process,
	.prefix = "exec failed: ",
	.failure = 255,
};
