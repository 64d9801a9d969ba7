/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc(5), table-driven: a file is a row with the function that prints it. Text is made when a file
 * is read from its start, so that a descriptor kept open and read again shows what is true then.
 */
#ifndef NACRE_RUNTIME_FS_PROC_H
#define NACRE_RUNTIME_FS_PROC_H

#include "runtime/fs/vfs.h"
#include "runtime/task/task.h"

/* Growing text; failed: out of memory, the reader gets ENOMEM. */
struct proc_text {
	char *buf;
	size_t len, cap;
	bool failed;
};
void proc_printf(struct proc_text *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void proc_write(struct proc_text *x, const void *data, size_t len);

/* Whom a file is about. */
struct proc_ctx {
	struct kernel *k;
	struct task *reader; /* who asks; NULL: nobody (stat) */
	struct process *p;   /* NULL for global files; a reference otherwise */
	struct task *task;   /* the thread of /task/TID, else any of p; NULL: a zombie. Reference. */
	bool thread;	     /* below /task/ */
	int fd;
	const char *name; /* of the row */
};

enum proc_dynamic { PROC_STATIC, PROC_PIDS, PROC_TASKS, PROC_FDS, PROC_FDINFOS };

struct proc_row {
	const char *name;
	uint32_t mode; /* with the S_IFMT bits */
	int (*show)(struct proc_ctx *c, struct proc_text *x);
	int (*store)(struct proc_ctx *c, char *buf, size_t len); /* buf is NUL-terminated */
	int64_t (*link)(struct proc_ctx *c, char *buf, size_t cap);
	int (*follow)(struct proc_ctx *c, struct vpath *out);
	int (*open)(struct proc_ctx *c, int flags, struct file **out);
	const struct proc_row *children; /* of a directory, ends with a NULL name */
	enum proc_dynamic dynamic;	 /* what else is in the directory */
	bool private_;			 /* same uid or CAP_SYS_PTRACE only */
	bool magic;			 /* a link one follows, not reads */
};

#define PROC_FILE(n, m, s) {.name = n, .mode = S_IFREG | (m), .show = s}
#define PROC_RW(n, m, s, w) {.name = n, .mode = S_IFREG | (m), .show = s, .store = w}
#define PROC_PRIVATE(n, m, s) {.name = n, .mode = S_IFREG | (m), .show = s, .private_ = true}
#define PROC_DIR(n, c) {.name = n, .mode = S_IFDIR | 0555, .children = c}
#define PROC_LINK(n, l) {.name = n, .mode = S_IFLNK | 0777, .link = l}

extern const struct proc_row proc_root_rows[];	 /* proc_system.c */
extern const struct proc_row proc_sys_rows[];	 /* proc_sys.c */
extern const struct proc_row proc_pid_rows[];	 /* proc_pid.c */
extern const struct proc_row proc_task_rows[];	 /* proc_pid.c */
extern const struct proc_row proc_fd_row, proc_fdinfo_row, proc_tid_row, proc_pid_row;

/* A file descriptor's names and files: proc_fd.c */
int64_t proc_fd_link(struct proc_ctx *c, char *buf, size_t cap);
int proc_fd_follow(struct proc_ctx *c, struct vpath *out);
int proc_fd_open(struct proc_ctx *c, int flags, struct file **out);
int proc_fdinfo_show(struct proc_ctx *c, struct proc_text *x);
/* The open descriptors' next number >= fd, or -1. */
int proc_fd_next(struct proc_ctx *c, int fd);

/* Generators of several files: proc_status.c, proc_maps.c */
int proc_stat_show(struct proc_ctx *c, struct proc_text *x);
int proc_statm_show(struct proc_ctx *c, struct proc_text *x);
int proc_status_show(struct proc_ctx *c, struct proc_text *x);
int proc_maps_show(struct proc_ctx *c, struct proc_text *x);
int proc_smaps_show(struct proc_ctx *c, struct proc_text *x);
int proc_smaps_rollup_show(struct proc_ctx *c, struct proc_text *x);
int proc_mounts_show(struct proc_ctx *c, struct proc_text *x);
int proc_mountinfo_show(struct proc_ctx *c, struct proc_text *x);
int proc_mountstats_show(struct proc_ctx *c, struct proc_text *x);
int proc_mem_open(struct proc_ctx *c, int flags, struct file **out);
/* R, S, T, Z. */
char proc_state(struct proc_ctx *c);
/* The host's file below /proc, read whole, as it is. 0 or -errno. */
int proc_pass_through(struct kernel *k, const char *path, struct proc_text *x);
/* What uname(2) says, copied under its lock. */
struct proc_uts {
	const char *release, *version;
	char nodename[65], domainname[65];
};
void proc_uts(struct kernel *k, struct proc_uts *out);

#endif
