// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a refused system call a switch to the creator of the lwC.
 *
 * The tracepoint sys_enter is passed by every call of every entry, and what its probes make of the
 * number is what the kernel goes by: -1 is no call. A probe may not sleep, so the switch is done by
 * task work, which runs before the thread is back in user space and before it takes a signal. The
 * probe is there only while an lwC has a filter, and a little longer: it is what slows the calls of
 * all other threads down.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <linux/thread_info.h>
#include <linux/workqueue.h>
#include <asm/syscall.h>

#include "context.h"
#include "filter.h"
#include "mutations.h"
#include "refusal.h"
#include "switch.h"
#include "tracepoints.h"

static DEFINE_MUTEX(filters_lock);
static unsigned int filters;
static bool probed;

static void by_task_work(struct callback_head *work);

static void queue(struct lwc_group *group)
{
    refcount_inc(&group->users);
    /* Fails only in a thread that ends, which is not going back to user space. */
    if (task_work_add(current, &group->refusal.work, TWA_RESUME))
        refcount_dec(&group->users);
}

/* Is this the call that was let through once? Any other ends that, also one of a signal handler. */
static bool let_through(struct lwc_group *group, struct pt_regs *regs, long nr)
{
    struct lwc_refusal *refusal = &group->refusal;
    u64 lwc = refusal->once.lwc;
    unsigned long args[ARRAY_SIZE(refusal->once.args)];

    if (!lwc)
        return false;
    if (!leave_out("trap_once"))
        refusal->once.lwc = 0;
    syscall_get_arguments(current, regs, args);
    return lwc == group->running->id && refusal->once.call == (u32)nr && !in_ia32_syscall() &&
           !memcmp(args, refusal->once.args, sizeof(args)) &&
           lwc_filter_may_waive(group->running->filter, nr);
}

static noinline void look_at(struct lwc_group *group, struct pt_regs *regs, long nr)
{
    if (let_through(group, regs, nr))
        return;
    if (!lwc_filter_refuses(group->running->filter, nr) &&
        (!in_ia32_syscall() || leave_out("trap_compat")))
        return;
    group->refusal.answered = false;
    /* The kernel takes 32 bits of it for the number, with a sign. */
    group->refusal.call = (u32)nr | (in_ia32_syscall() ? LWC_TRAP_COMPAT : 0);
    syscall_get_arguments(current, regs, group->refusal.args);
    queue(group);
    if (!leave_out("trap_skip"))
        regs->orig_ax = -1;
}

/* For all threads of the machine: as little as can be. */
static void on_sys_enter(void *unused, struct pt_regs *regs, long nr)
{
    struct lwc_group *group = lwc_group_find();

    if (group && group->running->filter && !group->ending && nr != -1)
        look_at(group, regs, nr);
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

/* The call is made once more: each instruction that makes one is two bytes long. */
static long make_again(u64 call)
{
    current_pt_regs()->ip -= 2;
    return (long)(call & ~LWC_TRAP_COMPAT);
}

/* What is returned then in the lwC that runs by now. */
static long ask_creator(struct lwc_group *group)
{
    const struct lwc_refusal *refusal = &group->refusal;
    struct lwc_entry left = {.call = LWC_LEFT_BY_TRAP, .number = refusal->call};
    struct lwc_switch with = {.flags = LWC_BY_TRAP, .nargs = 7, .args = {refusal->call}};
    struct lwc *creator = who_answers(group), *before = group->running;
    unsigned int i;
    int err;

    if (!creator || (lwc_cpu_can_be_carried() && !leave_out("trap_state")))
        return -EPERM;
    for (i = 0; i < ARRAY_SIZE(refusal->args); i++)
        with.args[1 + i] = refusal->args[i];
    err = lwc_switch_to(group, creator, &with, &left);
    if (group->running != before)
        return err;
    /* A signal is to be taken first. */
    return err == -ERESTARTNOINTR ? make_again(refusal->call) : -EPERM;
}

static void by_task_work(struct callback_head *work)
{
    struct lwc_group *group = container_of(work, struct lwc_group, refusal.work);

    /* Of a thread that ends nothing is left to be switched. */
    if (!(current->flags & PF_EXITING) && !group->ending) {
        struct lwc_refusal *refusal = &group->refusal;

        lwc_group_begin(group);
        current_pt_regs()->ax = refusal->answered ? refusal->answer : ask_creator(group);
        lwc_group_rest(group);
    }
    lwc_group_put(group);
}

void lwc_refusal_init_work(struct lwc_refusal *refusal)
{
    init_task_work(&refusal->work, by_task_work);
}

static long answer_of(struct lwc_group *group, u64 call, const struct lwc_switch *with)
{
    if (with->args[0] == LWC_TRAP_ONCE) {
        struct lwc_refusal *refusal = &group->refusal;

        refusal->once.lwc = group->running->id;
        refusal->once.call = call;
        syscall_get_arguments(current, current_pt_regs(), refusal->once.args);
    }
    if (with->args[0] == LWC_TRAP_AGAIN || with->args[0] == LWC_TRAP_ONCE)
        return make_again(call);
    if (!with->args[0])
        return (long)with->args[1];
    return with->args[0] <= MAX_ERRNO ? -(long)with->args[0] : -EINVAL;
}

/* An lwC is entered again that was left by a refused call. ioctl(2) returns 32 bits, a call 64. */
void lwc_refusal_answer(struct lwc_group *group, u64 call, const struct lwc_switch *with)
{
    group->refusal.answered = true;
    group->refusal.answer = answer_of(group, call, with);
    queue(group);
}

/*
 * The probe stays for a second after the last filter is gone. Putting it there and taking it away
 * rewrites the kernel's text, for which all processors stop; and who serves requests has filters
 * one after the other.
 */
static void take_away(struct work_struct *unused)
{
    mutex_lock(&filters_lock);
    if (probed && !filters) {
        lwc_tracepoint_unregister("sys_enter", on_sys_enter);
        probed = false;
    }
    mutex_unlock(&filters_lock);
}

static DECLARE_DELAYED_WORK(later, take_away);

/* One filter more. */
int lwc_refusal_begin(void)
{
    int err = 0;

    mutex_lock(&filters_lock);
    if (!probed)
        err = lwc_tracepoint_register("sys_enter", on_sys_enter);
    if (!err) {
        probed = true;
        filters++;
    }
    mutex_unlock(&filters_lock);
    return err;
}

void lwc_refusal_end(void)
{
    mutex_lock(&filters_lock);
    if (!--filters)
        mod_delayed_work(system_wq, &later, HZ);
    mutex_unlock(&filters_lock);
}

/* No filter is left, nor can there be another. */
void lwc_refusal_exit(void)
{
    cancel_delayed_work_sync(&later);
    take_away(NULL);
}
