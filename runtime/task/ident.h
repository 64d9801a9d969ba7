/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel calls itself: uname(2), /proc/version, /proc/sys/kernel. */
#ifndef NACRE_RUNTIME_TASK_IDENT_H
#define NACRE_RUNTIME_TASK_IDENT_H

/* The Linux release whose interface is implemented; programs and C libraries compare it. */
#define NACRE_UTS_SYSNAME "Linux"
#define NACRE_UTS_RELEASE "6.1.0-nacre"
#define NACRE_UTS_VERSION "#1 SMP nacre"

#endif
