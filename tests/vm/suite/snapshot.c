/* SPDX-License-Identifier: MIT */
/* Snapshots and workers: what may be done to them, and what a reset costs. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* A snapshot is never entered, by anybody. */
TEST(snapshots_do_not_run)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, SNAPSHOT))
        FAIL("a snapshot runs");
    CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EROFS);
    CHECK_ERRNO(lwc_switch(c.fd, LWC_DISCARD, NULL, 0, &s), EROFS);
    CHECK_EQ(info(c.fd).state, LWC_IS_SNAPSHOT);
}

/* A worker begins where the snapshot was made, with its words, and as it was then. */
TEST(workers_begin_at_the_snapshot)
{
    static volatile int value = 1;
    struct lwc_create c;
    int one, two;

    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(value, 1);
        CHECK_EQ(c.nargs, 1);
        CHECK_EQ(c.caller, c.fd);
        CHECK(info(c.fd).state & LWC_IS_ROOT);
        value = c.args[0];
        CHECK_EQ(back(&c, value), 5);
        finish(&c, value);
    }
    value = 2;
    one = clone_of(c.fd);
    two = clone_of(c.fd);
    CHECK_EQ(enter(one, 10), 10);
    CHECK_EQ(enter(two, 20), 20);
    CHECK_EQ(enter(one, 5), 10);
    CHECK_EQ(enter(two, 5), 20);
    CHECK_EQ(value, 2);
}

/* After a reset the next entry is a first one again. */
TEST(resets_begin_anew)
{
    static volatile int value = 1;
    struct lwc_create c;
    int worker;

    if (make(&c, SNAPSHOT)) {
        for (int n = 0;; n++) {
            CHECK_EQ(value, 1 + n);
            value++;
            back(&c, c.args[0] * 100 + n);
        }
    }
    worker = clone_of(c.fd);
    CHECK_EQ(enter(worker, 1), 100);
    CHECK_EQ(enter(worker, 7), 101);
    reset(worker);
    CHECK(!(info(worker).state & LWC_IS_ENTERED));
    CHECK_EQ(enter(worker, 2), 200);
    reset(worker);
    reset(worker);
    CHECK_EQ(enter(worker, 3), 300);
}

/* A worker that was not entered yet is reset without anything to do. */
TEST(reset_before_the_first_entry)
{
    struct lwc_create c;
    struct lwc_reset r;
    int worker;

    if (make(&c, SNAPSHOT))
        finish(&c, 4);
    worker = clone_of(c.fd);
    CHECK_OK(lwc_reset(worker, &r));
    CHECK_EQ(r.worker, worker);
    CHECK_EQ(r.pages_copied, 0);
    CHECK_EQ(r.mappings, 0);
    CHECK_EQ(enter(worker, 0), 4);
}

/* Only snapshots are cloned, only workers are reset. */
TEST(clone_and_reset_need_the_right_kind)
{
    struct lwc_create c, plain;
    struct lwc_reset r;
    int fd, worker;

    if (make(&plain, LWC_MAY_RETURN))
        finish(&plain, 0);
    if (make(&c, SNAPSHOT))
        FAIL("a snapshot runs");
    worker = clone_of(c.fd);
    CHECK_ERRNO(lwc_clone(plain.fd, &fd), EINVAL);
    CHECK_ERRNO(lwc_clone(worker, &fd), EINVAL);
    CHECK_ERRNO(lwc_reset(plain.fd, &r), EINVAL);
    CHECK_ERRNO(lwc_reset(c.fd, &r), EINVAL);
}

