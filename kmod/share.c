// SPDX-License-Identifier: GPL-2.0
/*
 * Makes private memory shared, so that a copy of its address space shares it.
 *
 * Anonymous pages cannot be mapped into two address spaces so that both see writes; pages of a
 * memory file can. The contents move into one, which is mapped in their place.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pkeys.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "memory.h"
#include "share.h"
#include "specs.h"
#include "symbols.h"

/* A part of one mapping. */
struct part {
    unsigned long start;
    unsigned long end;
    unsigned long flags;
};

enum kind { AS_IT_IS, TO_CONVERT, IMPOSSIBLE };

static enum kind kind_of(struct vm_area_struct *vma)
{
    if (vma->vm_flags & VM_SHARED)
        return AS_IT_IS;
    /* The last would be lost with the mapping. */
    if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP) ||
        vma->vm_flags & (VM_DONTCOPY | VM_WIPEONFORK | VM_DONTDUMP | VM_LOCKED) || vma_pkey(vma) ||
        is_vm_hugetlb_page(vma) || (vma->vm_ops && vma->vm_ops->name)) /* of the kernel: vdso */
        return IMPOSSIBLE;
    /* Grows by itself, or never had a page of its own and cannot get one. */
    if (vma->vm_flags & VM_GROWSDOWN)
        return IMPOSSIBLE;
    return vma->vm_flags & VM_WRITE || vma->anon_vma ? TO_CONVERT : AS_IT_IS;
}

/* The first part to convert at or after `at`. 1, 0 where there is none, or -errno. */
static int next_part(struct mm_struct *mm, struct part *part, unsigned long at, unsigned long end)
{
    struct vm_area_struct *vma;
    int found = 0;

    if (mmap_read_lock_killable(mm))
        return -EINTR;
    for (vma = find_vma(mm, at); vma && vma->vm_start < end && !found;
         vma = find_vma(mm, vma->vm_end)) {
        part->start = max(vma->vm_start, at);
        part->end = min(vma->vm_end, end);
        part->flags = vma->vm_flags;
        switch (kind_of(vma)) {
        case AS_IT_IS:
            break;
        case TO_CONVERT:
            found = 1;
            break;
        case IMPOSSIBLE:
            found = -EOPNOTSUPP;
            break;
        }
    }
    mmap_read_unlock(mm);
    return found;
}

static int copy_contents(struct file *to, struct mm_struct *mm, const struct part *part)
{
    void *page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
    unsigned long at;
    loff_t position;
    int err = 0;

    if (!page)
        return -ENOMEM;
    for (at = part->start; at < part->end && !err; at += PAGE_SIZE) {
        if (fatal_signal_pending(current))
            err = -EINTR;
        else if (KERNEL(access_remote_vm)(mm, at, page, PAGE_SIZE, FOLL_FORCE) != PAGE_SIZE)
            err = -EFAULT;
        position = at - part->start;
        /* Holes stay holes. */
        if (!err && memchr_inv(page, 0, PAGE_SIZE) &&
            kernel_write(to, page, PAGE_SIZE, &position) != PAGE_SIZE)
            err = -ENOMEM;
        cond_resched();
    }
    free_page((unsigned long)page);
    return err;
}

static unsigned long protection_of(const struct part *part)
{
    return (part->flags & VM_READ ? PROT_READ : 0) | (part->flags & VM_WRITE ? PROT_WRITE : 0) |
           (part->flags & VM_EXEC ? PROT_EXEC : 0);
}

static bool is_mapped(struct mm_struct *mm, unsigned long address)
{
    struct vm_area_struct *vma;
    bool is;

    mmap_read_lock(mm);
    vma = find_vma(mm, address);
    is = vma && vma->vm_start <= address;
    mmap_read_unlock(mm);
    return is;
}

/* Where that is not the caller's memory it is in it for the time, which nobody may see. */
static unsigned long map_into(struct mm_struct *mm, struct file *file, const struct part *part)
{
    struct mm_struct *own = current->mm;
    unsigned long at;

    if (mm != own) {
        if (down_write_killable(&current->signal->exec_update_lock))
            return -EINTR;
        lwc_memory_switch(mm);
    }
    at = vm_mmap(file, part->start, part->end - part->start, protection_of(part),
                 MAP_SHARED | MAP_FIXED, 0);
    if (mm != own) {
        lwc_memory_switch(own);
        up_write(&current->signal->exec_update_lock);
    }
    return at;
}

/*
 * Mapping over what is there takes that away first, and can then lack a few bytes of memory.
 * Another attempt gets them; else the process has lost memory it relies on, as in a failed
 * execve(2).
 */
static int map_over(struct mm_struct *mm, struct file *file, const struct part *part)
{
    unsigned long at = -ENOMEM;
    unsigned int attempt;

    for (attempt = 0; attempt < 3; attempt++) {
        at = map_into(mm, file, part);
        if (!IS_ERR_VALUE(at))
            return 0;
    }
    if (!is_mapped(mm, part->start))
        force_sig(SIGKILL);
    return (int)at;
}

static int convert(struct mm_struct *mm, const struct part *part)
{
    struct file *file = shmem_file_setup("lwc", part->end - part->start, 0);
    int err;

    if (IS_ERR(file)) /* -ENOSPC where there is no memory for its inode */
        return PTR_ERR(file) == -ENOSPC ? -ENOMEM : PTR_ERR(file);
    err = copy_contents(file, mm, part);
    if (!err)
        err = map_over(mm, file, part);
    fput(file);
    return err;
}

static int share_range(struct mm_struct *mm, u64 start, u64 end, bool really)
{
    struct part part = {.end = start};
    int found = 0;

    while (part.end < end && (found = next_part(mm, &part, part.end, end)) > 0) {
        int err = really ? convert(mm, &part) : 0;

        if (err)
            return err;
    }
    return min(found, 0);
}

static bool is_shared_memory(const struct lwc_spec *spec)
{
    return spec->kind == LWC_MEMORY && spec->action == LWC_SHARE;
}

static int share(struct mm_struct *mm, const struct lwc_specs *specs, bool really)
{
    unsigned int i;
    int err = 0;

    for (i = 0; i < specs->count && !err; i++)
        if (is_shared_memory(&specs->spec[i]))
            err = share_range(mm, specs->spec[i].start, specs->spec[i].end, really);
    return err;
}

/* Whether a thread with that stack pointer would share its stack; frames of callers lie in the
 * whole mapping. */
bool lwc_share_touches(struct mm_struct *mm, unsigned long stack, const struct lwc_specs *specs)
{
    unsigned int i;

    for (i = 0; i < specs->count; i++)
        if (is_shared_memory(&specs->spec[i]) &&
            lwc_memory_range_touches(mm, stack, specs->spec[i].start, specs->spec[i].end))
            return true;
    return false;
}

/* Finds what cannot be shared; `stack` is the stack pointer of who lives in that memory. */
int lwc_share_check(struct mm_struct *mm, unsigned long stack, const struct lwc_specs *specs)
{
    return lwc_share_touches(mm, stack, specs) ? -EINVAL : share(mm, specs, false);
}

/* What was checked. */
int lwc_share_memory(struct mm_struct *mm, const struct lwc_specs *specs)
{
    return share(mm, specs, true);
}
