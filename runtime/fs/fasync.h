/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of readiness by signal (fcntl(2): F_SETOWN, F_SETOWN_EX, F_SETSIG). */
#ifndef NACRE_RUNTIME_FS_FASYNC_H
#define NACRE_RUNTIME_FS_FASYNC_H

#include <stdint.h>

/* Protected by the file's pos_lock; freed with the file. */
struct fasync {
	int32_t type; /* F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP */
	int32_t pid;  /* 0: nobody */
	int sig;      /* 0: SIGIO */
	uint32_t uid, euid;
};

#endif
