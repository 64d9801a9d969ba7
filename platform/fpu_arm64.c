/* SPDX-License-Identifier: Apache-2.0 */
/* arm64 vector state images: struct fpsimd_context, which is also what signal frames hold. */
#include <errno.h>
#include <string.h>

#include "platform/internal.h"

#define FPSIMD_MAGIC 0x46508001u
#define FPSIMD_BYTES 528u

void arch_fpu_init(const struct platform *p, uint8_t *fpu)
{
	uint32_t head[2] = {FPSIMD_MAGIC, FPSIMD_BYTES};

	memset(fpu, 0, p->caps.fpu_bytes);
	memcpy(fpu, head, sizeof head);
}

/* Any value of the registers can be loaded: reserved bits are ignored. */
int arch_fpu_sanitize(const struct platform *p, uint8_t *fpu, const void *src, size_t len)
{
	uint32_t head[2] = {FPSIMD_MAGIC, FPSIMD_BYTES};

	if (len < p->caps.fpu_bytes)
		return -EINVAL;
	memcpy(fpu, src, p->caps.fpu_bytes);
	memcpy(fpu, head, sizeof head);
	return 0;
}
