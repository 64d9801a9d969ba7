/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2). The host timer fires once and is armed again when somebody looks, so that a
 * short interval nobody reads costs nothing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/cred.h"
#include "runtime/task/timer_set.h"

struct timerfd {
	pthread_mutex_t lock; /* protects what follows */
	struct waitq wait;
	struct ktimer kt;
	int clock;
	bool armed;
	uint64_t next_ns, interval_ns; /* on its clock */
	uint64_t ticks;		       /* expirations not read yet */
};

struct guest_itimerspec {
	struct timespec interval, value;
};

static uint64_t clock_now(int clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return timespec_to_ns(&ts);
}

/* Count what has expired by now. Returns whether the timer wants to be armed again. */
static bool catch_up_locked(struct timerfd *tf)
{
	uint64_t now, times = 1;

	if (!tf->armed)
		return false;
	now = clock_now(tf->clock);
	if (now < tf->next_ns)
		return true;
	if (tf->interval_ns)
		times = 1 + (now - tf->next_ns) / tf->interval_ns;
	tf->ticks += times;
	tf->armed = tf->interval_ns != 0;
	tf->next_ns += times * tf->interval_ns;
	return tf->armed;
}

static int arm_locked(struct timerfd *tf)
{
	return ktimer_arm(&tf->kt, deadline_of_clock(tf->clock, tf->next_ns));
}

static void timerfd_expired(struct ktimer *kt)
{
	struct timerfd *tf = container_of(kt, struct timerfd, kt);
	bool ready;

	pthread_mutex_lock(&tf->lock);
	/* Early only if the clock was set back: then wait on. */
	if (catch_up_locked(tf) && !tf->ticks)
		arm_locked(tf);
	ready = tf->ticks != 0;
	pthread_mutex_unlock(&tf->lock);
	if (ready)
		waitq_wake(&tf->wait, POLLIN, 0);
}

static uint64_t take_ticks(struct timerfd *tf)
{
	uint64_t ticks;

	pthread_mutex_lock(&tf->lock);
	if (catch_up_locked(tf))
		arm_locked(tf);
	ticks = tf->ticks;
	tf->ticks = 0;
	pthread_mutex_unlock(&tf->lock);
	return ticks;
}

static int64_t timerfd_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct timerfd *tf = f->data;
	struct waiter w;
	uint64_t ticks;
	int ret = 0;

	(void)pos;
	if (to->resid < sizeof(ticks))
		return -EINVAL;
	ticks = take_ticks(tf);
	if (!ticks && (atomic_load(&f->flags) & O_NONBLOCK))
		return -EAGAIN;
	if (!ticks) {
		waiter_init(&w, t);
		waitq_add(&tf->wait, &w, POLLIN);
		while (!ret) {
			task_prepare_park(t);
			ticks = take_ticks(tf);
			if (ticks)
				break;
			ret = task_park(t, DEADLINE_NONE, NULL, 0);
		}
		waitq_remove(&w);
		if (!ticks)
			return -ERESTARTSYS;
	}
	ret = (int)uio_write_to_guest(to, &ticks, sizeof(ticks));
	return ret == (int)sizeof(ticks) ? ret : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f, struct waiter *w)
{
	struct timerfd *tf = f->data;
	uint32_t events;

	if (w)
		waitq_add(&tf->wait, w, w->events);
	pthread_mutex_lock(&tf->lock);
	catch_up_locked(tf);
	events = tf->ticks ? POLLIN | POLLRDNORM : 0;
	pthread_mutex_unlock(&tf->lock);
	return events;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *tf = f->data;

	pthread_mutex_lock(&tf->lock);
	tf->armed = false;
	pthread_mutex_unlock(&tf->lock);
	ktimer_cancel(&tf->kt);
	waitq_destroy(&tf->wait);
	pthread_mutex_destroy(&tf->lock);
	free(tf);
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.release = timerfd_release,
};

/* ---- system calls ---- */

