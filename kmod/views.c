// SPDX-License-Identifier: GPL-2.0
/*
 * An lwC of several threads is destroyed by one of them.
 *
 * What the others have of it is in their groups, which are theirs alone. They are asked to drop it
 * on their next way to user space. But a thread can sleep for long, and with it would stay memory,
 * and descriptors at whose other end somebody waits: these are taken from it at once.
 */
#include <linux/fdtable.h>
#include <linux/spinlock.h>

#include "context.h"
#include "files.h"
#include "memory.h"
#include "mutations.h"

bool lwc_is_doomed(const struct lwc *lwc)
{
    return READ_ONCE(lwc->name->destroyed);
}

/* What other threads have destroyed and this one is not in. */
static void reap(struct lwc_group *group)
{
    struct lwc *lwc, *next;

    list_for_each_entry_safe(lwc, next, &group->lwcs,
                             list) if (lwc != group->running && lwc->name && lwc_is_doomed(lwc))
        lwc_drop(lwc);
}

/* Also after the group has ended: then it is empty. */
void lwc_reap_by_task_work(struct callback_head *work)
{
    struct lwc_group *group = container_of(work, struct lwc_group, reap);

    spin_lock(&group->lock);
    group->reaping = group->doomed = false;
    spin_unlock(&group->lock);
    reap(group);
    lwc_group_put(group);
}

/*
 * Until lwc_group_rest() what is parked in the calling thread's group stays. What others have
 * destroyed until now is dropped: no pointer to an lwC of the group, but to the one that runs and
 * to the root lwC, may be kept over the first call.
 */
void lwc_group_begin(struct lwc_group *group)
{
    bool doomed;

    if (!group->shared || group->busy)
        return;
    spin_lock(&group->lock);
    group->busy = true;
    doomed = group->doomed;
    group->doomed = false;
    spin_unlock(&group->lock);
    if (doomed)
        reap(group);
}

void lwc_group_rest(struct lwc_group *group)
{
    if (!group || !group->busy)
        return;
    spin_lock(&group->lock);
    group->busy = false;
    spin_unlock(&group->lock);
}

/* The lock of its name is held: its thread is there, and cannot drop it meanwhile. */
static void doom(struct lwc *lwc, struct mm_struct **mm, struct files_struct **files)
{
    struct lwc_group *group = lwc->group;

    spin_lock(&group->lock);
    if (!group->busy && lwc != group->running && !leave_out("doom_release")) {
        swap(lwc->mm, *mm);
        swap(lwc->files, *files);
    }
    group->doomed = true;
    if (!group->reaping && !leave_out("doom_reap")) {
        refcount_inc(&group->users);
        if (WARN_ON_ONCE(task_work_add(group->task, &group->reap, TWA_RESUME)))
            refcount_dec(&group->users);
        else
            group->reaping = true;
    }
    spin_unlock(&group->lock);
}

static void doom_for(struct lwc_name *name, const struct lwc_owner *owner)
{
    const struct task_struct *task = owner->task;
    struct files_struct *files = NULL;
    struct mm_struct *mm = NULL;

    spin_lock(&name->lock);
    name->destroyed = true;
    if (owner->lwc && task != current)
        doom(owner->lwc, &mm, &files);
    spin_unlock(&name->lock);
    if (mm)
        lwc_memory_put_for(mm, task);
    if (files)
        lwc_files_put(files);
}

/* For all threads that have a state in it. */
void lwc_destroy(struct lwc *lwc)
{
    unsigned int i;

    if (lwc->name->count > 1 && !leave_out("doom_others"))
        for (i = 0; i < lwc->name->count; i++)
            doom_for(lwc->name, &lwc->name->owners[i]);
    lwc_drop(lwc);
}
