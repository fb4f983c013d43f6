// SPDX-License-Identifier: GPL-2.0
/* Credentials of lwCs: copied, shared, switched. */
#include <linux/cred.h>
#include <linux/sched/coredump.h>
#include <linux/slab.h>

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

/* Credentials are never written once a task had them, so one object serves both. */
void lwc_creds_copy_parked(struct lwc *to, const struct lwc *from)
{
    if (to->creds->parked)
        put_cred(to->creds->parked);
    to->creds->parked = get_cred(from->creds->parked);
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
