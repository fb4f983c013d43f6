/* SPDX-License-Identifier: MIT */
/*
 * The snapshot is not taken of the root, but of a mould: an lwC that is there
 * only for this, has the root's table of descriptors and all of its memory
 * without the keep. There everything becomes as a worker shall find it (signal
 * mask, dumpable), which the root must be at no time.
 */
#include "lwc_freeze.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "confine.h"
#include "files.h"
#include "lwc_calls.h"
#include "lwc_door.h"
#include "lwc_exchange.h"
#include "lwc_inside.h"
#include "step.h"
#include "sys.h"

enum {
    HIGH_FD = 1000,         /* where an application that closes everything does not reach */
    USED_STACK = 32 * 1024, /* more than the guard and the loop use */
};

/* The words with which the mould gives its place back to the root. */
enum { MOULD_RESULT, MOULD_SNAPSHOT, MOULD_WORDS };

/* The smallest descriptor from `from` on that a worker keeps; -1: there is none. */
static int next_kept(const struct frozen *f, const int *own, int count, int from)
{
    int i, best = -1;

    for (i = 0; i < f->file_count && best < 0; i++)
        if (f->files[i].fd >= from)
            best = f->files[i].fd;
    for (i = 0; i < count; i++)
        if (own[i] >= from && (best < 0 || own[i] < best))
            best = own[i];
    return best;
}

/* A worker has the application's descriptors, the door, and a name of the root.
 * Returns how many specifications that takes, or -E2BIG. */
static int close_others(const struct frozen *f, const int *own, int count, struct lwc_spec *specs)
{
    int n = 0, from = 0, fd;

    while ((fd = next_kept(f, own, count, from)) >= 0) {
        if (fd > from) {
            if (n == LWC_MAX_SPECS - 1)
                return -E2BIG;
            specs[n++] = (struct lwc_spec){LWC_FILES, LWC_UNMAP, (__u64)from, (__u64)fd};
        }
        from = fd + 1;
    }
    specs[n++] = (struct lwc_spec){LWC_FILES, LWC_UNMAP, (__u64)from, LWC_ALL};
    return n;
}

int lwc_freeze_examine(const struct frozen *f)
{
    struct lwc_spec specs[LWC_MAX_SPECS];
    /* The two of a worker's own come after those, with more between, where they can. */
    const int own[2] = {KEEP_MAX_FD + 1, KEEP_MAX_FD + 3};
    int count = close_others(f, own, 2, specs);

    return count < 0 ? count : 0;
}

/* What an earlier request has left below this frame, in the guard's stack. */
static void __attribute__((noinline)) wipe_stack(void)
{
    uint8_t below[USED_STACK];

    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

static void __attribute__((noreturn)) give_back(int door, long result, int snapshot)
{
    struct lwc_switch back = {.target = LWC_FD_ROOT, .flags = LWC_DISCARD, .nargs = MOULD_WORDS};

    back.args[MOULD_RESULT] = (__u64)result;
    back.args[MOULD_SNAPSHOT] = (__u64)snapshot;
    lwc_door_switch(door, &back);
    sys_exit(1);
}

/* In the mould. Returns in workers, with 1. */
static int be_mould(struct inbox *in, int door, int root)
{
    struct lwc_spec specs[LWC_MAX_SPECS];
    struct lwc_create c = {.flags = LWC_SUSPEND_ONLY | LWC_SHARE_SIGNALS | LWC_TRAP_SYSCALLS,
                           .specs = (__u64)specs};
    /* Whoever is entered learns who entered it, by a descriptor of its own table:
     * one that is there already, or the lowest free, which the application would
     * miss. So the root's name is there, high up. */
    int own[2] = {door, (int)sys_fcntl(root, F_DUPFD_CLOEXEC, HIGH_FD)}, count = 0;
    long ret;

    sys_close(root);
    if (own[1] < 0)
        give_back(door, own[1], -1);
    STEP(CLOSE_ROOT_FDS)
        count = close_others(&in->frozen, own, 2, specs);
    if (count < 0)
        give_back(door, count, -1);
    c.nspecs = (__u32)count;
    if (in->frozen.ruleset >= 0) {
        ret = confine_enter(in->frozen.ruleset);
        if (ret)
            give_back(door, ret, -1);
    }
    STEP(RESTORE_DUMPABLE)
        sys_prctl(PR_SET_DUMPABLE, (unsigned long)in->frozen.dumpable);
    wipe_stack();
    STEP(RESTORE_MASK)
        sys_sigprocmask(SIG_SETMASK, &in->frozen.app_mask, NULL);
    ret = lwc_door_create(door, &c);
    if (!ret && c.event == LWC_ENTERED) {
        lwc_inside_enter(in, c.args);
        return 1;
    }
    give_back(door, ret, c.fd);
}

/* What workers may do: go back to the root, and the calls that need not be noted. */
static int grant(const struct lwc_frozen *f)
{
    uint8_t refused[LWC_CALLS_BYTES];
    struct lwc_grant way = {LWC_FD_SELF, f->snapshot, LWC_MAY_ENTER, 0};
    struct lwc_trap trap = {f->snapshot, LWC_TRAP_SOME, (__u64)refused};
    int ret = lwc_door_call(f->door, LWC_IOC_GRANT, &way);

    lwc_calls_noted(refused);
    return ret ? ret : lwc_door_call(f->door, LWC_IOC_TRAP, &trap);
}

int lwc_freeze(struct keep *k, struct inbox *in, struct lwc_frozen *to, const char **what)
{
    struct lwc_spec specs[3] = {{LWC_FILES, LWC_SHARE, 0, LWC_ALL}};
    struct lwc_create c = {.flags = LWC_MAY_RETURN, .nspecs = 2, .specs = (__u64)specs};
    struct lwc_switch there = {.nargs = 0};
    long ret;
    int bad = -1;

    *what = "opening a file of the application anew";
    ret = files_reopen(&in->frozen, &bad);
    if (ret)
        return (int)ret;
    /* Another one than the last child's: what that has left running may see it. */
    *what = "mapping memory";
    ret = keep_map_guarded(LWC_EXCHANGE, MAP_SHARED);
    if (ret < 0 && ret > -4096)
        return (int)ret;
    to->exchange = in->exchange = (uint8_t *)ret;
    in->door = to->door;
    specs[1] = (struct lwc_spec){LWC_MEMORY, LWC_SHARE, (__u64)ret, (__u64)ret + LWC_EXCHANGE};
    STEP(HIDE_KEEP)
        specs[c.nspecs++] = (struct lwc_spec){LWC_MEMORY, LWC_UNMAP, (__u64)k, (__u64)k + k->size};
    *what = "making a light-weight context";
    in->keep = NULL;
    ret = lwc_door_create(to->door, &c);
    if (!ret && c.event == LWC_ENTERED)
        return be_mould(in, to->door, c.fd);
    in->keep = k;
    if (ret)
        return (int)ret;
    *what = "taking the snapshot";
    there.target = c.fd;
    ret = lwc_door_switch(to->door, &there);
    sys_close(c.fd);
    if (ret || there.args[MOULD_RESULT])
        return ret ? (int)ret : (int)there.args[MOULD_RESULT];
    to->snapshot = (int)there.args[MOULD_SNAPSHOT];
    return grant(to);
}
