// SPDX-License-Identifier: GPL-2.0
/* Probes on tracepoints of the kernel, which are found by name: they are not exported. */
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "tracepoints.h"

struct search {
    const char *name;
    struct tracepoint *found;
};

static void look(struct tracepoint *tracepoint, void *private)
{
    struct search *search = private;

    if (!strcmp(tracepoint->name, search->name))
        search->found = tracepoint;
}

static struct tracepoint *find(const char *name)
{
    struct search search = {.name = name};

    for_each_kernel_tracepoint(look, &search);
    return search.found;
}

int lwc_tracepoint_register(const char *name, void *probe)
{
    struct tracepoint *tracepoint = find(name);
    int err = tracepoint ? tracepoint_probe_register(tracepoint, probe, NULL) : -ENOENT;

    if (err)
        pr_err("cannot use the tracepoint %s (%d)\n", name, err);
    return err;
}

/* The probe may still be running somewhere: before the module goes, wait for that. */
void lwc_tracepoint_unregister(const char *name, void *probe)
{
    tracepoint_probe_unregister(find(name), probe, NULL);
}