/* Only its creator clones a snapshot or resets a worker; nor does the worker itself. */
TEST(clone_and_reset_need_the_creator)
{
    struct lwc_create c, other;
    struct lwc_reset r;
    int fd, worker;

    if (make(&c, SNAPSHOT)) {
        CHECK_ERRNO(lwc_reset(LWC_FD_SELF, &r), EACCES);
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    enter(worker, 0);
    if (make(&other, LWC_MAY_RETURN)) {
        CHECK_ERRNO(lwc_clone(c.fd, &fd), EACCES);
        CHECK_ERRNO(lwc_reset(worker, &r), EACCES);
        finish(&other, 0);
    }
    enter(other.fd, 0);
}

/* Without its snapshot a worker cannot be reset; it can be entered as before. */
TEST(reset_without_the_snapshot)
{
    struct lwc_create c;
    struct lwc_reset r;
    __u64 id;
    int worker;

    if (make(&c, SNAPSHOT)) {
        back(&c, 1);
        finish(&c, 2);
    }
    worker = clone_of(c.fd);
    id = info(c.fd).id;
    CHECK_EQ(enter(worker, 0), 1);
    MUST(close(c.fd));
    CHECK_ERRNO(lwc_reset(worker, &r), ESTALE);
    CHECK_EQ(info(worker).snapshot, id);
    CHECK_EQ(enter(worker, 0), 2);
}

/* A process in this memory, on a stack of its own, that ends when it has read a byte. */
static pid_t process_in_this_memory(int fd)
{
    static char stack[16 * PAGE] __attribute__((aligned(16)));
    long answer;

    asm volatile("mov $56, %%eax\n"
                 "xor %%edx, %%edx\n xor %%r10d, %%r10d\n xor %%r8d, %%r8d\n"
                 "syscall\n"
                 "test %%eax, %%eax\n jnz 1f\n"
                 "mov %2, %%edi\n mov %%rsp, %%rsi\n mov $1, %%edx\n xor %%eax, %%eax\n"
                 "syscall\n"
                 "xor %%edi, %%edi\n mov $231, %%eax\n syscall\n"
                 "1:\n"
                 : "=&a"(answer)
                 : "D"(CLONE_VM | SIGCHLD), "r"(fd), "S"(stack + sizeof(stack) / 2)
                 : "rcx", "rdx", "r8", "r10", "r11", "memory");
    CHECK(answer > 0);
    return answer;
}

/* A process that shares the worker's memory, as after vfork, must be gone before a reset. */
TEST(reset_while_memory_is_shared)
{
    struct lwc_create c;
    struct lwc_reset r;
    int ends[2], worker;
    pid_t pid;

    MUST(pipe(ends));
    if (make(&c, SNAPSHOT))
        finish(&c, process_in_this_memory(ends[0]));
    worker = clone_of(c.fd);
    for (int round = 0; round < 2; round++) {
        pid = enter(worker, 0);
        CHECK_ERRNO(lwc_reset(worker, &r), EBUSY);
        CHECK_ERRNO(lwc_reset(worker, &r), EBUSY);
        CHECK_EQ(write(ends[1], "", 1), 1);
        CHECK_EQ(ending(pid), 0);
        CHECK_OK(lwc_reset(worker, &r));
    }
}

/* A worker with sealed mappings cannot be reset any more: it is destroyed and cloned anew. */
TEST(reset_of_sealed_mappings)
{
    enum { SYS_mseal_ = 462 };
    char *page = private_pages(1);
    struct lwc_create c;
    struct lwc_reset r;
    int worker;
    long answer = SYS(syscall(SYS_mseal_, page, 0, 0));

    if (answer == -ENOSYS)
        test_skip("mseal");
    *page = 1;
    if (make(&c, SNAPSHOT)) {
        if (c.args[0]) {
            void *p = private_pages(1);

            MUST(syscall(SYS_mseal_, c.args[0] == 1 ? p : page, PAGE, 0));
        }
        *page += 1;
        finish(&c, *page);
    }
    for (int which = 1; which <= 2; which++) {
        worker = clone_of(c.fd);
        enter(worker, which);
        CHECK_ERRNO(lwc_reset(worker, &r), ENOTRECOVERABLE);
        CHECK_ERRNO(lwc_reset(worker, &r), ENOTRECOVERABLE);
        MUST(close(worker));
        worker = clone_of(c.fd);
        CHECK_EQ(enter(worker, 0), 2);
        reset(worker);
        CHECK_EQ(enter(worker, 0), 2);
        MUST(close(worker));
    }
}

/* So many pages as a round wrote are copied back, and no page of the rest of memory is looked at.
 */
static void check_counts(size_t megabytes, int pages)
{
    volatile char *p = private_pages(megabytes * MIB / PAGE);
    struct lwc_create c;
    struct lwc_reset r;
    int worker;

    memset((void *)p, 1, megabytes * MIB);
    if (make(&c, SNAPSHOT)) {
        for (int n = 0; n < pages; n++)
            p[(7 + 3 * n) * PAGE + n] = 2;
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        CHECK_OK(lwc_reset(worker, &r));
        if (r.pages_copied < (__u64)pages || r.pages_copied > (__u64)pages + 12)
            FAIL("round %d of %d pages: %llu copied", round, pages, r.pages_copied);
        if (r.pages_checked < r.pages_copied || r.pages_checked > 2 * r.pages_copied + 40)
            FAIL("round %d of %d pages: %llu checked", round, pages, r.pages_checked);
        CHECK(r.pages_private >= (__u64)pages && r.pages_private <= (__u64)pages + 40);
        CHECK_EQ(info(worker).pages_private, r.pages_private);
        CHECK_EQ(r.mappings, 0);
    }
    MUST(close(worker));
    MUST(close(c.fd));
    MUST(munmap((void *)p, megabytes * MIB));
}

/* A reset copies the pages that were written, be they one, ten or a hundred. */
TEST(reset_counts_pages)
{
    check_counts(8, 1);
    check_counts(8, 10);
    check_counts(8, 100);
}

/* What was not written costs nothing: eight times the memory is not looked at more. */
TEST(reset_is_flat_in_memory)
{
    check_counts(64, 1);
    check_counts(64, 100);
}

/* Pages that a worker once wrote it keeps for itself: later rounds take no page fault for them. */
TEST(hot_pages_stay_private)
{
    enum { PAGES = 200 };
    volatile char *p = private_pages(PAGES);
    struct lwc_create c;
    struct rusage before, after;
    int worker;

    memset((void *)p, 1, PAGES * PAGE);
    if (make(&c, SNAPSHOT)) {
        for (int n = 0; n < PAGES; n++)
            p[n * PAGE] = 2;
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        reset(worker);
    }
    getrusage(RUSAGE_SELF, &before);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        reset(worker);
    }
    getrusage(RUSAGE_SELF, &after);
    /* Of 600 writes; the kernel may have taken the accessed bit of a page or two. */
    CHECK(after.ru_minflt - before.ru_minflt <= 5);
    CHECK_EQ(after.ru_majflt, before.ru_majflt);
}

