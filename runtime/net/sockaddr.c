/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses. Those of AF_UNIX (unix(7)) are translated: a path name is resolved by the guest's VFS; in
 * a host directory the host socket is bound and connected there, through its descriptor under the
 * host's /proc; elsewhere (tmpfs) the node only stands for a host socket with an abstract name.
 *
 * The sandbox's working directory is the host's /proc from the first such use on, since a socket
 * address cannot be relative to a descriptor; nothing else in the sandbox depends on it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <linux/capability.h>

#include "runtime/fs/vfs_internal.h"
#include "runtime/net/socket.h"

#define ID_BUCKETS	  256u
#define PATH_OFFSET	  offsetof(struct sockaddr_un, sun_path)
#define UNPRIVILEGED_PORT 1024

/* ---- endpoints ---- */

static pthread_mutex_t id_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list id_table[ID_BUCKETS];
static pthread_once_t id_once = PTHREAD_ONCE_INIT;

static void id_table_init(void)
{
	for (unsigned i = 0; i < ID_BUCKETS; i++)
		list_init(&id_table[i]);
}

static struct list *id_bucket(const void *addr, socklen_t len)
{
	const uint8_t *p = addr;
	uint32_t h = 2166136261u; /* FNV-1a */

	pthread_once(&id_once, id_table_init);
	for (socklen_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u;
	return &id_table[h % ID_BUCKETS];
}

struct ucred unix_cred_of(struct task *t)
{
	return (struct ucred){t->process->pid, t->cred->euid, t->cred->egid};
}

struct unix_id *unix_id_create(struct task *t)
{
	struct unix_id *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->refs = 1;
	list_init(&id->link);
	id->guest.sun_family = AF_UNIX;
	id->guest_len = PATH_OFFSET;
	id->owner = id->sender = unix_cred_of(t);
	return id;
}

/* The table holds no reference; what is found may just be losing its last one. */
static bool id_tryget(struct unix_id *id)
{
	unsigned refs = atomic_load(&id->refs);

	while (refs)
		if (atomic_compare_exchange_weak(&id->refs, &refs, refs + 1))
			return true;
	return false;
}

void unix_id_put(struct unix_id *id)
{
	if (!id || atomic_fetch_sub(&id->refs, 1) != 1)
		return;
	pthread_mutex_lock(&id_lock);
	list_del(&id->link);
	pthread_mutex_unlock(&id_lock);
	free(id);
}

static void id_publish(struct unix_id *id)
{
	struct list *bucket = id_bucket(&id->host, id->host_len);

	pthread_mutex_lock(&id_lock);
	list_add(bucket, &id->link); /* newest first */
	pthread_mutex_unlock(&id_lock);
}

struct unix_id *unix_id_find(const struct sockaddr_storage *host, socklen_t len)
{
	struct unix_id *found = NULL;
	struct list *bucket;

	if (len <= PATH_OFFSET || len > sizeof(struct sockaddr_un))
		return NULL;
	bucket = id_bucket(host, len);
	pthread_mutex_lock(&id_lock);
	list_for_each (pos, bucket) {
		struct unix_id *id = list_entry(pos, struct unix_id, link);

		if (id->host_len == len && !memcmp(&id->host, host, len) && id_tryget(id)) {
			found = id;
			break;
		}
	}
	pthread_mutex_unlock(&id_lock);
	return found;
}

static struct unix_id *id_find_node(uint64_t dev, uint64_t ino)
{
	struct unix_id *found = NULL;

	pthread_once(&id_once, id_table_init);
	pthread_mutex_lock(&id_lock);
	for (unsigned i = 0; i < ID_BUCKETS && !found; i++)
		list_for_each (pos, &id_table[i]) {
			struct unix_id *id = list_entry(pos, struct unix_id, link);

			if (id->ino && id->ino == ino && id->dev == dev && id_tryget(id)) {
				found = id;
				break;
			}
		}
	pthread_mutex_unlock(&id_lock);
	return found;
}

void unix_set_sender(struct sock *s, const struct ucred *cred)
{
	pthread_mutex_lock(&s->lock);
	if (s->self) {
		pthread_mutex_lock(&id_lock);
		s->self->sender = *cred;
		pthread_mutex_unlock(&id_lock);
	}
	pthread_mutex_unlock(&s->lock);
}

struct ucred unix_get_cred(struct unix_id *id, bool sender)
{
	struct ucred c;

