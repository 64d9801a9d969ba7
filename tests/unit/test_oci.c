/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles, ids, mount options, control-group paths, state files, signals, log lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cli.h"
#include "oci/config.h"
#include "oci/json.h"
#include "oci/log.h"
#include "oci/mountopt.h"
#include "oci/rootfs.h"
#include "oci/signals.h"
#include "oci/state.h"

#define NS "\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]}"
#define ROOT "\"root\":{\"path\":\"rootfs\"}"
#define PROC "\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"}"
#define VER "\"ociVersion\":\"1.0.2\""

#define PROCESS(member) \
	"{" VER ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"," member "}," ROOT "," NS "}"
#define LINUX(member) \
	"{" VER "," PROC "," ROOT ",\"linux\":{\"namespaces\":[{\"type\":\"mount\"}]," member "}}"
#define RESOURCES(member) LINUX("\"resources\":{" member "}")

static int parse(const char *text, struct oci_config *cfg, struct oci_error *err)
{
	*err = (struct oci_error){0};
	return oci_config_parse(text, strlen(text), cfg, err);
}

static void every_config_error_names_its_key(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"{", "config.json: not valid JSON"},
		{"[]", "config.json: must be a JSON object"},
		{"{}", "ociVersion must be given"},
		{"{\"ociVersion\":7}", "ociVersion must be a string"},
		{"{\"ociVersion\":\"2.0.0\"}", "ociVersion must be 1.x"},
		{"{" VER "}", "process must be specified"},
		{"{" VER ",\"process\":7}", "process must be an object"},
		{"{" VER ",\"process\":{\"cwd\":\"/\"}}",
		 "config.json: process.args must have at least one element"},
		{"{" VER ",\"process\":{\"args\":[],\"cwd\":\"/\"}}", "process.args must have"},
		{"{" VER ",\"process\":{\"args\":[1],\"cwd\":\"/\"}}",
		 "process.args[0] must be a string"},
		{"{" VER ",\"process\":{\"args\":[\"a\"]}}", "process.cwd must not be empty"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"x\"}}",
		 "process.cwd must be an absolute"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\",\"env\":[\"x\"]}}",
		 "process.env[0] must look like"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"uid\":-1}}}",
		 "process.user.uid must be an integer"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/"
		 "\",\"user\":{\"additionalGids\":[\"x\"]}}}",
		 "process.user.additionalGids[0]"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/"
		 "\",\"rlimits\":[{\"type\":\"RLIMIT_X\"}]}}",
		 "process.rlimits[0].type: invalid rlimit type"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/"
		 "\",\"rlimits\":[{\"type\":\"RLIMIT_CPU\","
		 "\"soft\":2,\"hard\":1}]}}",
		 "process.rlimits[0].soft"},
		{"{" VER ",\"process\":{\"args\":[\"a\"],\"cwd\":\"/"
		 "\",\"capabilities\":{\"bounding\":[1]}}}",
		 "process.capabilities.bounding[0]"},
		{"{" VER "," PROC "}", "root must be specified"},
		{"{" VER "," PROC ",\"root\":{}}", "root.path must not be empty"},
		{"{" VER "," PROC "," ROOT "}", "linux.namespaces must contain a mount"},
		{"{" VER "," PROC "," ROOT ",\"mounts\":[{}]}", "mounts[0].destination"},
		{"{" VER "," PROC "," ROOT
		 ",\"mounts\":[{\"destination\":\"/a\",\"options\":[\"a,b\"]}]}",
		 "mounts[0].options[0]"},
		{"{" VER "," PROC "," ROOT ",\"hooks\":{\"prestart\":[{\"path\":\"x\"}]}}",
		 "hooks.prestart[0].path"},
		{"{" VER "," PROC "," ROOT ",\"annotations\":{\"a\":1}}", "annotations.a must be"},
		{"{" VER "," PROC "," ROOT ",\"linux\":{\"namespaces\":[{\"type\":\"x\"}]}}",
		 "linux.namespaces[0].type"},
		{"{" VER "," PROC "," ROOT
		 ",\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
		 "linux.namespaces[1].type: duplicated"},
		{"{" VER "," PROC "," ROOT ",\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}}",
		 "linux.uidMappings must be given"},
		{"{" VER "," PROC "," ROOT ",\"linux\":{\"rootfsPropagation\":\"x\"}}",
		 "linux.rootfsPropagation"},
		{"{" VER "," PROC "," ROOT ",\"linux\":{\"maskedPaths\":[\"x\"]}}",
		 "linux.maskedPaths[0]"},
		{"{" VER "," PROC "," ROOT
		 ",\"linux\":{\"resources\":{\"memory\":{\"limit\":\"1\"}}}}",
		 "linux.resources.memory.limit"},
		{"{" VER "," PROC "," ROOT
		 ",\"linux\":{\"resources\":{\"unified\":{\"../x\":\"1\"}}}}",
		 "linux.resources.unified"},
		{"{" VER "," PROC "," ROOT ",\"hostname\":\"h\"," NS "}", "hostname needs a uts"},
		{"{\"a\":\"\\u0000\"}", "NUL character"},
		{PROCESS("\"scheduler\":{}"), "process.scheduler.policy"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_DEADLINE\"}"),
		 "process.scheduler.policy"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_FIFO\"}"),
		 "process.scheduler.priority"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"priority\":1}"),
		 "process.scheduler.priority"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}"),
		 "process.scheduler.nice"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"x\"]}"),
		 "process.scheduler.flags[0]"},
		{PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"period\":1}"),
		 "process.scheduler: runtime, deadline and period"},
		{PROCESS("\"ioPriority\":{\"class\":\"x\"}"), "process.ioPriority.class"},
		{PROCESS("\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}"),
		 "process.ioPriority.priority"},
		{PROCESS("\"execCPUAffinity\":{\"initial\":\"1-\"}"),
		 "process.execCPUAffinity.initial"},
		{PROCESS("\"execCPUAffinity\":{\"final\":\"4096\"}"),
		 "process.execCPUAffinity.final"},
		{LINUX("\"devices\":[{\"type\":\"c\"}]"), "linux.devices[0].path"},
		{LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"x\"}]"),
		 "linux.devices[0].type"},
		{LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\",\"major\":1}]"),
		 "linux.devices[0].minor"},
		{LINUX("\"timeOffsets\":{\"monotonic\":{\"secs\":1}}"), "linux.timeOffsets needs"},
		{LINUX("\"timeOffsets\":{\"monotonic\":{\"nanosecs\":-1}}"),
		 "linux.timeOffsets.monotonic.nanosecs"},
		{LINUX("\"timeOffsets\":{\"realtime\":{}}"), "linux.timeOffsets.realtime"},
		{LINUX("\"sysctl\":{\"kernel.panic\":\"1\"}"),
		 "linux.sysctl.kernel.panic: sysctl \"kernel.panic\" is not in a separate kernel "
		 "namespace"},
		{LINUX("\"sysctl\":{\"kernel/hostname\":\"1\"}"), "linux.sysctl.kernel/hostname"},
		{LINUX("\"sysctl\":{\"net.x\":\"1\"}"), "linux.sysctl.net.x"},
		{LINUX("\"sysctl\":{\"kernel.shmmax\":\"1\"}"), "linux.sysctl.kernel.shmmax"},
		{LINUX("\"sysctl\":{\"network\":\"1\"}"), "linux.sysctl.network"},
		{LINUX("\"personality\":{\"domain\":\"x\"}"), "linux.personality.domain"},
		{LINUX("\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"x\"]}"),
		 "linux.personality.flags"},
		{LINUX("\"intelRdt\":{\"closID\":\"x\"}"), "linux.intelRdt"},
		{RESOURCES("\"rdma\":{\"mlx\":1}"), "linux.resources.rdma.mlx"},
		{RESOURCES("\"cpu\":{\"idle\":2}"), "linux.resources.cpu.idle"},
		{RESOURCES("\"cpu\":{\"burst\":-1}"), "linux.resources.cpu.burst"},
		{RESOURCES("\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8}]}"),
		 "linux.resources.blockIO.throttleReadBpsDevice[0]"},
		{RESOURCES("\"blockIO\":{\"weightDevice\":[1]}"),
		 "linux.resources.blockIO.weightDevice[0]"},
		{RESOURCES("\"network\":{\"priorities\":[{\"priority\":1}]}"),
		 "linux.resources.network.priorities[0].name"},
		{RESOURCES("\"hugepageLimits\":[{\"limit\":1}]"),
		 "linux.resources.hugepageLimits[0].pageSize"},
		{"{" VER "," PROC "," ROOT
		 ",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"containerID\":0,"
		 "\"hostID\":1,\"size\":1}]}]}",
		 "mounts[0].gidMappings"},
		{"{" VER "," PROC "," ROOT
		 ",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"size\":0}]}]}",
		 "mounts[0].uidMappings[0].size"},
		{"{" VER "," PROC "," ROOT
		 ",\"mounts\":[{\"destination\":\"/a\",\"options\":[\"idmap=uids=0-1-1\"]}]}",
		 "mounts[0].options[0]"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct oci_config cfg;
		struct oci_error err;

		assert_true(parse(cases[i].text, &cfg, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" should contain \"%s\"", err.msg, cases[i].says);
		assert_non_null(strstr(err.msg, "config.json: "));
	}
}

