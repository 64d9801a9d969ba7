/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "oci/cleanup.h"
#include "oci/json.h"

#define MAX_CPUINFO (1u << 20)

/* What a variant of this architecture is when none is named. */
static unsigned first_variant(const char *arch)
{
	return !strcmp(arch, "arm64") ? 8 : !strcmp(arch, "arm") ? 7 : 1;
}

static unsigned variant_number(const char *arch, const char *variant)
{
	char *end;
	unsigned long n;

	if (!variant || !*variant)
		return first_variant(arch);
	n = variant[0] == 'v' ? strtoul(variant + 1, &end, 10) : 0;
	return n > 0 && n < 100 && !*end ? (unsigned)n : 0;
}

static bool all_flags(const char *flags, const char *wanted)
{
	char word[32];
	size_t n;

	for (; *wanted; wanted += n + (wanted[n] == ' ')) {
		n = strcspn(wanted, " ");
		snprintf(word, sizeof(word), " %.*s ", (int)n, wanted);
		if (!strstr(flags, word))
			return false;
	}
	return true;
}

/* The levels of x86-64 by the names of their flags in /proc/cpuinfo. */
static unsigned amd64_level(void)
{
	static const char *const levels[] = {
		"cx16 lahf_lm popcnt sse4_1 sse4_2 ssse3",
		"abm avx avx2 bmi1 bmi2 f16c fma movbe xsave",
		"avx512f avx512bw avx512cd avx512dq avx512vl",
	};
	cleanup_free char *text = NULL;
	struct oci_error ignored;
	unsigned level = 1;
	char *flags, *end;
	size_t len;

	if (json_read_file(AT_FDCWD, "/proc/cpuinfo", MAX_CPUINFO, &text, &len, &ignored) ||
	    !(flags = strstr(text, "\nflags")))
		return 1;
	end = strchr(flags + 1, '\n');
	if (end)
		*end = ' ', end[1] = '\0';
	while (level <= 3 && all_flags(flags, levels[level - 1]))
		level++;
	return level;
}

static int host(struct platform *p, struct oci_error *err)
{
	struct utsname u;

	if (uname(&u))
		return oci_fail_errno(err, errno, "uname");
	snprintf(p->os, sizeof(p->os), "linux");
	snprintf(p->arch, sizeof(p->arch), "%.31s",
		 !strcmp(u.machine, "x86_64")	 ? "amd64"
		 : !strcmp(u.machine, "aarch64") ? "arm64"
						 : u.machine);
	p->variant = !strcmp(p->arch, "amd64") ? amd64_level() : first_variant(p->arch);
	return 0;
}

int platform_parse(const char *text, struct platform *p, struct oci_error *err)
{
	const char *slash, *second;

	if (!text)
		return host(p, err);
	slash = strchr(text, '/');
	second = slash ? strchr(slash + 1, '/') : NULL;
	if (!slash || slash == text || !slash[1] || slash[1] == '/' ||
	    (size_t)(slash - text) >= sizeof(p->os) || strcspn(slash + 1, "/") >= sizeof(p->arch))
		return oci_fail(err, EINVAL, "platform %s: not of the form os/arch[/variant]",
				text);
	snprintf(p->os, sizeof(p->os), "%.*s", (int)(slash - text), text);
	snprintf(p->arch, sizeof(p->arch), "%.*s", (int)strcspn(slash + 1, "/"), slash + 1);
	p->variant = variant_number(p->arch, second ? second + 1 : NULL);
	if (!p->variant)
		return oci_fail(err, EINVAL, "platform %s: the variant is not of the form v8",
				text);
	return 0;
}

unsigned platform_score(const struct platform *want, const char *os, const char *arch,
			const char *variant)
{
	unsigned n;

	if (strcmp(os, want->os) || strcmp(arch, want->arch))
		return 0;
	n = variant_number(arch, variant);
	return n <= want->variant ? n : 0;
}
