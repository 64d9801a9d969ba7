/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the architecture's user register file; the build puts runtime/arch/$ARCH on the path. */
#ifndef NACRE_ARCH_REGS_H
#define NACRE_ARCH_REGS_H
#include <arch_regs.h>
#endif
