/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket options and ioctls. Plain values pass to the host; what carries pointers, descriptors or
 * identities is translated or refused.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/capability.h>

#include "runtime/net/socket.h"
#include "runtime/syscall/syscall.h"

#define OPT_BYTES_MAX 4096u
#define FILTER_MAX    4096u /* BPF_MAXINSNS */
#define IFCONF_MAX    65536u
#define NS_PER_SEC    1000000000ull
#define NS_PER_USEC   1000ull
/* The two numberings of the time limits are the same 16 bytes on 64-bit Linux. */
#define RCVTIMEO_OLD 20
#define SNDTIMEO_OLD 21
#define RCVTIMEO_NEW 66
#define SNDTIMEO_NEW 67

/* ---- which options exist ---- */

static bool socket_option_known(int name)
{
	switch (name) {
	case SO_ATTACH_BPF:
	case SO_ATTACH_REUSEPORT_CBPF:
	case SO_ATTACH_REUSEPORT_EBPF:
	case SO_PEERSEC:
	case 77: /* SO_PEERPIDFD */
		return false;
	}
	return name > 0 && name < 80;
}

static bool option_known(int level, int name)
{
	switch (level) {
	case SOL_SOCKET:
		return socket_option_known(name);
	case IPPROTO_TCP:
		return name > 0 && name < 40 && name != TCP_ULP && name != TCP_ZEROCOPY_RECEIVE;
	case IPPROTO_IP: /* 64 and up are iptables and multicast routing */
	case IPPROTO_IPV6:
		return name > 0 && (name < 64 || (level == IPPROTO_IPV6 && name < 80));
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return name > 0 && name < 110;
	case IPPROTO_ICMPV6:
	case IPPROTO_RAW:
		return name > 0 && name < 64;
	case SOL_NETLINK:
		return name > 0 && name < 16;
	default:
		return false;
	}
}

/* ---- kept by nacre ---- */

static int set_timeout(struct task *t, struct sock *s, int name, uint64_t addr, uint32_t len)
{
	int64_t tv[2];
	uint64_t ns;

	if (len < sizeof(tv))
		return -EINVAL;
	if (mm_copy_in(t->mm, tv, GVA(addr), sizeof(tv)))
		return -EFAULT;
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -EDOM;
	if (tv[0] < 0)
		ns = 1; /* negative: do not wait at all */
	else if (tv[0] > (int64_t)(INT64_MAX / NS_PER_SEC / 2))
		ns = 0;
	else
		ns = (uint64_t)tv[0] * NS_PER_SEC + (uint64_t)tv[1] * NS_PER_USEC;
	if (name == RCVTIMEO_OLD || name == RCVTIMEO_NEW)
		s->rcvtimeo = ns;
	else
		s->sndtimeo = ns;
	return 0;
}

static bool is_timeout(int name)
{
	return name == RCVTIMEO_OLD || name == RCVTIMEO_NEW || name == SNDTIMEO_OLD ||
	       name == SNDTIMEO_NEW;
}