/* Two workers of a snapshot are reset each by itself. */
TEST(workers_are_reset_one_by_one)
{
    static volatile int value = 1;
    struct lwc_create c;
    int one, two;

    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(value, 1);
        value = c.args[0];
        back(&c, 0);
        CHECK_EQ(value, c.args[0]);
        finish(&c, 0);
    }
    one = clone_of(c.fd);
    two = clone_of(c.fd);
    enter(one, 10);
    enter(two, 20);
    reset(one);
    enter(one, 11);
    enter(two, 0);
    reset(two);
    enter(one, 0);
    enter(two, 21);
    MUST(close(one));
    enter(two, 0);
}

/* A snapshot has a table and credentials of its own, or it would not stay as it is. */
TEST(snapshots_share_no_table)
{
    struct lwc_create c;

    CHECK_ERRNO(lwc_create(SNAPSHOT, SPECS(SHARED_FILES), &c), EINVAL);
    CHECK_ERRNO(lwc_create(SNAPSHOT, SPECS(SHARED_CREDENTIALS), &c), EINVAL);
    if (make_with(&c, SNAPSHOT, SPECS(FILES(COPY, 0, LWC_ALL))))
        FAIL("a snapshot runs");
}

/* A worker may make lwCs, snapshots and workers of its own, every round. */
TEST(workers_that_create)
{
    static volatile int value = 1;
    struct lwc_create c, d;

    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(value, 1);
        value = 2;
        if (make(&d, SNAPSHOT)) {
            CHECK_EQ(value, 2);
            value = 3;
            finish(&d, 0);
        }
        rounds(d.fd, 2);
        CHECK_EQ(value, 2);
        MUST(close(d.fd));
        finish(&c, 0);
    }
    rounds(c.fd, 3);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
}

/* What a worker was granted, and the lwCs it made, are not its state: a reset leaves them. */
TEST(reset_leaves_rights_and_lwcs)
{
    struct lwc_create c, d, target;
    struct lwc_switch s;
    int worker;

    if (make(&target, LWC_MAY_RETURN)) {
        for (;;)
            back(&target, 7);
    }
    if (make(&c, SNAPSHOT)) {
        if (make(&d, 0))
            FAIL("entered");
        CHECK_OK(lwc_switch(target.fd, 0, (__u64[]){0}, 1, &s));
        FAIL("entered again");
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_grant(target.fd, worker, LWC_MAY_ENTER));
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(enter(worker, 0), 7);
        reset(worker);
        CHECK_EQ(info(LWC_FD_SELF).contexts, 4 + round + 1);
    }
}
