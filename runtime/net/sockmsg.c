/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending and receiving. Data moves through a bounce buffer: what a host call reads cannot change
 * under it, and a message is taken from the socket only once. Waiting is task_park()'s.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "runtime/net/socket.h"
#include "runtime/syscall/syscall.h"

#define STACK_BUFFER  16384u
#define STREAM_CHUNK  (256u << 10)
#define DATAGRAM_MAX  (4u << 20) /* more than any net.core.wmem_max in use */
#define IOV_MAX_GUEST 1024u
#define MMSG_MAX      1024u
#define NS_PER_SEC    1000000000ull
/* Flags that mean something else to this code, or that a bounce buffer makes pointless. */
#define SEND_FLAGS_DROPPED (MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC)
#define RECV_FLAGS_DROPPED (MSG_WAITALL | MSG_DONTWAIT | MSG_CMSG_CLOEXEC)

/* struct msghdr and mmsghdr of 64-bit Linux. */
struct guest_msghdr {
	uint64_t name;
	uint32_t namelen, pad0;
	uint64_t iov, iovlen, control, controllen;
	uint32_t flags, pad1;
};
struct guest_mmsghdr {
	struct guest_msghdr hdr;
	uint32_t len, pad;
};

/* ---- sending ---- */

static bool nonblocking(const struct file *f, int flags)
{
	return flags & MSG_DONTWAIT || f->flags & O_NONBLOCK;
}

static void send_sigpipe(struct task *t)
{
	guest_siginfo_t info = {.si_signo = SIGPIPE, .si_code = SI_USER};

	info.si_pid = t->process->pid;
	info.si_uid = t->cred->uid;
	signal_send_task(t, SIGPIPE, &info);
}

/* One host sendmsg, waited for. */
static int64_t send_wait(struct task *t, struct file *f, struct msghdr *m, int flags,
			 uint64_t deadline)
{
	for (;;) {
		ssize_t n = sendmsg(f->host_fd, m,
				    (flags & ~SEND_FLAGS_DROPPED) | MSG_DONTWAIT | MSG_NOSIGNAL);
		int ret;

		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || nonblocking(f, flags))
			return -errno;
		ret = sock_wait(t, f, POLLOUT, deadline);
		if (ret)
			return ret;
	}
}

/* The bytes at buf; stream sockets go on until all are sent. */
static int64_t send_buffer(struct task *t, struct file *f, uint8_t *buf, size_t len,
			   struct msghdr *m, int flags, uint64_t deadline)
{
	bool stream = sock_is_stream(sock_of(f));
	size_t done = 0;

	do {
		struct iovec iov = {buf + done, len - done};
		int64_t n;

		m->msg_iov = &iov;
		m->msg_iovlen = 1;
		n = send_wait(t, f, m, flags, deadline);
		if (n < 0)
			return done ? (int64_t)done : n;
		done += (size_t)n;
		/* Control data went with the first byte. */
		m->msg_control = NULL;
		m->msg_controllen = 0;
		if (!n)
			break;
	} while (stream && done < len);
	return (int64_t)done;
}

static int64_t send_chunks(struct task *t, struct file *f, struct uio *from, uint8_t *buf,
			   size_t cap, struct msghdr *m, int flags)
{
	uint64_t deadline = sock_deadline(sock_of(f)->sndtimeo);
	int64_t total = 0;

	do {
		size_t want = from->resid < cap ? from->resid : cap;
		int64_t got = want ? uio_read_from_guest(from, buf, want) : 0, n;

		if (got < 0 || (!sock_is_stream(sock_of(f)) && (size_t)got < want))
			return total ? total : -EFAULT;
		n = send_buffer(t, f, buf, (size_t)got, m, flags, deadline);
		if (n < 0)
			return total ? total : n;
		total += n;
		if (n < got)
			break;
	} while (from->resid);
	return total;
}

