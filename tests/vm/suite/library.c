/* SPDX-License-Identifier: MIT */
/* The header for programs in C: kmod/lib/liblwc.h. docs/lwc.md has programs that use it, too. */
#define _GNU_SOURCE
#include <liblwc.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "world.h"

/* lwc_open() gives a door of this contract that a program executed does not inherit. */
TEST(library_opens_a_door)
{
    struct lwc_abi abi;
    int door = MUST(lwc_open());

    CHECK_EQ(MUST(fcntl(door, F_GETFD)), FD_CLOEXEC);
    CHECK_OK(lwc_abi(door, &abi));
    CHECK_EQ(abi.abi, LWC_ABI);
    CHECK(abi.features & LWC_FEATURE_THREADS);
    MUST(close(door));
    CHECK_ERRNO(lwc_abi(door, &abi), EBADF);
    CHECK_ERRNO(lwc_abi(MUST(open("/dev/null", O_RDWR)), &abi), ENOTTY);
}

/* Specifications are what lwc.h says. */
TEST(library_makes_specifications)
{
    struct lwc_spec m = lwc_memory((void *)0x5000, 0x2000, LWC_SHARE);
    struct lwc_spec f = lwc_files(3, LWC_ALL, LWC_UNMAP | LWC_MAY_ACCESS);
    struct lwc_spec c = lwc_credentials(LWC_COPY);

    CHECK(m.kind == LWC_MEMORY && m.action == LWC_SHARE && m.start == 0x5000 && m.end == 0x7000);
    CHECK(f.kind == LWC_FILES && f.action == (LWC_UNMAP | LWC_MAY_ACCESS) && f.start == 3 &&
          f.end == LWC_ALL);
    CHECK(c.kind == LWC_CREDENTIALS && c.action == LWC_COPY && !c.start && c.end == LWC_ALL);
}

/* Eight words go along, the rest are zero; a ninth is refused before the call. */
TEST(library_switches)
{
    int door = MUST(lwc_open());
    const __u64 words[LWC_MAX_ARGS + 1] = {1, 2, 3, 4, 5, 6, 7, ~0ULL, 9};
    struct lwc_create made;
    struct lwc_switch back;
    struct lwc_info info;

    CHECK_OK(lwc_create(door, LWC_MAY_RETURN, NULL, 0, &made));
    if (made.event != LWC_CREATED) {
        CHECK_EQ(made.nargs, LWC_MAX_ARGS);
        CHECK(!memcmp(made.args, words, sizeof(made.args)));
        CHECK_OK(lwc_switch(door, made.fd, NULL, 0, &back));
        CHECK_EQ(back.nargs, 1);
        lwc_discard(door, made.fd, words, 2);
        FAIL("it was not discarded");
    }
    CHECK_ERRNO(lwc_switch(door, made.fd, words, LWC_MAX_ARGS + 1, &back), EINVAL);
    CHECK_ERRNO(lwc_discard(door, made.fd, words, LWC_MAX_ARGS + 1), EINVAL);
    CHECK_ERRNO(lwc_discard(door, LWC_FD_SELF, NULL, 0), EBUSY);
    CHECK_OK(lwc_switch(door, made.fd, words, LWC_MAX_ARGS, &back));
    CHECK_EQ(back.nargs, 0);
    CHECK_EQ(back.caller, made.fd);
    CHECK_OK(lwc_info(door, made.fd, &info));
    CHECK(info.state & LWC_IS_ENTERED);
    CHECK_OK(lwc_switch(door, made.fd, words, 1, &back));
    CHECK_EQ(back.nargs, 2);
    CHECK(back.args[1] == 2 && !back.args[2]);
    CHECK_EQ(back.caller, LWC_FD_NONE);
    CHECK_ERRNO(lwc_info(door, made.fd, &info), ESTALE);
}

/* A snapshot is cloned; what a worker changed is put back. */
TEST(library_resets)
{
    int door = MUST(lwc_open()), worker;
    volatile char *page = private_pages(1);
    struct lwc_create frozen;
    struct lwc_switch back;
    struct lwc_reset done;

    *page = 5;
    CHECK_OK(lwc_snapshot(door, LWC_MAY_RETURN, NULL, 0, &frozen));
    if (frozen.event != LWC_CREATED) {
        __u64 found = (*page)++;

        lwc_switch(door, frozen.fd, &found, 1, &back);
        FAIL("entered behind its switch");
    }
    CHECK_ERRNO(lwc_clone(door, LWC_FD_NONE), EBADF);
    worker = MUST(lwc_clone(door, frozen.fd));
    for (int n = 0; n < 3; n++) {
        CHECK_OK(lwc_switch(door, worker, NULL, 0, &back));
        CHECK_EQ(back.args[0], 5);
        CHECK_OK(lwc_reset(door, worker, &done));
        CHECK(done.pages_copied);
    }
    CHECK_ERRNO(lwc_reset(door, frozen.fd, &done), EINVAL);
}

