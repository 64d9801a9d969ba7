/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task/idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct kernel_idmap *copy(const struct kernel_idmap *m, size_t n)
{
	struct kernel_idmap *out = calloc(n ? n : 1, sizeof(*out));

	if (out && n)
		memcpy(out, m, n * sizeof(*out));
	return out;
}

int idmap_copy(struct kernel_ids *to, const struct kernel_ids *from)
{
	*to = *from;
	to->uid = copy(from->uid, from->nuid);
	to->gid = copy(from->gid, from->ngid);
	return to->uid && to->gid ? 0 : -ENOMEM;
}

void idmap_free(struct kernel_ids *ids)
{
	free((void *)ids->uid);
	free((void *)ids->gid);
	*ids = (struct kernel_ids){0};
}

static bool has(const struct kernel_idmap *m, size_t n, uint32_t id)
{
	if (id == UINT32_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (id >= m[i].inside && id - m[i].inside < m[i].count)
			return true;
	return !n;
}

bool idmap_has_uid(const struct kernel_ids *ids, uid_t uid)
{
	return has(ids->uid, ids->nuid, uid);
}

bool idmap_has_gid(const struct kernel_ids *ids, gid_t gid)
{
	return has(ids->gid, ids->ngid, gid);
}

bool idmap_takes_uid(const struct kernel_ids *ids, uid_t uid)
{
	return uid == (uid_t)-1 || idmap_has_uid(ids, uid);
}

bool idmap_takes_gid(const struct kernel_ids *ids, gid_t gid)
{
	return gid == (gid_t)-1 || idmap_has_gid(ids, gid);
}
