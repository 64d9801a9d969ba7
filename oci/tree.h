/* SPDX-License-Identifier: Apache-2.0 */
/* Making a directory with all above it, removing one with all that is in it. */
#ifndef NACRE_OCI_TREE_H
#define NACRE_OCI_TREE_H

/*
 * Remove name in dir and all below it: with two descriptors, no recursion, and never through a link.
 * 0 (also when there is nothing) or -errno.
 */
int tree_remove(int dir, const char *name);

/* Make the directory, for its owner alone, and those above it that are missing. 0 or -errno. */
int tree_make(const char *path);

#endif
