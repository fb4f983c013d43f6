/* SPDX-License-Identifier: MIT */
/* What the kernel did on processor 0, counted by perf's software events. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "counts.h"
#include "steps.h"
#include "world.h"

/* Fires where a root is loaded on a switch of address spaces; other flushes have other reasons. */
#define TLB_FLUSH "/sys/kernel/tracing/events/tlb/tlb_flush/id"
#define ON_A_SWITCH "reason == 0"

const char *const count_names[COUNTS] = {"roots", "faults", "switches"};

static int fds[COUNTS];

static int event(unsigned int type, unsigned long config)
{
    struct perf_event_attr attr = {
        .type = type,
        .size = sizeof(attr),
        .config = config,
        .disabled = 1,
    };

    return MUST(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

void counts_open(void)
{
    if (access(TLB_FLUSH, R_OK) && mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL))
        CHECK_EQ(errno, EBUSY);
    fds[COUNT_ROOTS] = event(PERF_TYPE_TRACEPOINT, line_number(TLB_FLUSH, ""));
    MUST(ioctl(fds[COUNT_ROOTS], PERF_EVENT_IOC_SET_FILTER, ON_A_SWITCH));
    fds[COUNT_FAULTS] = event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);
    fds[COUNT_SWITCHES] = event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES);
}

void counts_start(void)
{
    for (int n = 0; n < COUNTS; n++) {
        MUST(ioctl(fds[n], PERF_EVENT_IOC_RESET, 0));
        MUST(ioctl(fds[n], PERF_EVENT_IOC_ENABLE, 0));
    }
}

void counts_stop(long what[COUNTS])
{
    for (int n = 0; n < COUNTS; n++)
        MUST(ioctl(fds[n], PERF_EVENT_IOC_DISABLE, 0));
    for (int n = 0; n < COUNTS; n++)
        CHECK_EQ(read(fds[n], &what[n], sizeof(what[n])), (long)sizeof(what[n]));
}
