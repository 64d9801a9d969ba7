# SPDX-License-Identifier: Apache-2.0
nacre_SOURCES += oci/main.c

libnacre_a_SOURCES += \
	oci/apply.c \
	oci/apply.h \
	oci/buf.c \
	oci/buf.h \
	oci/caps.c \
	oci/caps.h \
	oci/cgroup.c \
	oci/cgroup.h \
	oci/cgroup_limits.c \
	oci/cgroup_oom.c \
	oci/cgroup_settings.c \
	oci/cgroup_settings.h \
	oci/cgroup_stats.c \
	oci/cgroup_stats_io.c \
	oci/cgroup_stats.h \
	oci/cgroup_sub.c \
	oci/cleanup.h \
	oci/cli.c \
	oci/cli.h \
	oci/cli_help.c \
	oci/cmd_checkpoint.c \
	oci/cmd_create.c \
	oci/cmd_delete.c \
	oci/cmd_events.c \
	oci/cmd_exec.c \
	oci/cmd_features.c \
	oci/cmd_kill.c \
	oci/cmd_list.c \
	oci/cmd_pause.c \
	oci/cmd_ps.c \
	oci/cmd_resume.c \
	oci/cmd_run.c \
	oci/cmd_spec.c \
	oci/cmd_start.c \
	oci/cmd_state.c \
	oci/cmd_update.c \
	oci/commands.h \
	oci/spec.h \
	oci/config.c \
	oci/config.h \
	oci/config_linux.c \
	oci/config_machine.c \
	oci/config_process.c \
	oci/config_resources.c \
	oci/config_sched.c \
	oci/config_settings.c \
	oci/config_settings.h \
	oci/console.c \
	oci/console.h \
	oci/container.c \
	oci/control.c \
	oci/control.h \
	oci/create.c \
	oci/create.h \
	oci/error.c \
	oci/error.h \
	oci/exec.c \
	oci/exec.h \
	oci/foreground.c \
	oci/foreground.h \
	oci/hooks.c \
	oci/hooks.h \
	oci/idmap.c \
	oci/idmap.h \
	oci/json.c \
	oci/json.h \
	oci/lsm.c \
	oci/lsm.h \
	oci/log.c \
	oci/log.h \
	oci/mountopt.c \
	oci/mountopt.h \
	oci/process_json.c \
	oci/rootfs.c \
	oci/rootfs.h \
	oci/rootfs_copy.c \
	oci/rootfs_host.c \
	oci/rootless.c \
	oci/rootless.h \
	oci/sandbox.c \
	oci/sandbox.h \
	oci/sandbox_exec.c \
	oci/sandbox_exec.h \
	oci/sandbox_hooks.c \
	oci/sandbox_loop.c \
	oci/seccomp.c \
	oci/seccomp.h \
	oci/signals.c \
	oci/signals.h \
	oci/state.c \
	oci/state.h \
	oci/state_dir.c \
	oci/systemd.c \
	oci/systemd.h \
	oci/text.c \
	oci/text.h \
	oci/userns.c \
	oci/userns.h \
	oci/walls.c \
	oci/walls.h \
	oci/walls_filter.c \
	oci/walls_filter.h \
	oci/walls_landlock.c \
	oci/walls_process.c

# The helper that asks systemd for scopes, with libsystemd.
if HAVE_SYSTEMD
helperexecdir = $(pkglibexecdir)
helperexec_PROGRAMS = nacre-systemd
nacre_systemd_SOURCES = oci/systemd_main.c
nacre_systemd_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
nacre_systemd_LDADD = $(SYSTEMD_LIBS)
endif
