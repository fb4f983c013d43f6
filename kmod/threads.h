/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_THREADS_H
#define _LWC_THREADS_H

struct mm_struct;

int lwc_threads_end(struct mm_struct *mm);

#endif
