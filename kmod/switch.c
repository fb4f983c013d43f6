// SPDX-License-Identifier: GPL-2.0
/*
 * lwSwitch: leaves the lwC that runs and enters another, without the scheduler.
 *
 * What the kernel keeps with the task is exchanged in the order in which execve(2) does it.
 */
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "context.h"
#include "creds.h"
#include "dirty.h"
#include "files.h"
#include "mask.h"
#include "memory.h"
#include "mutations.h"
#include "name.h"
#include "switch.h"
#include "tracer.h"

/* From here on `to` runs. Nothing can fail. */
static void exchange(struct lwc *from, struct lwc *to)
{
    from->mm = current->mm;
    from->pages = from->mm->total_vm;
    lwc_cpu_save(&from->cpu);
    lwc_memory_switch(to->mm);
    to->mm = NULL;
    if (leave_out("switch_files")) {
        from->files = to->files;
    } else {
        from->files = lwc_files_swap(to->files);
    }
    to->files = NULL;
    lwc_creds_switch(from, to);
    lwc_cpu_load(&to->cpu);
    to->group->running = to;
    to->group->switches++;
}

/* The descriptor of `lwc` for the one that runs now, if it may know of it. */
static int descriptor_for(struct lwc *running, struct lwc *lwc, int guess)
{
    if (!lwc || !lwc_may_enter(running, lwc))
        return LWC_FD_NONE;
    return lwc_name_for_current(lwc, guess);
}

/* That of its creator for one that is entered for the first time; it has the mask it was given. */
static int descriptor_of_creator(struct lwc *running)
{
    struct lwc_specs *mask;

    if (!running->creator || !running->access)
        return descriptor_for(running, running->creator, -1);
    mask = lwc_mask_copy(running->access);
    return mask ? lwc_name_install(running->creator, mask) : LWC_FD_NONE;
}

/* What the structures of LWC_IOC_CREATE and LWC_IOC_SAFEPOINT end with. */
struct arrival {
    u32 event;
    s32 fd;
    s32 caller;
    u32 nargs;
    u64 args[LWC_MAX_ARGS];
};

static_assert(sizeof(struct lwc_create) - offsetof(struct lwc_create, event) ==
              sizeof(struct arrival));
static_assert(sizeof(struct lwc_safepoint) - offsetof(struct lwc_safepoint, event) ==
              sizeof(struct arrival));

static int report_arrival(struct arrival __user *to, struct lwc *lwc, struct lwc *from,
                          const struct lwc_switch *with)
{
    struct arrival result = {
        .event = with->flags & LWC_BY_TRAP ? LWC_TRAPPED : LWC_ENTERED,
        .nargs = with->nargs,
    };

    /* In this order: who comes is the creator mostly, and then there is one descriptor of it. */
    result.fd = descriptor_of_creator(lwc);
    result.caller = descriptor_for(lwc, from, result.fd);
    lwc->last_caller_fd = result.caller;
    memcpy(result.args, with->args, sizeof(result.args));
    return copy_to_user(to, &result, sizeof(result)) ? -EFAULT : 0;
}

static int report_return(struct lwc *lwc, struct lwc *from, const struct lwc_switch *with)
{
    struct lwc_switch result = *with;
    struct lwc_switch __user *to = lwc->entry.result;

    result.caller = descriptor_for(lwc, from, lwc->last_caller_fd);
    lwc->last_caller_fd = result.caller;
    result.flags = with->flags & LWC_BY_TRAP;
    return copy_to_user(&to->flags, &result.flags,
                        sizeof(result) - offsetof(struct lwc_switch, flags))
               ? -EFAULT
               : 0;
}

/* Who ends takes no signal any more, and may be waited for. */
static int lock_against_tracers(bool ends)
{
    struct mutex *mutex = &current->signal->cred_guard_mutex;

    return ends ? mutex_lock_killable(mutex) : mutex_lock_interruptible(mutex);
}

/* As lwc_switch_to(), without what the one tells the other. */
static int change(struct lwc *from, struct lwc *to, bool ends)
{
    const struct cred *next = lwc_creds_next(from, to);
    bool guarded = lwc_tracer_matters(next, to->mm);
    int err;

    err = guarded ? lock_against_tracers(ends) : 0;
    if (err)
        return -ERESTARTNOINTR;
    if (guarded && !lwc_tracer_may_follow(next, to->mm))
        err = -EPERM;
    else
        /* Nobody shall see the credentials of one with the memory of the other: ptrace(2), /proc.
         */
        err = down_write_killable(&current->signal->exec_update_lock);
    if (!err) {
        exchange(from, to);
        up_write(&current->signal->exec_update_lock);
    }
    if (guarded)
        mutex_unlock(&current->signal->cred_guard_mutex);
    return err;
}

/* To the root lwC, for a thread that ends. It stays where it is if it cannot be there. */
void lwc_switch_to_root(struct lwc_group *group)
{
    lwc_group_begin(group);
    if (group->root && group->root != group->running && !lwc_cpu_can_be_carried())
        change(group->running, group->root, true);
    lwc_group_rest(group);
}

/*
 * Returns in `to`: what it returns is the result of the call by which `to` was left, as the
 * registers are. Before anything has happened it can return an error in the caller. `left` is how
 * the caller leaves. To be called between lwc_group_begin() and lwc_group_rest().
 */
int lwc_switch_to(struct lwc_group *group, struct lwc *to, const struct lwc_switch *with,
                  const struct lwc_entry *left)
{
    struct lwc *from = group->running;
    void __user *result;
    int err = change(from, to, false);

    if (err)
        return err;
    from->entry = *left;
    from->entered = true;
    if (with->flags & LWC_DISCARD) {
        lwc_destroy(from);
        from = NULL;
    } else if (lwc_is_doomed(from)) {
        lwc_drop(from);
        from = NULL;
    }
    to->entered = true;
    result = to->entry.result;
    switch (to->entry.call) {
    case LWC_LEFT_BY_CREATE:
        return report_arrival(result + offsetof(struct lwc_create, event), to, from, with);
    case LWC_LEFT_BY_SAFEPOINT:
        return report_arrival(result + offsetof(struct lwc_safepoint, event), to, from, with);
    case LWC_LEFT_BY_SWITCH:
        return report_return(to, from, with);
    case LWC_LEFT_BY_TRAP:
        lwc_refusal_answer(group, to->entry.number, with);
        return 0;
    }
    return 0;
}
