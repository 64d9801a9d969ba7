/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel-internal results of an interrupted system call; never seen by the guest. They say what
 * happens after a signal handler ran (signal(7), "Interruption of system calls").
 */
#ifndef NACRE_RUNTIME_ERRNO_H
#define NACRE_RUNTIME_ERRNO_H

#include <errno.h>

#define ERESTARTSYS 512		   /* restart if SA_RESTART or no handler, else EINTR */
#define ERESTARTNOINTR 513	   /* always restart */
#define ERESTARTNOHAND 514	   /* restart if no handler ran, else EINTR */
#define ERESTART_RESTARTBLOCK 516  /* like NOHAND, through restart_syscall(2) with task->restart */

#endif
