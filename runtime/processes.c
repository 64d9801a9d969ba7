/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_processes_json(): what `nacre ps` shows of the processes inside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mm/mm.h"
#include "runtime/kernel.h"
#include "runtime/task/cred.h"
#include "runtime/task/task.h"

#define COMMAND_MAX 160 /* bytes of a command line that are shown */
#define ENTRY_MAX 1280	/* bytes of an entry: six for each of the command's, and the numbers */

struct shown {
	struct process *p;
	struct task *t; /* its first task; NULL: a zombie */
	pid_t ppid;
	unsigned threads;
};

/* Every process, with references; the caller frees the list. */
static struct shown *collect(struct kernel *k, size_t *count)
{
	struct shown *list;
	size_t n = 0;

	pthread_mutex_lock(&k->tasks_lock);
	list_for_each (l, &k->processes)
		n++;
	list = calloc(n ? n : 1, sizeof(*list));
	*count = 0;
	list_for_each (l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);
		struct shown *s = list ? &list[*count] : NULL;

		if (!s)
			break;
		*s = (struct shown){.p = p, .threads = p->ntasks};
		s->ppid = p->parent ? p->parent->pid : 0;
		process_get(p);
		if (!list_empty(&p->tasks)) {
			s->t = list_entry(p->tasks.next, struct task, group_link);
			task_get(s->t);
		}
		++*count;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return list;
}

/* Arguments with blanks between them; what is gone or empty by its name, in brackets. */
static void command_of(const struct shown *s, char out[COMMAND_MAX + 1])
{
	struct mm *mm = s->t ? task_get_mm(s->t) : NULL;
	struct mm_layout lay;
	size_t n = 0;

	if (mm) {
		mm_get_layout(mm, &lay);
		n = lay.arg_end.v > lay.arg_start.v ? lay.arg_end.v - lay.arg_start.v : 0;
		n = mm_copy_in_some(mm, out, lay.arg_start, n < COMMAND_MAX ? n : COMMAND_MAX);
		mm_put(mm);
	}
	while (n && !out[n - 1])
		n--;
	for (size_t i = 0; i < n; i++)
		if (!out[i])
			out[i] = ' ';
	out[n] = '\0';
	if (!n)
		snprintf(out, COMMAND_MAX + 1, "[%.15s]", s->t ? s->t->comm : "defunct");
}

/* A JSON string of bytes a guest chose: what is not plain ASCII becomes an escape of its number. */
static size_t put_string(char *out, const char *s)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
		else
			out[n++] = (char)c;
	}
	out[n++] = '"';
	return n;
}

static size_t put_entry(const struct shown *s, uint64_t now, char out[ENTRY_MAX])
{
	char command[COMMAND_MAX + 1];
	uint64_t user = 0, sys = 0;
	uid_t uid = s->p->owner_uid;
	size_t n;

	if (s->t) {
		struct cred *c = task_get_cred(s->t);

		uid = c->uid;
		cred_put(c);
	}
	process_cpu_times(s->p, &user, &sys);
	command_of(s, command);
	n = (size_t)snprintf(out, ENTRY_MAX,
			    "{\"pid\":%d,\"ppid\":%d,\"uid\":%u,\"threads\":%u,\"ageMs\":%llu,"
			    "\"cpuMs\":%llu,\"command\":",
			    s->p->pid, s->ppid, uid, s->threads,
			    (unsigned long long)(now - s->p->start_ns) / 1000000,
			    (unsigned long long)(user + sys) / 1000000);
	n += put_string(out + n, command);
	out[n++] = '}';
	return n;
}

size_t kernel_processes_json(struct kernel *k, char *buf, size_t cap)
{
	size_t count, len = 0;
	struct shown *list = collect(k, &count);
	char entry[ENTRY_MAX];
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	buf[len++] = '[';
	for (size_t i = 0; i < count; i++) {
		size_t n = put_entry(&list[i], now, entry);

		if (len + n + 3 <= cap) {
			if (len > 1)
				buf[len++] = ',';
			memcpy(buf + len, entry, n);
			len += n;
		}
		if (list[i].t)
			task_put(list[i].t);
		process_put(list[i].p);
	}
	free(list);
	buf[len++] = ']';
	buf[len] = '\0';
	return len;
}
