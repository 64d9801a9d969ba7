/* SPDX-License-Identifier: Apache-2.0 */
/* Builds with --enable-debug: see mm/check.h. */
#include <stdio.h>
#include <stdlib.h>

#include "mm/check.h"
#include "mm/internal.h"

void check_edit_locked(struct mm *mm, bool last)
{
	static _Thread_local unsigned edits;
	const char *wrong;

	if ((!last && ++edits % CHECK_EVERY) || mm->rss > CHECK_LEAVES)
		return;
	wrong = check_invariants_locked(mm, false);
	if (!wrong)
		return;
	fprintf(stderr, "mm: %s (address space %lu)\n", wrong, (unsigned long)mm->id);
	abort();
}
