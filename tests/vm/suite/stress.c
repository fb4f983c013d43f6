/* SPDX-License-Identifier: MIT */
/* Switches and resets while everything else goes on at the same time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static volatile long handled;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

/* Signals at two kilohertz reach whichever lwC runs, and disturb no switch. */
TEST(signals_during_switches)
{
    struct sigaction action = {.sa_handler = handle};
    const struct itimerval fast = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    struct lwc_create c;
    long child = 0;

    MUST(sigaction(SIGALRM, &action, NULL));
    if (make(&c, LWC_MAY_RETURN | LWC_SHARE_SIGNALS)) {
        for (__u64 word = c.args[0];; word = back(&c, handled * 100000 + word))
            getppid();
    }
    MUST(setitimer(ITIMER_REAL, &fast, NULL));
    for (__u64 n = 0; n < 5000 || !handled || !child; n++) {
        __u64 answer = enter(c.fd, n);

        CHECK_EQ(answer % 100000, n % 100000);
        child = answer / 100000;
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL));
}

_Noreturn static void churn(volatile bool *stop)
{
    while (!*stop) {
        set_number("/proc/sys/vm/drop_caches", 3);
        if (access("/proc/sys/vm/compact_memory", W_OK) == 0)
            set_number("/proc/sys/vm/compact_memory", 1);
    }
    _exit(0);
}

/* A worker that checks all its pages, and writes a third of them. */
static void write_and_check(int pages, unsigned int count)
{
    volatile long *words = private_pages(pages);
    struct lwc_create c;

    for (int page = 0; page < pages; page += 2)
        words[512 * page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        for (int page = 0; page < pages; page++)
            CHECK_EQ(words[512 * page], page % 2 ? 0 : page + 1);
        for (int page = c.args[0] % 3; page < pages; page += 3)
            words[512 * page] = -1;
        finish(&c, 0);
    }
    rounds(c.fd, count);
    for (int page = 0; page < pages; page += 2)
        CHECK_EQ(words[512 * page], page + 1);
    MUST(close(c.fd));
    MUST(munmap((void *)words, pages * PAGE));
}

/* While the kernel moves and drops pages, every round begins with the right ones. */
TEST(compaction_during_resets)
{
    volatile bool *stop = shared_pages(1);
    pid_t pid = fork_process();

    if (pid == 0)
        churn(stop);
    write_and_check(512, 60);
    *stop = true;
    CHECK_EQ(ending(pid), 0);
}

static void write_text(const char *path, const char *text)
{
    int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Under a memory limit smaller than the snapshot, pages go to swap and come back right. */
TEST(memory_limit_during_resets)
{
    long limited;

    if (line_number("/proc/meminfo", "SwapTotal:") <= 0)
        test_skip("swap");
    SYS(mkdir("/tmp/suite-cgroup", 0700));
    if (SYS(mount("none", "/tmp/suite-cgroup", "cgroup2", 0, NULL)) < 0 && errno != EBUSY)
        test_skip("cgroup2: %s", error_name(errno));
    limited = SYS(open("/tmp/suite-cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC));
    if (limited < 0 || write(limited, "+memory", 7) < 0)
        test_skip("the memory controller of cgroup2");
    SYS(mkdir("/tmp/suite-cgroup/suite", 0700));
    write_text("/tmp/suite-cgroup/suite/memory.max", "8M");
    write_text("/tmp/suite-cgroup/suite/cgroup.procs", "0");
    write_and_check(2048, 5);
    write_text("/tmp/suite-cgroup/cgroup.procs", "0");
    CHECK(number("/tmp/suite-cgroup/suite/memory.swap.peak") != 0);
    CHECK_EQ(SYS(umount2("/tmp/suite-cgroup", MNT_DETACH)), 0);
}

static void nest(int depth)
{
    volatile int mine = depth;
    struct lwc_create c;

    if (depth == 0)
        return;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        nest(depth - 1);
        mine++;
        finish(&c, mine);
    }
    CHECK_EQ(enter(c.fd, 0), depth + 1);
    CHECK_EQ(mine, depth);
}

/* Fifty lwCs, each made by the one before, go up and down. */
TEST(nested_fifty_deep)
{
    nest(50);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 51);
}

struct board {
    int fds[10];
    long entries[10]; /* of each */
    long left;
    unsigned int state;
};

/* In lwC number me: to the root when all is done, to a random other one until then. */
_Noreturn static void wander(struct board *board, int me, const struct lwc_create *c)
{
    volatile long entries = 0;
    struct lwc_switch s;

    for (;;) {
        int next;

        entries++;
        board->entries[me]++;
        CHECK_EQ(entries, board->entries[me]);
        if (board->left-- == 0)
            finish(c, 0);
        do
            next = rand_r(&board->state) % 10;
        while (next == me);
        CHECK_OK(lwc_switch(board->fds[next], 0, (__u64[]){next}, 1, &s));
        CHECK_EQ(s.args[0], me);
    }
}

/* Ten lwCs that may enter each other do so in no order, and each counts its own entries. */
TEST(crossed_switches)
{
    struct board *board = shared_pages(1);
    struct lwc_create c;

    board->left = 3000;
    for (int n = 0; n < 10; n++) {
        if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES)))
            wander(board, n, &c);
        board->fds[n] = c.fd;
    }
    for (int n = 0; n < 10; n++) {
        for (int m = 0; m < 10; m++) {
            if (n != m)
                CHECK_OK(lwc_grant(board->fds[n], board->fds[m], LWC_MAY_ENTER));
        }
    }
    enter(board->fds[0], 0);
    CHECK_EQ(info(LWC_FD_SELF).switches, 3002);
}

