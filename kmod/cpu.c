// SPDX-License-Identifier: GPL-2.0
/* Saves and loads what of an lwC is in the processor, or kept with the thread. */
#include <linux/compat.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/fpu/sched.h>
#include <asm/fpu/types.h>
#include <asm/fsgsbase.h>
#include <asm/msr.h>
#include <asm/pkru.h>
#include <asm/segment.h>

#include "cpu.h"
#include "mutations.h"
#include "series.h"
#include "symbols.h"

/* 0, or -EOPNOTSUPP: the calling thread is not a 64-bit one, or has state that cannot be carried.
 */
int lwc_cpu_supported(void)
{
    if (in_compat_syscall() || !user_64bit_mode(current_pt_regs()))
        return -EOPNOTSUPP;
    return lwc_cpu_can_be_carried();
}

/*
 * 0, or -EOPNOTSUPP: the calling thread has state that could not be carried over. It can come to
 * have it without a system call; so it is asked before each time that such a state is left.
 */
int lwc_cpu_can_be_carried(void)
{
    unsigned int fs, gs;

    if (current->thread.fpu.fpstate->is_valloc) /* AMX */
        return -EOPNOTSUPP;
#ifdef CONFIG_X86_USER_SHADOW_STACK
    if (current->thread.features)
        return -EOPNOTSUPP;
#endif
#if defined(CONFIG_IOMMU_SVA) || defined(CONFIG_ARCH_HAS_CPU_PASID)
    if (current->pasid_activated) /* a device works in this memory */
        return -EOPNOTSUPP;
#endif
#ifdef CONFIG_IO_URING
    /* Its workers would stay in the memory they began in. */
    if (current->io_uring)
        return -EOPNOTSUPP;
#endif
    savesegment(fs, fs);
    savesegment(gs, gs);
    return fs || gs ? -EOPNOTSUPP : 0;
}

static size_t xstate_size(void)
{
    return current->thread.fpu.fpstate->size;
}

int lwc_cpu_alloc(struct lwc_cpu *cpu)
{
    cpu->xstate = kvmalloc(xstate_size(), GFP_KERNEL_ACCOUNT);
    return cpu->xstate ? 0 : -ENOMEM;
}

void lwc_cpu_free(struct lwc_cpu *cpu)
{
    kvfree(cpu->xstate);
}

static void save_xstate(struct lwc_cpu *cpu)
{
    struct fpu *fpu = &current->thread.fpu;

    KERNEL(fpu_sync_fpstate)(fpu);
    memcpy(cpu->xstate, &fpu->fpstate->regs, xstate_size());
}

static void load_xstate(const struct lwc_cpu *cpu)
{
    struct fpu *fpu = &current->thread.fpu;

    fpregs_lock();
    memcpy(&fpu->fpstate->regs, cpu->xstate, xstate_size());
    /* Loaded on the way back to user space, whatever the registers hold by then. */
    fpu->last_cpu = -1;
    set_thread_flag(TIF_NEED_FPU_LOAD);
    fpregs_unlock();
}

static void load_bases(const struct lwc_cpu *cpu)
{
    local_irq_disable();
    current->thread.fsbase = cpu->fsbase;
    current->thread.gsbase = cpu->gsbase;
    wrmsrl(MSR_FS_BASE, cpu->fsbase);
    wrmsrl(MSR_KERNEL_GS_BASE, cpu->gsbase);
    local_irq_enable();
}

static bool has_pkru(void)
{
    return cpu_feature_enabled(X86_FEATURE_OSPKE);
}

static void save_addresses(struct lwc_addresses *to)
{
    to->clear_child_tid = current->clear_child_tid;
    to->robust_list = current->robust_list;
#ifdef CONFIG_COMPAT
    to->compat_robust_list = current->compat_robust_list;
#endif
    to->rseq = current->rseq;
    to->rseq_length = lwc_rseq_length(current);
    to->rseq_signature = current->rseq_sig;
}

