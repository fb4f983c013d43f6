/* SPDX-License-Identifier: MIT */
#include "arming.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "dispatch.h"
#include "report.h"
#include "sys.h"
#include "text.h"
#include "trace.h"
#include "verify.h"
#include "wipe.h"

/* How far the main stack may grow where nothing limits it. */
static const uint64_t STACK_MOST = 64 << 20;

static size_t whole_pages(size_t len)
{
    return (len + IMAGE_PAGE - 1) & ~(size_t)(IMAGE_PAGE - 1);
}

static int failed(long ret)
{
    return ret < 0 && ret > -4096;
}

/* With the guard pages on both sides. */
static void skip(struct image *im, const void *at, size_t len)
{
    im->skipped[im->skipped_count].start = (uint64_t)at - IMAGE_PAGE;
    im->skipped[im->skipped_count].end = (uint64_t)at + whole_pages(len) + IMAGE_PAGE;
    im->skipped_count++;
}

/* A region of the root's own; where it is not `inherited`, what the application
 * forks has no copy of it. */
static int map_own(struct image *im, size_t len, int inherited, void **at)
{
    long ret = keep_map_guarded(whole_pages(len), MAP_PRIVATE);

    if (failed(ret))
        return (int)ret;
    *at = (void *)ret;
    skip(im, *at, len);
    ret = sys_madvise(*at, whole_pages(len), MADV_DONTDUMP);
    if (!ret && !inherited)
        ret = sys_madvise(*at, whole_pages(len), MADV_DONTFORK);
    return (int)ret;
}

int arming_map(struct keep *k, struct inbox *in)
{
    struct image regions;
    void *own, *shadow, *root, *loop, *trace, *verify = NULL;
    struct rewind *r;
    long alt;
    int ret;

    regions.skipped_count = 0;
    skip(&regions, k, k->size);
    skip(&regions, in, in->size);
    ret = map_own(&regions, sizeof *r, 0, &own);
    if (!ret)
        ret = map_own(&regions, (size_t)SHADOW_PAGES * IMAGE_PAGE, 0, &shadow);
    if (!ret)
        ret = map_own(&regions, REWIND_STACK, 0, &root);
    if (!ret)
        ret = map_own(&regions, REWIND_STACK, 0, &loop);
    if (!ret)
        ret = map_own(&regions, sizeof *in->trace, 1, &trace);
    if (!ret && k->cfg.verify)
        ret = map_own(&regions, sizeof(struct verify), 0, &verify);
    if (ret)
        return ret;
    /* Part of the image: what signals leave on it is put back like the rest. */
    alt = keep_map_guarded(REWIND_ALTSTACK, MAP_PRIVATE);
    if (failed(alt))
        return (int)alt;
    r = own;
    memcpy(r->image.skipped, regions.skipped, sizeof regions.skipped);
    r->image.skipped_count = regions.skipped_count;
    r->track.shadow = shadow;
    r->verify = verify;
    r->root_stack = (uint8_t *)root + REWIND_STACK;
    r->loop_stack = (uint8_t *)loop + REWIND_STACK;
    r->altstack = (uint8_t *)alt;
    k->rewind = r;
    k->image = &r->image;
    k->track = &r->track;
    in->trace = trace;
    in->trace->size = sizeof *in->trace;
    return 0;
}

/* The kernel writes the number of the processor into a thread's rseq area
 * whenever it likes; that area is part of the image. glibc (2.35 and later)
 * says where it is, and does without once it is unregistered. */
extern const long __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
enum { RSEQ_UNREGISTER = 1, RSEQ_LEN = 32 };
static const unsigned RSEQ_SIGNATURE = 0x53053053;

static void unregister_rseq(void)
{
    if (&__rseq_size && __rseq_size)
        SYS(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, RSEQ_LEN, RSEQ_UNREGISTER,
            RSEQ_SIGNATURE, 0, 0);
}

/* The main stack grows without a system call: let it be all there. */
static int grow_stack(struct rewind *r)
{
    long n = image_list(&r->image, r->now), i;
    uint64_t most;
    long ret = SYS(SYS_prlimit64, 0, RLIMIT_STACK, 0, &r->stack_limit, 0, 0);

    if (n < 0 || ret)
        return n < 0 ? (int)n : (int)ret;
    most = r->stack_limit.rlim_cur < STACK_MOST ? r->stack_limit.rlim_cur : STACK_MOST;
    r->stack_limit.rlim_cur = most;
    for (i = 0; i < n; i++)
        if (r->now[i].flags & MAP_STACK_AREA && r->now[i].end - r->now[i].start < most)
            *(volatile char *)(r->now[i].end - (most & ~(uint64_t)(IMAGE_PAGE - 1)));
    return 0;
}

/* The kernel tells which keys are free, and not taken by itself for memory that can
 * only be executed, by giving them (pkeys(7)). So only the root may ask: who is killed
 * meanwhile must take the memory along. What the caller may do with a key stays what
 * it is for one that is not used. */
