/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of every call fails once. The call then fails and nothing has happened, or it
 * did without. Needs a kernel that can make allocations fail (FAULT_INJECTION,
 * /proc/self/fail-nth).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "performed.h"
#include "refused.h"
#include "steps.h"
#include "world.h"

static void prepare(void)
{
    if (access("/proc/thread-self/fail-nth", W_OK))
        test_skip("a kernel that makes allocations fail (fail-nth)");
    /*
     * On its way out of any call the kernel may write the processor's number into the area of rseq,
     * which has to be copied first where it is shared; a failure there is SIGSEGV, by rseq(2).
     */
    if (__rseq_size)
        MUST(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset,
                     sizeof(struct rseq), RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
    for (int n = 0; n < 2; n++) {
        static const char *const kinds[] = {"failslab", "fail_page_alloc"};
        static const char *const knobs[] = {"ignore-gfp-wait", "verbose", "min-order",
                                            "ignore-gfp-highmem"};

        for (int m = 0; m < 4; m++) {
            char path[80];

            snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kinds[n], knobs[m]);
            if (access(path, W_OK) == 0)
                set_number(path, 0);
        }
    }
}

/* Else the second page of a result could be missing when the lwC is there, and its descriptor told.
 */
#define IN_ONE_PAGE __attribute__((aligned(128)))

/* Each thread has its own. It is opened before: opening allocates. */
static __thread int fail_nth;

static void arm(int nth)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", nth);

    if (!fail_nth)
        fail_nth = MUST(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
    CHECK_EQ(pwrite(fail_nth, text, length, 0), length);
}

/* Whether an allocation has failed since; none will from now on. */
static bool disarm(void)
{
    char text[16] = "";
    ssize_t length = pread(fail_nth, text, sizeof(text) - 1, 0);

    CHECK(length > 0);
    CHECK_EQ(pwrite(fail_nth, "0", 1, 0), 1);
    return text[0] == '0';
}

/*
 * EFAULT is what the kernel makes of a page it could not get while it wrote a result: the pages
 * that a creation has made shared are copied when they are written to.
 */
static void check_answer(int nth, int answer)
{
    if (answer && answer != -ENOMEM && answer != -ENFILE && answer != -EFAULT)
        FAIL("allocation %d failed: %s", nth, error_name(-answer));
}

/* An lwC is made whole or not at all, with everything that can be asked of it. */
TEST(failing_creations)
{
    volatile long *words = private_pages(8);
    struct lwc_create c IN_ONE_PAGE;
    struct lwc_info i;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        int answer;

        words[512] = 1;
        arm(nth);
        answer = lwc_create(LWC_MAY_RETURN | LWC_SAME_RIGHTS,
                            SPECS(MEMORY(UNMAP, words + 1024, PAGE)), &c);
        if (!answer && c.event == LWC_ENTERED) {
            CHECK_EQ(words[512], 1);
            words[512] = 2;
            finish(&c, 0);
        }
        failed = disarm();
        check_answer(nth, answer);
        if (!answer) {
            enter(c.fd, 0);
            MUST(close(c.fd));
        }
        CHECK_EQ(words[512], 1);
        answer = lwc_info(LWC_FD_SELF, &i);
        if (answer)
            CHECK_EQ(answer, -EBADF); /* the first lwC of all was not made */
        else
            CHECK_EQ(i.contexts, 1);
    }
}

static volatile int taken_with;

static void *waits_to_be_taken(void *unused)
{
    struct lwc_safepoint s;

    (void)unused;
    CHECK_OK(lwc_safepoint(&s));
    if (s.event == LWC_ENTERED)
        FAIL("entered");
    taken_with = s.fd;
    return NULL;
}

/* A thread that waits is taken along, or waits on; and then is taken by the next creation. */
TEST(failing_creations_with_threads)
{
    struct lwc_create c IN_ONE_PAGE;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        pthread_t thread;
        int answer;

        taken_with = -1;
        CHECK_EQ(pthread_create(&thread, NULL, waits_to_be_taken, NULL), 0);
        arm(nth);
        answer = lwc_create_with_threads(
            LWC_SAME_RIGHTS, SPECS({LWC_MEMORY, LWC_COPY | LWC_MAY_ACCESS, 0, LWC_ALL}), 1, &c);
        failed = disarm();
        check_answer(nth, answer);
        if (answer) {
            CHECK_EQ(taken_with, -1);
            CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
        }
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(taken_with, c.fd);
        MUST(close(c.fd));
        CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    }
}

static volatile int answer_of_waiter, failed_of_waiter;

static void *waits_after_failures(void *nth)
{
    struct lwc_safepoint s IN_ONE_PAGE;

    arm((int)(long)nth);
    answer_of_waiter = lwc_safepoint(&s);
    failed_of_waiter = disarm();
    if (answer_of_waiter)
        CHECK_OK(lwc_safepoint(&s));
    taken_with = s.fd;
    MUST(close(fail_nth));
    return NULL;
}

