/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/image/users.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/text.h"

#define MAX_FILE (4u << 20)

/* A regular file of the image, links followed inside it; "" when there is none. NULL: no memory. */
static char *read_file(int root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve =
				       RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
	cleanup_fd int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	struct stat st;
	char *s;
	size_t n = 0;
	ssize_t r;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
		return strdup("");
	s = malloc((size_t)st.st_size + 1);
	while (s && n < (size_t)st.st_size && (r = read(fd, s + n, (size_t)st.st_size - n)) > 0)
		n += (size_t)r;
	if (s)
		s[n] = '\0';
	return s;
}

/* False: not a number an id can have. */
static bool parse_id(const char *s, uint32_t *out)
{
	unsigned long long n;

	if (!*s || strspn(s, "0123456789") != strlen(s) || strlen(s) > 10)
		return false;
	n = strtoull(s, NULL, 10);
	if (n >= UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

/* A line of passwd(5) or group(5) in fields; those that are missing are "". */
#define MAX_FIELDS 7
struct line {
	char field[MAX_FIELDS][256];
	const char *last; /* where the field after `n` of them begins */
};

static void split_line(const char *s, unsigned n, struct line *l)
{
	const char *end = s + strcspn(s, "\n");

	for (unsigned i = 0; i < MAX_FIELDS; i++)
		l->field[i][0] = '\0';
	for (unsigned i = 0; i < n && s <= end; i++) {
		size_t len = strcspn(s, ":\n");

		/* One that is too long is nobody's. */
		if (len < sizeof(l->field[i]))
			snprintf(l->field[i], sizeof(l->field[i]), "%.*s", (int)len, s);
		s += len + 1;
	}
	l->last = s <= end ? s : end;
}

static bool find_user(const char *passwd, const char *wanted, bool by_id, struct image_user *out)
{
	struct line l;
	uint32_t uid, gid, id = 0;

	if (by_id && !parse_id(wanted, &id))
		return false;
	for (const char *p = passwd; p && *p; p = text_next_line(p)) {
		split_line(p, MAX_FIELDS, &l);
		if (!parse_id(l.field[2], &uid) || !parse_id(l.field[3], &gid) || !l.field[0][0] ||
		    (by_id ? uid != id : strcmp(l.field[0], wanted)))
			continue;
		out->uid = uid;
		out->gid = gid;
		if (l.field[5][0] == '/')
			snprintf(out->home, sizeof(out->home), "%s", l.field[5]);
		return true;
	}
	return false;
}

static bool find_name(const char *passwd, uid_t uid, char *name, size_t len)
{
	struct line l;
	uint32_t id;

	for (const char *p = passwd; p && *p; p = text_next_line(p)) {
		split_line(p, MAX_FIELDS, &l);
		if (parse_id(l.field[2], &id) && id == uid && l.field[0][0]) {
			snprintf(name, len, "%s", l.field[0]);
			return true;
		}
	}
	return false;
}

static bool find_group(const char *group, const char *wanted, gid_t *out)
{
	struct line l;
	uint32_t gid;

	for (const char *p = group; p && *p; p = text_next_line(p)) {
		split_line(p, 3, &l);
		if (parse_id(l.field[2], &gid) && !strcmp(l.field[0], wanted)) {
			*out = gid;
			return true;
		}
	}
	return parse_id(wanted, out);
}

static bool is_member(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (;;) {
		size_t len = strcspn(list, ",\n");

		if (len == n && !strncmp(list, name, n))
			return true;
		if (list[len] != ',')
			return false;
		list += len + 1;
	}
}

/* The groups that list the user. */
static void add_groups(const char *group, const char *name, struct image_user *out)
{
	struct line l;
	uint32_t gid;

	for (const char *p = group; p && *p; p = text_next_line(p)) {
		split_line(p, 3, &l);
		if (parse_id(l.field[2], &gid) && gid != out->gid && is_member(l.last, name) &&
		    out->ngroups < USERS_MAX_GROUPS)
			out->groups[out->ngroups++] = gid;
	}
}

int users_resolve(int root, const char *text, struct image_user *out, struct oci_error *err)
{
	cleanup_free char *passwd = read_file(root, "etc/passwd");
	cleanup_free char *group = read_file(root, "etc/group");
	const char *colon = strchr(text, ':');
	char user[256], name[256] = "";
	uint32_t id;

	*out = (struct image_user){.home = "/"};
	if (!passwd || !group)
		return oci_fail_errno(err, ENOMEM, "User");
	snprintf(user, sizeof(user), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
	if (!user[0])
		snprintf(user, sizeof(user), "0");
	/* A name that looks like a number is a name first. */
	if (!find_user(passwd, user, false, out) && !find_user(passwd, user, true, out)) {
		if (!parse_id(user, &id))
			return oci_fail(err, EINVAL,
					"the image's User %.100s: no such user in its /etc/passwd",
					text);
		out->uid = id;
	}
	if (colon && colon[1]) {
		if (!find_group(group, colon + 1, &out->gid))
			return oci_fail(err, EINVAL,
					"the image's User %.100s: no such group in its /etc/group",
					text);
		return 0;
	}
	if (find_name(passwd, out->uid, name, sizeof(name)))
		add_groups(group, name, out);
	return 0;
}
