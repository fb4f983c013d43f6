/* SPDX-License-Identifier: MIT */
/*
 * A reset puts a worker's mappings back: every worker here answers with a number for all that it
 * finds, which must be the same in each round.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static volatile long *filled_pages(int count)
{
    volatile long *words = private_pages(count);

    for (int page = 0; page < count; page++)
        words[512 * page] = page + 1;
    return words;
}

static void check_filled(volatile long *words, int count)
{
    for (int page = 0; page < count; page++)
        CHECK_EQ(words[512 * page], page + 1);
}

static char *page_of(volatile long *words, int page)
{
    return (char *)(words + 512 * page);
}

/* Mappings that were removed, whole or in parts, are back with their content. */
TEST(reset_removed_mappings)
{
    volatile long *words = filled_pages(8), *whole = filled_pages(2);
    volatile long *shared = shared_pages(2);
    struct lwc_create c;

    shared[512] = 5;
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        check_filled(words, 8);
        check_filled(whole, 2);
        CHECK_EQ(shared[512], 5);
        words[512] = words[2048] = 77;
        if (c.args[0] != 1) {
            MUST(munmap((void *)whole, 2 * PAGE));
            MUST(munmap(page_of(words, 1), PAGE));
            MUST(munmap(page_of(words, 4), 2 * PAGE));
            MUST(munmap((void *)shared, PAGE));
        }
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* New mappings of every kind are gone. */
TEST(reset_new_mappings)
{
    int fd = scratch_file(2), id = MUST(shmget(IPC_PRIVATE, PAGE, 0600));
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();
        volatile long *words = filled_pages(3);

        *(volatile long *)shared_pages(1) = 1;
        *(volatile long *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)) = 2;
        MUST(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0));
        MUST(mmap(NULL, 500 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        MUST(shmat(id, NULL, 0));
        MUST(mprotect(page_of(words, 1), PAGE, PROT_READ));
        finish(&c, found);
    }
    rounds(c.fd, 4);
    MUST(shmctl(id, IPC_RMID, NULL));
}

