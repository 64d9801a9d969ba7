/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's seccomp filter, run by a small interpreter of classic BPF. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "oci/walls.h"

#define ARCH 0x1234u
#define DENY (SECCOMP_RET_ERRNO | EPERM)

static uint32_t step(const struct sock_filter *f, const struct seccomp_data *d, uint32_t *a,
		     size_t *pc)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		memcpy(a, (const char *)d + f->k, sizeof(*a));
		break;
	case BPF_ALU | BPF_AND | BPF_K:
		*a &= f->k;
		break;
	case BPF_JMP | BPF_JEQ | BPF_K:
		*pc += *a == f->k ? f->jt : f->jf;
		break;
	case BPF_JMP | BPF_JGE | BPF_K:
		*pc += *a >= f->k ? f->jt : f->jf;
		break;
	default:
		fail_msg("instruction %x", f->code);
	}
	return 0;
}

static uint32_t run(const struct sock_filter *f, size_t n, uint32_t arch, uint32_t nr, uint64_t arg)
{
	struct seccomp_data d = {.nr = (int)nr, .arch = arch, .args = {arg}};
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		if (f[pc].code == (BPF_RET | BPF_K))
			return f[pc].k;
		step(&f[pc], &d, &a, &pc);
	}
	fail_msg("ran off the end");
	return 0;
}

static void every_number_gets_its_rule(void **state)
{
	static const uint32_t values[] = {7, 9};
	struct walls_rule rules[] = {
		{.nr = 5, .action = SECCOMP_RET_ALLOW},
		{.nr = 0, .action = SECCOMP_RET_ALLOW},
		{.nr = 6, .action = SECCOMP_RET_ALLOW},
		{.nr = 7, .action = SECCOMP_RET_KILL_PROCESS},
		{8, DENY, 0xf, values, 2},
		{.nr = 99, .action = SECCOMP_RET_ERRNO | ENOSYS},
	};
	struct sock_filter f[64];
	size_t n = walls_compile(rules, 6, ARCH, 100, DENY, f, 64);

	(void)state;
	assert_true(n > 0);
	for (uint32_t nr = 0; nr < 120; nr++) {
		uint32_t want = nr >= 100			     ? SECCOMP_RET_KILL_PROCESS
				: nr == 0 || nr == 5 || nr == 6 ? SECCOMP_RET_ALLOW
				: nr == 7			     ? SECCOMP_RET_KILL_PROCESS
				: nr == 99			     ? SECCOMP_RET_ERRNO | ENOSYS
								     : DENY;

		assert_int_equal(run(f, n, ARCH, nr, 0), want);
	}
	assert_int_equal(run(f, n, ARCH, 8, 7), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, ARCH, 8, 0xf9), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, ARCH, 8, 8), DENY);
	assert_int_equal(run(f, n, ARCH + 1, 5, 0), SECCOMP_RET_KILL_PROCESS);
}

static void what_cannot_be_compiled_is_refused(void **state)
{
	struct walls_rule twice[] = {{.nr = 3, .action = DENY}, {.nr = 3, .action = DENY}};
	struct walls_rule beyond[] = {{.nr = 100, .action = DENY}};
	struct sock_filter f[64];

	(void)state;
	assert_int_equal(walls_compile(twice, 2, ARCH, 100, DENY, f, 64), 0);
	assert_int_equal(walls_compile(beyond, 1, ARCH, 100, DENY, f, 64), 0);
	assert_int_equal(walls_compile(beyond, 1, ARCH, 200, DENY, f, 6), 0);
}

static void the_sandbox_has_threads_files_and_no_more(void **state)
{
	struct sock_filter f[1024];
	size_t n = walls_program(f, 1024);
	uint32_t arch = seccomp_arch_native();

	(void)state;
	assert_true(n > 0);
	assert_int_equal(run(f, n, arch, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_ioctl, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_execve, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_mount, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_acct, 0), DENY);
	assert_int_equal(run(f, n, arch, 0x40000000u + SYS_read, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_socket, AF_INET), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_socket, AF_VSOCK), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_THREAD | CLONE_VM), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_VM), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_THREAD | CLONE_NEWUSER), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone3, 0), SECCOMP_RET_ERRNO | ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_gets_its_rule),
		cmocka_unit_test(what_cannot_be_compiled_is_refused),
		cmocka_unit_test(the_sandbox_has_threads_files_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
