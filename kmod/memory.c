// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces of lwCs: copied, switched, dropped.
 *
 * A copy is what fork(2) makes of its parent's memory (dup_mmap() in kernel/fork.c, which the
 * compiler has built into its caller), without the task.
 */
#include <linux/binfmts.h>
#include <linux/fs.h>
#include <linux/ksm.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/user_namespace.h>
#include <linux/userfaultfd_k.h>

#include "memory.h"
#include "mutations.h"
#include "specs.h"
#include "symbols.h"

/* Whether a mapping can be cut there: the kernel's own, and those of huge pages, not anywhere. */
bool lwc_memory_can_cut(struct vm_area_struct *vma, unsigned long at)
{
    return at <= vma->vm_start || at >= vma->vm_end || !vma->vm_ops || !vma->vm_ops->may_split ||
           !vma->vm_ops->may_split(vma, at);
}

/* Copies of some need what is not to be had: those of huge pages, of write-combined devices. */
bool lwc_memory_can_copy(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
    return !is_vm_hugetlb_page(vma) && !(vma->vm_flags & VM_PAT) &&
           lwc_memory_can_cut(vma, start) && lwc_memory_can_cut(vma, end);
}

/* Whether a range has a part of the mapping that `address` is in. */
bool lwc_memory_range_touches(struct mm_struct *mm, unsigned long address, u64 start, u64 end)
{
    struct vm_area_struct *vma;
    bool touches;

    mmap_read_lock(mm);
    vma = find_vma(mm, address);
    touches = vma && vma->vm_start <= address && start < vma->vm_end && end > vma->vm_start;
    mmap_read_unlock(mm);
    return touches;
}

static bool is_unmapped_whole(const struct lwc_specs *specs, const struct vm_area_struct *vma)
{
    unsigned int i;

    for (i = 0; specs && i < specs->count; i++)
        if (specs->spec[i].kind == LWC_MEMORY && specs->spec[i].action == LWC_UNMAP &&
            !leave_out("create_unmap") && specs->spec[i].start <= vma->vm_start &&
            specs->spec[i].end >= vma->vm_end)
            return true;
    return false;
}

static int dup_policy(struct vm_area_struct *from, struct vm_area_struct *to)
{
#ifdef CONFIG_NUMA
    return KERNEL(vma_dup_policy)(from, to);
#else
    return 0;
#endif
}

static void put_policy(struct vm_area_struct *vma)
{
#ifdef CONFIG_NUMA
    if (vma->vm_policy)
        KERNEL(__mpol_put)(vma->vm_policy);
#endif
}

static void insert_into_file(struct vm_area_struct *vma, struct vm_area_struct *after)
{
    struct address_space *mapping = vma->vm_file->f_mapping;

    get_file(vma->vm_file);
    i_mmap_lock_write(mapping);
    if (vma->vm_flags & VM_SHARED && vma->vm_flags & VM_MAYWRITE)
        mapping_allow_writable(mapping);
    if (vma->vm_pgoff == after->vm_pgoff)
        KERNEL(vma_interval_tree_insert_after)(vma, after, &mapping->i_mmap);
    else
        KERNEL(vma_interval_tree_insert)(vma, &mapping->i_mmap);
    i_mmap_unlock_write(mapping);
}

/* Another description of a part of a mapping, which nobody knows of yet. */
static struct vm_area_struct *describe(struct vm_area_struct *vma, unsigned long start,
                                       unsigned long end)
{
    struct vm_area_struct *part = KERNEL(vm_area_dup)(vma);

    if (part) {
        part->vm_start = start;
        part->vm_end = end;
        part->vm_pgoff += (start - vma->vm_start) >> PAGE_SHIFT;
    }
    return part;
}

/*
 * copy_page_range() copies what its source describes, from end to end. For a part of a mapping it
 * is told of another source, which is in no tree: it asks for the memory, the flags and the file
 * only, and those are the same.
 */