static void config_is_read(void **state)
{
	static const char text[] =
		"{" VER ",\"process\":{\"args\":[\"sh\",\"-c\"],\"cwd\":\"/tmp\",\"env\":[\"A=b\"],"
		"\"user\":{\"uid\":5,\"gid\":6,\"umask\":18,\"additionalGids\":[7]},"
		"\"capabilities\":{\"bounding\":[\"CAP_KILL\",\"CAP_FUTURE\"]},"
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":10,\"hard\":"
		"18446744073709551615}],"
		"\"oomScoreAdj\":0}," ROOT
		",\"mounts\":[{\"destination\":\"/x\",\"type\":\"tmpfs\"}],"
		"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/"
		"p\"}],"
		"\"resources\":{\"memory\":{\"limit\":4096},\"cpu\":{\"shares\":1024},\"pids\":{"
		"\"limit\":-1}}}}";
	struct oci_config cfg;
	struct oci_error err;

	(void)state;
	assert_int_equal(parse(text, &cfg, &err), 0);
	assert_string_equal(cfg.process.args[1], "-c");
	assert_null(cfg.process.args[2]);
	assert_string_equal(cfg.process.env[0], "A=b");
	assert_int_equal(cfg.process.uid, 5);
	assert_int_equal(cfg.process.gid, 6);
	assert_int_equal(cfg.process.umask, 022);
	assert_int_equal(cfg.process.groups[0], 7);
	assert_int_equal(cfg.process.cap_bounding, 1 << 5);
	assert_true(cfg.process.rlimits[RLIMIT_NOFILE].rlim_max == UINT64_MAX);
	assert_true(cfg.process.has_oom_score_adj);
	assert_int_equal(cfg.nmounts, 1);
	assert_string_equal(cfg.ns[OCI_NS_NETWORK].path, "/p");
	assert_true(cfg.resources.has_memory && cfg.resources.memory == 4096);
	assert_true(cfg.resources.has_pids && cfg.resources.pids == -1);
	assert_int_equal(oci_env_default(&cfg.arena, &cfg.process.env, "HOME=/"), 0);
	assert_int_equal(oci_env_default(&cfg.arena, &cfg.process.env, "A=other"), 0);
	assert_string_equal(cfg.process.env[1], "HOME=/");
	assert_null(cfg.process.env[2]);
	oci_config_free(&cfg);
}

