/* SPDX-License-Identifier: Apache-2.0 */
/* What the linux object says of devices, clocks, kernel settings and the processor. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>

#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"

#define FILE_NAME "config.json"

/* ---- devices ---- */

static int parse_device(yajl_val v, size_t i, struct oci_device *d, struct oci_error *err)
{
	static const struct {
		const char *type;
		mode_t mode;
	} types[] = {{"c", S_IFCHR}, {"u", S_IFCHR}, {"b", S_IFBLK}, {"p", S_IFIFO}};
	int64_t major = -1, minor = -1, mode = 0666, uid = 0, gid = 0;
	struct json_in in = {FILE_NAME, err};
	const char *type = NULL;
	char at[64];
	int r;

	snprintf(at, sizeof(at), "linux.devices[%zu]", i);
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(err, EINVAL, FILE_NAME ": %s must be an object", at);
	if ((r = json_in_string(&in, v, at, "path", &d->path)) ||
	    (r = json_in_string(&in, v, at, "type", &type)) ||
	    (r = json_in_int(&in, v, at, "major", 0, (1 << 12) - 1, &major)) ||
	    (r = json_in_int(&in, v, at, "minor", 0, (1 << 20) - 1, &minor)) ||
	    /* podman gives the type's bits too */
	    (r = json_in_int(&in, v, at, "fileMode", 0, 0177777, &mode)) ||
	    (r = json_in_int(&in, v, at, "uid", 0, UINT32_MAX - 1, &uid)) ||
	    (r = json_in_int(&in, v, at, "gid", 0, UINT32_MAX - 1, &gid)))
		return r;
	if (!d->path || d->path[0] != '/')
		return oci_fail(err, EINVAL, FILE_NAME ": %s.path must be an absolute path", at);
	for (size_t j = 0; type && j < sizeof(types) / sizeof(types[0]); j++)
		if (!strcmp(types[j].type, type))
			d->mode = types[j].mode | ((mode_t)mode & 07777);
	if (!d->mode)
		return oci_fail(err, EINVAL, FILE_NAME ": %s.type: unknown type \"%s\"", at,
				type ? type : "");
	if (!S_ISFIFO(d->mode) && (major < 0 || minor < 0))
		return oci_fail(err, EINVAL, FILE_NAME ": %s.%s must be given", at,
				major < 0 ? "major" : "minor");
	d->major = major < 0 ? 0 : (unsigned)major;
	d->minor = minor < 0 ? 0 : (unsigned)minor;
	d->uid = (uid_t)uid;
	d->gid = (gid_t)gid;
	return 0;
}

/* Those the application kernel has: memory devices and terminals (nacre-config(5)). */
static bool device_works(const struct oci_device *d)
{
	static const unsigned memory[] = {3, 5, 7, 8, 9};

	for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		if (d->major == 1 && d->minor == memory[i])
			return S_ISCHR(d->mode);
	return S_ISFIFO(d->mode) || (S_ISCHR(d->mode) && d->major == 5 && d->minor <= 2);
}

static int parse_devices(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	struct oci_device *list;
	yajl_val v;
	int r = json_in_array(&in, lx, "linux", "devices", 1024, &v);

	if (r || !v)
		return r;
	list = oci_arena_alloc(&cfg->arena, v->u.array.len + 1, sizeof(*list));
	if (!list)
		return oci_fail_errno(err, ENOMEM, FILE_NAME);
	for (size_t i = 0; i < v->u.array.len; i++) {
		r = parse_device(v->u.array.values[i], i, &list[i], err);
		if (r)
			return r;
		if (!device_works(&list[i]))
			log_warning(FILE_NAME ": linux.devices[%zu]: %s is made, but cannot be "
					      "opened: device %u:%u is the host's",
				    i, list[i].path, list[i].major, list[i].minor);
	}
	cfg->devices = list;
	cfg->ndevices = v->u.array.len;
	return 0;
}

/* ---- clocks ---- */

static int parse_time(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	static const char *const clocks[] = {"monotonic", "boottime"};
	struct json_in in = {FILE_NAME, err};
	yajl_val offsets, v;
	char at[64];
	int r = json_in_object(&in, lx, "linux", "timeOffsets", &offsets);

	if (r || !offsets || !offsets->u.object.len)
		return r;
	for (int i = 0; i < 2; i++) {
		snprintf(at, sizeof(at), "linux.timeOffsets.%s", clocks[i]);
		if ((r = json_in_object(&in, offsets, "linux.timeOffsets", clocks[i], &v)) ||
		    (r = json_in_int(&in, v, at, "secs", INT32_MIN, INT32_MAX,
				     &cfg->time_offset[i][0])) ||
		    (r = json_in_int(&in, v, at, "nanosecs", 0, 999999999,
				     &cfg->time_offset[i][1])))
			return r;
	}
	for (size_t i = 0; i < offsets->u.object.len; i++)
		if (strcmp(offsets->u.object.keys[i], clocks[0]) &&
		    strcmp(offsets->u.object.keys[i], clocks[1]))
			return oci_fail(err, EINVAL,
					FILE_NAME ": linux.timeOffsets.%s: no such clock",
					offsets->u.object.keys[i]);
	if (!cfg->ns[OCI_NS_TIME].present || cfg->ns[OCI_NS_TIME].path)
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.timeOffsets needs a new time namespace in "
					  "linux.namespaces");
	cfg->has_time_offsets = true;
	return 0;
}

