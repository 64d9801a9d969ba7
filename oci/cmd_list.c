/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/log.h"

struct row {
	struct oci_state s;
	enum oci_status status;
	char pid[16], owner[64];
};

struct rows {
	struct row *row;
	size_t n;
};

static void owner_name(uid_t uid, char *out, size_t len)
{
	struct passwd pw, *found = NULL;
	char room[1024];

	if (!getpwuid_r(uid, &pw, room, sizeof(room), &found) && found)
		snprintf(out, len, "%s", pw.pw_name);
	else
		snprintf(out, len, "#%u", (unsigned)uid);
}

static int add_row(const char *root, const char *id, struct rows *rows)
{
	cleanup_fd int dir = -1;
	struct oci_error err;
	struct stat st;
	struct row r;
	struct row *more;
	int e = oci_state_find(root, id, &r.s, &r.status, &dir, &err);

	/* Directories of creations that failed, or of somebody else's, are no containers. */
	if (e == -ENOENT)
		return 0;
	if (e) {
		log_error("load container %s: %s", id, err.msg);
		return 0;
	}
	snprintf(r.pid, sizeof(r.pid), "%d", r.status == OCI_STOPPED ? 0 : (int)r.s.pid);
	owner_name(fstat(dir, &st) ? 0 : st.st_uid, r.owner, sizeof(r.owner));
	more = realloc(rows->row, (rows->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	rows->row = more;
	rows->row[rows->n++] = r;
	return 0;
}

static int collect(const char *root, struct rows *rows, struct oci_error *err)
{
	struct dirent **names;
	int n = scandir(root, &names, NULL, alphasort), e = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : oci_fail_errno(err, errno, "open %s", root);
	for (int i = 0; i < n; i++) {
		if (!e && names[i]->d_name[0] != '.' &&
		    (names[i]->d_type == DT_DIR || names[i]->d_type == DT_UNKNOWN))
			e = add_row(root, names[i]->d_name, rows);
		free(names[i]);
	}
	free(names);
	return e ? oci_fail_errno(err, -e, "list") : 0;
}

/* Columns are 12 wide or their longest cell and three spaces. */
static void print_table(const struct rows *rows)
{
	static const char *const head[] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED"};
	size_t width[5];

	for (int k = 0; k < 5; k++)
		width[k] = strlen(head[k]);
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->row[i];
		const char *cell[] = {r->s.id, r->pid, oci_status_name(r->status), r->s.bundle,
				      r->s.created};

		for (int k = 0; k < 5; k++)
			width[k] = strlen(cell[k]) > width[k] ? strlen(cell[k]) : width[k];
	}
	for (int k = 0; k < 5; k++) {
		width[k] = width[k] + 3 < 12 ? 12 : width[k] + 3;
		printf("%-*s", (int)width[k], head[k]);
	}
	printf("OWNER\n");
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->row[i];
		const char *cell[] = {r->s.id, r->pid, oci_status_name(r->status), r->s.bundle,
				      r->s.created};

		for (int k = 0; k < 5; k++)
			printf("%-*s", (int)width[k], cell[k]);
		printf("%s\n", r->owner);
	}
}

static void print_json(const struct rows *rows)
{
	cleanup_buf struct buf b = {0};

	if (!rows->n) {
		printf("null\n");
		return;
	}
	json_array(&b, NULL);
	for (size_t i = 0; i < rows->n; i++) {
		cleanup_buf struct buf one = {0};
		const struct row *r = &rows->row[i];

		oci_state_json(&one, &r->s, r->status, false);
		/* The state document with the owner's name at its end. */
		one.s[one.len - 1] = '\0';
		buf_printf(&b, "%s%s,\"owner\":", i ? "," : "", one.s);
		buf_json_string(&b, r->owner);
		buf_str(&b, "}");
	}
	buf_str(&b, "]");
	printf("%s\n", b.s);
}

static int list(const struct cli *c, int *status, struct oci_error *err)
{
	const char *format = cli_string(c, "format");
	struct rows rows = {0};
	int r = collect(c->global.root, &rows, err);

	(void)status;
	if (!r && cli_bool(c, "quiet"))
		for (size_t i = 0; i < rows.n; i++)
			printf("%s\n", rows.row[i].s.id);
	else if (!r && !strcmp(format, "table"))
		print_table(&rows);
	else if (!r && !strcmp(format, "json"))
		print_json(&rows);
	else if (!r)
		r = oci_fail(err, EINVAL, "invalid format option");
	for (size_t i = 0; i < rows.n; i++)
		oci_state_free(&rows.row[i].s);
	free(rows.row);
	return r;
}

static const struct cli_option options[] = {
	{"format", "f", CLI_STRING, "table or json", "table"},
	{"quiet", "q", CLI_BOOL, "print ids only", NULL},
	{0},
};

const struct cli_command cmd_list = {
	.name = "list",
	.usage = "list the containers of a state directory",
	.args = "",
	.description = "Lists the containers whose state is in the directory given with --root.",
	.min_args = 0,
	.max_args = 0,
	.options = options,
	.run = list,
};
