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
 * that `to` has had until now keeps them.
 */
int lwc_creds_copy_parked(struct lwc *to, const struct lwc *from)
{
    struct lwc_creds *creds = lwc_creds_alloc();

    if (!creds)
        return -ENOMEM;
    creds->parked = get_cred(from->creds->parked);
    lwc_creds_put(to->creds);
    to->creds = creds;
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
 * Who was allowed to trace the thread with the credentials it has now would go on with those of
 * `to`, as with a set-user-ID program. cred_guard_mutex is held: nobody attaches meanwhile.
 */
bool lwc_creds_tracer_may_follow(const struct lwc *to)
{
    return !current->ptrace || are_no_more(current_cred(), to->creds->parked) ||
           leave_out("tracer_check") || lwc_tracer_may_all();
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
