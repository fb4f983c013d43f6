/* SPDX-License-Identifier: MIT OR GPL-2.0 */
#ifndef _LIBLWC_H
#define _LIBLWC_H
/*
 * Light-weight contexts for programs in C (C11) and C++ (C++11): the calls of lwc.h as functions.
 * What they mean, and every errno, stands in lwc.h; examples in docs/lwc.md. There is nothing to
 * link with. With -std=c11 define _POSIX_C_SOURCE 200809L first, or take -std=gnu11.
 *
 * All take `door`, a descriptor of /dev/lwc (lwc_open()), and answer 0, or a descriptor where it
 * says so, or a negative errno: the variable errno is not used, since it is memory of one lwC.
 * Results are written only on success.
 *
 * Returning twice
 * ---------------
 * lwc_create(), lwc_snapshot() and lwc_safepoint() return once more in the new lwC, when it is
 * entered for the first time, with all callers above them: as after fork(2), not as after vfork(2)
 * or setjmp(3). Each copy has a stack and variables of its own, so the function that called may
 * return in both. Look at `event`:
 *
 *     lwc_create(door, LWC_MAY_RETURN, NULL, 0, &made);
 *     if (made.event != LWC_CREATED)
 *         inside(&made);                // the new lwC; must not come back here
 *     lwc_switch(door, made.fd, NULL, 0, &back);
 *
 * Unlike fork(2) they call no handler of pthread_atfork(3): locks that other threads hold
 * (malloc's, stdio's) stay locked in the copy, and buffers of stdio are in both. Flush them before,
 * and end an lwC by lwc_discard() or _exit(2), not exit(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* lwc.h checks the sizes of its structures by the word that C has for it. */
#if defined(__cplusplus) && !defined(_Static_assert)
#define _Static_assert static_assert
#endif
#include <lwc.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LWC_DEVICE "/dev/lwc"

static inline int lwc_ioctl(int door, unsigned long call, void *structure)
{
    int answer = ioctl(door, call, structure);

    if (answer < 0)
        return -errno;
    return answer ? -ENOTTY : 0; /* something else answers there */
}

/* The contract that the module speaks, and its features. */
static inline int lwc_abi(int door, struct lwc_abi *abi)
{
    return lwc_ioctl(door, LWC_IOC_ABI, abi);
}

/* A door, close-on-exec; -EPROTONOSUPPORT where the module speaks another contract than lwc.h. */
static inline int lwc_open(void)
{
    struct lwc_abi abi;
    int door = open(LWC_DEVICE, O_RDWR | O_CLOEXEC);
    int err;

    if (door < 0)
        return -errno;
    err = lwc_abi(door, &abi);
    if (!err && abi.abi != LWC_ABI)
        err = -EPROTONOSUPPORT;
    if (err) {
        close(door);
        return err;
    }
    return door;
}

/* --- specifications; an action is LWC_COPY, LWC_SHARE or LWC_UNMAP, | LWC_MAY_ACCESS --- */

static inline struct lwc_spec lwc_spec(__u32 kind, __u32 action, __u64 start, __u64 end)
{
    struct lwc_spec spec;

    spec.kind = kind;
    spec.action = action;
    spec.start = start;
    spec.end = end;
    return spec;
}

/* So many bytes of memory, from a multiple of the page size on. */
static inline struct lwc_spec lwc_memory(const void *start, size_t length, __u32 action)
{
    return lwc_spec(LWC_MEMORY, action, (uintptr_t)start, (uintptr_t)start + length);
}

/* Descriptors from the first one to the one before `end`; LWC_ALL for all. */
static inline struct lwc_spec lwc_files(__u64 first, __u64 end, __u32 action)
{
    return lwc_spec(LWC_FILES, action, first, end);
}

static inline struct lwc_spec lwc_credentials(__u32 action)
{
    return lwc_spec(LWC_CREDENTIALS, action, 0, LWC_ALL);
}

/* --- lwCs --- */

