/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system-call table, generated from the rows of all families. A number that two rows claim is a
 * duplicate case label below: it does not compile.
 */
#include "runtime/syscall/syscall.h"

#include "runtime/arch/regs.h"

#define SYSCALL(name, x86_64, arm64, args, flags) \
	int64_t sys_##name(struct task *t, const uint64_t a[6]);
#include "runtime/syscall/all.def"
#undef SYSCALL

enum {
#define SYSCALL(name, x86_64, arm64, args, flags) ROW_##name,
#include "runtime/syscall/all.def"
#undef SYSCALL
	ROW_COUNT
};

/* A call that this architecture lacks need not be there at all. */
#define ROW_HANDLER(nr, handler) ((nr) < 0 ? NULL : (handler))

static const struct syscall_row rows[ROW_COUNT + 1] = {
#define SYSCALL(name, x86_64, arm64, args, flags)                                                 \
	[ROW_##name] = {#name, args, ROW_HANDLER(ARCH_SYSCALL_COLUMN(x86_64, arm64), sys_##name), \
			flags},
#include "runtime/syscall/all.def"
#undef SYSCALL
};

/* Rows this architecture lacks get distinct labels outside the range of numbers. */
#define ROW_LABEL(nr, row) ((nr) < 0 ? -1 - (row) : (nr))

static int row_of(int nr)
{
	switch (nr) {
#define SYSCALL(name, x86_64, arm64, args, flags)                       \
	case ROW_LABEL(ARCH_SYSCALL_COLUMN(x86_64, arm64), ROW_##name): \
		return ROW_##name;
#include "runtime/syscall/all.def"
#undef SYSCALL
	default:
		return -1;
	}
}

const struct syscall_row *syscall_lookup(uint64_t nr)
{
	int row = nr < SYSCALL_MAX ? row_of((int)nr) : -1;

	return row < 0 ? NULL : &rows[row];
}

static const int16_t numbers[ROW_COUNT + 1] = {
#define SYSCALL(name, x86_64, arm64, args, flags) [ROW_##name] = ARCH_SYSCALL_COLUMN(x86_64, arm64),
#include "runtime/syscall/all.def"
#undef SYSCALL
};

int syscall_for_each(int (*fn)(int nr, const struct syscall_row *row, void *arg), void *arg)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		int ret = numbers[i] < 0 ? 0 : fn(numbers[i], &rows[i], arg);

		if (ret)
			return ret;
	}
	return 0;
}
