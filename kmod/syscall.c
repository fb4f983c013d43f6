// SPDX-License-Identifier: GPL-2.0
/* Makes one system call with resources of another lwC. */
#include <linux/cred.h>
#include <linux/ptrace.h>
#include <linux/sched/coredump.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/unistd.h>

#include "calls.h"
#include "context.h"
#include "files.h"
#include "filter.h"
#include "memory.h"
#include "mutations.h"
#include "symbols.h"
#include "syscall.h"
#include "tracer.h"

static const bool supported[] = {
#define X(call) [__NR_##call] = true,
    LWC_CALLS(X)
#undef X
};

int lwc_syscall_supported(u64 nr)
{
    if (nr >= ARRAY_SIZE(supported) || !supported[nr])
        return -ENOSYS;
#ifdef CONFIG_SECCOMP
    if (current->seccomp.mode != SECCOMP_MODE_DISABLED && !leave_out("syscall_seccomp"))
        return -EOPNOTSUPP;
#endif
    return 0;
}

/* What the caller has of its own meanwhile. */
struct own {
    struct mm_struct *mm;
    struct files_struct *files;
    const struct cred *cred;
};

/*
 * Who may attach to a thread in the target's memory would be attached to the caller afterwards, and
 * reach its descriptors meanwhile.
 */
static bool would_show_caller(const struct lwc *target)
{
    return __get_dumpable(current->mm->flags) != SUID_DUMP_USER &&
           __get_dumpable(target->mm->flags) == SUID_DUMP_USER && !leave_out("syscall_dumpable");
}

static int take(struct own *own, struct lwc *target, u32 mask)
{
    int err = down_write_killable(&current->signal->exec_update_lock);

    if (err)
        return err;
    own->mm = current->mm;
    if (mask & 1u << LWC_MEMORY)
        lwc_memory_switch(target->mm);
    if (mask & 1u << LWC_FILES)
        own->files = lwc_files_swap(target->files);
    /* What others see stays the caller's: who may look at it, must go on to be allowed to. Where
     * the two share their credentials the caller has them. */
    if (mask & 1u << LWC_CREDENTIALS && target->creds->parked)
        own->cred = override_creds(target->creds->parked);
    up_write(&current->signal->exec_update_lock);
    return 0;
}

/* As with a switch: a tracer may change what is called, and sees what it returns. */
static int take_guarded(struct own *own, struct lwc *target, u32 mask)
{
    const struct cred *next = mask & 1u << LWC_CREDENTIALS ? target->creds->parked : NULL;
    const struct mm_struct *memory = mask & 1u << LWC_MEMORY ? target->mm : NULL;
    int err;

    if (memory && would_show_caller(target))
        return -EPERM;
    if (!lwc_tracer_matters(next, memory))
        return take(own, target, mask);
    if (mutex_lock_interruptible(&current->signal->cred_guard_mutex))
        return -ERESTARTNOINTR;
    err = lwc_tracer_may_follow(next, memory) || leave_out("syscall_tracer")
              ? take(own, target, mask)
              : -EPERM;
    mutex_unlock(&current->signal->cred_guard_mutex);
    return err;
}

static void give_back(const struct own *own, struct lwc *target)
{
    struct files_struct *files;

    if (own->cred)
        revert_creds(own->cred);
    /* No execve(2) has it while it waits for this thread to end. */
    down_write(&current->signal->exec_update_lock);
    if (own->files) {
        files = lwc_files_swap(own->files);
        /* It may be another table than before: close_range(2) can unshare it. */
        if (!leave_out("syscall_table"))
            target->files = files;
    }
    if (own->mm != current->mm)
        lwc_memory_switch(own->mm);
    up_write(&current->signal->exec_update_lock);
    target->pages = target->mm->total_vm;
}

static long make_call(const struct lwc_syscall *wanted)
{
    struct pt_regs regs = *current_pt_regs();

    regs.orig_ax = wanted->nr;
    regs.ax = -ENOSYS;
    regs.di = wanted->args[0];
    regs.si = wanted->args[1];
    regs.dx = wanted->args[2];
    regs.r10 = wanted->args[3];
    regs.r8 = wanted->args[4];
    regs.r9 = wanted->args[5];
    return KERNEL(x64_sys_call)(&regs, wanted->nr);
}

/*
 * The call has not begun, or has been interrupted: then this one is made again, or not, as
 * signal(7) has it. 0: its result is there.
 */
static int settle(struct lwc_syscall *wanted, long result)
{
    switch (result) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
        return (int)result;
    case -ERESTART_RESTARTBLOCK:
        /* What is noted for that holds addresses in the memory of the other. */
        lwc_cpu_forget_restart();
        result = -EINTR;
        break;
    }
    wanted->result = result;
    return 0;
}

/* `target` is parked. 0, with the result in `wanted`; or an error of this call itself. */
int lwc_syscall(struct lwc *target, struct lwc_syscall *wanted)
{
    struct lwc_group *group = target->group;
    struct own own = {};
    long result;
    int err;

    if (group->running->filter && lwc_filter_refuses(group->running->filter, wanted->nr) &&
        !leave_out("syscall_trap"))
        return -EACCES;
    err = take_guarded(&own, target, wanted->mask);
    if (err)
        return err;
    /* Descriptors of lwCs that are closed now are closed in the name of the other. */
    group->quiet = true;
    result = make_call(wanted);
    group->quiet = false;
    give_back(&own, target);
    return settle(wanted, result);
}
