/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/uio.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Linux's MAX_RW_COUNT: one call never moves more (read(2), NOTES). */
#define RW_COUNT_MAX ((size_t)0x7ffff000)
#define BOUNCE_SIZE ((size_t)256 * 1024)
#define PIN_IOV 64

void uio_single(struct uio *u, struct mm *mm, gva_t addr, size_t len)
{
	if (len > RW_COUNT_MAX)
		len = RW_COUNT_MAX;
	*u = (struct uio){.mm = mm, .count = 1, .resid = len};
	u->one = (struct iovec){.iov_base = (void *)(uintptr_t)addr.v, .iov_len = len};
	u->iov = NULL;
}

void uio_host(struct uio *u, void *buf, size_t len)
{
	uio_single(u, NULL, GVA((uintptr_t)buf), len);
}

/* As Linux checks before it clamps the length: no part of the call is done if one does not pass. */
static bool in_user_half(const struct iovec *v)
{
	return (uintptr_t)v->iov_base <= MM_TASK_SIZE &&
	       v->iov_len <= MM_TASK_SIZE - (uintptr_t)v->iov_base;
}

int uio_import(struct uio *u, struct mm *mm, gva_t addr, uint64_t count)
{
	int ret = -EINVAL;

	*u = (struct uio){.mm = mm};
	if (count > IOV_MAX)
		return -EINVAL;
	if (!count)
		return 0;
	u->iov = malloc(count * sizeof(*u->iov));
	if (!u->iov)
		return -ENOMEM;
	if (mm_copy_in(mm, u->iov, addr, count * sizeof(*u->iov)) < 0) {
		ret = -EFAULT;
		goto fail;
	}
	u->count = count;
	for (unsigned i = 0; i < count; i++) {
		if ((ssize_t)u->iov[i].iov_len < 0)
			goto fail;
		if (!in_user_half(&u->iov[i])) {
			ret = -EFAULT;
			goto fail;
		}
		if (u->iov[i].iov_len > RW_COUNT_MAX - u->resid)
			u->iov[i].iov_len = RW_COUNT_MAX - u->resid;
		u->resid += u->iov[i].iov_len;
	}
	return 0;
fail:
	uio_free(u);
	return ret;
}

void uio_free(struct uio *u)
{
	free(u->iov);
	u->iov = NULL;
	u->count = 0;
	u->resid = 0;
}

void uio_truncate(struct uio *u, size_t len)
{
	if (u->resid > len)
		u->resid = len;
}

/* The unread part of the current segment, skipping empty ones. Length 0: nothing left. */
static size_t uio_current(struct uio *u, uint64_t *addr)
{
	while (u->resid && u->index < u->count) {
		const struct iovec *v = u->iov ? &u->iov[u->index] : &u->one;
		size_t n = v->iov_len - u->offset;

		if (!n) {
			u->index++;
			u->offset = 0;
			continue;
		}
		*addr = (uintptr_t)v->iov_base + u->offset;
		return n < u->resid ? n : u->resid;
	}
	return 0;
}

static void uio_advance(struct uio *u, size_t n)
{
	while (n) {
		uint64_t addr;
		size_t cur = uio_current(u, &addr);

		if (!cur)
			return;
		if (cur > n)
			cur = n;
		u->offset += cur;
		u->resid -= cur;
		n -= cur;
	}
}

void uio_skip(struct uio *u, size_t n)
{
	uio_advance(u, n);
}

static int64_t uio_copy(struct uio *u, char *host, size_t len, bool to_guest)
{
	size_t done = 0;

	while (done < len) {
		uint64_t addr;
		size_t moved, n = uio_current(u, &addr);

		if (!n)
			break;
		if (n > len - done)
			n = len - done;
		if (!u->mm) {
			if (to_guest)
				memcpy((void *)(uintptr_t)addr, host + done, n);
			else
				memcpy(host + done, (void *)(uintptr_t)addr, n);
			moved = n;
		} else if (to_guest) {
			moved = mm_copy_out_some(u->mm, GVA(addr), host + done, n);
		} else {
			moved = mm_copy_in_some(u->mm, host + done, GVA(addr), n);
		}
		uio_advance(u, moved);
		done += moved;
		if (moved < n)
			return done ? (int64_t)done : -EFAULT;
	}
	return done;
}

int64_t uio_write_to_guest(struct uio *u, const void *src, size_t len)
{
	return uio_copy(u, (char *)(uintptr_t)src, len, true);
}