/*
 * A new lwC. Returns twice: see above. With LWC_WITH_THREADS `made->nargs` says before how many
 * other threads to wait for; it is not looked at otherwise.
 */
static inline int lwc_create(int door, __u32 flags, const struct lwc_spec *specs, __u32 nspecs,
                             struct lwc_create *made)
{
    __u32 threads = flags & LWC_WITH_THREADS ? made->nargs : 0;

    memset(made, 0, sizeof(*made));
    made->flags = flags;
    made->nspecs = nspecs;
    made->specs = (uintptr_t)specs;
    made->nargs = threads;
    return lwc_ioctl(door, LWC_IOC_CREATE, made);
}

/* A copy of this lwC that never runs. Returns once more in each worker: see above. */
static inline int lwc_snapshot(int door, __u32 flags, const struct lwc_spec *specs, __u32 nspecs,
                               struct lwc_create *made)
{
    return lwc_create(door, flags | LWC_SUSPEND_ONLY, specs, nspecs, made);
}

/* Leave this lwC and enter another. Returns when this one is entered again. */
static inline int lwc_switch(int door, int target, const __u64 *args, __u32 nargs,
                             struct lwc_switch *back)
{
    if (nargs > LWC_MAX_ARGS)
        return -EINVAL;
    memset(back, 0, sizeof(*back));
    back->target = target;
    back->nargs = nargs;
    if (nargs)
        memcpy(back->args, args, nargs * sizeof(*args));
    return lwc_ioctl(door, LWC_IOC_SWITCH, back);
}

/* Destroy this lwC and enter another. Returns only where that was refused. */
static inline int lwc_discard(int door, int target, const __u64 *args, __u32 nargs)
{
    struct lwc_switch leave;

    if (nargs > LWC_MAX_ARGS)
        return -EINVAL;
    memset(&leave, 0, sizeof(leave));
    leave.target = target;
    leave.flags = LWC_DISCARD;
    leave.nargs = nargs;
    if (nargs)
        memcpy(leave.args, args, nargs * sizeof(*args));
    return lwc_ioctl(door, LWC_IOC_SWITCH, &leave);
}

/* A descriptor of a worker: a copy of a snapshot that can be entered. */
static inline int lwc_clone(int door, int snapshot)
{
    struct lwc_clone made;
    int err;

    memset(&made, 0, sizeof(made));
    made.snapshot = snapshot;
    err = lwc_ioctl(door, LWC_IOC_CLONE, &made);
    return err ? err : made.fd;
}

/* Make a worker what its snapshot is. */
static inline int lwc_reset(int door, int worker, struct lwc_reset *done)
{
    memset(done, 0, sizeof(*done));
    done->worker = worker;
    return lwc_ioctl(door, LWC_IOC_RESET, done);
}

/* What `holder` may do to `target` from now on: LWC_MAY_ENTER | LWC_MAY_ACCESS. */
static inline int lwc_grant(int door, int target, int holder, __u32 rights)
{
    struct lwc_grant words;

    memset(&words, 0, sizeof(words));
    words.target = target;
    words.holder = holder;
    words.rights = rights;
    return lwc_ioctl(door, LWC_IOC_GRANT, &words);
}

static inline int lwc_info(int door, int fd, struct lwc_info *info)
{
    memset(info, 0, sizeof(*info));
    info->fd = fd;
    return lwc_ioctl(door, LWC_IOC_INFO, info);
}

/* --- reaching into another lwC --- */

/* Map resources of another lwC into this one; with the source LWC_FD_SELF, undo that. */
static inline int lwc_overlay(int door, int source, const struct lwc_spec *specs, __u32 nspecs)
{
    struct lwc_overlay words;

    memset(&words, 0, sizeof(words));
    words.source = source;
    words.nspecs = nspecs;
    words.specs = (uintptr_t)specs;
    return lwc_ioctl(door, LWC_IOC_OVERLAY, &words);
}

