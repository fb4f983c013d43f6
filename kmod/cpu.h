/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of an lwC is in the processor, or kept by the kernel with the thread.
 */
#ifndef _LWC_CPU_H
#define _LWC_CPU_H

#include <linux/futex.h>
#include <linux/ptrace.h>
#include <linux/rseq.h>
#include <linux/signal_types.h>

/* Where in its memory the kernel writes for a thread: when it ends, or while it runs. */
struct lwc_addresses {
    int __user *clear_child_tid;
    struct robust_list_head __user *robust_list;
    struct compat_robust_list_head __user *compat_robust_list;
    struct rseq __user *rseq;
    u32 rseq_length;
    u32 rseq_signature;
};

struct lwc_cpu {
    struct pt_regs regs;
    unsigned long fsbase;
    unsigned long gsbase;
    u32 pkru;
    sigset_t blocked;
    unsigned long stack; /* alternate signal stack */
    size_t stack_size;
    unsigned int stack_flags;
    struct lwc_addresses addresses;
    void *xstate; /* as large as the task's */
};

int lwc_cpu_supported(void);
int lwc_cpu_can_be_carried(void);
int lwc_cpu_alloc(struct lwc_cpu *cpu);
void lwc_cpu_free(struct lwc_cpu *cpu);
void lwc_cpu_save(struct lwc_cpu *cpu);
void lwc_cpu_load(const struct lwc_cpu *cpu);
void lwc_cpu_forget_restart(void);
void lwc_cpu_copy(struct lwc_cpu *to, const struct lwc_cpu *from);
void lwc_cpu_reset(struct lwc_cpu *to, const struct lwc_cpu *from);
void lwc_cpu_block_signals(struct lwc_cpu *cpu);

#endif
