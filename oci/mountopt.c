/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/mountopt.h"

#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

enum kind { SET, CLEAR, PROPAGATION, REC_SET, REC_CLEAR, COPY_UP, IDMAP };

struct option {
	const char *name;
	enum kind kind;
	uint64_t value;
};

/* Sorted by name; printed by `features` in this order. */
static const struct option options[] = {
	{"acl", SET, MS_POSIXACL},
	{"async", CLEAR, MS_SYNCHRONOUS},
	{"atime", CLEAR, MS_NOATIME},
	{"bind", SET, MS_BIND},
	{"defaults", SET, 0},
	{"dev", CLEAR, MS_NODEV},
	{"diratime", CLEAR, MS_NODIRATIME},
	{"dirsync", SET, MS_DIRSYNC},
	{"exec", CLEAR, MS_NOEXEC},
	{"idmap", IDMAP, 0},
	{"iversion", SET, MS_I_VERSION},
	{"lazytime", SET, MS_LAZYTIME},
	{"loud", CLEAR, MS_SILENT},
	{"mand", SET, MS_MANDLOCK},
	{"noacl", CLEAR, MS_POSIXACL},
	{"noatime", SET, MS_NOATIME},
	{"nodev", SET, MS_NODEV},
	{"nodiratime", SET, MS_NODIRATIME},
	{"noexec", SET, MS_NOEXEC},
	{"noiversion", CLEAR, MS_I_VERSION},
	{"nolazytime", CLEAR, MS_LAZYTIME},
	{"nomand", CLEAR, MS_MANDLOCK},
	{"norelatime", CLEAR, MS_RELATIME},
	{"nostrictatime", CLEAR, MS_STRICTATIME},
	{"nosuid", SET, MS_NOSUID},
	{"nosymfollow", SET, MS_NOSYMFOLLOW},
	{"private", PROPAGATION, MS_PRIVATE},
	{"ratime", REC_CLEAR, MOUNT_ATTR_NOATIME},
	{"rbind", SET, MS_BIND | MS_REC},
	{"rdev", REC_CLEAR, MOUNT_ATTR_NODEV},
	{"rdiratime", REC_CLEAR, MOUNT_ATTR_NODIRATIME},
	{"relatime", SET, MS_RELATIME},
	{"remount", SET, MS_REMOUNT},
	{"rexec", REC_CLEAR, MOUNT_ATTR_NOEXEC},
	{"ridmap", IDMAP, MS_REC},
	{"rnoatime", REC_SET, MOUNT_ATTR_NOATIME},
	{"rnodev", REC_SET, MOUNT_ATTR_NODEV},
	{"rnodiratime", REC_SET, MOUNT_ATTR_NODIRATIME},
	{"rnoexec", REC_SET, MOUNT_ATTR_NOEXEC},
	{"rnorelatime", REC_CLEAR, MOUNT_ATTR_RELATIME},
	{"rnostrictatime", REC_CLEAR, MOUNT_ATTR_STRICTATIME},
	{"rnosuid", REC_SET, MOUNT_ATTR_NOSUID},
	{"rnosymfollow", REC_SET, MOUNT_ATTR_NOSYMFOLLOW},
	{"ro", SET, MS_RDONLY},
	{"rprivate", PROPAGATION, MS_PRIVATE | MS_REC},
	{"rrelatime", REC_SET, MOUNT_ATTR_RELATIME},
	{"rro", REC_SET, MOUNT_ATTR_RDONLY},
	{"rrw", REC_CLEAR, MOUNT_ATTR_RDONLY},
	{"rshared", PROPAGATION, MS_SHARED | MS_REC},
	{"rslave", PROPAGATION, MS_SLAVE | MS_REC},
	{"rstrictatime", REC_SET, MOUNT_ATTR_STRICTATIME},
	{"rsuid", REC_CLEAR, MOUNT_ATTR_NOSUID},
	{"rsymfollow", REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC},
	{"rw", CLEAR, MS_RDONLY},
	{"shared", PROPAGATION, MS_SHARED},
	{"silent", SET, MS_SILENT},
	{"slave", PROPAGATION, MS_SLAVE},
	{"strictatime", SET, MS_STRICTATIME},
	{"suid", CLEAR, MS_NOSUID},
	{"symfollow", CLEAR, MS_NOSYMFOLLOW},
	{"sync", SET, MS_SYNCHRONOUS},
	{"tmpcopyup", COPY_UP, 0},
	{"unbindable", PROPAGATION, MS_UNBINDABLE},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

void oci_mount_options_free(struct oci_mount_options *o)
{
	buf_free(&o->data);
}

static void apply(struct oci_mount_options *o, const struct option *opt)
{
	switch (opt->kind) {
	case SET:
		o->flags |= opt->value;
		o->cleared &= ~opt->value;
		break;
	case CLEAR:
		o->flags &= ~opt->value;
		o->cleared |= opt->value;
		break;
	case PROPAGATION:
		/* "rslave" and "shared" together are two settings: mount_namespaces(7). */
		if (o->npropagation < sizeof(o->propagation) / sizeof(o->propagation[0]))
			o->propagation[o->npropagation++] = opt->value;
		break;
	case REC_SET:
		/* MOUNT_ATTR_RELATIME is 0: the access-time mode is a field, not a bit. */
		if (opt->value == MOUNT_ATTR_RELATIME || opt->value == MOUNT_ATTR_STRICTATIME ||
		    opt->value == MOUNT_ATTR_NOATIME) {
			o->rec_clr |= MOUNT_ATTR__ATIME;
			o->rec_set &= ~(uint64_t)MOUNT_ATTR__ATIME;
		} else {
			o->rec_clr &= ~opt->value;
		}
		o->rec_set |= opt->value;
		break;
	case REC_CLEAR:
		o->rec_set &= ~opt->value;
		o->rec_clr |= opt->value == MOUNT_ATTR_NOATIME ||
					      opt->value == MOUNT_ATTR_STRICTATIME ||
					      opt->value == MOUNT_ATTR_RELATIME
				      ? (uint64_t)MOUNT_ATTR__ATIME
				      : opt->value;
		break;
	case IDMAP:
		o->idmap = true;
		o->idmap_recursive |= opt->value != 0;
		break;
	case COPY_UP:
		o->copy_up = true;
		break;
	}
}

int oci_mount_options_parse(const char *const *list, size_t n, const char *key,
			    struct oci_mount_options *out, struct oci_error *err)
{
	*out = (struct oci_mount_options){0};
	for (size_t i = 0; i < n; i++) {
		const struct option *found = NULL;

		for (size_t j = 0; j < NOPTIONS && !found; j++)
			if (!strcmp(options[j].name, list[i]))
				found = &options[j];
		if (found) {
			apply(out, found);
			continue;
		}
		if (strchr(list[i], ',')) {
			oci_mount_options_free(out);
			return oci_fail(err, EINVAL, "%s[%zu] must be a single option, not \"%s\"",
					key, i, list[i]);
		}
		if (!*list[i])
			continue;
		if (!strncmp(list[i], "idmap=", 6)) {
			oci_mount_options_free(out);
			return oci_fail(err, EINVAL,
					"%s[%zu]: \"%s\": mappings are given by uidMappings and "
					"gidMappings",
					key, i, list[i]);
		}
		if (out->data.len)
			buf_str(&out->data, ",");
		buf_str(&out->data, list[i]);
	}
	if (out->data.failed) {
		oci_mount_options_free(out);
		return oci_fail_errno(err, ENOMEM, "%s", key);
	}
	return 0;
}

uint64_t oci_mount_attr(unsigned long f)
{
	uint64_t a = 0;

	a |= f & MS_RDONLY ? MOUNT_ATTR_RDONLY : 0;
	a |= f & MS_NOSUID ? MOUNT_ATTR_NOSUID : 0;
	a |= f & MS_NODEV ? MOUNT_ATTR_NODEV : 0;
	a |= f & MS_NOEXEC ? MOUNT_ATTR_NOEXEC : 0;
	a |= f & MS_NODIRATIME ? MOUNT_ATTR_NODIRATIME : 0;
	a |= f & MS_NOSYMFOLLOW ? MOUNT_ATTR_NOSYMFOLLOW : 0;
	if (f & MS_NOATIME)
		a |= MOUNT_ATTR_NOATIME;
	else if (f & MS_STRICTATIME)
		a |= MOUNT_ATTR_STRICTATIME;
	return a;
}

size_t oci_mount_option_names(const char **names, size_t cap)
{
	for (size_t i = 0; i < NOPTIONS && i < cap; i++)
		names[i] = options[i].name;
	return NOPTIONS;
}
