/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Controlling terminals and job control. A session holds a reference on its terminal; the terminal
 * knows the session and the foreground group by number. All of that is under tasks_lock, which is
 * outside every terminal's own lock: signals are sent with no terminal lock held.
 */
#include "runtime/fs/tty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "runtime/fs/tty_priv.h"
#include "runtime/task/pgrp.h"
#include "runtime/task/pid.h"

#define CAP_SYS_ADMIN_BIT 21

struct tty *tty_alloc(struct kernel *k)
{
	struct tty *y = calloc(1, sizeof(*y));

	if (!y)
		return NULL;
	atomic_init(&y->refs, 1);
	y->kernel = k;
	list_init(&y->host_link);
	pthread_mutex_init(&y->lock, NULL);
	ldisc_init(&y->ld);
	waitq_init(&y->wait);
	waitq_init(&y->master_wait);
	return y;
}

struct tty *tty_get(struct tty *y)
{
	atomic_fetch_add(&y->refs, 1);
	return y;
}

void tty_put(struct tty *y)
{
	if (atomic_fetch_sub(&y->refs, 1) != 1)
		return;
	ldisc_free(&y->ld);
	waitq_destroy(&y->wait);
	waitq_destroy(&y->master_wait);
	pthread_mutex_destroy(&y->lock);
	free(y);
}

bool file_is_pty_master(const struct file *f)
{
	return f->ops == &pty_master_ops;
}

bool file_is_tty(const struct file *f)
{
	return f->ops == &pty_slave_ops || f->ops == &pty_master_ops || f->ops == &tty_host_ops;
}

struct tty *file_tty(const struct file *f)
{
	return file_is_tty(f) ? f->data : NULL;
}

/* The controlling terminal of p, NULL: none. tasks_lock held, no reference taken. */
static struct tty *tty_of_locked(const struct process *p)
{
	return p->session && !p->tty_given_up ? p->session->tty : NULL;
}

/* ---- background access ---- */

