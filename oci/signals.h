/* SPDX-License-Identifier: Apache-2.0 */
/* Signal names, as people type them and config files have them. */
#ifndef NACRE_OCI_SIGNALS_H
#define NACRE_OCI_SIGNALS_H

/* "TERM", "sigterm", "SIGRTMIN+3", "15"; -1: unknown. 0 only for "0". */
int oci_signal_number(const char *name);
/* Set a disposition: SIG_DFL or SIG_IGN. */
void oci_signal_set(int sig, void (*handler)(int));
/* End this process with a wait(2) status: exit, or die by the signal. */
void oci_end_as(int status) __attribute__((noreturn));

#endif
