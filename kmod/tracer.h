/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_TRACER_H
#define _LWC_TRACER_H

#include <linux/types.h>

struct cred;
struct mm_struct;

bool lwc_tracer_matters(const struct cred *next, const struct mm_struct *memory);
bool lwc_tracer_may_follow(const struct cred *next, const struct mm_struct *memory);

#endif