/* ---- sysctl ---- */

/* sysctl(8) takes both separators. */
static bool is_key(const char *key, const char *name)
{
	for (; *key && *name; key++, name++)
		if (*key != *name && !(*key == '/' && *name == '.'))
			return false;
	return !*name && (!*key || name[-1] == '.');
}

static int check_sysctl(struct oci_config *cfg, const char *key, struct oci_error *err)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb",
					  "kernel.msgmni", "kernel.sem",
					  "kernel.shmall", "kernel.shmmax",
					  "kernel.shmmni", "kernel.shm_rmid_forced",
					  "fs.mqueue."};

	if (is_key(key, "net.")) {
		if (strstr(key, ".."))
			return oci_fail(err, EINVAL, FILE_NAME ": linux.sysctl.%s: no such setting",
					key);
		return cfg->ns[OCI_NS_NETWORK].present
			       ? 0
			       : oci_fail(err, EINVAL,
					  FILE_NAME ": linux.sysctl.%s: sysctl \"%s\" not allowed "
						    "in host network namespace",
					  key, key);
	}
	for (size_t i = 0; i < sizeof(ipc) / sizeof(ipc[0]); i++) {
		if (!is_key(key, ipc[i]))
			continue;
		if (!cfg->ns[OCI_NS_IPC].present)
			return oci_fail(err, EINVAL,
					FILE_NAME ": linux.sysctl.%s: sysctl \"%s\" is not allowed "
						  "in the hosts ipc namespace",
					key, key);
		log_warning(FILE_NAME ": linux.sysctl.%s is not applied: the application kernel's "
				      "limits are fixed",
			    key);
		return 0;
	}
	if (is_key(key, "kernel.domainname"))
		return cfg->ns[OCI_NS_UTS].present
			       ? 0
			       : oci_fail(err, EINVAL,
					  FILE_NAME ": linux.sysctl.%s needs a uts namespace in "
						    "linux.namespaces",
					  key);
	if (is_key(key, "kernel.hostname"))
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.sysctl.%s: sysctl \"%s\" is not allowed as it "
					  "conflicts with the OCI \"hostname\" field",
				key, key);
	return oci_fail(err, EINVAL,
			FILE_NAME ": linux.sysctl.%s: sysctl \"%s\" is not in a separate kernel "
				  "namespace",
			key, key);
}

/* ---- the processor ---- */

static int parse_personality(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	const char *domain = NULL;
	yajl_val v, flags = NULL;
	int r = json_in_object(&in, lx, "linux", "personality", &v);

	if (r || !v)
		return r;
	if ((r = json_in_string(&in, v, "linux.personality", "domain", &domain)) ||
	    (r = json_in_array(&in, v, "linux.personality", "flags", 64, &flags)))
		return r;
	if (domain && !strcmp(domain, "LINUX32"))
		cfg->personality = PER_LINUX32;
	else if (!domain || strcmp(domain, "LINUX"))
		return oci_fail(err, EINVAL,
				FILE_NAME ": linux.personality.domain must be LINUX or LINUX32");
	/* "No flag values are supported" (config-linux.md). */
	if (flags && flags->u.array.len)
		return oci_fail(err, EINVAL, FILE_NAME ": linux.personality.flags must be empty");
	return 0;
}

static int refuse_rdt(yajl_val lx, struct oci_error *err)
{
	struct json_in in = {FILE_NAME, err};
	yajl_val v;
	int r = json_in_object(&in, lx, "linux", "intelRdt", &v);

	if (r || !v || !v->u.object.len)
		return r;
	return oci_fail(err, ENOTSUP, FILE_NAME ": linux.intelRdt is not supported");
}

int oci_config_machine(struct oci_config *cfg, yajl_val lx, struct oci_error *err)
{
	int r;

	if ((r = parse_devices(cfg, lx, err)) || (r = parse_time(cfg, lx, err)) ||
	    (r = parse_personality(cfg, lx, err)))
		return r;
	for (size_t i = 0; i < cfg->nsysctl; i++)
		if ((r = check_sysctl(cfg, cfg->sysctl[i].key, err)))
			return r;
	return refuse_rdt(lx, err);
}
