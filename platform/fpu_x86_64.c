/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 vector state images: the XSAVE standard format (Intel SDM volume 1, 13.4), which is also
 * what signal frames hold.
 */
#include <errno.h>
#include <string.h>

#include "platform/internal.h"

#define LEGACY_BYTES 512
#define OFFSET_FCW 0
#define OFFSET_MXCSR 24
#define OFFSET_XSTATE_BV 512
#define OFFSET_XCOMP_BV 520
#define HEADER_BYTES 64
#define FCW_INIT 0x037f
#define MXCSR_INIT 0x1f80u
#define MXCSR_VALID 0xffffu
#define XSTATE_LEGACY 3ull /* x87 and SSE */

void arch_fpu_init(const struct platform *p, uint8_t *fpu)
{
	uint16_t fcw = FCW_INIT;
	uint32_t mxcsr = MXCSR_INIT;
	uint64_t bv = XSTATE_LEGACY;

	memset(fpu, 0, p->caps.fpu_bytes);
	memcpy(fpu + OFFSET_FCW, &fcw, sizeof fcw);
	memcpy(fpu + OFFSET_MXCSR, &mxcsr, sizeof mxcsr);
	memcpy(fpu + OFFSET_XSTATE_BV, &bv, sizeof bv);
}

/*
 * src is the guest's: reserved MXCSR bits, unknown components, the compacted format and reserved
 * header words would make the load fault, so they are cleared here.
 */
int arch_fpu_sanitize(const struct platform *p, uint8_t *fpu, const void *src, size_t len)
{
	uint64_t bv = XSTATE_LEGACY;
	uint32_t mxcsr;

	if (len < LEGACY_BYTES)
		return -EINVAL;
	len = len > p->caps.fpu_bytes ? p->caps.fpu_bytes : len;
	arch_fpu_init(p, fpu);
	memcpy(fpu, src, len);
	memcpy(&mxcsr, fpu + OFFSET_MXCSR, sizeof mxcsr);
	mxcsr &= MXCSR_VALID;
	memcpy(fpu + OFFSET_MXCSR, &mxcsr, sizeof mxcsr);
	if (len >= LEGACY_BYTES + HEADER_BYTES) {
		memcpy(&bv, fpu + OFFSET_XSTATE_BV, sizeof bv);
		bv &= p->caps.fpu_features;
	}
	memset(fpu + OFFSET_XCOMP_BV, 0, HEADER_BYTES - 8);
	memcpy(fpu + OFFSET_XSTATE_BV, &bv, sizeof bv);
	return 0;
}
