/* SPDX-License-Identifier: Apache-2.0 */
/* Making, naming, connecting and shutting down sockets. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "runtime/fs/fdtable.h"
#include "runtime/net/socket.h"
#include "runtime/syscall/syscall.h"

#define BACKLOG_RETRY_NS 2000000u /* a full AF_UNIX backlog cannot be polled for */

/* Families and protocols a guest may ask for; what the host then says is the answer. */
static int may_create(struct task *t, int domain, int type, int protocol)
{
	switch (domain) {
	case AF_UNIX:
		return 0;
	case AF_INET:
	case AF_INET6:
		return type == SOCK_RAW && !cred_capable(t->cred, CAP_NET_RAW) ? -EPERM : 0;
	case AF_NETLINK:
		if (type != SOCK_RAW && type != SOCK_DGRAM)
			return -ESOCKTNOSUPPORT;
		return protocol == NETLINK_ROUTE || protocol == NETLINK_KOBJECT_UEVENT
			       ? 0
			       : -EPROTONOSUPPORT;
	case AF_PACKET:
		return cred_capable(t->cred, CAP_NET_RAW) ? 0 : -EPERM;
	default:
		return -EAFNOSUPPORT;
	}
}

static int check_type(int type)
{
	int base = type & 0xf;

	if (type & ~(0xf | SOCK_CLOEXEC | SOCK_NONBLOCK) || base > SOCK_PACKET)
		return -EINVAL;
	return base;
}

static unsigned status_flags(int type)
{
	return type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
}

int64_t sys_socket(struct task *t, const uint64_t a[6])
{
	int domain = (int)a[0], type = check_type((int)a[1]), protocol = (int)a[2], fd, ret;
	struct file *f;

	if (type < 0)
		return type;
	ret = may_create(t, domain, type, protocol);
	if (ret)
		return ret;
	fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	ret = sock_create(t->kernel, fd, status_flags((int)a[1]), &f);
	return ret ? ret : sock_install(t, f, (int)a[1]);
}

/* Both ends are this process's until somebody else sends. */
static int pair_ids(struct task *t, struct file *f[2])
{
	struct unix_id *id[2] = {unix_id_create(t), unix_id_create(t)};

	if (!id[0] || !id[1]) {
		unix_id_put(id[0]);
		unix_id_put(id[1]);
		return -ENOMEM;
	}
	for (int i = 0; i < 2; i++) {
		struct sock *s = sock_of(f[i]);

		s->self = id[i];
		s->peer = id[!i];
		atomic_fetch_add(&id[i]->refs, 1);
	}
	return 0;
}

static int make_pair(struct task *t, int domain, int type, int protocol, struct file *f[2])
{
	int fds[2], ret;

	if (socketpair(domain, (type & 0xf) | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol, fds))
		return errno == EMFILE ? -ENFILE : -errno;
	ret = sock_create(t->kernel, fds[0], status_flags(type), &f[0]);
	if (ret) {
		close(fds[1]);
		return ret;
	}
	ret = sock_create(t->kernel, fds[1], status_flags(type), &f[1]);
	if (ret) {
		file_put(f[0]);
		return ret;
	}
	ret = pair_ids(t, f);
	if (ret) {
		file_put(f[0]);
		file_put(f[1]);
	}
	return ret;
}

int64_t sys_socketpair(struct task *t, const uint64_t a[6])
{
	int type = check_type((int)a[1]), guest[2], ret;
	struct file *f[2];

	if (type < 0)
		return type;
	if ((int)a[0] != AF_UNIX) {
		ret = may_create(t, (int)a[0], type, (int)a[2]);
		return ret ? ret : -EOPNOTSUPP;
	}
	ret = make_pair(t, (int)a[0], (int)a[1], (int)a[2], f);
	if (ret)
		return ret;
	guest[0] = sock_install(t, f[0], (int)a[1]);
	if (guest[0] < 0) {
		file_put(f[1]);
		return guest[0];
	}
	guest[1] = sock_install(t, f[1], (int)a[1]);
	ret = guest[1] < 0 ? guest[1] : mm_copy_out(t->mm, GVA(a[3]), guest, sizeof(guest));
	if (ret) {
		fd_close(t, guest[0]);
		if (guest[1] >= 0)
			fd_close(t, guest[1]);
	}
	return ret;
}

int64_t sys_bind(struct task *t, const uint64_t a[6])
{
	struct sockaddr_storage ss;
	struct file *f;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = sockaddr_copy_in(t, a[1], a[2], &ss);
	if (!ret)
		ret = sockaddr_bind(t, f, &ss, (socklen_t)a[2]);
	file_put(f);
	return ret;
}

int64_t sys_listen(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (sock_of(f)->domain == AF_UNIX && sock_of(f)->self)
		ret = unix_identify(t, f, true);
	if (!ret && listen(f->host_fd, (int)a[1]))
		ret = -errno;
	file_put(f);
	return ret;
}

/* ---- accept ---- */

static int accept_wait(struct task *t, struct file *f, struct sockaddr_storage *peer,
		       socklen_t *len)
{
	uint64_t deadline = sock_deadline(sock_of(f)->rcvtimeo);
	int flags = fcntl(f->host_fd, F_GETFL);

	/* An inherited listener may be a blocking one. */
	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(f->host_fd, F_SETFL, flags | O_NONBLOCK);
	for (;;) {
		int fd, ret;

		*len = sizeof(*peer);
		fd = accept4(f->host_fd, (struct sockaddr *)peer, len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno == EINTR)
			continue;
		if (errno == EMFILE)
			return -ENFILE;
		if (errno != EAGAIN || f->flags & O_NONBLOCK)
			return -errno;
		ret = sock_wait(t, f, POLLIN, deadline);
		if (ret)
			return ret;
	}
}