	pthread_mutex_lock(&id_lock);
	c = sender ? id->sender : id->owner;
	pthread_mutex_unlock(&id_lock);
	return c;
}

void sock_set_peer(struct sock *s, struct unix_id *peer)
{
	struct unix_id *old;

	pthread_mutex_lock(&s->lock);
	old = s->peer;
	s->peer = peer;
	pthread_mutex_unlock(&s->lock);
	unix_id_put(old);
}

struct unix_id *sock_get_peer(struct sock *s)
{
	struct unix_id *peer;

	pthread_mutex_lock(&s->lock);
	peer = s->peer;
	if (peer)
		atomic_fetch_add(&peer->refs, 1);
	pthread_mutex_unlock(&s->lock);
	return peer;
}

/* An abstract host name nobody else has. */
static socklen_t private_name(struct sockaddr_un *un)
{
	uint64_t r[2] = {0, 0};
	int n;

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r[0] = monotonic_ns();
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "nacre/%016llx%016llx",
		     (unsigned long long)r[0], (unsigned long long)r[1]);
	return (socklen_t)(PATH_OFFSET + 1 + (size_t)n);
}

static bool adopt_id(struct sock *s, struct unix_id *id)
{
	bool mine;

	pthread_mutex_lock(&s->lock);
	mine = !s->self;
	if (mine)
		s->self = id;
	pthread_mutex_unlock(&s->lock);
	return mine;
}

int unix_identify(struct task *t, struct file *f, bool owner)
{
	struct sock *s = sock_of(f);
	struct ucred cred = unix_cred_of(t);
	struct unix_id *id;

	if (!s->self) {
		id = unix_id_create(t);
		if (!id)
			return -ENOMEM;
		id->host_len = private_name(&id->host);
		/* A socket that has a name already (made outside) keeps it. */
		if (bind(f->host_fd, (struct sockaddr *)&id->host, id->host_len) ||
		    !adopt_id(s, id))
			unix_id_put(id);
		else
			id_publish(id);
	}
	unix_set_sender(s, &cred);
	if (owner && s->self) {
		pthread_mutex_lock(&id_lock);
		s->self->owner = cred;
		pthread_mutex_unlock(&id_lock);
	}
	return 0;
}

/* ---- addresses in ---- */

int sockaddr_copy_in(struct task *t, uint64_t addr, uint64_t len, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if ((int)len < 0 || (unsigned)len > sizeof(*out))
		return -EINVAL;
	return mm_copy_in(t->mm, out, GVA(addr), (unsigned)len);
}

/*
 * Names of socket files are relative to the host's /proc, which is nowhere in the container's tree: it
 * becomes the sandbox's working directory, once and before the first such name is used.
 */
static bool enter_host_proc(struct kernel *k)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool entered;
	bool ok;

	pthread_mutex_lock(&lock);
	if (!entered)
		entered = fchdir(k->host_proc_fd) == 0;
	ok = entered;
	pthread_mutex_unlock(&lock);
	return ok;
}

static socklen_t host_path(struct kernel *k, int fd, const char *name, struct sockaddr_un *un)
{
	int n;

	if (!enter_host_proc(k))
		return 0;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	n = snprintf(un->sun_path, sizeof(un->sun_path), "self/fd/%d%s%s", fd,
		     name ? "/" : "", name ? name : "");
	return n < (int)sizeof(un->sun_path) ? (socklen_t)(PATH_OFFSET + (size_t)n + 1) : 0;
}

static bool is_path(const struct sockaddr_un *un, socklen_t len)
{
	return len > PATH_OFFSET && un->sun_path[0];
}

static void path_text(const struct sockaddr_un *un, socklen_t len,
		      char out[sizeof(un->sun_path) + 1])
{
	size_t n = len - PATH_OFFSET;

	memcpy(out, un->sun_path, n);
	out[n] = '\0';
}

/* The node a path names, which must be a socket the task may write to. */
static int resolve_path(struct task *t, const struct sockaddr_un *un, socklen_t len,
			struct sock_addr *out)
{
	char path[sizeof(un->sun_path) + 1];
	struct vnode *n;
	int ret;

