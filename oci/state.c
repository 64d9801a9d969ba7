/* SPDX-License-Identifier: Apache-2.0 */
/* The state document: reading, writing, and what it says about the process. */
#include "oci/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/json.h"
#include "oci/text.h"

void oci_state_free(struct oci_state *s)
{
	free(s->id);
	free(s->bundle);
	free(s->rootfs);
	free(s->created);
	free(s->oci_version);
	for (size_t i = 0; i < s->nannotations; i++) {
		free(s->annotations[i].key);
		free(s->annotations[i].value);
	}
	free(s->annotations);
	for (size_t i = 0; i < s->ncgroups; i++) {
		free(s->cgroups[i].controllers);
		free(s->cgroups[i].dir);
	}
	*s = (struct oci_state){0};
}

/* The process's start time and name; 0 when there is none or it is a zombie. */
static unsigned long long read_stat(pid_t pid, char comm[16])
{
	char path[64], buf[1024], word[32], state;
	const char *p, *name;
	unsigned long long start;
	ssize_t n;

	*comm = '\0';
	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	/* The command may contain anything, ')' too: fields count from the last one. */
	p = strrchr(buf, ')');
	name = strchr(buf, '(');
	if (!p || !name)
		return 0;
	snprintf(comm, 16, "%.*s", (int)(p - name - 1), name + 1);
	p++;
	if (!text_word(&p, word, sizeof(word)))
		return 0;
	state = word[0];
	text_skip(&p, 18);
	start = text_word(&p, word, sizeof(word)) ? strtoull(word, NULL, 10) : 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}

unsigned long long oci_pid_start_time(pid_t pid)
{
	char comm[16];

	return read_stat(pid, comm);
}

enum oci_status oci_state_status(const struct oci_state *s)
{
	char comm[16];
	unsigned long long start = read_stat(s->pid, comm);

	if (!s->pid)
		return OCI_CREATING;
	if (!start || start != s->pid_start)
		return OCI_STOPPED;
	if (!strcmp(comm, OCI_COMM_CREATING))
		return OCI_CREATING;
	if (oci_cgroup_frozen(s))
		return OCI_PAUSED;
	return strcmp(comm, OCI_COMM_CREATED) ? OCI_RUNNING : OCI_CREATED;
}

const char *oci_status_name(enum oci_status status)
{
	static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

	return names[status];
}

int oci_state_pidfd(const struct oci_state *s)
{
	cleanup_fd int fd = -1;

	if (s->pid <= 0)
		return -ESRCH;
	fd = pidfd_open(s->pid, 0);
	if (fd < 0)
		return -errno;
	/* Opened first, compared then: from here on the descriptor cannot come to mean another. */
	if (oci_pid_start_time(s->pid) != s->pid_start)
		return -ESRCH;
	return steal_fd(&fd);
}

void oci_state_json(struct buf *b, const struct oci_state *s, enum oci_status status, bool owner)
{
	json_object(b, NULL);
	json_str(b, "ociVersion", s->oci_version ? s->oci_version : OCI_SPEC_VERSION);
	json_str(b, "id", s->id);
	json_int(b, "pid", status == OCI_STOPPED ? 0 : s->pid);
	json_str(b, "status", oci_status_name(status));
	json_str(b, "bundle", s->bundle);
	json_str(b, "rootfs", s->rootfs);
	json_str(b, "created", s->created);
	if (s->nannotations) {
		json_object(b, "annotations");
		for (size_t i = 0; i < s->nannotations; i++)
			json_str(b, s->annotations[i].key, s->annotations[i].value);
		json_end_object(b);
	}
	if (owner)
		json_str(b, "owner", "");
	json_end_object(b);
}

int oci_state_copy_file(int dir, const char *name, const char *text, size_t len,
			struct oci_error *err)
{
	char tmp[128];
	size_t done = 0;

	snprintf(tmp, sizeof(tmp), ".%s.new", name);
	cleanup_fd int fd =
		openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot create %s in the state directory", tmp);
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int e = n ? errno : EIO;

			unlinkat(dir, tmp, 0);
			return oci_fail_errno(err, e, "cannot write %s in the state directory",
					      tmp);
		}
		done += (size_t)n;
	}
	if (renameat(dir, tmp, dir, name))
		return oci_fail_errno(err, errno, "cannot replace %s in the state directory", name);
	return 0;
}

