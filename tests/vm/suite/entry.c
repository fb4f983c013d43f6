/* SPDX-License-Identifier: MIT */
/* What a switch hands over, and where its results go. */
#define _GNU_SOURCE
#include <dirent.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* A creation returns once in the creator and once in the new lwC, at its first entry. */
TEST(create_returns_twice)
{
    volatile int *returns = shared_pages(1);
    struct lwc_create c;

    CHECK_OK(lwc_create(LWC_MAY_RETURN, NULL, 0, &c));
    returns[c.event]++;
    if (c.event == LWC_ENTERED) {
        back(&c, 0);
        finish(&c, 0);
    }
    CHECK_EQ(c.event, LWC_CREATED);
    CHECK(c.fd >= 0);
    CHECK_EQ(returns[LWC_ENTERED], 0);
    enter(c.fd, 0);
    enter(c.fd, 0);
    CHECK_EQ(returns[LWC_CREATED], 1);
    CHECK_EQ(returns[LWC_ENTERED], 1);
}

static void fill(__u64 words[LWC_MAX_ARGS], __u64 seed)
{
    for (int n = 0; n < LWC_MAX_ARGS; n++)
        words[n] = seed * 0x9e3779b97f4a7c15 + n;
}

static void check_words(const __u64 got[LWC_MAX_ARGS], __u32 nargs, __u64 seed)
{
    __u64 words[LWC_MAX_ARGS];

    fill(words, seed);
    for (unsigned int n = 0; n < LWC_MAX_ARGS; n++)
        CHECK_EQ(got[n], n < nargs ? words[n] : 0);
}

/* So many words as are sent arrive, in both directions, at first entry and later; the rest is zero.
 */
TEST(words)
{
    __u64 words[LWC_MAX_ARGS];
    struct lwc_create c;
    struct lwc_switch s;

    for (__u32 nargs = 0; nargs <= LWC_MAX_ARGS; nargs++) {
        if (make(&c, LWC_MAY_RETURN)) {
            CHECK_EQ(c.nargs, nargs);
            check_words(c.args, nargs, 1);
            for (__u32 answer = 0; answer <= LWC_MAX_ARGS; answer++) {
                fill(words, 2);
                CHECK_OK(lwc_switch(c.fd, 0, words, answer, &s));
                CHECK_EQ(s.nargs, nargs);
                check_words(s.args, nargs, 3);
            }
            FAIL("entered more often than left");
        }
        fill(words, 1);
        for (__u32 answer = 0; answer <= LWC_MAX_ARGS; answer++) {
            CHECK_OK(lwc_switch(c.fd, 0, words, nargs, &s));
            CHECK_EQ(s.nargs, answer);
            check_words(s.args, answer, 2);
            fill(words, 3);
        }
        MUST(close(c.fd));
    }
}

/* What a call does not write stays as it was put there. */
TEST(inputs_are_kept)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(c.flags, LWC_MAY_RETURN);
        CHECK_EQ(c.nspecs, 0);
        CHECK_EQ(c.specs, 0);
        finish(&c, 0);
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.target, c.fd);
    CHECK_EQ(s.flags, 0);
}

/* The caller is a descriptor of the lwC that entered. */
TEST(caller_names_who_entered)
{
    struct lwc_create one, two;
    struct lwc_switch s;

    if (make(&one, LWC_MAY_RETURN)) {
        CHECK_EQ(one.caller, one.fd);
        CHECK(info(one.caller).state & LWC_IS_ROOT);
        finish(&one, 0);
    }
    if (make(&two, LWC_MAY_RETURN)) {
        CHECK_OK(lwc_switch(two.caller, 0, NULL, 0, &s));
        CHECK_EQ(s.caller, two.fd);
        finish(&two, 0);
    }
    CHECK_OK(lwc_switch(one.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.caller, one.fd);
    CHECK_OK(lwc_switch(two.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.caller, two.fd);
}

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/thread-self/fd");
    int count = 0;

    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Switches back and forth leave no descriptors behind. */
TEST(callers_do_not_pile_up)
{
    struct lwc_create c;
    int count = -1;

    if (make(&c, LWC_MAY_RETURN)) {
        count = open_descriptors();
        for (;;) {
            back(&c, 0);
            CHECK_EQ(open_descriptors(), count);
        }
    }
    count = open_descriptors();
    for (int n = 0; n < 20; n++) {
        enter(c.fd, 0);
        CHECK_EQ(open_descriptors(), count);
    }
}

/* A caller's descriptor that the lwC closed meanwhile is made anew. */
TEST(closed_callers_are_made_anew)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        int caller = c.caller;

        for (;;) {
            MUST(close(caller));
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
            CHECK(info(s.caller).state & LWC_IS_ROOT);
            caller = s.caller;
        }
    }
    for (int n = 0; n < 4; n++)
        CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
}