static void cpu_lists(void **state)
{
	static const char *const bad[] = {"",	  ",", "1,", "-1",  "3-1",
					  "1024", "a", "0-", "0 1", "1--2"};
	struct oci_cpus c;

	(void)state;
	assert_true(oci_cpus_parse("0-3,7,64-65", &c));
	assert_true(c.bits[0] == 0x8f && c.bits[1] == 3 && !c.bits[2]);
	assert_true(oci_cpus_parse("1023", &c));
	assert_true(c.bits[15] == (uint64_t)1 << 63);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(oci_cpus_parse(bad[i], &c));
}

/* What one line of a control group's file says of linux.resources. */
static void settings_are_lines_of_both_versions(void **state)
{
	static const struct {
		const char *member, *file, *value, *file2, *value2;
	} cases[] = {
		{"\"cpu\":{\"burst\":5}", "cpu.cfs_burst_us", "5", "cpu.max.burst", "5"},
		{"\"cpu\":{\"idle\":1}", "cpu.idle", "1", "cpu.idle", "1"},
		{"\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":1,\"rate\":9}]}",
		 "blkio.throttle.write_iops_device", "8:1 9", "io.max", "8:1 wiops=9"},
		{"\"blockIO\":{\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}]}",
		 "blkio.throttle.read_bps_device", "8:0 0", "io.max", "8:0 rbps=max"},
		{"\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":50}]}",
		 "blkio.weight_device", "8:0 50", "io.bfq.weight", "8:0 50"},
		{"\"rdma\":{\"m1\":{\"hcaHandles\":3,\"hcaObjects\":4}}", "rdma.max",
		 "m1 hca_handle=3 hca_object=4", "rdma.max", "m1 hca_handle=3 hca_object=4"},
		{"\"network\":{\"classID\":7}", "net_cls.classid", "7", NULL, NULL},
		{"\"network\":{\"priorities\":[{\"name\":\"lo\",\"priority\":2}]}",
		 "net_prio.ifpriomap", "lo 2", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct oci_config cfg;
		struct oci_error err;
		char text[512];

		snprintf(text, sizeof(text), RESOURCES("%s"), cases[i].member);
		assert_int_equal(parse(text, &cfg, &err), 0);
		assert_int_equal(cfg.resources.nsettings, 1);
		const struct oci_cgroup_setting *s = cfg.resources.settings;
		assert_string_equal(s->file, cases[i].file);
		assert_string_equal(s->value, cases[i].value);
		assert_true(!s->file2 == !cases[i].file2);
		if (s->file2) {
			assert_string_equal(s->file2, cases[i].file2);
			assert_string_equal(s->value2, cases[i].value2);
		}
		oci_config_free(&cfg);
	}
}

