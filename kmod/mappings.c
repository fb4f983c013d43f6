// SPDX-License-Identifier: GPL-2.0
/* Makes the mappings of a worker again those of its snapshot. */
#include <linux/file.h>
#include <linux/mmu_context.h>
#include <linux/mm.h>
#include <linux/sched/coredump.h>

#include "mappings.h"
#include "memory.h"
#include "mutations.h"
#include "symbols.h"

static int unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
    int err = lwc_memory_unmap(mm, start, end);

    /* Sealed, by mseal(2): for ever. */
    return err == -EPERM ? -ENOTRECOVERABLE : err;
}

/* What the worker has where the snapshot has nothing. */
static int empty_gap(struct mm_struct *worker, unsigned long start, unsigned long end, u64 *undone)
{
    struct vm_area_struct *vma = start < end ? find_vma(worker, start) : NULL;

    if (!vma || vma->vm_start >= end || leave_out("reset_mapping_added"))
        return 0;
    ++*undone;
    return unmap(worker, start, end);
}

static int remove_added(struct mm_struct *worker, struct mm_struct *snapshot, u64 *undone)
{
    VMA_ITERATOR(iterator, snapshot, 0);
    struct vm_area_struct *vma;
    unsigned long end = 0;
    int err;

    for_each_vma(iterator, vma)
    {
        err = empty_gap(worker, end, vma->vm_start, undone);
        if (err)
            return err;
        end = vma->vm_end;
    }
    return empty_gap(worker, end, TASK_SIZE, undone);
}

static bool have_the_same_policy(struct vm_area_struct *a, struct vm_area_struct *b)
{
#ifdef CONFIG_NUMA
    if (a->vm_policy && b->vm_policy)
        return KERNEL(__mpol_equal)(a->vm_policy, b->vm_policy);
    return !a->vm_policy && !b->vm_policy;
#else
    return true;
#endif
}

static bool is_the_same(struct vm_area_struct *a, struct vm_area_struct *b)
{
    return a->vm_start == b->vm_start && a->vm_end == b->vm_end && a->vm_file == b->vm_file &&
           a->vm_pgoff == b->vm_pgoff && a->vm_ops == b->vm_ops && have_the_same_policy(a, b) &&
           !((a->vm_flags ^ b->vm_flags) & ~VM_SOFTDIRTY);
}

static int replace(struct mm_struct *worker, struct vm_area_struct *original)
{
    int err = unmap(worker, original->vm_start, original->vm_end);

    if (err)
        return err;
    lwc_vma_start_write(original);
    return lwc_memory_copy_mapping(worker, original, original->vm_start, original->vm_end);
}

static int put_back_others(struct mm_struct *worker, struct mm_struct *snapshot, u64 *undone)
{
    VMA_ITERATOR(iterator, snapshot, 0);
    struct vm_area_struct *original, *vma;
    int err;

    for_each_vma(iterator, original)
    {
        vma = find_vma(worker, original->vm_start);
        if ((vma && is_the_same(vma, original)) || leave_out("reset_mapping_removed"))
            continue;
        ++*undone;
        err = replace(worker, original);
        if (err)
            return err;
    }
    return 0;
}

static void put_back_attributes(struct mm_struct *worker, struct mm_struct *snapshot)
{
    unsigned long brk = worker->brk;
    struct file *program = KERNEL(get_mm_exe_file)(snapshot);

    lwc_memory_copy_bounds(worker, snapshot);
    if (leave_out("reset_brk"))
        worker->brk = brk;
    if (!leave_out("reset_attributes"))
        set_mask_bits(&worker->flags, MMF_INIT_MASK,
                      (snapshot->flags & MMF_INIT_MASK) | MMF_DISABLE_THP_MASK);
    if (program) {
        KERNEL(set_mm_exe_file)(worker, program);
        fput(program);
    }
}

/* Local descriptors (modify_ldt(2)) are copied with a memory, and could not be put back into it. */
static bool have_the_same_segments(struct mm_struct *a, struct mm_struct *b)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
    const struct ldt_struct *of_a = a->context.ldt, *of_b = b->context.ldt;
    unsigned int entries = of_a ? of_a->nr_entries : 0;

    return entries == (of_b ? of_b->nr_entries : 0) &&
           (!entries || !memcmp(of_a->entries, of_b->entries, entries * LDT_ENTRY_SIZE));
#else
    return true;
#endif
}

/* Both are locked for writing. Counts what had to be undone; if it fails, half of it is. */
int lwc_mappings_restore(struct mm_struct *worker, struct mm_struct *snapshot, u64 *undone)
{
    int err;

    if (!have_the_same_segments(worker, snapshot))
        return -ENOTRECOVERABLE;
    err = remove_added(worker, snapshot, undone);
    if (!err)
        err = put_back_others(worker, snapshot, undone);
    if (!err)
        put_back_attributes(worker, snapshot);
    return err;
}
