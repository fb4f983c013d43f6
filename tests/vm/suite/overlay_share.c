/* SPDX-License-Identifier: MIT */
/* Memory of another lwC, shared with it; and lwCs that have threads, or are reset. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static char *page_of(volatile long *words, int page)
{
    return (char *)(words + 512 * page);
}

static void fill(volatile long *words, int count, long with)
{
    for (int page = 0; page < count; page++)
        words[512 * page] = with + page;
}

/* Both see what either writes, from then on; what the source had is there, what the caller had not.
 */
TEST(overlay_shares)
{
    volatile long *words = private_pages(6);
    struct lwc_create c;

    fill(words, 6, 1);
    if (make(&c, LWC_MAY_RETURN)) {
        fill(words, 4, 101);
        back(&c, 0);
        CHECK_EQ(words[512], 11);
        CHECK_EQ(words[0], 101);
        words[1024] = 12;
        words[0] = words[2560] = 13;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, page_of(words, 1), 4 * PAGE))));
    CHECK_EQ(words[0], 1);
    for (int page = 1; page < 4; page++)
        CHECK_EQ(words[512 * page], 101 + page);
    CHECK_EQ(words[2048], 5);
    words[512] = 11;
    enter(c.fd, 0);
    CHECK_EQ(words[1024], 12);
    CHECK_EQ(words[0], 1);
    CHECK_EQ(words[2560], 6);
    MUST(close(c.fd));
    CHECK_EQ(words[512], 11);
}

/* What is shared by an overlay is shared with later lwCs and processes, as all shared memory. */
TEST(overlay_shares_with_later_ones)
{
    volatile long *words = private_pages(1);
    struct lwc_create c, d;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        words[0] = 1;
        back(&c, 0);
        if (make(&d, LWC_MAY_RETURN)) {
            words[0] += 1;
            finish(&d, 0);
        }
        enter(d.fd, 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, words, PAGE))));
    if (make(&d, LWC_MAY_RETURN)) {
        words[0] += 10;
        finish(&d, 0);
    }
    enter(d.fd, 0);
    enter(c.fd, 0);
    CHECK_EQ(words[0], 12);
    /* A second time it is shared already. */
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, words, PAGE))));
    CHECK_EQ(words[0], 12);
}

/* Shared mappings are shared also by LWC_COPY; unmapped parts of the range become gaps. */
TEST(overlay_of_shared_mappings)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        MUST(mmap(page_of(words, 0), 3 * PAGE, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        fill(words, 3, 1);
        MUST(munmap(page_of(words, 3), PAGE));
        back(&c, 0);
        CHECK_EQ(words[512], 11);
        words[512] = 12;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, page_of(words, 1), PAGE),
                                     MEMORY(SHARE, page_of(words, 2), 2 * PAGE))));
    CHECK_EQ(words[0], 0);
    CHECK_EQ(words[512], 2);
    CHECK_EQ(words[1024], 3);
    CHECK(!is_mapped(words + 1536));
    words[512] = 11;
    enter(c.fd, 0);
    CHECK_EQ(words[512], 12);
}

/* What cannot be shared is refused as at creation, and then nothing has been shared. */
TEST(overlay_shares_not_everything)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    fill(words, 4, 1);
    if (make(&c, LWC_MAY_RETURN)) {
        fill(words, 4, 101);
        MUST(mlock(page_of(words, 1), PAGE));
        MUST(madvise(page_of(words, 2), PAGE, MADV_DONTDUMP));
        MUST(madvise(page_of(words, 3), PAGE, MADV_WIPEONFORK));
        back(&c, 0);
        words[0] = 5;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int page = 1; page < 4; page++)
        CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, words, PAGE),
                                            MEMORY(SHARE, page_of(words, page), PAGE))),
                    EOPNOTSUPP);
    for (int page = 0; page < 4; page++)
        CHECK_EQ(words[512 * page], 1 + page);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE))));
    enter(c.fd, 0);
    CHECK_EQ(words[0], 101);
}

static struct lwc_create on_own_stack;
static ucontext_t elsewhere;

static void run_on_own_stack(void)
{
    for (;;)
        back(&on_own_stack, 0);
}

/* Nor the mapping that the source's stack is in; to copy it does no harm. */
TEST(overlay_shares_no_stack)
{
    enum { PAGES = 16 };
    char *stack = private_pages(PAGES);

    if (make(&on_own_stack, LWC_MAY_RETURN)) {
        MUST(getcontext(&elsewhere));
        elsewhere.uc_stack.ss_sp = stack;
        elsewhere.uc_stack.ss_size = PAGES * PAGE;
        makecontext(&elsewhere, run_on_own_stack, 0);
        setcontext(&elsewhere);
    }
    enter(on_own_stack.fd, 0);
    CHECK_ERRNO(lwc_overlay(on_own_stack.fd, SPECS(MEMORY(SHARE, stack, PAGE))), EINVAL);
    CHECK_ERRNO(
        lwc_overlay(on_own_stack.fd, SPECS(MEMORY(SHARE, stack + (PAGES - 1) * PAGE, PAGE))),
        EINVAL);
    CHECK_OK(lwc_overlay(on_own_stack.fd, SPECS(MEMORY(COPY, stack, PAGES * PAGE))));
    enter(on_own_stack.fd, 0);
}