/* A mapping laid over a part of another is gone, and the other is whole again. */
TEST(reset_overlaid_mappings)
{
    int fd = scratch_file(4);
    volatile long *words = filled_pages(6);
    volatile long *file =
        (long *)MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    const int over = PROT_READ | PROT_WRITE;
    struct lwc_create c;

    file[512] = 77;
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        check_filled(words, 6);
        CHECK_EQ(file[0], 1);
        CHECK_EQ(file[512], 77);
        CHECK_EQ(file[1024], 2 * PAGE + 1);
        /* The same kind of mapping: only its content tells the difference. */
        MUST(mmap(page_of(words, 1), PAGE, over, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        CHECK_EQ(words[512], 0);
        if (c.args[0] & 1)
            words[512] = 78;
        MUST(mmap(page_of(words, 3), PAGE, over, MAP_PRIVATE | MAP_FIXED, fd, 0));
        MUST(mmap(page_of(words, 5), PAGE, over, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        words[2560] = 79;
        MUST(mmap(page_of(file, 1), PAGE, over, MAP_PRIVATE | MAP_FIXED, fd, PAGE));
        MUST(mmap(page_of(file, 2), PAGE, over, MAP_PRIVATE | MAP_FIXED, fd, 0));
        CHECK_EQ(file[512], PAGE + 1);
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* A mapping removed and made anew at its place, all of it, has the snapshot's content. */
TEST(reset_replaced_mappings)
{
    volatile long *words = filled_pages(2);
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        check_filled(words, 2);
        if (c.args[0] & 1)
            words[0] = 77;
        MUST(munmap((void *)words, 2 * PAGE));
        MUST(mmap((void *)words, 2 * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
        SYS(madvise((void *)words, 2 * PAGE, MADV_NOHUGEPAGE));
        words[512] = 78;
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* Protection, changed for a whole mapping or a part, is what it was; so is the content. */
TEST(reset_protection)
{
    volatile long *words = filled_pages(8), *read_only = filled_pages(1);
    struct lwc_create c;

    MUST(mprotect((void *)read_only, PAGE, PROT_READ));
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        check_filled(words, 8);
        CHECK_EQ(signal_of_write(read_only), 11);
        CHECK_EQ(*read_only, 1);
        MUST(mprotect((void *)read_only, PAGE, PROT_READ | PROT_WRITE));
        *read_only = 77;
        if (c.args[0] == 1)
            MUST(mprotect((void *)read_only, PAGE, PROT_READ));
        words[512] = 78;
        MUST(mprotect(page_of(words, 1), PAGE, PROT_NONE));
        words[512 * 3] = 79;
        MUST(mprotect(page_of(words, 3), 2 * PAGE, PROT_READ));
        MUST(mprotect(page_of(words, 6), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
        words[512 * 6] = 80;
        if (c.args[0] == 2)
            MUST(mprotect((void *)words, 8 * PAGE, PROT_NONE));
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* Mappings that were moved, grown, shrunk or laid over others are what they were. */
TEST(reset_moved_mappings)
{
    volatile long *moved = filled_pages(2), *grown = filled_pages(2), *shrunk = filled_pages(4);
    volatile long *kept = filled_pages(2), *part = filled_pages(4), *under = filled_pages(4);
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();
        volatile long *p;

        check_filled(moved, 2);
        check_filled(grown, 2);
        check_filled(shrunk, 4);
        check_filled(kept, 2);
        check_filled(part, 4);
        check_filled(under, 4);
        moved[1] = grown[1] = shrunk[1] = part[1] = 77;
        p = (long *)MUST(mremap((void *)moved, 2 * PAGE, 300 * PAGE, MREMAP_MAYMOVE));
        p[512 * 200] = 78;
        MUST(munmap(page_of(grown, 2), PAGE)); /* the guard behind it */
        MUST(mremap((void *)grown, 2 * PAGE, 3 * PAGE, 0));
        grown[1024] = 79;
        MUST(mremap((void *)shrunk, 4 * PAGE, PAGE, 0));
        SYS(mremap((void *)kept, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL));
        MUST(mremap(page_of(part, 1), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                    page_of(under, 1)));
        CHECK_EQ(under[512], 2);
        under[512] = 80;
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* The break, moved up, down, or down and up again, is back, and so is what was below it. */
TEST(reset_break)
{
    char *base = (char *)syscall(SYS_brk, 0), *top = base + 8 * PAGE;
    struct lwc_create c;

    CHECK_EQ(syscall(SYS_brk, top), top);
    memset(base, 1, 4 * PAGE);
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        CHECK_EQ(syscall(SYS_brk, 0), top);
        CHECK_EQ(base[0], 1);
        CHECK_EQ(base[3 * PAGE], 1);
        CHECK_EQ(base[5 * PAGE], 0);
        switch (c.args[0] % 3) {
        case 0:
            CHECK_EQ(syscall(SYS_brk, top + 20 * PAGE), top + 20 * PAGE);
            memset(base + 2 * PAGE, 2, 20 * PAGE);
            break;
        case 1:
            CHECK_EQ(syscall(SYS_brk, base + 2 * PAGE), base + 2 * PAGE);
            break;
        case 2:
            CHECK_EQ(syscall(SYS_brk, base + 2 * PAGE), base + 2 * PAGE);
            CHECK_EQ(syscall(SYS_brk, top), top);
            CHECK_EQ(base[3 * PAGE], 0);
            base[6 * PAGE] = 3;
            break;
        }
        finish(&c, found);
    }
    rounds(c.fd, 7);
}

/* Advice given for a mapping, which the kernel keeps with it, is forgotten. */
TEST(reset_advice)
{
    static const int advice[] = {MADV_HUGEPAGE, MADV_DONTFORK,   MADV_WIPEONFORK,
                                 MADV_DONTDUMP, MADV_SEQUENTIAL, MADV_MERGEABLE};
    volatile long *words = filled_pages(12);
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        check_filled(words, 12);
        for (int n = 0; n < 6; n++) {
            SYS(madvise(page_of(words, 2 * n), PAGE, advice[n]));
            words[512 * 2 * n] = 77;
        }
        if (c.args[0] == 1)
            SYS(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, words, PAGE, "suite"));
        finish(&c, found);
    }
    rounds(c.fd, 4);
}

/* What was locked is not; what is mapped later is not locked either. */
TEST(reset_locked_memory)
{
    volatile long *words = filled_pages(4);
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        CHECK_EQ(line_number("/proc/thread-self/status", "VmLck:"), 0);
        private_pages(4);
        CHECK_EQ(line_number("/proc/thread-self/status", "VmLck:"), 0);
        MUST(mlock(page_of(words, 1), 2 * PAGE));
        words[600] = 77;
        if (c.args[0] & 1)
            MUST(mlockall(MCL_CURRENT | MCL_FUTURE));
        else
            MUST(mlockall(MCL_FUTURE));
        private_pages(4);
        CHECK(line_number("/proc/thread-self/status", "VmLck:") >= 16);
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* A range that was registered with userfaultfd is not: to touch it does not wait for anybody. */
TEST(reset_userfaultfd)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    words[0] = 1;
    if (make(&c, SNAPSHOT)) {
        struct uffdio_api api = {.api = UFFD_API};
        struct uffdio_register range = {.range = {(uintptr_t)words, 4 * PAGE},
                                        .mode = UFFDIO_REGISTER_MODE_MISSING};
        __u64 found = mappings();
        long fd;

        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512], 0);
        fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC));
        if (fd < 0)
            test_skip("userfaultfd: %s", error_name(-fd));
        MUST(ioctl(fd, UFFDIO_API, &api));
        MUST(ioctl(fd, UFFDIO_REGISTER, &range));
        if (c.args[0] & 1)
            MUST(munmap(page_of(words, 2), PAGE));
        finish(&c, found);
    }
    rounds(c.fd, 4);
}

enum { RANDOM_PAGES = 64 };

/* One random act on the pages; most of them write. */
static void act(volatile long *words, unsigned int *state)
{
    int page = rand_r(state) % RANDOM_PAGES, count = 1 + rand_r(state) % 4;
    char *p = page_of(words, page);
    size_t size;

    if (page + count > RANDOM_PAGES)
        count = RANDOM_PAGES - page;
    size = count * PAGE;
    switch (rand_r(state) % 20) {
    case 0:
        SYS(madvise(p, size, MADV_DONTNEED));
        break;
    case 1:
        SYS(madvise(p, size, MADV_FREE));
        break;
    case 2:
        SYS(munmap(p, size));
        break;
    case 3:
        SYS(mmap(p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        break;
    case 4:
        SYS(mprotect(p, size, PROT_READ));
        break;
    case 5:
        SYS(mprotect(p, size, PROT_READ | PROT_WRITE));
        break;
    case 6:
        SYS(mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                   page_of(words, rand_r(state) % (RANDOM_PAGES - 4))));
        break;
    case 7:
        SYS(madvise(p, size, 21 /* MADV_PAGEOUT */));
        break;
    case 8:
        SYS(madvise(p, size, MADV_DONTFORK));
        break;
    default:
        for (int n = 0; n < count; n++) {
            /* As the kernel does: where it cannot be written it is an error, not a signal. */
            int fd = MUST(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
            long value = rand_r(state);

            if (rand_r(state) % 2)
                pwrite(fd, &value, sizeof(value), (uintptr_t)p + n * PAGE + 8 * (value % 512));
            else
                pread(fd, p + n * PAGE, PAGE, (uintptr_t)words + PAGE * (value % RANDOM_PAGES));
            close(fd);
        }
    }
}

static uint64_t sum(volatile long *words)
{
    uint64_t hash = 0;

    for (int n = 0; n < 512 * RANDOM_PAGES; n++)
        hash = (hash ^ words[n]) * 0x9e3779b97f4a7c15 + (hash >> 29);
    return hash;
}

static void random_rounds(unsigned int seed, unsigned int count)
{
    volatile long *words = private_pages(RANDOM_PAGES);
    struct lwc_create c;

    for (int page = 0; page < RANDOM_PAGES; page += 1 + page % 2)
        words[512 * page + page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        unsigned int state = seed + c.args[0];
        __u64 found = mappings() ^ sum(words);

        for (int n = rand_r(&state) % 40; n > 0; n--)
            act(words, &state);
        if (rand_r(&state) % 8 == 0) {
            pid_t pid = fork_process();

            if (pid == 0)
                _exit(0);
            for (int n = 0; n < 5; n++)
                act(words, &state);
            CHECK_EQ(ending(pid), 0);
            for (int n = 0; n < 5; n++)
                act(words, &state);
        }
        finish(&c, found);
    }
    rounds(c.fd, count);
}

/* Two hundred rounds of random acts all begin with the same memory and mappings. */
TEST(reset_random_acts)
{
    random_rounds(1, 200);
}

/* Thousands of rounds of random acts, on worker after worker, begin with the same memory. */
TEST(long_reset_random_acts)
{
    for (unsigned int n = 0; n < 20; n++)
        random_rounds(1000 * n, 300);
}
