/* SPDX-License-Identifier: MIT */
/* Threads that were at a safe point have a state in the new lwC, and enter it on their own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

static __thread volatile int own = -1;
static volatile int inside, outside, changed = 1;
static volatile int *both; /* shared by all lwCs */
static int size;

/* The test for teams of two and of eight. */
static void two_and_eight(__u32 flags, void (*act)(struct member *member))
{
    struct live before = live();

    for (size = 2; size <= MOST_MEMBERS; size += 6) {
        inside = outside = 0;
        changed = 1;
        both = shared_pages(1);
        team(size, flags, act);
        CHECK(EVENTUALLY(live().groups == before.groups + 1));
    }
}

static void enter_once(struct member *m)
{
    if (m->inside) {
        CHECK_EQ(m->word, 100 + m->number);
        /* All of them are here at the same time, and see each other. */
        meet(&inside, size);
        changed = 2;
        CHECK_EQ(outside, 0);
        leave(m, 200 + m->number);
    }
    meet(&outside, size);
    CHECK_EQ(enter(m->fd, 100 + m->number), 200 + m->number);
    CHECK_EQ(inside, 0);
    CHECK_EQ(changed, 1);
}

/* Each of two and eight threads enters; memory is theirs together inside, and not the creator's. */
TEST(threads_enter_together)
{
    two_and_eight(LWC_MAY_RETURN, enter_once);
}

/* The call with marks in registers that a call keeps, which it is to return with, wherever. */
static long safepoint_marked(struct lwc_safepoint *s, unsigned long mark)
{
    long answer;

    s->flags = 0;
    asm volatile("movq %[mark], %%r12\n\t"
                 "leaq 1(%[mark]), %%r13\n\t"
                 "movq %[mark], %%xmm7\n\t"
                 "syscall\n\t"
                 "cmpq %%r12, %[mark]\n\t"
                 "jne 1f\n\t"
                 "movq %%xmm7, %%r12\n\t"
                 "cmpq %%r12, %[mark]\n\t"
                 "jne 1f\n\t"
                 "leaq 1(%[mark]), %%r12\n\t"
                 "cmpq %%r12, %%r13\n\t"
                 "je 2f\n"
                 "1:\n\t"
                 "movq $-1, %%rax\n"
                 "2:"
                 : "=a"(answer)
                 : "a"(SYS_ioctl), "D"((long)DOOR), "S"(LWC_IOC_SAFEPOINT), "d"(s), [mark] "b"(mark)
                 : "rcx", "r11", "r12", "r13", "xmm7", "memory", "cc");
    return answer;
}

static void *has_own(void *number)
{
    volatile int on_stack = 10 * (int)(uintptr_t)number;
    sigset_t mask, now;
    struct lwc_safepoint s;
    pid_t id = thread_id();

    own = 1000 + on_stack;
    errno = 50 + on_stack / 10;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 1 + on_stack / 10);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
    CHECK_EQ(safepoint_marked(&s, 0x1234567800 + on_stack), 0);
    CHECK_EQ(own, 1000 + on_stack);
    CHECK_EQ(errno, 50 + on_stack / 10);
    CHECK_EQ(thread_id(), id);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    CHECK_EQ(sigismember(&now, SIGRTMIN + 1 + on_stack / 10), 1);
    CHECK_EQ(sigismember(&now, SIGRTMIN + 1), 0);
    if (s.event == LWC_ENTERED) {
        own++, on_stack++;
        meet(&inside, MOST_MEMBERS - 1);
        CHECK_EQ(own, 1001 + 10 * (int)(uintptr_t)number);
        enter(s.fd, on_stack);
    }
    CHECK_EQ(enter(s.fd, 0), on_stack + 1);
    CHECK_EQ(own, 1000 + on_stack);
    CHECK_EQ(on_stack, 10 * (int)(uintptr_t)number);
    return NULL;
}

/* Each of eight threads finds its own registers, stack, thread-local memory, errno and mask. */
TEST(threads_find_their_own)
{
    pthread_t threads[MOST_MEMBERS];
    struct lwc_create c;

    for (int n = 1; n < MOST_MEMBERS; n++)
        CHECK_EQ(pthread_create(&threads[n], NULL, has_own, (void *)(uintptr_t)n), 0);
    CHECK_OK(
        lwc_create_with_threads(LWC_MAY_RETURN | LWC_SHARE_SIGNALS, NULL, 0, MOST_MEMBERS - 1, &c));
    CHECK_EQ(c.event, LWC_CREATED);
    CHECK_EQ(c.nargs, MOST_MEMBERS - 1);
    for (int n = 1; n < MOST_MEMBERS; n++)
        CHECK_EQ(pthread_join(threads[n], NULL), 0);
}

