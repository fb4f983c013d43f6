/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of the kernel that are not exported to modules.
 *
 * Found by name when the module is loaded; a name that is missing, or there more than once, refuses
 * the load. Each is declared with the type its own header gives it, so that a changed prototype
 * fails the build. Called through static calls: a direct call needs no retpoline, and is allowed
 * where the kernel has sealed the function against indirect ones (IBT).
 */
#ifndef _LWC_SYMBOLS_H
#define _LWC_SYMBOLS_H

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kallsyms.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/rmap.h>
#include <linux/security.h>
#include <linux/static_call.h>
#include <linux/uprobes.h>
#include <asm/fpu/api.h>
#include <asm/syscall.h>

#include "series.h"

#define LWC_SYMBOLS_OF_ALL(X)                                                                      \
    X(mm_alloc, mm_alloc)                                                                          \
    X(mm_update_next_owner, mm_update_next_owner)                                                  \
    X(get_mm_exe_file, get_mm_exe_file)                                                            \
    X(set_mm_exe_file, set_mm_exe_file)                                                            \
    X(vm_area_dup, vm_area_dup)                                                                    \
    X(vm_area_free, vm_area_free)                                                                  \
    X(vm_stat_account, vm_stat_account)                                                            \
    X(anon_vma_fork, anon_vma_fork)                                                                \
    X(unlink_anon_vmas, unlink_anon_vmas)                                                          \
    X(vma_interval_tree_insert_after, vma_interval_tree_insert_after)                              \
    X(vma_interval_tree_insert, vma_interval_tree_insert)                                          \
    X(copy_page_range, copy_page_range)                                                            \
    X(may_expand_vm, may_expand_vm)                                                                \
    X(access_remote_vm, access_remote_vm)                                                          \
    X(do_munmap, do_munmap)                                                                        \
    X(security_vm_enough_memory_mm, security_vm_enough_memory_mm)                                  \
    X(flush_tlb_mm_range, lwc_flush_tlb_mm_range_prototype)                                        \
    X(switch_mm_irqs_off, switch_mm_irqs_off)                                                      \
    X(fpu_sync_fpstate, fpu_sync_fpstate)                                                          \
    X(dup_fd, dup_fd)                                                                              \
    X(put_files_struct, put_files_struct)                                                          \
    X(replace_fd, replace_fd)                                                                      \
    X(set_close_on_exec, set_close_on_exec)                                                        \
    X(do_exit, do_exit)                                                                            \
    X(x64_sys_call, x64_sys_call)

#ifdef CONFIG_NUMA
#define LWC_SYMBOLS_OF_NUMA(X)                                                                     \
    X(vma_dup_policy, vma_dup_policy) X(__mpol_put, __mpol_put) X(__mpol_equal, __mpol_equal)
#else
#define LWC_SYMBOLS_OF_NUMA(X)
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define LWC_SYMBOLS_OF_HUGE_PAGES(X) X(vma_adjust_trans_huge, vma_adjust_trans_huge)
#else
#define LWC_SYMBOLS_OF_HUGE_PAGES(X)
#endif

#ifdef CONFIG_LRU_GEN
#define LWC_SYMBOLS_OF_LRU_GEN(X) X(lru_gen_add_mm, lru_gen_add_mm)
#else
#define LWC_SYMBOLS_OF_LRU_GEN(X)
#endif

#ifdef CONFIG_UPROBES
#define LWC_SYMBOLS_OF_UPROBES(X)                                                                  \
    X(uprobe_start_dup_mmap, uprobe_start_dup_mmap)                                                \
    X(uprobe_dup_mmap, uprobe_dup_mmap)                                                            \
    X(uprobe_end_dup_mmap, uprobe_end_dup_mmap)
#else
#define LWC_SYMBOLS_OF_UPROBES(X)
#endif

#ifdef CONFIG_MODIFY_LDT_SYSCALL
#define LWC_SYMBOLS_OF_LDT(X) X(ldt_dup_context, ldt_dup_context)
#else
#define LWC_SYMBOLS_OF_LDT(X)
#endif

#ifdef CONFIG_MEMBARRIER
#define LWC_SYMBOLS_OF_MEMBARRIER(X) X(membarrier_update_current_mm, membarrier_update_current_mm)
#else
#define LWC_SYMBOLS_OF_MEMBARRIER(X)
#endif

#define LWC_SYMBOLS(X)                                                                             \
    LWC_SYMBOLS_OF_ALL(X)                                                                          \
    LWC_SYMBOLS_OF_NUMA(X)                                                                         \
    LWC_SYMBOLS_OF_HUGE_PAGES(X)                                                                   \
    LWC_SYMBOLS_OF_LRU_GEN(X)                                                                      \
    LWC_SYMBOLS_OF_UPROBES(X)                                                                      \
    LWC_SYMBOLS_OF_LDT(X)                                                                          \
    LWC_SYMBOLS_OF_MEMBARRIER(X)                                                                   \
    LWC_SYMBOLS_OF_SERIES(X)

#define X(name, prototype) DECLARE_STATIC_CALL(lwc_##name, prototype);
LWC_SYMBOLS(X)
#undef X

/* KERNEL(name)(arguments) */
#define KERNEL(name) static_call(lwc_##name)

/* The pages that all processes may use at most, by overcommit_memory. */
extern typeof(vm_committed_as) *lwc_vm_committed_as;
/* The mappings that a memory may have. */
extern typeof(sysctl_max_map_count) *lwc_max_map_count;
/* What restart_syscall(2) does where nothing was interrupted. */
extern typeof(do_no_restart_syscall) *lwc_no_restart;

int lwc_symbols_init(void);

#endif
