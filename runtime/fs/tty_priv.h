/* SPDX-License-Identifier: Apache-2.0 */
/* What the terminal files share. */
#ifndef NACRE_RUNTIME_FS_TTY_PRIV_H
#define NACRE_RUNTIME_FS_TTY_PRIV_H

#include <sys/ioctl.h>

#include "runtime/fs/ldisc.h"
#include "runtime/fs/tty.h"
#include "runtime/task/task.h"

#define TTY_READABLE (POLLIN | POLLRDNORM)
#define TTY_WRITABLE (POLLOUT | POLLWRNORM)
#define PTS_MAJOR 136u
#define PTS_MAX 1024u

struct tty {
	atomic_uint refs;
	struct kernel *kernel;
	bool host;	 /* a host terminal; immutable */
	uint64_t rdev;	 /* guest device number; immutable */
	pid_t sid, fg;	 /* session and foreground group, 0: none; tasks_lock */
	/* host terminals */
	struct list host_link; /* host_lock of tty_host.c, as are host_fd and slaves there */
	bool console; /* host: the container's own, kept for /dev/console */
	uint64_t host_rdev;
	char name[24]; /* of a host terminal: immutable */
	int host_fd; /* kept for /dev/tty and /dev/console, or -1 */
	/* pseudo-terminals; protected by lock */
	pthread_mutex_t lock;
	struct ldisc ld;
	struct winsize ws;
	int index; /* immutable */
	bool pt_locked, master_open, slave_seen, packet;
	uint8_t packet_status; /* TIOCPKT_* not yet told to the master */
	unsigned slaves;       /* open slave descriptions */
	uint32_t uid, gid, mode; /* of the devpts node */
	struct waitq wait;	 /* slave side */
	struct waitq master_wait;
};

struct tty *tty_alloc(struct kernel *k);
struct tty *tty_get(struct tty *y);
void tty_put(struct tty *y);
/* The tty of a slave or host terminal description, or of a master; NULL: none. */
struct tty *file_tty(const struct file *f);
bool file_is_pty_master(const struct file *f);

/*
 * Background access: 0: go on; -ERESTARTSYS: the group was sent `sig`; -EIO. SIGTTOU that is ignored
 * or blocked lets the access through.
 */
int tty_check_background(struct tty *y, struct task *t, int sig);
/* Send what the line discipline asked for; without locks. */
void tty_send_signals(struct tty *y, uint64_t signals);
/* An open by a session leader without terminal acquires it, unless O_NOCTTY. */
void tty_maybe_acquire(struct tty *y, struct task *t, unsigned flags);
/* The terminal is gone for its session: SIGHUP, SIGCONT; nobody has it as controlling terminal. */
void tty_hangup_session(struct tty *y);
/* Job-control ioctls, the same for all kinds; TTY_NOT_MINE: not one of them. */
#define TTY_NOT_MINE (-515)
int64_t tty_job_ioctl(struct file *f, struct tty *y, struct task *t, unsigned cmd, uint64_t arg);
int64_t pty_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg);

/* pty.c */
int pts_open(struct task *t, struct tty *y, unsigned flags, struct file **out);
struct tty *pts_by_index(unsigned index); /* a reference, or NULL */
int pts_next(int index);		  /* lowest allocated index >= index, or -1 */
/* A number and a name in devpts; until pts_free(). -ENOSPC. */
int pts_allocate(struct tty *y);
void pts_free(struct tty *y);
/* What fstat(2) says of a slave that was opened through no path. */
void pty_stat(const struct tty *y, uint64_t rdev, struct kstat *out);
uint64_t devpts_dev(void); /* devpts.c */
/* Wake both sides after a change; lock held. */
void pty_wake_all(struct tty *y);
/* tty_host.c */
int tty_host_open(struct task *t, struct tty *y, unsigned flags, struct file **out);
struct tty *tty_console(void); /* the first host terminal, with a reference; NULL: none */
extern const struct file_ops pty_master_ops, pty_slave_ops, tty_host_ops;

#endif