static void come_and_go(struct member *m)
{
    if (m->inside) {
        volatile int entries = 0;

        for (__u64 word = m->word;; word = come_back(m, entries)) {
            CHECK_EQ(word, 100 * m->number + entries);
            entries++;
            __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        }
    }
    for (int n = 0; n < 200; n++)
        CHECK_EQ(enter(m->fd, 100 * m->number + n), n + 1);
    meet(&outside, size);
    CHECK_EQ(inside, 0);
}

/* Each goes in and out for itself, again and again. */
TEST(threads_come_and_go)
{
    two_and_eight(LWC_MAY_RETURN, come_and_go);
}

static void stay_out(struct member *m)
{
    if (m->inside) {
        *both = 1;
        CHECK(EVENTUALLY(*both == 2));
        leave(m, 0);
    }
    if (m->number == 0) {
        enter(m->fd, 0);
        return;
    }
    CHECK(EVENTUALLY(*both == 1));
    CHECK_EQ(info(m->fd).state, 0);
    CHECK_EQ(info(LWC_FD_SELF).state & (LWC_IS_ROOT | LWC_IS_RUNNING),
             LWC_IS_ROOT | LWC_IS_RUNNING);
    CHECK_EQ(info(m->fd).creator, info(LWC_FD_SELF).id);
    *both = 2;
}

/* One is in it while others are where they were, and for them it is not entered. */
TEST(threads_are_where_they_are)
{
    size = 2;
    both = shared_pages(1);
    team(2, LWC_MAY_RETURN, stay_out);
}

static unsigned long ids[MOST_MEMBERS];

static void tell_id(struct member *m)
{
    if (m->inside)
        leave(m, info(LWC_FD_SELF).id);
    ids[m->number] = info(m->fd).id;
    CHECK_EQ(enter(m->fd, 0), ids[m->number]);
    meet(&outside, size);
    CHECK_EQ(ids[m->number], ids[0]);
    CHECK_EQ(info(m->fd).contexts, 2);
}

/* It is the same lwC for all, and one of each. */
TEST(threads_know_one_id)
{
    two_and_eight(LWC_MAY_RETURN, tell_id);
}

static void *is_foreign(void *fd)
{
    struct lwc_create c;

    CHECK_NAME(*(int *)fd, EPERM);
    /* Also with lwCs of its own. */
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_NAME(*(int *)fd, EPERM);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_NAME(*(int *)fd, EPERM);
    MUST(close(*(int *)fd));
    return NULL;
}

