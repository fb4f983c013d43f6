/* SPDX-License-Identifier: MIT */
#include "selftest_premises.h"

#include <cpuid.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "cpu.h"
#include "pages.h"
#include "selftest_dispatch.h"
#include "sys.h"

/* --- the processor ----------------------------------------------------------- */

static int has_registers(struct trial *t)
{
    enum { OSXSAVE = 1 << 27, FSGSBASE = 1 << 1 /* of AT_HWCAP2 */ };
    unsigned a, b, c, d;

    (void)t;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !(getauxval(AT_HWCAP2) & FSGSBASE))
        return -EOPNOTSUPP;
    return cpu_xsave_size() <= CPU_XSAVE_ROOM ? 0 : -E2BIG;
}

/* Returning into the frozen stack would be taken for an attack. */
static int has_plain_stack(struct trial *t)
{
    enum { SHADOW_STACK_STATUS = 0x5005, ENABLED = 1 };
    uint64_t features = 0;

    (void)t;
    if (SYS(SYS_arch_prctl, SHADOW_STACK_STATUS, &features, 0, 0, 0, 0))
        return 0;
    return features & ENABLED ? -EOPNOTSUPP : 0;
}

/* --- the calls --------------------------------------------------------------- */

static int opens_uffd(struct trial *t)
{
    t->tools.uffd = pages_open();
    return t->tools.uffd < 0 ? t->tools.uffd : 0;
}

static int protects_asynchronously(struct trial *t)
{
    return pages_start(t->tools.uffd);
}

static int opens_the_rest(struct trial *t)
{
    return tools_open(&t->tools, t->file);
}

static int lists_pages(struct trial *t)
{
    struct page_region r;
    uint64_t at = (uint64_t)t->tools.stack_top - SAMPLE_PAGE;
    long n = pages_written(t->tools.pagemap, &at, at + SAMPLE_PAGE, &r, 1);

    /* Not registered, so none of them. */
    return n < 0 ? (int)n : n == 0 ? 0 : -SELFTEST_DIFFERS;
}

/* --- a sample ---------------------------------------------------------------- */

/* 0 where the list for start..end is this page, or empty for NULL. */
static int lists(const struct tools *t, uint64_t start, uint64_t end, const uint8_t *page)
{
    struct page_region r[SAMPLE_PAGES];
    long n = pages_written(t->pagemap, &start, end, r, SAMPLE_PAGES);

    if (n < 0)
        return (int)n;
    if (!page)
        return n == 0 ? 0 : -SELFTEST_DIFFERS;
    return n == 1 && r[0].start == (uint64_t)page && r[0].end == (uint64_t)page + SAMPLE_PAGE
               ? 0
               : -SELFTEST_DIFFERS;
}

static int nothing_found(const struct tools *t, const struct sample *s)
{
    return lists(t, (uint64_t)s->at, (uint64_t)s->at + SAMPLE_LEN, NULL);
}

static int victim_found(const struct tools *t, const struct sample *s)
{
    return lists(t, (uint64_t)s->at, (uint64_t)s->at + SAMPLE_LEN, sample_victim(s));
}

/* Writes, and expects the counter to move. */
static int write_counts(const struct tools *t, const struct sample *s, int way, uint8_t value)
{
    uint64_t before = faults();
    int ret = way_write(t, s, way, value);

    if (ret)
        return ret;
    return faults() != before ? 0 : -SELFTEST_DIFFERS;
}

static int write_is_seen(const struct tools *t, const struct sample *s, int way, uint8_t value)
{
    int ret = write_counts(t, s, way, value);

    return ret ? ret : victim_found(t, s);
}

static int protects(const struct tools *t, const struct sample *s)
{
    return nothing_found(t, s);
}

/* By the task, and by the kernel for it. */
static int reading_is_not_writing(const struct tools *t, const struct sample *s)
{
    uint8_t back;
    int i;

    for (i = 0; i < SAMPLE_PAGES; i++) {
        (void)*(volatile uint8_t *)(s->at + i * SAMPLE_PAGE);
        if (sys_write(t->pipe[1], s->at + i * SAMPLE_PAGE, 1) != 1 ||
            sys_read(t->pipe[0], &back, 1) != 1)
            return -EIO;
    }
    return nothing_found(t, s);
}

/* The counter stands still while nothing new is written: where it moves all the
 * time, that it moves proves nothing. Now and then a fault may come from
 * elsewhere. */
static int open_page_is_not_counted(const struct tools *t, const struct sample *s, int way)
{
    enum { TRIES = 8 };
    int i, ret = way_write(t, s, way, 1);
    uint64_t before;

    for (i = 0; i < TRIES && !ret; i++) {
        before = faults();
        ret = way_write(t, s, way, (uint8_t)(i + 2));
        if (!ret && faults() == before)
            return 0;
    }
    return ret ? ret : -SELFTEST_DIFFERS;
}

