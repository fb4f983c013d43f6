/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/ioctl.h>

#include "calls.h"
#include "check.h"

int lwc_call(unsigned long call, void *argument)
{
    int answer = ioctl(DOOR, call, argument);

    if (answer > 0)
        FAIL("call %#lx answers %d: success is 0", call, answer);
    return answer ? -errno : 0;
}

int lwc_abi(struct lwc_abi *result)
{
    memset(result, JUNK, sizeof(*result));
    return lwc_call(LWC_IOC_ABI, result);
}

int lwc_create(__u32 flags, const struct lwc_spec *specs, __u32 nspecs, struct lwc_create *result)
{
    memset(result, JUNK, sizeof(*result));
    result->flags = flags;
    result->nspecs = nspecs;
    result->specs = (uintptr_t)specs;
    return lwc_call(LWC_IOC_CREATE, result);
}

int lwc_create_with_threads(__u32 flags, const struct lwc_spec *specs, __u32 nspecs, __u32 others,
                            struct lwc_create *result)
{
    memset(result, JUNK, sizeof(*result));
    result->flags = flags | LWC_WITH_THREADS;
    result->nspecs = nspecs;
    result->specs = (uintptr_t)specs;
    result->nargs = others;
    return lwc_call(LWC_IOC_CREATE, result);
}

int lwc_safepoint(struct lwc_safepoint *result)
{
    memset(result, JUNK, sizeof(*result));
    result->flags = 0;
    result->reserved = 0;
    return lwc_call(LWC_IOC_SAFEPOINT, result);
}

int lwc_switch(int target, __u32 flags, const __u64 *args, __u32 nargs, struct lwc_switch *result)
{
    memset(result, JUNK, sizeof(*result));
    result->target = target;
    result->flags = flags;
    result->nargs = nargs;
    if (nargs && nargs <= LWC_MAX_ARGS)
        memcpy(result->args, args, nargs * sizeof(*args));
    return lwc_call(LWC_IOC_SWITCH, result);
}

int lwc_clone(int snapshot, int *fd)
{
    struct lwc_clone clone = {.snapshot = snapshot, .fd = JUNK_WORD};
    int answer = lwc_call(LWC_IOC_CLONE, &clone);

    *fd = clone.fd;
    return answer;
}

int lwc_reset(int worker, struct lwc_reset *result)
{
    memset(result, JUNK, sizeof(*result));
    result->worker = worker;
    result->flags = 0;
    return lwc_call(LWC_IOC_RESET, result);
}

int lwc_grant(int target, int holder, __u32 rights)
{
    struct lwc_grant grant = {.target = target, .holder = holder, .rights = rights};

    return lwc_call(LWC_IOC_GRANT, &grant);
}

int lwc_info(int fd, struct lwc_info *result)
{
    memset(result, JUNK, sizeof(*result));
    result->fd = fd;
    result->flags = 0;
    return lwc_call(LWC_IOC_INFO, result);
}

int lwc_trap(int fd, __u32 mode, const void *calls)
{
    struct lwc_trap trap = {.fd = fd, .mode = mode, .calls = (uintptr_t)calls};

    return lwc_call(LWC_IOC_TRAP, &trap);
}

/* `args` are six. */
int lwc_syscall(int target, __u32 mask, long nr, const __u64 *args, __s64 *result)
{
    struct lwc_syscall call = {.target = target, .mask = mask, .nr = nr, .result = JUNK_WORD};
    int answer;

    memcpy(call.args, args, sizeof(call.args));
    answer = lwc_call(LWC_IOC_SYSCALL, &call);
    *result = call.result;
    return answer;
}

int lwc_overlay(int source, const struct lwc_spec *specs, __u32 nspecs)
{
    struct lwc_overlay overlay = {.source = source, .nspecs = nspecs, .specs = (uintptr_t)specs};

    return lwc_call(LWC_IOC_OVERLAY, &overlay);
}

int lwc_restrict(int fd, __u32 flags, const struct lwc_spec *specs, __u32 nspecs, int *restricted)
{
    struct lwc_restrict narrow = {
        .fd = fd,
        .flags = flags,
        .nspecs = nspecs,
        .restricted = JUNK_WORD,
        .specs = (uintptr_t)specs,
    };
    int answer = lwc_call(LWC_IOC_RESTRICT, &narrow);

    *restricted = narrow.restricted;
    return answer;
}
