/* SPDX-License-Identifier: MIT */
/*
 * A reset puts every page of a worker's memory back, whatever was written by whom. Each test makes
 * a snapshot whose workers check what they find, change it, and are reset and entered again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static void reset_undoes_writes(volatile long *word)
{
    struct lwc_create c;
    long old = *word;

    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(*word, old);
        *word = 100 + c.args[0];
        back(&c, 0);
        CHECK_EQ(*word, 100 + c.args[0]);
        *word = 200;
        finish(&c, 0);
    }
    {
        int worker = clone_of(c.fd);

        for (int round = 0; round < 4; round++) {
            enter(worker, round);
            if (round & 1)
                enter(worker, 0);
            reset(worker);
        }
        MUST(close(worker));
    }
    CHECK_EQ(*word, old);
}

static __thread volatile long thread_word = 7;

/* Data, zeroed data, heap, stack and thread-local storage are put back. */
TEST(reset_data)
{
    static volatile long data = 5;
    static volatile long zeroed[4096];
    volatile long stack = 6;
    long *heap = malloc(sizeof(*heap));

    *heap = 8;
    zeroed[3000] = 9;
    reset_undoes_writes(&data);
    reset_undoes_writes(&zeroed[3000]);
    reset_undoes_writes(&zeroed[100]);
    reset_undoes_writes(&stack);
    reset_undoes_writes(heap);
    reset_undoes_writes(&thread_word);
}

/* What is allocated and freed on the heap leaves no trace, and gets the same addresses again. */
TEST(reset_heap)
{
    struct lwc_create c;
    char *kept = malloc(1000);

    memset(kept, 1, 1000);
    if (make(&c, SNAPSHOT)) {
        char *small = malloc(100), *large = malloc(400000);
        __u64 addresses = (uintptr_t)small ^ (uintptr_t)large << 1;

        for (int n = 0; n < 1000; n++)
            CHECK_EQ(kept[n], 1);
        memset(small, 2, 100);
        memset(large, 2, 400000);
        free(small);
        free(kept);
        kept = malloc(2000);
        memset(kept, 2, 2000);
        finish(&c, addresses ^ (uintptr_t)kept << 2);
    }
    rounds(c.fd, 4);
}

/* Pages that the snapshot never touched are zero again after they were written or read. */
TEST(reset_holes)
{
    enum { PAGES = 64 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;

    words[0] = 1;
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(words[0], 1);
        for (unsigned int page = 1; page < PAGES; page++) {
            if (page % 4 != c.args[0] % 4)
                CHECK_EQ(words[512 * page + 3], 0);
            if (page % 3)
                words[512 * page + 3] = page;
        }
        finish(&c, 0);
    }
    rounds(c.fd, 6);
}

/* Pages given back to the kernel have the snapshot's content again. */
TEST(reset_given_back_pages)
{
    enum { PAGES = 16 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;

    for (int page = 0; page < PAGES; page++)
        words[512 * page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        for (int page = 0; page < PAGES; page++)
            CHECK_EQ(words[512 * page], page + 1);
        if (c.args[0] > 0)
            words[0] = words[512] = 77; /* some of them its own before, some not */
        MUST(madvise((void *)words, 4 * PAGE, MADV_DONTNEED));
        CHECK_EQ(words[512], 0);
        words[1024] = 78;
        MUST(madvise((char *)words + 8 * PAGE, 4 * PAGE, MADV_FREE));
        words[512 * 9] = 79;
        MUST(madvise((char *)words + 13 * PAGE, PAGE, MADV_DONTNEED));
        finish(&c, 0);
    }
    rounds(c.fd, 5);
}

/* Pages of a private mapping of a file: changed ones, and ones changed before the snapshot. */
TEST(reset_private_file)
{
    int fd = scratch_file(4);
    volatile long *words =
        (long *)MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    struct lwc_create c;

    words[512] = 77;
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512], 77);
        CHECK_EQ(words[513], PAGE + 9);
        CHECK_EQ(words[1024], 2 * PAGE + 1);
        words[0] = words[512] = words[1025] = 78;
        if (c.args[0] & 1)
            MUST(madvise((void *)words, 2 * PAGE, MADV_DONTNEED));
        finish(&c, 0);
    }
    rounds(c.fd, 5);
    CHECK_EQ(words[0], 1);
}

