/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_PAGES_H
#define _LWC_PAGES_H

struct lwc_dirty;
struct lwc_reset;
struct mm_struct;

int lwc_pages_restore(struct lwc_dirty *dirty, struct mm_struct *worker, struct mm_struct *snapshot,
                      bool everything, struct lwc_reset *counts);

#endif