static void deep_nesting_is_refused(void **state)
{
	char *text = malloc(200001);
	struct oci_config cfg;
	struct oci_error err;

	(void)state;
	memset(text, '[', 200000);
	text[200000] = '\0';
	assert_true(parse(text, &cfg, &err) < 0);
	assert_non_null(strstr(err.msg, "nested deeper"));
	free(text);
}

static void ids(void **state)
{
	struct oci_error err;
	char longest[300];

	(void)state;
	assert_int_equal(oci_id_validate("a-b_c.D+9", &err), 0);
	assert_true(oci_id_validate("", &err) < 0);
	assert_string_equal(err.msg, "container id cannot be empty");
	static const char *const bad[] = {".", "..", "a/b", "a b", "../x", "\xc3\xa9", "a\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(oci_id_validate(bad[i], &err) < 0);
		assert_string_equal(err.msg, "invalid container ID format");
	}
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_true(oci_id_validate(longest, &err) < 0);
}

static void mount_options(void **state)
{
	static const char *const list[] = {"ro",      "nosuid",	  "rbind", "rslave",
					   "size=1k", "mode=755", "suid",  "rro"};
	struct oci_mount_options o;
	struct oci_error err;

	(void)state;
	assert_int_equal(oci_mount_options_parse(list, 8, "k", &o, &err), 0);
	assert_int_equal(o.flags, MS_RDONLY | MS_BIND | MS_REC);
	assert_int_equal(o.cleared, MS_NOSUID);
	assert_int_equal(o.npropagation, 1);
	assert_int_equal(o.propagation[0], MS_SLAVE | MS_REC);
	assert_int_equal(o.rec_set, MOUNT_ATTR_RDONLY);
	assert_string_equal(o.data.s, "size=1k,mode=755");
	oci_mount_options_free(&o);
	static const char *const both[] = {"rslave", "shared", "ridmap"};
	assert_int_equal(oci_mount_options_parse(both, 3, "k", &o, &err), 0);
	assert_int_equal(o.npropagation, 2);
	assert_int_equal(o.propagation[1], MS_SHARED);
	assert_true(o.idmap && o.idmap_recursive);
	oci_mount_options_free(&o);
	assert_int_equal(oci_mount_attr(MS_RDONLY | MS_NOEXEC),
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
}

static void option_names_are_sorted(void **state)
{
	const char *names[128];
	size_t n = oci_mount_option_names(names, 128);

	(void)state;
	assert_in_range(n, 50, 128);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(names[i - 1], names[i]) < 0);
}

