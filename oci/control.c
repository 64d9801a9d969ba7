/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/state.h"

/*
 * How a user namespace sees ids it does not map (user_namespaces(7)): the host's root, or the owner. No
 * other such user comes through the state directory's mode.
 */
#define OVERFLOW_UID 65534

/* State directories may be longer than sun_path: go through the descriptor. */
static void address(int state_dir, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", state_dir,
		 OCI_CONTROL_SOCKET);
}

int control_listen(int state_dir, struct oci_error *err)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa;
	mode_t old;
	int r;

	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot create the control socket");
	address(state_dir, &sa);
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ? -errno : 0;
	umask(old);
	if (!r && listen(fd, 16))
		r = -errno;
	if (r)
		return oci_fail_errno(err, -r, "cannot bind the control socket");
	return steal_fd(&fd);
}

int control_connect(int state_dir, struct oci_error *err)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 10};
	struct sockaddr_un sa;

	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot create a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	address(state_dir, &sa);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return oci_fail_errno(err, errno == ENOENT ? ECONNREFUSED : errno,
				      "cannot reach the container's sandbox");
	return steal_fd(&fd);
}

union rights {
	struct cmsghdr align;
	char room[CMSG_SPACE(CONTROL_MAX_FDS * sizeof(int))];
};

int control_send(int conn, const struct control_request *req, const int *fds, int nfds)
{
	struct iovec iov = {(void *)req, sizeof(*req)};
	union rights rights = {0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *h;

	if (nfds < 0 || nfds > CONTROL_MAX_FDS)
		return -EINVAL;
	if (nfds) {
		msg.msg_control = &rights;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		h = CMSG_FIRSTHDR(&msg);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, (size_t)nfds * sizeof(int));
	}
	return sendmsg(conn, &msg, MSG_NOSIGNAL) == sizeof(*req) ? 0 : -errno;
}

int control_reply(int conn, struct control_reply *reply, struct oci_error *err)
{
	const ssize_t header = offsetof(struct control_reply, payload);
	ssize_t n;

	do
		n = recv(conn, reply, sizeof(*reply), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return oci_fail(err, ETIMEDOUT, "the container's sandbox does not answer");
	if (n < 0)
		return oci_fail_errno(err, errno, "no answer from the container's sandbox");
	if (n < header || reply->magic != CONTROL_MAGIC || reply->len != (size_t)(n - header))
		return oci_fail(err, n ? EPROTO : ECONNRESET,
				n ? "the container's sandbox is of another version of nacre"
				  : "the container's sandbox ended");
	if (reply->result < 0 && reply->len)
		return oci_fail(err, -reply->result, "%.*s", (int)reply->len, reply->payload);
	if (reply->result < 0)
		return oci_fail_errno(err, -reply->result, "the container's sandbox refused");
	return reply->result;
}

int control_call(int state_dir, enum control_op op, int arg, unsigned flags,
		 struct control_reply *reply, struct oci_error *err)
{
	struct control_request req = {CONTROL_MAGIC, op, arg, flags};
	cleanup_free struct control_reply *own = NULL;
	cleanup_fd int fd = control_connect(state_dir, err);
	const struct timeval forever = {0};

	if (fd < 0)
		return fd;
	if (!reply)
		reply = own = malloc(sizeof(*own));
	if (!reply)
		return oci_fail_errno(err, ENOMEM, "control request");
	/* Hooks may take their time. */
	if (op == CONTROL_START)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	if (control_send(fd, &req, NULL, 0))
		return oci_fail_errno(err, errno, "cannot ask the container's sandbox");
	return control_reply(fd, reply, err);
}

static int receive(int fd, struct control_request *req, int *fds, int *nfds)
{
	struct iovec iov = {req, sizeof(*req)};
	union rights rights = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &rights,
			     .msg_controllen = sizeof(rights.room)};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	*nfds = 0;
	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
		*nfds = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(h), (size_t)*nfds * sizeof(int));
	}
	if (n == sizeof(*req) && req->magic == CONTROL_MAGIC && !(msg.msg_flags & MSG_CTRUNC))
		return 0;
	while (*nfds)
		close(fds[--*nfds]);
	return -EPROTO;
}

int control_accept(int listener, uid_t owner, struct control_request *req, int *fds, int *nfds)
{
	cleanup_fd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval limit = {.tv_sec = 2};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int r;

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	if (peer.uid != owner && peer.uid != 0 && peer.uid != OVERFLOW_UID)
		return -EPERM;
	/* One client must not hold up the others, nor the container's end. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	r = receive(fd, req, fds, nfds);
	return r ? r : steal_fd(&fd);
}

void control_answer(int conn, struct control_reply *reply)
{
	reply->magic = CONTROL_MAGIC;
	send(conn, reply, offsetof(struct control_reply, payload) + reply->len, MSG_NOSIGNAL);
}
