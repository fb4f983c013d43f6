/* SPDX-License-Identifier: MIT */
/* Memory of another lwC, copied over one's own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static void fill(volatile long *words, int count, long with)
{
    for (int page = 0; page < count; page++)
        words[512 * page] = with + page;
}

static char *page_of(volatile long *words, int page)
{
    return (char *)(words + 512 * page);
}

/* An lwC that adds 100 to pages of its memory, each time it is entered. */
static int adder(volatile long *words, int count)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        for (;;) {
            for (int page = 0; page < count; page++)
                words[512 * page] += 100;
            back(&c, words[0]);
        }
    }
    return c.fd;
}

/* What the source has at the time is in the caller; from then on neither sees what is written. */
TEST(overlay_copies)
{
    volatile long *words = private_pages(3);
    int fd;

    fill(words, 3, 1);
    fd = adder(words, 3);
    CHECK_EQ(enter(fd, 0), 101);
    CHECK_EQ(words[0], 1);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 3 * PAGE))));
    for (int page = 0; page < 3; page++)
        CHECK_EQ(words[512 * page], 101 + page);
    fill(words, 2, 11);
    CHECK_EQ(enter(fd, 0), 201);
    CHECK_EQ(words[0], 11);
    CHECK_EQ(words[1024], 103);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, PAGE))));
    CHECK_EQ(words[0], 201);
    CHECK_EQ(words[512], 12);
}

/* The source is the first to write after the copy. */
TEST(overlay_keeps_what_was_copied)
{
    volatile long *words = private_pages(8);
    int fd;

    fill(words, 8, 1);
    fd = adder(words, 8);
    for (int n = 1; n < 20; n++) {
        enter(fd, 0);
        CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 8 * PAGE))));
        CHECK_EQ(enter(fd, 0), 200 * n + 1);
        for (int page = 0; page < 8; page++)
            CHECK_EQ(words[512 * page], 200 * n - 100 + 1 + page);
    }
}

/* Only what is named is copied: in the middle of a mapping, at its begin, at its end. */
TEST(overlay_of_parts)
{
    static const int ranges[][2] = {{2, 3}, {0, 2}, {5, 8}, {3, 4}, {0, 8}};
    volatile long *words = private_pages(8);
    int fd;

    fd = adder(words, 8);
    enter(fd, 0);
    for (size_t n = 0; n < 5; n++) {
        int first = ranges[n][0], after = ranges[n][1];

        fill(words, 8, 1);
        CHECK_OK(
            lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, first), (after - first) * PAGE))));
        for (int page = 0; page < 8; page++)
            CHECK_EQ(words[512 * page], page >= first && page < after ? 100 : page + 1);
    }
}

/* Several ranges, unsorted, in one call. */
TEST(overlay_of_ranges)
{
    volatile long *words = private_pages(8);
    int fd = adder(words, 8);

    enter(fd, 0);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, 6), PAGE),
                                   MEMORY(COPY, page_of(words, 1), 2 * PAGE),
                                   MEMORY(COPY, page_of(words, 3), PAGE))));
    for (int page = 0; page < 8; page++)
        CHECK_EQ(words[512 * page], page == 6 || (page >= 1 && page <= 3) ? 100 : 0);
}

/* Whatever the caller has in the range is replaced: mappings of all kinds, and gaps. */
TEST(overlay_replaces_everything)
{
    volatile long *words = private_pages(10);
    int file = scratch_file(4), fd;

    fd = adder(words, 10);
    enter(fd, 0);
    MUST(mmap(page_of(words, 1), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0));
    MUST(mmap(page_of(words, 3), 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file,
              PAGE));
    words[512 * 3] = 5;
    MUST(munmap(page_of(words, 6), PAGE));
    MUST(mprotect(page_of(words, 7), PAGE, PROT_NONE));
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, 1), 8 * PAGE))));
    for (int page = 0; page < 10; page++) {
        CHECK_EQ(words[512 * page], page >= 1 && page < 9 ? 100 : 0);
        words[512 * page] = 1;
    }
}