static int64_t sock_send(struct task *t, struct file *f, struct uio *from, int flags,
			 const struct sock_addr *to, const struct scm_out *scm)
{
	struct sock *s = sock_of(f);
	uint8_t small[STACK_BUFFER], *buf = small;
	size_t cap = from->resid;
	struct msghdr m = {0};
	int64_t ret;

	if (sock_is_stream(s) && cap > STREAM_CHUNK)
		cap = STREAM_CHUNK;
	if (cap > DATAGRAM_MAX)
		return -EMSGSIZE;
	if (cap > sizeof(small)) {
		buf = malloc(cap);
		if (!buf)
			return -ENOMEM;
	}
	if (to && to->len) {
		m.msg_name = (void *)&to->ss;
		m.msg_namelen = to->len;
	}
	if (scm && scm->len) {
		m.msg_control = scm->buf;
		m.msg_controllen = scm->len;
	}
	if (s->domain == AF_UNIX && s->self) {
		struct ucred cred = scm && scm->has_cred ? scm->cred : unix_cred_of(t);

		unix_set_sender(s, &cred);
	}
	ret = send_chunks(t, f, from, buf, cap, &m, flags);
	if (buf != small)
		free(buf);
	if (ret == -EPIPE && s->type != SOCK_DGRAM && !(flags & MSG_NOSIGNAL))
		send_sigpipe(t);
	return ret;
}

int64_t sock_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	(void)pos;
	if (!from->resid && sock_is_stream(sock_of(f)))
		return 0;
	return sock_send(t, f, from, 0, NULL, NULL);
}

/* ---- receiving ---- */

struct recv_state {
	struct sockaddr_storage from;
	socklen_t fromlen;
	bool want_control;
	_Alignas(struct cmsghdr) uint8_t control[4096];
	struct msghdr m; /* as the host filled it in */
};

static int64_t recv_wait(struct task *t, struct file *f, struct recv_state *r, void *buf,
			 size_t len, int flags, uint64_t deadline)
{
	struct iovec iov = {buf, len};

	for (;;) {
		ssize_t n;
		int ret;

		r->m = (struct msghdr){
			.msg_name = &r->from,
			.msg_namelen = sizeof(r->from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = r->want_control ? r->control : NULL,
			.msg_controllen = r->want_control ? sizeof(r->control) : 0,
		};
		n = recvmsg(f->host_fd, &r->m,
			    (flags & ~RECV_FLAGS_DROPPED) | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n >= 0) {
			r->fromlen = r->m.msg_namelen;
			r->m.msg_iov = NULL;
			return n;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || nonblocking(f, flags) || flags & MSG_ERRQUEUE)
			return -errno;
		ret = sock_wait(t, f, flags & MSG_OOB ? POLLPRI : POLLIN, deadline);
		if (ret)
			return ret;
	}
}

/* Give n received bytes to the guest; MSG_TRUNC may report more than the buffer holds. */
static int recv_deliver(struct sock *s, struct uio *to, const void *buf, size_t cap, int64_t n,
			int flags)
{
	size_t have = (size_t)n < cap ? (size_t)n : cap;

	/* TCP with MSG_TRUNC throws the bytes away (tcp(7)). */
	if (!have || (flags & MSG_TRUNC && s->type == SOCK_STREAM && s->domain != AF_UNIX))
		return 0;
	return uio_write_to_guest(to, buf, have) == (int64_t)have ? 0 : -EFAULT;
}

static int64_t recv_chunks(struct task *t, struct file *f, struct uio *to, uint8_t *buf, size_t cap,
			   int flags, struct recv_state *r)
{
	struct sock *s = sock_of(f);
	bool all = flags & MSG_WAITALL && !(flags & (MSG_PEEK | MSG_OOB)) && sock_is_stream(s);
	uint64_t deadline = sock_deadline(s->rcvtimeo);
	int64_t total = 0;

	do {
		size_t want = to->resid < cap ? to->resid : cap;
		int64_t n = recv_wait(t, f, r, buf, want, flags, deadline);

		if (n < 0)
			return total ? total : n;
		if (recv_deliver(s, to, buf, want, n, flags))
			return total ? total : -EFAULT;
		total += n;
		/* Control data ends a message; a second call would lose it. */
		if (!n || r->m.msg_controllen)
			break;
	} while (all && to->resid);
	return total;
}

static int64_t sock_recv(struct task *t, struct file *f, struct uio *to, int flags,
			 struct recv_state *r)
{
	struct sock *s = sock_of(f);
	uint8_t small[STACK_BUFFER], *buf = small;
	size_t cap = to->resid, max = sock_is_stream(s) ? STREAM_CHUNK : DATAGRAM_MAX;
	int64_t ret;

	if (cap > max)
		cap = max;
	if (cap > sizeof(small)) {
		buf = malloc(cap);
		if (!buf)
			return -ENOMEM;
	}
	ret = recv_chunks(t, f, to, buf, cap, flags, r);
	if (buf != small)
		free(buf);
	return ret;
}

int64_t sock_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct recv_state r;

	(void)pos;
	if (!to->resid)
		return 0;
	r.want_control = false;
	return sock_recv(t, f, to, 0, &r);
}

