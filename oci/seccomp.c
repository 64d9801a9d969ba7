/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/json.h"
#include "oci/log.h"

#define FILE_NAME "config.json"
#define ROOT "linux.seccomp"
#define RULES_MAX 65536u
#define ARGS_MAX 6u /* of a system call; a rule may name one several times */
#define ERRNO_NONE UINT64_MAX

struct profile {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	int newest; /* highest number a rule names */
	struct json_in in;
};

static int fail_libseccomp(struct profile *p, int r, const char *what)
{
	return oci_fail(p->in.err, -r, FILE_NAME ": " ROOT ": %s: %s", what, strerror(-r));
}

/* ---- words ---- */

static const struct {
	const char *name;
	uint32_t action;
	bool takes_errno;
} actions[] = {
	{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD, false},
	{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
	{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
	{"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false},
	{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true},
	{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true},
	{"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
	{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
};

static const struct {
	const char *name;
	enum scmp_compare op;
} ops[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE},
	{"SCMP_CMP_LT", SCMP_CMP_LT},
	{"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ},
	{"SCMP_CMP_GE", SCMP_CMP_GE},
	{"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const char *const arch_names[] = {"X86",	    "X86_64",	"X32",	       "ARM",
					 "AARCH64", "MIPS",	"MIPS64",      "MIPS64N32",
					 "MIPSEL",  "MIPSEL64", "MIPSEL64N32", "PPC",
					 "PPC64",   "PPC64LE",	"S390",	       "S390X",
					 "PARISC",  "PARISC64", "RISCV64",     "LOONGARCH64"};

static const char *const flag_names[] = {
	"SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_TSYNC",
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
};

/* SCMP_ACT_NAME, with the errno of those that take one; without errnoRet it is EPERM. */
static int parse_action(struct profile *p, const char *path, const char *name, uint64_t errno_ret,
			uint32_t *out)
{
	if (!strcmp(name, "SCMP_ACT_NOTIFY"))
		return oci_fail(p->in.err, ENOTSUP,
				FILE_NAME
				": %s: SCMP_ACT_NOTIFY is not supported: system calls are "
				"answered inside the sandbox, no agent can be asked "
				"(nacre-config(5))",
				path);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(name, actions[i].name))
			continue;
		if (errno_ret != ERRNO_NONE && (!actions[i].takes_errno || errno_ret > 0xffff))
			return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s: %s with errno %llu",
					path, name, (unsigned long long)errno_ret);
		*out = actions[i].action;
		if (actions[i].takes_errno)
			*out |= errno_ret == ERRNO_NONE ? EPERM : (uint32_t)errno_ret;
		return 0;
	}
	return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s: unknown action \"%s\"", path, name);
}

static int parse_operator(struct profile *p, const char *path, const char *name,
			  enum scmp_compare *out)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (!strcmp(name, ops[i].name)) {
			*out = ops[i].op;
			return 0;
		}
	return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s: unknown operator \"%s\"", path, name);
}

/* Each string of an array, checked by fn. */
static int for_each_word(struct profile *p, yajl_val obj, const char *key,
			 bool (*known)(const char *word), const char *what)
{
	yajl_val v;
	int r = json_in_array(&p->in, obj, ROOT, key, 256, &v);

	for (size_t i = 0; !r && v && i < v->u.array.len; i++) {
		const char *s = YAJL_GET_STRING(v->u.array.values[i]);

		if (!s)
			r = oci_fail(p->in.err, EINVAL,
				     FILE_NAME ": " ROOT ".%s[%zu] must be a string", key, i);
		else if (!known(s))
			r = oci_fail(p->in.err, EINVAL,
				     FILE_NAME ": " ROOT ".%s[%zu]: unknown %s \"%s\"", key, i,
				     what, s);
	}
	return r;
}

/*
 * Only the machine's own calls can be made in the guest, so rules of other architectures would never
 * be asked: their names are checked and that is all.
 */
static bool architecture_known(const char *s)
{
	if (strncmp(s, "SCMP_ARCH_", 10))
		return false;
	for (size_t i = 0; i < sizeof(arch_names) / sizeof(arch_names[0]); i++)
		if (!strcmp(s + 10, arch_names[i]))
			return true;
	return false;
}

/* They are about loading a filter into the host's kernel, which this one never is. */
static bool flag_known(const char *s)
{
	for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++)
		if (!strcmp(s, flag_names[i]))
			return true;
	return false;
}

/* ---- rules ---- */

struct conditions {
	struct scmp_arg_cmp v[32];
	unsigned n;
	bool repeated; /* one argument has several */
};