static unsigned char *huge_pages(size_t size)
{
    unsigned char *p = (void *)MUST(
        mmap(NULL, size + 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    p = (void *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
    if (SYS(madvise(p, size, MADV_HUGEPAGE)) == -EINVAL)
        test_skip("transparent huge pages");
    return p;
}

static bool has_only(const unsigned char *bytes, size_t size, unsigned char value)
{
    return bytes[0] == value && !memcmp(bytes, bytes + 1, size - 1);
}

/* A huge page of the snapshot, written in one place or everywhere, is put back. */
TEST(reset_huge_pages)
{
    unsigned char *p = huge_pages(4 * MIB);
    struct lwc_create c;

    memset(p, 1, 4 * MIB);
    if (make(&c, SNAPSHOT)) {
        CHECK(has_only(p, 4 * MIB, 1));
        p[MIB + c.args[0] * PAGE] = 2;
        if (c.args[0] == 2)
            memset(p + 2 * MIB, 3, 2 * MIB);
        if (c.args[0] == 3)
            MUST(madvise(p, 3 * MIB, MADV_DONTNEED));
        finish(&c, 0);
    }
    rounds(c.fd, 5);
}

/* Huge pages that the worker got where the snapshot had nothing, or little, are gone. */
TEST(reset_new_huge_pages)
{
    unsigned char *p = huge_pages(4 * MIB);
    struct lwc_create c;

    p[2 * MIB + 5] = 1;
    MUST(madvise(p + 2 * MIB, 2 * MIB, MADV_NOHUGEPAGE));
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        CHECK(has_only(p, 2 * MIB, 0));
        CHECK_EQ(p[2 * MIB + 5], 1);
        p[2 * MIB + 5] = 0;
        CHECK(has_only(p + 2 * MIB, 2 * MIB, 0));
        if (c.args[0] > 1) {
            /* Against what workers begin with. */
            MUST(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
            MUST(munmap(p, 4 * MIB));
            MUST(mmap(p, 4 * MIB, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
            MUST(madvise(p, 4 * MIB, MADV_HUGEPAGE));
        }
        memset(p, 2, 4 * MIB);
        finish(&c, found);
    }
    rounds(c.fd, 5);
}

/* Pages of hugetlbfs that a worker maps are gone. */
TEST(reset_hugetlb)
{
    struct lwc_create c;

    set_number("/proc/sys/vm/nr_hugepages", 4);
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();
        char *p = (char *)SYS(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0));

        if ((long)p < 0 && (long)p > -4096)
            test_skip("huge pages: %s", error_name(-(long)p));
        memset(p, 1, 2 * MIB);
        finish(&c, found);
    }
    rounds(c.fd, 4); /* more often than there are pages */
}

/* Pages whose state was cleared through /proc, which makes them read-only for a time, are put back.
 */
TEST(reset_cleared_references)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    words[0] = words[512] = 1;
    if (make(&c, SNAPSHOT)) {
        int fd = MUST(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));

        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512], 1);
        CHECK_EQ(words[1024], 0);
        words[0] = 2;
        CHECK_EQ(write(fd, c.args[0] & 1 ? "4" : "1", 1), 1);
        words[512] = words[1024] = 2;
        CHECK_EQ(write(fd, c.args[0] & 2 ? "4" : "1", 1), 1);
        words[0] = 3;
        finish(&c, 0);
    }
    rounds(c.fd, 6);
}

/* What the kernel writes on a worker's behalf is put back as what it writes itself. */
TEST(reset_writes_by_calls)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    for (int page = 0; page < 4; page++)
        words[512 * page] = 1;
    if (make(&c, SNAPSHOT)) {
        int ends[2], mem;
        long word = 5;
        struct iovec from = {&word, sizeof(word)}, to = {(void *)&words[512], sizeof(word)};

        for (int page = 0; page < 4; page++)
            CHECK_EQ(words[512 * page], 1);
        MUST(pipe(ends));
        CHECK_EQ(write(ends[1], &word, sizeof(word)), sizeof(word));
        CHECK_EQ(read(ends[0], (void *)words, sizeof(word)), sizeof(word));
        if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) < 0)
            CHECK_EQ(errno, ENOSYS);
        mem = MUST(open("/proc/self/mem", O_RDWR));
        CHECK_EQ(pwrite(mem, &word, sizeof(word), (uintptr_t)&words[1024]), sizeof(word));
        /* Also where the worker itself may not write. */
        MUST(mprotect((char *)words + 3 * PAGE, PAGE, PROT_READ));
        CHECK_EQ(pwrite(mem, &word, sizeof(word), (uintptr_t)&words[1536]), sizeof(word));
        CHECK_EQ(words[1536], 5);
        finish(&c, 0);
    }
    rounds(c.fd, 4);
}

