/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests build the module so that a step can be left out, to see that a test notices.
 */
#ifndef _LWC_MUTATIONS_H
#define _LWC_MUTATIONS_H

#include <linux/types.h>

#ifdef LWC_MUTATIONS
bool leave_out(const char *step);
#else
static inline bool leave_out(const char *step)
{
    return false;
}
#endif

#endif
