/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of tasks that need no machine: process numbers, set*id, capabilities across uid changes
 * and execve, clone's flags.
 */
#include <errno.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/task/clone.h"
#include "runtime/task/cred.h"
#include "runtime/task/pid.h"

#define KEEP ((uid_t)-1)

/* ---- process numbers ---- */

static void test_pid_order_and_reuse(void **state)
{
	struct pid_table *pt = pid_table_create();
	int obj;

	(void)state;
	assert_int_equal(pid_next(pt), 1);
	assert_int_equal(pid_attach(pt, 1, PID_TASK, &obj), 0);
	assert_int_equal(pid_next(pt), 2);
	assert_ptr_equal(pid_lookup(pt, 1, PID_TASK), &obj);
	assert_null(pid_lookup(pt, 1, PID_PROCESS));
	assert_null(pid_lookup(pt, 2, PID_TASK));
	assert_null(pid_lookup(pt, 0, PID_TASK));
	assert_null(pid_lookup(pt, -1, PID_TASK));
	pid_detach(pt, 1, PID_TASK);
	assert_null(pid_lookup(pt, 1, PID_TASK));
	pid_detach(pt, 1, PID_TASK); /* twice is harmless */
	assert_int_equal(pid_next(pt), 3);
	assert_int_equal(pid_last(pt), 3);
	pid_table_destroy(pt);
}

static void test_pid_wraps_past_the_reserved(void **state)
{
	struct pid_table *pt = pid_table_create();
	pid_t nr;

	(void)state;
	do
		nr = pid_next(pt);
	while (nr < PID_MAX - 1);
	assert_int_equal(pid_next(pt), PID_RESERVED);
	assert_int_equal(pid_attach(pt, PID_RESERVED + 1, PID_GROUP, NULL), 0);
	assert_int_equal(pid_next(pt), PID_RESERVED + 2);
	pid_table_destroy(pt);
}

static void test_pid_of_a_group_is_not_reused(void **state)
{
	struct pid_table *pt = pid_table_create();

	(void)state;
	assert_int_equal(pid_attach(pt, 1, PID_GROUP, NULL), 0);
	assert_int_equal(pid_attach(pt, 1, PID_GROUP, NULL), 0);
	pid_detach(pt, 1, PID_GROUP);
	assert_non_null(pid_lookup(pt, 1, PID_GROUP));
	assert_int_equal(pid_next(pt), 2);
	pid_detach(pt, 1, PID_GROUP);
	assert_null(pid_lookup(pt, 1, PID_GROUP));
	pid_table_destroy(pt);
}

/* ---- credentials ---- */

static struct cred *user(uid_t uid, uint64_t caps)
{
	struct cred *c = cred_alloc(0);

	c->uid = c->euid = c->suid = c->fsuid = uid;
	c->gid = c->egid = c->sgid = c->fsgid = uid;
	c->cap_effective = c->cap_permitted = caps;
	c->cap_bounding = CAP_ALL;
	return c;
}

static void test_setuid_of_root_drops_capabilities(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n = cred_copy(old);

	(void)state;
	n->cap_ambient = old->cap_ambient = CAP_BIT(CAP_CHOWN);
	assert_int_equal(cred_setuid(n, old, 1000), 0);
	assert_int_equal(n->uid, 1000);
	assert_int_equal(n->suid, 1000);
	assert_int_equal(n->fsuid, 1000);
	assert_int_equal(n->cap_permitted, 0);
	assert_int_equal(n->cap_effective, 0);
	assert_int_equal(n->cap_ambient, 0);
	cred_put(old);
	cred_put(n);
}

static void test_keepcaps_keeps_permitted_only(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n;

	(void)state;
	old->securebits = NACRE_SECURE_KEEP_CAPS;
	n = cred_copy(old);
	assert_int_equal(cred_setresuid(n, old, 1000, 1000, 1000), 0);
	assert_int_equal(n->cap_permitted, CAP_ALL);
	assert_int_equal(n->cap_effective, 0);
	cred_put(old);
	cred_put(n);
}

static void test_effective_follows_euid(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n = cred_copy(old), *back;

	(void)state;
	assert_int_equal(cred_setresuid(n, old, KEEP, 1000, KEEP), 0);
	assert_int_equal(n->cap_permitted, CAP_ALL);
	assert_int_equal(n->cap_effective, 0);
	back = cred_copy(n);
	assert_int_equal(cred_setresuid(back, n, KEEP, 0, KEEP), 0);
	assert_int_equal(back->cap_effective, CAP_ALL);
	cred_put(old);
	cred_put(n);
	cred_put(back);
}