/* What another process writes into the worker's memory is put back, also where it is read-only. */
TEST(reset_writes_by_others)
{
    static const long constant[512] = {1};
    volatile long *words = private_pages(1);
    struct lwc_create c;

    words[0] = 1;
    if (make(&c, SNAPSHOT)) {
        pid_t parent = getpid(), pid;

        CHECK_EQ(words[0], 1);
        CHECK_EQ(*(volatile long *)constant, 1);
        pid = fork_process();
        if (pid == 0) {
            MUST(ptrace(PTRACE_ATTACH, parent, 0, 0));
            CHECK_EQ(waitpid(parent, NULL, __WALL), parent);
            MUST(ptrace(PTRACE_POKEDATA, parent, words, 9));
            MUST(ptrace(PTRACE_POKEDATA, parent, constant, 9));
            MUST(ptrace(PTRACE_DETACH, parent, 0, 0));
            _exit(0);
        }
        CHECK_EQ(ending(pid), 0);
        CHECK_EQ(words[0], 9);
        CHECK_EQ(*(volatile long *)constant, 9);
        finish(&c, 0);
    }
    rounds(c.fd, 3);
}

/* After the worker forked, with the child alive or gone, its writes are put back. */
TEST(reset_after_fork)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    words[0] = words[512] = words[1024] = 1;
    if (make(&c, SNAPSHOT)) {
        pid_t pid = 0;

        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512], 1);
        CHECK_EQ(words[1024], 1);
        CHECK_EQ(words[1536], 0);
        words[0] = 2;
        if (c.args[0] != 2) {
            pid = fork_process();
            if (pid == 0) {
                words[512] = 3;
                if (c.args[0] == 1)
                    pause();
                _exit(0);
            }
            if (c.args[0] != 1)
                CHECK_EQ(ending(pid), 0);
        }
        words[0] = words[1024] = words[1536] = 4;
        CHECK_EQ(words[512], 1);
        finish(&c, 0);
    }
    rounds(c.fd, 6);
}

static int descend(int depth)
{
    volatile char block[2000];

    memset((char *)block, depth, sizeof(block));
    return depth ? descend(depth - 1) + block[7] : block[9];
}

/* A stack that grew, by two hundred pages, is what it was, in extent and in content. */
TEST(reset_stack)
{
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        long extent = line_number("/proc/self/status", "VmStk:");

        descend(400);
        CHECK(line_number("/proc/self/status", "VmStk:") >= extent + 400);
        finish(&c, extent);
    }
    rounds(c.fd, 4);
}

/*
 * A worker writes on one processor, and is looked at, reset and entered on the other: what the
 * first one's translations remember of its pages must not outlive the reset.
 */
TEST(reset_seen_by_all_processors)
{
    enum { PAGES = 8 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;
    cpu_set_t first, second;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    CPU_ZERO(&second);
    CPU_SET(1, &second);
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        test_skip("a second processor");
    MUST(sched_setaffinity(0, sizeof(first), &first));
    for (int page = 0; page < PAGES / 2; page++)
        words[512 * page] = 1;
    if (make(&c, SNAPSHOT)) {
        MUST(sched_setaffinity(0, sizeof(second), &second));
        for (int page = 0; page < PAGES; page++) {
            CHECK_EQ(words[512 * page], page < PAGES / 2);
            words[512 * page] = 2;
        }
        MUST(sched_setaffinity(0, sizeof(first), &first));
        finish(&c, 0);
    }
    rounds(c.fd, 30);
}

/* Memory that neither side can swap or move, and pages that are pinned by a pipe, are put back. */
TEST(reset_pinned_pages)
{
    volatile long *words = private_pages(2);
    struct lwc_create c;
    int ends[2];

    MUST(pipe(ends));
    words[0] = words[512] = 1;
    MUST(mlock((void *)words, PAGE));
    if (make(&c, SNAPSHOT)) {
        struct iovec part = {(void *)&words[512], PAGE};
        char rest[PAGE];

        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[512], 1);
        words[0] = words[512] = 2;
        CHECK_EQ(vmsplice(ends[1], &part, 1, 0), PAGE);
        back(&c, 0);
        CHECK_EQ(read(ends[0], rest, PAGE), PAGE);
        finish(&c, 0);
    }
    {
        int worker = clone_of(c.fd);

        for (int round = 0; round < 3; round++) {
            char rest[PAGE];

            enter(worker, 0);
            reset(worker);
            CHECK_EQ(read(ends[0], rest, PAGE), PAGE);
        }
    }
}

/* A page that a pipe still holds keeps what was put in; the next run writes to another one. */
TEST(reset_page_held_by_a_pipe)
{
    char *page = private_pages(1), seen = 0;
    struct lwc_create c;
    int ends[2], worker;

    *page = 'o';
    MUST(pipe(ends));
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(*page, 'o');
        *page = c.args[0];
        if (c.args[0] == 'b')
            CHECK_EQ(vmsplice(ends[1], &(struct iovec){page, 1}, 1, 0), 1);
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    enter(worker, 'a'); /* the page is the worker's own from here on */
    reset(worker);
    enter(worker, 'b');
    reset(worker);
    enter(worker, 's');
    CHECK_EQ(read(ends[0], &seen, 1), 1);
    CHECK_EQ(seen, 'b');
}
