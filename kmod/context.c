// SPDX-License-Identifier: GPL-2.0
/* Light-weight contexts: made, destroyed, and what one may do to another. */
#include <linux/cred.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "context.h"
#include "creds.h"
#include "dirty.h"
#include "files.h"
#include "memory.h"
#include "mutations.h"
#include "filter.h"

atomic_t lwc_live_contexts;
unsigned int lwc_max_contexts = 4096;
unsigned long lwc_max_bytes = 1UL << 42;

static struct lwc_name *name_alloc(struct lwc *lwc, unsigned int owners)
{
    struct lwc_name *name = kzalloc(struct_size(name, owners, owners), GFP_KERNEL_ACCOUNT);

    if (name) {
        refcount_set(&name->users, 1);
        spin_lock_init(&name->lock);
        name->count = owners;
        name->owners[0].task = lwc->group->task;
        name->owners[0].lwc = lwc;
    }
    return name;
}

/* NULL where the thread has no state in the lwC. */
struct lwc_owner *lwc_name_owner(struct lwc_name *name, const struct task_struct *task)
{
    unsigned int i;

    for (i = 0; i < name->count; i++)
        if (READ_ONCE(name->owners[i].task) == task)
            return &name->owners[i];
    return NULL;
}

void lwc_name_put(struct lwc_name *name)
{
    if (refcount_dec_and_test(&name->users))
        kfree(name);
}

/* Of so many threads, the calling one first; 0: of one at a safe point, it gets a name later. */
struct lwc *lwc_alloc(struct lwc_group *group, unsigned int owners)
{
    static atomic64_t last_id;
    struct lwc *lwc = kzalloc(sizeof(*lwc), GFP_KERNEL_ACCOUNT);

    if (!lwc)
        return NULL;
    lwc->group = group;
    lwc->id = atomic64_inc_return(&last_id);
    lwc->last_caller_fd = -1;
    xa_init_flags(&lwc->granted, XA_FLAGS_ACCOUNT);
    lwc->name = owners ? name_alloc(lwc, owners) : NULL;
    lwc->creds = lwc_creds_alloc();
    if ((owners && !lwc->name) || !lwc->creds || lwc_cpu_alloc(&lwc->cpu)) {
        lwc_creds_put(lwc->creds);
        kfree(lwc->name);
        kfree(lwc);
        return NULL;
    }
    list_add_tail(&lwc->list, &group->lwcs);
    group->count++;
    atomic_inc(&lwc_live_contexts);
    return lwc;
}

static void forget_access(struct lwc *lwc)
{
    kfree(lwc->access);
    lwc->access = NULL;
}

/* What it had created passes to its creator, what others knew of it is forgotten. */
static void leave_family(struct lwc *lwc)
{
    struct lwc_group *group = lwc->group;
    struct lwc *other;

    list_for_each_entry(other, &group->lwcs, list)
    {
        if (other->creator == lwc) {
            other->creator = lwc->creator;
            if (!leave_out("adopt_clears_return"))
                other->flags &= ~LWC_MAY_RETURN;
            if (!leave_out("adopt_clears_access"))
                forget_access(other);
        }
        if (other->snapshot == lwc)
            other->snapshot = NULL;
        if (group->grants && xa_erase(&other->granted, lwc->id))
            group->grants--;
    }
    if (group->root == lwc)
        group->root = NULL;
}

void lwc_forget_rights(struct lwc *lwc)
{
    unsigned long id;
    void *entry;

    xa_for_each(&lwc->granted, id, entry) lwc->group->grants--;
    xa_destroy(&lwc->granted);
    forget_access(lwc);
}

/* From here on no other thread comes to it. */
static void leave_name(struct lwc *lwc)
{
    struct lwc_owner *owner = lwc_name_owner(lwc->name, lwc->group->task);

    spin_lock(&lwc->name->lock);
    if (!leave_out("stale_on_close"))
        WRITE_ONCE(owner->lwc, NULL);
    /* Another thread may come to have this address. */
    if (current->flags & PF_EXITING)
        WRITE_ONCE(owner->task, NULL);
    spin_unlock(&lwc->name->lock);
    lwc_name_put(lwc->name);
}