/* Rights are granted and taken back; names are narrowed, in place and by another. */
TEST(library_keeps_rights)
{
    int door = MUST(lwc_open()), narrow;
    const struct lwc_spec files = lwc_files(0, LWC_ALL, LWC_SHARE),
                          user = lwc_credentials(LWC_COPY);
    struct lwc_create one, other;
    struct lwc_switch back;

    CHECK_OK(lwc_create(door, LWC_MAY_RETURN, NULL, 0, &one));
    if (one.event != LWC_CREATED) {
        lwc_switch(door, one.fd, NULL, 0, &back);
        FAIL("entered again");
    }
    CHECK_OK(lwc_create(door, LWC_MAY_RETURN, NULL, 0, &other));
    if (other.event != LWC_CREATED) {
        CHECK_OK(lwc_overlay(door, one.fd, NULL, 0));
        CHECK_ERRNO(lwc_switch(door, one.fd, NULL, 0, &back), EACCES);
        lwc_discard(door, other.fd, NULL, 0);
        FAIL("it was not discarded");
    }
    CHECK_OK(lwc_grant(door, one.fd, other.fd, LWC_MAY_ENTER | LWC_MAY_ACCESS));
    CHECK_OK(lwc_grant(door, one.fd, other.fd, LWC_MAY_ACCESS));
    CHECK_OK(lwc_switch(door, other.fd, NULL, 0, &back));

    narrow = MUST(lwc_restricted(door, one.fd, &files, 1));
    CHECK_ERRNO(lwc_overlay(door, narrow, &user, 1), EACCES);
    CHECK_OK(lwc_overlay(door, one.fd, &user, 1));
    CHECK_OK(lwc_overlay(door, LWC_FD_SELF, &user, 1));
    CHECK_OK(lwc_restrict(door, one.fd, NULL, 0));
    CHECK_ERRNO(lwc_overlay(door, one.fd, &user, 1), EACCES);
    CHECK_ERRNO(lwc_restricted(door, LWC_FD_SELF, &files, 1), EINVAL);
}

/* The result is written only where the call was made. */
TEST(library_calls_for_another)
{
    int door = MUST(lwc_open()), fd = MUST(dup(door));
    const __u64 args[6] = {fd};
    struct lwc_create made;
    __s64 result = 77;

    CHECK_OK(lwc_create(door, LWC_MAY_RETURN, NULL, 0, &made));
    if (made.event != LWC_CREATED)
        FAIL("entered");
    CHECK_ERRNO(lwc_syscall(door, made.fd, 0, SYS_close, args, &result), EINVAL);
    CHECK_EQ(result, 77);
    CHECK_OK(lwc_syscall(door, made.fd, 1 << LWC_FILES, SYS_close, args, &result));
    CHECK_EQ(result, 0);
    CHECK_OK(lwc_syscall(door, made.fd, 1 << LWC_FILES, SYS_close, args, &result));
    CHECK_EQ(result, -EBADF);
    MUST(close(fd));
}

/* A refused call ends as its creator says: a result, an errno, or by being made once more. */
TEST(library_answers_refused_calls)
{
    int door = MUST(lwc_open());
    struct lwc_calls calls = {{0}};
    struct lwc_create made;
    struct lwc_switch came;
    const int getppid_of_test = getppid();

    CHECK_OK(lwc_create(door, LWC_MAY_RETURN | LWC_TRAP_SYSCALLS, NULL, 0, &made));
    if (made.event != LWC_CREATED) {
        __u64 last;

        CHECK_EQ(syscall(SYS_getppid), 123456789012);
        CHECK_EQ(SYS(syscall(SYS_getppid)), -EXDEV);
        CHECK_EQ(syscall(SYS_getppid), getppid_of_test);
        last = (__u64)syscall(SYS_getppid);
        lwc_discard(door, made.fd, &last, 1);
        FAIL("it was not discarded");
    }
    lwc_calls_add(&calls, SYS_getppid);
    lwc_calls_add(&calls, SYS_getpgid);
    lwc_calls_remove(&calls, SYS_getpgid);
    lwc_calls_remove(&calls, 512 + SYS_getppid); /* has no bit, and is not another's */
    CHECK_OK(lwc_trap(door, made.fd, LWC_TRAP_SOME, &calls));
    CHECK_OK(lwc_switch(door, made.fd, NULL, 0, &came));
    CHECK(came.flags & LWC_BY_TRAP);
    CHECK_EQ(came.args[0], SYS_getppid);
    CHECK_OK(lwc_reply(door, made.fd, 0, 123456789012, &came));
    CHECK_OK(lwc_reply(door, made.fd, EXDEV, 0, &came));
    CHECK(came.flags & LWC_BY_TRAP);
    CHECK_OK(lwc_permit(door, made.fd, &came));
    CHECK(came.flags & LWC_BY_TRAP);
    CHECK_OK(lwc_retry(door, made.fd, &came));
    CHECK(came.flags & LWC_BY_TRAP);
    lwc_calls_remove(&calls, SYS_getppid);
    CHECK_OK(lwc_trap(door, made.fd, LWC_TRAP_SOME, &calls));
    CHECK_OK(lwc_retry(door, made.fd, &came));
    CHECK(!(came.flags & LWC_BY_TRAP));
    CHECK_EQ(came.args[0], getppid());
}