static void bring_a_stranger(struct member *m)
{
    pthread_t thread;
    int fd;

    if (m->inside)
        leave(m, 7);
    if (m->number == 0) {
        fd = MUST(dup(m->fd));
        CHECK_EQ(pthread_create(&thread, NULL, is_foreign, &fd), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        *both = 1;
    }
    CHECK(EVENTUALLY(*both));
    CHECK_EQ(enter(m->fd, 0), 7);
}

/* A thread that was not at a safe point gets EPERM, and its close destroys nothing. */
TEST(threads_that_were_not_there)
{
    two_and_eight(LWC_MAY_RETURN, bring_a_stranger);
}

/* In the lwC one thread makes another lwC, with the others that are in it. */
static void go_deeper(struct member *m)
{
    struct member deeper = {.number = m->number};

    if (!m->inside) {
        CHECK_EQ(enter(m->fd, 0), 60 + m->number);
        return;
    }
    if (m->number == 0)
        take_along(&deeper, size - 1, LWC_MAY_RETURN, NULL, 0);
    else
        wait_to_be_taken(&deeper);
    if (deeper.inside) {
        meet(&inside, size);
        leave(&deeper, 50 + m->number);
    }
    CHECK_EQ(enter(deeper.fd, 0), 50 + m->number);
    CHECK_EQ(inside, 0);
    CHECK_EQ(info(deeper.fd).creator, info(LWC_FD_SELF).id);
    leave(m, 60 + m->number);
}

/* Threads that are together in an lwC make another one together. */
TEST(threads_go_deeper)
{
    two_and_eight(LWC_MAY_RETURN, go_deeper);
}

static void stay_in_the_creator(struct member *m)
{
    struct lwc_switch s;

    if (m->inside) {
        CHECK_EQ(m->up, LWC_FD_NONE);
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
        _exit(0);
    }
    CHECK_EQ(info(m->fd).state, 0);
    meet(&outside, size);
    if (m->number == 1)
        enter(m->fd, 0);
    pause();
}

/* Without LWC_MAY_RETURN none of them may return. */
TEST(threads_may_return_if_granted)
{
    pid_t pid = fork_process();

    if (pid == 0) {
        size = 2;
        team(2, 0, stay_in_the_creator);
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    pid = fork_process();
    if (pid == 0) {
        struct member m = {.number = 0};

        take_along(&m, 0, 0, NULL, 0);
        if (m.inside)
            stay_in_the_creator(&m);
        enter(m.fd, 0);
    }
    CHECK_EQ(ending(pid), 0);
}

static void clone_own(struct member *m)
{
    int worker;

    if (m->inside) {
        CHECK_EQ(changed, 1);
        changed = 2;
        leave(m, 30 + m->number);
    }
    worker = clone_of(m->fd);
    for (int n = 0; n < 3; n++) {
        CHECK_EQ(enter(worker, 0), 30 + m->number);
        reset(worker);
    }
    meet(&outside, size);
    CHECK_EQ(changed, 1);
}

/* Of a snapshot with several threads each clones workers that have its own state. */
TEST(threads_clone_their_own_state)
{
    two_and_eight(SNAPSHOT, clone_own);
}

static void share_a_table(struct member *m)
{
    if (m->inside) {
        if (m->number == 0)
            *both = MUST(dup(DOOR));
        meet(&inside, size);
        leave(m, 0);
    }
    enter(m->fd, 0);
    meet(&outside, size);
    CHECK(fcntl(*both, F_GETFD) >= 0);
}

/* With a shared table all threads have the same, in the lwC and outside. */
TEST(threads_share_a_table)
{
    for (size = 2; size <= MOST_MEMBERS; size += 6) {
        inside = outside = 0;
        both = shared_pages(1);
        team_with(size, LWC_MAY_RETURN, SPECS(SHARED_FILES), share_a_table);
        MUST(close(*both));
    }
}

static void unmap_descriptors(struct member *m)
{
    if (m->inside) {
        CHECK_ERRNO(SYS(fcntl(*both, F_GETFD)), EBADF);
        leave(m, 0);
    }
    enter(m->fd, 0);
    CHECK(fcntl(*both, F_GETFD) >= 0);
}

/* What was not given to the lwC, none of its threads has there. */
TEST(threads_lack_descriptors)
{
    int fd;

    both = shared_pages(1);
    fd = *both = MUST(fcntl(DOOR, F_DUPFD_CLOEXEC, 200));
    team_with(2, LWC_MAY_RETURN, SPECS(FILES(UNMAP, fd, fd + 1)), unmap_descriptors);
}

static void change_user(struct member *m)
{
    if (m->inside) {
        if (m->number)
            MUST(syscall(SYS_setresuid, 1000 + m->number, 1000 + m->number, 0));
        leave(m, syscall(SYS_getuid));
    }
    CHECK_EQ(enter(m->fd, 0), m->number ? 1000 + m->number : 0);
    CHECK_EQ(syscall(SYS_getuid), *both && m->number ? 1000 + m->number : 0);
}

/* Credentials are each thread's own: copied, or shared with what it has outside. */
TEST(threads_have_credentials)
{
    both = shared_pages(1);
    team(2, LWC_MAY_RETURN, change_user);
    *both = 1;
    team_with(MOST_MEMBERS, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS), change_user);
}

static void enter_by_the_same_rights(struct member *m)
{
    struct member sibling = {.number = m->number};
    static volatile int granted;

    if (m->inside) {
        volatile __u64 word = m->word;

        for (;;)
            word = come_back(m, word + 1);
    }
    CHECK_OK(lwc_grant(m->fd, LWC_FD_SELF, LWC_MAY_ENTER));
    meet(&granted, size);
    if (m->number == 0)
        take_along(&sibling, size - 1, LWC_MAY_RETURN | LWC_SAME_RIGHTS, NULL, 0);
    else
        wait_to_be_taken(&sibling);
    if (sibling.inside) {
        struct lwc_switch s;

        CHECK_OK(lwc_switch(m->fd, 0, (__u64[]){40}, 1, &s));
        FAIL("came back");
    }
    CHECK_EQ(enter(sibling.fd, 0), 41);
}

/* LWC_SAME_RIGHTS gives each thread's state the rights of that thread's creator. */
TEST(threads_have_the_same_rights)
{
    size = 2;
    team(2, LWC_MAY_RETURN, enter_by_the_same_rights);
}
