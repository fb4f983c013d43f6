// SPDX-License-Identifier: GPL-2.0
/*
 * lwcOverlay: resources of another lwC in the place of those of the one that runs.
 *
 * What is wrong is found first. Descriptors come last: to close one can destroy the source.
 */
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/sched/signal.h>

#include "context.h"
#include "creds.h"
#include "files.h"
#include "graft.h"
#include "mutations.h"
#include "overlay.h"
#include "share.h"
#include "specs.h"

static bool shares_something(const struct lwc_specs *specs)
{
    return lwc_specs_find(specs, LWC_MEMORY, LWC_SHARE) ||
           lwc_specs_find(specs, LWC_FILES, LWC_SHARE) ||
           lwc_specs_find(specs, LWC_CREDENTIALS, LWC_SHARE);
}

static int check(const struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    int err;

    if (source == running)
        return lwc_graft_check(NULL, specs);
    if (source->flags & LWC_SUSPEND_ONLY && shares_something(specs) &&
        !leave_out("overlay_of_snapshots"))
        return -EROFS;
    if (source->broken)
        return -ENOTRECOVERABLE;
    err = lwc_graft_check(source->mm, specs);
    return err ?: lwc_share_check(source->mm, source->cpu.regs.sp, specs);
}

static int overlay_memory(const struct lwc *running, struct lwc *source,
                          const struct lwc_specs *specs)
{
    int err;

    if (!lwc_specs_has(specs, LWC_MEMORY))
        return 0;
    if (source == running)
        return lwc_graft_remove(specs);
    err = lwc_share_memory(source->mm, specs);
    return err ?: lwc_graft(source->mm, specs);
}

/* All but descriptors. Nobody may begin to trace the thread after his right to was checked. */
static int overlay_state(struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    const struct lwc_spec *credentials = lwc_specs_has(specs, LWC_CREDENTIALS);
    int err;

    if (!credentials)
        return overlay_memory(running, source, specs);
    if (mutex_lock_interruptible(&current->signal->cred_guard_mutex))
        return -ERESTARTNOINTR;
    err = lwc_creds_overlay_check(running, source);
    if (!err)
        err = overlay_memory(running, source, specs);
    if (!err)
        err = lwc_creds_overlay(running, source, credentials->action);
    mutex_unlock(&current->signal->cred_guard_mutex);
    return err;
}

static int overlay_from_itself(struct lwc *running, const struct lwc_specs *specs)
{
    int err = overlay_state(running, running, specs);

    if (!err)
        lwc_files_close(specs);
    return err;
}

static int overlay_table(struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    struct files_struct *files = source->files;
    int err;

    atomic_inc(&files->count);
    err = overlay_state(running, source, specs);
    if (!err && files != current->files)
        lwc_files_join(files);
    else
        lwc_files_put(files);
    return err;
}

static int overlay_descriptors(struct lwc *running, struct lwc *source,
                               const struct lwc_specs *specs)
{
    struct lwc_files_held *held = lwc_files_hold(source->files, specs);
    int err;

    if (IS_ERR(held))
        return PTR_ERR(held);
    err = overlay_state(running, source, specs);
    if (!err)
        err = lwc_files_overlay(held, specs);
    lwc_files_let_go(held);
    return err;
}

/* `source` may be gone afterwards. */
int lwc_overlay(struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    int err = check(running, source, specs);

    if (err)
        return err;
    if (source == running)
        return overlay_from_itself(running, specs);
    if (lwc_specs_find(specs, LWC_FILES, LWC_SHARE))
        return overlay_table(running, source, specs);
    return overlay_descriptors(running, source, specs);
}
