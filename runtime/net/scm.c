/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages (cmsg(3)): descriptors and credentials are the guest's, everything else passes.
 *
 * A guest file that goes to another guest travels as a token: the write end of a host pipe whose
 * read end stays here beside a reference to the file. Any copy of the token names the file by the
 * pipe's inode; when the last copy is gone, received or thrown away with its socket, the read end
 * sees a hang-up and the reference is dropped. To a peer outside the container only files that have
 * a host descriptor can be passed, as that descriptor.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "runtime/fs/fdtable.h"
#include "runtime/net/socket.h"

#define RIGHTS_MAX 253u /* SCM_MAX_FD */

struct token {
	struct list link;
	int watch; /* read end */
	uint64_t dev, ino;
	struct file *file;
};

static pthread_mutex_t token_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list tokens = LIST_INIT(tokens);
static unsigned ntokens; /* protected by token_lock; read without it as a hint */

/* ---- tokens ---- */

/* A host descriptor that stands for f, or -errno. */
static int token_create(struct file *f)
{
	struct token *tok = calloc(1, sizeof(*tok));
	struct stat st;
	int fds[2];

	if (!tok)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
		free(tok);
		return -ENFILE;
	}
	if (fstat(fds[0], &st)) {
		close(fds[0]);
		close(fds[1]);
		free(tok);
		return -EIO;
	}
	*tok = (struct token){.watch = fds[0], .dev = st.st_dev, .ino = st.st_ino};
	tok->file = file_get(f);
	pthread_mutex_lock(&token_lock);
	list_add_tail(&tokens, &tok->link);
	ntokens++;
	pthread_mutex_unlock(&token_lock);
	return fds[1];
}

/* The file a received descriptor stands for, with a reference; NULL: it is no token. */
static struct file *token_file(int fd)
{
	struct file *f = NULL;
	struct stat st;

	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return NULL;
	pthread_mutex_lock(&token_lock);
	list_for_each (pos, &tokens) {
		struct token *tok = list_entry(pos, struct token, link);

		if (tok->ino == st.st_ino && tok->dev == st.st_dev) {
			f = file_get(tok->file);
			break;
		}
	}
	pthread_mutex_unlock(&token_lock);
	return f;
}