/* A descriptor that took the number of a closed caller's is not taken for it. */
TEST(reused_numbers_are_not_callers)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        MUST(dup2(2, c.caller));
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
        CHECK(s.caller != c.caller);
        CHECK(info(s.caller).state & LWC_IS_ROOT);
        CHECK_OK(lwc_switch(s.caller, 0, NULL, 0, &s));
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
}

/* A result that cannot be written fails the call in the lwC entered, which runs. */
TEST(unwritable_switch)
{
    struct lwc_switch *s = private_pages(1);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        s->target = c.fd;
        MUST(mprotect(s, PAGE, PROT_READ));
        CHECK_ERRNO(lwc_call(LWC_IOC_SWITCH, s), EFAULT);
        CHECK(info(LWC_FD_SELF).state & LWC_IS_RUNNING);
        CHECK(!(info(LWC_FD_SELF).state & LWC_IS_ROOT));
        finish(&c, 2);
    }
    s->target = c.fd;
    MUST(mprotect(s, PAGE, PROT_READ));
    CHECK_ERRNO(lwc_call(LWC_IOC_SWITCH, s), EFAULT);
    CHECK(info(LWC_FD_SELF).state & LWC_IS_ROOT);
    CHECK_EQ(info(c.fd).state, LWC_IS_ENTERED);
    CHECK_EQ(enter(c.fd, 0), 2);
}

/* A new lwC in which the creation's structure is not mapped begins with EFAULT. */
TEST(unwritable_create)
{
    struct lwc_create *c = private_pages(1);
    struct lwc_spec spec = MEMORY(UNMAP, c, PAGE);
    struct lwc_switch s;
    int answer;

    *c = (struct lwc_create){
        .flags = LWC_MAY_RETURN, .nspecs = 1, .specs = (uintptr_t)&spec, .event = JUNK};
    answer = lwc_call(LWC_IOC_CREATE, c);
    if (!is_mapped(c)) {
        CHECK_EQ(answer, -EFAULT);
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){5}, 1, &s));
        FAIL("entered again");
    }
    CHECK_OK(answer);
    CHECK_EQ(c->event, LWC_CREATED);
    CHECK_EQ(enter(c->fd, 0), 5);
}

/* The results lie where the call's structure was, which may be memory that both share. */
TEST(results_in_shared_memory)
{
    struct lwc_switch *s = shared_pages(1);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        *s = (struct lwc_switch){.target = c.fd, .nargs = 1, .args = {7}};
        CHECK_OK(lwc_call(LWC_IOC_SWITCH, s));
        FAIL("entered again");
    }
    *s = (struct lwc_switch){.target = c.fd};
    CHECK_OK(lwc_call(LWC_IOC_SWITCH, s));
    CHECK_EQ(s->nargs, 1);
    CHECK_EQ(s->args[0], 7);
    CHECK_EQ(s->caller, c.fd);
}

/* The system call is not repeated nor interrupted: what follows it is next, in each lwC. */
TEST(order_of_events)
{
    char *log = shared_pages(1), *end = log;
    struct lwc_create c, d;

    if (make(&c, LWC_MAY_RETURN)) {
        *end++ = 'c';
        if (make(&d, LWC_MAY_RETURN)) {
            log[2] = 'd';
            back(&d, 0);
            log[5] = 'D';
            finish(&d, 0);
        }
        *end = 'e';
        enter(d.fd, 0);
        log[3] = 'C';
        back(&c, 0);
        log[4] = 'f';
        enter(d.fd, 0);
        log[6] = 'F';
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(!strncmp(log, "cedC", 5));
    enter(c.fd, 0);
    CHECK(!strncmp(log, "cedCfDF", 8));
}