int64_t uio_read_from_guest(struct uio *u, void *dst, size_t len)
{
	return uio_copy(u, dst, len, false);
}

static int64_t host_transfer(int fd, const struct iovec *iov, int n, int64_t off, int flags, bool read)
{
	ssize_t ret;

	/* The plain calls also work on descriptors that know nothing of the *v2 forms. */
	if (!flags && off < 0)
		ret = read ? readv(fd, iov, n) : writev(fd, iov, n);
	else if (!flags)
		ret = read ? preadv(fd, iov, n, off) : pwritev(fd, iov, n, off);
	else
		ret = read ? preadv2(fd, iov, n, off, flags) : pwritev2(fd, iov, n, off, flags);
	return ret < 0 ? -errno : ret;
}

/*
 * Gather a prefix of the list into host segments, to store to or to load from. Bytes covered,
 * -EAGAIN: bounce, or -EFAULT.
 */
static int64_t uio_pin(struct uio *u, bool store, struct iovec *iov, int *cnt, struct mm_pin *pin)
{
	uint64_t addr;
	size_t n = uio_current(u, &addr);

	if (!n) {
		*cnt = 0;
		return 0;
	}
	if (u->mm)
		return mm_pin(u->mm, GVA(addr), n, store, iov, cnt, pin);
	iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)addr, .iov_len = n};
	*cnt = 1;
	return n;
}

static int64_t bounce_read(struct uio *u, int fd, int64_t off, int flags)
{
	size_t len = u->resid < BOUNCE_SIZE ? u->resid : BOUNCE_SIZE;
	struct iovec v = {.iov_base = malloc(len), .iov_len = len};
	int64_t ret;

	if (!v.iov_base)
		return -ENOMEM;
	ret = host_transfer(fd, &v, 1, off, flags, true);
	if (ret > 0)
		ret = uio_write_to_guest(u, v.iov_base, ret);
	free(v.iov_base);
	return ret;
}

static int64_t bounce_write(struct uio *u, int fd, int64_t off, int flags)
{
	size_t len = u->resid < BOUNCE_SIZE ? u->resid : BOUNCE_SIZE;
	struct iovec v = {.iov_base = malloc(len), .iov_len = len};
	struct uio saved = *u;
	int64_t ret;

	if (!v.iov_base)
		return -ENOMEM;
	ret = uio_read_from_guest(u, v.iov_base, len);
	if (ret > 0) {
		v.iov_len = ret;
		ret = host_transfer(fd, &v, 1, off, flags, false);
	}
	*u = saved;
	if (ret > 0)
		uio_advance(u, ret);
	free(v.iov_base);
	return ret;
}

/*
 * Lists of small segments go through the bounce buffer in one host call, so that a writev to a pipe
 * or a file opened with O_APPEND stays one atomic write.
 */
static bool uio_wants_bounce(const struct uio *u)
{
	return u->count - u->index > 1 && u->resid <= BOUNCE_SIZE;
}

static int64_t uio_host_move(struct uio *u, int fd, int64_t off, int flags, bool read)
{
	int64_t done = 0;

	while (u->resid) {
		struct iovec iov[PIN_IOV];
		struct mm_pin pin;
		int cnt = PIN_IOV;
		int64_t want = uio_wants_bounce(u) ? -EAGAIN : uio_pin(u, read, iov, &cnt, &pin);
		int64_t at = off < 0 ? off : off + done, ret;

		if (want == -EAGAIN) {
			want = u->resid < BOUNCE_SIZE ? u->resid : BOUNCE_SIZE;
			ret = read ? bounce_read(u, fd, at, flags) : bounce_write(u, fd, at, flags);
		} else if (want <= 0) {
			return done ? done : want;
		} else {
			ret = host_transfer(fd, iov, cnt, at, flags, read);
			if (u->mm)
				mm_unpin(&pin);
			if (ret > 0)
				uio_advance(u, ret);
		}
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
		if (ret < want)
			break;
	}
	return done;
}

int64_t uio_host_read(struct uio *u, int fd, int64_t off, int rwf_flags)
{
	return uio_host_move(u, fd, off, rwf_flags, true);
}

int64_t uio_host_write(struct uio *u, int fd, int64_t off, int rwf_flags)
{
	return uio_host_move(u, fd, off, rwf_flags, false);
}