static int parse_condition(struct profile *p, yajl_val v, const char *path, struct conditions *c)
{
	uint64_t index = UINT64_MAX, a = 0, b = 0;
	const char *op = NULL;
	enum scmp_compare cmp = SCMP_CMP_EQ;
	int r;

	if ((r = json_in_u64(&p->in, v, path, "index", &index)) ||
	    (r = json_in_u64(&p->in, v, path, "value", &a)) ||
	    (r = json_in_u64(&p->in, v, path, "valueTwo", &b)) ||
	    (r = json_in_string(&p->in, v, path, "op", &op)))
		return r;
	if (index >= ARGS_MAX || !op)
		return oci_fail(p->in.err, EINVAL,
				FILE_NAME ": %s needs an index below 6 and an op", path);
	r = parse_operator(p, path, op, &cmp);
	if (r)
		return r;
	for (unsigned i = 0; i < c->n; i++)
		c->repeated |= c->v[i].arg == index;
	c->v[c->n++] = (struct scmp_arg_cmp){(unsigned)index, cmp, a, b};
	return 0;
}

static int parse_conditions(struct profile *p, yajl_val rule, const char *path,
			    struct conditions *c)
{
	yajl_val v;
	int r = json_in_array(&p->in, rule, path, "args", sizeof(c->v) / sizeof(c->v[0]), &v);

	*c = (struct conditions){0};
	for (size_t i = 0; !r && v && i < v->u.array.len; i++) {
		char sub[96];

		snprintf(sub, sizeof(sub), "%s.args[%zu]", path, i);
		if (!YAJL_IS_OBJECT(v->u.array.values[i]))
			return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s must be an object", sub);
		r = parse_condition(p, v->u.array.values[i], sub, c);
	}
	return r;
}

/* Conditions on different arguments all must hold; of several on the same one, any (as runc does). */
static int add_rule(struct profile *p, int nr, uint32_t action, const struct conditions *c)
{
	int r = 0;

	if (!c->repeated)
		return seccomp_rule_add_array(p->ctx, action, nr, c->n, c->v);
	for (unsigned i = 0; i < c->n && !r; i++)
		r = seccomp_rule_add_array(p->ctx, action, nr, 1, &c->v[i]);
	return r;
}

static int add_named(struct profile *p, const char *name, uint32_t action,
		     const struct conditions *c, const char *path)
{
	int nr = seccomp_syscall_resolve_name(name), r;

	if (nr == __NR_SCMP_ERROR) {
		log_debug("%s: no system call %s is known", path, name);
		return 0;
	}
	if (nr > p->newest)
		p->newest = nr;
	if (nr < 0)
		return 0; /* another architecture's */
	r = add_rule(p, nr, action, c);
	return r ? oci_fail(p->in.err, -r, FILE_NAME ": %s: cannot add a rule for %s: %s", path,
			    name, strerror(-r))
		 : 0;
}

static int parse_rule(struct profile *p, yajl_val v, size_t index)
{
	uint64_t errno_ret = ERRNO_NONE;
	struct conditions c;
	const char *action = NULL;
	char path[64];
	uint32_t act;
	yajl_val names;
	int r;

	snprintf(path, sizeof(path), ROOT ".syscalls[%zu]", index);
	if (!YAJL_IS_OBJECT(v))
		return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s must be an object", path);
	if ((r = json_in_string(&p->in, v, path, "action", &action)) ||
	    (r = json_in_u64(&p->in, v, path, "errnoRet", &errno_ret)) ||
	    (r = json_in_array(&p->in, v, path, "names", RULES_MAX, &names)))
		return r;
	if (!action || !names || !names->u.array.len)
		return oci_fail(p->in.err, EINVAL, FILE_NAME ": %s needs names and an action",
				path);
	if ((r = parse_action(p, path, action, errno_ret, &act)) ||
	    (r = parse_conditions(p, v, path, &c)))
		return r;
	for (size_t i = 0; !r && i < names->u.array.len; i++) {
		const char *name = YAJL_GET_STRING(names->u.array.values[i]);

		if (!name)
			return oci_fail(p->in.err, EINVAL,
					FILE_NAME ": %s.names[%zu] must be a string", path, i);
		/* libseccomp has no rules that say what is said by default */
		if (act != p->default_action)
			r = add_named(p, name, act, &c, path);
	}
	return r;
}

/* ---- the program ---- */

/*
 * Calls newer than every one the profile names are not refused but unknown (ENOSYS), so that
 * libraries fall back to what they did before; runc does the same.
 */
static bool wants_enosys(const struct profile *p)
{
	return p->newest > 0 && p->default_action != SCMP_ACT_ALLOW &&
	       p->default_action != SCMP_ACT_LOG && p->default_action != SCMP_ACT_ERRNO(ENOSYS);
}

