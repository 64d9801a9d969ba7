/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/loader/script.h"

#include <stdbool.h>
#include <string.h>

#include "runtime/errno.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int script_parse(const char *head, size_t len, struct script_line *out)
{
	char *text = out->text, *p, *end, *name_end;
	bool cut;

	if (len < 2 || head[0] != '#' || head[1] != '!')
		return 0;
	if (len > SCRIPT_LINE)
		len = SCRIPT_LINE;
	memcpy(text, head, len);
	text[len] = '\0';
	end = memchr(text, '\n', len);
	cut = !end && len == SCRIPT_LINE;
	if (!end)
		end = text + (cut ? SCRIPT_LINE - 1 : len);
	/* A NUL ends the line as well: what follows is not text. */
	if (memchr(text, '\0', (size_t)(end - text)))
		end = memchr(text, '\0', (size_t)(end - text));
	while (end > text + 2 && is_blank(end[-1]))
		end--;
	*end = '\0';
	for (p = text + 2; is_blank(*p); p++)
		;
	if (!*p)
		return -ENOEXEC;
	for (name_end = p; *name_end && !is_blank(*name_end); name_end++)
		;
	if (cut && !*name_end)
		return -ENOEXEC; /* the path itself may go on beyond what was read */
	out->interp = p;
	out->arg = NULL;
	if (*name_end) {
		*name_end++ = '\0';
		while (is_blank(*name_end))
			name_end++;
		if (*name_end)
			out->arg = name_end;
	}
	return 1;
}
