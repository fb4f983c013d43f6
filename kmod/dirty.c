// SPDX-License-Identifier: GPL-2.0
/* Logs what a worker may have changed. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "dirty.h"
#include "series.h"

static int note_range(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
    struct lwc_dirty *dirty = container_of(notifier, struct lwc_dirty, notifier);
    struct lwc_log *log = &dirty->log;

    spin_lock(&dirty->lock);
    if (log->count && log->at[log->count - 1].end == range->start &&
        range->end - range->start == PAGE_SIZE) {
        log->at[log->count - 1].end = range->end;
    } else if (log->count < LWC_LOG_ROOM) {
        log->at[log->count].start = range->start;
        log->at[log->count++].end = range->end;
    } else {
        log->overflow = true;
    }
    spin_unlock(&dirty->lock);
    return 0;
}

static const struct mmu_notifier_ops operations = {
    .invalidate_range_start = note_range,
};

/* Of all pages, wherever they are now. */
long lwc_dirty_count_anonymous(struct mm_struct *mm)
{
    return lwc_counter(mm, MM_ANONPAGES) + lwc_counter(mm, MM_SWAPENTS);
}

/* A memory that shares all pages with its snapshot, and that no task is in. */
struct lwc_dirty *lwc_dirty_start(struct mm_struct *mm)
{
    struct lwc_dirty *dirty = kvzalloc(sizeof(*dirty), GFP_KERNEL_ACCOUNT);
    int err;

    if (!dirty)
        return ERR_PTR(-ENOMEM);
    spin_lock_init(&dirty->lock);
    xa_init_flags(&dirty->pages, XA_FLAGS_ACCOUNT);
    dirty->notifier.ops = &operations;
    err = mmu_notifier_register(&dirty->notifier, mm);
    if (err) {
        kvfree(dirty);
        return ERR_PTR(err);
    }
    dirty->outside = lwc_dirty_count_anonymous(mm);
    return dirty;
}

void lwc_dirty_free(struct lwc_dirty *dirty)
{
    if (!dirty)
        return;
    mmu_notifier_unregister(&dirty->notifier, dirty->notifier.mm);
    xa_destroy(&dirty->pages);
    kvfree(dirty);
}

/* Moves the log to where it can be read. */
void lwc_dirty_drain(struct lwc_dirty *dirty)
{
    struct lwc_log *log = &dirty->log;

    spin_lock(&dirty->lock);
    dirty->drained.count = log->count;
    dirty->drained.overflow = log->overflow;
    memcpy(dirty->drained.at, log->at, log->count * sizeof(log->at[0]));
    log->count = 0;
    log->overflow = false;
    spin_unlock(&dirty->lock);
}

/*
 * The memory is as the snapshot's again. What was logged meanwhile were our own changes, and the
 * reclaim of pages that nobody has written to since.
 */
void lwc_dirty_restart(struct lwc_dirty *dirty, struct mm_struct *mm)
{
    spin_lock(&dirty->lock);
    dirty->log.count = 0;
    dirty->log.overflow = false;
    spin_unlock(&dirty->lock);
    dirty->outside = lwc_dirty_count_anonymous(mm) - (long)dirty->private;
}

unsigned long lwc_dirty_private(const struct lwc_dirty *dirty)
{
    return dirty->private;
}
