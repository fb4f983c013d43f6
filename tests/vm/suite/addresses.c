/* SPDX-License-Identifier: MIT */
/*
 * Addresses that the kernel was told by a thread, to write there while it runs or when it ends,
 * belong to the lwC that told them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stddef.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

static struct robust_list_head *robust_list(void)
{
    struct robust_list_head *head;
    size_t length;

    MUST(syscall(SYS_get_robust_list, 0, &head, &length));
    return head;
}

static struct rseq *own_area(void)
{
    return (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long rseq(struct rseq *area, int flags)
{
    return SYS(syscall(SYS_rseq, area, sizeof(*area), flags, RSEQ_SIG));
}

static volatile int secret = 42;

static void *is_told_to_clear(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, LWC_MAY_RETURN)) {
        syscall(SYS_set_tid_address, &secret);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    return NULL;
}

static void *is_told_to_clear_and_ends(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, 0)) {
        syscall(SYS_set_tid_address, &secret);
        syscall(SYS_exit, 0);
    }
    enter(c.fd, 0);
    return NULL;
}

/* A child cannot have a word of its creator's memory cleared at the end of the thread. */
TEST(attack_clear_child_tid)
{
    void *(*const ways[])(void *) = {is_told_to_clear, is_told_to_clear_and_ends};

    for (int n = 0; n < 2; n++) {
        pthread_t thread;

        CHECK_EQ(pthread_create(&thread, NULL, ways[n], NULL), 0);
        CHECK(EVENTUALLY(line_number("/proc/self/status", "Threads:") == 1));
        CHECK_EQ(secret, 42);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

/* As a thread's list would look that holds one lock. */
static struct {
    struct robust_list_head head;
    struct robust_list lock;
    volatile unsigned int word;
} forged;

static void *forges_a_list(void *unused)
{
    struct lwc_create c;

    (void)unused;
    forged.head.list.next = &forged.lock;
    forged.head.futex_offset = (char *)&forged.word - (char *)&forged.lock;
    forged.lock.next = &forged.head.list;
    forged.word = thread_id();
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(syscall(SYS_set_robust_list, &forged.head, sizeof(forged.head)));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    return NULL;
}

/* A child cannot have a word of its creator's memory marked as the lock of a dead thread. */
TEST(attack_robust_list)
{
    unsigned int before;
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, forges_a_list, NULL), 0);
    CHECK(EVENTUALLY(line_number("/proc/self/status", "Threads:") == 1));
    before = forged.word;
    CHECK_EQ(before & FUTEX_OWNER_DIED, 0);
    CHECK(before != 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* A child cannot have the kernel write the processor's number into its creator's memory. */
TEST(attack_rseq)
{
    static struct rseq area __attribute__((aligned(64)));
    struct lwc_create c;

    if (!__rseq_size)
        test_skip("rseq (registered by the C library)");
    area.cpu_id = 4242;
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(rseq(own_area(), RSEQ_FLAG_UNREGISTER), 0);
        CHECK_EQ(rseq(&area, 0), 0);
        for (;;)
            back(&c, 0);
    }
    for (int n = 0; n < 10; n++) {
        enter(c.fd, 0);
        MUST(sched_yield());
        CHECK_EQ(area.cpu_id, 4242);
    }
}

/* Each lwC has its own, as its creator had them when it was made, and they work. */
TEST(addresses_are_kept)
{
    static struct rseq area __attribute__((aligned(64)));
    struct robust_list_head *own = robust_list();
    struct lwc_create c;

    if (!__rseq_size)
        test_skip("rseq (registered by the C library)");
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(robust_list(), own);
        MUST(syscall(SYS_set_robust_list, &forged.head, sizeof(forged.head)));
        CHECK_EQ(rseq(own_area(), RSEQ_FLAG_UNREGISTER), 0);
        back(&c, 0);
        CHECK_EQ(robust_list(), &forged.head);
        CHECK_EQ(rseq(&area, 0), 0);
        for (;;) {
            area.cpu_id = 17; /* the kernel writes it anew */
            back(&c, 0);
            CHECK(area.cpu_id < 2);
        }
    }
    for (int n = 0; n < 5; n++) {
        own_area()->cpu_id = 17;
        enter(c.fd, 0);
        CHECK(own_area()->cpu_id < 2);
        CHECK_EQ(robust_list(), own);
        CHECK_ERRNO(rseq(own_area(), 0), EBUSY);
    }
}

/* A reset makes them what they were when the snapshot was made. */
TEST(reset_addresses)
{
    static struct rseq area __attribute__((aligned(64)));
    struct robust_list_head *own = robust_list();
    struct lwc_create c;

    if (!__rseq_size)
        test_skip("rseq (registered by the C library)");
    if (make(&c, SNAPSHOT)) {
        unsigned int *tid = NULL;

        CHECK_EQ(robust_list(), own);
        CHECK_ERRNO(rseq(own_area(), 0), EBUSY);
        if (SYS(prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0)) == 0)
            CHECK(tid != &forged.word);
        MUST(syscall(SYS_set_robust_list, &forged.head, sizeof(forged.head)));
        CHECK_EQ(rseq(own_area(), RSEQ_FLAG_UNREGISTER), 0);
        CHECK_EQ(rseq(&area, 0), 0);
        syscall(SYS_set_tid_address, &forged.word);
        finish(&c, 0);
    }
    rounds(c.fd, 3);
}
