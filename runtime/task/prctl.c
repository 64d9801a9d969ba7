/* SPDX-License-Identifier: Apache-2.0 */
/* prctl(2). An operation that is not here is one this kernel does not have: EINVAL. */
#include <string.h>
#include <sys/prctl.h>

#include "runtime/task/cred.h"
#include "runtime/task/seccomp.h"

static bool rest_is_zero(const uint64_t a[6], int from)
{
	for (int i = from; i < 5; i++)
		if (a[i])
			return false;
	return true;
}

static int64_t prctl_get_name(struct task *t, uint64_t addr)
{
	return mm_copy_out(t->mm, GVA(addr), t->comm, sizeof(t->comm));
}

static int64_t prctl_set_name(struct task *t, uint64_t addr)
{
	char name[sizeof(t->comm)] = {0};
	int64_t len = mm_copy_in_str(t->mm, name, GVA(addr), sizeof(name));

	if (len < 0 && len != -ENAMETOOLONG)
		return -EFAULT;
	if (len == -ENAMETOOLONG && mm_copy_in(t->mm, name, GVA(addr), sizeof(name) - 1))
		return -EFAULT;
	name[sizeof(name) - 1] = '\0';
	memcpy(t->comm, name, sizeof(name));
	return 0;
}

static int64_t prctl_put_int(struct task *t, uint64_t addr, int32_t value)
{
	return mm_copy_out(t->mm, GVA(addr), &value, sizeof(value));
}

/* ---- what belongs to credentials ---- */

static int64_t prctl_capbset_drop(struct task *t, uint64_t cap)
{
	struct cred *n;

	if (!cred_capable(t->cred, CAP_SETPCAP))
		return -EPERM;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	n->cap_bounding &= ~CAP_BIT(cap);
	task_set_cred(t, n);
	return 0;
}

static int64_t prctl_ambient(struct task *t, const uint64_t a[6])
{
	const struct cred *c = t->cred;
	uint64_t op = a[1], cap = a[2];
	struct cred *n;

	if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (!rest_is_zero(a, 2))
			return -EINVAL;
	} else {
		if (cap > CAP_LAST_CAP || !rest_is_zero(a, 3))
			return -EINVAL;
		if (op == PR_CAP_AMBIENT_IS_SET)
			return c->cap_ambient >> cap & 1;
		if (op != PR_CAP_AMBIENT_RAISE && op != PR_CAP_AMBIENT_LOWER)
			return -EINVAL;
		if (op == PR_CAP_AMBIENT_RAISE &&
		    (!(c->cap_permitted & c->cap_inheritable & CAP_BIT(cap)) ||
		     c->securebits & NACRE_SECURE_NO_CAP_AMBIENT_RAISE))
			return -EPERM;
	}
	n = cred_copy(c);
	if (!n)
		return -ENOMEM;
	if (op == PR_CAP_AMBIENT_CLEAR_ALL)
		n->cap_ambient = 0;
	else if (op == PR_CAP_AMBIENT_RAISE)
		n->cap_ambient |= CAP_BIT(cap);
	else
		n->cap_ambient &= ~CAP_BIT(cap);
	task_set_cred(t, n);
	return 0;
}

static int64_t prctl_securebits(struct task *t, uint64_t bits)
{
	struct cred *n = cred_copy(t->cred);
	int err;

	if (!n)
		return -ENOMEM;
	err = bits > UINT32_MAX ? -EPERM : cred_set_securebits(n, t->cred, (uint32_t)bits);
	if (err)
		cred_put(n);
	else
		task_set_cred(t, n);
	return err;
}

static int64_t prctl_keepcaps(struct task *t, uint64_t on)
{
	struct cred *n;

	if (on > 1)
		return -EINVAL;
	if (t->cred->securebits & NACRE_SECURE_KEEP_CAPS << 1)
		return -EPERM;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	n->securebits &= ~NACRE_SECURE_KEEP_CAPS;
	if (on)
		n->securebits |= NACRE_SECURE_KEEP_CAPS;
	task_set_cred(t, n);
	return 0;
}

