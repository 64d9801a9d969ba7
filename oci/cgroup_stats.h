/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that write oci_cgroup_stats(). */
#ifndef NACRE_OCI_CGROUP_STATS_H
#define NACRE_OCI_CGROUP_STATS_H

#include <stdint.h>

#include "oci/buf.h"
#include "oci/state.h"

/* The number in DIR/FILE; UINT64_MAX for "max", 0 when it cannot be read. */
uint64_t oci_stat_number(const char *dir, const char *file);
/* The value after "key " at the start of a line of text, 0 when there is none. */
uint64_t oci_stat_field(const char *text, const char *key);

/* cgroup_stats_io.c: the members "blkio" and "hugetlb". */
void oci_stat_io(const struct oci_state *s, struct buf *b);
void oci_stat_hugetlb(const struct oci_state *s, struct buf *b);

#endif