static void cgroup_paths(void **state)
{
	struct oci_error err;
	char out[256];

	(void)state;
	assert_int_equal(oci_cgroup_path(NULL, "id", "/", false, out, sizeof(out), &err), 0);
	assert_string_equal(out, "/id");
	assert_int_equal(oci_cgroup_path(NULL, "id", "/own", false, out, sizeof(out), &err), 0);
	assert_string_equal(out, "/own/id");
	assert_int_equal(oci_cgroup_path("/a/b/", "id", "/own", false, out, sizeof(out), &err), 0);
	assert_string_equal(out, "/a/b");
	assert_true(oci_cgroup_path("/a/../b", "id", "/", false, out, sizeof(out), &err) < 0);
	assert_int_equal(oci_cgroup_path("a-b.slice:pre:n", "id", "/", true, out, sizeof(out),
					 &err),
			 0);
	assert_string_equal(out, "/a.slice/a-b.slice/pre-n.scope");
	assert_int_equal(oci_cgroup_path("", "id", "/", true, out, sizeof(out), &err), 0);
	assert_string_equal(out, "/system.slice/nacre-id.scope");
	assert_true(oci_cgroup_path("/x", "id", "/", true, out, sizeof(out), &err) < 0);
	assert_int_equal(oci_cgroup_weight(2), 1);
	assert_int_equal(oci_cgroup_weight(262144), 10000);
}

static void state_file_survives_a_round_trip(void **state)
{
	char root[] = "/tmp/nacre-test-XXXXXX";
	struct oci_state s = {.id = (char *)"c1",
			      .bundle = (char *)"/b",
			      .rootfs = (char *)"/b/\"r\"",
			      .created = (char *)"now",
			      .oci_version = (char *)"1.0.2",
			      .pid = getpid(),
			      .ncgroups = 1};
	struct oci_state back;
	struct oci_error err;
	int dir;

	(void)state;
	assert_non_null(mkdtemp(root));
	s.pid_start = oci_pid_start_time(getpid());
	assert_true(s.pid_start > 0);
	s.cgroups[0].controllers = (char *)"memory";
	s.cgroups[0].dir = (char *)"/nowhere";
	dir = oci_state_dir_create(root, "c1", &err);
	assert_true(dir >= 0);
	assert_int_equal(oci_state_load(dir, &back, &err), -ENOENT);
	/* A creator that was killed here left no container. */
	close(dir);
	dir = oci_state_dir_create(root, "c1", &err);
	assert_true(dir >= 0);
	assert_int_equal(oci_state_save(dir, &s, &err), 0);
	assert_int_equal(oci_state_dir_create(root, "c1", &err), -EEXIST);
	assert_int_equal(oci_state_load(dir, &back, &err), 0);
	assert_string_equal(back.rootfs, s.rootfs);
	assert_int_equal(back.pid, s.pid);
	assert_true(back.pid_start == s.pid_start);
	assert_string_equal(back.cgroups[0].dir, "/nowhere");
	assert_int_equal(oci_state_status(&back), OCI_RUNNING);
	prctl(PR_SET_NAME, OCI_COMM_CREATED);
	assert_int_equal(oci_state_status(&back), OCI_CREATED);
	prctl(PR_SET_NAME, OCI_COMM_CREATING);
	assert_int_equal(oci_state_status(&back), OCI_CREATING);
	prctl(PR_SET_NAME, "test_oci");
	/* The pid lives, the process of that start time does not. */
	back.pid_start++;
	assert_int_equal(oci_state_status(&back), OCI_STOPPED);
	assert_int_equal(oci_state_pidfd(&back), -ESRCH);
	oci_state_free(&back);
	close(dir);
	assert_int_equal(oci_state_dir_remove(root, "c1", &err), 0);
	assert_int_equal(oci_state_dir_remove(root, "c1", &err), 0);
	assert_int_equal(oci_state_dir_open(root, "c1", &err), -ENOENT);
	assert_string_equal(err.msg, "container does not exist");
	rmdir(root);
}