/* An lwC whose thread writes all the time, in memory that others copy. */
static volatile bool *stop;

static void *write_all_the_time(void *words)
{
    while (!*stop)
        ++*(volatile long *)words;
    return NULL;
}

/*
 * A thread in the source goes on writing: into its own memory. The other processor must not go on
 * to write to pages that are shared now.
 */
TEST(overlay_of_memory_in_use)
{
    volatile long *words = private_pages(1);
    struct lwc_create c;

    stop = shared_pages(1);
    if (make(&c, LWC_MAY_RETURN)) {
        pthread_t thread;
        long before;

        CHECK_EQ(pthread_create(&thread, NULL, write_all_the_time, (void *)words), 0);
        while (!words[0])
            short_pause();
        back(&c, 0);
        before = words[0];
        CHECK(EVENTUALLY(words[0] != before));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int n = 0; n < 50; n++) {
        long copied;

        CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE))));
        copied = words[0];
        CHECK(copied > 0);
        for (volatile int wait = 0; wait < 300000; wait++)
            ;
        CHECK_EQ(words[0], copied);
    }
    enter(c.fd, 0);
    *stop = true;
}

static void *read_all_the_time(void *words)
{
    while (!*stop) {
        long value = *(volatile long *)words;

        if (value != 1 && value != 2)
            FAIL("a thread reads %ld", value);
    }
    return NULL;
}

/* A thread of the caller that uses what is replaced sees what was there or what is there, no gap.
 */
TEST(overlay_under_a_thread)
{
    volatile long *words = private_pages(3);
    struct lwc_create one, two;
    pthread_t thread;

    stop = shared_pages(1);
    fill(words, 3, 1);
    if (make(&one, LWC_MAY_RETURN))
        finish(&one, 0);
    fill(words, 3, 2);
    if (make(&two, LWC_MAY_RETURN))
        finish(&two, 0);
    CHECK_EQ(pthread_create(&thread, NULL, read_all_the_time, (void *)words), 0);
    for (int n = 0; n < 300; n++)
        CHECK_OK(lwc_overlay(n % 2 ? one.fd : two.fd, SPECS(MEMORY(COPY, words, 2 * PAGE))));
    *stop = true;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(words[512], 2);
}

struct ring {
    int fd;
    volatile unsigned int *tail, *mask, *done;
    unsigned int *array;
    struct io_uring_sqe *entries;
};

static bool open_ring(struct ring *ring, void *buffer)
{
    struct io_uring_params p = {0};
    const struct {
        void *base;
        size_t size;
    } vector = {buffer, PAGE};
    char *queue, *answers;

    ring->fd = syscall(SYS_io_uring_setup, 1, &p);
    if (ring->fd < 0)
        return false;
    queue = (char *)MUST(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING));
    answers = (char *)MUST(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING));
    ring->entries = (void *)MUST(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES));
    ring->tail = (void *)(queue + p.sq_off.tail);
    ring->array = (void *)(queue + p.sq_off.array);
    ring->done = (void *)(answers + p.cq_off.tail);
    MUST(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, &vector, 1));
    return true;
}

/* The kernel writes the file's first word to the page that was registered. */
static void read_by_ring(struct ring *ring, int file, void *buffer)
{
    struct io_uring_sqe entry = {
        .opcode = IORING_OP_READ_FIXED, .fd = file, .addr = (uintptr_t)buffer, .len = 8};

    ring->entries[0] = entry;
    ring->array[0] = 0;
    __atomic_store_n(ring->tail, *ring->tail + 1, __ATOMIC_RELEASE);
    MUST(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
}

struct pinned {
    volatile long *words;
    int file;
    volatile int *step; /* shared by all */
};

static void *pin(void *argument)
{
    struct pinned *pinned = argument;
    struct ring ring;

    if (!open_ring(&ring, (void *)pinned->words))
        test_skip("io_uring: %s", error_name(errno));
    *pinned->step = 1;
    while (*pinned->step != 2)
        short_pause();
    read_by_ring(&ring, pinned->file, (void *)pinned->words);
    CHECK_EQ(pinned->words[0], 1);
    *pinned->step = 3;
    pause();
    return NULL;
}

/* A page of the source that the kernel holds for a device stays the source's, and is copied. */
TEST(overlay_of_pinned_pages)
{
    volatile long *words = private_pages(1);
    volatile int *step = shared_pages(1);
    struct pinned pinned = {words, scratch_file(1), step};
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        pthread_t thread;

        words[0] = 77;
        CHECK_EQ(pthread_create(&thread, NULL, pin, &pinned), 0);
        while (*step != 1)
            short_pause();
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE))));
    CHECK_EQ(words[0], 77);
    *step = 2;
    CHECK(EVENTUALLY(*step == 3));
    CHECK_EQ(words[0], 77);
}

