/* SPDX-License-Identifier: Apache-2.0 */
/* Ordinary builds: see mm/check.h. */
#include "mm/check.h"

void check_edit_locked(struct mm *mm, bool last)
{
	(void)mm;
	(void)last;
}
