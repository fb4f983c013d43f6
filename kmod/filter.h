/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which system calls of an lwC are refused.
 */
#ifndef _LWC_FILTER_H
#define _LWC_FILTER_H

#include <linux/refcount.h>
#include <linux/types.h>

#define LWC_FILTER_CALLS 512 /* numbers from there on are refused always */

/* One that was created in another with a trap is refused what that one is, for as long as it lives.
 */
struct lwc_filter {
    refcount_t users;
    struct lwc_filter *parent;
    DECLARE_BITMAP(refused, LWC_FILTER_CALLS);
};

struct lwc_filter *lwc_filter_alloc(struct lwc_filter *parent);
struct lwc_filter *lwc_filter_copy(const struct lwc_filter *from);
void lwc_filter_put(struct lwc_filter *filter);
void lwc_filter_set(struct lwc_filter *filter, const unsigned long *refused);
bool lwc_filter_may_waive(const struct lwc_filter *filter, unsigned long nr);
bool lwc_filter_refuses(const struct lwc_filter *filter, unsigned long nr);

#endif