/* An lwC with other contents, made before a snapshot, for its workers to overlay. */
static int other_contents(volatile long *words, int count)
{
    struct lwc_create c;

    fill(words, count, 101);
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    fill(words, count, 1);
    return c.fd;
}

/* A worker is what its snapshot is after a reset, though what it overlaid looks just the same. */
TEST(reset_overlaid_memory)
{
    enum { PAGES = 100 };
    volatile long *words = private_pages(PAGES), *small = private_pages(2);
    int other = other_contents(words, PAGES), small_other = other_contents(small, 2), worker;
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        for (int page = 0; page < PAGES; page++)
            CHECK_EQ(words[512 * page], 1 + page);
        CHECK_EQ(small[0], 1);
        CHECK_EQ(small[512], 2);
        if (c.args[0] % 3 == 1)
            fill(words, 5, 7);
        if (c.args[0] % 3 != 2)
            CHECK_OK(lwc_overlay(other, SPECS(MEMORY(COPY, words, PAGES * PAGE))));
        else
            CHECK_OK(lwc_overlay(other, SPECS(MEMORY(COPY, page_of(words, 10), 7 * PAGE))));
        CHECK_OK(lwc_overlay(small_other, SPECS(MEMORY(COPY, small, 2 * PAGE))));
        CHECK_EQ(words[512 * 11], 112);
        CHECK_EQ(small[512], 102);
        if (c.args[0] % 2)
            words[512 * 12] = small[0] = 9;
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_grant(other, worker, LWC_MAY_ACCESS));
    CHECK_OK(lwc_grant(small_other, worker, LWC_MAY_ACCESS));
    for (int round = 0; round < 12; round++) {
        enter(worker, round);
        reset(worker);
    }
    CHECK_EQ(words[512 * 11], 12);
}

/* The same with memory that is shared with the source, and with the worker as the source. */
TEST(reset_shared_overlays)
{
    volatile long *words = private_pages(4);
    int other = other_contents(words, 4), worker;
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        for (int page = 0; page < 4; page++)
            CHECK_EQ(words[512 * page], 1 + page);
        words[1536] = 50;
        CHECK_OK(lwc_overlay(other, SPECS(MEMORY(SHARE, words, 2 * PAGE))));
        words[0] = 60 + c.args[0];
        back(&c, 0);
        CHECK_EQ(words[1024], 70);
        words[1024] = 71;
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_grant(other, worker, LWC_MAY_ACCESS));
    for (int round = 0; round < 6; round++) {
        enter(worker, round);
        CHECK_OK(lwc_overlay(other, SPECS(MEMORY(COPY, words, PAGE))));
        CHECK_EQ(words[0], 60 + round);
        CHECK_OK(lwc_overlay(worker, SPECS(MEMORY(SHARE, page_of(words, 2), PAGE),
                                           MEMORY(COPY, page_of(words, 3), PAGE))));
        CHECK_EQ(words[1024], 3);
        CHECK_EQ(words[1536], 50);
        words[1024] = 70;
        words[1536] = 51;
        enter(worker, 0);
        CHECK_EQ(words[1024], 71);
        reset(worker);
        CHECK_EQ(words[1024], 71);
        CHECK_EQ(words[1536], 51);
    }
}

/* A worker that copies huge pages over its small ones, and back from its snapshot. */
TEST(reset_overlaid_huge_pages)
{
    unsigned char *p = (void *)MUST(
        mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct lwc_create c, other;
    int worker;

    p = (void *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
    if (SYS(madvise(p, 4 * MIB, MADV_HUGEPAGE)) == -EINVAL)
        test_skip("transparent huge pages");
    if (make(&other, LWC_MAY_RETURN)) {
        memset(p, 2, 4 * MIB);
        finish(&other, line_number("/proc/self/smaps_rollup", "AnonHugePages:"));
    }
    if (enter(other.fd, 0) < 4 * 1024)
        test_skip("two transparent huge pages");
    memset(p, 1, MIB);
    if (make(&c, SNAPSHOT)) {
        for (size_t n = 0; n < 4 * MIB; n += PAGE)
            CHECK_EQ(p[n], n < MIB);
        memset(p + 3 * MIB / 2, 3, MIB);
        CHECK_OK(lwc_overlay(other.fd, SPECS(MEMORY(COPY, p, 4 * MIB - PAGE))));
        CHECK_EQ(p[4 * MIB - PAGE - 1], 2);
        if (c.args[0] % 2)
            memset(p + 3 * MIB / 2, 3, MIB);
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_grant(other.fd, worker, LWC_MAY_ACCESS));
    for (int round = 0; round < 6; round++) {
        enter(worker, round);
        reset(worker);
    }
}