	path_text(un, len, path);
	ret = vfs_lookup(t, AT_FDCWD, path, LOOKUP_FOLLOW, &out->hold, NULL);
	if (ret)
		return ret;
	n = out->hold.node;
	ret = vfs_permission(t, &out->hold, W_OK);
	if (ret)
		return ret;
	if (n->type != S_IFSOCK)
		return -ECONNREFUSED;
	out->peer = id_find_node(n->dev, n->ino);
	if (vnode_is_host(n)) {
		out->len = host_path(t->kernel, hostnode_of(n)->fd, NULL,
				     (struct sockaddr_un *)&out->ss);
		return 0;
	}
	if (!out->peer)
		return -ECONNREFUSED;
	memcpy(&out->ss, &out->peer->host, out->peer->host_len);
	out->len = out->peer->host_len;
	return 0;
}

int sockaddr_resolve(struct task *t, struct sock *s, const struct sockaddr_storage *guest,
		     socklen_t len, struct sock_addr *out)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)guest;

	memset(out, 0, sizeof(*out));
	out->ss = *guest;
	out->len = len;
	if (s->domain != AF_UNIX || guest->ss_family != AF_UNIX)
		return 0;
	if (len <= PATH_OFFSET || len > sizeof(*un))
		return -EINVAL;
	if (is_path(un, len))
		return resolve_path(t, un, len, out);
	out->peer = unix_id_find(guest, len);
	return 0;
}

void sockaddr_release(struct sock_addr *a)
{
	unix_id_put(a->peer);
	if (a->hold.node)
		vpath_put(&a->hold);
	memset(a, 0, sizeof(*a));
}

/* ---- bind ---- */

/* Bind in a host directory and give the new node its owner. */
static int bind_in_host(struct task *t, struct file *f, const struct vpath *dir, const char *name,
			struct kattr *attr, struct unix_id *id)
{
	struct vnode *n;
	int ret;

	id->host_len = host_path(t->kernel, hostnode_of(dir->node)->fd, name, &id->host);
	if (!id->host_len)
		return -ENAMETOOLONG;
	if (bind(f->host_fd, (struct sockaddr *)&id->host, id->host_len))
		return -errno;
	ret = dir->node->ops->lookup(dir->node, t, name, &n);
	if (ret)
		return ret;
	attr->valid = KATTR_UID | KATTR_GID | KATTR_MODE;
	attr->mode &= 07777;
	/* Rootless sandboxes cannot give files away: the node then belongs to whom it belongs. */
	n->ops->setattr(n, attr);
	id->dev = n->dev;
	id->ino = n->ino;
	vnode_put(n);
	return 0;
}

/* A node of another file system stands for a host socket with a private name. */
static int bind_by_node(struct task *t, struct file *f, const struct vpath *dir, const char *name,
			const struct kattr *attr, struct unix_id *id)
{
	struct vnode *n;
	int ret;

	if (!dir->node->ops->mknod)
		return -EPERM;
	id->host_len = private_name(&id->host);
	ret = dir->node->ops->mknod(dir->node, name, attr, 0);
	if (ret)
		return ret == -EEXIST ? -EADDRINUSE : ret;
	ret = dir->node->ops->lookup(dir->node, t, name, &n);
	if (ret)
		return ret;
	id->dev = n->dev;
	id->ino = n->ino;
	vnode_put(n);
	if (bind(f->host_fd, (struct sockaddr *)&id->host, id->host_len)) {
		ret = -errno;
		dir->node->ops->unlink(dir->node, name);
	}
	return ret;
}

static int bind_path(struct task *t, struct file *f, const struct sockaddr_un *un, socklen_t len,
		     struct unix_id *id)
{
	char path[sizeof(un->sun_path) + 1], last[256];
	struct kattr attr = {0};
	struct vpath dir;
	uint32_t umask;
	int ret;

	path_text(un, len, path);
	ret = vfs_lookup(t, AT_FDCWD, path, LOOKUP_PARENT, &dir, last);
	if (ret)
		return ret;
	pthread_mutex_lock(&t->fs->lock);
	umask = t->fs->umask;
	pthread_mutex_unlock(&t->fs->lock);
	if (!last[0] || strchr(last, '/') || !strcmp(last, ".") || !strcmp(last, ".."))
		ret = -EADDRINUSE; /* an existing directory */
	if (!ret)
		ret = perm_create(t, &dir, S_IFSOCK | (0777 & ~umask), &attr);
	if (!ret)
		ret = vnode_is_host(dir.node) ? bind_in_host(t, f, &dir, last, &attr, id)
					      : bind_by_node(t, f, &dir, last, &attr, id);
	vpath_put(&dir);
	return ret;
}