static int copy_pages(struct vm_area_struct *to, struct vm_area_struct *from)
{
    struct vm_area_struct *part;
    int err;

    if (to->vm_start == from->vm_start && to->vm_end == from->vm_end)
        return KERNEL(copy_page_range)(to, from);
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
    /* A huge page that lies across the border would be copied whole. */
    if (!leave_out("overlay_split"))
        KERNEL(vma_adjust_trans_huge)(from, to->vm_start, to->vm_end, 0);
#endif
    part = describe(from, to->vm_start, to->vm_end);
    if (!part)
        return -ENOMEM;
    lwc_vma_start_write(part);
    err = KERNEL(copy_page_range)(to, part);
    KERNEL(vm_area_free)(part);
    return err;
}

/*
 * Copies a mapping, or a part of it, into `to`, copy-on-write. Both memories are locked for
 * writing. If it fails after the mapping was inserted, what is there is whole but lacks pages: it
 * must go.
 */
int lwc_memory_copy_mapping(struct mm_struct *to, struct vm_area_struct *from, unsigned long start,
                            unsigned long end)
{
    MA_STATE(where, &to->mm_mt, start, end - 1);
    unsigned long pages = (end - start) >> PAGE_SHIFT;
    unsigned long charge = from->vm_flags & VM_ACCOUNT ? pages : 0;
    bool wiped = from->vm_flags & VM_WIPEONFORK;
    struct vm_area_struct *vma;

    if (charge && KERNEL(security_vm_enough_memory_mm)(current->mm, charge))
        return -ENOMEM;
    vma = describe(from, start, end);
    if (!vma)
        goto unaccount;
    if (dup_policy(from, vma))
        goto free;
    vma->vm_mm = to;
#ifdef CONFIG_USERFAULTFD
    vma->vm_userfaultfd_ctx = NULL_VM_UFFD_CTX;
    lwc_vm_flags_clear(vma, __VM_UFFD_FLAGS);
#endif
    lwc_vm_flags_clear(vma, VM_LOCKED | VM_LOCKONFAULT);
    if (wiped)
        vma->anon_vma = NULL;
    else if (KERNEL(anon_vma_fork)(vma, from))
        goto forget_policy;
    /* Threads in that memory must not find it before it has its pages. */
    lwc_vma_start_write(vma);
    if (mas_store_gfp(&where, vma, GFP_KERNEL))
        goto unlink;

    to->map_count++;
    KERNEL(vm_stat_account)(to, vma->vm_flags, pages);
    if (vma->vm_ops && vma->vm_ops->open)
        vma->vm_ops->open(vma);
    if (vma->vm_file)
        insert_into_file(vma, from);
    return wiped ? 0 : copy_pages(vma, from);

unlink:
    KERNEL(unlink_anon_vmas)(vma);
forget_policy:
    put_policy(vma);
free:
    KERNEL(vm_area_free)(vma);
unaccount:
    percpu_counter_sub(lwc_vm_committed_as, charge);
    return -ENOMEM;
}

/* What fork(2) copies by copying the whole mm_struct. */
void lwc_memory_copy_bounds(struct mm_struct *to, struct mm_struct *from)
{
    to->start_code = from->start_code;
    to->end_code = from->end_code;
    to->start_data = from->start_data;
    to->end_data = from->end_data;
    to->start_brk = from->start_brk;
    to->brk = from->brk;
    to->start_stack = from->start_stack;
    to->arg_start = from->arg_start;
    to->arg_end = from->arg_end;
    to->env_start = from->env_start;
    to->env_end = from->env_end;
    memcpy(to->saved_auxv, from->saved_auxv, sizeof(to->saved_auxv));
    to->def_flags = from->def_flags & VM_INIT_DEF_MASK;
    atomic_set(&to->membarrier_state, atomic_read(&from->membarrier_state));
    atomic_set(&to->context.perf_rdpmc_allowed, atomic_read(&from->context.perf_rdpmc_allowed));
#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS
    to->context.pkey_allocation_map = from->context.pkey_allocation_map;
    to->context.execute_only_pkey = from->context.execute_only_pkey;
#endif
}