enum { WANDERERS = 6, PAGES = 32, GONE = -1 };

/* What each has in its pages, and what it has to do. */
struct plan {
    int fds[WANDERERS];
    long pages[WANDERERS][PAGES];
    long left;
    unsigned int state;
};

static void check_pages(volatile long *words, const long *pages)
{
    for (int page = 0; page < PAGES; page++) {
        bool there = pages[page] != GONE;

        if (is_mapped(words + 512 * page) != there)
            FAIL("page %d is %s", page, there ? "not there" : "there");
        if (there)
            CHECK_EQ(words[512 * page], pages[page]);
    }
}

/* Writes, unmaps, gives to swap, or takes a range of another's pages, or unmaps it. */
static void change_pages(volatile long *words, struct plan *plan, int me)
{
    int first = rand_r(&plan->state) % PAGES, count = 1 + rand_r(&plan->state) % (PAGES - first);
    int other = 1 + rand_r(&plan->state) % (WANDERERS - 1), what = rand_r(&plan->state) % 8;
    const struct lwc_spec copy = MEMORY(COPY, words + 512 * first, count * PAGE);
    const struct lwc_spec unmap = MEMORY(UNMAP, words + 512 * first, PAGE);
    long value = plan->left * 1000;

    if (what == 0) {
        CHECK_OK(lwc_overlay(LWC_FD_SELF, &unmap, 1));
        plan->pages[me][first] = GONE;
    } else if (what == 1) {
        SYS(madvise((void *)(words + 512 * first), count * PAGE, 21 /* MADV_PAGEOUT */));
    } else if (what < 5 && other != me) {
        CHECK_OK(lwc_overlay(plan->fds[other], &copy, 1));
        memcpy(&plan->pages[me][first], &plan->pages[other][first], count * sizeof(long));
    } else {
        for (int page = first; page < first + count; page += what) {
            if (plan->pages[me][page] != GONE)
                plan->pages[me][page] = words[512 * page] = value + page;
        }
    }
}

static void use_pages(volatile long *words, struct plan *plan, int me)
{
    for (int next;;) {
        check_pages(words, plan->pages[me]);
        for (int n = 0; n < 4; n++)
            change_pages(words, plan, me);
        next = rand_r(&plan->state) % WANDERERS;
        if (plan->left-- <= 0)
            next = 0;
        if (plan->left <= 0 && me == 0)
            return;
        if (next != me)
            CHECK_OK(lwc_switch(next ? plan->fds[next] : LWC_FD_ROOT, 0, NULL, 0,
                                &(struct lwc_switch){0}));
    }
}

/* Six lwCs take pages of each other in no order, some of them in swap; each has what it must have.
 */
TEST(overlays_at_random)
{
    struct plan *plan = shared_pages(2);
    volatile long *words = private_pages(PAGES);
    volatile bool *stop = shared_pages(1);
    struct lwc_create c;
    pid_t pid = fork_process();

    CHECK(sizeof(*plan) <= 2 * PAGE);
    if (pid == 0)
        churn(stop);
    plan->state = 5;
    plan->left = 300;
    for (int n = 1; n < WANDERERS; n++) {
        if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            use_pages(words, plan, n);
            FAIL("the last word is the root's");
        }
        plan->fds[n] = c.fd;
    }
    for (int n = 1; n < WANDERERS; n++) {
        for (int m = 1; m < WANDERERS; m++) {
            if (n != m)
                CHECK_OK(lwc_grant(plan->fds[n], plan->fds[m], LWC_MAY_ENTER | LWC_MAY_ACCESS));
        }
    }
    use_pages(words, plan, 0);
    *stop = true;
    CHECK_EQ(ending(pid), 0);
}

static const char *const slabs[] = {
    "mm_struct ",      "files_cache ", "vm_area_struct ", "cred_jar ",
    "anon_vma_chain ", "anon_vma ",    "maple_node ",     "lwc_"};
#define SLABS (sizeof(slabs) / sizeof(*slabs))

/* The objects of a slab. Those on a processor's own list count as used until it gives them back. */
static long objects(const char *slab)
{
    char path[80];

    snprintf(path, sizeof(path), "/sys/kernel/slab/%.*s/shrink", (int)strcspn(slab, " "), slab);
    if (!access(path, W_OK))
        set_number(path, 1);
    return line_number("/proc/slabinfo", slab);
}

