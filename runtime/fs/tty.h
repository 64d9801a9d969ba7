/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals: pseudo-terminal pairs with nacre's own line discipline, and host terminals on the
 * container's stdio, whose line discipline is the host's. Job control state (session, foreground
 * group) is nacre's own in both.
 */
#ifndef NACRE_RUNTIME_FS_TTY_H
#define NACRE_RUNTIME_FS_TTY_H

#include "runtime/fs/vfs.h"

struct tty;
struct process;
struct session;

/* Wrap a host terminal descriptor (owned by the file afterwards). One tty per host terminal. */
int tty_host_file(struct kernel *k, int fd, struct file **out);
bool file_is_tty(const struct file *f);
/* Make f's terminal the controlling terminal of p's session (p leads it), p's group foreground. */
int tty_set_controlling(struct file *f, struct process *p);
/*
 * The session leader p exits: its terminal is given up, SIGHUP goes to the foreground group. Without
 * tasks_lock.
 */
void tty_leader_exit(struct process *p);
/*
 * ^C, ^\, ^Z, a hang-up and a new size of a host terminal reach the sandbox as signals: pass on to the
 * foreground group of the terminal of pid's session; pid 0: of the console.
 */
int tty_signal_from_host(struct kernel *k, pid_t pid, int sig);
/* Device number, foreground group (or -1) for /proc/PID/stat. tasks_lock held. */
uint32_t tty_nr_locked(const struct process *p, pid_t *fg);
/* /dev/tty, /dev/console, /dev/pts/N by device number. */
int tty_open_rdev(struct task *t, uint64_t rdev, int flags, struct file **out);
int ptmx_open(struct task *t, int flags, struct file **out);

#endif