void scm_sweep(void)
{
	struct list gone = LIST_INIT(gone);

	if (!__atomic_load_n(&ntokens, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&token_lock);
	list_for_each_safe (pos, &tokens) {
		struct token *tok = list_entry(pos, struct token, link);
		struct pollfd p = {.fd = tok->watch, .events = 0};

		if (poll(&p, 1, 0) == 1 && p.revents & POLLHUP) {
			list_del(pos);
			list_add_tail(&gone, pos);
			ntokens--;
		}
	}
	pthread_mutex_unlock(&token_lock);
	/* Outside the lock: the last reference may close a socket, which sweeps again. */
	list_for_each_safe (pos, &gone) {
		struct token *tok = list_entry(pos, struct token, link);

		list_del(pos);
		close(tok->watch);
		file_put(tok->file);
		free(tok);
	}
}

/* ---- to the host ---- */

static int host_fd_for(struct file *f, bool inside)
{
	int fd;

	if (inside)
		return token_create(f);
	if (f->host_fd < 0)
		return -EINVAL;
	fd = fcntl(f->host_fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -ENFILE : fd;
}

static int import_rights(struct task *t, struct unix_id *dest, const uint8_t *data, size_t len,
			 struct scm_out *out)
{
	size_t n = len / sizeof(int);

	if (out->nfds + n > RIGHTS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		struct file *f;
		int fd;

		memcpy(&fd, data + i * sizeof(int), sizeof(fd));
		f = fd_get(t, fd);
		if (!f)
			return -EBADF;
		fd = host_fd_for(f, dest != NULL);
		file_put(f);
		if (fd < 0)
			return fd;
		out->fds[out->nfds++] = fd;
	}
	return 0;
}

/* Credentials are remembered here, not sent: the host knows nothing of guest identities. */
static int import_cred(struct task *t, const uint8_t *data, size_t len, struct scm_out *out)
{
	const struct cred *c = t->cred;
	struct ucred u;

	if (len != sizeof(u))
		return -EINVAL;
	memcpy(&u, data, sizeof(u));
	if ((u.pid != t->process->pid && !cred_capable(c, CAP_SYS_ADMIN)) ||
	    (u.uid != c->uid && u.uid != c->euid && u.uid != c->suid &&
	     !cred_capable(c, CAP_SETUID)) ||
	    (u.gid != c->gid && u.gid != c->egid && u.gid != c->sgid &&
	     !cred_capable(c, CAP_SETGID)))
		return -EPERM;
	out->cred = u;
	out->has_cred = true;
	return 0;
}

static void append(struct scm_out *out, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)(out->buf + out->len);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	out->len += CMSG_SPACE(len);
}

static int import_one(struct task *t, struct sock *s, struct unix_id *dest, const struct cmsghdr *c,
		      const uint8_t *data, size_t len, struct scm_out *out)
{
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		return s->domain == AF_UNIX ? import_rights(t, dest, data, len, out) : 0;
	if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
		return s->domain == AF_UNIX ? import_cred(t, data, len, out) : 0;
	append(out, c->cmsg_level, c->cmsg_type, data, len);
	return 0;
}

int scm_import(struct task *t, struct sock *s, struct unix_id *dest, uint64_t control, uint64_t len,
	       struct scm_out *out)
{
	uint8_t *in;
	size_t at = 0;
	int ret;

	if (len > SOCK_CONTROL_MAX)
		return -ENOBUFS;
	scm_sweep();
	in = malloc(len);
	/* Alignment padding can only grow by one unit a header, and headers are bigger than that. */
	out->buf = calloc(1, 2 * len + CMSG_SPACE(sizeof(out->fds)));
	ret = in && out->buf ? mm_copy_in(t->mm, in, GVA(control), len) : -ENOMEM;
	while (!ret && len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr c;

		memcpy(&c, in + at, sizeof(c));
		if (c.cmsg_len < sizeof(c) || c.cmsg_len > len - at) {
			ret = -EINVAL;
			break;
		}
		ret = import_one(t, s, dest, &c, in + at + CMSG_LEN(0), c.cmsg_len - CMSG_LEN(0),
				 out);
		if (CMSG_ALIGN(c.cmsg_len) >= len - at)
			break;
		at += CMSG_ALIGN(c.cmsg_len);
	}
	if (!ret && out->nfds)
		append(out, SOL_SOCKET, SCM_RIGHTS, out->fds, out->nfds * sizeof(int));
	free(in);
	return ret;
}

void scm_out_free(struct scm_out *out)
{
	for (unsigned i = 0; i < out->nfds; i++)
		close(out->fds[i]);
	free(out->buf);
	out->buf = NULL;
	out->nfds = 0;
}

/* ---- to the guest ---- */

struct export
{
	struct task *t;
	uint8_t buf[8192];
	size_t len, room; /* room: the guest's */
	bool cut;
};

/* As the kernel's put_cmsg(): a message that does not fit whole is cut, a header that does not, left. */
static void put(struct export *e, int level, int type, const void *data, size_t len)
{
	size_t left = e->room - e->len, space;
	struct cmsghdr *c = (struct cmsghdr *)(e->buf + e->len);

	if (left < sizeof(*c) || sizeof(e->buf) - e->len < CMSG_SPACE(len)) {
		e->cut = true;
		return;
	}
	if (CMSG_LEN(len) > left) {
		e->cut = true;
		len = left - CMSG_LEN(0);
	}
	memset(c, 0, CMSG_SPACE(len));
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	space = CMSG_SPACE(len);
	e->len += space < left ? space : left;
}

static int install_received(struct export *e, int hostfd, bool cloexec)
{
	struct file *f = token_file(hostfd);
	int fd;

	if (f)
		close(hostfd);
	else if (file_from_host_fd(e->t->kernel, hostfd, &f))
		return -1;
	fd = fd_install(e->t, f, 0, cloexec);
	if (fd < 0)
		file_put(f);
	return fd;
}

static void export_rights(struct export *e, const int *fds, size_t n, bool cloexec)
{
	size_t left = e->room - e->len, room, got = 0;
	int out[RIGHTS_MAX];

	room = left > CMSG_LEN(0) ? (left - CMSG_LEN(0)) / sizeof(int) : 0;
	if (n > RIGHTS_MAX)
		n = RIGHTS_MAX;
	for (size_t i = 0; i < n; i++) {
		int fd = -1;

		/* After the first that cannot be delivered the rest is dropped, as Linux does. */
		if (got == i && i < room)
			fd = install_received(e, fds[i], cloexec);
		else
			close(fds[i]);
		if (fd >= 0)
			out[got++] = fd;
		else
			e->cut = true;
	}
	if (got)
		put(e, SOL_SOCKET, SCM_RIGHTS, out, got * sizeof(int));
}

int64_t scm_export(struct task *t, struct sock *s, struct msghdr *host, struct unix_id *src,
		   uint64_t control, uint64_t room, bool cloexec, int *flags)
{
	struct export e = {.t = t, .len = 0};

	e.room = room < sizeof(e.buf) ? (size_t)room : sizeof(e.buf);
	if (s->domain == AF_UNIX && s->passcred) {
		struct ucred c = {0, (uid_t)-1, (gid_t)-1};

		if (src)
			c = unix_get_cred(src, true);
		put(&e, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof(c));
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(host); c; c = CMSG_NXTHDR(host, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			export_rights(&e, (const int *)CMSG_DATA(c), len / sizeof(int), cloexec);
		else if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			put(&e, c->cmsg_level, c->cmsg_type, CMSG_DATA(c), len);
	}
	scm_sweep();
	if (e.cut)
		*flags |= MSG_CTRUNC;
	if (e.len && mm_copy_out(t->mm, GVA(control), e.buf, e.len))
		return -EFAULT;
	return (int64_t)e.len;
}
