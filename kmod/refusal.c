// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a refused system call a switch to the creator of the lwC.
 *
 * The tracepoint sys_enter is passed by every call of every entry, and what its probes make of the
 * number is what the kernel goes by: -1 is no call. A probe may not sleep, so the switch is done by
 * task work, which runs before the thread is back in user space and before it takes a signal. The
 * probe is there only while an lwC has a trap: it is what slows the calls of all other threads
 * down.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/thread_info.h>
#include <asm/syscall.h>

#include "context.h"
#include "mutations.h"
#include "refusal.h"
#include "switch.h"
#include "tracepoints.h"
#include "filter.h"

static DEFINE_MUTEX(traps_lock);
static unsigned int traps;

static void by_task_work(struct callback_head *work);

static void note(struct lwc_refusal *refusal, const struct pt_regs *regs, long nr)
{
    refusal->call = nr;
    if (in_ia32_syscall())
        refusal->call |= LWC_TRAP_COMPAT;
    syscall_get_arguments(current, (struct pt_regs *)regs, refusal->args);
}

static void on_sys_enter(void *unused, struct pt_regs *regs, long nr)
{
    struct lwc_group *group = lwc_group_find();

    if (!group || !group->running->filter || group->ending || nr == -1)
        return;
    if (!lwc_filter_refuses(group->running->filter, nr) &&
        (!in_ia32_syscall() || leave_out("trap_compat")))
        return;
    note(&group->refusal, regs, nr);
    refcount_inc(&group->users);
    /* Fails only in a thread that ends, which makes no more calls. */
    if (WARN_ON_ONCE(task_work_add(current, &group->refusal.work, TWA_RESUME)))
        refcount_dec(&group->users);
    if (!leave_out("trap_skip"))
        regs->orig_ax = -1;
}

/* Whom a refused call goes to, or NULL. It runs if it waits in a call of its own for an answer. */
static struct lwc *who_answers(struct lwc_group *group)
{
    struct lwc *creator = group->running->creator;

    if (!creator || creator->broken || creator->flags & LWC_SUSPEND_ONLY ||
        creator->entry.call == LWC_LEFT_BY_TRAP)
        return NULL;
    return creator;
}

static long go_to_creator(struct lwc_group *group)
{
    const struct lwc_refusal *refusal = &group->refusal;
    struct lwc_entry left = {.call = LWC_LEFT_BY_TRAP, .number = refusal->call};
    struct lwc_switch with = {.flags = LWC_BY_TRAP, .nargs = 7, .args = {refusal->call}};
    struct lwc *creator = who_answers(group), *before = group->running;
    unsigned int i;
    long result;

    for (i = 0; i < ARRAY_SIZE(refusal->args); i++)
        with.args[1 + i] = refusal->args[i];
    if (!creator)
        return -EPERM;
    result = lwc_switch_to(group, creator, &with, &left);
    if (group->running != before)
        return result;
    /* A signal is to be taken first: then the call is made, and refused, once more. */
    if (result == -ERESTARTNOINTR) {
        current_pt_regs()->ip -= 2;
        return (u32)refusal->call & ~(u32)LWC_TRAP_COMPAT;
    }
    return -EPERM;
}

static void by_task_work(struct callback_head *work)
{
    struct lwc_group *group = container_of(work, struct lwc_group, refusal.work);

    /* Of a thread that ends nothing is left to be switched. */
    if (!(current->flags & PF_EXITING) && !group->ending) {
        /* Of the lwC that runs by now: the one entered, as a rule. */
        long result = go_to_creator(group);

        current_pt_regs()->ax = result;
    }
    lwc_group_put(group);
}

void lwc_refusal_init_work(struct lwc_refusal *refusal)
{
    init_task_work(&refusal->work, by_task_work);
}

/* What a refused call returns now that its lwC is entered again. */
long lwc_refusal_answer(u64 call, const struct lwc_switch *with)
{
    if (with->args[0] == LWC_TRAP_AGAIN) {
        /* Each instruction that makes a call is two bytes long. */
        current_pt_regs()->ip -= 2;
        return (long)(call & ~LWC_TRAP_COMPAT);
    }
    if (!with->args[0])
        return (long)with->args[1];
    return with->args[0] <= MAX_ERRNO ? -(long)with->args[0] : -EINVAL;
}

/* One trap more. */
int lwc_refusal_begin(void)
{
    int err = 0;

    mutex_lock(&traps_lock);
    if (!traps)
        err = lwc_tracepoint_register("sys_enter", on_sys_enter);
    if (!err)
        traps++;
    mutex_unlock(&traps_lock);
    return err;
}

void lwc_refusal_end(void)
{
    mutex_lock(&traps_lock);
    if (!--traps)
        lwc_tracepoint_unregister("sys_enter", on_sys_enter);
    mutex_unlock(&traps_lock);
}
