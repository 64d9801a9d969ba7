/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of runtime/net share. */
#ifndef NACRE_RUNTIME_NET_SOCKET_H
#define NACRE_RUNTIME_NET_SOCKET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/fs/vfs.h"
#include "runtime/net/net.h"
#include "runtime/task/task.h"

#define SOCK_CONTROL_MAX 20480u /* net.core.optmem_max's order: a message's control data */

/*
 * One AF_UNIX endpoint of this container: its name on the host, its name as guests know it, and whose
 * it is. Every endpoint that connects or sends has a host name, so that the receiving side finds the
 * endpoint, and with it guest credentials, by the source address.
 */
struct unix_id {
	atomic_uint refs;
	struct list link; /* hash chain; protected by the table's lock, as is what follows */
	struct sockaddr_un host, guest;
	socklen_t host_len, guest_len; /* host_len 0: an end of a socketpair */
	uint64_t dev, ino;	       /* of the node it is bound to; ino 0: none */
	struct ucred owner;	       /* at connect(2), listen(2), socketpair(2): SO_PEERCRED */
	struct ucred sender;	       /* of the last message: SCM_CREDENTIALS */
};

struct sock {
	struct kernel *kernel;
	int domain, type, protocol;	     /* immutable */
	_Atomic uint64_t rcvtimeo, sndtimeo; /* ns, 0: none */
	atomic_bool connecting;		     /* a blocking connect was interrupted */
	atomic_bool passcred;		     /* SO_PASSCRED */
	pthread_mutex_t lock; /* protects the pointers below; a leaf but for the id table's */
	struct unix_id *self, *peer;
};

static inline struct sock *sock_of(struct file *f)
{
	return f->data;
}

/* ---- socket.c ---- */

/* The socket behind a guest descriptor, with a reference. 0, -EBADF, -ENOTSOCK. */
int sock_get(struct task *t, int fd, struct file **out);
/* Takes ownership of hostfd, also on failure. flags: O_NONBLOCK or 0. */
int sock_create(struct kernel *k, int hostfd, unsigned flags, struct file **out);
/* Install under a new descriptor; takes over the reference. SOCK_CLOEXEC in flags. */
int sock_install(struct task *t, struct file *f, int flags);
bool sock_is_stream(const struct sock *s);
uint64_t sock_deadline(uint64_t timeo_ns);
/* Park until the socket is ready. 0, or -EAGAIN (timed out), -ERESTARTSYS, -EINTR. */
int sock_wait(struct task *t, struct file *f, short events, uint64_t deadline);

/* ---- sockaddr.c ---- */

/* A destination as the host wants it. */
struct sock_addr {
	struct sockaddr_storage ss;
	socklen_t len;
	struct unix_id *peer; /* AF_UNIX inside the container: a reference */
	struct vpath hold;    /* keeps the node a host path goes through */
};
int sockaddr_copy_in(struct task *t, uint64_t addr, uint64_t len, struct sockaddr_storage *out);
/* Resolve an address to connect or send to. Release with sockaddr_release(), also after failure. */
int sockaddr_resolve(struct task *t, struct sock *s, const struct sockaddr_storage *guest,
		     socklen_t len, struct sock_addr *out);
void sockaddr_release(struct sock_addr *a);
int sockaddr_bind(struct task *t, struct file *f, const struct sockaddr_storage *guest,
		  socklen_t len);
/* Give a host address to the guest: truncated to *ulen as Linux does, names translated. */
int sockaddr_copy_out(struct task *t, struct sock *s, uint64_t addr, uint64_t ulen,
		      const struct sockaddr_storage *host, socklen_t len);
/* As the guest knows it. */
void sockaddr_to_guest(struct sock *s, struct sockaddr_storage *a, socklen_t *len);

struct unix_id *unix_id_find(const struct sockaddr_storage *host, socklen_t len); /* reference */
struct unix_id *unix_id_create(struct task *t);
void unix_id_put(struct unix_id *id);
/* Before an AF_UNIX socket speaks: make it recognisable and note who speaks. */
int unix_identify(struct task *t, struct file *f, bool owner);
struct ucred unix_cred_of(struct task *t);
void unix_set_sender(struct sock *s, const struct ucred *cred);
struct ucred unix_get_cred(struct unix_id *id, bool sender);
void sock_set_peer(struct sock *s, struct unix_id *peer); /* takes over the reference */
struct unix_id *sock_get_peer(struct sock *s);		  /* a reference or NULL */

/* ---- scm.c ---- */

/* Control data of one message on its way to the host. */
struct scm_out {
	uint8_t *buf; /* owned */
	size_t len;
	int fds[253]; /* host descriptors made for this message, closed by scm_out_free() */
	unsigned nfds;
	bool has_cred;
	struct ucred cred;
};
int scm_import(struct task *t, struct sock *s, struct unix_id *dest, uint64_t control, uint64_t len,
	       struct scm_out *out);
void scm_out_free(struct scm_out *out);
/*
 * Deliver received control data: descriptors installed, credentials the guest's. Returns the bytes
 * written at `control`, or -EFAULT; MSG_CTRUNC is added to *flags where it did not fit.
 */
int64_t scm_export(struct task *t, struct sock *s, struct msghdr *host, struct unix_id *src,
		   uint64_t control, uint64_t room, bool cloexec, int *flags);
/* Let go of descriptors whose messages were thrown away unread. */
void scm_sweep(void);

/* ---- sockmsg.c ---- */

int64_t sock_read(struct file *f, struct task *t, struct uio *to, int64_t *pos);
int64_t sock_write(struct file *f, struct task *t, struct uio *from, int64_t *pos);

/* ---- sockopt.c ---- */

int64_t sock_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg);

#endif
