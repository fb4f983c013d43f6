// SPDX-License-Identifier: GPL-2.0
/* Which system calls of an lwC are refused. */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/unistd.h>

#include "mutations.h"
#include "refusal.h"
#include "filter.h"

/* By these a process reaches memory and descriptors of threads that are in other lwCs. */
static bool reaches_past(unsigned long nr)
{
    switch (nr) {
    case __NR_ptrace:
    case __NR_process_vm_readv:
    case __NR_process_vm_writev:
    case __NR_process_madvise:
    case __NR_pidfd_getfd:
    case __NR_perf_event_open:
    case __NR_io_uring_setup:
    case __NR_io_uring_enter:
    case __NR_io_uring_register:
        return !leave_out("trap_always");
    default:
        return false;
    }
}

/* These go on with what was interrupted, and was not refused when it began. */
static bool goes_on(unsigned long nr)
{
    return nr == __NR_rt_sigreturn || nr == __NR_restart_syscall;
}

/* A new one refuses everything. To be put. */
struct lwc_filter *lwc_filter_alloc(struct lwc_filter *parent)
{
    struct lwc_filter *filter = kmalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
    int err;

    if (!filter)
        return ERR_PTR(-ENOMEM);
    err = lwc_refusal_begin();
    if (err) {
        kfree(filter);
        return ERR_PTR(err);
    }
    refcount_set(&filter->users, 1);
    filter->parent = parent;
    if (parent)
        refcount_inc(&parent->users);
    bitmap_fill(filter->refused, LWC_FILTER_CALLS);
    return filter;
}

/* Another one that refuses the same for now. To be put. */
struct lwc_filter *lwc_filter_copy(const struct lwc_filter *from)
{
    struct lwc_filter *filter = lwc_filter_alloc(from->parent);

    if (!IS_ERR(filter))
        lwc_filter_set(filter, from->refused);
    return filter;
}

void lwc_filter_put(struct lwc_filter *filter)
{
    while (filter && refcount_dec_and_test(&filter->users)) {
        struct lwc_filter *parent = filter->parent;

        kfree(filter);
        lwc_refusal_end();
        filter = parent;
    }
}

void lwc_filter_set(struct lwc_filter *filter, const unsigned long *refused)
{
    bitmap_copy(filter->refused, refused, LWC_FILTER_CALLS);
}

/* Is it for the lwC's own creator to let such a call through? */
bool lwc_filter_may_waive(const struct lwc_filter *filter, unsigned long nr)
{
    if (nr >= LWC_FILTER_CALLS || reaches_past(nr))
        return false;
    return !filter->parent || leave_out("trap_once_nested") ||
           !lwc_filter_refuses(filter->parent, nr);
}

bool lwc_filter_refuses(const struct lwc_filter *filter, unsigned long nr)
{
    if (nr >= LWC_FILTER_CALLS || reaches_past(nr))
        return true;
    if (goes_on(nr))
        return false;
    for (; filter; filter = leave_out("trap_inherited") ? NULL : filter->parent)
        if (test_bit(nr, filter->refused))
            return true;
    return false;
}
