/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nacre-systemd VERB UNIT [NAME=TYPE:VALUE...]: asks systemd for a container's scope
 * (org.freedesktop.systemd1(5)). Verbs start, set, stop, and group, which prints the manager's own; types s, b, t, au (one) and ay (hexadecimal).
 * Ends with 0 when the job is done, else with one line on standard error.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define MANAGER SERVICE ".Manager"
#define JOB_SECONDS 60

struct job {
	char *path;   /* of the job that is waited for */
	char *result; /* once it is removed */
};

static int fail(const char *what, int r, const sd_bus_error *e)
{
	fprintf(stderr, "%s: %s\n", what, e && e->message ? e->message : strerror(-r));
	return 1;
}

static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *e)
{
	const char *path, *unit, *result;
	struct job *job = arg;
	uint32_t id;

	(void)e;
	if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 || !job->path ||
	    strcmp(path, job->path) != 0 || job->result)
		return 0;
	job->result = strdup(result);
	return 0;
}

static int append_bytes(sd_bus_message *m, const char *hex)
{
	unsigned char bytes[64];
	size_t n = strlen(hex) / 2;

	if (n > sizeof(bytes))
		return -E2BIG;
	for (size_t i = 0; i < n; i++) {
		const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return sd_bus_message_append_array(m, 'y', bytes, n);
}

static int append_value(sd_bus_message *m, const char *type, const char *value)
{
	int r = sd_bus_message_open_container(m, 'v', type);

	if (r < 0)
		return r;
	if (!strcmp(type, "s"))
		r = sd_bus_message_append(m, "s", value);
	else if (!strcmp(type, "b"))
		r = sd_bus_message_append(m, "b", !strcmp(value, "true"));
	else if (!strcmp(type, "t"))
		r = sd_bus_message_append(m, "t", (uint64_t)strtoull(value, NULL, 10));
	else if (!strcmp(type, "au"))
		r = sd_bus_message_append(m, "au", 1, (uint32_t)strtoul(value, NULL, 10));
	else if (!strcmp(type, "ay"))
		r = append_bytes(m, value);
	else
		r = -EINVAL;
	return r < 0 ? r : sd_bus_message_close_container(m);
}

/* NAME=TYPE:VALUE... as a(sv). */
static int append_properties(sd_bus_message *m, char **words)
{
	int r = sd_bus_message_open_container(m, 'a', "(sv)");

	for (; *words && r >= 0; words++) {
		char *type = strchr(*words, '='), *value = type ? strchr(type, ':') : NULL;

		if (!value)
			return -EINVAL;
		*type++ = *value++ = '\0';
		if ((r = sd_bus_message_open_container(m, 'r', "sv")) < 0 ||
		    (r = sd_bus_message_append(m, "s", *words)) < 0 ||
		    (r = append_value(m, type, value)) < 0)
			return r;
		r = sd_bus_message_close_container(m);
		type[-1] = '=';
		value[-1] = ':';
	}
	return r < 0 ? r : sd_bus_message_close_container(m);
}

static int wait_job(sd_bus *bus, const char *unit, sd_bus_message *reply, struct job *job)
{
	time_t end = time(NULL) + JOB_SECONDS;
	const char *path;
	int r = sd_bus_message_read(reply, "o", &path);

	if (r < 0)
		return fail(unit, r, NULL);
	job->path = strdup(path);
	if (!job->path)
		return fail(unit, -ENOMEM, NULL);
	while (!job->result) {
		r = sd_bus_process(bus, NULL);
		if (r < 0)
			return fail(unit, r, NULL);
		if (r)
			continue;
		if (time(NULL) > end)
			return fail(unit, -ETIMEDOUT, NULL);
		sd_bus_wait(bus, 1000000);
	}
	if (!strcmp(job->result, "done"))
		return 0;
	fprintf(stderr, "%s: its job ended with \"%s\"\n", unit, job->result);
	return 1;
}

static void reset_failed(sd_bus *bus, const char *unit)
{
	/* Only a unit that failed has something to forget. */
	sd_bus_call_method(bus, SERVICE, PATH, MANAGER, "ResetFailedUnit", NULL, NULL, "s", unit);
}

static int call_start(sd_bus *bus, const char *unit, char **words, sd_bus_message **reply,
		      sd_bus_error *e)
{
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SERVICE, PATH, MANAGER,
					       "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(m, "ss", unit, "replace");
	if (r >= 0)
		r = append_properties(m, words);
	if (r >= 0)
		r = sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = sd_bus_call(bus, m, 0, e, reply);
	sd_bus_message_unref(m);
	return r;
}

static int start(sd_bus *bus, const char *unit, char **words, struct job *job)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int r = call_start(bus, unit, words, &reply, &e);

	/* One of the name that failed before may still be there. */
	if (sd_bus_error_has_name(&e, SERVICE ".UnitExists")) {
		sd_bus_error_free(&e);
		reset_failed(bus, unit);
		r = call_start(bus, unit, words, &reply, &e);
	}
	r = r < 0 ? fail("StartTransientUnit", r, &e) : wait_job(bus, unit, reply, job);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&e);
	return r;
}

