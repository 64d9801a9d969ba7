/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/cli.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"
#include "oci/rootless.h"

static int find_option(const struct cli_option *o, const char *name, size_t len)
{
	if (!o)
		return -1;
	for (int i = 0; o[i].name; i++)
		if ((strlen(o[i].name) == len && !strncmp(o[i].name, name, len)) ||
		    (o[i].alias && len == 1 && o[i].alias[0] == name[0]))
			return i;
	return -1;
}

static bool is_true(const char *s)
{
	static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i], s))
			return true;
	return false;
}

static bool is_false(const char *s)
{
	static const char *const words[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(words[i], s))
			return true;
	return false;
}

static bool parse_number(const char *s, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(s, &end, 0);
	return !errno && !*end && end != s;
}

/* A Go duration: numbers, each with its unit, in a row; "0" needs none. */
static bool parse_duration(const char *s, int64_t *out)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 6e10}, {"h", 3.6e12}};
	double total = 0, sign = *s == '-' ? -1 : 1;

	s += *s == '-' || *s == '+';
	*out = 0;
	if (!strcmp(s, "0"))
		return true;
	do {
		size_t digits = strspn(s, "0123456789."), name, k = 0;
		double n = strtod(s, NULL);

		s += digits;
		name = strcspn(s, "0123456789.");
		while (k < sizeof(units) / sizeof(units[0]) &&
		       (strlen(units[k].name) != name || strncmp(units[k].name, s, name) != 0))
			k++;
		if (!digits || k == sizeof(units) / sizeof(units[0]))
			return false;
		total += n * units[k].ns;
		s += name;
	} while (*s);
	*out = (int64_t)(sign * total);
	return total < 9e18;
}

static int check_value(const struct cli_option *o, const char *name, const char *value,
		       struct oci_error *err)
{
	int64_t n;
	bool good = true;

	switch (o->kind) {
	case CLI_BOOL:
		if (is_true(value) || is_false(value))
			return 0;
		return oci_fail(err, EINVAL, "invalid boolean value \"%s\" for -%s: parse error",
				value, name);
	case CLI_INT:
		good = parse_number(value, &n) && n >= 0 && n <= INT32_MAX;
		break;
	case CLI_NUMBER:
	case CLI_INT_LIST:
		good = parse_number(value, &n);
		break;
	case CLI_DURATION:
		good = parse_duration(value, &n);
		break;
	case CLI_STRING:
	case CLI_LIST:
	case CLI_OPTIONAL:
		break;
	}
	return good ? 0
		    : oci_fail(err, EINVAL, "invalid value \"%s\" for flag -%s: parse error", value,
			       name);
}