/* A second bind fails, but a path that exists is complained about first. */
static int rebind_error(struct task *t, const struct sockaddr_un *un, socklen_t len)
{
	char path[sizeof(un->sun_path) + 1];
	struct vpath there;

	if (!is_path(un, len))
		return -EINVAL;
	path_text(un, len, path);
	if (vfs_lookup(t, AT_FDCWD, path, 0, &there, NULL))
		return -EINVAL;
	vpath_put(&there);
	return -EADDRINUSE;
}

static int bind_unix(struct task *t, struct file *f, const struct sockaddr_un *un, socklen_t len)
{
	struct sock *s = sock_of(f);
	struct unix_id *id;
	int ret = 0;

	if (un->sun_family != AF_UNIX || len < PATH_OFFSET || len > sizeof(*un))
		return -EINVAL;
	if (s->self)
		return rebind_error(t, un, len);
	id = unix_id_create(t);
	if (!id)
		return -ENOMEM;
	id->guest_len = len;
	memcpy(&id->guest, un, len);
	if (is_path(un, len)) {
		/* getsockname(2) shows the path with its NUL. */
		id->guest_len =
			(socklen_t)(PATH_OFFSET + strnlen(un->sun_path, len - PATH_OFFSET) + 1);
		if (id->guest_len > sizeof(*un))
			id->guest_len = sizeof(*un);
		ret = bind_path(t, f, un, len, id);
	} else if (bind(f->host_fd, (const struct sockaddr *)un, len)) {
		ret = -errno;
	} else {
		id->host_len = sizeof(id->host);
		if (getsockname(f->host_fd, (struct sockaddr *)&id->host, &id->host_len))
			ret = -errno;
		id->guest = id->host; /* also when the host chose the name (autobind) */
		id->guest_len = id->host_len;
	}
	if (ret || !adopt_id(s, id)) {
		unix_id_put(id);
		return ret ? ret : -EINVAL;
	}
	id_publish(id);
	return 0;
}

/* The network namespace's first port that needs no privilege. */
static unsigned unprivileged_port(struct kernel *k)
{
	char buf[16] = "";
	int fd = openat(k->host_proc_fd, "sys/net/ipv4/ip_unprivileged_port_start",
			O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : -1;

	if (fd >= 0)
		close(fd);
	return n > 0 && isdigit((unsigned char)buf[0]) ? (unsigned)strtoul(buf, NULL, 10)
						       : UNPRIVILEGED_PORT;
}

int sockaddr_bind(struct task *t, struct file *f, const struct sockaddr_storage *guest,
		  socklen_t len)
{
	struct sock *s = sock_of(f);

	if (s->domain == AF_UNIX)
		return bind_unix(t, f, (const struct sockaddr_un *)guest, len);
	if ((s->domain == AF_INET || s->domain == AF_INET6) && len >= 4) {
		/* sin_port and sin6_port are at the same place. */
		unsigned port = ntohs(((const struct sockaddr_in *)guest)->sin_port);

		if (port && port < UNPRIVILEGED_PORT &&
		    !cred_capable(t->cred, CAP_NET_BIND_SERVICE) &&
		    port < unprivileged_port(t->kernel))
			return -EACCES;
	}
	return bind(f->host_fd, (const struct sockaddr *)guest, len) ? -errno : 0;
}

/* ---- addresses out ---- */

void sockaddr_to_guest(struct sock *s, struct sockaddr_storage *a, socklen_t *len)
{
	struct unix_id *id;

	if (s->domain != AF_UNIX)
		return;
	id = unix_id_find(a, *len);
	if (!id)
		return;
	memcpy(a, &id->guest, id->guest_len);
	*len = id->guest_len;
	unix_id_put(id);
}

int sockaddr_copy_out(struct task *t, struct sock *s, uint64_t addr, uint64_t ulen,
		      const struct sockaddr_storage *host, socklen_t len)
{
	struct sockaddr_storage a = *host;
	uint32_t full, room;
	int32_t have;

	if (mm_copy_in(t->mm, &have, GVA(ulen), sizeof(have)))
		return -EFAULT;
	if (have < 0)
		return -EINVAL;
	sockaddr_to_guest(s, &a, &len);
	full = len;
	room = (uint32_t)have < full ? (uint32_t)have : full;
	if (mm_copy_out(t->mm, GVA(addr), &a, room) ||
	    mm_copy_out(t->mm, GVA(ulen), &full, sizeof(full)))
		return -EFAULT;
	return 0;
}
