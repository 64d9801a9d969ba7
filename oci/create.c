/* SPDX-License-Identifier: Apache-2.0 */
/* The creator's side of a container's birth. */
#include "oci/create.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/config.h"
#include "oci/console.h"
#include "oci/control.h"
#include "oci/hooks.h"
#include "oci/idmap.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/rootless.h"
#include "oci/sandbox.h"
#include "oci/seccomp.h"
#include "oci/systemd.h"
#include "oci/text.h"
#include "oci/userns.h"

struct birth {
	const struct oci_global *g;
	const struct container_options *o;
	struct container *c;
	struct oci_config cfg;
	struct console console;
	int bundle_fd, sync, child_sync, listener, log_fd, stats_fd;
	pid_t pid;
	bool joined[OCI_NS_COUNT];
};

static int check_options(struct birth *b, struct oci_error *err)
{
	const struct container_options *o = b->o;
	bool terminal = b->cfg.process.terminal;

	if (terminal && o->detach && !o->console_socket)
		return oci_fail(
			err, EINVAL,
			"cannot allocate tty if runc will detach without setting console socket");
	if ((!terminal || !o->detach) && o->console_socket)
		return oci_fail(
			err, EINVAL,
			"cannot use console socket if runc will not detach or allocate tty");
	for (int fd = 3; fd < 3 + o->preserve_fds; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return oci_fail(err, EBADF,
					"unable to set the file descriptor %d: it is not open", fd);
	if (geteuid() && !b->cfg.ns[OCI_NS_USER].present)
		return oci_fail(err, EPERM,
				"rootless container requires user namespaces: config.json: "
				"linux.namespaces has none (see nacre spec --rootless)");
	return b->g->systemd_cgroup ? oci_systemd_check(err) : 0;
}

static char *now_text(void)
{
	struct timespec ts;
	struct tm tm;
	char day[32], *out = NULL;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	if (asprintf(&out, "%s.%09ldZ", day, ts.tv_nsec) < 0)
		return NULL;
	return out;
}

static int load_bundle(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;
	cleanup_free char *rootfs = NULL;
	struct stat st;
	int r;

	b->bundle_fd = open(b->o->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->bundle_fd < 0)
		return oci_fail_errno(err, errno, "chdir %s", b->o->bundle);
	r = oci_config_load(b->bundle_fd, &b->cfg, err);
	if (!r)
		r = check_options(b, err);
	if (!r)
		r = oci_seccomp_compile(&b->cfg, err);
	if (!r)
		r = oci_idmap_trees(&b->cfg, b->bundle_fd, err);
	if (r)
		return r;
	s->bundle = realpath(b->o->bundle, NULL);
	if (!s->bundle)
		return oci_fail_errno(err, errno, "%s", b->o->bundle);
	if (b->cfg.rootfs[0] == '/')
		rootfs = strdup(b->cfg.rootfs);
	else if (asprintf(&rootfs, "%s/%s", s->bundle, b->cfg.rootfs) < 0)
		rootfs = NULL;
	s->rootfs = rootfs ? realpath(rootfs, NULL) : NULL;
	if (!s->rootfs)
		return oci_fail_errno(err, errno, "invalid rootfs: config.json: root.path: %s",
				      rootfs);
	if (stat(s->rootfs, &st) || !S_ISDIR(st.st_mode))
		return oci_fail_errno(err, ENOTDIR, "invalid rootfs: config.json: root.path: %s",
				      rootfs);
	return 0;
}

static int fill_state(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;

	s->id = strdup(b->o->id);
	s->created = now_text();
	s->oci_version = strdup(b->cfg.oci_version);
	s->systemd_cgroup = b->g->systemd_cgroup;
	s->rootless = b->g->rootless;
	s->annotations = calloc(b->cfg.nannotations + 1, sizeof(*s->annotations));
	if (!s->id || !s->created || !s->oci_version || !s->annotations)
		return oci_fail_errno(err, ENOMEM, "container state");
	for (size_t i = 0; i < b->cfg.nannotations; i++) {
		s->annotations[i].key = strdup(b->cfg.annotations[i].key);
		s->annotations[i].value = strdup(b->cfg.annotations[i].value);
		s->nannotations = i + 1;
		if (!s->annotations[i].key || !s->annotations[i].value)
			return oci_fail_errno(err, ENOMEM, "container state");
	}
	return 0;
}

static int save_config(struct birth *b, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	size_t len;
	int r = json_read_file(b->bundle_fd, "config.json", JSON_MAX_SIZE, &text, &len, err);

	return r ? r : oci_state_copy_file(b->c->dir, "config.json", text, len, err);
}

/* LISTEN_FDS of our caller are the container's, in front of --preserve-fds. */
static int inherited_fds(struct birth *b)
{
	const char *listen = getenv("LISTEN_FDS");
	static char fds[64];
	int n = listen ? (int)strtol(listen, NULL, 10) : 0;

	if (n <= 0 || n > 1024)
		return b->o->preserve_fds;
	snprintf(fds, sizeof(fds), "LISTEN_FDS=%d", n);
	oci_env_default(&b->cfg.arena, &b->cfg.process.env, fds);
	oci_env_default(&b->cfg.arena, &b->cfg.process.env, "LISTEN_PID=1");
	return b->o->preserve_fds + n;
}

/* Where strace, debug output and crash reports go; -1: nowhere. */
static int open_log(struct birth *b, struct oci_error *err)
{
	const char *strace = b->g->strace;

	b->log_fd = -1;
	if (strace && *strace) {
		b->log_fd = open(strace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (b->log_fd < 0)
			return oci_fail_errno(err, errno, "--strace %s", strace);
	} else if (log_is_file()) {
		b->log_fd = log_fd();
	} else if (strace || b->g->debug || !b->o->detach) {
		/* A detached container must not hold its creator's standard error open. */
		b->log_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3 + b->o->preserve_fds);
	}
	return 0;
}

static int open_stats(struct birth *b, struct oci_error *err)
{
	const char *path = b->g->stats_file;

	if (!path)
		return 0;
	b->stats_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return b->stats_fd < 0 ? oci_fail_errno(err, errno, "--stats-file %s", path) : 0;
}

static void sandbox_child(struct birth *b) __attribute__((noreturn));
static void sandbox_child(struct birth *b)
{
	struct sandbox s = {
		.cfg = &b->cfg,
		.id = b->o->id,
		.rootfs = b->c->state.rootfs,
		.bundle = b->c->state.bundle,
		.state = &b->c->state,
		.backend = b->g->backend,
		.backend_dir = NULL,
		.max_vcpus = b->g->max_vcpus,
		.tlb = b->g->tlb,
		.strace = b->g->strace != NULL,
		.debug = b->g->debug,
		.no_pivot = b->o->no_pivot,
		.new_keyring = !b->o->no_new_keyring,
		.preserve_fds = inherited_fds(b),
		.bundle_fd = b->bundle_fd,
		.sync = b->child_sync,
		.listener = b->listener,
		.log_fd = b->log_fd,
		.stats_fd = b->stats_fd,
		.slave = b->console.slave,
	};

	memcpy(s.joined, b->joined, sizeof(s.joined));
	close(b->sync);
	sandbox_main(&s);
}

/* What a new process is in from its beginning; the rest it enters or makes itself. */
static const enum oci_ns visited[] = {OCI_NS_PID, OCI_NS_NETWORK, OCI_NS_IPC, OCI_NS_UTS};
#define NVISITED (sizeof(visited) / sizeof(visited[0]))

/*
 * Whether the creator must be in a namespace by path for the clone's sake: a pid namespace is that of
 * children only, and the others cannot be entered any more from a new user namespace, which does not
 * own them. What belongs to a user namespace by path can be entered only from inside that.
 */
static bool must_visit(const struct birth *b, enum oci_ns ns)
{
	const struct oci_namespace *user = &b->cfg.ns[OCI_NS_USER];

	return b->cfg.ns[ns].path && (ns == OCI_NS_PID || (user->present && !user->path));
}

/* *saved, unless it is NULL, brings us back. */
static int visit(struct birth *b, enum oci_ns ns, int *saved, struct oci_error *err)
{
	const char *path = b->cfg.ns[ns].path;
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/ns/%s",
		 ns == OCI_NS_NETWORK ? "net" : oci_ns_name(ns));
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC),
		       back = open(self, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || back < 0 || setns(fd, (int)oci_ns_flag(ns)))
		return oci_fail_errno(err, errno, "config.json: linux.namespaces: cannot join %s",
				      path);
	if (saved)
		*saved = steal_fd(&back);
	b->joined[ns] = true;
	return 0;
}