/* A safe point that cannot be waited at leaves nothing; the thread can wait there later. */
TEST(failing_safepoints)
{
    struct lwc_create c;

    prepare();
    failed_of_waiter = true;
    for (long nth = 1; failed_of_waiter; nth++) {
        pthread_t thread;

        CHECK_EQ(pthread_create(&thread, NULL, waits_after_failures, (void *)nth), 0);
        CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
        CHECK_EQ(pthread_join(thread, NULL), 0);
        check_answer(nth, answer_of_waiter);
        CHECK_EQ(taken_with, c.fd);
        MUST(close(c.fd));
        CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    }
}

/* Memory that is shared stays what it was where the creation fails. */
TEST(failing_shares)
{
    struct lwc_create c;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        volatile long *words = private_pages(4);
        int answer;

        words[0] = 1;
        words[1024] = 3;
        arm(nth);
        answer = lwc_create(LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 4 * PAGE)), &c);
        if (!answer && c.event == LWC_ENTERED) {
            words[512] = 2;
            finish(&c, 0);
        }
        failed = disarm();
        check_answer(nth, answer);
        if (!answer) {
            enter(c.fd, 0);
            CHECK_EQ(words[512], 2);
            MUST(close(c.fd));
        }
        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[1024], 3);
        words[0] = 4;
        /* Or each round would have more to copy than the one before, and the last would never come.
         */
        MUST(munmap((char *)words - PAGE, 6 * PAGE)); /* with its gaps */
    }
}

/* A worker is made whole or not at all. */
TEST(failing_clones)
{
    static volatile int value = 1;
    struct lwc_create c;
    bool failed = true;

    prepare();
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(value, 1);
        value = 2;
        finish(&c, 0);
    }
    for (int nth = 1; failed; nth++) {
        int fd, answer;

        arm(nth);
        answer = lwc_clone(c.fd, &fd);
        failed = disarm();
        check_answer(nth, answer);
        if (!answer) {
            enter(fd, 0);
            reset(fd);
            enter(fd, 0);
            MUST(close(fd));
        }
        CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    }
}

/* A switch that cannot be done leaves the thread where it was. */
TEST(failing_switches)
{
    static volatile int value = 1;
    struct lwc_create c;
    struct lwc_switch s;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        int answer;

        if (make(&c, LWC_MAY_RETURN)) {
            for (;;) {
                value = 2;
                CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
            }
        }
        /* Once before: its stack, which the kernel writes to, is its own then. */
        CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
        arm(nth);
        answer = lwc_switch(c.fd, 0, NULL, 0, &s);
        failed = disarm();
        check_answer(nth, answer);
        CHECK_EQ(value, 1);
        CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
        CHECK_EQ(value, 1);
        MUST(close(c.fd));
    }
}

/* A worker whose reset fails is of no use any more, and never entered half restored. */
TEST(failing_resets)
{
    volatile long *words = private_pages(8), *file;
    int fd = scratch_file(2);
    struct lwc_create c;
    bool failed = true;

    prepare();
    file = (long *)MUST(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    for (int page = 0; page < 8; page += 2)
        words[512 * page] = page + 1;
    file[1] = 7;
    if (make(&c, SNAPSHOT)) {
        for (int page = 0; page < 8; page++)
            CHECK_EQ(words[512 * page], page % 2 ? 0 : page + 1);
        CHECK_EQ(file[1], 7);
        CHECK_EQ(file[512], PAGE + 1);
        for (int page = 0; page < 6; page++)
            words[512 * page] = 100;
        file[1] = file[512] = 100;
        MUST(munmap((char *)words + 6 * PAGE, PAGE));
        private_pages(3);
        MUST(dup2(2, 200));
        finish(&c, 0);
    }
    for (int nth = 1; failed; nth++) {
        int worker = clone_of(c.fd), answer;
        struct lwc_switch s;
        struct lwc_reset r;

        enter(worker, 0);
        arm(nth);
        answer = lwc_reset(worker, &r);
        failed = disarm();
        check_answer(nth, answer);
        if (answer) {
            answer = lwc_reset(worker, &r);
            if (answer)
                CHECK_EQ(answer, -ENOTRECOVERABLE);
            else
                enter(worker, 0);
            if (answer)
                CHECK(lwc_switch(worker, 0, NULL, 0, &s) < 0);
        } else {
            enter(worker, 0);
        }
        MUST(close(worker));
    }
}

/* A grant that fails gives no right. */
TEST(failing_grants)
{
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        struct lwc_create target, c;
        struct lwc_switch s;
        int answer;

        if (make(&target, LWC_MAY_RETURN))
            finish(&target, 0);
        if (make(&c, LWC_MAY_RETURN)) {
            if (c.args[0])
                CHECK_ERRNO(lwc_switch(target.fd, 0, NULL, 0, &s), EACCES);
            else
                CHECK_OK(lwc_switch(target.fd, 0, NULL, 0, &s));
            finish(&c, 0);
        }
        arm(nth);
        answer = lwc_grant(target.fd, c.fd, LWC_MAY_ENTER);
        failed = disarm();
        check_answer(nth, answer);
        enter(c.fd, answer != 0);
        MUST(close(target.fd));
        MUST(close(c.fd));
    }
}

