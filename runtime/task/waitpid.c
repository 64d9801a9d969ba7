/* SPDX-License-Identifier: Apache-2.0 */
/* wait4(2) and waitid(2). */
#include <fcntl.h>
#include <sys/wait.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/loop.h"
#include "runtime/task/pidfd.h"
#include "runtime/task/usage.h"

#define WAIT_NOTHREAD 0x20000000u /* __WNOTHREAD */
#define WAIT_ALL 0x40000000u	  /* __WALL */
#define WAIT_CLONE 0x80000000u	  /* __WCLONE */
#define WAIT_P_PIDFD 3

struct wait_request {
	int idtype;
	pid_t id;
	struct process *process; /* P_PIDFD */
	uint32_t options;
};

struct wait_result {
	pid_t pid; /* 0: none yet */
	uid_t uid;
	int status, code; /* wait(2) status; CLD_* */
	int value;	  /* si_status */
	struct rusage usage;
};

static bool wait_matches(struct task *t, const struct wait_request *r, struct process *c)
{
	switch (r->idtype) {
	case P_PID:
		if (c->pid != r->id)
			return false;
		break;
	case P_PGID:
		if (c->pgid != r->id)
			return false;
		break;
	case WAIT_P_PIDFD:
		if (c != r->process)
			return false;
		break;
	}
	if (r->options & WAIT_NOTHREAD && c->parent_tid != t->tid)
		return false;
	/* a "clone" child is one that does not report by SIGCHLD */
	if (!(r->options & WAIT_ALL) && (c->exit_signal != SIGCHLD) != !!(r->options & WAIT_CLONE))
		return false;
	return true;
}

static void wait_take_zombie_locked(struct task *t, const struct wait_request *r, struct process *c,
				    struct wait_result *out)
{
	int status = c->exit_status;

	out->pid = c->pid;
	out->uid = c->owner_uid;
	out->status = status;
	if (WIFSIGNALED(status)) {
		out->code = WCOREDUMP(status) ? CLD_DUMPED : CLD_KILLED;
		out->value = WTERMSIG(status);
	} else {
		out->code = CLD_EXITED;
		out->value = WEXITSTATUS(status);
	}
	process_total_usage_locked(c, &out->usage);
	if (r->options & WNOWAIT)
		return;
	process_fold_usage_locked(t->process, c);
	process_reap_locked(c);
}

static uid_t process_uid(struct process *c)
{
	struct task *any = process_any_task(c);
	struct cred *cred;
	uid_t uid;

	if (!any)
		return c->owner_uid;
	cred = task_get_cred(any);
	uid = cred->uid;
	cred_put(cred);
	task_put(any);
	return uid;
}

/* Stopped or continued and not reported yet? */
static bool wait_take_stop_locked(const struct wait_request *r, struct process *c,
				  struct wait_result *out)
{
	bool keep = r->options & WNOWAIT, found = false;

	pthread_mutex_lock(&c->sig_lock);
	if (r->options & WUNTRACED && c->stopped && !c->stop_reported) {
		found = true;
		out->code = CLD_STOPPED;
		out->value = c->stop_signal;
		out->status = c->stop_signal << 8 | 0x7f;
		c->stop_reported = !keep;
	} else if (r->options & WCONTINUED && c->continued_unreported) {
		found = true;
		out->code = CLD_CONTINUED;
		out->value = SIGCONT;
		out->status = 0xffff;
		c->continued_unreported = keep;
	}
	pthread_mutex_unlock(&c->sig_lock);
	if (!found)
		return false;
	out->pid = c->pid;
	out->uid = process_uid(c);
	process_total_usage_locked(c, &out->usage);
	return true;
}

/* 1: *out filled; 0: children but none ready; -ECHILD. */
static int wait_scan(struct task *t, const struct wait_request *r, struct wait_result *out)
{
	int ret = -ECHILD;

	pthread_mutex_lock(&t->kernel->tasks_lock);
	list_for_each(l, &t->process->children) {
		struct process *c = list_entry(l, struct process, sibling);

		if (!wait_matches(t, r, c))
			continue;
		ret = 0;
		if (c->zombie) {
			if (!(r->options & WEXITED))
				continue;
			wait_take_zombie_locked(t, r, c, out);
			ret = 1;
			break;
		}
		if (wait_take_stop_locked(r, c, out)) {
			ret = 1;
			break;
		}
	}
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	return ret;
}