int oci_state_save(int dir, const struct oci_state *s, struct oci_error *err)
{
	cleanup_buf struct buf b = {.indent = NULL};
	char start[32];

	json_object(&b, NULL);
	json_str(&b, "ociVersion", s->oci_version ? s->oci_version : OCI_SPEC_VERSION);
	json_str(&b, "id", s->id);
	json_int(&b, "pid", s->pid);
	snprintf(start, sizeof(start), "%llu", s->pid_start);
	json_str(&b, "pidStartTime", start);
	json_str(&b, "bundle", s->bundle);
	json_str(&b, "rootfs", s->rootfs);
	json_str(&b, "created", s->created);
	json_bool(&b, "systemdCgroup", s->systemd_cgroup);
	json_bool(&b, "rootless", s->rootless);
	json_object(&b, "annotations");
	for (size_t i = 0; i < s->nannotations; i++)
		json_str(&b, s->annotations[i].key, s->annotations[i].value);
	json_end_object(&b);
	json_array(&b, "cgroups");
	for (size_t i = 0; i < s->ncgroups; i++) {
		json_object(&b, NULL);
		json_str(&b, "controllers", s->cgroups[i].controllers);
		json_str(&b, "dir", s->cgroups[i].dir);
		json_end_object(&b);
	}
	json_end_array(&b);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, OCI_STATE_FILE);
	return oci_state_copy_file(dir, OCI_STATE_FILE, b.s, b.len, err);
}

static int dup_string(struct json_in *in, yajl_val v, const char *path, const char *key, char **out)
{
	const char *s = "";
	int r = json_in_string(in, v, path, key, &s);

	if (r)
		return r;
	*out = strdup(s);
	return *out ? 0 : oci_fail_errno(in->err, ENOMEM, OCI_STATE_FILE);
}

static int load_lists(struct json_in *in, yajl_val v, struct oci_state *s)
{
	yajl_val notes, groups;
	int r;

	if ((r = json_in_object(in, v, "", "annotations", &notes)) ||
	    (r = json_in_array(in, v, "", "cgroups", OCI_MAX_CGROUPS, &groups)))
		return r;
	if (notes && notes->u.object.len) {
		s->annotations = calloc(notes->u.object.len, sizeof(*s->annotations));
		if (!s->annotations)
			return oci_fail_errno(in->err, ENOMEM, OCI_STATE_FILE);
	}
	for (size_t i = 0; notes && i < notes->u.object.len; i++) {
		const char *value = YAJL_GET_STRING(notes->u.object.values[i]);

		s->annotations[i].key = strdup(notes->u.object.keys[i]);
		s->annotations[i].value = strdup(value ? value : "");
		s->nannotations = i + 1;
		if (!s->annotations[i].key || !s->annotations[i].value)
			return oci_fail_errno(in->err, ENOMEM, OCI_STATE_FILE);
	}
	for (size_t i = 0; groups && i < groups->u.array.len; i++) {
		yajl_val g = groups->u.array.values[i];

		s->ncgroups = i + 1;
		if ((r = dup_string(in, g, "cgroups[]", "controllers",
				    &s->cgroups[i].controllers)) ||
		    (r = dup_string(in, g, "cgroups[]", "dir", &s->cgroups[i].dir)))
			return r;
	}
	return 0;
}

static int load_tree(yajl_val v, struct oci_state *s, struct oci_error *err)
{
	struct json_in in = {OCI_STATE_FILE, err};
	const char *start = "0";
	int64_t pid = 0;
	int r;

	if ((r = dup_string(&in, v, "", "ociVersion", &s->oci_version)) ||
	    (r = dup_string(&in, v, "", "id", &s->id)) ||
	    (r = dup_string(&in, v, "", "bundle", &s->bundle)) ||
	    (r = dup_string(&in, v, "", "rootfs", &s->rootfs)) ||
	    (r = dup_string(&in, v, "", "created", &s->created)) ||
	    (r = json_in_int(&in, v, "", "pid", 0, INT32_MAX, &pid)) ||
	    (r = json_in_string(&in, v, "", "pidStartTime", &start)) ||
	    (r = json_in_bool(&in, v, "", "systemdCgroup", &s->systemd_cgroup)) ||
	    (r = json_in_bool(&in, v, "", "rootless", &s->rootless)))
		return r;
	s->pid = (pid_t)pid;
	s->pid_start = strtoull(start, NULL, 10);
	return load_lists(&in, v, s);
}

int oci_state_load(int dir, struct oci_state *s, struct oci_error *err)
{
	cleanup_free char *text = NULL;
	yajl_val v;
	size_t len;
	int r;

	*s = (struct oci_state){0};
	if (faccessat(dir, OCI_STATE_FILE, F_OK, 0))
		return oci_fail(err, ENOENT, "container does not exist");
	r = json_read_file(dir, OCI_STATE_FILE, JSON_MAX_SIZE, &text, &len, err);
	if (r)
		return r;
	v = json_parse(text, len, OCI_STATE_FILE, err);
	if (!v)
		return -EINVAL;
	r = load_tree(v, s, err);
	yajl_tree_free(v);
	if (r)
		oci_state_free(s);
	return r;
}

int oci_state_find(const char *root, const char *id, struct oci_state *s, enum oci_status *status,
		   int *dir_out, struct oci_error *err)
{
	cleanup_fd int dir = oci_state_dir_open(root, id, err);
	int r;

	if (dir < 0)
		return dir;
	r = oci_state_load(dir, s, err);
	if (r)
		return r;
	if (status)
		*status = oci_state_status(s);
	if (dir_out)
		*dir_out = steal_fd(&dir);
	return 0;
}