static int64_t prctl_cred(struct task *t, const uint64_t a[6])
{
	const struct cred *c = t->cred;

	switch ((int)a[0]) {
	case PR_CAPBSET_READ:
		return a[1] > CAP_LAST_CAP ? -EINVAL : (int64_t)(c->cap_bounding >> a[1] & 1);
	case PR_CAPBSET_DROP:
		return prctl_capbset_drop(t, a[1]);
	case PR_CAP_AMBIENT:
		return prctl_ambient(t, a);
	case PR_GET_SECUREBITS:
		return c->securebits;
	case PR_SET_SECUREBITS:
		return prctl_securebits(t, a[1]);
	case PR_GET_KEEPCAPS:
		return !!(c->securebits & NACRE_SECURE_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		return prctl_keepcaps(t, a[1]);
	case PR_GET_NO_NEW_PRIVS:
		return rest_is_zero(a, 1) ? t->no_new_privs : -EINVAL;
	case PR_SET_NO_NEW_PRIVS:
		if (a[1] != 1 || !rest_is_zero(a, 2))
			return -EINVAL;
		t->no_new_privs = true;
		return 0;
	}
	return -EINVAL;
}

/* The older way to seccomp(2). */
static int64_t prctl_seccomp(struct task *t, uint64_t mode, uint64_t prog)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT:
		return seccomp_set_mode(t, SECCOMP_SET_MODE_STRICT, 0, 0);
	case SECCOMP_MODE_FILTER:
		return seccomp_set_mode(t, SECCOMP_SET_MODE_FILTER, 0, prog);
	}
	return -EINVAL;
}

/* ---- what belongs to the process ---- */

static int64_t prctl_subreaper(struct task *t, bool on)
{
	pthread_mutex_lock(&t->kernel->tasks_lock);
	t->process->child_subreaper = on;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return 0;
}

static int64_t prctl_process(struct task *t, const uint64_t a[6])
{
	struct process *p = t->process;

	switch ((int)a[0]) {
	case PR_SET_PDEATHSIG:
		if (a[1] > GUEST_NSIG)
			return -EINVAL;
		t->pdeath_signal = (int)a[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return prctl_put_int(t, a[1], t->pdeath_signal);
	case PR_GET_DUMPABLE:
		return atomic_load(&p->dumpable);
	case PR_SET_DUMPABLE:
		if (a[1] > 1)
			return -EINVAL;
		atomic_store(&p->dumpable, (int)a[1]);
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		return prctl_subreaper(t, a[1] != 0);
	case PR_GET_CHILD_SUBREAPER:
		return prctl_put_int(t, a[1], p->child_subreaper);
	case PR_SET_THP_DISABLE:
		if (!rest_is_zero(a, 2))
			return -EINVAL;
		p->thp_disable = a[1] != 0;
		return 0;
	case PR_GET_THP_DISABLE:
		return rest_is_zero(a, 1) ? p->thp_disable : -EINVAL;
	}
	return -EINVAL;
}

int64_t sys_prctl(struct task *t, const uint64_t a[6])
{
	switch ((int)a[0]) {
	case PR_SET_NAME:
		return prctl_set_name(t, a[1]);
	case PR_GET_NAME:
		return prctl_get_name(t, a[1]);
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return a[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_TIMERSLACK:
		t->sched.timerslack_ns = (int64_t)a[1] > 0 ? a[1] : 50000;
		return 0;
	case PR_GET_TIMERSLACK:
		return (int64_t)t->sched.timerslack_ns;
	case PR_GET_TID_ADDRESS:
		return mm_copy_out(t->mm, GVA(a[1]), &t->clear_child_tid.v, sizeof(uint64_t));
	case PR_SET_VMA: /* names of anonymous areas are for maps only */
		return a[1] == 0 ? 0 : -EINVAL;
	case PR_GET_SECCOMP:
		return seccomp_mode(t);
	case PR_SET_SECCOMP:
		return prctl_seccomp(t, a[1], a[2]);
	case PR_CAPBSET_READ:
	case PR_CAPBSET_DROP:
	case PR_CAP_AMBIENT:
	case PR_GET_SECUREBITS:
	case PR_SET_SECUREBITS:
	case PR_GET_KEEPCAPS:
	case PR_SET_KEEPCAPS:
	case PR_GET_NO_NEW_PRIVS:
	case PR_SET_NO_NEW_PRIVS:
		return prctl_cred(t, a);
	default:
		return prctl_process(t, a);
	}
}
