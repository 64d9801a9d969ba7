/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of credentials(7): ids, groups, capabilities. */
#include <stdlib.h>
#include <string.h>

#include "runtime/task/cred.h"
#include "runtime/task/idmap.h"

#define CAPS_V1 0x19980330u
#define CAPS_V2 0x20071026u
#define CAPS_V3 0x20080522u

/* ---- questions ---- */

int64_t sys_getuid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->cred->uid;
}

int64_t sys_geteuid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->cred->euid;
}

int64_t sys_getgid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->cred->gid;
}

int64_t sys_getegid(struct task *t, const uint64_t a[6])
{
	(void)a;
	return t->cred->egid;
}

static int64_t put_three_ids(struct task *t, const uint64_t a[6], uint32_t r, uint32_t e, uint32_t s)
{
	if (mm_copy_out(t->mm, GVA(a[0]), &r, sizeof(r)) ||
	    mm_copy_out(t->mm, GVA(a[1]), &e, sizeof(e)) ||
	    mm_copy_out(t->mm, GVA(a[2]), &s, sizeof(s)))
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *t, const uint64_t a[6])
{
	return put_three_ids(t, a, t->cred->uid, t->cred->euid, t->cred->suid);
}

int64_t sys_getresgid(struct task *t, const uint64_t a[6])
{
	return put_three_ids(t, a, t->cred->gid, t->cred->egid, t->cred->sgid);
}

int64_t sys_getgroups(struct task *t, const uint64_t a[6])
{
	const struct cred *c = t->cred;
	int size = (int)a[0];

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return (int64_t)c->ngroups;
	if ((size_t)size < c->ngroups)
		return -EINVAL;
	if (mm_copy_out(t->mm, GVA(a[1]), c->groups, c->ngroups * sizeof(gid_t)))
		return -EFAULT;
	return (int64_t)c->ngroups;
}

/* ---- changes of ids ---- */

static const struct kernel_ids *ids_of(const struct task *t)
{
	return &t->kernel->config.ids;
}

/* Publish n if the rule agreed, else drop it. */
static int64_t cred_finish(struct task *t, struct cred *n, int err)
{
	const struct cred *old = t->cred;

	if (err) {
		cred_put(n);
		return err;
	}
	/* prctl(2): both are lost when the effective or file-system ids change */
	if (n->euid != old->euid || n->egid != old->egid || n->fsuid != old->fsuid ||
	    n->fsgid != old->fsgid || n->cap_permitted & ~old->cap_permitted) {
		atomic_store(&t->process->dumpable, 0);
		t->pdeath_signal = 0;
	}
	task_set_cred(t, n);
	return 0;
}

int64_t sys_setuid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_has_uid(ids_of(t), (uid_t)a[0]))
		return -EINVAL;
	n = cred_copy(t->cred);
	return n ? cred_finish(t, n, cred_setuid(n, t->cred, (uid_t)a[0])) : -ENOMEM;
}

int64_t sys_setgid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_has_gid(ids_of(t), (gid_t)a[0]))
		return -EINVAL;
	n = cred_copy(t->cred);
	return n ? cred_finish(t, n, cred_setgid(n, t->cred, (gid_t)a[0])) : -ENOMEM;
}

int64_t sys_setreuid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_takes_uid(ids_of(t), (uid_t)a[0]) ||
	    !idmap_takes_uid(ids_of(t), (uid_t)a[1]))
		return -EINVAL;
	n = cred_copy(t->cred);
	return n ? cred_finish(t, n, cred_setreuid(n, t->cred, (uid_t)a[0], (uid_t)a[1])) : -ENOMEM;
}

int64_t sys_setregid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_takes_gid(ids_of(t), (gid_t)a[0]) ||
	    !idmap_takes_gid(ids_of(t), (gid_t)a[1]))
		return -EINVAL;
	n = cred_copy(t->cred);
	return n ? cred_finish(t, n, cred_setregid(n, t->cred, (gid_t)a[0], (gid_t)a[1])) : -ENOMEM;
}

int64_t sys_setresuid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_takes_uid(ids_of(t), (uid_t)a[0]) ||
	    !idmap_takes_uid(ids_of(t), (uid_t)a[1]) ||
	    !idmap_takes_uid(ids_of(t), (uid_t)a[2]))
		return -EINVAL;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	return cred_finish(t, n,
			   cred_setresuid(n, t->cred, (uid_t)a[0], (uid_t)a[1], (uid_t)a[2]));
}

int64_t sys_setresgid(struct task *t, const uint64_t a[6])
{
	struct cred *n;

	if (!idmap_takes_gid(ids_of(t), (gid_t)a[0]) ||
	    !idmap_takes_gid(ids_of(t), (gid_t)a[1]) ||
	    !idmap_takes_gid(ids_of(t), (gid_t)a[2]))
		return -EINVAL;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	return cred_finish(t, n,
			   cred_setresgid(n, t->cred, (gid_t)a[0], (gid_t)a[1], (gid_t)a[2]));
}