static void test_unprivileged_set_ids(void **state)
{
	struct cred *old = user(1000, 0), *n;

	(void)state;
	old->suid = 2000;
	n = cred_copy(old);
	assert_int_equal(cred_setuid(n, old, 2000), 0);
	assert_int_equal(n->uid, 1000);
	assert_int_equal(n->euid, 2000);
	assert_int_equal(n->suid, 2000);
	assert_int_equal(cred_setuid(n, old, 3000), -EPERM);
	assert_int_equal(cred_setuid(n, old, KEEP), -EINVAL);
	assert_int_equal(cred_setresuid(n, old, KEEP, 3000, KEEP), -EPERM);
	assert_int_equal(cred_setreuid(n, old, 2000, KEEP), -EPERM);
	assert_int_equal(cred_setregid(n, old, KEEP, 1), -EPERM);
	assert_int_equal(cred_setresgid(n, old, 1000, 1000, 1000), 0);
	cred_put(old);
	cred_put(n);
}

static void test_setreuid_saves_the_effective(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n = cred_copy(old);

	(void)state;
	assert_int_equal(cred_setreuid(n, old, KEEP, 1000), 0);
	assert_int_equal(n->suid, 1000);
	assert_int_equal(n->uid, 0);
	cred_put(n);
	n = cred_copy(old);
	assert_int_equal(cred_setreuid(n, old, KEEP, 0), 0);
	assert_int_equal(n->suid, 0);
	cred_put(old);
	cred_put(n);
}

static void test_fsuid_moves_file_capabilities(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n = cred_copy(old);

	(void)state;
	assert_true(cred_setfsuid(n, old, 1000));
	assert_int_equal(n->cap_effective, CAP_ALL & ~CAP_FS_SET);
	assert_false(cred_setfsuid(n, old, KEEP));
	cred_put(old);
	cred_put(n);
}

static void test_capset_rules(void **state)
{
	struct cred *old = user(1000, CAP_BIT(CAP_KILL) | CAP_BIT(CAP_CHOWN)), *n = cred_copy(old);

	(void)state;
	assert_int_equal(cred_capset(n, old, 0, 0, CAP_BIT(CAP_KILL)), 0);
	assert_int_equal(n->cap_permitted, CAP_BIT(CAP_KILL));
	assert_int_equal(cred_capset(n, old, 0, 0, CAP_BIT(CAP_SYS_ADMIN)), -EPERM);
	assert_int_equal(cred_capset(n, old, CAP_BIT(CAP_CHOWN), 0, CAP_BIT(CAP_KILL)), -EPERM);
	assert_int_equal(cred_capset(n, old, 0, CAP_BIT(CAP_SYS_ADMIN), 0), -EPERM);
	assert_int_equal(cred_capset(n, old, 0, CAP_BIT(CAP_KILL), 0), 0);
	/* bits no capability stands for are ignored */
	assert_int_equal(cred_capset(n, old, 0, 0, ~CAP_ALL), 0);
	cred_put(old);
	cred_put(n);
}

static void test_capset_shrinks_ambient(void **state)
{
	struct cred *old = user(1000, CAP_BIT(CAP_KILL)), *n;

	(void)state;
	old->cap_inheritable = old->cap_ambient = CAP_BIT(CAP_KILL);
	n = cred_copy(old);
	assert_int_equal(cred_capset(n, old, 0, 0, CAP_BIT(CAP_KILL)), 0);
	assert_int_equal(n->cap_ambient, 0);
	cred_put(old);
	cred_put(n);
}

static void test_securebits_locks(void **state)
{
	struct cred *old = user(0, CAP_ALL), *n;

	(void)state;
	old->securebits = NACRE_SECURE_NOROOT << 1; /* locked off */
	n = cred_copy(old);
	assert_int_equal(cred_set_securebits(n, old, old->securebits | NACRE_SECURE_NOROOT), -EPERM);
	assert_int_equal(cred_set_securebits(n, old, 0), -EPERM);
	assert_int_equal(cred_set_securebits(n, old, 0x100), -EPERM);
	assert_int_equal(cred_set_securebits(n, old, old->securebits | NACRE_SECURE_KEEP_CAPS), 0);
	cred_put(old);
	cred_put(n);
}

static void test_groups_are_sorted_and_found(void **state)
{
	const gid_t groups[] = {40, 10, 30, 20};
	struct cred *old = user(1000, 0), *n = cred_with_groups(old, groups, 4);

	(void)state;
	assert_int_equal(n->groups[0], 10);
	assert_int_equal(n->groups[3], 40);
	assert_true(cred_in_group(n, 30));
	assert_true(cred_in_group(n, 1000)); /* fsgid */
	assert_false(cred_in_group(n, 15));
	cred_put(old);
	cred_put(n);
}

/* ---- execve ---- */

static void test_exec_root_gains_the_bounding_set(void **state)
{
	struct cred *old = user(0, 0), *n;
	struct cred_exec x = {0};
	bool secure;

	(void)state;
	old->cap_bounding = CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_KILL);
	n = cred_copy(old);
	cred_exec(n, old, &x, &secure);
	assert_int_equal(n->cap_permitted, old->cap_bounding);
	assert_int_equal(n->cap_effective, old->cap_bounding);
	assert_false(secure);
	cred_put(n);

	n = cred_copy(old);
	x.no_new_privs = true;
	cred_exec(n, old, &x, &secure);
	assert_int_equal(n->cap_permitted, 0);
	cred_put(n);

	old->securebits = NACRE_SECURE_NOROOT;
	x.no_new_privs = false;
	n = cred_copy(old);
	cred_exec(n, old, &x, &secure);
	assert_int_equal(n->cap_permitted, 0);
	cred_put(old);
	cred_put(n);
}