static int append(const char ***list, const char *value)
{
	size_t n = 0;
	const char **more;

	while (*list && (*list)[n])
		n++;
	more = realloc(*list, (n + 2) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	more[n] = value;
	more[n + 1] = NULL;
	*list = more;
	return 0;
}

/* One flag at argv[*i]. */
static int parse_flag(const struct cli_option *options, int argc, char **argv, int *i,
		      struct cli_values *v, const char **lists[], struct oci_error *err)
{
	const char *name = argv[*i] + 1 + (argv[*i][1] == '-'), *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	int k = find_option(options, name, len);
	const char *value = eq ? eq + 1 : NULL;
	char shown[128];
	int r;

	snprintf(shown, sizeof(shown), "%.*s", (int)len, name);
	if (!len || name[0] == '-')
		return oci_fail(err, EINVAL, "bad flag syntax: %s", argv[*i]);
	if (k < 0)
		return oci_fail(err, EINVAL, "flag provided but not defined: -%s", shown);
	if (!value && options[k].kind == CLI_BOOL)
		value = "true";
	if (!value && options[k].kind == CLI_OPTIONAL)
		value = "";
	if (!value && *i + 1 >= argc)
		return oci_fail(err, EINVAL, "flag needs an argument: -%s", shown);
	if (!value)
		value = argv[++*i];
	r = check_value(&options[k], shown, value, err);
	if (r)
		return r;
	v->value[k] = value;
	v->set[k] = true;
	if ((options[k].kind == CLI_LIST || options[k].kind == CLI_INT_LIST) &&
	    append(&lists[k], value))
		return oci_fail_errno(err, ENOMEM, "-%s", shown);
	return 0;
}

int cli_parse(const struct cli_option *options, int argc, char **argv, bool stop_at_argument,
	      struct cli_values *v, const char **lists[], char **rest, int *nrest,
	      struct oci_error *err)
{
	bool flags = true;

	*nrest = 0;
	for (int k = 0; options && options[k].name; k++)
		v->value[k] = options[k].initial;
	for (int i = 0; i < argc; i++) {
		int r;

		if (flags && !strcmp(argv[i], "--")) {
			flags = false;
			continue;
		}
		if (!flags || argv[i][0] != '-' || !argv[i][1]) {
			rest[(*nrest)++] = argv[i];
			flags = flags && !stop_at_argument;
			continue;
		}
		r = parse_flag(options, argc, argv, &i, v, lists, err);
		if (r)
			return r;
	}
	return 0;
}

static int option_index(const struct cli *c, const char *name)
{
	return find_option(c->command->options, name, strlen(name));
}

const char *cli_string(const struct cli *c, const char *name)
{
	int k = option_index(c, name);

	return k < 0 ? NULL : c->values.value[k];
}

bool cli_bool(const struct cli *c, const char *name)
{
	const char *s = cli_string(c, name);

	return s && is_true(s);
}

int cli_int(const struct cli *c, const char *name)
{
	const char *s = cli_string(c, name);

	return s ? (int)strtol(s, NULL, 0) : 0;
}

int64_t cli_number(const struct cli *c, const char *name)
{
	const char *s = cli_string(c, name);
	int64_t n = 0;

	return s && parse_number(s, &n) ? n : 0;
}

int64_t cli_duration(const struct cli *c, const char *name)
{
	const char *s = cli_string(c, name);
	int64_t n = 0;

	return s && parse_duration(s, &n) ? n : 0;
}

const char *const *cli_list(const struct cli *c, const char *name)
{
	static const char *const none[] = {NULL};
	int k = option_index(c, name);

	return k < 0 || !c->lists[k] ? none : (const char *const *)c->lists[k];
}

static const char *global_string(const struct cli_values *v, const char *name)
{
	int k = find_option(cli_global_options, name, strlen(name));

	return v->value[k];
}

static int parse_tlb(const char *mode, enum kernel_tlb *out, struct oci_error *err)
{
	static const char *const names[] = {
		[KERNEL_TLB_SELECTIVE] = "selective",
		[KERNEL_TLB_BROADCAST] = "broadcast",
		[KERNEL_TLB_PARANOID] = "paranoid",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(mode, names[i]))
			continue;
		*out = (enum kernel_tlb)i;
		return 0;
	}
	return oci_fail(err, EINVAL,
			"invalid --tlb value: %s (selective, broadcast and paranoid are known)",
			mode);
}

static int apply_globals(const struct cli_values *v, struct oci_global *g, struct oci_error *err)
{
	const char *format = global_string(v, "log-format"), *log = global_string(v, "log");
	const char *root = global_string(v, "root"), *vcpus = global_string(v, "vcpus");
	const char *tlb = global_string(v, "tlb"), *rootless = global_string(v, "rootless");
	const char *debug = global_string(v, "debug"),
		   *systemd = global_string(v, "systemd-cgroup");
	bool json = !strcmp(format, "json");
	int r = log_open(log, json, debug && is_true(debug));

	if (r)
		return oci_fail_errno(err, -r, "open %s", log);
	if (!json && strcmp(format, "text"))
		return oci_fail(err, EINVAL, "invalid log-format: %s", format);
	if (strcmp(rootless, "auto") && !is_true(rootless) && !is_false(rootless))
		return oci_fail(err, EINVAL, "invalid --rootless value: %s", rootless);
	g->rootless = strcmp(rootless, "auto") ? is_true(rootless) : rootless_by_default();
	g->root = root ? root : rootless_state_root();
	if (g->root[0] != '/') {
		cleanup_free char *cwd = getcwd(NULL, 0);
		char *abs = NULL;

		if (!cwd || asprintf(&abs, "%s/%s", cwd, g->root) < 0)
			return oci_fail_errno(err, errno, "--root %s", g->root);
		g->root = abs;
	}
	g->backend = global_string(v, "backend");
	g->strace = global_string(v, "strace");
	g->stats_file = global_string(v, "stats-file");
	g->max_vcpus = vcpus ? (unsigned)strtoul(vcpus, NULL, 0) : 0;
	g->debug = debug && is_true(debug);
	g->systemd_cgroup = systemd && is_true(systemd);
	return parse_tlb(tlb, &g->tlb, err);
}

static int check_count(const struct cli_command *c, int n, struct oci_error *err)
{
	if (c->min_args == c->max_args && n != c->min_args)
		return oci_fail(err, EINVAL, "nacre: \"%s\" requires exactly %d argument(s)",
				c->name, c->min_args);
	if (n < c->min_args)
		return oci_fail(err, EINVAL, "nacre: \"%s\" requires a minimum of %d argument(s)",
				c->name, c->min_args);
	if (c->max_args >= 0 && n > c->max_args)
		return oci_fail(err, EINVAL, "nacre: \"%s\" requires a maximum of %d argument(s)",
				c->name, c->max_args);
	return 0;
}