/* setfsuid(2) returns the previous id whether it worked or not. */
int64_t sys_setfsuid(struct task *t, const uint64_t a[6])
{
	uid_t old = t->cred->fsuid;
	struct cred *n = cred_copy(t->cred);

	if (n && idmap_has_uid(ids_of(t), (uid_t)a[0]) &&
	    cred_setfsuid(n, t->cred, (uid_t)a[0]))
		cred_finish(t, n, 0);
	else
		cred_put(n);
	return old;
}

int64_t sys_setfsgid(struct task *t, const uint64_t a[6])
{
	gid_t old = t->cred->fsgid;
	struct cred *n = cred_copy(t->cred);

	if (n && idmap_has_gid(ids_of(t), (gid_t)a[0]) &&
	    cred_setfsgid(n, t->cred, (gid_t)a[0]))
		cred_finish(t, n, 0);
	else
		cred_put(n);
	return old;
}

int64_t sys_setgroups(struct task *t, const uint64_t a[6])
{
	uint32_t count = (uint32_t)a[0];
	gid_t *groups = NULL;
	struct cred *n;

	if (!cred_capable(t->cred, CAP_SETGID) || ids_of(t)->no_setgroups)
		return -EPERM;
	if (count > NACRE_NGROUPS_MAX)
		return -EINVAL;
	if (count) {
		groups = malloc(count * sizeof(*groups));
		if (!groups)
			return -ENOMEM;
		if (mm_copy_in(t->mm, groups, GVA(a[1]), count * sizeof(*groups))) {
			free(groups);
			return -EFAULT;
		}
		for (uint32_t i = 0; i < count; i++) {
			if (!idmap_has_gid(ids_of(t), groups[i])) {
				free(groups);
				return -EINVAL;
			}
		}
	}
	n = cred_with_groups(t->cred, groups, count);
	free(groups);
	if (!n)
		return -ENOMEM;
	task_set_cred(t, n);
	return 0;
}

/* ---- capabilities ---- */

struct cap_header {
	uint32_t version;
	int32_t pid;
};

struct cap_data {
	uint32_t effective, permitted, inheritable;
};

/* Words of struct cap_data that go with the version: 0 and -EINVAL for an unknown one. */
static int cap_read_header(struct task *t, uint64_t addr, struct cap_header *h, unsigned *words)
{
	const uint32_t version = CAPS_V3;

	if (mm_copy_in(t->mm, h, GVA(addr), sizeof(*h)))
		return -EFAULT;
	switch (h->version) {
	case CAPS_V1:
		*words = 1;
		return 0;
	case CAPS_V2:
	case CAPS_V3:
		*words = 2;
		return 0;
	}
	/* the caller learns which one to use (capget(2)) */
	if (mm_copy_out(t->mm, GVA(addr), &version, sizeof(version)))
		return -EFAULT;
	return -EINVAL;
}

static struct cred *cap_target(struct task *t, pid_t pid)
{
	struct task *other;
	struct cred *c;

	if (pid == 0 || pid == t->tid)
		return cred_get(t->cred);
	other = task_find(t->kernel, pid);
	if (!other)
		return NULL;
	c = task_get_cred(other);
	task_put(other);
	return c;
}

int64_t sys_capget(struct task *t, const uint64_t a[6])
{
	struct cap_data data[2];
	struct cap_header h;
	struct cred *c;
	unsigned words;
	int err = cap_read_header(t, a[0], &h, &words);

	if (err) /* a query for the version passes no data */
		return err == -EINVAL && !a[1] ? 0 : err;
	if (h.pid < 0)
		return -EINVAL;
	c = cap_target(t, h.pid);
	if (!c)
		return -ESRCH;
	for (unsigned i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(c->cap_effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->cap_permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->cap_inheritable >> 32 * i);
	}
	cred_put(c);
	if (!a[1])
		return 0;
	return mm_copy_out(t->mm, GVA(a[1]), data, words * sizeof(data[0]));
}

int64_t sys_capset(struct task *t, const uint64_t a[6])
{
	struct cap_data data[2] = {0};
	struct cap_header h;
	struct cred *n;
	unsigned words;
	int err = cap_read_header(t, a[0], &h, &words);

	if (err)
		return err;
	if (h.pid != 0 && h.pid != t->tid)
		return -EPERM;
	if (mm_copy_in(t->mm, data, GVA(a[1]), words * sizeof(data[0])))
		return -EFAULT;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	return cred_finish(
		t, n,
		cred_capset(n, t->cred, data[0].effective | (uint64_t)data[1].effective << 32,
			    data[0].inheritable | (uint64_t)data[1].inheritable << 32,
			    data[0].permitted | (uint64_t)data[1].permitted << 32));
}
