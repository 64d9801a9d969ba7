/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/cgroup_settings.h"

#include <errno.h>

#include "oci/cgroup.h"

int oci_cgroup_settings(const struct oci_state *s, const struct oci_resources *res,
			struct oci_error *err)
{
	for (size_t i = 0; i < res->nsettings; i++) {
		const struct oci_cgroup_setting *set = &res->settings[i];
		const char *dir, *file, *value;
		bool v2 = false;
		int r;

		dir = oci_cgroup_dir(s, set->controller, &v2);
		if (!dir && set->controller2)
			dir = oci_cgroup_dir(s, set->controller2, &v2);
		file = v2 ? set->file2 : set->file;
		value = v2 ? set->value2 : set->value;
		if (!dir || !file)
			return oci_fail(
				err, ENOENT,
				"config.json: %s: the host has no usable %s cgroup controller",
				set->key, set->controller);
		r = oci_cgroup_write(dir, file, value);
		if (r)
			return oci_fail_errno(err, -r,
					      "config.json: %s: cannot set %s to %s in cgroup %s",
					      set->key, file, value, dir);
	}
	return 0;
}
