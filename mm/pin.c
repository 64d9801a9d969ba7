/* SPDX-License-Identifier: Apache-2.0 */
/* Pinning guest pages for host system calls; futex keys. */
#include <errno.h>

#include "mm/fault.h"
#include "mm/shm.h"

int64_t mm_pin(struct mm *mm, gva_t addr, uint64_t len, bool write, struct iovec *iov, int *iovcnt,
	       struct mm_pin *pin)
{
	unsigned max = sizeof pin->frame / sizeof pin->frame[0];
	int cap = *iovcnt, used = 0, err = 0;
	uint64_t done = 0;
	struct edit e;

	pin->mm = mm;
	pin->frames = 0;
	edit_begin(&e, mm);
	while (done < len && pin->frames < max) {
		uint64_t va = addr.v + done, n = PAGE_SIZE - (va & ~PAGE_MASK);
		char *at =
			fault_host(&e, va, write ? MM_ACCESS_WRITE : MM_ACCESS_READ, false, &err);
		uint32_t frame;

		if (!at)
			break;
		if (at < mm->sys->frames.host ||
		    at >= mm->sys->frames.host +
				    ((uint64_t)mm->sys->frames.nframes << PAGE_SHIFT)) {
			err = -EAGAIN;
			break;
		}
		n = n < len - done ? n : len - done;
		if (used && (char *)iov[used - 1].iov_base + iov[used - 1].iov_len == at) {
			iov[used - 1].iov_len += n;
		} else {
			if (used == cap)
				break;
			iov[used++] = (struct iovec){at, n};
		}
		frame = (uint32_t)((uint64_t)(at - mm->sys->frames.host) >> PAGE_SHIFT);
		frame_get(mm->sys, frame);
		atomic_fetch_add_explicit(&mm->sys->frames.frame[frame].pins, 1,
					  memory_order_release);
		pin->frame[pin->frames++] = frame;
		done += n;
	}
	edit_end(&e);
	*iovcnt = used;
	if (done)
		return (int64_t)done;
	return err == -EAGAIN ? -EAGAIN : -EFAULT;
}

void mm_unpin(struct mm_pin *pin)
{
	struct mm_system *sys = pin->mm->sys;

	for (unsigned i = 0; i < pin->frames; i++) {
		atomic_fetch_sub_explicit(&sys->frames.frame[pin->frame[i]].pins, 1,
					  memory_order_release);
		frame_put(sys, pin->frame[i], 1);
	}
	pin->frames = 0;
}

int mm_futex_key(struct mm *mm, gva_t addr, bool is_private, struct mm_futex_key *out)
{
	enum {
		KEY_PRIVATE,
		KEY_ANON,
		KEY_FILE
	}; /* in the low bits of c, above a word's alignment */
	struct edit e;
	struct area *a;
	int err = 0;

	if (addr.v & 3)
		return -EINVAL;
	if (addr.v >= MM_TASK_SIZE)
		return -EFAULT;
	*out = (struct mm_futex_key){mm->id, addr.v, KEY_PRIVATE};
	if (is_private)
		return 0;
	edit_begin(&e, mm);
	if (!fault_host(&e, addr.v, MM_ACCESS_READ, false, &err)) {
		err = -EFAULT;
	} else {
		a = area_find(mm, addr.v);
		if (a->flags & AREA_SHARED && a->shm)
			*out = (struct mm_futex_key){shm_id(a->shm), area_offset(a, addr.v),
						     KEY_ANON};
		else if (a->flags & AREA_SHARED)
			*out = (struct mm_futex_key){a->backing->dev, a->backing->ino,
						     area_offset(a, addr.v) << 2 | KEY_FILE};
	}
	edit_end(&e);
	return err;
}