/* What cannot be overlaid for want of memory is what it was, is gone, or is what it was to become.
 */
TEST(failing_overlays)
{
    struct lwc_create c;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        volatile long *words = private_pages(6);
        int answer;

        for (int page = 0; page < 6; page++)
            words[512 * page] = 1;
        MUST(dup2(2, 300));
        if (make(&c, LWC_MAY_RETURN)) {
            for (int page = 0; page < 6; page++)
                words[512 * page] = 2;
            MUST(mprotect((char *)words + 2 * PAGE, PAGE, PROT_READ));
            MUST(dup2(2, 200));
            MUST(close(300));
            MUST(syscall(SYS_setresgid, 30, 30, 30));
            back(&c, 0);
            CHECK_EQ(words[0], 2);
            CHECK_EQ(words[2560], 2);
            finish(&c, 0);
        }
        enter(c.fd, 0);
        arm(nth);
        answer = lwc_overlay(c.fd, SPECS(MEMORY(COPY, words + 512, 3 * PAGE),
                                         MEMORY(SHARE, words + 2048, PAGE), FILES(COPY, 200, 301),
                                         CREDENTIALS(COPY)));
        failed = disarm();
        check_answer(nth, answer);
        for (int page = 0; page < 6; page++) {
            bool named = page >= 1 && page <= 4;

            if (!answer || !named || is_mapped(&words[512 * page]))
                CHECK(words[512 * page] == 1 + (named && (!answer || words[512 * page] == 2)));
        }
        CHECK_EQ(fcntl(200, F_GETFD), answer ? -1 : 0);
        CHECK_EQ(fcntl(300, F_GETFD), answer ? 0 : -1);
        CHECK(answer || getegid() == 30);
        enter(c.fd, 0);
        CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 200, 301), CREDENTIALS(COPY))));
        CHECK_EQ(getegid(), 0);
        MUST(close(c.fd));
        SYS(munmap((char *)words - PAGE, 8 * PAGE));
    }
}

/* A restriction that fails has narrowed nothing. */
TEST(failing_restrictions)
{
    const struct lwc_spec all = {LWC_MEMORY, LWC_COPY, 0, LWC_ALL};
    struct lwc_create c;

    prepare();
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    for (int flags = LWC_RESTRICT_COPY; flags >= 0; flags--) {
        int answer = -ENOMEM, restricted, nth;

        /* One that was made in spite of a failure has narrowed the mask. */
        for (nth = 1; answer; nth++) {
            CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))));
            arm(nth);
            answer = lwc_restrict(c.fd, flags, &all, 1, &restricted);
            disarm();
            check_answer(nth, answer);
        }
        CHECK_ERRNO(lwc_overlay(flags ? restricted : c.fd, SPECS(CREDENTIALS(COPY))), EACCES);
    }
}

/* An lwC that is refused calls is made whole or not at all; no call of it runs in between. */
TEST(failing_traps)
{
    struct lwc_create c;
    bool failed = true;

    prepare();
    for (int nth = 1; failed; nth++) {
        int err;

        arm(nth);
        err = lwc_create(LWC_TRAP_SYSCALLS, NULL, 0, &c);
        if (!err && c.event == LWC_ENTERED) {
            for (;;)
                TELLING(RAW(SYS_getppid));
        }
        failed = disarm();
        check_answer(nth, err);
        if (err)
            continue;
        CHECK_EQ(first_call(c.fd).args[0], SYS_getppid);
        CHECK_EQ(told(c.fd, 0, nth), nth);
        MUST(close(c.fd));
    }
}

/* A call for another that fails leaves the thread with what is its own. */
TEST(failing_calls_for_another)
{
    char *page = private_pages(1);
    struct lwc_create c;
    bool failed = true;

    prepare();
    *page = 1;
    if (make(&c, LWC_MAY_RETURN)) {
        *page = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int nth = 1; failed; nth++) {
        __s64 result;
        int err;

        arm(nth);
        err = lwc_syscall(c.fd, IN_ALL, SYS_mmap,
                          WORDS(0, PAGE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0),
                          &result);
        failed = disarm();
        check_answer(nth, err);
        if (!err && result < 0)
            CHECK_EQ(result, -ENOMEM);
        CHECK_EQ(*page, 1);
        CHECK(fcntl(DOOR, F_GETFD) >= 0);
    }
}
