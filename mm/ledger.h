/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --tlb=paranoid: a record, kept beside the flush protocol and independent of it, of what each vCPU may
 * still remember.
 *
 * An entry of the ledger is a translation that was live and has lost something (its page, its
 * permission), with the vCPUs that may hold it. It is written where the page-table entry is
 * exchanged, whatever is staged for it or not, and struck out for a vCPU when that vCPU is seen to flush
 * it. Two things must never be:
 *   - a call returns (ledger_committed()) while a vCPU that holds such a translation is in the guest
 *     in that address space, or the caller's own holds it and its staged request does not name it;
 *   - a vCPU enters the guest (ledger_enter()) holding one whose call has returned.
 * Before either is reported the page table is looked at: a translation that it grants again is not
 * stale. The report names address, vCPU and entry, and the sandbox ends.
 *
 * Shadow paging: the hypervisor is the only holder, and every call must end with nothing held.
 *
 * What it does not see: break-before-make, and frames freed early. The model (tests/unit/mm_model.c)
 * covers those.
 *
 * The ledger's lock is a leaf.
 */
#ifndef NACRE_MM_LEDGER_H
#define NACRE_MM_LEDGER_H

#include "mm/pagetable.h"
#include "mm/tlb.h"

struct ledger;
struct mm;
struct mm_system;

/* Without a reporter: standard error, and abort(). */
struct ledger *ledger_create(struct mm_system *sys, bool shadow,
			     void (*report)(const char *text, void *arg), void *arg);
void ledger_destroy(struct ledger *l);

/* ---- mm's, with mm.lock held ---- */

void ledger_new_space(struct ledger *l, struct mm *mm);
void ledger_drop_space(struct ledger *l, uint64_t root);
/* A leaf of `pages` pages that may be cached was `old` and is `now`. */
void ledger_changed(struct ledger *l, uint64_t root, uint64_t va, unsigned pages, pte_t old,
		    pte_t now);
/* The call is about to return: `own` is the calling thread's vCPU, or LEDGER_NO_VCPU. */
void ledger_committed(struct ledger *l, uint64_t root, unsigned own);
#define LEDGER_NO_VCPU (~0u)

/* ---- the platform's ---- */

/*
 * The vCPU executes `done` on its way into `root`. `every`: all vCPUs are flushed by it, not this one
 * alone.
 */
void ledger_enter(struct ledger *l, unsigned vcpu, uint64_t root, const struct tlb_request *done,
		  bool every);
/* It is out of the guest; before anybody who waits for that can see it. */
void ledger_leave(struct ledger *l, unsigned vcpu);
/* A flush without entering. */
void ledger_flushed(struct ledger *l, unsigned vcpu, const struct tlb_request *done, bool every);
/* Shadow paging: nobody holds translations to [host, host+len). NULL: none at all. */
void ledger_invalidated(struct ledger *l, const void *host, uint64_t len);

#endif