/* The range becomes what it is there: mappings of all kinds with their protection, and gaps. */
TEST(overlay_brings_everything)
{
    volatile long *words = private_pages(12);
    int file = scratch_file(8);
    struct lwc_create c;
    long word;

    fill(words, 12, 1);
    if (make(&c, LWC_MAY_RETURN)) {
        fill(words, 12, 101);
        MUST(munmap(page_of(words, 1), PAGE));
        MUST(mmap(page_of(words, 2), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                  file, 2 * PAGE));
        words[512 * 3] = 77;
        MUST(mmap(page_of(words, 7), 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                  0));
        MUST(mprotect(page_of(words, 9), PAGE, PROT_READ));
        MUST(mprotect(page_of(words, 10), PAGE, PROT_NONE));
        back(&c, 0);
        CHECK_EQ(words[512 * 2], 2 * PAGE + 1);
        CHECK_EQ(words[512 * 3], 77);
        CHECK_EQ(words[512 * 7 + 1], 78);
        words[512 * 8 + 1] = 79;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    /* From the middle of the file's mapping. */
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, page_of(words, 3), 9 * PAGE),
                                     MEMORY(COPY, page_of(words, 1), PAGE))));
    CHECK(!is_mapped(words + 512));
    CHECK_EQ(words[512 * 2], 3);
    CHECK_EQ(words[512 * 3], 77);
    CHECK_EQ(words[512 * 4], 4 * PAGE + 1);
    CHECK_EQ(words[512 * 5], 5 * PAGE + 1);
    words[512 * 3] = words[512 * 4] = 80;
    CHECK_EQ(words[512 * 6], 107);
    CHECK_EQ(words[512 * 8], PAGE + 1);
    words[512 * 7 + 1] = 78;
    CHECK_EQ(signal_of_write(&words[512 * 9]), SIGSEGV);
    CHECK_EQ(words[512 * 9], 110);
    CHECK_EQ(signal_of_read(&words[512 * 10]), SIGSEGV);
    CHECK_EQ(words[512 * 11], 112);
    CHECK_EQ(pread(file, &word, sizeof(word), 4 * PAGE), 8);
    CHECK_EQ(word, 4 * PAGE + 1);
    enter(c.fd, 0);
    CHECK_EQ(words[512 * 8 + 1], 79);
    CHECK_EQ(pread(file, &word, sizeof(word), PAGE + 8), 8);
    CHECK_EQ(word, 79);
}

/* What was overlaid stays when the source is destroyed, and goes with the one that has it. */
TEST(overlay_outlives_the_source)
{
    volatile long *words = private_pages(2);
    int fd = adder(words, 2);

    enter(fd, 0);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 2 * PAGE))));
    MUST(close(fd));
    CHECK_EQ(words[0], 100);
    words[512] += 1;
    CHECK_EQ(words[512], 101);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* A process forked afterwards, and an lwC made afterwards, have what was overlaid as their own. */
TEST(overlay_is_inherited)
{
    volatile long *words = private_pages(2);
    struct lwc_create c;
    int fd = adder(words, 2);
    pid_t pid;

    enter(fd, 0);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 2 * PAGE))));
    pid = fork_process();
    if (pid == 0) {
        CHECK_EQ(words[0], 100);
        words[0] = words[512] = 1;
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(words[0], 100);
        words[0] = words[512] = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[0], 100);
    CHECK_EQ(enter(fd, 0), 200);
    CHECK_EQ(words[512], 100);
    /* The other way round: what c has now comes from us, and back. */
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE))));
    CHECK_EQ(words[0], 2);
    CHECK_EQ(words[512], 100);
}

/* Huge pages are cut where the range ends, and copied whole where they lie in it. */
TEST(overlay_of_huge_pages)
{
    unsigned char *p = (void *)MUST(
        mmap(NULL, 10 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct lwc_create c;

    p = (void *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
    if (SYS(madvise(p, 8 * MIB, MADV_HUGEPAGE)) == -EINVAL)
        test_skip("transparent huge pages");
    memset(p, 1, 8 * MIB);
    if (make(&c, LWC_MAY_RETURN)) {
        /* Anew: what is copied on write is copied in small pages. */
        MUST(madvise(p, 8 * MIB, MADV_DONTNEED));
        memset(p, 2, 8 * MIB);
        back(&c, line_number("/proc/self/smaps_rollup", "AnonHugePages:"));
        for (size_t n = 0; n < 8 * MIB; n += PAGE)
            CHECK_EQ(p[n], 2);
        memset(p, 3, 8 * MIB);
        finish(&c, 0);
    }
    if (enter(c.fd, 0) < 8 * 1024)
        test_skip("four transparent huge pages");
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p + MIB, 4 * MIB + 8 * PAGE))));
    for (int round = 0; round < 2; round++) {
        for (size_t n = 0; n < 8 * MIB; n += PAGE) {
            bool in = n >= MIB && n < 5 * MIB + 8 * PAGE;

            CHECK_EQ(p[n], in ? 2 : 1);
        }
        if (round == 0)
            enter(c.fd, 0);
    }
    memset(p, 4, 8 * MIB);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, 8 * MIB))));
    for (size_t n = 0; n < 8 * MIB; n += PAGE)
        CHECK_EQ(p[n], 3);
}

/* Pages of the source that lie in swap are copied, too. */
TEST(overlay_of_swapped_pages)
{
    enum { PAGES = 32, PAGEOUT = 21 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;

    if (line_number("/proc/meminfo", "SwapTotal:") <= 0)
        test_skip("swap");
    if (make(&c, LWC_MAY_RETURN)) {
        fill(words, PAGES, 100);
        MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
        back(&c, line_number("/proc/self/status", "VmSwap:"));
        for (int page = 0; page < PAGES; page++)
            CHECK_EQ(words[512 * page], 100 + page);
        fill(words, PAGES, 200);
        finish(&c, 0);
    }
    if (enter(c.fd, 0) == 0)
        test_skip("swap that takes pages on demand (MADV_PAGEOUT)");
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, page_of(words, 1), (PAGES - 2) * PAGE))));
    enter(c.fd, 0);
    for (int page = 0; page < PAGES; page++)
        CHECK_EQ(words[512 * page], page == 0 || page == PAGES - 1 ? 0 : 100 + page);
    fill(words, PAGES, 300);
}

