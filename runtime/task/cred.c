/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of credentials(7) and capabilities(7), as functions from one credential set to the
 * next. Nothing here knows tasks.
 */
#include "runtime/task/cred.h"

#include <stdlib.h>
#include <string.h>

#define ID_KEEP ((uid_t)-1)

struct cred *cred_get(struct cred *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void cred_put(struct cred *c)
{
	if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
		free(c);
}

bool cred_capable(const struct cred *c, int cap)
{
	return c->cap_effective >> cap & 1;
}

bool cred_in_group(const struct cred *c, gid_t gid)
{
	size_t lo = 0, hi = c->ngroups;

	if (gid == c->fsgid)
		return true;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

struct cred *cred_alloc(size_t ngroups)
{
	struct cred *c = calloc(1, sizeof(*c) + ngroups * sizeof(gid_t));

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->ngroups = ngroups;
	return c;
}

/* Everything but the reference count and the groups. */
static void cred_copy_ids(struct cred *n, const struct cred *c)
{
	n->uid = c->uid, n->euid = c->euid, n->suid = c->suid, n->fsuid = c->fsuid;
	n->gid = c->gid, n->egid = c->egid, n->sgid = c->sgid, n->fsgid = c->fsgid;
	n->cap_effective = c->cap_effective;
	n->cap_permitted = c->cap_permitted;
	n->cap_inheritable = c->cap_inheritable;
	n->cap_bounding = c->cap_bounding;
	n->cap_ambient = c->cap_ambient;
	n->securebits = c->securebits;
}

struct cred *cred_copy(const struct cred *c)
{
	struct cred *n = cred_alloc(c->ngroups);

	if (!n)
		return NULL;
	cred_copy_ids(n, c);
	memcpy(n->groups, c->groups, c->ngroups * sizeof(gid_t));
	return n;
}

static int gid_compare(const void *a, const void *b)
{
	gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

	return (x > y) - (x < y);
}

struct cred *cred_with_groups(const struct cred *c, const gid_t *groups, size_t count)
{
	struct cred *n = cred_alloc(count);

	if (!n)
		return NULL;
	cred_copy_ids(n, c);
	if (count) {
		memcpy(n->groups, groups, count * sizeof(gid_t));
		qsort(n->groups, count, sizeof(gid_t), gid_compare);
	}
	return n;
}

/*
 * capabilities(7), "Effect of user ID changes on capabilities": leaving uid 0 altogether drops
 * permitted, effective and ambient; effective follows euid to and from 0.
 */
static void cred_uid_fixup(struct cred *n, const struct cred *old)
{
	bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
	bool has_root = n->uid == 0 || n->euid == 0 || n->suid == 0;

	if (old->securebits & NACRE_SECURE_NO_SETUID_FIXUP)
		return;
	if (had_root && !has_root) {
		if (!(old->securebits & NACRE_SECURE_KEEP_CAPS)) {
			n->cap_permitted = 0;
			n->cap_effective = 0;
		}
		n->cap_ambient = 0;
	}
	if (old->euid == 0 && n->euid != 0)
		n->cap_effective = 0;
	if (old->euid != 0 && n->euid == 0)
		n->cap_effective = n->cap_permitted;
}

int cred_setuid(struct cred *n, const struct cred *old, uid_t uid)
{
	if (uid == ID_KEEP)
		return -EINVAL;
	if (cred_capable(old, CAP_SETUID))
		n->uid = n->suid = uid;
	else if (uid != old->uid && uid != old->suid)
		return -EPERM;
	n->euid = n->fsuid = uid;
	cred_uid_fixup(n, old);
	return 0;
}

int cred_setgid(struct cred *n, const struct cred *old, gid_t gid)
{
	if (gid == ID_KEEP)
		return -EINVAL;
	if (cred_capable(old, CAP_SETGID))
		n->gid = n->sgid = gid;
	else if (gid != old->gid && gid != old->sgid)
		return -EPERM;
	n->egid = n->fsgid = gid;
	return 0;
}

int cred_setreuid(struct cred *n, const struct cred *old, uid_t ruid, uid_t euid)
{
	bool cap = cred_capable(old, CAP_SETUID);

	if (ruid != ID_KEEP) {
		if (!cap && ruid != old->uid && ruid != old->euid)
			return -EPERM;
		n->uid = ruid;
	}
	if (euid != ID_KEEP) {
		if (!cap && euid != old->uid && euid != old->euid && euid != old->suid)
			return -EPERM;
		n->euid = euid;
	}
	if (ruid != ID_KEEP || (euid != ID_KEEP && euid != old->uid))
		n->suid = n->euid;
	n->fsuid = n->euid;
	cred_uid_fixup(n, old);
	return 0;
}

int cred_setregid(struct cred *n, const struct cred *old, gid_t rgid, gid_t egid)
{
	bool cap = cred_capable(old, CAP_SETGID);

	if (rgid != ID_KEEP) {
		if (!cap && rgid != old->gid && rgid != old->egid)
			return -EPERM;
		n->gid = rgid;
	}
	if (egid != ID_KEEP) {
		if (!cap && egid != old->gid && egid != old->egid && egid != old->sgid)
			return -EPERM;
		n->egid = egid;
	}
	if (rgid != ID_KEEP || (egid != ID_KEEP && egid != old->gid))
		n->sgid = n->egid;
	n->fsgid = n->egid;
	return 0;
}

static bool id_is_one_of(uid_t id, uid_t a, uid_t b, uid_t c)
{
	return id == ID_KEEP || id == a || id == b || id == c;
}

int cred_setresuid(struct cred *n, const struct cred *old, uid_t r, uid_t e, uid_t s)
{
	if (!cred_capable(old, CAP_SETUID) &&
	    (!id_is_one_of(r, old->uid, old->euid, old->suid) ||
	     !id_is_one_of(e, old->uid, old->euid, old->suid) ||
	     !id_is_one_of(s, old->uid, old->euid, old->suid)))
		return -EPERM;
	if (r != ID_KEEP)
		n->uid = r;
	if (e != ID_KEEP)
		n->euid = e;
	if (s != ID_KEEP)
		n->suid = s;
	n->fsuid = n->euid;
	cred_uid_fixup(n, old);
	return 0;
}

int cred_setresgid(struct cred *n, const struct cred *old, gid_t r, gid_t e, gid_t s)
{
	if (!cred_capable(old, CAP_SETGID) &&
	    (!id_is_one_of(r, old->gid, old->egid, old->sgid) ||
	     !id_is_one_of(e, old->gid, old->egid, old->sgid) ||
	     !id_is_one_of(s, old->gid, old->egid, old->sgid)))
		return -EPERM;
	if (r != ID_KEEP)
		n->gid = r;
	if (e != ID_KEEP)
		n->egid = e;
	if (s != ID_KEEP)
		n->sgid = s;
	n->fsgid = n->egid;
	return 0;
}

bool cred_setfsuid(struct cred *n, const struct cred *old, uid_t uid)
{
	if (uid == ID_KEEP || uid == old->fsuid)
		return false;
	if (uid != old->uid && uid != old->euid && uid != old->suid &&
	    !cred_capable(old, CAP_SETUID))
		return false;
	n->fsuid = uid;
	if (!(old->securebits & NACRE_SECURE_NO_SETUID_FIXUP)) {
		if (old->fsuid == 0)
			n->cap_effective &= ~CAP_FS_SET;
		else if (uid == 0)
			n->cap_effective |= n->cap_permitted & CAP_FS_SET;
	}
	return true;
}

bool cred_setfsgid(struct cred *n, const struct cred *old, gid_t gid)
{
	if (gid == ID_KEEP || gid == old->fsgid)
		return false;
	if (gid != old->gid && gid != old->egid && gid != old->sgid &&
	    !cred_capable(old, CAP_SETGID))
		return false;
	n->fsgid = gid;
	return true;
}

int cred_capset(struct cred *n, const struct cred *old, uint64_t eff, uint64_t inh, uint64_t perm)
{
	eff &= CAP_ALL;
	inh &= CAP_ALL;
	perm &= CAP_ALL;
	/* capabilities(7): the new inheritable set comes from I|P without CAP_SETPCAP, I|bset always */
	if (!cred_capable(old, CAP_SETPCAP) && (inh & ~(old->cap_inheritable | old->cap_permitted)))
		return -EPERM;
	if (inh & ~(old->cap_inheritable | old->cap_bounding))
		return -EPERM;
	if (perm & ~old->cap_permitted)
		return -EPERM;
	if (eff & ~perm)
		return -EPERM;
	n->cap_effective = eff;
	n->cap_inheritable = inh;
	n->cap_permitted = perm;
	n->cap_ambient &= perm & inh;
	return 0;
}

int cred_set_securebits(struct cred *n, const struct cred *old, uint32_t bits)
{
	uint32_t old_locks = old->securebits & NACRE_SECURE_ALL << 1;

	if (bits & ~NACRE_SECURE_VALID)
		return -EPERM;
	/* a locked bit does not change, a lock does not open */
	if (((old_locks >> 1) & (old->securebits ^ bits)) || (old_locks & ~bits))
		return -EPERM;
	if (!cred_capable(old, CAP_SETPCAP))
		return -EPERM;
	n->securebits = bits;
	return 0;
}

bool cred_same_ids(const struct cred *a, const struct cred *b)
{
	return a->uid == b->uid && a->euid == b->euid && a->suid == b->suid &&
	       a->fsuid == b->fsuid && a->gid == b->gid && a->egid == b->egid &&
	       a->sgid == b->sgid && a->fsgid == b->fsgid && !(a->cap_permitted & ~b->cap_permitted);
}

/*
 * capabilities(7): P'(ambient) = privileged file ? 0 : P(ambient); P'(permitted) =
 * (P(inheritable) & F(inheritable)) | (F(permitted) & bounding) | P'(ambient); P'(effective) =
 * F(effective) ? P'(permitted) : P'(ambient). Files carry no capabilities here, but uid 0 counts as
 * a file with all of them, unless SECBIT_NOROOT.
 */
void cred_exec(struct cred *n, const struct cred *old, const struct cred_exec *x, bool *secure)
{
	bool setid, root, effective;

	if (x->setuid)
		n->euid = x->uid;
	if (x->setgid)
		n->egid = x->gid;
	root = !(old->securebits & NACRE_SECURE_NOROOT) && (n->uid == 0 || n->euid == 0);
	effective = !(old->securebits & NACRE_SECURE_NOROOT) && n->euid == 0;
	n->cap_permitted = root ? old->cap_inheritable | old->cap_bounding : 0;

	setid = n->euid != old->uid || n->egid != old->gid;
	if (x->no_new_privs && (setid || n->cap_permitted & ~old->cap_permitted)) {
		n->euid = n->uid;
		n->egid = n->gid;
		n->cap_permitted &= old->cap_permitted;
	}
	n->suid = n->fsuid = n->euid;
	n->sgid = n->fsgid = n->egid;
	if (setid)
		n->cap_ambient = 0;
	n->cap_permitted |= n->cap_ambient;
	n->cap_effective = effective ? n->cap_permitted : n->cap_ambient;
	n->securebits &= ~NACRE_SECURE_KEEP_CAPS;
	*secure = setid || (n->uid != 0 && (effective || n->cap_permitted & ~n->cap_ambient));
}
