/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_MAPPINGS_H
#define _LWC_MAPPINGS_H

struct mm_struct;

int lwc_mappings_restore(struct mm_struct *worker, struct mm_struct *snapshot, u64 *undone);

#endif
