/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_stats_json(): what `nacre events --stats` shows of the application kernel itself. */
#include <stdarg.h>
#include <stdio.h>

#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define TOP_CALLS 20

/* snprintf rules over many pieces: `len` counts what a large enough buffer would hold. */
struct json {
	char *buf;
	size_t cap, len;
};

static void add(struct json *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct json *j, const char *fmt, ...)
{
	size_t room = j->len < j->cap ? j->cap - j->len : 0;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room ? j->buf + j->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		j->len += (size_t)n;
}

static void add_exits(struct json *j, const struct platform_stats *p)
{
	add(j,
	    "\"exits\":{\"syscall\":%llu,\"fault\":%llu,\"exception\":%llu,\"kick\":%llu,"
	    "\"host\":%llu,\"other\":%llu}",
	    (unsigned long long)p->exits_syscall, (unsigned long long)p->exits_fault,
	    (unsigned long long)p->exits_exception, (unsigned long long)p->exits_kick,
	    (unsigned long long)p->exits_host, (unsigned long long)p->exits_other);
	add(j, ",\"vcpus\":{\"count\":%llu,\"switches\":%llu,\"waits\":%llu}",
	    (unsigned long long)p->vcpus, (unsigned long long)p->vcpu_switches,
	    (unsigned long long)p->vcpu_waits);
}

/* The most frequent calls, by repeated selection: the table is small and this is rare. */
static void add_top_calls(struct json *j, struct kernel *k)
{
	unsigned long long bound = ~0ull;
	unsigned after = 0;

	add(j, "\"top\":[");
	for (int shown = 0; shown < TOP_CALLS; shown++) {
		unsigned long long best = 0;
		unsigned best_nr = SYSCALL_MAX;

		for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
			unsigned long long n = atomic_load(&k->syscalls_by_nr[nr]);

			if (n > best && (n < bound || (n == bound && nr > after))) {
				best = n;
				best_nr = nr;
			}
		}
		if (!best)
			break;
		bound = best;
		after = best_nr;
		add(j, "%s{\"name\":\"%s\",\"nr\":%u,\"count\":%llu}", shown ? "," : "",
		    syscall_lookup(best_nr) ? syscall_lookup(best_nr)->name : "?", best_nr, best);
	}
	add(j, "]");
}

static void add_enosys(struct json *j, struct kernel *k)
{
	const char *sep = "";

	add(j, "\"enosys\":[");
	for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
		unsigned n = atomic_load(&k->enosys_by_nr[nr]);
		const char *name = syscall_name(nr);

		if (!n)
			continue;
		add(j, "%s{\"nr\":%u,\"name\":", sep, nr);
		if (name)
			add(j, "\"%s\"", name);
		else
			add(j, "null");
		add(j, ",\"count\":%u}", n);
		sep = ",";
	}
	add(j, "]");
}

static void add_memory(struct json *j, const struct mm_stats *m)
{
	add(j,
	    "\"frames\":{\"total\":%llu,\"used\":%llu,\"peak\":%llu,\"tables\":%llu,"
	    "\"tables_recycled\":%llu,\"deferred\":%llu}",
	    (unsigned long long)m->frames_total, (unsigned long long)m->frames_used,
	    (unsigned long long)m->frames_peak, (unsigned long long)m->table_pages,
	    (unsigned long long)m->tables_recycled, (unsigned long long)m->deferred_frames);
	add(j,
	    ",\"faults\":{\"total\":%llu,\"file\":%llu,\"anon\":%llu,\"cow\":%llu,"
	    "\"around_pages\":%llu}",
	    (unsigned long long)m->faults, (unsigned long long)m->faults_file,
	    (unsigned long long)m->faults_anon, (unsigned long long)m->faults_cow,
	    (unsigned long long)m->faults_around);
	add(j,
	    ",\"flushes\":{\"none\":%llu,\"range\":%llu,\"space\":%llu,\"broadcast\":%llu,"
	    "\"range_pages\":%llu,\"remote_kicks\":%llu,\"shadow_frames\":%llu,"
	    "\"shadow_drops\":%llu}",
	    (unsigned long long)m->flush_none, (unsigned long long)m->flush_range,
	    (unsigned long long)m->flush_space, (unsigned long long)m->flush_broadcast,
	    (unsigned long long)m->flush_pages, (unsigned long long)m->remote_kicks,
	    (unsigned long long)m->shadow_frames, (unsigned long long)m->shadow_drops);
}

size_t kernel_stats_json(struct kernel *k, char *buf, size_t cap)
{
	struct json j = {.buf = buf, .cap = cap};
	struct platform_stats platform = {0};
	struct mm_stats memory = {0};

	platform_stats(k->platform, &platform);
	mm_system_stats(k->mm_system, &memory);
	add(&j, "{\"backend\":\"%s\",", platform_backend_name(k->platform));
	add_exits(&j, &platform);
	add(&j, ",\"syscalls\":{\"inside\":%llu,\"outside\":%llu,\"enosys_total\":%llu,",
	    (unsigned long long)platform.answered_inside,
	    (unsigned long long)atomic_load(&k->syscalls_outside),
	    (unsigned long long)atomic_load(&k->syscalls_enosys));
	add_enosys(&j, k);
	add(&j, ",");
	add_top_calls(&j, k);
	add(&j, "},");
	add_memory(&j, &memory);
	add(&j, ",\"tasks_created\":%llu,\"signals_sent\":%llu,\"oom_kills\":%llu}",
	    (unsigned long long)atomic_load(&k->tasks_created),
	    (unsigned long long)atomic_load(&k->signals_sent),
	    (unsigned long long)atomic_load(&k->oom_kills));
	return j.len;
}