/*
 * What the calling thread has of an lwC goes. Also of one that was made in part only. Not of the
 * one that runs, unless the thread is ending.
 */
void lwc_drop(struct lwc *lwc)
{
    struct lwc_group *group = lwc->group;

    list_del(&lwc->list);
    group->count--;
    lwc_forget_rights(lwc);
    if (!group->ending)
        leave_family(lwc);
    if (lwc->name)
        leave_name(lwc);
    lwc_filter_put(lwc->filter);

    lwc_dirty_free(lwc->dirty);
    if (lwc->mm && !leave_out("destroy_mm"))
        lwc_memory_put(lwc->mm);
    if (lwc->files && !leave_out("destroy_files"))
        lwc_files_put(lwc->files);
    lwc_creds_put(lwc->creds);
    lwc_creds_put(lwc->own_creds);
    lwc_cpu_free(&lwc->cpu);
    kfree(lwc);
    atomic_dec(&lwc_live_contexts);
}

static u32 granted(const struct lwc *holder, const struct lwc *target)
{
    void *rights = xa_load((struct xarray *)&holder->granted, target->id);

    return rights ? xa_to_value(rights) : 0;
}

bool lwc_may_enter(const struct lwc *holder, const struct lwc *target)
{
    return target->creator == holder ||
           (holder->creator == target && holder->flags & LWC_MAY_RETURN) ||
           granted(holder, target) & LWC_MAY_ENTER || leave_out("enter_check");
}

bool lwc_may_access(const struct lwc *holder, const struct lwc *target)
{
    return target->creator == holder || (holder->creator == target && holder->access) ||
           granted(holder, target) & LWC_MAY_ACCESS || leave_out("access_check");
}

int lwc_grant(struct lwc *holder, struct lwc *target, u32 rights)
{
    void *before;

    if (!rights)
        before = xa_erase(&holder->granted, target->id);
    else
        before = xa_store(&holder->granted, target->id, xa_mk_value(rights), GFP_KERNEL_ACCOUNT);
    if (xa_is_err(before))
        return xa_err(before);
    holder->group->grants += (rights ? 1 : 0) - (before ? 1 : 0);
    if (holder->creator != target)
        return 0;
    /* The way back by creation is taken with it. */
    if (!(rights & LWC_MAY_ENTER))
        holder->flags &= ~LWC_MAY_RETURN;
    if (!(rights & LWC_MAY_ACCESS))
        forget_access(holder);
    return 0;
}

/* Those of `which` that are not by creation alone. */
int lwc_copy_rights(struct lwc *to, const struct lwc *from, u32 which)
{
    struct lwc *other;
    int err = 0;

    list_for_each_entry(other, &from->group->lwcs, list)
    {
        u32 rights = granted(from, other);

        if (from->creator == other && from->flags & LWC_MAY_RETURN)
            rights |= LWC_MAY_ENTER;
        if (!leave_out("same_rights"))
            rights &= which;
        if (!err && rights)
            err = lwc_grant(to, other, rights);
    }
    return err;
}

u64 lwc_group_pages(const struct lwc_group *group)
{
    const struct lwc *lwc;
    u64 pages = 0;

    list_for_each_entry(lwc, &group->lwcs, list) if (lwc != group->running) pages += lwc->pages;
    return pages;
}

/* Whether the group may have one lwC more, with as much address space as `more`. */
int lwc_within_limits(struct lwc_group *group, const struct mm_struct *more)
{
    if (group->count >= READ_ONCE(lwc_max_contexts))
        return -ENOSPC;
    if (lwc_group_pages(group) + more->total_vm > READ_ONCE(lwc_max_bytes) >> PAGE_SHIFT)
        return -EDQUOT;
    return 0;
}
