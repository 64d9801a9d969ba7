/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp filter made of a table of system-call numbers: classic BPF (seccomp(2)) that finds the
 * number by bisection. Pure; installs nothing. A library that takes any profile takes a millisecond
 * for what is known here beforehand, which is a tenth of a container's start.
 */
#ifndef NACRE_OCI_WALLS_FILTER_H
#define NACRE_OCI_WALLS_FILTER_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* What is done when (argument & mask) == value; the low 32 bits of the argument are looked at. */
struct walls_match {
	uint32_t mask, value;
	uint32_t action; /* SECCOMP_RET_* */
};

struct walls_rule {
	uint32_t nr;
	uint32_t action;		 /* SECCOMP_RET_*, when no match holds */
	unsigned arg;			 /* which argument the matches are about, from 0 */
	const struct walls_match *match; /* tried in order */
	unsigned n;
};

/*
 * Sorts the rules. Numbers without a rule get `otherwise`; calls of another architecture than `arch`
 * (AUDIT_ARCH_*) and numbers from `limit` on kill the process. Returns the number of instructions,
 * 0 when they do not fit `cap` or a number has two rules.
 */
size_t walls_compile(struct walls_rule *rules, size_t nrules, uint32_t arch, uint32_t limit,
		     uint32_t otherwise, struct sock_filter *out, size_t cap);

#endif
