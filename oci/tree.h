/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a directory with all that is in it. */
#ifndef NACRE_OCI_TREE_H
#define NACRE_OCI_TREE_H

/*
 * Remove name in dir and all below it: with two descriptors, no recursion, and never through a link.
 * 0 (also when there is nothing) or -errno.
 */
int tree_remove(int dir, const char *name);

#endif
