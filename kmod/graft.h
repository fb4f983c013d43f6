/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_GRAFT_H
#define _LWC_GRAFT_H

struct lwc_specs;
struct mm_struct;

int lwc_graft_check(struct mm_struct *from, const struct lwc_specs *specs);
int lwc_graft(struct mm_struct *from, const struct lwc_specs *specs);
int lwc_graft_remove(const struct lwc_specs *specs);

#endif
