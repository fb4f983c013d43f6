/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a worker may have changed since it was last reset.
 *
 * The memory subsystem tells a mmu notifier of every page table entry it takes away or replaces:
 * the copy of a page shared with the snapshot, pages given back, unmapped, moved, swapped out.
 * Their addresses are logged. It does not tell of entries that are added where none was; how many
 * anonymous pages there are beside the known ones tells whether there are any
 * (lwc_pages_restore()).
 *
 * Pages that a worker once copied stay its own, and are looked at in every reset.
 */
#ifndef _LWC_DIRTY_H
#define _LWC_DIRTY_H

#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#define LWC_LOG_ROOM 1024

struct lwc_log {
    unsigned int count;
    bool overflow;
    struct {
        unsigned long start;
        unsigned long end;
    } at[LWC_LOG_ROOM];
};

struct lwc_dirty {
    struct mmu_notifier notifier;
    spinlock_t lock; /* log */
    struct lwc_log log;
    struct lwc_log drained;

    /* Used by the group's task alone. */
    struct xarray pages;   /* by address >> PAGE_SHIFT: LWC_PAGE_* */
    unsigned long private; /* how many */
    long outside; /* anonymous pages, also swapped ones, beside those, after the last reset */
};

#define LWC_PAGE_PRIVATE 1ul /* was the worker's own after the last reset */
#define LWC_PAGE_TOLD 2ul    /* the notifier was told of it since */

struct lwc_dirty *lwc_dirty_start(struct mm_struct *mm);
void lwc_dirty_free(struct lwc_dirty *dirty);
void lwc_dirty_drain(struct lwc_dirty *dirty);
void lwc_dirty_restart(struct lwc_dirty *dirty, struct mm_struct *mm);
unsigned long lwc_dirty_private(const struct lwc_dirty *dirty);
long lwc_dirty_count_anonymous(struct mm_struct *mm);

#endif
