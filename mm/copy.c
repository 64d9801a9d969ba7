/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's access to guest memory. Each call holds the address space's lock, so a page cannot go
 * away under it; pages are faulted in on the way as the guest's own access would.
 */
#include <errno.h>
#include <string.h>

#include "mm/fault.h"
#include "mm/guarded_copy.h"

enum copy_kind { COPY_IN, COPY_OUT, COPY_ZERO };

struct copy {
	char *host; /* the kernel's side; NULL for COPY_ZERO */
	enum copy_kind kind;
	bool force;
};

static size_t in_page(uint64_t va, size_t len)
{
	size_t left = PAGE_SIZE - (va & ~PAGE_MASK);

	return len < left ? len : left;
}

static size_t copy_part(const struct copy *c, char *guest, size_t done, size_t n)
{
	switch (c->kind) {
	case COPY_IN:
		return guarded_copy(c->host + done, guest, n);
	case COPY_OUT:
		return guarded_copy(guest, c->host + done, n);
	default:
		return guarded_zero(guest, n);
	}
}

/* Returns the bytes moved. */
static size_t copy_range(struct mm *mm, const struct copy *c, uint64_t va, size_t len)
{
	unsigned access = c->kind == COPY_IN ? MM_ACCESS_READ : MM_ACCESS_WRITE;
	struct edit e;
	size_t done = 0;

	if (!len || va >= MM_TASK_SIZE)
		return 0;
	edit_begin(&e, mm);
	while (done < len) {
		int err;
		size_t n = in_page(va + done, len - done), left;
		char *guest = fault_host(&e, va + done, access, c->force, &err);

		if (!guest)
			break;
		left = copy_part(c, guest, done, n);
		done += n - left;
		if (left)
			break;
	}
	edit_end(&e);
	return done;
}

size_t mm_copy_in_some(struct mm *mm, void *dst, gva_t src, size_t len)
{
	struct copy c = {.host = dst, .kind = COPY_IN};

	return copy_range(mm, &c, src.v, len);
}

size_t mm_copy_out_some(struct mm *mm, gva_t dst, const void *src, size_t len)
{
	struct copy c = {.host = (char *)src, .kind = COPY_OUT};

	return copy_range(mm, &c, dst.v, len);
}

int mm_copy_in(struct mm *mm, void *dst, gva_t src, size_t len)
{
	return mm_copy_in_some(mm, dst, src, len) == len ? 0 : -EFAULT;
}

int mm_copy_out(struct mm *mm, gva_t dst, const void *src, size_t len)
{
	return mm_copy_out_some(mm, dst, src, len) == len ? 0 : -EFAULT;
}

int mm_zero(struct mm *mm, gva_t dst, size_t len)
{
	struct copy c = {.kind = COPY_ZERO};

	return copy_range(mm, &c, dst.v, len) == len ? 0 : -EFAULT;
}

int mm_poke(struct mm *mm, gva_t dst, const void *src, size_t len)
{
	struct copy c = {.host = (char *)src, .kind = COPY_OUT, .force = true};

	return copy_range(mm, &c, dst.v, len) == len ? 0 : -EFAULT;
}

int64_t mm_copy_in_str(struct mm *mm, char *dst, gva_t src, size_t cap)
{
	size_t done = 0;

	/* Page by page: what lies beyond the string's end need not be mapped. */
	while (done < cap) {
		size_t n = in_page(src.v + done, cap - done);
		size_t got = mm_copy_in_some(mm, dst + done, GVA(src.v + done), n);
		char *end = memchr(dst + done, 0, got);

		if (end)
			return end - dst;
		if (got < n)
			return -EFAULT;
		done += n;
	}
	return -ENAMETOOLONG;
}

/* ---- words ---- */

int mm_load32(struct mm *mm, gva_t addr, uint32_t *out)
{
	struct edit e;
	int err = 0;
	char *at;

	if (addr.v & 3)
		return -EFAULT;
	edit_begin(&e, mm);
	at = fault_host(&e, addr.v, MM_ACCESS_READ, false, &err);
	if (!at || !guarded_load32((uint32_t *)at, out))
		err = -EFAULT;
	edit_end(&e);
	return err;
}

int mm_cmpxchg32(struct mm *mm, gva_t addr, uint32_t expect, uint32_t desired, uint32_t *seen)
{
	struct edit e;
	int err = 0;
	char *at;

	if (addr.v & 3)
		return -EFAULT;
	edit_begin(&e, mm);
	at = fault_host(&e, addr.v, MM_ACCESS_WRITE, false, &err);
	if (!at || !guarded_cmpxchg32((uint32_t *)at, expect, desired, seen))
		err = -EFAULT;
	edit_end(&e);
	return err;
}
