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
#include "tracer.h"

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

static int overlay_unguarded(struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    const struct lwc_spec *credentials = lwc_specs_has(specs, LWC_CREDENTIALS);
    int err = overlay_memory(running, source, specs);

    if (!err && credentials)
        err = lwc_creds_overlay(running, source, credentials->action);
    return err;
}

/* All but descriptors. A tracer would see what is overlaid, as if it had followed there. */
static int overlay_state(struct lwc *running, struct lwc *source, const struct lwc_specs *specs)
{
    const struct cred *next = NULL;
    const struct mm_struct *memory = NULL;
    int err;

    if (lwc_specs_has(specs, LWC_CREDENTIALS))
        next = lwc_creds_overlaid(running, source);
    if (source != running && lwc_specs_has(specs, LWC_MEMORY))
        memory = source->mm;
    if (!lwc_tracer_matters(next, memory))
        return overlay_unguarded(running, source, specs);
    if (mutex_lock_interruptible(&current->signal->cred_guard_mutex))
        return -ERESTARTNOINTR;
    err = lwc_tracer_may_follow(next, memory) || leave_out("overlay_tracer")
              ? overlay_unguarded(running, source, specs)
              : -EPERM;
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
    if (!lwc_specs_has(specs, LWC_FILES))
        return overlay_state(running, source, specs);
    if (lwc_specs_find(specs, LWC_FILES, LWC_SHARE))
        return overlay_table(running, source, specs);
    return overlay_descriptors(running, source, specs);
}
