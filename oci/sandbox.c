/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "oci/apply.h"
#include "oci/buf.h"
#include "oci/caps.h"
#include "oci/cleanup.h"
#include "oci/hooks.h"
#include "oci/log.h"
#include "oci/rootfs.h"
#include "oci/state.h"
#include "oci/userns.h"
#include "oci/walls.h"
#include "runtime/kernel.h"

#define KEYCTL_JOIN_SESSION 1

int sync_send(int fd, enum sync_type type, const struct oci_error *e)
{
	struct sync_msg m = {.type = (char)type};

	if (e) {
		m.code = e->code;
		snprintf(m.text, sizeof(m.text), "%s", e->msg);
	}
	return send(fd, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -errno;
}

int sync_expect(int fd, enum sync_type type, struct oci_error *err)
{
	struct sync_msg m;
	ssize_t n;

	/* A peer that ended with a message of ours unread leaves a reset, once, before its last words. */
	do
		n = recv(fd, &m, sizeof(m), 0);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n != sizeof(m))
		return oci_fail(err, ECONNRESET, "the sandbox process ended before it was ready");
	m.text[sizeof(m.text) - 1] = '\0';
	if (m.type == SYNC_ERROR)
		return oci_fail(err, m.code, "%s", m.text);
	if (m.type != (char)type)
		return oci_fail(err, EPROTO, "the sandbox process is out of step");
	return 0;
}

int sync_explain(int fd, int r, struct oci_error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct oci_error theirs;
	int e = poll(&p, 1, 0) == 1 ? sync_expect(fd, SYNC_READY, &theirs) : 0;

	if (!e)
		return r;
	*err = theirs;
	return e;
}

static int join_namespaces(struct sandbox *s, struct oci_error *err)
{
	/* The user namespace first: it gives the right to enter the others. */
	static const enum oci_ns order[] = {OCI_NS_USER, OCI_NS_IPC, OCI_NS_UTS, OCI_NS_NETWORK,
					    OCI_NS_CGROUP};
	int fresh = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct oci_namespace *ns = &s->cfg->ns[order[i]];

		if (!ns->path || s->joined[order[i]])
			continue;
		cleanup_fd int fd = open(ns->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || setns(fd, (int)oci_ns_flag(order[i])))
			return oci_fail_errno(err, errno,
					      "config.json: linux.namespaces: cannot join %s",
					      ns->path);
	}
	/* With a joined user namespace the new ones are made here, to belong to it. */
	if (s->cfg->ns[OCI_NS_USER].path) {
		for (int n = 0; n < OCI_NS_COUNT; n++)
			if (s->cfg->ns[n].present && !s->cfg->ns[n].path && n != OCI_NS_PID &&
			    n != OCI_NS_CGROUP && n != OCI_NS_TIME)
				fresh |= (int)oci_ns_flag((enum oci_ns)n);
		if (fresh && unshare(fresh))
			return oci_fail_errno(err, errno, "cannot make namespaces");
	}
	return 0;
}

/* The creator's groups reach nothing of the container's but what somebody bound into it for them. */
static int drop_groups(const struct sandbox *s, struct oci_error *err)
{
	for (size_t i = 0; i < s->cfg->nannotations; i++)
		if (!strcmp(s->cfg->annotations[i].key, "run.oci.keep_original_groups") &&
		    !strcmp(s->cfg->annotations[i].value, "1"))
			return 0;
	/* EPERM: given up for the right to map one's own group (user_namespaces(7)). */
	if (setgroups(0, NULL) && errno != EPERM)
		return oci_fail_errno(err, errno, "setgroups");
	return 0;
}

/* Who may ask things of the sandbox is the one who made the socket. */
static int know_owner(struct sandbox *s, struct oci_error *err)
{
	struct stat st;

	if (fstat(s->listener, &st))
		return oci_fail_errno(err, errno, "cannot examine the control socket");
	s->owner = st.st_uid;
	return 0;
}

