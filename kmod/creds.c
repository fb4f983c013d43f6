// SPDX-License-Identifier: GPL-2.0
/* Credentials of lwCs: copied, shared, switched. */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/sched/coredump.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "context.h"
#include "creds.h"
#include "mutations.h"

struct lwc_creds *lwc_creds_alloc(void)
{
    struct lwc_creds *creds = kzalloc(sizeof(*creds), GFP_KERNEL_ACCOUNT);

    if (creds)
        refcount_set(&creds->users, 1);
    return creds;
}

void lwc_creds_put(struct lwc_creds *creds)
{
    if (!creds || !refcount_dec_and_test(&creds->users))
        return;
    if (creds->parked)
        put_cred(creds->parked);
    kfree(creds);
}

int lwc_creds_copy_current(struct lwc *to)
{
    struct cred *copy = prepare_creds();

    if (!copy)
        return -ENOMEM;
    to->creds->parked = copy;
    return 0;
}

void lwc_creds_share(struct lwc *to, struct lwc *with)
{
    lwc_creds_put(to->creds);
    refcount_inc(&with->creds->users);
    to->creds = with->creds;
}

/*
 * Credentials are never written once a task had them, so one object serves both. Who shares those
 * that `to` has had until now keeps them. What it had put aside is forgotten.
 */
int lwc_creds_copy_parked(struct lwc *to, const struct lwc *from)
{
    struct lwc_creds *creds = lwc_creds_alloc();

    if (!creds)
        return -ENOMEM;
    creds->parked = get_cred(from->creds->parked);
    lwc_creds_put(to->creds);
    to->creds = creds;
    if (!leave_out("reset_own_creds")) {
        lwc_creds_put(to->own_creds);
        to->own_creds = NULL;
    }
    return 0;
}

bool lwc_creds_change(const struct lwc *from, const struct lwc *to)
{
    return from->creds != to->creds && to->creds->parked != current_cred();
}

static bool are_no_more(const struct cred *than, const struct cred *these)
{
    return uid_eq(these->uid, than->uid) && uid_eq(these->euid, than->euid) &&
           uid_eq(these->suid, than->suid) && gid_eq(these->gid, than->gid) &&
           gid_eq(these->egid, than->egid) && gid_eq(these->sgid, than->sgid) &&
           these->user_ns == than->user_ns &&
           cap_issubset(these->cap_permitted, than->cap_permitted);
}

/* Of a thread that is traced. */
bool lwc_tracer_may_all(void)
{
    const struct cred *tracer;
    bool may;

    rcu_read_lock();
    tracer = rcu_dereference(current->ptracer_cred);
    may = tracer && tracer->user_ns == &init_user_ns &&
          cap_raised(tracer->cap_effective, CAP_SYS_PTRACE);
    rcu_read_unlock();
    return may;
}

/*
 * Who was allowed to trace the thread with the credentials it has now would go on with the next
 * ones, as with a set-user-ID program. cred_guard_mutex is held: nobody attaches meanwhile.
 */
static bool tracer_may_follow(const struct cred *next)
{
    return !current->ptrace || are_no_more(current_cred(), next) || leave_out("tracer_check") ||
           lwc_tracer_may_all();
}

bool lwc_creds_tracer_may_follow(const struct lwc *to)
{
    return tracer_may_follow(to->creds->parked);
}

/* The memory has been switched already: commit_creds() sets attributes of current->mm. */
void lwc_creds_switch(struct lwc *from, struct lwc *to)
{
    const struct cred *next = to->creds->parked;
    unsigned long dumpable;
    int death_signal;

    if (from->creds == to->creds)
        return;
    from->creds->parked = get_current_cred();
    to->creds->parked = NULL;
    if (leave_out("switch_creds")) {
        put_cred(next);
        return;
    }
    if (next == current_cred()) {
        put_cred(next);
        return;
    }
    /* As after setuid(2) it would make the memory undumpable, and forget the parent's signal. But
     * these memory and credentials belonged together when they were left. */
    dumpable = current->mm->flags & MMF_DUMPABLE_MASK;
    death_signal = current->pdeath_signal;
    commit_creds((struct cred *)next);
    set_mask_bits(&current->mm->flags, MMF_DUMPABLE_MASK, dumpable);
    current->pdeath_signal = death_signal;
}

/* Whose the lwC that runs would have: the source's, or what it had put aside; NULL: as now. */
static struct lwc_creds *wanted_by(const struct lwc *running, const struct lwc *source)
{
    struct lwc_creds *wanted = source == running ? running->own_creds : source->creds;

    return wanted == running->creds ? NULL : wanted;
}

/* As with a switch; what is carried out later under the same cred_guard_mutex. */
int lwc_creds_overlay_check(const struct lwc *running, const struct lwc *source)
{
    const struct lwc_creds *wanted = wanted_by(running, source);

    return !wanted || tracer_may_follow(wanted->parked) ? 0 : -EPERM;
}

/* From here on the lwC that runs has these, one reference. Those it had are put aside, or left. */
static void exchange(struct lwc *running, struct lwc_creds *next, bool put_aside)
{
    struct lwc_creds *before = running->creds;
    const struct cred *cred = next->parked;

    before->parked = get_current_cred();
    if (put_aside)
        running->own_creds = before;
    else
        lwc_creds_put(before); /* who shares them goes on with them */
    running->creds = next;
    next->parked = NULL;
    if (cred == current_cred())
        put_cred(cred);
    else
        commit_creds((struct cred *)cred); /* as setuid(2): the memory was not left with these */
}

static int copy_overlay(struct lwc *running, const struct lwc *source)
{
    struct lwc_creds *creds = lwc_creds_alloc();

    if (!creds)
        return -ENOMEM;
    /* None are parked where both share what the thread has. */
    creds->parked = get_cred(source->creds->parked ?: current_cred());
    exchange(running, creds, !running->own_creds);
    return 0;
}

/* Undoes all the others. */
static void put_back(struct lwc *running)
{
    struct lwc_creds *own = running->own_creds;

    if (!own)
        return;
    running->own_creds = NULL;
    exchange(running, own, false);
}

/* lwcOverlay of credentials; with itself as source the lwC that runs gets back its own. */
int lwc_creds_overlay(struct lwc *running, struct lwc *source, u32 action)
{
    if (source == running) {
        put_back(running);
    } else if (action == LWC_COPY) {
        return copy_overlay(running, source);
    } else if (source->creds == running->own_creds) {
        put_back(running);
    } else if (source->creds != running->creds) {
        refcount_inc(&source->creds->users);
        exchange(running, source->creds, !running->own_creds);
    }
    return 0;
}
