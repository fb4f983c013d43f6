/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernel series this module knows. The only file that asks for a version.
 */
#ifndef _LWC_SERIES_H
#define _LWC_SERIES_H

#include <linux/version.h>
#include <linux/mm.h>
#include <linux/percpu_counter.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>

#define LWC_IN_SERIES(minor)                                                                       \
    (LINUX_VERSION_CODE >= KERNEL_VERSION(6, minor, 0) &&                                          \
     LINUX_VERSION_CODE < KERNEL_VERSION(6, (minor) + 1, 0))

#if LWC_IN_SERIES(1)
#define LWC_SERIES "6.1"
#elif LWC_IN_SERIES(12)
#define LWC_SERIES "6.12"
#else
#error "lwc knows the kernel series 6.1 and 6.12 only: what it copies differs from series to series"
#endif

/* Hidden from modules by the kernel's header. */
void lwc_flush_tlb_mm_range_prototype(struct mm_struct *mm, unsigned long start, unsigned long end,
                                      unsigned int stride_shift, bool freed_tables);

#if LWC_IN_SERIES(1)

#define LWC_SYMBOLS_OF_SERIES(X)                                                                   \
    X(sync_mm_rss, sync_mm_rss) X(zap_page_range_single, zap_page_range_single)

static inline void lwc_vma_start_write(struct vm_area_struct *vma) {}

static inline void lwc_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
    vma->vm_flags &= ~flags;
}

static inline void lwc_copy_placement(struct mm_struct *to, const struct mm_struct *from)
{
    to->get_unmapped_area = from->get_unmapped_area;
}

static inline long lwc_counter(struct mm_struct *mm, int member)
{
    return atomic_long_read(&mm->rss_stat.count[member]);
}

#define LWC_MMF_MERGES 0

/* It cannot vary yet. */
static inline u32 lwc_rseq_length(const struct task_struct *task)
{
    return 0;
}

static inline void lwc_set_rseq_length(struct task_struct *task, u32 length) {}

#define lwc_get_page_of(mm, addr, flags, page)                                                     \
    get_user_pages_remote(mm, addr, 1, flags, page, NULL, NULL)

#define lwc_zap_page(vma, at) KERNEL(zap_page_range_single)(vma, at, PAGE_SIZE, NULL)

/* The task counts pages for its memory, and must hand them in. */
#define lwc_before_switch(mm) KERNEL(sync_mm_rss)(mm)
#define lwc_after_switch() ((void)0)

#else

#ifdef CONFIG_SCHED_MM_CID
#define LWC_SYMBOLS_OF_SERIES(X)                                                                   \
    X(sched_mm_cid_before_execve, sched_mm_cid_before_execve)                                      \
    X(sched_mm_cid_after_execve, sched_mm_cid_after_execve)
#else
#define LWC_SYMBOLS_OF_SERIES(X)
#endif

static inline void lwc_vma_start_write(struct vm_area_struct *vma)
{
    vma_start_write(vma);
}

static inline void lwc_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
    vm_flags_clear(vma, flags);
}

static inline void lwc_copy_placement(struct mm_struct *to, const struct mm_struct *from)
{
    /* A bit of mm->flags, copied with them. */
}

static inline long lwc_counter(struct mm_struct *mm, int member)
{
    return percpu_counter_sum(&mm->rss_stat[member]);
}

#define LWC_MMF_MERGES (1UL << MMF_VM_MERGE_ANY)

static inline u32 lwc_rseq_length(const struct task_struct *task)
{
    return task->rseq_len;
}

static inline void lwc_set_rseq_length(struct task_struct *task, u32 length)
{
    task->rseq_len = length;
}

#define lwc_zap_page(vma, at) zap_page_range_single(vma, at, PAGE_SIZE, NULL)

#define lwc_get_page_of(mm, addr, flags, page) get_user_pages_remote(mm, addr, 1, flags, page, NULL)

#ifdef CONFIG_SCHED_MM_CID
#define lwc_before_switch(mm) KERNEL(sched_mm_cid_before_execve)(current)
#define lwc_after_switch() KERNEL(sched_mm_cid_after_execve)(current)
#else
#define lwc_before_switch(mm) ((void)(mm))
#define lwc_after_switch() ((void)0)
#endif

#endif

#endif
