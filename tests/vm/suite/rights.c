/* SPDX-License-Identifier: MIT */
/* Which lwC may enter, clone, reset, end and grant which. */
#define _GNU_SOURCE
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* Without a grant the way up is closed, and no descriptor of the creator is given. */
TEST(return_must_be_granted)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, 0)) {
        CHECK_EQ(c.fd, LWC_FD_NONE);
        CHECK_EQ(c.caller, LWC_FD_NONE);
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, LWC_DISCARD, NULL, 0, &s), EACCES);
        test_pass();
    }
    lwc_switch(c.fd, 0, NULL, 0, &s);
    FAIL("an lwC entered its creator without the right");
}

/* LWC_MAY_RETURN gives a descriptor of the creator and the right to enter it. */
TEST(may_return)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK(c.fd >= 0);
        CHECK(info(c.fd).state & LWC_IS_ROOT);
        finish(&c, 3);
    }
    CHECK_EQ(enter(c.fd, 0), 3);
}

/* The creator can grant the way up later, and take it back. */
TEST(grant_and_take_back)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, 0)) {
        CHECK(info(c.fd).state & LWC_IS_ROOT); /* it is known at the first entry */
        back(&c, 0);
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
        CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EACCES);
        test_pass();
    }
    CHECK_OK(lwc_grant(LWC_FD_SELF, c.fd, LWC_MAY_ENTER));
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(LWC_FD_SELF, c.fd, 0));
    enter(c.fd, 0);
    FAIL("an lwC entered its creator without the right");
}

/* The right given by LWC_MAY_RETURN can be taken back. */
TEST(may_return_taken_back)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        back(&c, 0);
        CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EACCES);
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
        test_pass();
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(LWC_FD_SELF, c.fd, 0));
    enter(c.fd, 0);
    FAIL("an lwC entered its creator without the right");
}

/* What a creator may do to its lwC cannot be taken from it. */
TEST(creator_keeps_its_right)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        lwc_grant(LWC_FD_SELF, c.fd, LWC_MAY_ENTER);
        lwc_grant(LWC_FD_SELF, c.fd, 0);
        back(&c, 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    lwc_grant(c.fd, LWC_FD_SELF, 0);
    enter(c.fd, 0);
}

