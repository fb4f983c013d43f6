// SPDX-License-Identifier: GPL-2.0
/* Makes a worker again what its snapshot is. */
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "context.h"
#include "creds.h"
#include "dirty.h"
#include "files.h"
#include "mappings.h"
#include "mutations.h"
#include "pages.h"
#include "reset.h"
#include "threads.h"

static int reset_memory(struct lwc *worker, struct lwc_reset *counts)
{
    struct mm_struct *mm = worker->mm, *snapshot = worker->snapshot->mm;
    int err = down_write_killable(&current->signal->exec_update_lock);

    if (err)
        return err;
    err = mmap_write_lock_killable(snapshot);
    if (err)
        goto unlock;
    mmap_write_lock_nested(mm, SINGLE_DEPTH_NESTING);
    err = lwc_mappings_restore(mm, snapshot, &counts->mappings);
    if (!err)
        err = lwc_pages_restore(worker->dirty, mm, snapshot, counts->mappings != 0, counts);
    mmap_write_unlock(mm);
    mmap_write_unlock(snapshot);
unlock:
    up_write(&current->signal->exec_update_lock);
    return err;
}

static int reset_rest(struct lwc *worker)
{
    const struct lwc *snapshot = worker->snapshot;
    int err = 0;

    if (!leave_out("reset_files"))
        err = lwc_files_copy_parked(worker, snapshot);
    if (!err && !leave_out("reset_creds"))
        err = lwc_creds_copy_parked(worker, snapshot);
    if (err)
        return err;
    lwc_cpu_reset(&worker->cpu, &snapshot->cpu);
    worker->entry = snapshot->entry;
    worker->entered = false;
    worker->last_caller_fd = -1;
    worker->pages = worker->mm->total_vm;
    return 0;
}

/* `worker` is parked. Counts what was done. */
int lwc_reset(struct lwc *worker, struct lwc_reset *counts)
{
    int err;

    if (!worker->snapshot)
        return -ESTALE;
    if (worker->broken)
        return -ENOTRECOVERABLE;
    counts->pages_copied = counts->pages_checked = counts->pages_private = counts->mappings = 0;
    err = lwc_threads_end(worker->mm);
    if (err)
        return err;
    worker->broken = true;
    err = reset_memory(worker, counts);
    if (!err)
        err = reset_rest(worker);
    worker->broken = err;
    return err;
}