/* What exec sends is what the sandbox reads. */
static void processes_survive_json(void **state)
{
	const gid_t groups[] = {4, 5};
	char *const args[] = {(char *)"sh", (char *)"-c", (char *)"\"\n\\", NULL};
	char *const env[] = {(char *)"A=1", (char *)"B=", NULL};
	struct oci_process p = {.terminal = true,
				.no_new_privs = true,
				.uid = 33,
				.gid = 34,
				.umask = 027,
				.groups = groups,
				.ngroups = 2,
				.args = args,
				.env = env,
				.cwd = "/tmp",
				.cap_bounding = 0x1ffffffffff,
				.cap_effective = 1,
				.cap_ambient = 1u << 20,
				.scheduler = {.policy = 3, .nice = -4},
				.io_priority = 3 << 13,
				.affinity_final = {true, {5, 1}}};
	struct oci_arena *arena = NULL;
	struct oci_process back;
	struct oci_error err;
	struct buf b = {0};
	yajl_val tree;

	(void)state;
	p.rlimits[RLIMIT_NOFILE] = (struct rlimit64){10, RLIM64_INFINITY};
	p.rlimit_set[RLIMIT_NOFILE] = true;
	oci_process_json(&b, &p);
	assert_true(buf_ok(&b));
	tree = json_parse(b.s, b.len, "process", &err);
	assert_non_null(tree);
	assert_int_equal(oci_process_parse(&arena, tree, "process", "", &back, &err), 0);
	assert_true(back.terminal && back.no_new_privs);
	assert_int_equal(back.uid, 33);
	assert_int_equal(back.gid, 34);
	assert_int_equal(back.umask, 027);
	assert_int_equal(back.ngroups, 2);
	assert_int_equal(back.groups[1], 5);
	assert_string_equal(back.args[2], args[2]);
	assert_null(back.args[3]);
	assert_string_equal(back.env[1], "B=");
	assert_string_equal(back.cwd, "/tmp");
	assert_int_equal(back.scheduler.policy, 3);
	assert_int_equal(back.scheduler.nice, -4);
	assert_int_equal(back.io_priority, 3 << 13);
	assert_true(back.affinity_final.given && !back.affinity_initial.given);
	assert_memory_equal(back.affinity_final.bits, p.affinity_final.bits,
			    sizeof(p.affinity_final.bits));
	assert_true(back.cap_bounding == p.cap_bounding && back.cap_effective == 1);
	assert_true(back.cap_ambient == p.cap_ambient && !back.cap_permitted);
	assert_true(back.rlimit_set[RLIMIT_NOFILE] && !back.rlimit_set[RLIMIT_CORE]);
	assert_true(back.rlimits[RLIMIT_NOFILE].rlim_max == RLIM64_INFINITY);
	assert_int_equal(back.rlimits[RLIMIT_NOFILE].rlim_cur, 10);
	oci_arena_free(&arena);
	yajl_tree_free(tree);
	buf_free(&b);
}

static void the_last_setting_of_a_variable_counts(void **state)
{
	struct oci_config cfg;
	struct oci_error err;

	(void)state;
	assert_int_equal(parse("{" VER "," ROOT "," NS
			       ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\","
			       "\"env\":[\"A=1\",\"AB=2\",\"A=3\"]}}",
			       &cfg, &err),
			 0);
	assert_string_equal(cfg.process.env[0], "AB=2");
	assert_string_equal(cfg.process.env[1], "A=3");
	assert_null(cfg.process.env[2]);
	oci_config_free(&cfg);
}

static void zombies_are_stopped(void **state)
{
	pid_t pid = fork();
	siginfo_t info;

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(oci_pid_start_time(pid) == 0);
	waitpid(pid, NULL, 0);
}