static int export(struct profile *p, struct oci_config *cfg)
{
	const struct sock_filter newer[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)p->newest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	size_t head = wants_enosys(p) ? sizeof(newer) / sizeof(newer[0]) : 0, n;
	cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct sock_filter *out;
	struct stat st;
	int r;

	if (fd < 0)
		return oci_fail_errno(p->in.err, errno, "memfd for the seccomp program");
	r = seccomp_export_bpf(p->ctx, fd);
	if (r)
		return fail_libseccomp(p, r, "cannot compile the profile");
	if (fstat(fd, &st))
		return oci_fail_errno(p->in.err, errno, "seccomp program");
	n = (size_t)st.st_size / sizeof(*out);
	if (!n || head + n > BPF_MAXINSNS)
		return oci_fail(p->in.err, E2BIG,
				FILE_NAME ": " ROOT " compiles to %zu instructions", n);
	out = oci_arena_alloc(&cfg->arena, head + n, sizeof(*out));
	if (!out)
		return oci_fail_errno(p->in.err, ENOMEM, "seccomp program");
	memcpy(out, newer, head * sizeof(*out));
	if (pread(fd, out + head, n * sizeof(*out), 0) != (ssize_t)(n * sizeof(*out)))
		return oci_fail_errno(p->in.err, EIO, "seccomp program");
	cfg->seccomp = out;
	cfg->nseccomp = head + n;
	return 0;
}

static int compile(struct profile *p, yajl_val obj, struct oci_config *cfg)
{
	uint64_t errno_ret = ERRNO_NONE;
	const char *action = NULL, *listener = NULL, *metadata = NULL;
	yajl_val rules;
	int r;

	if ((r = json_in_string(&p->in, obj, ROOT, "defaultAction", &action)) ||
	    (r = json_in_u64(&p->in, obj, ROOT, "defaultErrnoRet", &errno_ret)) ||
	    (r = json_in_string(&p->in, obj, ROOT, "listenerPath", &listener)) ||
	    (r = json_in_string(&p->in, obj, ROOT, "listenerMetadata", &metadata)) ||
	    (r = for_each_word(p, obj, "architectures", architecture_known, "architecture")) ||
	    (r = for_each_word(p, obj, "flags", flag_known, "flag")) ||
	    (r = json_in_array(&p->in, obj, ROOT, "syscalls", RULES_MAX, &rules)))
		return r;
	if (!action)
		return oci_fail(p->in.err, EINVAL,
				FILE_NAME ": " ROOT ".defaultAction must be given");
	/* Without a rule that asks for it nobody is notified, here as with runc. */
	if ((listener && *listener) || (metadata && *metadata))
		log_warning(FILE_NAME ": " ROOT ".%s is not applied: there are no notifications",
			    listener && *listener ? "listenerPath" : "listenerMetadata");
	r = parse_action(p, ROOT ".defaultAction", action, errno_ret, &p->default_action);
	if (r)
		return r;
	p->ctx = seccomp_init(p->default_action);
	if (!p->ctx)
		return fail_libseccomp(p, -ENOMEM, "libseccomp");
	/* Long profiles: find the rule by halving, not one by one. Older libraries can't. */
	(void)seccomp_attr_set(p->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; !r && rules && i < rules->u.array.len; i++)
		r = parse_rule(p, rules->u.array.values[i], i);
	return r ? r : export(p, cfg);
}

int oci_seccomp_compile(struct oci_config *cfg, struct oci_error *err)
{
	struct profile p = {.in = {FILE_NAME, err}};
	int r;

	if (!cfg->seccomp_tree || !cfg->seccomp_tree->u.object.len)
		return 0;
	r = compile(&p, cfg->seccomp_tree, cfg);
	if (p.ctx)
		seccomp_release(p.ctx);
	return r;
}

size_t oci_seccomp_names(enum oci_seccomp_kind kind, size_t i, const char **out)
{
	static const size_t counts[] = {
		[OCI_SECCOMP_ACTIONS] = sizeof(actions) / sizeof(actions[0]),
		[OCI_SECCOMP_OPERATORS] = sizeof(ops) / sizeof(ops[0]),
		[OCI_SECCOMP_ARCHS] = sizeof(arch_names) / sizeof(arch_names[0]),
		[OCI_SECCOMP_FLAGS] = sizeof(flag_names) / sizeof(flag_names[0]),
	};

	if (i < counts[kind])
		*out = kind == OCI_SECCOMP_ACTIONS     ? actions[i].name
		       : kind == OCI_SECCOMP_OPERATORS ? ops[i].name
		       : kind == OCI_SECCOMP_ARCHS     ? arch_names[i]
						       : flag_names[i];
	return counts[kind];
}