static bool wants_help(int argc, char **argv, bool stop)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help") ||
		    !strcmp(argv[i], "-help"))
			return true;
		if (stop && argv[i][0] != '-')
			return false;
	}
	return false;
}

/* --name or --name=value before "--". */
static bool names_option(int argc, char **argv, const char *name)
{
	size_t n = name ? strlen(name) : 0;

	for (int i = 0; name && i < argc && strcmp(argv[i], "--"); i++)
		if (!strncmp(argv[i], "--", 2) && !strncmp(argv[i] + 2, name, n) &&
		    (!argv[i][n + 2] || argv[i][n + 2] == '='))
			return true;
	return false;
}

static int run_command(struct cli *cli, int argc, char **argv, struct oci_error *err)
{
	const struct cli_command *c = cli->command;
	bool stop = c->stop_at_argument || names_option(argc, argv, c->program_option);
	int status = 0;

	if (wants_help(argc, argv, stop)) {
		cli_print_command_help(c);
		return 0;
	}
	cli->args = calloc((size_t)argc + 1, sizeof(*cli->args));
	if (!cli->args)
		return 1;
	if (cli_parse(c->options, argc, argv, stop, &cli->values, cli->lists, cli->args,
		      &cli->nargs, err)) {
		printf("Incorrect Usage: %s\n\n", err->msg);
		cli_print_command_help(c);
		fflush(stdout);
		log_fatal(err->msg);
		return 1;
	}
	if (!(c->program_option && cli_string(cli, c->program_option)) &&
	    check_count(c, cli->nargs, err)) {
		printf("Incorrect Usage.\n\n");
		cli_print_command_help(c);
		fflush(stdout);
		log_fatal(err->msg);
		return 1;
	}
	if (c->run(cli, &status, err)) {
		oci_fail_prefix(err, "%s", c->prefix ? c->prefix : "");
		fflush(stdout);
		log_fatal(err->msg);
		return c->failure ? c->failure : 1;
	}
	return status;
}

static const struct cli_command *find_command(const char *name)
{
	for (int i = 0; cli_commands[i]; i++)
		if (!strcmp(cli_commands[i]->name, name))
			return cli_commands[i];
	return NULL;
}

static int no_command(const char *name)
{
	char msg[300];

	snprintf(msg, sizeof(msg), "No help topic for '%s'", name);
	log_fatal(msg);
	return 3;
}

static int help(int argc, char **argv)
{
	const struct cli_command *c;

	if (!argc) {
		cli_print_help();
		return 0;
	}
	c = find_command(argv[0]);
	if (!c)
		return no_command(argv[0]);
	cli_print_command_help(c);
	return 0;
}

/* rest: room for every argument. */
static int dispatch(struct cli *cli, int argc, char **argv, char **rest)
{
	struct cli_values global = {0};
	const char **lists[CLI_MAX_OPTIONS] = {0};
	struct oci_error err = {0};
	int n, first = 1;

	/* Global flags end at the command's name. */
	while (first < argc && argv[first][0] == '-' && strcmp(argv[first], "--")) {
		int k = find_option(cli_global_options, argv[first] + 1 + (argv[first][1] == '-'),
				    strlen(argv[first] + 1 + (argv[first][1] == '-')));
		enum cli_kind kind = k < 0 ? CLI_BOOL : cli_global_options[k].kind;

		first += kind == CLI_BOOL || kind == CLI_OPTIONAL ? 1 : 2;
	}
	if (first > argc)
		first = argc;
	if (cli_parse(cli_global_options, first - 1, argv + 1, false, &global, lists, rest, &n,
		      &err)) {
		printf("Incorrect Usage. %s\n\n", err.msg);
		cli_print_help();
		fflush(stdout);
		log_fatal(err.msg);
		return 1;
	}
	if (global_string(&global, "version")) {
		cli_print_version();
		return 0;
	}
	if (first < argc && !strcmp(argv[first], "--"))
		first++;
	if (global_string(&global, "help") || first >= argc)
		return help(0, NULL);
	if (apply_globals(&global, &cli->global, &err)) {
		log_fatal(err.msg);
		return 1;
	}
	if (!strcmp(argv[first], "help") || !strcmp(argv[first], "h"))
		return help(argc - first - 1, argv + first + 1);
	cli->command = find_command(argv[first]);
	if (!cli->command)
		return no_command(argv[first]);
	return run_command(cli, argc - first - 1, argv + first + 1, &err);
}

int cli_main(int argc, char **argv)
{
	struct cli cli = {0};
	char **rest = calloc((size_t)argc + 1, sizeof(*rest));
	int status = rest ? dispatch(&cli, argc, argv, rest) : 1;

	for (int k = 0; k < CLI_MAX_OPTIONS; k++)
		free(cli.lists[k]);
	free(rest);
	free(cli.args);
	return status;
}