static int copy_identity(struct mm_struct *to, struct mm_struct *from)
{
    struct file *program = KERNEL(get_mm_exe_file)(from);

    if (program) {
        KERNEL(set_mm_exe_file)(to, program);
        fput(program);
    }
    to->mmap_base = from->mmap_base;
    to->mmap_legacy_base = from->mmap_legacy_base;
#ifdef CONFIG_HAVE_ARCH_COMPAT_MMAP_BASES
    to->mmap_compat_base = from->mmap_compat_base;
    to->mmap_compat_legacy_base = from->mmap_compat_legacy_base;
#endif
    to->task_size = from->task_size;
    lwc_copy_placement(to, from);
    /* KSM would have to be told of a memory that merges by default. */
    to->flags = from->flags & MMF_INIT_MASK & ~LWC_MMF_MERGES;
    to->context.flags = from->context.flags;
    to->context.vdso = from->context.vdso;
    to->context.vdso_image = from->context.vdso_image;
#ifdef CONFIG_ADDRESS_MASKING
    to->context.lam_cr3_mask = from->context.lam_cr3_mask;
    to->context.untag_mask = from->context.untag_mask;
#endif
    lwc_memory_copy_bounds(to, from);
    if (from->binfmt && !try_module_get(from->binfmt->module))
        return -EAGAIN;
    to->binfmt = from->binfmt;
    return 0;
}

static int copy_mappings(struct mm_struct *to, struct mm_struct *from,
                         const struct lwc_specs *specs)
{
    VMA_ITERATOR(iterator, from, 0);
    struct vm_area_struct *vma;
    int err = 0;

    for_each_vma(iterator, vma)
    {
        lwc_vma_start_write(vma);
        if (vma->vm_flags & VM_DONTCOPY || is_unmapped_whole(specs, vma))
            continue;
        err = lwc_memory_can_copy(vma, vma->vm_start, vma->vm_end) ? 0 : -EOPNOTSUPP;
        if (!err && fatal_signal_pending(current))
            err = -EINTR;
        if (!err)
            err = lwc_memory_copy_mapping(to, vma, vma->vm_start, vma->vm_end);
        if (err)
            break;
    }
#ifdef CONFIG_MODIFY_LDT_SYSCALL
    if (!err)
        err = KERNEL(ldt_dup_context)(from, to);
#endif
    return err;
}

/* Makes `to` the calling thread's memory. No reference is taken or put. As exec_mmap(). */
void lwc_memory_switch(struct mm_struct *to)
{
    struct mm_struct *from = current->mm;

    lwc_before_switch(from);
    task_lock(current);
    local_irq_disable();
    current->active_mm = to;
    current->mm = to;
#ifdef CONFIG_MEMBARRIER
    KERNEL(membarrier_update_current_mm)(to);
#endif
    KERNEL(switch_mm_irqs_off)(from, to, current);
    local_irq_enable();
    lru_gen_use_mm(to);
#ifdef CONFIG_MEMCG
    /* Its owner may have ended while nobody was in it. */
    if (!rcu_access_pointer(to->owner) && !leave_out("owner_on_entry"))
        cmpxchg((struct task_struct **)&to->owner, NULL, current);
#endif
    task_unlock(current);
    lwc_after_switch();
    /* membarrier(2) needs a barrier between the new memory and user space. */
    smp_mb();
}

/*
 * Unmaps a range of a memory, locked for writing, that is not the caller's. The kernel counts what
 * it takes away in current->mm (6.12), so the caller is in that memory for the time, which nobody
 * may see: exec_update_lock is held.
 */
int lwc_memory_unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
    struct mm_struct *own = current->mm;
    int err;

    lockdep_assert_held_write(&current->signal->exec_update_lock);
    lwc_memory_switch(mm);
    err = KERNEL(do_munmap)(mm, start, end - start, NULL);
    lwc_memory_switch(own);
    return err;
}

