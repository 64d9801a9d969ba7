/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/random.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define GETRANDOM_MAX 0x7ffff000u /* as other reads: INT_MAX rounded down to a page */
#define CHUNK	      4096u
#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif

/* Interruptible between chunks, as getrandom(2): what was delivered counts. */
int64_t sys_getrandom(struct task *t, const uint64_t a[6])
{
	uint64_t len = a[1] < GETRANDOM_MAX ? a[1] : GETRANDOM_MAX, done = 0;
	unsigned flags = (unsigned)a[2];
	uint8_t buf[CHUNK];

	if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < len) {
		size_t want = len - done < sizeof(buf) ? (size_t)(len - done) : sizeof(buf), moved;

		if (getrandom(buf, want, 0) != (ssize_t)want)
			return done ? (int64_t)done : -EAGAIN;
		moved = mm_copy_out_some(t->mm, GVA(a[0] + done), buf, want);
		done += moved;
		if (moved < want)
			return done ? (int64_t)done : -EFAULT;
		if (done < len && signal_pending(t))
			break;
	}
	return (int64_t)done;
}
