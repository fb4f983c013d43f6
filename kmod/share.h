/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_SHARE_H
#define _LWC_SHARE_H

struct lwc_specs;
struct mm_struct;

bool lwc_share_touches(struct mm_struct *mm, unsigned long stack, const struct lwc_specs *specs);
int lwc_share_check(struct mm_struct *mm, unsigned long stack, const struct lwc_specs *specs);
int lwc_share_memory(struct mm_struct *mm, const struct lwc_specs *specs);

#endif