static void targets_stay_inside_the_root(void **state)
{
	char root[] = "/tmp/nacre-test-XXXXXX", path[128];
	struct stat a, b;
	int dir, fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	dir = open(root, O_RDONLY | O_DIRECTORY);
	assert_int_equal(symlinkat("/tmp/nacre-outside/../../..", dir, "out"), 0);
	assert_int_equal(symlinkat("../../..", dir, "up"), 0);
	fd = rootfs_make_target(dir, "/up/a/b", false);
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "%s/a/b", root);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(fstat(fd, &b), 0);
	assert_true(a.st_ino == b.st_ino);
	close(fd);
	fd = rootfs_make_target(dir, "/a/file", true);
	assert_true(fd >= 0 && !fstat(fd, &b) && S_ISREG(b.st_mode));
	close(fd);
	/* A dangling link is not followed to make what it names. */
	assert_true(rootfs_make_target(dir, "/out/x", false) < 0);
	unlinkat(dir, "a/file", 0);
	unlinkat(dir, "a/b", AT_REMOVEDIR);
	unlinkat(dir, "a", AT_REMOVEDIR);
	unlinkat(dir, "out", 0);
	unlinkat(dir, "up", 0);
	close(dir);
	assert_int_equal(rmdir(root), 0);
}

static void signal_names(void **state)
{
	(void)state;
	assert_int_equal(oci_signal_number("TERM"), 15);
	assert_int_equal(oci_signal_number("sigkill"), 9);
	assert_int_equal(oci_signal_number("SIGRTMIN+3"), 37);
	assert_int_equal(oci_signal_number("RTMAX-1"), 63);
	assert_int_equal(oci_signal_number("0"), 0);
	assert_int_equal(oci_signal_number("64"), 64);
	assert_int_equal(oci_signal_number("65"), -1);
	assert_int_equal(oci_signal_number("FOO"), -1);
	assert_int_equal(oci_signal_number("9x"), -1);
	assert_int_equal(oci_signal_number("SIGRTMIN-1"), -1);
}

static void json_strings_are_escaped(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_json_string(&b, "a\"\\\n\x01\xc3\xa9\xff");
	assert_string_equal(b.s, "\"a\\\"\\\\\\n\\u0001\xc3\xa9\\ufffd\"");
	buf_free(&b);
}

static void flags_are_parsed_as_runc_does(void **state)
{
	static const struct cli_option options[] = {{"bundle", "b", CLI_STRING, "", NULL},
						    {"detach", "d", CLI_BOOL, "", NULL},
						    {"n", NULL, CLI_INT, "", "0"},
						    {0}};
	static const struct {
		const char *flag, *says;
	} wrong[] = {{"--bogus", "flag provided but not defined: -bogus"},
		     {"--bundle", "flag needs an argument: -bundle"},
		     {"--detach=maybe", "invalid boolean value \"maybe\" for -detach: parse error"},
		     {"--n=x", "invalid value \"x\" for flag -n: parse error"}};
	char *argv[] = {(char *)"id",	    (char *)"-b", (char *)"dir",
			(char *)"--detach", (char *)"--", (char *)"-x"};
	struct cli_values v = {0};
	const char **lists[CLI_MAX_OPTIONS] = {0};
	struct oci_error err;
	char *rest[8];
	int n;

	(void)state;
	assert_int_equal(cli_parse(options, 6, argv, false, &v, lists, rest, &n, &err), 0);
	assert_string_equal(v.value[0], "dir");
	assert_string_equal(v.value[1], "true");
	assert_int_equal(n, 2);
	assert_string_equal(rest[1], "-x");
	assert_int_equal(cli_parse(options, 6, argv, true, &v, lists, rest, &n, &err), 0);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *one[] = {(char *)wrong[i].flag};

		assert_true(cli_parse(options, 1, one, false, &v, lists, rest, &n, &err) < 0);
		assert_string_equal(err.msg, wrong[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_config_error_names_its_key),
		cmocka_unit_test(config_is_read),
		cmocka_unit_test(cpu_lists),
		cmocka_unit_test(settings_are_lines_of_both_versions),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(ids),
		cmocka_unit_test(mount_options),
		cmocka_unit_test(option_names_are_sorted),
		cmocka_unit_test(cgroup_paths),
		cmocka_unit_test(state_file_survives_a_round_trip),
		cmocka_unit_test(processes_survive_json),
		cmocka_unit_test(the_last_setting_of_a_variable_counts),
		cmocka_unit_test(zombies_are_stopped),
		cmocka_unit_test(targets_stay_inside_the_root),
		cmocka_unit_test(signal_names),
		cmocka_unit_test(json_strings_are_escaped),
		cmocka_unit_test(flags_are_parsed_as_runc_does),
	};

	log_mute(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
