/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as files: creation, waiting, release. */
#include "runtime/net/socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/fs/fdtable.h"

static int sock_getattr(struct file *f, struct kstat *out)
{
	*out = (struct kstat){
		.ino = f->anon_ino,
		.mode = S_IFSOCK | 0777,
		.nlink = 1,
		.blksize = 4096,
	};
	return 0;
}

static void sock_release(struct file *f)
{
	struct sock *s = sock_of(f);

	close(f->host_fd);
	f->host_fd = -1;
	unix_id_put(s->self);
	unix_id_put(s->peer);
	pthread_mutex_destroy(&s->lock);
	/* Unread messages went with the socket, and with them descriptors on their way. */
	if (s->domain == AF_UNIX)
		scm_sweep();
	free(s);
}

static const struct file_ops sock_ops = {
	.read = sock_read,
	.write = sock_write,
	.ioctl = sock_ioctl,
	.getattr = sock_getattr,
	.release = sock_release,
};

bool net_is_socket(const struct file *f)
{
	return f->ops == &sock_ops;
}

static int host_option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

int sock_create(struct kernel *k, int hostfd, unsigned flags, struct file **out)
{
	struct sock *s = calloc(1, sizeof(*s));
	struct file *f = s ? file_alloc(&sock_ops, O_RDWR | flags) : NULL;
	struct stat st;

	if (!f || fstat(hostfd, &st)) {
		free(s);
		close(hostfd);
		return -ENOMEM;
	}
	s->kernel = k;
	s->domain = host_option(hostfd, SO_DOMAIN);
	s->type = host_option(hostfd, SO_TYPE);
	s->protocol = host_option(hostfd, SO_PROTOCOL);
	pthread_mutex_init(&s->lock, NULL);
	f->data = s;
	f->host_fd = hostfd;
	f->anon_name = "socket";
	f->anon_ino = st.st_ino;
	*out = f;
	return 0;
}

int net_file_from_host_fd(struct kernel *k, int fd, struct file **out)
{
	int flags = fcntl(fd, F_GETFL);

	return sock_create(k, fd, flags > 0 ? flags & O_NONBLOCK : 0, out);
}

int sock_install(struct task *t, struct file *f, int flags)
{
	int fd = fd_install(t, f, 0, flags & SOCK_CLOEXEC);

	if (fd < 0)
		file_put(f);
	return fd;
}

int sock_get(struct task *t, int fd, struct file **out)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->flags & O_PATH || !net_is_socket(f)) {
		int ret = f->flags & O_PATH ? -EBADF : -ENOTSOCK;

		file_put(f);
		return ret;
	}
	*out = f;
	return 0;
}

bool sock_is_stream(const struct sock *s)
{
	return s->type == SOCK_STREAM;
}

uint64_t sock_deadline(uint64_t timeo_ns)
{
	return timeo_ns ? monotonic_ns() + timeo_ns : DEADLINE_NONE;
}

int sock_wait(struct task *t, struct file *f, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = f->host_fd, .events = events};
	int ret;

	task_prepare_park(t);
	ret = task_park(t, deadline, &p, 1);
	if (ret == -ETIMEDOUT)
		return -EAGAIN;
	/* A call with its own time limit is not restarted (signal(7)). */
	if (ret == -EINTR && deadline == DEADLINE_NONE)
		return -ERESTARTSYS;
	return ret;
}