static int do_wait(struct task *t, const struct wait_request *r, struct wait_result *out)
{
	struct waiter w;
	int ret;

	out->pid = 0;
	ret = wait_scan(t, r, out);
	if (ret != 0 || r->options & WNOHANG)
		return ret < 0 ? ret : 0;
	waiter_init(&w, t);
	waitq_add(&t->process->child_wait, &w, 0);
	for (;;) {
		task_prepare_park(t);
		ret = wait_scan(t, r, out);
		if (ret != 0)
			break;
		ret = task_park(t, DEADLINE_NONE, NULL, 0);
		if (ret) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	waitq_remove(&w);
	return ret < 0 ? ret : 0;
}

int64_t sys_wait4(struct task *t, const uint64_t a[6])
{
	pid_t pid = (pid_t)a[0];
	uint32_t options = (uint32_t)a[2];
	struct wait_request r = {.options = options | WEXITED};
	struct wait_result res;
	int32_t status;
	int err;

	if (options & ~(uint32_t)(WNOHANG | WUNTRACED | WCONTINUED | WAIT_NOTHREAD | WAIT_ALL |
				  WAIT_CLONE))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid > 0) {
		r.idtype = P_PID;
		r.id = pid;
	} else if (pid == -1) {
		r.idtype = P_ALL;
	} else {
		r.idtype = P_PGID;
		r.id = pid ? -pid : t->process->pgid;
	}
	err = do_wait(t, &r, &res);
	if (err)
		return err;
	if (!res.pid)
		return 0;
	status = res.status;
	if (a[1] && mm_copy_out(t->mm, GVA(a[1]), &status, sizeof(status)))
		return -EFAULT;
	if (a[3] && rusage_copy_out(t, a[3], &res.usage))
		return -EFAULT;
	return res.pid;
}

static int waitid_target(struct task *t, struct wait_request *r, struct file **pidfd)
{
	switch (r->idtype) {
	case P_ALL:
		return 0;
	case P_PID:
		return r->id > 0 ? 0 : -EINVAL;
	case P_PGID:
		if (r->id < 0)
			return -EINVAL;
		if (!r->id)
			r->id = t->process->pgid;
		return 0;
	case WAIT_P_PIDFD:
		if (r->id < 0)
			return -EINVAL;
		*pidfd = fd_get(t, r->id);
		if (!*pidfd)
			return -EBADF;
		r->process = pidfd_process(*pidfd);
		if (!r->process)
			return -EBADF;
		return 0;
	default:
		return -EINVAL;
	}
}

static int waitid_report(struct task *t, uint64_t info, const struct wait_result *res)
{
	/* the head of siginfo_t: signo, errno, code, padding, then the SIGCHLD fields */
	struct {
		int32_t signo, error, code, pad, pid;
		uint32_t uid;
		int32_t status;
	} out = {0};

	if (!info)
		return 0;
	if (res->pid) {
		out.signo = SIGCHLD;
		out.code = res->code;
		out.pid = res->pid;
		out.uid = res->uid;
		out.status = res->value;
	}
	return mm_copy_out(t->mm, GVA(info), &out, sizeof(out));
}

int64_t sys_waitid(struct task *t, const uint64_t a[6])
{
	struct wait_request r = {
		.idtype = (int)a[0],
		.id = (pid_t)a[1],
		.options = (uint32_t)a[3],
	};
	struct wait_result res = {0};
	struct file *pidfd = NULL;
	int err;

	if (r.options & ~(uint32_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED |
				    WAIT_NOTHREAD | WAIT_ALL | WAIT_CLONE))
		return -EINVAL;
	if (!(r.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	err = waitid_target(t, &r, &pidfd);
	if (!err && pidfd && atomic_load(&pidfd->flags) & O_NONBLOCK)
		r.options |= WNOHANG;
	if (!err)
		err = do_wait(t, &r, &res);
	/* a non-blocking pidfd says EAGAIN where WNOHANG says 0 */
	if (!err && !res.pid && pidfd && !((uint32_t)a[3] & WNOHANG))
		err = -EAGAIN;
	if (pidfd)
		file_put(pidfd);
	if (!err && res.pid && a[4])
		err = rusage_copy_out(t, a[4], &res.usage);
	if (!err)
		err = waitid_report(t, a[2], &res);
	return err;
}
