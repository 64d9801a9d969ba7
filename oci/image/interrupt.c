/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "oci/image/image.h"

static volatile sig_atomic_t interrupted;

void image_interrupt(void)
{
	interrupted = 1;
}

bool image_interrupted(void)
{
	return interrupted;
}
