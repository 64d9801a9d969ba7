/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/sandbox_exec.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/userns.h"
#include "runtime/kernel.h"

struct guest_exec {
	int conn; /* -1: the other end is gone */
	pid_t pid;
	int wake;
	atomic_bool ended; /* status is valid */
	int status;
};

int sandbox_exec_init(struct exec_list *l, struct sandbox *s, struct kernel *k)
{
	*l = (struct exec_list){.s = s, .k = k, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	return l->wake < 0 ? -errno : 0;
}

/* On the process's own thread, at its end. */
static void on_end(int status, void *arg)
{
	struct guest_exec *e = arg;
	uint64_t one = 1;
	int wake = e->wake;

	e->status = status;
	atomic_store(&e->ended, true);
	/* e may be gone from here on. The counter cannot be full: the reader clears it. */
	if (write(wake, &one, sizeof(one)) < 0)
		return;
}

/* The strings of *p live in *tree. */
static int read_process(int fd, struct oci_arena **arena, yajl_val *tree, struct oci_process *p,
			struct oci_error *err)
{
	cleanup_free char *text = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > (off_t)JSON_MAX_SIZE)
		return oci_fail(err, EPROTO, "the process description is unreadable");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return oci_fail_errno(err, ENOMEM, "process description");
	if (pread(fd, text, (size_t)st.st_size, 0) != st.st_size)
		return oci_fail(err, EPROTO, "the process description is unreadable");
	text[st.st_size] = '\0';
	*tree = json_parse(text, (size_t)st.st_size, "process", err);
	if (!*tree)
		return -EINVAL;
	/* The command that sent it has said what there was to warn of. */
	log_mute(true);
	r = oci_process_parse(arena, *tree, "process", "", p, err);
	log_mute(false);
	return r;
}

static int run(struct exec_list *l, struct guest_exec *e, const struct oci_process *p,
	       const struct control_request *req, int *fds, int nfds, struct oci_error *err)
{
	struct kernel_process_spec spec = {0};
	char why[768] = "";
	int used = 1;

	sandbox_fill_process(l->s, p, &spec);
	for (int i = 0; i < 3; i++)
		spec.stdio[i] = req->flags & (CONTROL_STDIN << i) && used < nfds
					? steal_fd(&fds[used++])
					: -1;
	spec.terminal = p->terminal;
	spec.extra = &fds[used];
	spec.extra_fds = req->arg == nfds - used ? req->arg : 0;
	e->pid = kernel_exec(l->k, &spec, on_end, e, why, sizeof(why));
	/* Whatever became of them, they are the kernel's. */
	for (int i = 0; i < spec.extra_fds; i++)
		fds[used + i] = -1;
	return e->pid < 0 ? sandbox_load_error(e->pid, why, p->args[0], err) : 0;
}

static int start(struct exec_list *l, struct guest_exec *e, const struct control_request *req,
		 int *fds, int nfds, struct oci_error *err)
{
	struct guest_exec **more = realloc(l->v, (l->n + 1) * sizeof(*more));
	struct oci_arena *arena = NULL;
	yajl_val tree = NULL;
	struct oci_process p;
	int r;

	if (!e || !more)
		r = oci_fail_errno(err, ENOMEM, "exec");
	else if (!nfds)
		r = oci_fail(err, EPROTO, "no process description came");
	else if (!(r = read_process(fds[0], &arena, &tree, &p, err)) &&
		 !(r = userns_check_process(&l->s->ids, &p, "process.", err)))
		r = run(l, e, &p, req, fds, nfds, err);
	oci_arena_free(&arena);
	if (tree)
		yajl_tree_free(tree);
	if (more)
		l->v = more;
	if (!r)
		l->v[l->n++] = e;
	return r;
}

void sandbox_exec_start(struct exec_list *l, int conn, const struct control_request *req, int *fds,
			int nfds, struct control_reply *reply)
{
	struct guest_exec *e = calloc(1, sizeof(*e));
	struct oci_error err = {0};
	int r;

	if (e)
		*e = (struct guest_exec){.conn = conn, .wake = l->wake};
	r = start(l, e, req, fds, nfds, &err);
	for (int i = 0; i < nfds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	reply->result = r ? r : e->pid;
	if (r)
		reply->len = (uint32_t)snprintf(reply->payload, sizeof(err.msg), "%s", err.msg);
	control_answer(conn, reply);
	if (r) {
		close(conn);
		free(e);
	}
}

void sandbox_exec_poll(const struct exec_list *l, struct pollfd *p)
{
	p[0] = (struct pollfd){l->wake, POLLIN, 0};
	for (size_t i = 0; i < l->n; i++)
		p[1 + i] = (struct pollfd){l->v[i]->conn, POLLIN, 0};
}

static void on_message(struct exec_list *l, struct guest_exec *e)
{
	struct control_signal m;
	ssize_t n = recv(e->conn, &m, sizeof(m), MSG_DONTWAIT);

	if (n == sizeof(m)) {
		if (m.terminal && kernel_terminal_signal(l->k, e->pid, m.sig) == 0)
			return;
		kernel_signal(l->k, e->pid, m.sig);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Nobody stands for the process any more: it was killed from outside. */
	close(e->conn);
	e->conn = -1;
	kernel_signal(l->k, e->pid, SIGKILL);
}

static void tell(struct guest_exec *e)
{
	struct control_exit m = {e->status};

	if (e->conn < 0)
		return;
	send(e->conn, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(e->conn);
}

static void take_out_ended(struct exec_list *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (atomic_load(&l->v[i]->ended)) {
			tell(l->v[i]);
			free(l->v[i]);
		} else {
			l->v[kept++] = l->v[i];
		}
	}
	l->n = kept;
}

void sandbox_exec_work(struct exec_list *l, const struct pollfd *p)
{
	uint64_t count;

	for (size_t i = 0; i < l->n; i++)
		if (p[1 + i].revents && l->v[i]->conn >= 0 && !atomic_load(&l->v[i]->ended))
			on_message(l, l->v[i]);
	if (p[0].revents && read(l->wake, &count, sizeof(count)) == sizeof(count))
		take_out_ended(l);
}

void sandbox_exec_finish(struct exec_list *l)
{
	take_out_ended(l);
}
