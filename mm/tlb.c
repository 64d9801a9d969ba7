/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/tlb.h"

#include <string.h>

#include "mm/edit.h"
#include "mm/pagetable.h"

static _Thread_local struct tlb_request slot;

static void widen(struct tlb_request *req, enum tlb_kind kind)
{
	req->kind = kind;
	req->nranges = 0;
}

static uint64_t range_end(const struct tlb_range *r)
{
	return r->start + (uint64_t)r->pages * PAGE_SIZE;
}

void tlb_merge_range(struct tlb_request *req, uint64_t start, uint64_t pages, unsigned bound)
{
	uint64_t total, end;
	unsigned kept = 0;

	if (!pages || req->kind >= TLB_SPACE)
		return;
	if (pages > bound) {
		widen(req, TLB_SPACE);
		return;
	}
	end = start + pages * PAGE_SIZE;
	/* Swallow every range that overlaps or touches; the grown range may touch earlier ones. */
	for (bool grew = true; grew;) {
		grew = false;
		kept = 0;
		for (unsigned i = 0; i < req->nranges; i++) {
			struct tlb_range r = req->range[i];

			if (r.start > end || range_end(&r) < start) {
				req->range[kept++] = r;
				continue;
			}
			grew |= r.start < start || range_end(&r) > end;
			start = r.start < start ? r.start : start;
			end = range_end(&r) > end ? range_end(&r) : end;
		}
		req->nranges = kept;
	}
	total = (end - start) >> PAGE_SHIFT;
	for (unsigned i = 0; i < kept; i++)
		total += req->range[i].pages;
	if (kept == TLB_RANGES || total > bound) {
		widen(req, TLB_SPACE);
		return;
	}
	req->kind = TLB_RANGE;
	req->range[kept].start = start;
	req->range[kept].pages = (uint32_t)((end - start) >> PAGE_SHIFT);
	req->nranges = kept + 1;
}

/* A slot names one address space; a second one in the same trap is rare enough for a broadcast. */
static bool claim(uint64_t root)
{
	if (slot.kind != TLB_NONE && slot.kind != TLB_BROADCAST && slot.root != root)
		widen(&slot, TLB_BROADCAST);
	if (slot.kind == TLB_BROADCAST)
		return false;
	slot.root = root;
	return true;
}

void tlb_stage_range(uint64_t root, uint64_t start, uint64_t pages, bool exec)
{
	if (!pages)
		return;
	slot.exec |= exec;
	if (claim(root))
		tlb_merge_range(&slot, start, pages, PT_TLB_RANGE_PAGES);
}

void tlb_stage_space(uint64_t root)
{
	slot.exec = true; /* nobody said that no executable page is among them */
	if (claim(root))
		widen(&slot, TLB_SPACE);
}

void tlb_stage_broadcast(void)
{
	slot.exec = true;
	widen(&slot, TLB_BROADCAST);
}

void tlb_clear(void)
{
	memset(&slot, 0, sizeof slot);
	gather_taken();
}

bool tlb_names(const struct tlb_request *req, uint64_t start, uint64_t pages)
{
	for (unsigned i = 0; i < req->nranges; i++)
		if (req->range[i].start < start + pages * PAGE_SIZE &&
		    range_end(&req->range[i]) > start)
			return true;
	return req->kind >= TLB_SPACE;
}

bool tlb_contains(const struct tlb_request *req, uint64_t start, uint64_t pages)
{
	for (unsigned i = 0; i < req->nranges; i++)
		if (req->range[i].start <= start &&
		    range_end(&req->range[i]) >= start + pages * PAGE_SIZE)
			return true;
	return req->kind >= TLB_SPACE;
}

bool tlb_covers(uint64_t root, uint64_t start, uint64_t pages)
{
	return (slot.kind == TLB_BROADCAST || slot.root == root) &&
	       tlb_contains(&slot, start, pages);
}

bool tlb_pending(uint64_t root, uint64_t start, uint64_t pages)
{
	return (slot.kind == TLB_BROADCAST || slot.root == root) && tlb_names(&slot, start, pages);
}

bool tlb_idle(void)
{
	return slot.kind == TLB_NONE;
}

enum tlb_kind tlb_take(struct tlb_request *out)
{
	enum tlb_kind kind = slot.kind;

	*out = slot;
	if (kind != TLB_NONE)
		memset(&slot, 0, sizeof slot);
	gather_taken();
	return kind;
}