static int counts_only_faults(const struct tools *t, const struct sample *s)
{
    int way, ret = 0;

    for (way = 0; way < SAMPLE_WAYS && !ret; way++)
        /* A change of access rights may well cost a fault each time. */
        if (way_leads(t, s, way) && way != way_sure())
            ret = open_page_is_not_counted(t, s, way);
    return ret;
}

static int every_way(const struct tools *t, const struct sample *s,
                     int (*try)(const struct tools *, const struct sample *, int, uint8_t))
{
    int way, ret = 0;

    for (way = 0; way < SAMPLE_WAYS && !ret; way++) {
        if (!way_leads(t, s, way))
            continue;
        ret = sample_protect(t, s);
        if (!ret)
            ret = try(t, s, way, (uint8_t)(way + 50));
    }
    return ret;
}

static int counts_writes(const struct tools *t, const struct sample *s)
{
    return every_way(t, s, write_counts);
}

static int finds_written(const struct tools *t, const struct sample *s)
{
    return every_way(t, s, write_is_seen);
}

static int protects_again(const struct tools *t, const struct sample *s)
{
    uint64_t victim = (uint64_t)sample_victim(s);
    int ret = write_is_seen(t, s, way_sure(), 7);

    if (!ret)
        ret = pages_protect(t->uffd, victim, victim + SAMPLE_PAGE);
    if (!ret)
        ret = nothing_found(t, s);
    return ret ? ret : write_is_seen(t, s, way_sure(), 8);
}

/* A page given back to the kernel begins anew; what is written there then is
 * seen, with and without protecting it again. */
static int dropped_pages_are_seen(const struct tools *t, const struct sample *s)
{
    uint8_t ground[SAMPLE_PAGE];
    int ret = way_write(t, s, way_sure(), 9);

    if (!ret)
        ret = (int)sys_madvise(sample_victim(s), SAMPLE_PAGE, MADV_DONTNEED);
    if (!ret)
        ret = sample_ground(t, s, ground);
    if (!ret && memcmp(ground, sample_victim(s), SAMPLE_PAGE) != 0)
        ret = -SELFTEST_DIFFERS;
    if (!ret)
        ret = write_is_seen(t, s, way_sure(), 10);
    if (!ret)
        ret = (int)sys_madvise(sample_victim(s), SAMPLE_PAGE, MADV_DONTNEED);
    if (!ret)
        ret = way_write(t, s, way_sure(), 11);
    if (!ret)
        ret = sample_protect(t, s);
    if (!ret)
        ret = nothing_found(t, s);
    return ret ? ret : write_is_seen(t, s, way_sure(), 12);
}

/* --- another task ------------------------------------------------------------ */

static int wait_for(int pid)
{
    siginfo_t info;
    long ret;

    do
        ret = sys_waitid(P_PID, pid, &info, WEXITED | __WALL);
    while (ret == -EINTR);
    return (int)ret;
}

struct task {
    const struct tools *tools;
    const struct sample *sample;
    volatile int ret;
};

static void write_as_task(void *arg)
{
    struct task *task = arg;

    task->ret = write_counts(task->tools, task->sample, way_sure(), 13);
    sys_exit(0);
}

/* A child in the same memory has a counter of its own. */
static int tasks_count_for_themselves(const struct tools *t, const struct sample *s)
{
    struct task task = {t, s, -ECHILD};
    long pid = cpu_clone(CLONE_VM | CLONE_FILES, t->stack_top, NULL, NULL, write_as_task, &task);
    int ret;

    if (pid < 0)
        return (int)pid;
    ret = wait_for((int)pid);
    if (!ret)
        ret = task.ret;
    return ret ? ret : victim_found(t, s);
}

/* --- the whole --------------------------------------------------------------- */

/* What the victim held before it was written, from a copy-on-write child. */
static int original(const struct tools *t, const struct sample *s, int holder)
{
    uint8_t before[SAMPLE_PAGE], copy[SAMPLE_PAGE];
    struct iovec here = {copy, SAMPLE_PAGE}, there = {sample_victim(s), SAMPLE_PAGE};
    int ret;
    long n;

    memcpy(before, sample_victim(s), SAMPLE_PAGE);
    ret = write_is_seen(t, s, way_sure(), 14);
    if (ret)
        return ret;
    n = SYS(SYS_process_vm_readv, holder, &here, 1, &there, 1, 0);
    if (n != SAMPLE_PAGE)
        return n < 0 ? (int)n : -EIO;
    return memcmp(before, copy, SAMPLE_PAGE) == 0 ? 0 : -SELFTEST_DIFFERS;
}

/* All kinds at once: forking is what takes the time. */
static int keeps_originals(struct trial *t)
{
    struct sample s[SAMPLE_KINDS];
    int made = 0, i, ret = 0;
    long holder;

    while (made < SAMPLE_KINDS && !ret) {
        *t->kind = made;
        ret = sample_make(&t->tools, made, &s[made]);
        made += !ret;
    }
    *t->kind = NO_KIND;
    holder = ret ? ret : cpu_holder(t->tools.pid);
    if (holder < 0)
        return (int)holder;
    for (i = 0; i < made && !ret; i++) {
        *t->kind = i;
        ret = original(&t->tools, &s[i], (int)holder);
    }
    sys_kill((int)holder, SIGKILL);
    wait_for((int)holder);
    while (made)
        sample_drop(&s[--made]);
    return ret;
}

