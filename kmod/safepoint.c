// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that wait at a safe point, and are taken along into a new lwC.
 *
 * A thread saves its own state, as it does in a switch, and waits with it. Who makes the lwC takes
 * all threads that wait, puts into their states what they have in common, and lets them go on; or
 * gives them back as they were. From the one to the other they cannot leave.
 */
#include <linux/fdtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait_bit.h>

#include "context.h"
#include "creds.h"
#include "filter.h"
#include "mask.h"
#include "memory.h"
#include "safepoint.h"
#include "share.h"
#include "specs.h"

struct waiter {
    struct list_head list; /* waiters, or those that one lwC takes */
    const struct signal_struct *process;
    const struct mm_struct *mm;
    const struct files_struct *files;
    struct lwc *lwc;
    enum { WAITING, TAKEN, DONE } state;
    int fd; /* DONE: of the new lwC */
    wait_queue_head_t changed;
};

static LIST_HEAD(waiters);
static DEFINE_SPINLOCK(waiters_lock);

/* In the lwC that the calling thread is in. */
static bool is_here(const struct waiter *waiter)
{
    return (waiter->process == current->signal && waiter->mm == current->mm &&
            waiter->files == current->files);
}

/* Those that make lwCs wait by the address of the memory. */
static void wake_creators(void)
{
    smp_mb(); /* between the list and the look whether anybody waits */
    wake_up_var(current->mm);
}

static bool take(struct list_head *threads, unsigned int wanted)
{
    struct waiter *waiter, *next;
    unsigned int count = 0;

    spin_lock(&waiters_lock);
    list_for_each_entry(waiter, &waiters, list) count += is_here(waiter);
    if (count >= wanted)
        list_for_each_entry_safe(waiter, next, &waiters, list)
        {
            if (!is_here(waiter))
                continue;
            waiter->state = TAKEN;
            list_move_tail(&waiter->list, threads);
        }
    spin_unlock(&waiters_lock);
    return count >= wanted;
}

/* All threads that wait here, and no less than are wanted; their number. */
int lwc_safepoint_take(struct list_head *threads, const struct lwc_specs *specs,
                       unsigned int wanted)
{
    int err = wait_var_event_interruptible(current->mm, take(threads, wanted));
    const struct waiter *waiter;
    int count = 0;

    list_for_each_entry(waiter, threads, list)
    {
        if (lwc_share_touches(current->mm, waiter->lwc->cpu.regs.sp, specs))
            err = -EINVAL;
        count++;
    }
    if (err)
        lwc_safepoint_give_back(threads);
    return err ?: count;
}

/* What of their states can fail; it is taken back when they are given back. */
int lwc_safepoint_prepare(struct list_head *threads, const struct lwc *lwc,
                          const struct lwc_specs *specs)
{
    struct waiter *waiter;
    int err = 0;

    list_for_each_entry(waiter, threads, list)
    {
        struct lwc *state = waiter->lwc;

        if (specs->access) {
            state->access = lwc_mask_of_access(specs);
            err = state->access ? 0 : -ENOMEM;
        }
        if (!err && lwc->flags & LWC_SAME_RIGHTS)
            err = lwc_copy_rights(state, state->creator, LWC_MAY_ENTER);
        if (err)
            break;
    }
    return err;
}

void lwc_safepoint_give_back(struct list_head *threads)
{
    struct waiter *waiter, *next;

    list_for_each_entry(waiter, threads, list) lwc_forget_rights(waiter->lwc);
    spin_lock(&waiters_lock);
    list_for_each_entry_safe(waiter, next, threads, list)
    {
        waiter->state = WAITING;
        list_move_tail(&waiter->list, &waiters);
        wake_up(&waiter->changed);
    }
    spin_unlock(&waiters_lock);
    /* Somebody else may have waited for them. */
    wake_creators();
}