/* The new socket shows the listener's name and knows who connected. */
static void accept_ids(struct sock *listener, struct sock *s, const struct sockaddr_storage *peer,
		       socklen_t len)
{
	if (s->domain != AF_UNIX)
		return;
	pthread_mutex_lock(&listener->lock);
	s->self = listener->self;
	if (s->self)
		atomic_fetch_add(&s->self->refs, 1);
	pthread_mutex_unlock(&listener->lock);
	s->peer = unix_id_find(peer, len);
	s->passcred = listener->passcred;
}

static int64_t do_accept(struct task *t, const uint64_t a[6], int flags)
{
	struct sockaddr_storage peer = {0};
	struct file *f, *new;
	socklen_t len;
	int ret;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	ret = sock_get(t, (int)a[0], &f);
	if (ret)
		return ret;
	ret = accept_wait(t, f, &peer, &len);
	if (ret >= 0)
		ret = sock_create(t->kernel, ret, status_flags(flags), &new);
	if (!ret) {
		accept_ids(sock_of(f), sock_of(new), &peer, len);
		if (a[1])
			ret = sockaddr_copy_out(t, sock_of(f), a[1], a[2], &peer, len);
		if (ret)
			file_put(new);
		else
			ret = sock_install(t, new, flags);
	}
	file_put(f);
	return ret;
}

int64_t sys_accept(struct task *t, const uint64_t a[6])
{
	return do_accept(t, a, 0);
}

int64_t sys_accept4(struct task *t, const uint64_t a[6])
{
	return do_accept(t, a, (int)a[3]);
}

/* ---- connect ---- */

static int connect_result(struct file *f)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(f->host_fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

/* The connection is under way: wait for its end. */
static int connect_wait(struct task *t, struct file *f, uint64_t deadline)
{
	struct sock *s = sock_of(f);
	int ret;

	s->connecting = true;
	do {
		struct pollfd p = {.fd = f->host_fd, .events = POLLOUT};

		ret = sock_wait(t, f, POLLOUT, deadline);
		if (!ret && poll(&p, 1, 0) == 1)
			break;
	} while (!ret);
	if (ret)
		return ret == -EAGAIN ? -EINPROGRESS : ret;
	s->connecting = false;
	return connect_result(f);
}

/* Another try after a pause: the listener's queue is full. */
static int connect_pause(struct task *t, uint64_t deadline)
{
	uint64_t next = monotonic_ns() + BACKLOG_RETRY_NS;
	int ret;

	if (next >= deadline)
		return -EAGAIN;
	task_prepare_park(t);
	ret = task_park(t, next, NULL, 0);
	if (ret == -EINTR)
		return deadline == DEADLINE_NONE ? -ERESTARTSYS : -EINTR;
	return 0;
}

static int do_connect(struct task *t, struct file *f, const struct sock_addr *to)
{
	struct sock *s = sock_of(f);
	uint64_t deadline = sock_deadline(s->sndtimeo);
	bool block = !(f->flags & O_NONBLOCK);

	for (;;) {
		int ret;

		if (!connect(f->host_fd, (const struct sockaddr *)&to->ss, to->len)) {
			s->connecting = false;
			return 0;
		}
		switch (errno) {
		case EINTR:
			continue;
		case EINPROGRESS:
			return block ? connect_wait(t, f, deadline) : -EINPROGRESS;
		case EALREADY:
			return block ? connect_wait(t, f, deadline) : -EALREADY;
		case EISCONN:
			/* An interrupted blocking connect that has succeeded meanwhile. */
			return block && atomic_exchange(&s->connecting, false) ? 0 : -EISCONN;
		case EAGAIN:
			if (s->domain != AF_UNIX || !block)
				return -EAGAIN;
			ret = connect_pause(t, deadline);
			if (ret)
				return ret;
			continue;
		default:
			return -errno;
		}
	}
}

int64_t sys_connect(struct task *t, const uint64_t a[6])
{
	struct sockaddr_storage ss;
	struct sock_addr to;
	struct file *f;
	struct sock *s;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	s = sock_of(f);
	ret = sockaddr_copy_in(t, a[1], a[2], &ss);
	if (ret) {
		file_put(f);
		return ret;
	}
	ret = sockaddr_resolve(t, s, &ss, (socklen_t)a[2], &to);
	if (!ret && s->domain == AF_UNIX && ss.ss_family == AF_UNIX)
		ret = unix_identify(t, f, true);
	if (!ret)
		ret = do_connect(t, f, &to);
	if (!ret && s->domain == AF_UNIX) {
		sock_set_peer(s, to.peer);
		to.peer = NULL;
	}
	sockaddr_release(&to);
	file_put(f);
	return ret;
}

/* ---- names, shutdown ---- */

static int64_t get_name(struct task *t, const uint64_t a[6], bool peer)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct file *f;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (peer ? getpeername(f->host_fd, (struct sockaddr *)&ss, &len)
		 : getsockname(f->host_fd, (struct sockaddr *)&ss, &len))
		ret = -errno;
	else
		ret = sockaddr_copy_out(t, sock_of(f), a[1], a[2], &ss, len);
	file_put(f);
	return ret;
}

int64_t sys_getsockname(struct task *t, const uint64_t a[6])
{
	return get_name(t, a, false);
}

int64_t sys_getpeername(struct task *t, const uint64_t a[6])
{
	return get_name(t, a, true);
}

int64_t sys_shutdown(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (shutdown(f->host_fd, (int)a[1]))
		ret = -errno;
	file_put(f);
	return ret;
}