static int timerfd_clock(struct task *t, int *clock)
{
	switch (*clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
		return 0;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		if (!cred_capable(t->cred, CAP_WAKE_ALARM))
			return -EPERM;
		*clock = *clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : CLOCK_BOOTTIME;
		return 0;
	default:
		return -EINVAL;
	}
}

int64_t sys_timerfd_create(struct task *t, const uint64_t a[6])
{
	int clock = (int)a[0], flags = (int)a[1], fd, ret;
	struct timerfd *tf;
	struct file *f;

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	ret = timerfd_clock(t, &clock);
	if (ret)
		return ret;
	tf = calloc(1, sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	f = file_alloc(&timerfd_ops, O_RDWR | ((unsigned)flags & O_NONBLOCK));
	if (!f) {
		free(tf);
		return -ENOMEM;
	}
	pthread_mutex_init(&tf->lock, NULL);
	waitq_init(&tf->wait);
	ktimer_init(&tf->kt, timerfd_expired);
	tf->clock = clock;
	f->data = tf;
	f->anon_name = "anon_inode:[timerfd]";
	fd = fd_install(t, f, 0, flags & TFD_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

/* The description with a reference; -EBADF, or -EINVAL for something else. */
static int timerfd_get(struct task *t, int fd, struct file **out)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &timerfd_ops) {
		file_put(f);
		return -EINVAL;
	}
	*out = f;
	return 0;
}

static void timerfd_show_locked(struct timerfd *tf, struct guest_itimerspec *out)
{
	uint64_t now;

	if (catch_up_locked(tf))
		arm_locked(tf);
	now = clock_now(tf->clock);
	out->interval = ns_to_timespec(tf->interval_ns);
	out->value = ns_to_timespec(!tf->armed ? 0 : tf->next_ns > now ? tf->next_ns - now : 1);
}

static int timerfd_set_locked(struct timerfd *tf, const struct guest_itimerspec *v, bool absolute)
{
	uint64_t value = timespec_to_ns(&v->value);

	tf->ticks = 0;
	tf->interval_ns = timespec_to_ns(&v->interval);
	tf->armed = value != 0;
	if (!value) {
		ktimer_disarm(&tf->kt);
		return 0;
	}
	tf->next_ns = absolute ? value : deadline_after(clock_now(tf->clock), value);
	return arm_locked(tf);
}

int64_t sys_timerfd_settime(struct task *t, const uint64_t a[6])
{
	struct guest_itimerspec v, old;
	struct timerfd *tf;
	struct file *f;
	int ret;

	if (mm_copy_in(t->mm, &v, GVA(a[2]), sizeof(v)))
		return -EFAULT;
	if ((a[1] & ~(uint64_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
	    !timespec_valid(&v.value) || !timespec_valid(&v.interval))
		return -EINVAL;
	ret = timerfd_get(t, (int)a[0], &f);
	if (ret)
		return ret;
	tf = f->data;
	pthread_mutex_lock(&tf->lock);
	timerfd_show_locked(tf, &old);
	ret = timerfd_set_locked(tf, &v, a[1] & TFD_TIMER_ABSTIME);
	pthread_mutex_unlock(&tf->lock);
	if (!ret && a[3])
		ret = mm_copy_out(t->mm, GVA(a[3]), &old, sizeof(old));
	file_put(f);
	return ret;
}

int64_t sys_timerfd_gettime(struct task *t, const uint64_t a[6])
{
	struct guest_itimerspec v;
	struct timerfd *tf;
	struct file *f;
	int ret = timerfd_get(t, (int)a[0], &f);

	if (ret)
		return ret;
	tf = f->data;
	pthread_mutex_lock(&tf->lock);
	timerfd_show_locked(tf, &v);
	pthread_mutex_unlock(&tf->lock);
	ret = mm_copy_out(t->mm, GVA(a[1]), &v, sizeof(v));
	file_put(f);
	return ret;
}