static int stop(sd_bus *bus, const char *unit, char **words, struct job *job)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	int r = sd_bus_call_method(bus, SERVICE, PATH, MANAGER, "StopUnit", &e, &reply, "ss", unit,
				   "replace");

	(void)words;
	if (sd_bus_error_has_name(&e, SERVICE ".NoSuchUnit"))
		r = 0;
	else if (r < 0)
		r = fail("StopUnit", r, &e);
	else
		r = wait_job(bus, unit, reply, job);
	if (!r)
		reset_failed(bus, unit);
	sd_bus_message_unref(reply);
	sd_bus_error_free(&e);
	return r;
}

static int set(sd_bus *bus, const char *unit, char **words, struct job *job)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = sd_bus_message_new_method_call(bus, &m, SERVICE, PATH, MANAGER,
					       "SetUnitProperties");

	(void)job;
	/* Until the unit ends, not in files. */
	if (r >= 0)
		r = sd_bus_message_append(m, "sb", unit, 1);
	if (r >= 0)
		r = append_properties(m, words);
	if (r >= 0)
		r = sd_bus_call(bus, m, 0, &e, NULL);
	r = r < 0 ? fail("SetUnitProperties", r, &e) : 0;
	sd_bus_message_unref(m);
	sd_bus_error_free(&e);
	return r;
}

static int group(sd_bus *bus, const char *unit, char **words, struct job *job)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	char *path = NULL;
	int r = sd_bus_get_property_string(bus, SERVICE, PATH, MANAGER, "ControlGroup", &e, &path);

	(void)unit;
	(void)words;
	(void)job;
	r = r < 0 ? fail("ControlGroup", r, &e) : 0;
	if (!r)
		puts(path);
	free(path);
	sd_bus_error_free(&e);
	return r;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(sd_bus *, const char *, char **, struct job *);
	} verbs[] = {{"start", start}, {"set", set}, {"stop", stop}, {"group", group}};
	struct job job = {0};
	sd_bus *bus = NULL;
	int r;

	if (argc < 3) {
		fputs("usage: nacre-systemd start|set|stop|group UNIT [NAME=TYPE:VALUE...]\n",
		      stderr);
		return 1;
	}
	r = geteuid() ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
	if (r < 0)
		return fail("cannot connect to the bus", r, NULL);
	r = sd_bus_match_signal(bus, NULL, SERVICE, PATH, MANAGER, "JobRemoved", on_removed, &job);
	if (r >= 0)
		r = sd_bus_call_method(bus, SERVICE, PATH, MANAGER, "Subscribe", NULL, NULL, NULL);
	if (r < 0) {
		r = fail("cannot watch systemd's jobs", r, NULL);
	} else {
		r = 1;
		for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			if (!strcmp(argv[1], verbs[i].name))
				r = verbs[i].run(bus, argv[2], argv + 3, &job);
	}
	free(job.path);
	free(job.result);
	sd_bus_flush_close_unref(bus);
	return r;
}
