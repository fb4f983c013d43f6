// SPDX-License-Identifier: GPL-2.0
/*
 * Learns that a thread ends or begins another program, however that comes about.
 *
 * By two tracepoints, which every exit and every execve passes: a mmu notifier would miss threads
 * that share the memory of others, and a file's flush those that closed all descriptors.
 */
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "ending.h"
#include "group.h"
#include "mutations.h"

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

static struct probe {
    const char *name;
    void *function;
    struct tracepoint *tracepoint;
} probes[] = {
    {"sched_process_exit", on_exit, NULL},
    {"sched_process_exec", on_exec, NULL},
};

static void note(struct tracepoint *tracepoint, void *unused)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(probes); i++)
        if (!strcmp(tracepoint->name, probes[i].name))
            probes[i].tracepoint = tracepoint;
}

int lwc_ending_init(void)
{
    unsigned int i;
    int err;

    for_each_kernel_tracepoint(note, NULL);
    for (i = 0; i < ARRAY_SIZE(probes); i++) {
        err = -ENOENT;
        if (probes[i].tracepoint)
            err = tracepoint_probe_register(probes[i].tracepoint, probes[i].function, NULL);
        if (!err)
            continue;
        pr_err("cannot use the tracepoint %s (%d)\n", probes[i].name, err);
        while (i--)
            tracepoint_probe_unregister(probes[i].tracepoint, probes[i].function, NULL);
        return err;
    }
    return 0;
}

void lwc_ending_exit(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(probes); i++)
        tracepoint_probe_unregister(probes[i].tracepoint, probes[i].function, NULL);
    tracepoint_synchronize_unregister();
}