/* Makes the state of a thread one of `lwc`. */
static void fill(struct lwc *state, const struct lwc *lwc, const struct lwc_specs *specs)
{
    state->id = lwc->id;
    state->flags = lwc->flags;
    state->pages = lwc->pages;
    state->mm = lwc->mm;
    mmget(state->mm);
    state->files = lwc->files;
    atomic_inc(&state->files->count);
    if (lwc_specs_find(specs, LWC_CREDENTIALS, LWC_SHARE))
        lwc_creds_share(state, state->creator);
    if (!(state->flags & LWC_SHARE_SIGNALS))
        lwc_cpu_block_signals(&state->cpu);
    state->filter = lwc->filter;
    if (state->filter)
        refcount_inc(&state->filter->users);
    state->name = lwc->name;
    refcount_inc(&state->name->users);
    state->group->shared = true;
}

/* `lwc`, of the calling thread, is also theirs, and they go on. It may be destroyed at once. */
void lwc_safepoint_finish(struct list_head *threads, struct lwc *lwc, const struct lwc_specs *specs,
                          int fd)
{
    struct lwc_owner *owner = lwc->name->owners;
    struct waiter *waiter, *next;

    if (list_empty(threads))
        return;
    lwc->group->shared = true;
    list_for_each_entry(waiter, threads, list)
    {
        fill(waiter->lwc, lwc, specs);
        owner++;
        owner->task = waiter->lwc->group->task;
        owner->lwc = waiter->lwc;
    }
    spin_lock(&waiters_lock);
    list_for_each_entry_safe(waiter, next, threads, list)
    {
        list_del(&waiter->list);
        waiter->fd = fd;
        waiter->state = DONE;
        wake_up(&waiter->changed);
    }
    spin_unlock(&waiters_lock);
}

/* The descriptor of the lwC that this thread has got a state in, or -ERESTARTSYS. */
static int wait_for_creator(struct waiter *self)
{
    int err;

    spin_lock(&waiters_lock);
    list_add_tail(&self->list, &waiters);
    spin_unlock(&waiters_lock);
    wake_creators();
    err = wait_event_interruptible(self->changed, READ_ONCE(self->state) == DONE);
    spin_lock(&waiters_lock);
    while (self->state == TAKEN) {
        spin_unlock(&waiters_lock);
        wait_event(self->changed, READ_ONCE(self->state) != TAKEN);
        spin_lock(&waiters_lock);
    }
    if (self->state != DONE)
        list_del(&self->list);
    spin_unlock(&waiters_lock);
    return self->state == DONE ? self->fd : err;
}

/* The state that the calling thread is to have in an lwC, as it is now. */
static struct lwc *make_state(struct lwc_group *group, void __user *result)
{
    int err = lwc_within_limits(group, current->mm);
    struct lwc *lwc;

    if (err)
        return ERR_PTR(err);
    lwc = lwc_alloc(group, 0);
    if (!lwc)
        return ERR_PTR(-ENOMEM);
    lwc->creator = group->running;
    lwc->entry.result = result;
    lwc->entry.call = LWC_LEFT_BY_SAFEPOINT;
    err = lwc_creds_copy_current(lwc);
    if (err) {
        lwc_drop(lwc);
        return ERR_PTR(err);
    }
    lwc_cpu_save(&lwc->cpu);
    return lwc;
}

/* The descriptor of an lwC in which the calling thread has got a state, or an error. */
int lwc_safepoint_wait(struct lwc_group *group, struct lwc_safepoint __user *result)
{
    struct waiter self = {
        .process = current->signal,
        .mm = current->mm,
        .files = current->files,
        .lwc = make_state(group, result),
        .state = WAITING,
    };
    int fd;

    if (IS_ERR(self.lwc))
        return PTR_ERR(self.lwc);
    init_waitqueue_head(&self.changed);
    fd = wait_for_creator(&self);
    if (fd < 0)
        lwc_drop(self.lwc);
    return fd;
}
