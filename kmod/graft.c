// SPDX-License-Identifier: GPL-2.0
/*
 * Puts ranges of another memory in the place of the caller's.
 *
 * Threads may live in both. Two memories are locked one within the other by nobody who does not
 * hold exec_update_lock, which is one for all that can be in the memories of a group; so no two can
 * wait for each other.
 */
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>

#include "graft.h"
#include "memory.h"
#include "mutations.h"
#include "specs.h"
#include "symbols.h"

static bool is_sealed(const struct vm_area_struct *vma)
{
#ifdef VM_SEALED
    return vma->vm_flags & VM_SEALED;
#else
    return false;
#endif
}

/* Whether that can be taken away; as munmap(2) will answer. */
static int check_place(u64 start, u64 end)
{
    struct vm_area_struct *vma;
    int err = 0;

    /* Frames of callers lie in the whole mapping. */
    if (lwc_memory_range_touches(current->mm, current_pt_regs()->sp, start, end) &&
        !leave_out("overlay_stack"))
        return -EINVAL;
    if (mmap_read_lock_killable(current->mm))
        return -EINTR;
    for (vma = find_vma(current->mm, start); vma && vma->vm_start < end && !err;
         vma = find_vma(current->mm, vma->vm_end)) {
        if (is_sealed(vma))
            err = -EPERM;
        else if (!lwc_memory_can_cut(vma, start) || !lwc_memory_can_cut(vma, end))
            err = -EOPNOTSUPP;
    }
    mmap_read_unlock(current->mm);
    return err;
}

static bool is_copied(const struct vm_area_struct *vma)
{
    return !(vma->vm_flags & VM_DONTCOPY);
}

static int check_original(struct mm_struct *from, u64 start, u64 end)
{
    struct vm_area_struct *vma;
    int err = 0;

    if (mmap_read_lock_killable(from))
        return -EINTR;
    for (vma = find_vma(from, start); vma && vma->vm_start < end && !err;
         vma = find_vma(from, vma->vm_end))
        if (is_copied(vma) && !lwc_memory_can_copy(vma, start, end))
            err = -EOPNOTSUPP;
    mmap_read_unlock(from);
    return err;
}

static u64 end_of(const struct lwc_spec *spec)
{
    return min_t(u64, spec->end, TASK_SIZE);
}

static bool is_of_memory(const struct lwc_spec *spec)
{
    return spec->kind == LWC_MEMORY && spec->start < end_of(spec);
}

/* Finds what cannot be done; `from` is NULL where ranges are only to be removed. */
int lwc_graft_check(struct mm_struct *from, const struct lwc_specs *specs)
{
    unsigned int i;
    int err = 0;

    for (i = 0; i < specs->count && !err; i++) {
        const struct lwc_spec *spec = &specs->spec[i];

        if (!is_of_memory(spec))
            continue;
        err = check_place(spec->start, end_of(spec));
        if (!err && from)
            err = check_original(from, spec->start, end_of(spec));
    }
    return err;
}

/* Mappings that lack pages must not stay: they would show what never was. */
static void remove_failed(unsigned long start, unsigned long end)
{
    unsigned int attempt;

    for (attempt = 0; attempt < 3; attempt++)
        if (!KERNEL(do_munmap)(current->mm, start, end - start, NULL))
            return;
    force_sig(SIGKILL);
}

static int graft_part(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
    struct mm_struct *to = current->mm;
    int err;

    if (fatal_signal_pending(current))
        return -EINTR;
    if (!lwc_memory_can_copy(vma, start, end)) /* threads have changed it since it was checked */
        return -EOPNOTSUPP;
    if (to->map_count >= READ_ONCE(*lwc_max_map_count) ||
        !KERNEL(may_expand_vm)(to, vma->vm_flags, (end - start) >> PAGE_SHIFT))
        return -ENOMEM;
    lwc_vma_start_write(vma);
    err = lwc_memory_copy_mapping(to, vma, start, end);
    if (err)
        remove_failed(start, end);
    return err;
}

static int graft_range(struct mm_struct *from, unsigned long start, unsigned long end)
{
    struct vm_area_struct *vma;
    int err = KERNEL(do_munmap)(current->mm, start, end - start, NULL);

    for (vma = find_vma(from, start); vma && vma->vm_start < end && !err;
         vma = find_vma(from, vma->vm_end)) {
        if (is_copied(vma))
            err = graft_part(vma, max(start, vma->vm_start), min(end, vma->vm_end));
        cond_resched();
    }
    return err;
}

static int graft_ranges(struct mm_struct *from, const struct lwc_specs *specs)
{
    unsigned int i;
    int err = 0;

    for (i = 0; i < specs->count && !err; i++)
        if (is_of_memory(&specs->spec[i]))
            err = graft_range(from, specs->spec[i].start, end_of(&specs->spec[i]));
    return err;
}

static int graft_locked(struct mm_struct *from, const struct lwc_specs *specs)
{
    struct mm_struct *to = current->mm;
    int err = down_write_killable(&current->signal->exec_update_lock);

    if (err)
        return err;
    err = mmap_write_lock_killable(from);
    if (err)
        goto unlock;
    mmap_write_lock_nested(to, SINGLE_DEPTH_NESTING);
#ifdef CONFIG_UPROBES
    KERNEL(uprobe_dup_mmap)(from, to);
#endif
    err = graft_ranges(from, specs);
    mmap_write_unlock(to);
    /* Pages that were writable are not any more. */
    if (!leave_out("overlay_flush"))
        KERNEL(flush_tlb_mm_range)(from, 0, TLB_FLUSH_ALL, 0, false);
    mmap_write_unlock(from);
unlock:
    up_write(&current->signal->exec_update_lock);
    return err;
}

/* Makes the ranges of the caller's memory what they are in `from`; what was checked. */
int lwc_graft(struct mm_struct *from, const struct lwc_specs *specs)
{
    int err;

#ifdef CONFIG_UPROBES
    KERNEL(uprobe_start_dup_mmap)();
#endif
    err = graft_locked(from, specs);
#ifdef CONFIG_UPROBES
    KERNEL(uprobe_end_dup_mmap)();
#endif
    return err;
}

/* Unmaps the ranges of the caller's memory; what was checked. */
int lwc_graft_remove(const struct lwc_specs *specs)
{
    unsigned int i;
    int err = 0;

    for (i = 0; i < specs->count && !err; i++) {
        const struct lwc_spec *spec = &specs->spec[i];

        if (is_of_memory(spec))
            err = vm_munmap(spec->start, end_of(spec) - spec->start);
    }
    return err;
}
