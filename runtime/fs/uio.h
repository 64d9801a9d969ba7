/* SPDX-License-Identifier: Apache-2.0 */
/* A scatter list of guest (or, for the kernel's own reads, host) memory with a cursor. */
#ifndef NACRE_RUNTIME_FS_UIO_H
#define NACRE_RUNTIME_FS_UIO_H

#include <sys/uio.h>

#include "mm/mm.h"

struct uio {
	struct mm *mm;	 /* NULL: the segments are host pointers */
	struct iovec *iov; /* iov_base is a guest address when mm is set */
	unsigned count, index;
	size_t offset; /* within iov[index] */
	size_t resid;  /* bytes left in all */
	struct iovec one; /* storage for single-segment lists */
};

void uio_single(struct uio *u, struct mm *mm, gva_t addr, size_t len);
void uio_host(struct uio *u, void *buf, size_t len);
/* Import a guest iovec: copied once, checked (EINVAL, EFAULT); lengths cut at MAX_RW_COUNT. */
int uio_import(struct uio *u, struct mm *mm, gva_t iov, uint64_t count);
void uio_free(struct uio *u);
/* Leave at most len bytes to move; pass over n bytes. */
void uio_truncate(struct uio *u, size_t len);
void uio_skip(struct uio *u, size_t n);
/* Bytes moved, short only at a fault; -EFAULT when nothing could be moved. Advance the cursor. */
int64_t uio_write_to_guest(struct uio *u, const void *src, size_t len);
int64_t uio_read_from_guest(struct uio *u, void *dst, size_t len);
/*
 * preadv/pwritev (off >= 0) or readv/writev (off < 0) between a host descriptor and guest memory,
 * pinned, without a bounce where possible. Does not wait by itself: the caller makes sure that the
 * descriptor is ready (a stream may be asked again after a full segment). -errno or bytes.
 */
int64_t uio_host_read(struct uio *u, int fd, int64_t off, int rwf_flags);
int64_t uio_host_write(struct uio *u, int fd, int64_t off, int rwf_flags);

#endif