/* The filter's instructions are behind a pointer: copied once, checked by the host's kernel. */
static int attach_filter(struct task *t, struct file *f, uint64_t addr, uint32_t len)
{
	struct {
		uint16_t len;
		uint8_t pad[6];
		uint64_t filter;
	} guest;
	struct sock_fprog prog;
	int ret;

	if (len != sizeof(guest))
		return -EINVAL;
	if (mm_copy_in(t->mm, &guest, GVA(addr), sizeof(guest)))
		return -EFAULT;
	if (!guest.len || guest.len > FILTER_MAX)
		return -EINVAL;
	prog.len = guest.len;
	prog.filter = calloc(guest.len, sizeof(*prog.filter));
	if (!prog.filter)
		return -ENOMEM;
	ret = mm_copy_in(t->mm, prog.filter, GVA(guest.filter), guest.len * sizeof(*prog.filter));
	if (!ret && setsockopt(f->host_fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		ret = -errno;
	free(prog.filter);
	return ret;
}

static int set_special(struct task *t, struct file *f, int name, uint64_t addr, uint32_t len)
{
	struct sock *s = sock_of(f);
	int value;

	if (is_timeout(name))
		return set_timeout(t, s, name, addr, len);
	if (name == SO_ATTACH_FILTER)
		return attach_filter(t, f, addr, len);
	if (len < sizeof(value))
		return -EINVAL;
	if (mm_copy_in(t->mm, &value, GVA(addr), sizeof(value)))
		return -EFAULT;
	s->passcred = value != 0;
	/* As on Linux, a socket that wants credentials has a name. */
	return value && !s->self && !s->peer ? unix_identify(t, f, false) : 0;
}

static bool set_is_special(const struct sock *s, int level, int name)
{
	if (level != SOL_SOCKET)
		return false;
	return is_timeout(name) || name == SO_ATTACH_FILTER ||
	       (name == SO_PASSCRED && s->domain == AF_UNIX);
}

static int set_plain(struct task *t, struct file *f, int level, int name, uint64_t addr,
		     uint32_t len)
{
	uint8_t buf[OPT_BYTES_MAX];

	if (!option_known(level, name))
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && (name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE) &&
	    !cred_capable(t->cred, CAP_NET_ADMIN))
		return -EPERM;
	if (len > sizeof(buf))
		return -EINVAL;
	if (mm_copy_in(t->mm, buf, GVA(addr), len))
		return -EFAULT;
	return setsockopt(f->host_fd, level, name, len ? buf : NULL, len) ? -errno : 0;
}

int64_t sys_setsockopt(struct task *t, const uint64_t a[6])
{
	int level = (int)a[1], name = (int)a[2], ret;
	struct file *f;

	if ((int)a[4] < 0)
		return -EINVAL;
	ret = sock_get(t, (int)a[0], &f);
	if (ret)
		return ret;
	if (set_is_special(sock_of(f), level, name))
		ret = set_special(t, f, name, a[3], (uint32_t)a[4]);
	else
		ret = set_plain(t, f, level, name, a[3], (uint32_t)a[4]);
	file_put(f);
	return ret;
}

/* ---- reading ---- */

static struct ucred peer_cred(struct file *f)
{
	struct ucred c = {0, (uid_t)-1, (gid_t)-1};
	struct unix_id *peer = sock_get_peer(sock_of(f));
	socklen_t len = sizeof(c);

	if (peer) {
		c = unix_get_cred(peer, false);
		unix_id_put(peer);
	} else if (!getsockopt(f->host_fd, SOL_SOCKET, SO_PEERCRED, &c, &len)) {
		c.pid = 0; /* outside the container: no such process here */
	}
	return c;
}

/* Options answered here: the length, or -1: ask the host. */
static int get_special(struct file *f, int level, int name, uint8_t *buf)
{
	struct sock *s = sock_of(f);
	uint64_t ns;

	if (level != SOL_SOCKET)
		return -1;
	if (is_timeout(name)) {
		ns = name == RCVTIMEO_OLD || name == RCVTIMEO_NEW ? s->rcvtimeo : s->sndtimeo;
		memcpy(buf,
		       (int64_t[2]){(int64_t)(ns / NS_PER_SEC),
				    (int64_t)(ns % NS_PER_SEC / NS_PER_USEC)},
		       16);
		return 16;
	}
	if (s->domain != AF_UNIX)
		return -1;
	if (name == SO_PASSCRED) {
		memcpy(buf, &(int){s->passcred}, sizeof(int));
		return sizeof(int);
	}
	if (name == SO_PEERCRED) {
		struct ucred c = peer_cred(f);

		memcpy(buf, &c, sizeof(c));
		return sizeof(c);
	}
	return -1;
}

static int get_option(struct task *t, struct file *f, int level, int name, uint64_t addr,
		      uint64_t ulen)
{
	uint8_t buf[OPT_BYTES_MAX];
	int32_t room;
	socklen_t len;
	int n;

	if (mm_copy_in(t->mm, &room, GVA(ulen), sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	n = get_special(f, level, name, buf);
	if (n < 0) {
		if (!option_known(level, name) || (level == SOL_SOCKET && name == SO_GET_FILTER))
			return -ENOPROTOOPT;
		memset(buf, 0, sizeof(buf));
		len = (uint32_t)room < sizeof(buf) ? (socklen_t)room : sizeof(buf);
		if (getsockopt(f->host_fd, level, name, buf, &len))
			return -errno;
		n = (int)(len < sizeof(buf) ? len : sizeof(buf));
	}
	if (n > room)
		n = room;
	if (mm_copy_out(t->mm, GVA(addr), buf, (size_t)n) ||
	    mm_copy_out(t->mm, GVA(ulen), &n, sizeof(n)))
		return -EFAULT;
	return 0;
}

int64_t sys_getsockopt(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int ret = sock_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	ret = get_option(t, f, (int)a[1], (int)a[2], a[3], a[4]);
	file_put(f);
	return ret;
}

/* ---- ioctls (netdevice(7), socket(7)) ---- */

static int64_t ioctl_int(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	int value = 0;

	if (ioctl(f->host_fd, cmd, &value))
		return -errno;
	return mm_copy_out(t->mm, GVA(arg), &value, sizeof(value));
}

static int64_t ioctl_ifreq(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct ifreq req;

	if (mm_copy_in(t->mm, &req, GVA(arg), sizeof(req)))
		return -EFAULT;
	req.ifr_name[IFNAMSIZ - 1] = '\0';
	if (ioctl(f->host_fd, cmd, &req))
		return -errno;
	return mm_copy_out(t->mm, GVA(arg), &req, sizeof(req));
}

static int64_t ioctl_ifconf(struct file *f, struct task *t, uint64_t arg)
{
	struct {
		int32_t len, pad;
		uint64_t buf;
	} guest;
	struct ifconf conf = {0};
	int64_t ret = 0;

	if (mm_copy_in(t->mm, &guest, GVA(arg), sizeof(guest)))
		return -EFAULT;
	if (guest.len < 0)
		return -EINVAL;
	conf.ifc_len = guest.len < (int)IFCONF_MAX ? guest.len : (int)IFCONF_MAX;
	/* Without a buffer the call tells the size. */
	conf.ifc_buf = guest.buf ? calloc(1, (size_t)conf.ifc_len + 1) : NULL;
	if (guest.buf && !conf.ifc_buf)
		return -ENOMEM;
	if (ioctl(f->host_fd, SIOCGIFCONF, &conf))
		ret = -errno;
	else if (guest.buf)
		ret = mm_copy_out(t->mm, GVA(guest.buf), conf.ifc_buf, (size_t)conf.ifc_len);
	if (!ret)
		ret = mm_copy_out(t->mm, GVA(arg), &conf.ifc_len, sizeof(conf.ifc_len));
	free(conf.ifc_buf);
	return ret;
}

static int64_t ioctl_nonblock(struct file *f, struct task *t, uint64_t arg)
{
	int on;

	if (mm_copy_in(t->mm, &on, GVA(arg), sizeof(on)))
		return -EFAULT;
	if (on)
		atomic_fetch_or(&f->flags, O_NONBLOCK);
	else
		atomic_fetch_and(&f->flags, ~(unsigned)O_NONBLOCK);
	return 0;
}

int64_t sock_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case FIONBIO:
		return ioctl_nonblock(f, t, arg);
	case FIONREAD:
	case TIOCOUTQ: /* SIOCOUTQ */
	case SIOCOUTQNSD:
	case SIOCATMARK:
		return ioctl_int(f, t, cmd, arg);
	case SIOCGIFCONF:
		return ioctl_ifconf(f, t, arg);
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN:
	case SIOCGIFMAP:
		return ioctl_ifreq(f, t, cmd, arg);
	case SIOCSIFFLAGS:
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFDSTADDR:
	case SIOCSIFMTU:
	case SIOCSIFTXQLEN:
		if (!cred_capable(t->cred, CAP_NET_ADMIN))
			return -EPERM;
		return ioctl_ifreq(f, t, cmd, arg);
	default:
		return -ENOTTY;
	}
}