/* User 0 of the new user namespace: files made for the container belong to somebody it knows. */
static int become_root(struct sandbox *s, struct oci_error *err)
{
	int r = drop_groups(s, err);

	if (r || !s->cfg->ns[OCI_NS_USER].present)
		return r;
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
		return oci_fail_errno(
			err, errno, "config.json: linux.uidMappings: container id 0 is not mapped");
	/* Changing ids cleared it; createContainer hooks and /proc/self need it. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

static int loopback_up(struct sandbox *s, struct oci_error *err)
{
	struct ifreq req = {.ifr_name = "lo"};
	cleanup_fd int fd = -1;

	if (!s->cfg->ns[OCI_NS_NETWORK].present || s->cfg->ns[OCI_NS_NETWORK].path)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &req))
		return oci_fail_errno(err, errno, "cannot bring up the loopback interface");
	req.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req))
		return oci_fail_errno(err, errno, "cannot bring up the loopback interface");
	return 0;
}

static int set_names(struct sandbox *s, struct oci_error *err)
{
	const struct oci_config *c = s->cfg;

	if (!c->ns[OCI_NS_UTS].present)
		return 0;
	if (c->hostname && *c->hostname && sethostname(c->hostname, strlen(c->hostname)))
		return oci_fail_errno(err, errno, "config.json: hostname");
	if (c->domainname && *c->domainname && setdomainname(c->domainname, strlen(c->domainname)))
		return oci_fail_errno(err, errno, "config.json: domainname");
	return 0;
}

/* Everything not named here stays with the creator: its pipes must close when it ends. */
static void close_others(struct sandbox *s)
{
	const int own[] = {s->bundle_fd, s->sync,  s->listener, s->log_fd,
			   s->stats_fd,	 s->slave, log_fd()};
	const size_t nown = sizeof(own) / sizeof(own[0]);
	const size_t n = nown + s->cfg->nmounts;
	int low = 3 + s->preserve_fds;

	for (;;) {
		int next = -1;

		for (size_t i = 0; i < n; i++) {
			int fd = i < nown ? own[i] : s->cfg->trees[i - nown];

			if (fd >= low && (next < 0 || fd < next))
				next = fd;
		}
		if (next < 0)
			break;
		if (next > low)
			close_range((unsigned)low, (unsigned)next - 1, 0);
		low = next + 1;
	}
	close_range((unsigned)low, ~0u, 0);
}

/* A proc of our own pid namespace shows the sandbox alone; the host's is the second choice. */
static int open_proc(void)
{
	cleanup_fd int fs = fsopen("proc", FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs >= 0 && !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = fsmount(fs, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd >= 0 ? fd : open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Our own 0, 1, 2 become /dev/null, so that the guest's closing its last copy closes the pipe. */
static int take_stdio(struct sandbox *s, int stdio[3], struct oci_error *err)
{
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return oci_fail_errno(err, errno, "cannot open /dev/null");
	for (int i = 0; i < 3; i++) {
		stdio[i] =
			fcntl(s->slave >= 0 ? s->slave : i, F_DUPFD_CLOEXEC, 3 + s->preserve_fds);
		if (stdio[i] < 0 && errno != EBADF)
			return oci_fail_errno(err, errno, "cannot keep standard descriptor %d", i);
		if (s->log_fd == i && stdio[i] >= 0) {
			s->log_fd = fcntl(i, F_DUPFD_CLOEXEC, 3 + s->preserve_fds);
			log_set_fd(s->log_fd);
		}
	}
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return oci_fail_errno(err, errno, "cannot replace standard descriptor %d",
					      i);
	return 0;
}

void sandbox_fill_process(const struct sandbox *s, const struct oci_process *p,
			  struct kernel_process_spec *k)
{
	k->argv = p->args;
	k->envp = p->env;
	k->cwd = p->cwd;
	k->uid = p->uid;
	k->gid = p->gid;
	k->groups = p->groups;
	k->ngroups = p->ngroups;
	k->umask = p->umask;
	k->cap_effective = p->cap_effective;
	k->cap_permitted = p->cap_permitted;
	k->cap_inheritable = p->cap_inheritable;
	k->cap_bounding = p->cap_bounding;
	k->cap_ambient = p->cap_ambient;
	k->no_new_privs = p->no_new_privs;
	k->seccomp = s->cfg->seccomp;
	k->nseccomp = s->cfg->nseccomp;
	oci_apply_process(s->cfg, p, p != &s->cfg->process, k);
	for (int i = 0; i < OCI_NRLIMITS; i++)
		k->rlimits[i] = p->rlimit_set[i] ? p->rlimits[i] : s->limits[i];
}

static void note_limits(struct sandbox *s)
{
	for (int i = 0; i < OCI_NRLIMITS; i++) {
		struct rlimit lim = {RLIM_INFINITY, RLIM_INFINITY};

		getrlimit((__rlimit_resource_t)i, &lim);
		s->limits[i] = (struct rlimit64){lim.rlim_cur, lim.rlim_max};
	}
}

/* The guest's descriptors are ours too, and a crash must not write guest memory to a file. */
static void own_limits(void)
{
	struct rlimit lim;

	walls_no_dumps();
	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		struct rlimit more = {1 << 20, 1 << 20};

		lim.rlim_cur = lim.rlim_max;
		if (lim.rlim_max >= more.rlim_max || setrlimit(RLIMIT_NOFILE, &more))
			setrlimit(RLIMIT_NOFILE, &lim);
	}
	lim = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_FSIZE, &lim);
}

/*
 * The hypervisor's device belongs to the host: it is opened by whoever called nacre, with the groups
 * he has, before the sandbox takes on the ids of a user namespace.
 */
static int open_machine(struct sandbox *s, struct kernel_config *cfg, struct oci_error *err)
{
	char why[768] = "";
	int r;

	cfg->backend = s->backend;
	cfg->backend_dir = s->backend_dir;
	cfg->max_vcpus = s->max_vcpus;
	r = kernel_open_machine(cfg, why, sizeof(why));
	return r ? oci_fail(err, -r, "cannot start the application kernel: %s", why) : 0;
}

static int make_kernel(struct sandbox *s, struct rootfs *root, struct kernel_config *cfg,
		       struct kernel **k, struct oci_error *err)
{
	const struct oci_resources *res = &s->cfg->resources;
	struct utsname un;
	char why[768] = "";
	int r;

	uname(&un);
	note_limits(s);
	sandbox_fill_process(s, &s->cfg->process, &cfg->init);
	cfg->init.extra_fds = s->preserve_fds;
	cfg->init.terminal = s->slave >= 0;
	own_limits();
	cfg->hostname = un.nodename;
	cfg->domainname = un.domainname;
	cfg->tlb = s->tlb;
	cfg->memory_bytes = res->has_memory && res->memory > 0 ? (uint64_t)res->memory : 0;
	cfg->pids_max =
		res->has_pids && res->pids > 0 && res->pids < INT32_MAX ? (unsigned)res->pids : 0;
	cfg->rootfs_fd = root->fd;
	cfg->host_proc_fd = open_proc();
	cfg->root_readonly = s->cfg->root_readonly;
	cfg->mounts = root->mounts;
	cfg->nmounts = root->nmounts;
	cfg->strace = s->strace;
	cfg->debug = s->debug;
	cfg->ids = s->ids;
	r = oci_apply_kernel(s->cfg, cfg, err);
	if (r)
		return r;
	r = take_stdio(s, cfg->init.stdio, err);
	if (r)
		return r;
	cfg->log_fd = s->log_fd;
	r = walls_landlock_prepare(root, cfg->host_proc_fd, &s->ruleset, err);
	if (r)
		return r;
	r = kernel_create(cfg, k, why, sizeof(why));
	return r ? oci_fail(err, -r, "cannot start the application kernel: %s", why) : 0;
}

int sandbox_load_error(int r, const char *why, const char *program, struct oci_error *err)
{
	if (strstr(why, "exec:") || !strncmp(why, "chdir to cwd", 12))
		return oci_fail(err, -r, "unable to start container process: %s", why);
	return oci_fail(err, -r, "unable to start container process: exec: \"%s\": %s", program,
			why);
}

static int load_init(struct sandbox *s, struct kernel *k, struct oci_error *err)
{
	char why[768] = "";
	int r = kernel_load_init(k, why, sizeof(why));

	return r ? sandbox_load_error(r, why, s->cfg->process.args[0], err) : 0;
}

/* Our pid as the host counts, while the host's proc is there. */
static pid_t host_pid(void)
{
	char text[16];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	if (n <= 0)
		return getpid();
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static int create_container_hooks(struct sandbox *s, struct oci_error *err)
{
	cleanup_buf struct buf json = {0};

	s->state->pid = host_pid();
	if (!s->cfg->hooks[OCI_HOOK_CREATE_CONTAINER].n)
		return 0;
	oci_state_json(&json, s->state, OCI_CREATING, false);
	if (!buf_ok(&json))
		return oci_fail_errno(err, ENOMEM, "container state");
	return oci_hooks_run(s->cfg, OCI_HOOK_CREATE_CONTAINER, json.s, NULL, err);
}

static int environment(struct sandbox *s, struct rootfs *root, struct oci_error *err)
{
	int r;

	if ((r = join_namespaces(s, err)) || (r = become_root(s, err)) ||
	    (r = know_owner(s, err)) || (r = userns_own_ids(&s->ids, err)) ||
	    (r = userns_check_process(&s->ids, &s->cfg->process, "config.json: process.", err)) ||
	    (r = set_names(s, err)) || (r = loopback_up(s, err)) ||
	    (r = oci_apply_environment(s->cfg, err)) ||
	    (r = rootfs_prepare(root, s->cfg, s->bundle_fd, err)))
		return r;
	if (s->cfg->ns[OCI_NS_CGROUP].present && !s->cfg->ns[OCI_NS_CGROUP].path &&
	    unshare(CLONE_NEWCGROUP))
		return oci_fail_errno(err, errno, "cannot make a cgroup namespace");
	if (s->new_keyring) {
		char name[300];

		/* The caller's session keys are not the container's; hosts without keys have none. */
		snprintf(name, sizeof(name), "_ses.%s", s->id);
		syscall(SYS_keyctl, KEYCTL_JOIN_SESSION, name);
	}
	if (oci_hooks_pause(s->cfg)) {
		sync_send(s->sync, SYNC_HOOKS, NULL);
		if ((r = sync_expect(s->sync, SYNC_GO, err)))
			return r;
	}
	return create_container_hooks(s, err);
}

/* What belongs to a thread and is inherited by those it makes. */
static int give_up(struct sandbox *s, struct oci_error *err)
{
	const struct oci_process *p = &s->cfg->process;
	int r;

	/* In a user namespace every capability is held, and says nothing of the caller's. */
	if (!s->cfg->ns[OCI_NS_USER].present)
		walls_not_traceable();
	if ((r = walls_labels_apply(p, &s->labels, err)) ||
	    (r = oci_caps_drop(p->cap_bounding | p->cap_effective | p->cap_permitted, err)))
		return r;
	return walls_landlock_enter(&s->ruleset, err);
}

static int prepare(struct sandbox *s, struct kernel **k, struct oci_error *err)
{
	const struct oci_process *p = &s->cfg->process;
	struct rootfs root = {.fd = -1, .path = s->rootfs};
	struct kernel_config cfg = {0};
	static char home[512];
	int r;

	close_others(s);
	if (setsid() < 0 && errno != EPERM)
		return oci_fail_errno(err, errno, "setsid");
	if (s->slave >= 0 && ioctl(s->slave, TIOCSCTTY, 0))
		return oci_fail_errno(err, errno, "cannot take the container's terminal");
	/*
	 * Beside the creator's putting us into control groups, which takes as long: moving a process
	 * waits for an RCU grace period. Nothing is ours to touch before it says so.
	 */
	if ((r = oci_apply_clocks(s->cfg, err)) || (r = open_machine(s, &cfg, err)) ||
	    (r = sync_expect(s->sync, SYNC_GO, err)) || (r = environment(s, &root, err)))
		return r;
	rootfs_home(root.fd, p->uid, home, sizeof(home));
	oci_env_default(&s->cfg->arena, &s->cfg->process.env, home);
	/*
	 * The backend's files are the host's: the kernel is made before the root changes. Loading init
	 * makes the first thread that runs guest code: what threads inherit is given up before.
	 */
	if ((r = walls_labels_prepare(p, &s->labels, err)) ||
	    (r = make_kernel(s, &root, &cfg, k, err)) ||
	    (r = rootfs_enter(&root, s->no_pivot, err)) || (r = give_up(s, err)) ||
	    (r = load_init(s, *k, err)))
		return r;
	if (s->slave >= 0)
		close(s->slave);
	close(s->bundle_fd);
	walls_forget_environment();
	umask(0);
	return walls_install(err);
}

void sandbox_main(struct sandbox *s)
{
	struct oci_error err = {0};
	struct kernel *k = NULL;
	int sync;

	sandbox_block_signals();
	if (prepare(s, &k, &err)) {
		sync_send(s->sync, SYNC_ERROR, &err);
		_exit(1);
	}
	sync = s->sync;
	s->sync = -1;
	prctl(PR_SET_NAME, OCI_COMM_CREATED);
	/* A creator that is gone told nobody of us. */
	if (sync_send(sync, SYNC_READY, NULL))
		_exit(1);
	close(sync);
	sandbox_loop(s, k);
}
