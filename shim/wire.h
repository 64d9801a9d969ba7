/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim <-> host protocol, the one description of it, included by assembly and by C. Each
 * architecture has its own.
 */
#ifndef NACRE_SHIM_WIRE_H
#define NACRE_SHIM_WIRE_H

/* Tests that run no guest may ask for the other architecture's. */
#if defined(NACRE_GUEST_ARM64)
#include "shim/wire_arm64.h"
#elif defined(NACRE_GUEST_X86_64) || defined(__x86_64__)
#include "shim/wire_x86_64.h"
#elif defined(__aarch64__)
#include "shim/wire_arm64.h"
#else
#error "no shim for this architecture"
#endif

#endif
