/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>

#include "backends/loader.h"
#include "oci/buf.h"
#include "oci/caps.h"
#include "oci/commands.h"
#include "oci/mountopt.h"
#include "oci/seccomp.h"
#include "oci/systemd.h"
#include "oci/walls.h"

#define LIST(...) ((const char *const[]){__VA_ARGS__})

static int backend(const struct backend_info *info, void *arg)
{
	struct buf *b = arg;

	json_object(b, NULL);
	json_str(b, "name", info->name);
	json_str(b, "path", info->path);
	json_bool(b, "usable", info->status == 0);
	json_str(b, "summary", info->summary ? info->summary : "");
	if (info->status)
		json_str(b, "error", info->error ? info->error : "");
	json_end_object(b);
	return 0;
}

static void enabled(struct buf *b, const char *key, bool yes)
{
	json_object(b, key);
	json_bool(b, "enabled", yes);
	json_end_object(b);
}

static void seccomp_words(struct buf *b, const char *key, enum oci_seccomp_kind kind,
			  const char *prefix)
{
	const char *word = "";
	char name[64];

	json_array(b, key);
	for (size_t i = 0; i < oci_seccomp_names(kind, i, &word); i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, word);
		json_str(b, NULL, name);
	}
	json_end_array(b);
}

static void seccomp_features(struct buf *b)
{
	json_object(b, "seccomp");
	json_bool(b, "enabled", true);
	seccomp_words(b, "actions", OCI_SECCOMP_ACTIONS, "");
	seccomp_words(b, "operators", OCI_SECCOMP_OPERATORS, "");
	seccomp_words(b, "archs", OCI_SECCOMP_ARCHS, "SCMP_ARCH_");
	/* They are about loading into the host's kernel: known, of no effect (nacre-config(5)). */
	seccomp_words(b, "knownFlags", OCI_SECCOMP_FLAGS, "");
	seccomp_words(b, "supportedFlags", OCI_SECCOMP_FLAGS, "");
	json_end_object(b);
}

static void versions(struct buf *b)
{
	const struct scmp_version *v = seccomp_version();
	char text[48];

	json_object(b, "annotations");
	if (v) {
		snprintf(text, sizeof(text), "%u.%u.%u", v->major, v->minor, v->micro);
		json_str(b, "io.github.seccomp.libseccomp.version", text);
	}
	json_str(b, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_end_object(b);
}

static void linux_features(struct buf *b)
{
	json_object(b, "linux");
	json_strings(b, "namespaces",
		     LIST("cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"), 8);
	json_array(b, "capabilities");
	for (int c = 0; c < OCI_CAP_COUNT; c++)
		json_str(b, NULL, oci_cap_name(c));
	json_end_array(b);
	json_object(b, "cgroup");
	json_bool(b, "v1", true);
	json_bool(b, "v2", true);
	json_bool(b, "systemd", oci_systemd_built());
	json_bool(b, "systemdUser", false);
	json_bool(b, "rdma", true);
	json_end_object(b);
	seccomp_features(b);
	enabled(b, "apparmor", true);
	enabled(b, "selinux", true);
	enabled(b, "intelRdt", false);
	json_object(b, "mountExtensions");
	enabled(b, "idmap", true);
	json_end_object(b);
	json_end_object(b);
}

static int features(const struct cli *c, int *status, struct oci_error *err)
{
	cleanup_buf struct buf b = {.indent = "    "};
	const char *names[128];
	size_t n = oci_mount_option_names(names, 128);

	(void)c;
	(void)status;
	json_object(&b, NULL);
	json_str(&b, "ociVersionMin", "1.0.0");
	json_str(&b, "ociVersionMax", OCI_SPEC_VERSION);
	json_strings(&b, "hooks",
		     LIST("prestart", "createRuntime", "createContainer", "startContainer",
			  "poststart", "poststop"),
		     6);
	json_strings(&b, "mountOptions", names, n);
	linux_features(&b);
	versions(&b);
	json_strings(&b, "potentiallyUnsafeConfigAnnotations", LIST("run.oci.keep_original_groups"),
		     1);
	json_object(&b, "nacre");
	json_array(&b, "backends");
	backend_list(NULL, backend, &b);
	json_end_array(&b);
	json_object(&b, "landlock");
	json_int(&b, "version", walls_landlock_version());
	json_end_object(&b);
	json_end_object(&b);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "features");
	puts(b.s);
	return 0;
}

const struct cli_command cmd_features = {
	.name = "features",
	.usage = "print what this nacre supports, as JSON",
	.args = "",
	.description =
		"Prints the features document of the OCI runtime specification, with the backends\n"
		"that were found and whether they can be used on this host.",
	.min_args = 0,
	.max_args = 0,
	.run = features,
};