/* The heap is memory as any other; the caller's break stays where it is. */
TEST(overlay_of_the_heap)
{
    char *base = (char *)syscall(SYS_brk, 0), *top = base + 4 * PAGE;
    struct lwc_create c;

    CHECK_EQ(syscall(SYS_brk, top), top);
    memset(base, 1, 4 * PAGE);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(syscall(SYS_brk, top + 4 * PAGE), top + 4 * PAGE);
        memset(base, 2, 8 * PAGE);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, base + PAGE, 5 * PAGE))));
    CHECK_EQ(base[0], 1);
    CHECK_EQ(base[PAGE], 2);
    CHECK_EQ(base[6 * PAGE - 1], 2);
    CHECK(!is_mapped(base + 6 * PAGE));
    CHECK_EQ(syscall(SYS_brk, 0), top);
    /* It cannot grow into what lies there. */
    CHECK_EQ(syscall(SYS_brk, top + PAGE), top);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, top, 2 * PAGE))));
    CHECK_EQ(syscall(SYS_brk, top + 4 * PAGE), top + 4 * PAGE);
    CHECK_EQ(base[3 * PAGE], 2);
    CHECK_EQ(base[4 * PAGE], 0);
    CHECK_EQ(syscall(SYS_brk, base), base);
    CHECK(!is_mapped(base));
}

/* The copy of locked memory is not locked; what was locked in the caller is no more. */
TEST(overlay_of_locked_memory)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        MUST(mlock((void *)words, 2 * PAGE));
        fill(words, 4, 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(mlock(page_of(words, 1), 2 * PAGE));
    CHECK_EQ(line_number("/proc/self/status", "VmLck:"), 8);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, 2 * PAGE))));
    CHECK_EQ(line_number("/proc/self/status", "VmLck:"), 4);
    CHECK_EQ(words[512], 2);
}

/* What fork(2) does not copy is not copied here. */
TEST(overlay_of_memory_not_to_be_inherited)
{
    volatile long *words = private_pages(3);
    struct lwc_create c;

    fill(words, 3, 1);
    if (make(&c, LWC_MAY_RETURN)) {
        fill(words, 3, 11);
        MUST(madvise(page_of(words, 0), PAGE, MADV_DONTFORK));
        MUST(madvise(page_of(words, 1), PAGE, MADV_WIPEONFORK));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, 3 * PAGE))));
    CHECK(!is_mapped(words));
    CHECK_EQ(words[512], 0);
    CHECK_EQ(words[1024], 13);
}

static long size_of_memory(const char *line)
{
    return line_number("/proc/self/status", line);
}

/* The kernel's count of what is mapped is right before, then and after; so is what is committed. */
TEST(overlay_is_accounted)
{
    long size = size_of_memory("VmSize:"), data = size_of_memory("VmData:");
    long committed = line_number("/proc/meminfo", "Committed_AS:");
    struct lwc_create c;
    char *p = NULL;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        p = private_pages(64 * MIB / PAGE);
        memset(p, 1, MIB);
        finish(&c, (uintptr_t)p);
    }
    p = (char *)enter(c.fd, 0);
    CHECK_EQ(size_of_memory("VmSize:"), size);
    for (int n = 0; n < 30; n++) {
        CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, 64 * MIB))));
        CHECK_EQ(p[MIB - 1], 1);
        CHECK_EQ(size_of_memory("VmSize:"), size + 64 * 1024);
        CHECK_EQ(size_of_memory("VmData:"), data + 64 * 1024);
        if (n % 2)
            continue;
        CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, p, 64 * MIB))));
        CHECK_EQ(size_of_memory("VmSize:"), size);
        CHECK_EQ(size_of_memory("VmData:"), data);
    }
    MUST(munmap(p, 64 * MIB));
    MUST(close(c.fd));
    CHECK(EVENTUALLY(line_number("/proc/meminfo", "Committed_AS:") - committed < 64 * 1024));
}

/* LWC_FD_SELF with LWC_UNMAP takes away what there is in the range, and nothing else. */
TEST(overlay_undone)
{
    volatile long *words = private_pages(5);
    int fd = adder(words, 5);

    enter(fd, 0);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, 1), 3 * PAGE))));
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, page_of(words, 2), PAGE),
                                            MEMORY(UNMAP, page_of(words, 4), PAGE))));
    for (int page = 0; page < 5; page++)
        CHECK_EQ(is_mapped(words + 512 * page), page != 2 && page != 4);
    CHECK_EQ(words[512], 100);
    CHECK_EQ(words[1536], 100);
    /* Nothing there: nothing to do. */
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, page_of(words, 2), PAGE))));
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 5 * PAGE))));
    CHECK_EQ(words[2048], 100);
}
