// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the pages of a worker again what they are in its snapshot.
 *
 * A page that the worker wrote was copied for it alone. It gets its contents back and stays the
 * worker's, so that the next write to it does not fault; so it is copied in every reset from then
 * on. Dirty bits could tell that it was not written this time, but not to be relied on: a device
 * writes without the entry's, and the page's cannot be cleared, for reclaim drops a page that was
 * given back (MADV_FREE) if nothing says it is dirty.
 *
 * Which pages to look at: those known as the worker's own, and those the notifier was told of. A
 * page that appears where there was none is not told. But it is one anonymous page more, beside
 * those we look at; if that number is not what it was, all entries are compared.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/rmap.h>

#include "dirty.h"
#include "mutations.h"
#include "pages.h"
#include "series.h"
#include "slot.h"
#include "symbols.h"
#include "uapi/lwc.h"

#define LARGEST_RANGE (64 * PAGE_SIZE) /* told in one, and looked at page by page */

struct pass {
    struct lwc_dirty *dirty;
    struct mm_struct *worker;
    struct mm_struct *snapshot;
    struct lwc_reset *counts;
    struct vm_area_struct *vma; /* the worker's, of the last address */
    long seen;                  /* anonymous pages of the worker that were looked at */
    long joined;                /* of the snapshot, at addresses that were not private before */
};

enum outcome { COPIED, NOT_PRIVATE, NOT_SIMPLE };

static bool can_be_private(const struct vm_area_struct *vma)
{
    return vma && !(vma->vm_flags & (VM_SHARED | VM_PFNMAP | VM_IO | VM_MIXEDMAP)) &&
           !is_vm_hugetlb_page((struct vm_area_struct *)vma);
}

/* The worker's mapping at `address`, if it can have pages of its own; they come in order. */
static struct vm_area_struct *mapping_at(struct pass *pass, unsigned long address)
{
    if (!pass->vma || address < pass->vma->vm_start || address >= pass->vma->vm_end)
        pass->vma = find_vma(pass->worker, address);
    if (!pass->vma || address < pass->vma->vm_start || !can_be_private(pass->vma))
        return NULL;
    return pass->vma;
}

static bool is_anonymous(enum lwc_content content)
{
    return content == LWC_ANON || content == LWC_AWAY;
}

/*
 * Whether somebody beside the worker's memory holds the page: a pipe (vmsplice(2)) or a socket, who
 * would read what the next run writes; a device that has not written yet. Lists of the kernel that
 * hold it for a moment count, too.
 */
static bool is_held(const struct lwc_slot *slot)
{
    struct folio *folio = page_folio(slot->page);

    return folio_ref_count(folio) != 1 + folio_test_swapcache(folio) && !leave_out("reset_held");
}

/* With both entries locked. */
static enum outcome restore_locked(struct vm_area_struct *vma, struct lwc_slot *own,
                                   const struct lwc_slot *original)
{
    if (original->content == LWC_ANON && original->page == own->page)
        return NOT_PRIVATE;
    if (original->page) {
        copy_highpage(own->page, original->page);
    } else if (vma_is_anonymous(vma) &&
               (original->content == LWC_EMPTY || original->content == LWC_FOREIGN)) {
        if (!leave_out("reset_zero"))
            clear_highpage(own->page);
    } else {
        return NOT_SIMPLE;
    }
    /* Its copy in swap is older now; and given back by MADV_FREE it would be dropped. */
    folio_mark_dirty(page_folio(own->page));
    return COPIED;
}

/* The usual case: a small page that only the worker has, and an original that is in memory. */
static enum outcome restore_in_memory(struct pass *pass, struct vm_area_struct *vma,
                                      unsigned long address, unsigned long what)
{
    struct lwc_slot own, original;
    enum outcome outcome;
    bool writable;

    pass->counts->pages_checked++;
    lwc_slot_lock(&own, pass->worker, address, 0);
    pass->seen += is_anonymous(own.content);
    writable = own.content == LWC_ANON && lwc_slot_is_writable(&own);
    lwc_slot_lock(&original, pass->snapshot, address, SINGLE_DEPTH_NESTING);
    if (!(what & LWC_PAGE_PRIVATE))
        pass->joined += is_anonymous(original.content);
    if (!is_anonymous(own.content) && !is_anonymous(original.content))
        outcome = NOT_PRIVATE;
    else if (writable && !is_held(&own)) /* nor have others the page, forked children */
        outcome = restore_locked(vma, &own, &original);
    else if (own.content == LWC_ANON && original.content == LWC_ANON && own.page == original.page)
        outcome = NOT_PRIVATE;
    else
        outcome = NOT_SIMPLE;
    lwc_slot_unlock(&original);
    lwc_slot_unlock(&own);
    return outcome;
}

static int get_page_of(struct mm_struct *mm, unsigned long address, unsigned int flags,
                       struct page **page)
{
    long got = lwc_get_page_of(mm, address, flags | FOLL_FORCE, page);

    /* A file that was cut off meanwhile, broken memory. */
    return got == 1 ? 0 : got == -ENOMEM ? -ENOMEM : -ENOTRECOVERABLE;
}

/* By page faults: brings in what was swapped out; a new page where others have the old one. */
static enum outcome restore_by_faults(struct pass *pass, struct vm_area_struct *vma,
                                      unsigned long address, int *err)
{
    struct page *original, *own;
    struct lwc_slot slot;
    bool shared;

    *err = get_page_of(pass->snapshot, address, 0, &original);
    if (*err)
        return NOT_SIMPLE;
    lwc_slot_lock(&slot, pass->worker, address, 0);
    shared = slot.content == LWC_ANON && slot.page == original;
    lwc_slot_unlock(&slot);
    if (!shared && slot.content == LWC_ANON && slot.pte)
        lwc_zap_page(vma, address);
    if (!shared)
        *err = get_page_of(pass->worker, address, FOLL_WRITE, &own);
    if (!shared && !*err) {
        copy_highpage(own, original);
        set_page_dirty_lock(own);
        put_page(own);
    }
    put_page(original);
    return shared ? NOT_PRIVATE : COPIED;
}

