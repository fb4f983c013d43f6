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

/* What the thread would get in `to`; NULL where that is what it has. */
const struct cred *lwc_creds_next(const struct lwc *from, const struct lwc *to)
{
    const struct cred *next = from->creds == to->creds ? NULL : to->creds->parked;

    return next == current_cred() ? NULL : next;
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

/* What the lwC that runs would get by an overlay; NULL where that is what it has. */
const struct cred *lwc_creds_overlaid(const struct lwc *running, const struct lwc *source)
{
    const struct lwc_creds *wanted = wanted_by(running, source);

    return wanted ? wanted->parked : NULL;
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