/* Only an lwC itself and its creator grant others to enter it. */
TEST(grants_need_a_right)
{
    struct lwc_create sibling, c;
    struct lwc_switch s;

    if (make(&sibling, LWC_MAY_RETURN))
        finish(&sibling, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_ERRNO(lwc_grant(sibling.fd, LWC_FD_SELF, LWC_MAY_ENTER), EACCES);
        CHECK_ERRNO(lwc_grant(LWC_FD_ROOT, LWC_FD_SELF, LWC_MAY_ENTER), EACCES);
        CHECK_ERRNO(lwc_grant(LWC_FD_ROOT, sibling.fd, LWC_MAY_ENTER), EACCES);
        CHECK_ERRNO(lwc_grant(LWC_FD_ROOT, sibling.fd, 0), EACCES);
        CHECK_ERRNO(lwc_switch(sibling.fd, 0, NULL, 0, &s), EACCES);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    enter(sibling.fd, 0);
}

/* A descriptor that was copied into a later sibling's table is no way into the elder. */
TEST(siblings_are_closed)
{
    struct lwc_create elder, c;
    struct lwc_switch s;
    struct lwc_reset r;
    int fd;

    if (make(&elder, LWC_MAY_RETURN))
        finish(&elder, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_OK(lwc_info(elder.fd, &(struct lwc_info){0}));
        CHECK_ERRNO(lwc_switch(elder.fd, 0, NULL, 0, &s), EACCES);
        CHECK_ERRNO(lwc_switch(elder.fd, LWC_DISCARD, NULL, 0, &s), EACCES);
        CHECK_ERRNO(lwc_clone(elder.fd, &fd), EACCES);
        CHECK_ERRNO(lwc_reset(elder.fd, &r), EACCES);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    enter(elder.fd, 0);
}

/* An lwC can let a sibling in itself; the creator can, too. */
TEST(siblings_can_be_granted)
{
    struct lwc_create elder, younger;
    struct lwc_switch s;

    if (make_with(&elder, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        int other = back(&elder, 0);

        CHECK_OK(lwc_grant(LWC_FD_SELF, other, LWC_MAY_ENTER));
        back(&elder, 0);
        finish(&elder, 3);
    }
    enter(elder.fd, 0);
    if (make_with(&younger, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        CHECK_ERRNO(lwc_switch(elder.fd, 0, NULL, 0, &s), EACCES);
        back(&younger, 1);
        CHECK_OK(lwc_switch(elder.fd, 0, (__u64[]){0}, 1, &s));
        FAIL("entered again");
    }
    CHECK_EQ(enter(younger.fd, 0), 1);
    enter(elder.fd, younger.fd);
    CHECK_EQ(enter(younger.fd, 0), 3);
}

/* The creator of two siblings lets one into the other. */
TEST(creator_grants_between_siblings)
{
    struct lwc_create elder, younger;
    struct lwc_switch s;

    if (make(&elder, LWC_MAY_RETURN))
        finish(&elder, 4);
    if (make(&younger, 0)) {
        CHECK_OK(lwc_switch(elder.fd, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    CHECK_OK(lwc_grant(elder.fd, younger.fd, LWC_MAY_ENTER));
    CHECK_EQ(enter(younger.fd, 0), 4);
}

/* A grandchild may enter its creator and, without more rights, not the creator's creator. */
TEST(grandchildren_are_not_children)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        if (make(&d, LWC_MAY_RETURN)) {
            CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
            finish(&d, 0);
        }
        enter(d.fd, 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
}

/* A creator may do nothing to what its lwC has created. */
TEST(grandparents_are_not_creators)
{
    struct lwc_create c, d;
    struct lwc_switch s;
    int fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        if (make(&d, SNAPSHOT))
            FAIL("a snapshot runs");
        finish(&c, clone_of(d.fd));
    }
    fd = enter(c.fd, 0);
    CHECK_ERRNO(lwc_switch(fd, 0, NULL, 0, &s), EACCES);
    CHECK_ERRNO(lwc_reset(fd, &(struct lwc_reset){0}), EACCES);
    CHECK_ERRNO(lwc_grant(fd, LWC_FD_SELF, LWC_MAY_ENTER), EACCES);
    /* Its close in the shared table takes the name only. */
    MUST(dup2(fd, 60));
    MUST(close(fd));
    CHECK(info(60).id != 0);
}

/* LWC_SAME_RIGHTS gives the creator's ways back and grants, and not its children. */
TEST(same_rights)
{
    struct lwc_create sibling, c, d, child;
    struct lwc_switch s;

    if (make(&sibling, LWC_MAY_RETURN))
        finish(&sibling, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        if (make(&child, LWC_MAY_RETURN))
            finish(&child, 0);
        if (make(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS)) {
            CHECK_ERRNO(lwc_switch(child.fd, 0, NULL, 0, &s), EACCES);
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){1}, 1, &s));
            CHECK_OK(lwc_switch(sibling.fd, 0, (__u64[]){2}, 1, &s));
            FAIL("entered again");
        }
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    CHECK_OK(lwc_grant(sibling.fd, c.fd, LWC_MAY_ENTER));
    CHECK_EQ(enter(c.fd, 0), 1);
    CHECK_EQ(enter(c.fd, 0), 0);
}

/* The lwC that is entered is told nothing of the one that enters, if it may not enter that. */
TEST(caller_needs_a_right)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(c.caller, c.fd);
        if (make(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS)) {
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
            FAIL("entered again");
        }
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.caller, LWC_FD_NONE);
}

/* A worker has the rights of its snapshot, and its creator is the caller of the clone. */
TEST(workers_have_the_rights_of_the_snapshot)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        if (make(&d, LWC_SUSPEND_ONLY | LWC_SAME_RIGHTS)) {
            CHECK_EQ(d.fd, LWC_FD_NONE);
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){6}, 1, &s));
            FAIL("entered again");
        }
        enter(clone_of(d.fd), 0);
        FAIL("entered again");
    }
    CHECK_EQ(enter(c.fd, 0), 6);
}

/* What was granted to an lwC, and to enter one, ends with it: a later one inherits nothing. */
TEST(grants_end_with_an_lwc)
{
    struct lwc_create target, holder, c;
    struct lwc_switch s;

    for (int n = 0; n < 20; n++) {
        if (make(&target, LWC_MAY_RETURN))
            finish(&target, 0);
        if (make(&holder, LWC_MAY_RETURN))
            finish(&holder, 0);
        CHECK_OK(lwc_grant(target.fd, holder.fd, LWC_MAY_ENTER));
        MUST(close(holder.fd));
        if (make(&c, LWC_MAY_RETURN)) {
            CHECK_ERRNO(lwc_switch(target.fd, 0, NULL, 0, &s), EACCES);
            finish(&c, 0);
        }
        enter(c.fd, 0);
        MUST(close(c.fd));
        MUST(close(target.fd));
    }
    for (int n = 0; n < 20; n++) {
        if (make(&target, LWC_MAY_RETURN))
            finish(&target, 0);
        if (make_with(&holder, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            int fd = back(&holder, 0);

            CHECK_ERRNO(lwc_switch(fd, 0, NULL, 0, &s), EACCES);
            finish(&holder, 0);
        }
        enter(holder.fd, 0);
        CHECK_OK(lwc_grant(target.fd, holder.fd, LWC_MAY_ENTER));
        MUST(close(target.fd));
        if (make(&c, LWC_MAY_RETURN))
            finish(&c, 0);
        enter(holder.fd, c.fd);
        MUST(close(c.fd));
        MUST(close(holder.fd));
    }
}
