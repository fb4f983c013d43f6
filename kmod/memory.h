/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_MEMORY_H
#define _LWC_MEMORY_H

#include <linux/types.h>

struct lwc;
struct lwc_specs;
struct mm_struct;
struct task_struct;
struct vm_area_struct;

struct mm_struct *lwc_memory_copy(struct mm_struct *from, const struct lwc_specs *specs);
int lwc_memory_copy_mapping(struct mm_struct *to, struct vm_area_struct *from, unsigned long start,
                            unsigned long end);
bool lwc_memory_can_copy(struct vm_area_struct *vma, unsigned long start, unsigned long end);
bool lwc_memory_can_cut(struct vm_area_struct *vma, unsigned long at);
bool lwc_memory_range_touches(struct mm_struct *mm, unsigned long address, u64 start, u64 end);
void lwc_memory_copy_bounds(struct mm_struct *to, struct mm_struct *from);
int lwc_memory_unmap(struct mm_struct *mm, unsigned long start, unsigned long end);
void lwc_memory_put(struct mm_struct *mm);
void lwc_memory_put_for(struct mm_struct *mm, const struct task_struct *task);
void lwc_memory_switch(struct mm_struct *to);

#endif