/* The parts of mappings that are not to be in the copy. */
static int unmap_parts(struct mm_struct *mm, const struct lwc_specs *specs)
{
    unsigned int i;
    int err;

    for (i = 0; specs && i < specs->count; i++) {
        const struct lwc_spec *spec = &specs->spec[i];

        if (spec->kind != LWC_MEMORY || spec->action != LWC_UNMAP || leave_out("create_unmap"))
            continue;
        err = lwc_memory_unmap(mm, spec->start, min_t(u64, spec->end, TASK_SIZE));
        if (err)
            return err;
    }
    return 0;
}

static int copy_locked(struct mm_struct *to, struct mm_struct *from, const struct lwc_specs *specs)
{
    int err = down_write_killable(&current->signal->exec_update_lock);

    if (err)
        return err;
    err = mmap_write_lock_killable(from);
    if (err)
        goto unlock;
    mmap_write_lock_nested(to, SINGLE_DEPTH_NESTING);
    err = copy_identity(to, from);
#ifdef CONFIG_UPROBES
    KERNEL(uprobe_dup_mmap)(from, to);
#endif
    if (!err)
        err = copy_mappings(to, from, specs);
    if (!err)
        err = unmap_parts(to, specs);
    mmap_write_unlock(to);
    /* Pages that were writable are not any more. */
    KERNEL(flush_tlb_mm_range)(from, 0, TLB_FLUSH_ALL, 0, false);
    mmap_write_unlock(from);
unlock:
    up_write(&current->signal->exec_update_lock);
    return err;
}

/* A copy-on-write copy of `from`; `specs`, or NULL, tell what is not to be in it. */
struct mm_struct *lwc_memory_copy(struct mm_struct *from, const struct lwc_specs *specs)
{
    struct mm_struct *mm = KERNEL(mm_alloc)();
    int err;

    if (!mm)
        return ERR_PTR(-ENOMEM);
    put_user_ns(mm->user_ns);
    mm->user_ns = get_user_ns(from->user_ns);
#ifdef CONFIG_UPROBES
    KERNEL(uprobe_start_dup_mmap)();
#endif
    err = copy_locked(mm, from, specs);
#ifdef CONFIG_UPROBES
    KERNEL(uprobe_end_dup_mmap)();
#endif
    mm->hiwater_rss = get_mm_rss(mm);
    mm->hiwater_vm = mm->total_vm;
#ifdef CONFIG_LRU_GEN
    task_lock(current);
    KERNEL(lru_gen_add_mm)(mm);
    task_unlock(current);
#endif
    if (err) {
        lwc_memory_put(mm);
        return ERR_PTR(err);
    }
    return mm;
}

#ifdef CONFIG_MEMCG
/*
 * To a thread of this process that is in it. The kernel looks in other processes only, as all
 * threads of one have the same memory elsewhere.
 */
static void pass_on_to_thread(struct mm_struct *mm)
{
    struct task_struct *thread;
    bool done = false;

    rcu_read_lock();
    for_each_thread(current, thread)
    {
        if (thread == current || READ_ONCE(thread->mm) != mm)
            continue;
        /* A memory does not change while it is locked; an exit looks for another owner after. */
        task_lock(thread);
        done = thread->mm == mm;
        if (done)
            WRITE_ONCE(mm->owner, thread);
        task_unlock(thread);
        if (done)
            break;
    }
    rcu_read_unlock();
}
#endif

/* Drops a memory no task of the group is in, as `task` would, of the same process. */
void lwc_memory_put_for(struct mm_struct *mm, const struct task_struct *task)
{
#ifdef CONFIG_MEMCG
    /* Others may hold on to it longer than the task, whose name it bears, exists. */
    if (rcu_access_pointer(mm->owner) == task) {
        WRITE_ONCE(mm->owner, current);
        if (!leave_out("owner_passes"))
            pass_on_to_thread(mm);
    }
    KERNEL(mm_update_next_owner)(mm);
#endif
    mmput(mm);
}

void lwc_memory_put(struct mm_struct *mm)
{
    lwc_memory_put_for(mm, current);
}
