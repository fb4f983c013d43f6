/* SPDX-License-Identifier: MIT */
/*
 * Calls on mappings.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dispatch_probe.h"

#define FAILS(call, with) ((call) == -1 && errno == (with))

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static char *map(size_t len)
{
    char *at = mmap(NULL, len, RW, ANON, -1, 0);

    CHECK(at != MAP_FAILED);
    memset(at, 1, len);
    return at;
}

static int is_mapped(const void *at)
{
    unsigned char there;

    return mincore((void *)at, 1, &there) == 0;
}

static void maps_own(void)
{
    char *a = map(8 * PAGE), *b;

    CHECK(munmap(a + 2 * PAGE, PAGE) == 0 && !is_mapped(a + 2 * PAGE) && is_mapped(a + PAGE));
    CHECK(mmap(a + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) == a + 2 * PAGE);
    CHECK(mprotect(a, PAGE, PROT_NONE) == 0 && madvise(a + PAGE, PAGE, MADV_DONTNEED) == 0);
    CHECK(a[PAGE] == 0);
    b = mremap(a + 4 * PAGE, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(b != MAP_FAILED && b[0] == 1 && munmap(b + 10 * PAGE, PAGE) == 0);
    CHECK(probe_trace()->dropped.count == 0 && probe_trace()->protected.count == 0);
}

static void on_frozen(void)
{
    struct trace *t = probe_trace();

    CHECK(munmap(probe_frozen, 2 * PAGE) == 0 && probe_frozen[PAGE] == 2);
    CHECK(mremap(probe_frozen, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    CHECK(madvise(probe_frozen, PAGE, MADV_HUGEPAGE) == 0 && t->dropped.count == 0);
    CHECK(madvise(probe_frozen + PAGE, PAGE, MADV_DONTNEED) == 0 && probe_frozen[PAGE] == 0);
    CHECK(madvise(probe_frozen + 4 * PAGE, PAGE, MADV_FREE) == 0 && probe_frozen[4 * PAGE] == 0);
    CHECK(ranges_cover(&t->dropped, (uint64_t)(probe_frozen + PAGE),
                       (uint64_t)(probe_frozen + 2 * PAGE)));
    CHECK(t->dropped.count == 2);
    CHECK(mprotect(probe_frozen + 6 * PAGE, 2 * PAGE, PROT_READ) == 0 && t->protected.count == 1);
}

static void advice_that_stays(void)
{
    CHECK(madvise(probe_frozen, PAGE, MADV_DONTFORK) == 0);
}

static void over_frozen(void)
{
    CHECK(mmap(probe_frozen, PAGE, RW, ANON | MAP_FIXED, -1, 0) == probe_frozen);
    CHECK(probe_frozen[0] == 0);
}

static void not_over_frozen(void)
{
    CHECK(mmap(probe_frozen, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
    CHECK(errno == EEXIST && probe_frozen[0] == 1);
}

static void on_ours(void)
{
    char *ours = (char *)probe_keep();

    CHECK(mmap(ours, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(FAILS(mprotect(ours, PAGE, PROT_READ), ENOMEM));
    CHECK(FAILS(madvise(ours, PAGE, MADV_DONTNEED), ENOMEM));
    CHECK(munmap(ours, PAGE) == 0 && is_mapped(ours) && probe_keep()->size > 0);
}

static void break_moves(void)
{
    char *at = sbrk(0);

    CHECK(sbrk(10 * PAGE) == at && (memset(at, 1, 10 * PAGE), 1));
    CHECK(sbrk(-5 * PAGE) == at + 10 * PAGE && sbrk(0) == at + 5 * PAGE);
    /* brk(2) cannot say that it refuses to go down: the break just stays. */
    CHECK(brk(at - PAGE) == 0 && sbrk(0) == at + 5 * PAGE);
}

/* A child that is killed between the call and the note of it. */
static void break_moves_unseen(void)
{
    struct trace *t = probe_trace();

    CHECK(sbrk(10 * PAGE) != (void *)-1);
    t->brk = t->frozen_brk;
    t->flags |= TRACE_MAPS;
}

static void locks(void)
{
    CHECK(mlock(probe_frozen, PAGE) == 0 || errno == ENOMEM || errno == EPERM);
}

/* More, far apart, than there is room to remember. */
static void maps_many(void)
{
    enum { MANY = TRACE_RANGES + 60 };
    static char *at[MANY];
    int i;

    for (i = 0; i < MANY; i++) {
        at[i] = mmap((char *)0x500000000000 + (long)i * 16 * PAGE, PAGE, RW,
                     ANON | MAP_FIXED_NOREPLACE, -1, 0);
        CHECK(at[i] != MAP_FAILED);
    }
    CHECK(probe_trace()->own.lost);
    for (i = 0; i < MANY; i++)
        CHECK(munmap(at[i], PAGE) == 0 && !is_mapped(at[i]));
}

static void for_good(void)
{
    CHECK(syscall(SYS_membarrier, 1 << 4, 0, 0) == 0);
}

static void answers_without(void)
{
    CHECK(FAILS(syscall(SYS_io_uring_setup, 1, NULL), ENOSYS));
    CHECK(FAILS(syscall(SYS_userfaultfd, 0), EPERM));
    CHECK(FAILS(syscall(SYS_rseq, NULL, 0, 0, 0), ENOSYS));
    CHECK(syscall(SYS_membarrier, 0, 0, 0) >= 0);
}

static void shared_and_huge(void)
{
    char *at;

    CHECK(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    /* Where the machine has none set aside this fails, and that is fine. */
    at = mmap(NULL, 1 << 21, RW, ANON | MAP_HUGETLB, -1, 0);
    CHECK(at == MAP_FAILED || munmap(at, 1 << 21) == 0);
}

const struct probe_case cases_memory[] = {
    {"maps_own", maps_own, .flags = 0},
    {"on_frozen", on_frozen, .flags = 0},
    {"advice_that_stays", advice_that_stays, .flags = TRACE_WHOLE, .how = NO_UNDO},
    {"over_frozen", over_frozen, .flags = TRACE_MAPS | TRACE_SCAN, .how = MAPS_LEFT},
    {"not_over_frozen", not_over_frozen, .flags = 0},
    {"on_ours", on_ours, .flags = 0},
    {"break_moves", break_moves, .flags = 0},
    {"break_moves_unseen", break_moves_unseen, .flags = TRACE_MAPS},
    {"locks", locks, .flags = 0},
    {"maps_many", maps_many, .flags = 0, .how = MAPS_LEFT},
    {"for_good", for_good, .flags = TRACE_WHOLE, .how = NO_UNDO},
    {"answers_without", answers_without, .flags = 0},
    {"shared_and_huge", shared_and_huge, .flags = 0, .may = TRACE_MAPS},
    {.name = NULL},
};