/* The sandbox's pid, in the creator; the sandbox does not return. */
static pid_t clone_process(struct birth *b, unsigned long more, struct oci_error *err)
{
	unsigned long flags = SIGCHLD | more;
	pid_t pid;

	for (int n = 0; n < OCI_NS_COUNT; n++) {
		bool later = n == OCI_NS_CGROUP || n == OCI_NS_TIME ||
			     (b->cfg.ns[OCI_NS_USER].path && n != OCI_NS_PID);

		if (b->cfg.ns[n].present && !b->cfg.ns[n].path && !later)
			flags |= oci_ns_flag((enum oci_ns)n);
	}
	fflush(NULL);
	/* Inherited: the sandbox must not look further than it is at any moment. */
	prctl(PR_SET_NAME, OCI_COMM_CREATING);
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (!pid)
		sandbox_child(b);
	if (pid < 0)
		pid = oci_fail_errno(err, errno, "cannot make the sandbox process");
	prctl(PR_SET_NAME, OCI_COMM);
	return pid;
}

/*
 * Without the host's privileges nobody comes back from a namespace: a process that visits and clones
 * for us, and then ends.
 */
static pid_t clone_by_go_between(struct birth *b, struct oci_error *err)
{
	struct oci_error failed = {.code = ECHILD, .msg = "cannot make the sandbox process"};
	struct {
		pid_t pid;
		struct oci_error err;
	} answer = {-ECHILD, failed};
	pid_t between;
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return oci_fail_errno(err, errno, "pipe");
	fflush(NULL);
	between = fork();
	if (!between) {
		answer.pid = 0;
		for (size_t i = 0; i < NVISITED && !answer.pid; i++)
			if (must_visit(b, visited[i]))
				answer.pid = visit(b, visited[i], NULL, &answer.err);
		if (!answer.pid)
			answer.pid = clone_process(b, CLONE_PARENT, &answer.err);
		_exit(write(p[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	close(p[1]);
	if (between < 0 || read(p[0], &answer, sizeof(answer)) != sizeof(answer)) {
		answer.pid = -ECHILD;
		answer.err = failed;
	}
	close(p[0]);
	while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
		;
	if (answer.pid < 0)
		*err = answer.err;
	return answer.pid;
}

static int clone_sandbox(struct birth *b, struct oci_error *err)
{
	int saved[NVISITED] = {-1, -1, -1, -1}, r = 0;
	bool away = false;
	pid_t pid = 0;

	for (size_t i = 0; i < NVISITED; i++)
		away |= must_visit(b, visited[i]);
	if (away && b->g->rootless) {
		pid = clone_by_go_between(b, err);
	} else {
		for (size_t i = 0; i < NVISITED && !r; i++)
			if (must_visit(b, visited[i]))
				r = visit(b, visited[i], &saved[i], err);
		if (!r)
			pid = clone_process(b, 0, err);
	}
	if (pid > 0)
		b->pid = pid;
	if (pid < 0)
		r = pid;
	for (size_t i = 0; i < NVISITED; i++) {
		if (saved[i] < 0)
			continue;
		if (setns(saved[i], (int)oci_ns_flag(visited[i])) && !r)
			r = oci_fail_errno(err, errno, "cannot return to the namespace");
		close(saved[i]);
	}
	return r;
}

static int adjust_oom(struct birth *b, struct oci_error *err)
{
	char text[16];
	int r;

	if (!b->cfg.process.has_oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", b->cfg.process.oom_score_adj);
	r = text_write_proc(b->pid, "oom_score_adj", text);
	if (r == -EACCES && geteuid()) {
		log_warning("config.json: process.oomScoreAdj is not applied: permission denied");
		return 0;
	}
	return r ? oci_fail_errno(err, -r, "config.json: process.oomScoreAdj") : 0;
}

/* Between the sandbox's mounts and its entering them. */
static int run_early_hooks(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;
	cleanup_buf struct buf creating = {0};
	int r = sync_expect(b->sync, SYNC_HOOKS, err);

	if (r)
		return r;
	oci_state_json(&creating, s, OCI_CREATING, false);
	if (!buf_ok(&creating))
		return oci_fail_errno(err, ENOMEM, "container state");
	if ((r = oci_hooks_run(&b->cfg, OCI_HOOK_PRESTART, creating.s, s->bundle, err)) ||
	    (r = oci_hooks_run(&b->cfg, OCI_HOOK_CREATE_RUNTIME, creating.s, s->bundle, err)))
		return r;
	sync_send(b->sync, SYNC_GO, NULL);
	return 0;
}

static int enter_cgroups(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;
	size_t n = s->ncgroups;
	int r = 0;

	if (s->systemd_cgroup)
		r = oci_systemd_start(s, b->cfg.cgroups_path, b->pid, &b->cfg.resources, err);
	if (r)
		return r;
	if (!s->rootless)
		return oci_cgroup_attach(s, b->pid, err);
	r = rootless_enter_cgroups(s, b->pid, err);
	return r || s->ncgroups == n ? r : oci_state_save(b->c->dir, s, err);
}

/* Lead the clone to the point where it waits for start. */
static int raise_sandbox(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;
	int r;

	close(b->child_sync);
	b->child_sync = -1;
	s->pid = b->pid;
	s->pid_start = oci_pid_start_time(b->pid);
	/* On disk before anything can go wrong: delete --force finds the process. */
	if ((r = oci_state_save(b->c->dir, s, err)) ||
	    (r = userns_write_maps(&b->cfg, b->pid, err)) || (r = enter_cgroups(b, err)) ||
	    (r = adjust_oom(b, err)))
		return sync_explain(b->sync, r, err);
	sync_send(b->sync, SYNC_GO, NULL);
	if (oci_hooks_pause(&b->cfg) && (r = run_early_hooks(b, err)))
		return r;
	return sync_expect(b->sync, SYNC_READY, err);
}

static int give_console(struct birth *b, struct oci_error *err)
{
	int r;

	if (!b->cfg.process.terminal)
		return 0;
	close(b->console.slave);
	b->console.slave = -1;
	if (!b->o->console_socket) {
		b->c->master = steal_fd(&b->console.master);
		return 0;
	}
	r = console_send(&b->console, b->o->console_socket, err);
	close(b->console.master);
	b->console.master = -1;
	return r;
}

static int open_console(struct birth *b, struct oci_error *err)
{
	const struct oci_process *p = &b->cfg.process;
	int r;

	if (!p->terminal)
		return 0;
	r = console_open(&b->console, p->console_height, p->console_width, err);
	if (r)
		return r;
	if (fchown(b->console.slave, userns_host_uid(&b->cfg, p->uid), (gid_t)-1) && !geteuid())
		return oci_fail_errno(err, errno, "cannot give %s to the container's user",
				      b->console.name);
	return 0;
}

static int give_birth(struct birth *b, struct oci_error *err)
{
	struct oci_state *s = &b->c->state;
	struct oci_cgroup_mount groups[OCI_MAX_CGROUPS];
	int pair[2], r, n = oci_cgroup_mounts(groups, OCI_MAX_CGROUPS);

	if (b->g->rootless)
		rootless_cgroup_parents(groups, n);
	if ((r = save_config(b, err)) || (r = fill_state(b, err)) || (r = open_console(b, err)) ||
	    (r = open_log(b, err)) || (r = open_stats(b, err)) ||
	    (r = oci_cgroup_plan(s, b->cfg.cgroups_path, groups, n, err)) ||
	    (r = oci_state_save(b->c->dir, s, err)) ||
	    (r = oci_cgroup_create(s, groups, n, &b->cfg.resources, err)) ||
	    (r = oci_cgroup_limits(s, &b->cfg.resources, err)))
		return r;
	b->listener = control_listen(b->c->dir, err);
	if (b->listener < 0)
		return b->listener;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return oci_fail_errno(err, errno, "socketpair");
	b->sync = pair[0];
	b->child_sync = pair[1];
	if ((r = clone_sandbox(b, err)) || (r = raise_sandbox(b, err)) ||
	    (r = give_console(b, err)))
		return r;
	return b->o->pid_file ? container_write_pid_file(b->o->pid_file, s->pid, err) : 0;
}

/* A create that failed leaves nothing: process, groups, directory. */
static void undo(struct birth *b)
{
	struct oci_error ignored;

	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	oci_cgroup_remove(&b->c->state, &ignored);
	oci_state_dir_remove(b->g->root, b->o->id, &ignored);
}

static void close_all(struct birth *b)
{
	int *fds[] = {&b->bundle_fd, &b->sync,		 &b->child_sync,   &b->listener,
		      &b->stats_fd,  &b->console.master, &b->console.slave};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	if (b->log_fd >= 0 && b->log_fd != log_fd())
		close(b->log_fd);
	oci_config_free(&b->cfg);
}

int container_create(const struct oci_global *g, const struct container_options *o,
		     struct container *out, struct oci_error *err)
{
	struct birth b = {.g = g,
			  .o = o,
			  .c = out,
			  .console = {-1, -1, ""},
			  .bundle_fd = -1,
			  .sync = -1,
			  .child_sync = -1,
			  .listener = -1,
			  .log_fd = -1,
			  .stats_fd = -1};
	int r = oci_id_validate(o->id, err);

	*out = (struct container){.dir = -1, .master = -1};
	if (!r)
		r = load_bundle(&b, err);
	if (!r) {
		out->dir = oci_state_dir_create(g->root, o->id, err);
		r = out->dir < 0 ? out->dir : give_birth(&b, err);
		if (r && out->dir >= 0)
			undo(&b);
	}
	close_all(&b);
	if (r)
		container_free(out);
	return r;
}