/* Of the whole memory, what is listed is what was registered and written. */
static int finds_nothing_else(struct trial *t)
{
    static const uint64_t last = 0x7ffffffff000; /* end of user addresses, 47 bits */
    struct sample s;
    int ret = sample_make(&t->tools, 0, &s);

    if (ret)
        return ret;
    ret = lists(&t->tools, 0, last, NULL);
    if (!ret)
        ret = way_write(&t->tools, &s, 0, 15);
    if (!ret)
        ret = lists(&t->tools, 0, last, sample_victim(&s));
    sample_drop(&s);
    return ret;
}

/* 0 where this page of the sample is said to be replaced, or none for NULL. */
static int replaced(const struct tools *t, const struct sample *s, const uint8_t *page)
{
    struct page_region r = {0};
    long n = pages_replaced(t->pagemap, (uint64_t)s->at, (uint64_t)s->at + SAMPLE_LEN, &r);

    if (n < 0)
        return (int)n;
    return r.start == (uint64_t)page && n == (page != NULL) ? 0 : -SELFTEST_DIFFERS;
}

static int finds_replaced(struct trial *t)
{
    struct sample s;
    uint8_t *victim;
    int ret = sample_make(&t->tools, 0, &s);
    long at;

    if (ret)
        return ret;
    victim = sample_victim(&s);
    ret = replaced(&t->tools, &s, NULL);
    if (!ret) {
        at = sys_mmap(victim, SAMPLE_PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
        ret = at == (long)victim ? way_write(&t->tools, &s, 0, 16) : (int)at;
    }
    if (!ret)
        ret = replaced(&t->tools, &s, victim);
    sample_drop(&s);
    return ret;
}

static int sees_calls(struct trial *t)
{
    (void)t;
    return selftest_dispatch();
}

/* --- the list ---------------------------------------------------------------- */

#define NEED_KERNEL "use Linux 6.7 or later"
#define NEED_CALL "let this process use it (a container's profile?)"

const struct premise PREMISES[] = {
    {"the processor has XSAVE and FSGSBASE", "use another machine, or Linux without nofsgsbase",
     has_registers, NULL, 0},
    {"there is no shadow stack", "unset it in GLIBC_TUNABLES (glibc.cpu.x86_shstk=off)",
     has_plain_stack, NULL, 0},
    {"userfaultfd can be opened",
     "use Linux 6.7 or later; in a container, let its profile allow userfaultfd, or pass it "
     "/dev/userfaultfd",
     opens_uffd, NULL, 0},
    {"userfaultfd protects asynchronously", NEED_KERNEL, protects_asynchronously, NULL, 0},
    {"pages can be looked up in /proc", "mount /proc, for this user to read", opens_the_rest, NULL,
     0},
    {"PAGEMAP_SCAN lists pages", NEED_KERNEL, lists_pages, NULL, 0},
    {"memory can be write-protected", NEED_KERNEL, NULL, protects, 0},
    {"reading is not taken for writing", NEED_CALL, NULL, reading_is_not_writing, 0},
    {"only page faults are counted", NEED_CALL, NULL, counts_only_faults, 0},
    {"every first write is counted", NEED_CALL, NULL, counts_writes, 0},
    {"every written page is found", NEED_CALL, NULL, finds_written, 0},
    {"a page can be protected again", NEED_CALL, NULL, protects_again, 0},
    {"a dropped page is empty and seen", NEED_CALL, NULL, dropped_pages_are_seen, 0},
    {"a task in shared memory counts for itself", NEED_CALL, NULL, tasks_count_for_themselves, 0},
    {"no other memory is found", NEED_CALL, finds_nothing_else, NULL, 0},
    {"a replaced mapping is found", NEED_CALL, finds_replaced, NULL, 0},
    {"a forked copy holds the originals",
     "let this process read its children: sysctl kernel.yama.ptrace_scope=1, and a container's "
     "profile that allows process_vm_readv",
     keeps_originals, NULL, 0},
    {"system calls can be seen", "", sees_calls, NULL, 1},
};
const int PREMISE_COUNT = sizeof PREMISES / sizeof *PREMISES;

int premise_holds(struct trial *t, const struct premise *p)
{
    struct sample s;
    int kind, ret = 0;

    *t->kind = NO_KIND;
    if (p->once)
        return p->once(t);
    for (kind = 0; kind < SAMPLE_KINDS && !ret; kind++) {
        *t->kind = kind;
        ret = sample_make(&t->tools, kind, &s);
        if (ret)
            return ret;
        ret = p->each(&t->tools, &s);
        sample_drop(&s);
    }
    return ret;
}