int tty_check_background(struct tty *y, struct task *t, int sig)
{
	struct kernel *k = t->kernel;
	struct process *p = t->process;
	int ret = 0;

	pthread_mutex_lock(&k->tasks_lock);
	if (tty_of_locked(p) == y && y->fg && p->pgid != y->fg) {
		if (signal_ignored_or_blocked(t, sig))
			ret = sig == SIGTTIN ? -EIO : 0;
		else if (pgrp_is_orphaned_locked(k, p->pgid))
			ret = -EIO;
		else
			ret = -ERESTARTSYS;
		if (ret == -ERESTARTSYS)
			signal_send_pgrp_locked(k, p->pgid, sig, NULL);
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

void tty_send_signals(struct tty *y, uint64_t signals)
{
	struct kernel *k = y->kernel;

	if (!signals)
		return;
	pthread_mutex_lock(&k->tasks_lock);
	for (int sig = 1; sig < 32; sig++)
		if ((signals & SIGBIT(sig)) && y->fg)
			signal_send_pgrp_locked(k, y->fg, sig, NULL);
	pthread_mutex_unlock(&k->tasks_lock);
}

/* ---- acquiring and losing ---- */

static void acquire_locked(struct tty *y, struct process *p)
{
	if (p->session->tty)
		tty_put(p->session->tty);
	p->session->tty = tty_get(y);
	y->sid = p->session->sid;
	y->fg = p->pgid;
	p->tty_given_up = false;
}

/* Take y away from its session; the reference the session held goes to the caller. */
static struct tty *release_locked(struct tty *y)
{
	struct tty *held = NULL;

	list_for_each(l, &y->kernel->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->session && p->session->tty == y) {
			held = y;
			p->session->tty = NULL;
		}
	}
	y->sid = y->fg = 0;
	return held;
}

void tty_maybe_acquire(struct tty *y, struct task *t, unsigned flags)
{
	struct process *p = t->process;

	if (flags & O_NOCTTY)
		return;
	pthread_mutex_lock(&t->kernel->tasks_lock);
	if (p->session && p->session->sid == p->pid && !p->session->tty && !y->sid)
		acquire_locked(y, p);
	pthread_mutex_unlock(&t->kernel->tasks_lock);
}

int tty_set_controlling(struct file *f, struct process *p)
{
	struct tty *y = file_tty(f);
	int ret = -EPERM;

	if (!y)
		return -ENOTTY;
	pthread_mutex_lock(&p->kernel->tasks_lock);
	if (p->session && p->session->sid == p->pid) {
		if (y->sid && y->sid != p->session->sid && release_locked(y))
			tty_put(y); /* the description still holds it */
		acquire_locked(y, p);
		ret = 0;
	}
	pthread_mutex_unlock(&p->kernel->tasks_lock);
	return ret;
}

/* The other end is gone: the leader is told, and tells its jobs by dying. */
void tty_hangup_session(struct tty *y)
{
	struct kernel *k = y->kernel;
	struct process *leader;
	struct tty *held;

	pthread_mutex_lock(&k->tasks_lock);
	leader = y->sid ? process_find_locked(k, y->sid) : NULL;
	if (leader && !leader->zombie) {
		signal_send_process(leader, SIGHUP, NULL);
		signal_send_process(leader, SIGCONT, NULL);
	}
	held = release_locked(y);
	pthread_mutex_unlock(&k->tasks_lock);
	if (held)
		tty_put(held);
}

/*
 * The leader ends: its terminal is nobody's from now on, and the foreground group is hung up. Other
 * descriptions of a pseudo-terminal stay usable (background jobs go on writing).
 */
void tty_leader_exit(struct process *p)
{
	struct kernel *k = p->kernel;
	struct tty *y = NULL;

	pthread_mutex_lock(&k->tasks_lock);
	if (p->session && p->session->sid == p->pid)
		y = p->session->tty;
	if (y) {
		if (y->fg)
			signal_send_pgrp_locked(k, y->fg, SIGHUP, NULL);
		y->sid = y->fg = 0;
		p->session->tty = NULL;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	if (y)
		tty_put(y);
}

static struct tty *tty_of_session(struct kernel *k, pid_t pid)
{
	struct process *p;
	struct tty *y = NULL;

	pthread_mutex_lock(&k->tasks_lock);
	p = process_find_locked(k, pid);
	if (p && p->session && p->session->tty)
		y = tty_get(p->session->tty);
	pthread_mutex_unlock(&k->tasks_lock);
	return y;
}

int tty_signal_from_host(struct kernel *k, pid_t pid, int sig)
{
	struct tty *y = pid ? tty_of_session(k, pid) : tty_console();
	int ret;

	if (!y)
		return -ENOTTY;
	pthread_mutex_lock(&k->tasks_lock);
	ret = y->fg ? signal_send_pgrp_locked(k, y->fg, sig, NULL) : -ESRCH;
	pthread_mutex_unlock(&k->tasks_lock);
	if (sig == SIGHUP)
		tty_hangup_session(y);
	tty_put(y);
	return ret;
}

uint32_t tty_nr_locked(const struct process *p, pid_t *fg)
{
	struct tty *y = tty_of_locked(p);

	*fg = y && y->fg ? y->fg : -1;
	if (!y)
		return 0;
	/* The kernel's internal form: minor bits 7:0 and 31:20, major bits 15:8. */
	return (minor(y->rdev) & 0xff) | major(y->rdev) << 8 | (minor(y->rdev) & ~0xffu) << 12;
}

/* ---- ioctls ---- */

static int64_t put_int(struct task *t, uint64_t arg, int v)
{
	return mm_copy_out(t->mm, GVA(arg), &v, sizeof(v));
}

/* Is y the caller's controlling terminal? tasks_lock held. */
static bool is_mine(const struct tty *y, const struct task *t)
{
	return tty_of_locked(t->process) == y;
}

static int64_t set_controlling(struct tty *y, struct task *t, bool steal)
{
	struct process *p = t->process;
	int ret = -EPERM;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	if (!p->session || p->session->sid != p->pid)
		ret = -EPERM;
	else if (p->session->tty == y)
		ret = 0;
	else if (p->session->tty)
		ret = -EPERM;
	else if (!y->sid || (steal && cred_capable(t->cred, CAP_SYS_ADMIN_BIT)))
		ret = 1;
	if (ret == 1) {
		if (y->sid && release_locked(y))
			tty_put(y); /* the caller's description still holds it */
		acquire_locked(y, p);
		ret = 0;
	}
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

/* TIOCNOTTY: a leader gives the terminal up for its session, with a hang-up; others for themselves. */
static int64_t give_up(struct tty *y, struct task *t)
{
	struct kernel *k = t->kernel;
	struct process *p = t->process;
	struct tty *held = NULL;
	int ret = 0;

	pthread_mutex_lock(&k->tasks_lock);
	if (!is_mine(y, t)) {
		ret = -ENOTTY;
	} else if (p->session->sid == p->pid) {
		if (y->fg) {
			signal_send_pgrp_locked(k, y->fg, SIGHUP, NULL);
			signal_send_pgrp_locked(k, y->fg, SIGCONT, NULL);
		}
		held = release_locked(y);
	} else {
		p->tty_given_up = true;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	if (held)
		tty_put(held);
	return ret;
}

static int64_t get_foreground(struct file *f, struct tty *y, struct task *t, uint64_t arg)
{
	pid_t fg;
	bool ok;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	ok = file_is_pty_master(f) || is_mine(y, t);
	fg = y->fg;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ok ? put_int(t, arg, fg) : -ENOTTY;
}

static int64_t set_foreground(struct file *f, struct tty *y, struct task *t, uint64_t arg)
{
	struct kernel *k = t->kernel;
	struct process *q = NULL;
	pid_t pgid;
	int ret;

	if (mm_copy_in(t->mm, &pgid, GVA(arg), sizeof(pgid)))
		return -EFAULT;
	ret = tty_check_background(y, t, SIGTTOU);
	if (ret)
		return ret;
	if (pgid < 0)
		return -EINVAL;
	pthread_mutex_lock(&k->tasks_lock);
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->pgid == pgid && !q)
			q = p;
	}
	if (file_is_pty_master(f) || !is_mine(y, t))
		ret = -ENOTTY;
	else if (!q)
		ret = -ESRCH;
	else if (q->session != t->process->session)
		ret = -EPERM;
	else
		y->fg = pgid;
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

int64_t tty_job_ioctl(struct file *f, struct tty *y, struct task *t, unsigned cmd, uint64_t arg)
{
	pid_t sid;

	switch (cmd) {
	case TIOCSCTTY:
		return file_is_pty_master(f) ? -ENOTTY : set_controlling(y, t, arg == 1);
	case TIOCNOTTY:
		return give_up(y, t);
	case TIOCGPGRP:
		return get_foreground(f, y, t, arg);
	case TIOCSPGRP:
		return set_foreground(f, y, t, arg);
	case TIOCGSID:
		pthread_mutex_lock(&t->kernel->tasks_lock);
		sid = file_is_pty_master(f) || is_mine(y, t) ? y->sid : 0;
		pthread_mutex_unlock(&t->kernel->tasks_lock);
		return sid ? put_int(t, arg, sid) : -ENOTTY;
	case TIOCEXCL:
	case TIOCNXCL:
		return 0;
	case TIOCSTI:
		return -EIO; /* as with dev.tty.legacy_tiocsti=0 */
	default:
		return TTY_NOT_MINE;
	}
}

int tty_open_rdev(struct task *t, uint64_t rdev, int flags, struct file **out)
{
	struct tty *y = NULL;
	int ret;

	if (major(rdev) == 5 && minor(rdev) == 0) {
		pthread_mutex_lock(&t->kernel->tasks_lock);
		y = tty_of_locked(t->process);
		if (y)
			tty_get(y);
		pthread_mutex_unlock(&t->kernel->tasks_lock);
		flags |= O_NOCTTY;
	} else if (major(rdev) == 5 && minor(rdev) == 1) {
		y = tty_console();
	} else if (major(rdev) >= PTS_MAJOR && major(rdev) < PTS_MAJOR + 8) {
		y = pts_by_index((major(rdev) - PTS_MAJOR) * 256 + minor(rdev));
	}
	if (!y)
		return -ENXIO;
	ret = y->host ? tty_host_open(t, y, (unsigned)flags, out)
		      : pts_open(t, y, (unsigned)flags, out);
	tty_put(y);
	return ret;
}