static bool no_slab_grew(const long before[SLABS])
{
    for (size_t n = 0; n < SLABS; n++) {
        if (objects(slabs[n]) - before[n] > 64)
            return false;
    }
    return true;
}

static void read_slabs(long counts[SLABS])
{
    for (size_t n = 0; n < SLABS; n++)
        counts[n] = objects(slabs[n]);
}

static void check_slabs(const long before[SLABS])
{
    if (EVENTUALLY(no_slab_grew(before)))
        return;
    if (!access("/sys/kernel/debug/kmemleak", F_OK))
        return; /* such a kernel keeps freed objects for a while, and finds leaks itself */
    for (size_t n = 0; n < SLABS; n++)
        note("%s: %ld, now %ld", slabs[n], before[n], objects(slabs[n]));
    FAIL("kernel objects are left");
}

static void make_write_and_end(int count)
{
    static volatile int value;
    struct lwc_create c;

    for (int n = 0; n < count; n++) {
        value = n;
        if (make(&c, LWC_MAY_RETURN)) {
            CHECK_EQ(value, n);
            value = -1;
            finish(&c, n);
        }
        CHECK_EQ(enter(c.fd, 0), n);
        CHECK_EQ(value, n);
        MUST(close(c.fd));
    }
}

static void overlay_to_and_fro(const struct lwc_create *other, volatile long *words, int count)
{
    for (int n = 0; n < count; n++) {
        words[0] = n;
        words[1024] = n + 1;
        CHECK_EQ(enter(other->fd, n), n);
        CHECK_OK(lwc_overlay(other->fd, SPECS(MEMORY(COPY, words, 2 * PAGE), FILES(COPY, 250, 260),
                                              CREDENTIALS(COPY))));
        CHECK_EQ(words[0], n + 2);
        CHECK_EQ(words[1024], n + 1);
        if (n % 3 == 0)
            CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 255, 300), CREDENTIALS(COPY))));
    }
}

/* Two lwCs that take the same pages from each other, over and over, hold no more than at first. */
TEST(overlays_leave_no_objects)
{
    volatile long *words = private_pages(3);
    long before[SLABS];
    struct lwc_create c;

    for (int fd = 250; fd < 260; fd++)
        MUST(dup2(2, fd));
    if (make_with(&c, LWC_MAY_RETURN,
                  SPECS(ACCESS(MEMORY, COPY, 0, LWC_ALL), ACCESS(FILES, COPY, 250, 260),
                        ACCESS(CREDENTIALS, COPY, 0, LWC_ALL)))) {
        for (__u64 n = 0;;) {
            CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, 3 * PAGE), FILES(COPY, 250, 260),
                                             CREDENTIALS(COPY))));
            CHECK_EQ(words[1024], words[0] + 1);
            words[0] += 2;
            n = back(&c, n);
        }
    }
    words[1024] = 1;
    CHECK_EQ(enter(c.fd, 0), 0);
    overlay_to_and_fro(&c, words, 200);
    read_slabs(before);
    overlay_to_and_fro(&c, words, 1000);
    check_slabs(before);
}

/* A hundred thousand lwCs are made, entered and ended, and no kernel object is left. */
TEST(long_create_100k)
{
    long before[SLABS];

    make_write_and_end(500);
    read_slabs(before);
    make_write_and_end(100000);
    check_slabs(before);
}

/* A hundred thousand resets leave no kernel object, and every round is right. */
TEST(long_reset_100k)
{
    volatile long *words = private_pages(16);
    long before[SLABS];
    struct lwc_create c;

    words[0] = 1;
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512 * (1 + c.args[0] % 15)], 0);
        words[0] = 2;
        words[512 * (1 + (c.args[0] + 1) % 15)] = 2;
        finish(&c, 0);
    }
    rounds(c.fd, 500);
    read_slabs(before);
    rounds(c.fd, 100000);
    check_slabs(before);
}

/* With other processes that want more memory than there is, every round is right. */
TEST(long_pressure_swap)
{
    long free = line_number("/proc/meminfo", "MemAvailable:") * 1024;
    long before = line_number("/proc/vmstat", "pswpout ");
    volatile bool *stop = shared_pages(1);
    pid_t pid;

    if (line_number("/proc/meminfo", "SwapTotal:") <= 0)
        test_skip("swap");
    pid = fork_process();
    if (pid == 0) {
        size_t size = (free + 96 * MIB) & -PAGE;
        char *p = private_pages(size / PAGE);

        write_text("/proc/self/oom_score_adj", "1000");
        while (!*stop) {
            for (size_t n = 0; n < size && !*stop; n += PAGE)
                p[n]++;
        }
        _exit(0);
    }
    for (long until = milliseconds() + 100000; line_number("/proc/vmstat", "pswpout ") == before;) {
        CHECK(milliseconds() < until);
        short_pause();
    }
    for (long until = milliseconds() + 60000; milliseconds() < until;)
        write_and_check(4096, 10);
    *stop = true;
    CHECK_EQ(ending(pid), 0);
}
