/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids exist in the container's user namespace. The host translates what its files and sockets
 * say; the application kernel only refuses what the host's own calls would: ids without a mapping.
 */
#ifndef NACRE_RUNTIME_TASK_IDMAP_H
#define NACRE_RUNTIME_TASK_IDMAP_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/kernel.h"

int idmap_copy(struct kernel_ids *to, const struct kernel_ids *from);
void idmap_free(struct kernel_ids *ids);
/* Whether an id may be given to a process or a file. False for -1, which is no id. */
bool idmap_has_uid(const struct kernel_ids *ids, uid_t uid);
bool idmap_has_gid(const struct kernel_ids *ids, gid_t gid);
/* The same where -1 says "leave it as it is". */
bool idmap_takes_uid(const struct kernel_ids *ids, uid_t uid);
bool idmap_takes_gid(const struct kernel_ids *ids, gid_t gid);

#endif
