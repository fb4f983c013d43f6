// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that calls exit(2) in an lwC returns to its root lwC first: there its robust list is
 * gone through, and there are those who wait for its end, at the address of its number.
 *
 * The kernel does both before the first tracepoint of an exit. So the call is caught at its
 * beginning, by a probe, and made by a function of ours. Threads that have no lwCs, or are in their
 * root, pass by.
 */
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <asm/syscall.h>

#include "context.h"
#include "leaving.h"
#include "mutations.h"
#include "switch.h"
#include "symbols.h"

/* Stands for the system call, with its argument, the registers of user space. */
static asmlinkage long exit_in_root(struct pt_regs *regs)
{
    unsigned long arguments[6];

    syscall_get_arguments(current, regs, arguments);
    lwc_switch_to_root(lwc_group_find());
    KERNEL(do_exit)((arguments[0] & 0xff) << 8);
    return 0;
}

static int on_exit_call(struct kprobe *probe, struct pt_regs *regs)
{
    const struct lwc_group *group = lwc_group_find();

    if (!group || group->running == group->root || leave_out("exit_in_root"))
        return 0;
    instruction_pointer_set(regs, (unsigned long)exit_in_root);
    return 1;
}

/* Its presence keeps the probe from being made into one that cannot change where it returns. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags) {}

static struct kprobe probes[] = {
    {.symbol_name = "__x64_sys_exit", .pre_handler = on_exit_call, .post_handler = after},
#ifdef CONFIG_IA32_EMULATION
    {.symbol_name = "__ia32_sys_exit", .pre_handler = on_exit_call, .post_handler = after},
#endif
};

int lwc_leaving_init(void)
{
    unsigned int i;
    int err;

    for (i = 0; i < ARRAY_SIZE(probes); i++) {
        err = register_kprobe(&probes[i]);
        if (!err)
            continue;
        pr_err("cannot set a probe at %s (%d)\n", probes[i].symbol_name, err);
        while (i--)
            unregister_kprobe(&probes[i]);
        return err;
    }
    return 0;
}

void lwc_leaving_exit(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(probes); i++)
        unregister_kprobe(&probes[i]);
}