static void load_addresses(const struct lwc_addresses *from)
{
    if (!leave_out("switch_tid"))
        current->clear_child_tid = from->clear_child_tid;
    if (!leave_out("switch_robust")) {
        current->robust_list = from->robust_list;
#ifdef CONFIG_COMPAT
        current->compat_robust_list = from->compat_robust_list;
#endif
    }
    if (!leave_out("switch_rseq_area")) {
        current->rseq = from->rseq;
        lwc_set_rseq_length(current, from->rseq_length);
        current->rseq_sig = from->rseq_signature;
    }
}

void lwc_cpu_save(struct lwc_cpu *cpu)
{
    cpu->regs = *current_pt_regs();
    /* A tracer that steps does so with the thread, wherever that is. */
    if (test_thread_flag(TIF_FORCED_TF))
        cpu->regs.flags &= ~X86_EFLAGS_TF;
    /* User space may have written the bases with WRFSBASE. */
    current_save_fsgs();
    cpu->fsbase = current->thread.fsbase;
    cpu->gsbase = current->thread.gsbase;
    if (has_pkru())
        cpu->pkru = rdpkru();
    save_xstate(cpu);
    cpu->blocked = current->blocked;
    cpu->stack = current->sas_ss_sp;
    cpu->stack_size = current->sas_ss_size;
    cpu->stack_flags = current->sas_ss_flags;
    save_addresses(&cpu->addresses);
}

/*
 * What was interrupted is not gone on with in another lwC: the note of it, which stays behind, has
 * addresses and descriptors of this one, and is a call that may be refused there.
 */
void lwc_cpu_forget_restart(void)
{
    current->restart_block.fn = lwc_no_restart;
}

void lwc_cpu_load(const struct lwc_cpu *cpu)
{
    sigset_t blocked = cpu->blocked;

    *current_pt_regs() = cpu->regs;
    if (test_thread_flag(TIF_FORCED_TF))
        current_pt_regs()->flags |= X86_EFLAGS_TF;
    if (!leave_out("switch_fsgs"))
        load_bases(cpu);
    if (has_pkru() && !leave_out("switch_pkru"))
        wrpkru(cpu->pkru);
    if (!leave_out("switch_fpu"))
        load_xstate(cpu);
    if (!leave_out("switch_mask"))
        sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (!leave_out("switch_altstack")) {
        current->sas_ss_sp = cpu->stack;
        current->sas_ss_size = cpu->stack_size;
        current->sas_ss_flags = cpu->stack_flags;
    }
    load_addresses(&cpu->addresses);
    if (!leave_out("switch_restart"))
        lwc_cpu_forget_restart();
    /* The resumed copy's rseq area tells a processor of the past. */
    if (!leave_out("switch_rseq")) {
        preempt_disable();
        rseq_migrate(current);
        preempt_enable();
    }
}

void lwc_cpu_copy(struct lwc_cpu *to, const struct lwc_cpu *from)
{
    void *xstate = to->xstate;

    *to = *from;
    to->xstate = xstate;
    memcpy(to->xstate, from->xstate, xstate_size());
}

/* As lwc_cpu_copy(), for one that has run. */
void lwc_cpu_reset(struct lwc_cpu *to, const struct lwc_cpu *from)
{
    if (!leave_out("reset_cpu"))
        to->regs = from->regs;
    if (!leave_out("reset_fsgs")) {
        to->fsbase = from->fsbase;
        to->gsbase = from->gsbase;
    }
    if (!leave_out("reset_pkru"))
        to->pkru = from->pkru;
    if (!leave_out("reset_mask"))
        to->blocked = from->blocked;
    if (!leave_out("reset_altstack")) {
        to->stack = from->stack;
        to->stack_size = from->stack_size;
        to->stack_flags = from->stack_flags;
    }
    if (!leave_out("reset_addresses"))
        to->addresses = from->addresses;
    if (!leave_out("reset_fpu"))
        memcpy(to->xstate, from->xstate, xstate_size());
}

/* All that do not come from what the thread itself does. */
void lwc_cpu_block_signals(struct lwc_cpu *cpu)
{
    sigfillset(&cpu->blocked);
    sigdelsetmask(&cpu->blocked, sigmask(SIGKILL) | sigmask(SIGSTOP) | sigmask(SIGSEGV) |
                                     sigmask(SIGBUS) | sigmask(SIGILL) | sigmask(SIGFPE) |
                                     sigmask(SIGTRAP) | sigmask(SIGSYS));
}