/* Narrow what may be reached through a descriptor, and all copies of it. */
static inline int lwc_restrict(int door, int fd, const struct lwc_spec *specs, __u32 nspecs)
{
    struct lwc_restrict words;

    memset(&words, 0, sizeof(words));
    words.fd = fd;
    words.nspecs = nspecs;
    words.specs = (uintptr_t)specs;
    return lwc_ioctl(door, LWC_IOC_RESTRICT, &words);
}

/* Another descriptor of the lwC, with a narrower mask. */
static inline int lwc_restricted(int door, int fd, const struct lwc_spec *specs, __u32 nspecs)
{
    struct lwc_restrict words;
    int err;

    memset(&words, 0, sizeof(words));
    words.fd = fd;
    words.flags = LWC_RESTRICT_COPY;
    words.nspecs = nspecs;
    words.specs = (uintptr_t)specs;
    err = lwc_ioctl(door, LWC_IOC_RESTRICT, &words);
    return err ? err : words.restricted;
}

/*
 * Perform a system call with resources of another lwC: those whose bit, 1 << LWC_MEMORY and so on,
 * is in `mask`. `*result` is that of the call, or its negative errno.
 */
static inline int lwc_syscall(int door, int target, __u32 mask, long nr, const __u64 args[6],
                              __s64 *result)
{
    struct lwc_syscall call;
    int err;

    memset(&call, 0, sizeof(call));
    call.target = target;
    call.mask = mask;
    call.nr = (__u64)nr;
    memcpy(call.args, args, sizeof(call.args));
    err = lwc_ioctl(door, LWC_IOC_SYSCALL, &call);
    if (!err)
        *result = call.result;
    return err;
}

/* --- refused system calls --- */

/* Which calls are refused: a bit for each number below 512. */
struct lwc_calls {
    unsigned char bits[64];
};

/* Numbers from 512 on have no bit: they are refused always. */
static inline void lwc_calls_add(struct lwc_calls *calls, unsigned int nr)
{
    if (nr < 8 * sizeof(calls->bits))
        calls->bits[nr / 8] |= (unsigned char)(1u << nr % 8);
}

static inline void lwc_calls_remove(struct lwc_calls *calls, unsigned int nr)
{
    if (nr < 8 * sizeof(calls->bits))
        calls->bits[nr / 8] &= (unsigned char)~(1u << nr % 8);
}

/* Refuse these calls to an lwC; `mode` as in lwc.h, `calls` only with LWC_TRAP_SOME. */
static inline int lwc_trap(int door, int fd, __u32 mode, const struct lwc_calls *calls)
{
    struct lwc_trap words;

    memset(&words, 0, sizeof(words));
    words.fd = fd;
    words.mode = mode;
    words.calls = (uintptr_t)calls;
    return lwc_ioctl(door, LWC_IOC_TRAP, &words);
}

/* Enter an lwC whose call was refused, and have the call end with a result, or an errno. */
static inline int lwc_reply(int door, int target, int error, __s64 result, struct lwc_switch *back)
{
    __u64 words[2] = {(__u64)error, (__u64)result};

    return lwc_switch(door, target, words, 2, back);
}

/* Enter it, and have the call made once more: it runs if it is not refused any longer. */
static inline int lwc_retry(int door, int target, struct lwc_switch *back)
{
    __u64 again = LWC_TRAP_AGAIN;

    return lwc_switch(door, target, &again, 1, back);
}

/* Enter it, and let this one call through, unless it is refused always, or to the caller too. */
static inline int lwc_permit(int door, int target, struct lwc_switch *back)
{
    __u64 once = LWC_TRAP_ONCE;

    return lwc_switch(door, target, &once, 1, back);
}

/* --- threads --- */

/* Wait to be taken along by another thread's LWC_WITH_THREADS. Returns twice: see above. */
static inline int lwc_safepoint(int door, struct lwc_safepoint *made)
{
    memset(made, 0, sizeof(*made));
    return lwc_ioctl(door, LWC_IOC_SAFEPOINT, made);
}

#ifdef __cplusplus
}
#endif

#endif
