/* SPDX-License-Identifier: Apache-2.0 */
/* The option strings of config.json's mounts (mount(8), OCI runtime spec "Linux mount options"). */
#ifndef NACRE_OCI_MOUNTOPT_H
#define NACRE_OCI_MOUNTOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/buf.h"
#include "oci/error.h"

struct oci_mount_options {
	unsigned long flags;   /* MS_*, what a plain mount(2) takes; MS_BIND, MS_REC among them */
	unsigned long cleared; /* MS_* asked to be off, for binds of restricted mounts */
	unsigned long propagation[4]; /* MS_SHARED, MS_SLAVE, ... with MS_REC, in their order */
	size_t npropagation;
	uint64_t rec_set, rec_clr;   /* MOUNT_ATTR_* for the whole tree ("rro" and friends) */
	bool copy_up;		     /* tmpcopyup */
	bool idmap, idmap_recursive; /* idmap, ridmap */
	struct buf data;	     /* options left for the file system, comma separated */
};

void oci_mount_options_free(struct oci_mount_options *o);
/* `key` names the list for errors, e.g. "config.json: mounts[2].options". */
int oci_mount_options_parse(const char *const *list, size_t n, const char *key,
			    struct oci_mount_options *out, struct oci_error *err);
/* MOUNT_ATTR_* of MS_* flags (mount_setattr(2)). */
uint64_t oci_mount_attr(unsigned long ms_flags);
/* All option names that are known, sorted; for `features`. */
size_t oci_mount_option_names(const char **names, size_t cap);

#endif