static int note_outcome(struct pass *pass, unsigned long index, unsigned long what,
                        enum outcome outcome)
{
    struct xarray *pages = &pass->dirty->pages;
    void *before;

    pass->counts->pages_copied += outcome == COPIED;
    if (outcome == NOT_PRIVATE) {
        xa_erase(pages, index);
        pass->dirty->private -= !!(what & LWC_PAGE_PRIVATE);
        return 0;
    }
    if (what == LWC_PAGE_PRIVATE)
        return 0;
    before = xa_store(pages, index, xa_mk_value(LWC_PAGE_PRIVATE), GFP_KERNEL_ACCOUNT);
    pass->dirty->private += !(what & LWC_PAGE_PRIVATE);
    return xa_err(before);
}

static int restore(struct pass *pass, unsigned long index, unsigned long what)
{
    unsigned long address = index << PAGE_SHIFT;
    struct vm_area_struct *vma = mapping_at(pass, address);
    enum outcome outcome = NOT_PRIVATE;
    int err = 0;

    if (leave_out("reset_page") || (leave_out("reset_event_page") && what & LWC_PAGE_TOLD))
        return 0;
    if (vma)
        outcome = restore_in_memory(pass, vma, address, what);
    if (outcome == NOT_SIMPLE)
        outcome = restore_by_faults(pass, vma, address, &err);
    return err ?: note_outcome(pass, index, what, outcome);
}

/* Adds what the notifier was told. Returns whether it was too much to look at page by page. */
static int add_told(struct lwc_dirty *dirty, bool *too_much)
{
    struct lwc_log *log = &dirty->drained;
    unsigned int i;

    lwc_dirty_drain(dirty);
    *too_much = log->overflow;
    for (i = 0; i < log->count; i++) {
        unsigned long address = log->at[i].start & PAGE_MASK;

        /* One entry replaced is told alone; a row of them is joined, and as cheap one by one. */
        if (log->at[i].end - address > LARGEST_RANGE) {
            *too_much = true;
            continue;
        }
        for (; address < log->at[i].end; address += PAGE_SIZE) {
            unsigned long index = address >> PAGE_SHIFT;
            void *known = xa_load(&dirty->pages, index);
            unsigned long what = LWC_PAGE_TOLD | (known ? xa_to_value(known) : 0);

            if (xa_err(xa_store(&dirty->pages, index, xa_mk_value(what), GFP_KERNEL_ACCOUNT)))
                return -ENOMEM;
        }
    }
    return 0;
}

static int restore_known(struct pass *pass)
{
    unsigned long index;
    void *what;
    int err;

    xa_for_each(&pass->dirty->pages, index, what)
    {
        err = restore(pass, index, xa_to_value(what));
        if (err)
            return err;
    }
    return 0;
}

static bool differ(struct pass *pass, unsigned long address)
{
    struct lwc_slot own, original;
    bool differ;

    pass->counts->pages_checked++;
    lwc_slot_lock(&own, pass->worker, address, 0);
    lwc_slot_lock(&original, pass->snapshot, address, SINGLE_DEPTH_NESTING);
    differ =
        (is_anonymous(own.content) || is_anonymous(original.content)) &&
        !(own.content == LWC_ANON && original.content == LWC_ANON && own.page == original.page) &&
        !(own.content == LWC_AWAY && original.content == LWC_AWAY && own.pte && original.pte &&
          pte_val(*own.pte) == pte_val(*original.pte));
    lwc_slot_unlock(&original);
    lwc_slot_unlock(&own);
    return differ;
}

static int compare_mapping(struct pass *pass, const struct vm_area_struct *vma)
{
    unsigned long address = vma->vm_start;
    int err;

    while (address < vma->vm_end) {
        unsigned long next = lwc_slot_next(pass->worker, pass->snapshot, address);

        if (next != address) {
            address = next;
            continue;
        }
        if (!xa_load(&pass->dirty->pages, address >> PAGE_SHIFT) && differ(pass, address)) {
            err = restore(pass, address >> PAGE_SHIFT, LWC_PAGE_TOLD);
            if (err)
                return err;
        }
        address += PAGE_SIZE;
    }
    cond_resched();
    return 0;
}

static int compare_everything(struct pass *pass)
{
    VMA_ITERATOR(iterator, pass->worker, 0);
    struct vm_area_struct *vma;
    int err;

    for_each_vma(iterator, vma)
    {
        if (!can_be_private(vma))
            continue;
        err = compare_mapping(pass, vma);
        if (err)
            return err;
    }
    return 0;
}

/*
 * Both are locked for writing, and their mappings are the same. With `everything` all entries are
 * compared. If it fails, a part is restored.
 */
int lwc_pages_restore(struct lwc_dirty *dirty, struct mm_struct *worker, struct mm_struct *snapshot,
                      bool everything, struct lwc_reset *counts)
{
    struct pass pass = {.dirty = dirty, .worker = worker, .snapshot = snapshot, .counts = counts};
    long anonymous = lwc_dirty_count_anonymous(worker);
    bool too_much;
    int err = add_told(dirty, &too_much);

    if (!err)
        err = restore_known(&pass);
    if (err)
        return err;
    if (everything || too_much || anonymous - pass.seen != dirty->outside - pass.joined)
        err = compare_everything(&pass);
    if (err)
        return err;
    lwc_dirty_restart(dirty, worker);
    counts->pages_private = dirty->private;
    return 0;
}
