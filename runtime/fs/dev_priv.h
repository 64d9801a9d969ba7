/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NACRE_RUNTIME_FS_DEV_PRIV_H
#define NACRE_RUNTIME_FS_DEV_PRIV_H

#include "runtime/fs/vfs.h"

/* Attributes of the /dev/console node that dev_populate() made; -ENOENT: there is none. */
int dev_console_stat(struct kstat *out);

#endif