static uint32_t free_keys(void)
{
    enum { DISABLE_ACCESS = 1 };
    uint32_t found = 0, key;
    long got;

    while ((got = SYS(SYS_pkey_alloc, 0, DISABLE_ACCESS, 0, 0, 0, 0)) >= 0)
        found |= 1u << got;
    for (key = 0; key < 32; key++)
        if (found >> key & 1)
            SYS(SYS_pkey_free, key, 0, 0, 0, 0, 0);
    return found;
}

static void read_own(const char *path, char *to, size_t room)
{
    long fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0)
        return;
    sys_read((int)fd, to, room);
    sys_close((int)fd);
}

void arming_look_at_whole(struct whole *now)
{
    enum { GET_MDWE = 66, GET_MEMORY_MERGE = 68, GET_REGISTRATIONS = 1 << 9 };

    memset(now, 0, sizeof *now);
    now->deny_write_execute = SYS(SYS_prctl, GET_MDWE, 0, 0, 0, 0, 0);
    now->merge = SYS(SYS_prctl, GET_MEMORY_MERGE, 0, 0, 0, 0, 0);
    now->membarrier = SYS(SYS_membarrier, GET_REGISTRATIONS, 0, 0, 0, 0, 0);
    now->free_keys = free_keys();
    read_own("/proc/self/coredump_filter", now->core_filter, sizeof now->core_filter);
    read_own("/proc/self/oom_score_adj", now->oom_score, sizeof now->oom_score);
}

static int sight(struct keep *k, struct rewind *r, struct trace *t)
{
    int ret = k->cfg.dispatch ? dispatch_install(t) : -ENOSYS;

    r->blind = ret != 0;
    if (ret == -EBUSY)
        report(k, 'W',
               "the application handles SIGSYS itself, so its system calls cannot be "
               "seen: each request will need a new process");
    return ret == -EBUSY || ret == -ENOSYS || ret == -EINVAL ? 0 : ret;
}

extern char PyType_Type[];

static int is_own_fd(const void *k, int fd)
{
    return keep_owns_fd(k, fd);
}

/* For --verify: what everything will be compared with. */
static int record(struct keep *k, struct rewind *r)
{
    const struct image *im = &r->image;
    struct verify_setup *s = &r->verify->setup;
    uint32_t i;

    s->holder = im->holder;
    s->python_type = (uint64_t)PyType_Type;
    s->is_own_fd = is_own_fd;
    s->own_fd_arg = k;
    for (i = 0; i < im->skipped_count && i < VERIFY_SPANS; i++) {
        s->without[i].start = im->skipped[i].start;
        s->without[i].end = im->skipped[i].end;
    }
    s->without_count = i;
    s->exempt[0].start = (uint64_t)k->tid_address;
    s->exempt[0].end = (uint64_t)(k->tid_address + 1);
    s->exempt_count = 1;
    return verify_record(r->verify, s);
}

int arming_freeze(struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    struct trace *t = in->trace;
    const char *what;
    int ret;

    if (cpu_xsave_size() > CPU_XSAVE_ROOM)
        return report_not_frozen(k, "this processor has more registers than there is room for",
                                 -E2BIG);
    ret = sight(k, r, t);
    if (ret)
        return report_not_frozen(k, "installing the handler of system calls", ret);
    unregister_rseq();
    arming_look_at_whole(&r->whole);
    r->thp_disabled = (int32_t)sys_prctl(PR_GET_THP_DISABLE, 0);
    ret = (int)SYS(SYS_get_robust_list, 0, &r->robust_list, &r->robust_len, 0, 0, 0);
    if (!ret)
        ret = grow_stack(r);
    if (ret)
        return report_not_frozen(k, "looking at its stack", ret);
    ret = wipe_marked();
    if (ret)
        return report_not_frozen(k, "clearing memory that is wiped on fork", ret);
    t->frozen_brk = t->brk = (uint64_t)SYS(SYS_brk, 0, 0, 0, 0, 0, 0);
    trace_reset(t);
    r->ask = (int)sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->ask < 0)
        return report_not_frozen(k, "eventfd", r->ask);
    ret = image_arm(&r->image, &what);
    if (ret)
        return report_not_frozen(k, what, ret);
    ret = lost_record(&r->lost, &r->image);
    if (ret)
        return report_not_frozen(k, "listing its pages", ret);
    k->holder = r->image.holder;
    k->own[OWN_ASK] = r->ask;
    k->own[OWN_UFFD] = r->image.uffd;
    k->own[OWN_PAGEMAP] = r->image.pagemap;
    k->own[OWN_HOLDER] = r->image.holder_pidfd;
    ret = track_start(&r->track, &r->image, k->tid_address);
    if (ret)
        return report_not_frozen(k, "reading from its frozen copy", ret);
    if (r->verify) {
        ret = record(k, r);
        if (ret)
            return report_not_frozen(k, "recording what there is", ret);
    }
    ret = maps_vsize(&in->frozen.vsize);
    return ret ? report_not_frozen(k, "/proc/self/statm", ret) : 0;
}