/* The sender as the guest knows it; one without a name has no address at all, not an empty one. */
static void recv_name(struct sock *s, struct recv_state *r)
{
	sockaddr_to_guest(s, &r->from, &r->fromlen);
	if (s->domain == AF_UNIX && r->fromlen <= sizeof(sa_family_t))
		r->fromlen = 0;
}

/* ---- system calls ---- */

/* A named destination for sendto and sendmsg. */
static int send_target(struct task *t, struct file *f, uint64_t name, uint32_t len,
		       struct sock_addr *to)
{
	struct sockaddr_storage ss;
	struct sock *s = sock_of(f);
	int ret;

	memset(to, 0, sizeof(*to));
	if (s->domain == AF_UNIX && s->type != SOCK_STREAM && !s->self) {
		ret = unix_identify(t, f, false);
		if (ret)
			return ret;
	}
	if (!name || !len)
		return 0;
	ret = sockaddr_copy_in(t, name, len, &ss);
	return ret ? ret : sockaddr_resolve(t, s, &ss, len, to);
}

int64_t sys_sendto(struct task *t, const uint64_t a[6])
{
	struct sock_addr to;
	struct file *f;
	struct uio u;
	int64_t ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = send_target(t, f, a[4], (uint32_t)a[5], &to);
	if (!ret) {
		uio_single(&u, t->mm, GVA(a[1]), a[2] > SSIZE_MAX ? SSIZE_MAX : a[2]);
		ret = sock_send(t, f, &u, (int)a[3], &to, NULL);
		uio_free(&u);
	}
	sockaddr_release(&to);
	file_put(f);
	return ret;
}

static int64_t send_message(struct task *t, struct file *f, const struct guest_msghdr *h, int flags)
{
	struct scm_out scm = {0};
	struct sock_addr to;
	struct unix_id *dest;
	struct uio u;
	int64_t ret;

	if (h->iovlen > IOV_MAX_GUEST)
		return -EMSGSIZE;
	ret = send_target(t, f, h->name, h->name ? h->namelen : 0, &to);
	if (!ret)
		ret = uio_import(&u, t->mm, GVA(h->iov), h->iovlen);
	if (ret) {
		sockaddr_release(&to);
		return ret;
	}
	dest = to.len ? NULL : sock_get_peer(sock_of(f));
	if (h->control && h->controllen)
		ret = scm_import(t, sock_of(f), to.len ? to.peer : dest, h->control, h->controllen,
				 &scm);
	if (!ret)
		ret = sock_send(t, f, &u, flags, &to, &scm);
	scm_out_free(&scm);
	unix_id_put(dest);
	uio_free(&u);
	sockaddr_release(&to);
	return ret;
}

int64_t sys_sendmsg(struct task *t, const uint64_t a[6])
{
	struct guest_msghdr h;
	struct file *f;
	int64_t ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = mm_copy_in(t->mm, &h, GVA(a[1]), sizeof(h));
	if (!ret)
		ret = send_message(t, f, &h, (int)a[2]);
	file_put(f);
	return ret;
}

int64_t sys_sendmmsg(struct task *t, const uint64_t a[6])
{
	unsigned n = (unsigned)a[2] < MMSG_MAX ? (unsigned)a[2] : MMSG_MAX, i;
	struct guest_mmsghdr h;
	struct file *f;
	int64_t ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		uint64_t at = a[1] + i * sizeof(h);

		ret = mm_copy_in(t->mm, &h, GVA(at), sizeof(h));
		if (!ret)
			ret = send_message(t, f, &h.hdr, (int)a[3]);
		if (ret < 0)
			break;
		h.len = (uint32_t)ret;
		ret = mm_copy_out(t->mm, GVA(at + offsetof(struct guest_mmsghdr, len)), &h.len, 4);
		if (ret)
			break;
	}
	file_put(f);
	return i ? (int64_t)i : ret;
}

int64_t sys_recvfrom(struct task *t, const uint64_t a[6])
{
	struct recv_state r = {.want_control = false};
	struct file *f;
	struct uio u;
	int64_t ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	uio_single(&u, t->mm, GVA(a[1]), a[2] > SSIZE_MAX ? SSIZE_MAX : a[2]);
	ret = sock_recv(t, f, &u, (int)a[3], &r);
	if (ret >= 0 && a[4]) {
		int err;

		recv_name(sock_of(f), &r);
		err = sockaddr_copy_out(t, sock_of(f), a[4], a[5], &r.from, r.fromlen);

		if (err)
			ret = err;
	}
	uio_free(&u);
	file_put(f);
	return ret;
}

