// SPDX-License-Identifier: GPL-2.0
/* New lwCs: copies of the one that runs, and of snapshots. */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched/coredump.h>
#include <linux/sched/task_stack.h>

#include "context.h"
#include "create.h"
#include "creds.h"
#include "dirty.h"
#include "files.h"
#include "mask.h"
#include "memory.h"
#include "mutations.h"
#include "share.h"
#include "specs.h"
#include "filter.h"

/* One that is made in an lwC that is refused calls is refused them in any case. */
static int fill_filter(struct lwc *lwc)
{
    struct lwc_filter *above = lwc->creator->filter, *filter;

    if (leave_out("trap_nested"))
        above = NULL;
    if (!above && !(lwc->flags & LWC_TRAP_SYSCALLS))
        return 0;
    filter = lwc_filter_alloc(above);
    if (IS_ERR(filter))
        return PTR_ERR(filter);
    lwc->filter = filter;
    return 0;
}

static int fill(struct lwc *lwc, const struct lwc_specs *specs)
{
    struct mm_struct *mm;
    int err = lwc_share_check(current->mm, current_pt_regs()->sp, specs);

    if (!err)
        err = lwc_share_memory(current->mm, specs);
    if (err)
        return err;
    mm = lwc_memory_copy(current->mm, specs);
    if (IS_ERR(mm))
        return PTR_ERR(mm);
    lwc->mm = mm;
    lwc->pages = mm->total_vm;
    err = lwc_files_make(lwc, specs);
    if (err)
        return err;
    if (lwc_specs_find(specs, LWC_CREDENTIALS, LWC_SHARE))
        lwc_creds_share(lwc, lwc->group->running);
    else
        err = lwc_creds_copy_current(lwc);
    if (!err)
        err = fill_filter(lwc);
    if (!err && specs->access) {
        lwc->access = lwc_mask_of_access(specs);
        err = lwc->access ? 0 : -ENOMEM;
    }
    if (!err && lwc->flags & LWC_SAME_RIGHTS)
        err = lwc_copy_rights(lwc, lwc->creator, LWC_MAY_ENTER);
    return err;
}

/*
 * A copy of the lwC that runs, with room for so many other threads. When it is entered it returns
 * from the call that is being made.
 */
struct lwc *lwc_create_from_current(struct lwc_group *group, u32 flags,
                                    const struct lwc_specs *specs, void __user *result,
                                    unsigned int others)
{
    int err = lwc_within_limits(group, current->mm);
    struct lwc *lwc;

    if (err)
        return ERR_PTR(err);
    lwc = lwc_alloc(group, 1 + others);
    if (!lwc)
        return ERR_PTR(-ENOMEM);
    lwc->flags = flags;
    lwc->creator = group->running;
    lwc->entry.result = result;
    lwc->entry.call = LWC_LEFT_BY_CREATE;
    err = fill(lwc, specs);
    if (err) {
        lwc_destroy(lwc);
        return ERR_PTR(err);
    }
    lwc_cpu_save(&lwc->cpu);
    if (!(flags & LWC_SHARE_SIGNALS))
        lwc_cpu_block_signals(&lwc->cpu);
    return lwc;
}

static int fill_worker(struct lwc *worker, struct lwc *snapshot)
{
    struct mm_struct *mm = lwc_memory_copy(snapshot->mm, NULL);
    int err;

    if (IS_ERR(mm))
        return PTR_ERR(mm);
    /* Pages are compared and put back one by one. */
    set_bit(MMF_DISABLE_THP, &mm->flags);
    worker->mm = mm;
    worker->pages = mm->total_vm;
    err = lwc_files_copy_parked(worker, snapshot);
    if (err)
        return err;
    err = lwc_creds_copy_parked(worker, snapshot);
    if (err)
        return err;
    lwc_cpu_copy(&worker->cpu, &snapshot->cpu);
    err = lwc_copy_rights(worker, snapshot, LWC_MAY_ENTER | LWC_MAY_ACCESS);
    if (err)
        return err;
    if (snapshot->filter) {
        struct lwc_filter *filter = lwc_filter_copy(snapshot->filter);

        if (IS_ERR(filter))
            return PTR_ERR(filter);
        worker->filter = filter;
    }
    worker->dirty = lwc_dirty_start(mm);
    if (!IS_ERR(worker->dirty))
        return 0;
    err = PTR_ERR(worker->dirty);
    worker->dirty = NULL;
    return err;
}

/* A copy of a snapshot, which can be reset to it. */
struct lwc *lwc_create_worker(struct lwc *snapshot)
{
    struct lwc_group *group = snapshot->group;
    int err = lwc_within_limits(group, snapshot->mm);
    struct lwc *worker;

    if (err)
        return ERR_PTR(err);
    worker = lwc_alloc(group, 1);
    if (!worker)
        return ERR_PTR(-ENOMEM);
    worker->flags = snapshot->flags & ~LWC_SUSPEND_ONLY;
    worker->creator = group->running;
    worker->snapshot = snapshot;
    worker->snapshot_id = snapshot->id;
    worker->entry = snapshot->entry;
    err = fill_worker(worker, snapshot);
    if (err) {
        lwc_destroy(worker);
        return ERR_PTR(err);
    }
    return worker;
}
