/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices and huge pages in `events --stats`. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cgroup.h"
#include "oci/cgroup_stats.h"
#include "oci/cleanup.h"
#include "oci/text.h"

static void entry(struct buf *b, const char *device, const char *op, uint64_t value)
{
	const char *minor = strchr(device, ':');

	json_object(b, NULL);
	json_uint(b, "major", strtoul(device, NULL, 10));
	json_uint(b, "minor", minor ? strtoul(minor + 1, NULL, 10) : 0);
	json_str(b, "op", op);
	json_uint(b, "value", value);
	json_end_object(b);
}

/* Lines of "MAJOR:MINOR [OPERATION] VALUE"; others are totals. */
static void list_v1(struct buf *b, const char *name, char *text)
{
	char device[32], op[32], value[32];

	json_array(b, name);
	for (const char *line = text; line; line = text_next_line(line)) {
		const char *p = line;

		if (!text_word(&p, device, sizeof(device)) || !strchr(device, ':') ||
		    !text_word(&p, op, sizeof(op)))
			continue;
		if (*p && *p != '\n' && text_word(&p, value, sizeof(value)))
			entry(b, device, op, strtoull(value, NULL, 10));
		else
			entry(b, device, "", strtoull(op, NULL, 10));
	}
	json_end_array(b);
}

/* Which files there are depends on the I/O scheduler: the first that is there counts. */
static void io_v1(const char *dir, struct buf *b)
{
	static const struct {
		const char *name, *files[3];
	} lists[] = {
		{"ioServiceBytesRecursive",
		 {"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
		  "blkio.throttle.io_service_bytes_recursive"}},
		{"ioServicedRecursive",
		 {"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive",
		  "blkio.throttle.io_serviced_recursive"}},
		{"ioQueueRecursive",
		 {"blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive"}},
		{"ioServiceTimeRecursive",
		 {"blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive"}},
		{"ioWaitTimeRecursive",
		 {"blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive"}},
		{"ioMergedRecursive",
		 {"blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive"}},
		{"ioTimeRecursive", {"blkio.bfq.time_recursive", "blkio.time_recursive"}},
		{"sectorsRecursive", {"blkio.bfq.sectors_recursive", "blkio.sectors_recursive"}},
	};
	char text[8192];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (size_t k = 0; k < 3 && lists[i].files[k]; k++)
			if (!oci_cgroup_read(dir, lists[i].files[k], text, sizeof(text)) &&
			    strchr(text, ':')) {
				list_v1(b, lists[i].name, text);
				break;
			}
}

/* io.stat: "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N ..." */
static void list_v2(struct buf *b, const char *name, const char *text, const char *const keys[2])
{
	static const char *const ops[2] = {"Read", "Write"};
	char device[32], word[64];

	json_array(b, name);
	for (const char *line = text; line; line = text_next_line(line)) {
		const char *p = line, *end = strchrnul(line, '\n');

		if (!text_word(&p, device, sizeof(device)) || !strchr(device, ':'))
			continue;
		while (p < end && text_word(&p, word, sizeof(word)))
			for (int k = 0; k < 2; k++)
				if (!strncmp(word, keys[k], strlen(keys[k])))
					entry(b, device, ops[k],
					      strtoull(word + strlen(keys[k]), NULL, 10));
	}
	json_end_array(b);
}

void oci_stat_io(const struct oci_state *s, struct buf *b)
{
	static const char *const bytes[2] = {"rbytes=", "wbytes="}, *const ios[2] = {"rios=",
										     "wios="};
	char text[8192];
	bool v2;
	const char *dir = oci_cgroup_dir(s, "blkio", &v2);

	json_object(b, "blkio");
	if (dir)
		io_v1(dir, b);
	else if ((dir = oci_cgroup_dir(s, "io", &v2)) &&
		 !oci_cgroup_read(dir, "io.stat", text, sizeof(text)) && *text) {
		list_v2(b, "ioServiceBytesRecursive", text, bytes);
		list_v2(b, "ioServicedRecursive", text, ios);
	}
	json_end_object(b);
}

/* 2048 is "2MB", 1048576 "1GB": the names of the files. */
static void size_name(unsigned long kib, char out[32])
{
	static const char *const units[] = {"KB", "MB", "GB"};
	int k = 0;

	for (; k < 2 && kib >= 1024 && kib % 1024 == 0; k++)
		kib /= 1024;
	snprintf(out, 32, "%lu%s", kib, units[k]);
}

static void huge_size(struct buf *b, const char *dir, const char *size, bool v2)
{
	char file[80], text[256];

	json_object(b, size);
	snprintf(file, sizeof(file), "hugetlb.%s.%s", size, v2 ? "current" : "usage_in_bytes");
	json_uint(b, "usage", oci_stat_number(dir, file));
	if (v2) {
		snprintf(file, sizeof(file), "hugetlb.%s.events", size);
		if (oci_cgroup_read(dir, file, text, sizeof(text)))
			*text = '\0';
		json_uint(b, "failcnt", oci_stat_field(text, "max"));
	} else {
		snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
		json_uint(b, "max", oci_stat_number(dir, file));
		snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
		json_uint(b, "failcnt", oci_stat_number(dir, file));
	}
	json_end_object(b);
}

void oci_stat_hugetlb(const struct oci_state *s, struct buf *b)
{
	bool v2;
	const char *dir = oci_cgroup_dir(s, "hugetlb", &v2);
	cleanup_dir DIR *sizes = dir ? opendir("/sys/kernel/mm/hugepages") : NULL;
	struct dirent *e;
	char name[32];

	json_object(b, "hugetlb");
	while (sizes && (e = readdir(sizes))) {
		if (strncmp(e->d_name, "hugepages-", 10))
			continue;
		size_name(strtoul(e->d_name + 10, NULL, 10), name);
		huge_size(b, dir, name, v2);
	}
	json_end_object(b);
}
