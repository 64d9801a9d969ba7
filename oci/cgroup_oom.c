/* SPDX-License-Identifier: Apache-2.0 */
/* Out-of-memory notices (kernel: cgroup-v1/memory.rst section 10, cgroup-v2.rst memory.events). */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "oci/cgroup.h"
#include "oci/cgroup_stats.h"
#include "oci/cleanup.h"

static void open_v1(const char *dir, struct oci_oom *o)
{
	char path[1024], text[48];

	snprintf(path, sizeof(path), "%s/memory.oom_control", dir);
	o->control = open(path, O_RDONLY | O_CLOEXEC);
	o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	o->events = POLLIN;
	snprintf(text, sizeof(text), "%d %d", o->fd, o->control);
	if (o->fd < 0 || o->control < 0 || oci_cgroup_write(dir, "cgroup.event_control", text))
		oci_cgroup_oom_close(o);
}

/* How often something was killed, read from the start: poll(2) wants the change read. */
static uint64_t kills(int fd)
{
	char text[512];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return oci_stat_field(text, "oom_kill");
}

void oci_cgroup_oom_open(const struct oci_state *s, struct oci_oom *o)
{
	char path[1024];
	bool v2;
	const char *dir = oci_cgroup_dir(s, "memory", &v2);

	*o = (struct oci_oom){.fd = -1, .control = -1};
	if (!dir)
		return;
	if (!v2) {
		open_v1(dir, o);
		return;
	}
	snprintf(path, sizeof(path), "%s/memory.events", dir);
	o->fd = open(path, O_RDONLY | O_CLOEXEC);
	o->events = POLLPRI;
	o->kills = o->fd < 0 ? 0 : kills(o->fd);
}

bool oci_cgroup_oom_happened(struct oci_oom *o)
{
	uint64_t n = 0, before = o->kills;

	if (o->control < 0) {
		o->kills = kills(o->fd);
		return o->kills != before;
	}
	/* The removal of the group raises the counter too. */
	if (read(o->fd, &n, sizeof(n)) != sizeof(n))
		return false;
	return pread(o->control, &(char){0}, 1, 0) == 1;
}

void oci_cgroup_oom_close(struct oci_oom *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->control >= 0)
		close(o->control);
	o->fd = o->control = -1;
}