/* Address, control data and flags of a received message. */
static int recv_results(struct task *t, struct file *f, struct guest_msghdr *h, uint64_t at,
			struct recv_state *r, int flags)
{
	struct sock *s = sock_of(f);
	struct unix_id *src = NULL;
	int out_flags = r->m.msg_flags & ~MSG_CMSG_CLOEXEC;
	int64_t control;

	if (s->domain == AF_UNIX) {
		src = unix_id_find(&r->from, r->fromlen);
		if (!src)
			src = sock_get_peer(s);
	}
	if (h->name) {
		uint32_t len;

		recv_name(s, r);
		len = h->namelen < r->fromlen ? h->namelen : r->fromlen;
		if (mm_copy_out(t->mm, GVA(h->name), &r->from, len)) {
			unix_id_put(src);
			return -EFAULT;
		}
		h->namelen = r->fromlen;
	} else {
		h->namelen = 0;
	}
	control = scm_export(t, s, &r->m, src, h->control, h->control ? h->controllen : 0,
			     flags & MSG_CMSG_CLOEXEC, &out_flags);
	unix_id_put(src);
	if (control < 0)
		return (int)control;
	h->controllen = (uint64_t)control;
	h->flags = (uint32_t)(out_flags | (flags & MSG_CMSG_CLOEXEC));
	return mm_copy_out(t->mm, GVA(at), h, sizeof(*h) - sizeof(h->pad1));
}

static int64_t recv_message(struct task *t, struct file *f, uint64_t at, int flags)
{
	struct guest_msghdr h;
	struct recv_state r;
	struct uio u;
	int64_t ret = mm_copy_in(t->mm, &h, GVA(at), sizeof(h));
	int err;

	if (ret)
		return ret;
	if (h.iovlen > IOV_MAX_GUEST)
		return -EMSGSIZE;
	if (h.name && (int32_t)h.namelen < 0)
		return -EINVAL;
	ret = uio_import(&u, t->mm, GVA(h.iov), h.iovlen);
	if (ret)
		return ret;
	/* Rights the guest has no room for are closed by the host's kernel. */
	r.want_control = h.control && h.controllen;
	ret = sock_recv(t, f, &u, flags, &r);
	uio_free(&u);
	if (ret < 0)
		return ret;
	err = recv_results(t, f, &h, at, &r, flags);
	return err ? err : ret;
}

int64_t sys_recvmsg(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = recv_message(t, f, a[1], (int)a[2]);
	file_put(f);
	return ret;
}

static int64_t recv_many(struct task *t, struct file *f, uint64_t vec, unsigned n, int flags,
			 uint64_t deadline)
{
	int64_t ret = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		uint64_t at = vec + i * sizeof(struct guest_mmsghdr);
		uint32_t len;

		ret = recv_message(t, f, at, flags & ~MSG_WAITFORONE);
		if (ret < 0)
			break;
		len = (uint32_t)ret;
		ret = mm_copy_out(t->mm, GVA(at + offsetof(struct guest_mmsghdr, len)), &len, 4);
		if (ret)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* The time limit is looked at between messages only (recvmmsg(2), BUGS). */
		if (deadline != DEADLINE_NONE && monotonic_ns() >= deadline) {
			i++;
			break;
		}
	}
	return i ? (int64_t)i : ret;
}

int64_t sys_recvmmsg(struct task *t, const uint64_t a[6])
{
	unsigned n = (unsigned)a[2] < MMSG_MAX ? (unsigned)a[2] : MMSG_MAX;
	uint64_t deadline = DEADLINE_NONE;
	int64_t ts[2], ret;
	struct file *f;

	if (a[4]) {
		if (mm_copy_in(t->mm, ts, GVA(a[4]), sizeof(ts)))
			return -EFAULT;
		if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (int64_t)NS_PER_SEC)
			return -EINVAL;
		if (ts[0] < INT32_MAX)
			deadline = monotonic_ns() + (uint64_t)ts[0] * NS_PER_SEC + (uint64_t)ts[1];
	}
	ret = sock_get(t, (int)a[0], &f);
	if (ret)
		return ret;
	ret = recv_many(t, f, a[1], n, (int)a[3], deadline);
	file_put(f);
	return ret;
}