static void test_exec_user_keeps_ambient_only(void **state)
{
	struct cred *old = user(1000, CAP_ALL), *n;
	struct cred_exec x = {0};
	bool secure;

	(void)state;
	old->cap_ambient = CAP_BIT(CAP_NET_BIND_SERVICE);
	n = cred_copy(old);
	cred_exec(n, old, &x, &secure);
	assert_int_equal(n->cap_permitted, CAP_BIT(CAP_NET_BIND_SERVICE));
	assert_int_equal(n->cap_effective, CAP_BIT(CAP_NET_BIND_SERVICE));
	assert_false(secure);
	cred_put(old);
	cred_put(n);
}

static void test_exec_setuid_root(void **state)
{
	struct cred *old = user(1000, 0), *n;
	struct cred_exec x = {.setuid = true, .uid = 0};
	bool secure;

	(void)state;
	old->cap_ambient = 0;
	n = cred_copy(old);
	cred_exec(n, old, &x, &secure);
	assert_int_equal(n->uid, 1000);
	assert_int_equal(n->euid, 0);
	assert_int_equal(n->suid, 0);
	assert_int_equal(n->fsuid, 0);
	assert_int_equal(n->cap_effective, CAP_ALL);
	assert_true(secure);
	assert_false(cred_same_ids(n, old));
	cred_put(old);
	cred_put(n);
}

/* ---- clone ---- */

static int check(uint64_t flags)
{
	struct clone_args_guest a = {.flags = flags};

	return clone_check(&a, false, false);
}

static int check3(struct clone_args_guest a)
{
	return clone_check(&a, true, false);
}

static void test_clone_flag_combinations(void **state)
{
	struct clone_args_guest a = {.flags = CLONE_PARENT};

	(void)state;
	assert_int_equal(check(0), 0);
	assert_int_equal(check(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			       CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
			       CLONE_CHILD_CLEARTID),
			 0);
	assert_int_equal(check(CLONE_THREAD), -EINVAL);
	assert_int_equal(check(CLONE_SIGHAND), -EINVAL);
	assert_int_equal(check(CLONE_FS | CLONE_NEWNS), -EINVAL);
	assert_int_equal(check(CLONE_NEWUSER), -EPERM);
	assert_int_equal(check(CLONE_NEWPID), -EPERM);
	assert_int_equal(check(CLONE_PIDFD | CLONE_PARENT_SETTID), -EINVAL);
	assert_int_equal(check(CLONE_PIDFD), 0);
	assert_int_equal(clone_check(&a, false, true), -EINVAL);
	assert_int_equal(clone_check(&a, false, false), 0);
}

static void test_clone3_arguments(void **state)
{
	(void)state;
	assert_int_equal(check3((struct clone_args_guest){.exit_signal = SIGCHLD}), 0);
	assert_int_equal(check3((struct clone_args_guest){.exit_signal = 65}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.flags = 1ull << 40}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.flags = SIGCHLD}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.stack = 4096}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.stack_size = 4096}), -EINVAL);
	assert_int_equal(
		check3((struct clone_args_guest){.stack = ~0ull - 8, .stack_size = 4096}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.set_tid = 4096, .set_tid_size = 1}),
			 -EPERM);
	assert_int_equal(check3((struct clone_args_guest){.set_tid_size = 1}), -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.flags = CLONE_CLEAR_SIGHAND}), 0);
	assert_int_equal(check3((struct clone_args_guest){
				 .flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM}),
			 -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.flags = CLONE_PARENT,
							  .exit_signal = SIGCHLD}),
			 -EINVAL);
	assert_int_equal(check3((struct clone_args_guest){.flags = CLONE_INTO_CGROUP}), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pid_order_and_reuse),
		cmocka_unit_test(test_pid_wraps_past_the_reserved),
		cmocka_unit_test(test_pid_of_a_group_is_not_reused),
		cmocka_unit_test(test_setuid_of_root_drops_capabilities),
		cmocka_unit_test(test_keepcaps_keeps_permitted_only),
		cmocka_unit_test(test_effective_follows_euid),
		cmocka_unit_test(test_unprivileged_set_ids),
		cmocka_unit_test(test_setreuid_saves_the_effective),
		cmocka_unit_test(test_fsuid_moves_file_capabilities),
		cmocka_unit_test(test_capset_rules),
		cmocka_unit_test(test_capset_shrinks_ambient),
		cmocka_unit_test(test_securebits_locks),
		cmocka_unit_test(test_groups_are_sorted_and_found),
		cmocka_unit_test(test_exec_root_gains_the_bounding_set),
		cmocka_unit_test(test_exec_user_keeps_ambient_only),
		cmocka_unit_test(test_exec_setuid_root),
		cmocka_unit_test(test_clone_flag_combinations),
		cmocka_unit_test(test_clone3_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
