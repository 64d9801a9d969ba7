# SPDX-License-Identifier: Apache-2.0
dist_man1_MANS += man/nacre.1 \
	man/nacre-checkpoint.1 \
	man/nacre-create.1 \
	man/nacre-delete.1 \
	man/nacre-events.1 \
	man/nacre-exec.1 \
	man/nacre-features.1 \
	man/nacre-images.1 \
	man/nacre-kill.1 \
	man/nacre-list.1 \
	man/nacre-pause.1 \
	man/nacre-ps.1 \
	man/nacre-restore.1 \
	man/nacre-pull.1 \
	man/nacre-resume.1 \
	man/nacre-run.1 \
	man/nacre-spec.1 \
	man/nacre-start.1 \
	man/nacre-state.1 \
	man/nacre-unpack.1 \
	man/nacre-update.1
dist_man5_MANS += man/nacre-config.5
dist_man7_MANS += man/nacre-backend.7 man/nacre-rootless.7 man/nacre-security.7 man/nacre-shim.7
