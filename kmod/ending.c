// SPDX-License-Identifier: GPL-2.0
/*
 * Learns that a thread ends or begins another program, however that comes about.
 *
 * By two tracepoints, which every exit and every execve passes: a mmu notifier would miss threads
 * that share the memory of others, and a file's flush those that closed all descriptors.
 */
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "ending.h"
#include "group.h"
#include "mutations.h"
#include "tracepoints.h"

static void on_exit(void *unused, struct task_struct *task)
{
    if (!leave_out("exit_teardown"))
        lwc_group_end_soon();
}

static void on_exec(void *unused, struct task_struct *task, pid_t old_pid,
                    struct linux_binprm *program)
{
    if (!leave_out("exec_teardown"))
        lwc_group_end_soon();
}

static const struct {
    const char *tracepoint;
    void *function;
} probes[] = {
    {"sched_process_exit", on_exit},
    {"sched_process_exec", on_exec},
};

int lwc_ending_init(void)
{
    unsigned int i;
    int err;

    for (i = 0; i < ARRAY_SIZE(probes); i++) {
        err = lwc_tracepoint_register(probes[i].tracepoint, probes[i].function);
        if (!err)
            continue;
        while (i--)
            lwc_tracepoint_unregister(probes[i].tracepoint, probes[i].function);
        return err;
    }
    return 0;
}

void lwc_ending_exit(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(probes); i++)
        lwc_tracepoint_unregister(probes[i].tracepoint, probes[i].function);
    tracepoint_synchronize_unregister();
}
