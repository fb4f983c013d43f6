/* SPDX-License-Identifier: MIT */
/*
 * Refusals, by the words of uapi/lwc.h: which error, in which order, and that nothing happens.
 * Not tried, for the emulated processor has neither: threads with AMX state or a shadow stack.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static const unsigned long calls[] = {LWC_IOC_ABI,     LWC_IOC_CREATE,  LWC_IOC_SWITCH,
                                      LWC_IOC_CLONE,   LWC_IOC_RESET,   LWC_IOC_GRANT,
                                      LWC_IOC_INFO,    LWC_IOC_OVERLAY, LWC_IOC_RESTRICT,
                                      LWC_IOC_SYSCALL, LWC_IOC_TRAP,    LWC_IOC_SAFEPOINT};
#define CALLS (sizeof(calls) / sizeof(*calls))

/* The module speaks the ABI of the header, and has all features that the header knows. */
TEST(abi_query)
{
    struct lwc_abi abi;

    CHECK_OK(lwc_abi(&abi));
    CHECK_EQ(abi.abi, LWC_ABI);
    CHECK_EQ(abi.features, LWC_FEATURE_OVERLAY | LWC_FEATURE_RESTRICT | LWC_FEATURE_SYSCALL |
                               LWC_FEATURE_TRAP | LWC_FEATURE_THREADS);
}

/* What is not a call of this ABI, by number, kind, direction or size, is not known. */
TEST(abi_unknown_calls)
{
    char buffer[256] = {0};

    CHECK_ERRNO(lwc_call(_IOWR(LWC_IOC_MAGIC, 11, struct lwc_trap), buffer), ENOTTY);
    CHECK_ERRNO(lwc_call(_IOWR(LWC_IOC_MAGIC, 255, struct lwc_trap), buffer), ENOTTY);
    for (size_t n = 0; n < CALLS; n++) {
        CHECK_ERRNO(lwc_call(calls[n] + 0x100, buffer), ENOTTY);      /* another magic */
        CHECK_ERRNO(lwc_call(calls[n] + 0x80000, buffer), ENOTTY);    /* eight bytes more */
        CHECK_ERRNO(lwc_call(calls[n] - 0x80000, buffer), ENOTTY);    /* eight bytes less */
        CHECK_ERRNO(lwc_call(calls[n] & 0x3fffffff, buffer), ENOTTY); /* no direction */
    }
}

/* An unknown call is one whatever its argument is: ENOTTY comes before EFAULT. */
TEST(abi_unknown_before_fault)
{
    CHECK_ERRNO(lwc_call(_IOWR(LWC_IOC_MAGIC, 11, struct lwc_trap), NULL), ENOTTY);
    CHECK_ERRNO(lwc_call(_IOWR(LWC_IOC_MAGIC, 200, struct lwc_trap), (void *)-1), ENOTTY);
}

/* A structure that cannot be read, or only its first half, is a fault. */
TEST(abi_unreadable_structures)
{
    char *page = private_pages(1);

    for (size_t n = 0; n < CALLS; n++) {
        size_t half = _IOC_SIZE(calls[n]) / 2;

        CHECK_ERRNO(lwc_call(calls[n], NULL), EFAULT);
        CHECK_ERRNO(lwc_call(calls[n], (void *)0xffff800000000000), EFAULT);
        CHECK_ERRNO(lwc_call(calls[n], page + PAGE - half), EFAULT);
    }
}

/* A structure that cannot be written is a fault, and nothing has been made. */
TEST(abi_unwritable_structures)
{
    struct lwc_create c;
    struct lwc_create *create = private_pages(1);
    struct lwc_clone *clone = private_pages(1);
    struct lwc_info *info_ = private_pages(1);

    if (make(&c, SNAPSHOT))
        FAIL("a snapshot runs");
    clone->snapshot = c.fd;
    info_->fd = LWC_FD_SELF;
    MUST(mprotect(create, PAGE, PROT_READ));
    MUST(mprotect(clone, PAGE, PROT_READ));
    MUST(mprotect(info_, PAGE, PROT_READ));
    CHECK_ERRNO(lwc_call(LWC_IOC_INFO, info_), EFAULT);
    CHECK_ERRNO(lwc_call(LWC_IOC_CLONE, clone), EFAULT);
    CHECK_ERRNO(lwc_call(LWC_IOC_CREATE, create), EFAULT);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    CHECK_EQ(fcntl(c.fd + 1, F_GETFD), -1);
}

/* Flags and rights that the header does not define are refused, each of them. */
TEST(abi_unknown_flags)
{
    struct lwc_create c;
    struct lwc_switch s;

    for (int bit = 0; bit < 32; bit++) {
        struct lwc_clone clone = {.snapshot = LWC_FD_SELF, .flags = 1u << bit};
        struct lwc_reset reset = {.worker = LWC_FD_SELF, .flags = 1u << bit};
        struct lwc_info info = {.fd = LWC_FD_SELF, .flags = 1u << bit};

        if (bit > 5)
            CHECK_ERRNO(lwc_create(1u << bit, NULL, 0, &c), EINVAL);
        if (bit > 0 && 1u << bit != LWC_BY_TRAP)
            CHECK_ERRNO(lwc_switch(LWC_FD_SELF, 1u << bit, NULL, 0, &s), EINVAL);
        if (bit > 0 && 1u << bit != LWC_MAY_ACCESS)
            CHECK_ERRNO(lwc_grant(LWC_FD_SELF, LWC_FD_SELF, 1u << bit), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_CLONE, &clone), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_RESET, &reset), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_INFO, &info), EINVAL);
    }
}

/* Reserved fields must be zero. */
TEST(abi_reserved_fields)
{
    for (int bit = 0; bit < 32; bit++) {
        struct lwc_clone clone = {.snapshot = LWC_FD_SELF, .reserved = 1u << bit};
        struct lwc_grant grant = {LWC_FD_SELF, LWC_FD_SELF, 0, 1u << bit};
        struct lwc_overlay overlay = {.source = LWC_FD_SELF, .reserved = 1u << bit};
        struct lwc_safepoint safepoint = {.reserved = 1u << bit};

        CHECK_ERRNO(lwc_call(LWC_IOC_CLONE, &clone), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_GRANT, &grant), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, &overlay), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_SAFEPOINT, &safepoint), EINVAL);
    }
}

/* No more than LWC_MAX_SPECS specifications, no more than LWC_MAX_ARGS words. */
TEST(abi_counts)
{
    char *pages = private_pages(2 * (LWC_MAX_SPECS + 1));
    struct lwc_spec specs[LWC_MAX_SPECS + 1];
    __u64 words[LWC_MAX_ARGS] = {0};
    struct lwc_create c;
    struct lwc_switch s;

    for (size_t n = 0; n < LWC_MAX_SPECS + 1; n++)
        specs[n] = (struct lwc_spec)MEMORY(COPY, pages + 2 * n * PAGE, PAGE);
    CHECK_ERRNO(lwc_create(LWC_MAY_RETURN, specs, LWC_MAX_SPECS + 1, &c), EINVAL);
    CHECK_ERRNO(lwc_create(LWC_MAY_RETURN, specs, ~0u, &c), EINVAL);
    if (make_with(&c, LWC_MAY_RETURN, specs, LWC_MAX_SPECS))
        finish(&c, 0);
    CHECK_ERRNO(lwc_switch(c.fd, 0, words, LWC_MAX_ARGS + 1, &s), EINVAL);
    CHECK_ERRNO(lwc_switch(c.fd, 0, words, ~0u, &s), EINVAL);
    CHECK_OK(lwc_switch(c.fd, 0, words, LWC_MAX_ARGS, &s));
}

/* Specifications that cannot be read, or not all of them, are a fault. */
TEST(abi_unreadable_specs)
{
    char *page = private_pages(1);
    struct lwc_spec *specs = (struct lwc_spec *)(page + PAGE) - 1;
    struct lwc_create c;

    *specs = (struct lwc_spec)FILES(COPY, 0, LWC_ALL);
    CHECK_ERRNO(lwc_create(0, NULL, 1, &c), EFAULT);
    CHECK_ERRNO(lwc_create(0, (void *)0xffff800000000000, 1, &c), EFAULT);
    CHECK_ERRNO(lwc_create(0, specs, 2, &c), EFAULT);
    if (make_with(&c, 0, specs, 1))
        FAIL("entered");
}

/* Specifications that say nothing sensible are refused. */
TEST(abi_bad_specs)
{
    uintptr_t p = (uintptr_t)private_pages(8);
    const struct lwc_spec bad[] = {
        {0, LWC_COPY, 0, LWC_ALL},
        {4, LWC_COPY, 0, LWC_ALL},
        {~0u, LWC_COPY, 0, LWC_ALL},
        {LWC_MEMORY, 3, 0, LWC_ALL},
        {LWC_FILES, 3, 0, LWC_ALL},
        {LWC_FILES, ~0u, 0, LWC_ALL},
        {LWC_CREDENTIALS, 3, 0, LWC_ALL},
        {LWC_CREDENTIALS, LWC_UNMAP, 0, LWC_ALL},
        {LWC_CREDENTIALS, LWC_SHARE, 1, LWC_ALL},
        {LWC_CREDENTIALS, LWC_SHARE, 0, 1},
        {LWC_CREDENTIALS, LWC_COPY, 0, 0},
        {LWC_MEMORY, LWC_UNMAP, p + 1, p + PAGE},
        {LWC_MEMORY, LWC_UNMAP, p, p + 1},
        {LWC_MEMORY, LWC_SHARE, p, p + PAGE - 8},
        {LWC_MEMORY, LWC_COPY, p, p},
        {LWC_MEMORY, LWC_UNMAP, p + PAGE, p},
        {LWC_MEMORY, LWC_SHARE, p + PAGE, p},
        {LWC_FILES, LWC_UNMAP, 5, 5},
        {LWC_FILES, LWC_UNMAP, 6, 5},
        {LWC_FILES, LWC_SHARE, 0, 10},
        {LWC_FILES, LWC_SHARE, 10, LWC_ALL},
    };
    struct lwc_create c;

    for (size_t n = 0; n < sizeof(bad) / sizeof(*bad); n++) {
        int answer = lwc_create(0, &bad[n], 1, &c);

        if (answer != -EINVAL)
            FAIL("specification %zu: %s", n, error_name(-answer));
    }
    CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &(struct lwc_switch){0}), EBADF);
}

/* Specifications of one kind must not overlap, in whichever order; of two kinds they may. */
TEST(abi_overlapping_specs)
{
    char *p = private_pages(8);
    struct lwc_create c;

    CHECK_ERRNO(
        lwc_create(0, SPECS(MEMORY(COPY, p, 2 * PAGE), MEMORY(UNMAP, p + PAGE, 2 * PAGE)), &c),
        EINVAL);
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(UNMAP, p + PAGE, PAGE), MEMORY(SHARE, p, 4 * PAGE)), &c),
                EINVAL);
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(UNMAP, p, PAGE), MEMORY(UNMAP, p, PAGE)), &c), EINVAL);
    CHECK_ERRNO(lwc_create(0, SPECS(FILES(COPY, 0, LWC_ALL), FILES(UNMAP, 7, 8)), &c), EINVAL);
    CHECK_ERRNO(lwc_create(0, SPECS(SHARED_FILES, SHARED_FILES), &c), EINVAL);
    CHECK_ERRNO(lwc_create(0, SPECS(SHARED_CREDENTIALS, SHARED_CREDENTIALS), &c), EINVAL);
    if (make_with(&c, 0,
                  SPECS(MEMORY(UNMAP, p + PAGE, PAGE),
                        FILES(UNMAP, (uintptr_t)p, (uintptr_t)p + 9 * PAGE),
                        MEMORY(UNMAP, p, PAGE))))
        FAIL("entered");
}

/* Before an lwC was made LWC_FD_SELF and LWC_FD_ROOT name nothing; afterwards both do. */
TEST(abi_well_known_descriptors)
{
    struct lwc_create c;

    CHECK_NAME(LWC_FD_SELF, EBADF);
    CHECK_NAME(LWC_FD_ROOT, EBADF);
    if (make(&c, 0))
        FAIL("entered");
    CHECK_EQ(info(LWC_FD_SELF).id, info(LWC_FD_ROOT).id);
}

/* A number without an open descriptor is EBADF, a descriptor of something else EINVAL. */
TEST(abi_other_descriptors)
{
    int file = MUST(open("/dev/null", O_RDONLY));

    for (int group = 0; group < 2; group++) {
        struct lwc_create c;

        CHECK_NAME(LWC_FD_NONE, EBADF);
        CHECK_NAME(-2, EBADF);
        CHECK_NAME(-12, EBADF);
        CHECK_NAME(99, EBADF);
        CHECK_NAME(1 << 30, EBADF);
        CHECK_NAME(-(1 << 30), EBADF);
        CHECK_NAME(file, EINVAL);
        CHECK_NAME(DOOR, EINVAL);
        if (group == 0 && make(&c, 0))
            FAIL("entered");
    }
    CHECK_ERRNO(lwc_grant(LWC_FD_SELF, 99, LWC_MAY_ENTER), EBADF);
    CHECK_ERRNO(lwc_grant(LWC_FD_SELF, file, LWC_MAY_ENTER), EINVAL);
    CHECK_ERRNO(lwc_grant(99, LWC_FD_SELF, LWC_MAY_ENTER), EBADF);
    CHECK_ERRNO(lwc_grant(file, LWC_FD_SELF, LWC_MAY_ENTER), EINVAL);
}

/* Which error wins: EFAULT, EINVAL, EBADF, ESTALE, EACCES, and then those of the call. */
TEST(abi_order_of_errors)
{
    struct lwc_create c, grandchild;
    struct lwc_switch s;

    CHECK_ERRNO(lwc_call(LWC_IOC_CREATE, (void *)8), EFAULT);
    CHECK_ERRNO(lwc_switch(99, ~0u, NULL, 0, &s), EINVAL);
    CHECK_ERRNO(lwc_switch(99, 0, NULL, LWC_MAX_ARGS + 1, &s), EINVAL);
    CHECK_ERRNO(lwc_grant(99, 99, ~0u), EINVAL);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        if (make(&grandchild, LWC_SUSPEND_ONLY))
            FAIL("a snapshot runs");
        finish(&c, grandchild.fd);
    }
    grandchild.fd = enter(c.fd, 0);
    /* A snapshot cannot be entered, and this one not by us: the right is looked at first. */
    CHECK_ERRNO(lwc_switch(grandchild.fd, 0, NULL, 0, &s), EACCES);
    CHECK_ERRNO(lwc_clone(grandchild.fd, &s.caller), EACCES);
    /* Once destroyed, that comes before all else. */
    MUST(dup2(grandchild.fd, 60));
    MUST(dup2(c.fd, 61));
    MUST(close(c.fd));
    CHECK_ERRNO(lwc_switch(61, 0, NULL, 0, &s), ESTALE);
    CHECK_ERRNO(lwc_switch(61, 0, NULL, LWC_MAX_ARGS + 1, &s), EINVAL);
    CHECK_ERRNO(lwc_switch(60, 0, NULL, 0, &s), EROFS);
}

/* A call that fails leaves its structure as it was. */
TEST(abi_output_untouched)
{
    union {
        struct lwc_create create;
        struct lwc_switch switch_;
        struct lwc_clone clone;
        struct lwc_reset reset;
        struct lwc_info info;
    } before, now;
    const unsigned long outputs[] = {LWC_IOC_CREATE, LWC_IOC_SWITCH, LWC_IOC_CLONE, LWC_IOC_RESET,
                                     LWC_IOC_INFO};

    for (int flags = 0; flags < 2; flags++) {
        for (size_t n = 0; n < sizeof(outputs) / sizeof(*outputs); n++) {
            memset(&before, JUNK, sizeof(before));
            before.info.fd = 99; /* the first field of all but one */
            before.info.flags = flags ? ~0u : 0;
            if (outputs[n] == LWC_IOC_SWITCH)
                before.switch_.nargs = 0;
            if (outputs[n] == LWC_IOC_CLONE)
                before.clone.reserved = 0;
            if (outputs[n] == LWC_IOC_CREATE)
                before.create = (struct lwc_create){.nspecs = 1, .event = 7, .fd = 7, .caller = 7};
            now = before;
            CHECK(lwc_call(outputs[n], &now) < 0);
            CHECK(!memcmp(&before, &now, sizeof(now)));
        }
    }
}

static long ioctl_of_32_bits(unsigned long call, void *argument)
{
    long answer;

    asm volatile("int $0x80"
                 : "=a"(answer)
                 : "a"(54), "b"(DOOR), "c"(call), "d"(argument)
                 : "memory", "r8", "r9", "r10", "r11");
    return (int)answer;
}

/* A caller that enters the kernel as a 32-bit one is not supported. */
TEST(abi_32_bit_callers)
{
    struct lwc_create *low = (void *)MUST(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    struct lwc_switch *s = (void *)(low + 1);
    struct lwc_create c;
    pid_t pid = fork_process();

    if (pid == 0) {
        ioctl_of_32_bits(0, NULL);
        _exit(0);
    }
    if (ending(pid) == 128 + 11)
        test_skip("the kernel has no 32-bit calls (IA32_EMULATION)");
    CHECK_ERRNO(ioctl_of_32_bits(LWC_IOC_CREATE, low), EOPNOTSUPP);
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    s->target = c.fd;
    CHECK_ERRNO(ioctl_of_32_bits(LWC_IOC_SWITCH, s), EOPNOTSUPP);
    s->target = 99;
    CHECK_ERRNO(ioctl_of_32_bits(LWC_IOC_SWITCH, s), EOPNOTSUPP);
    enter(c.fd, 0);
}

/* A thread that uses io_uring can neither make nor leave an lwC: its workers would stay behind. */
TEST(abi_io_uring)
{
    struct io_uring_params ring = {0};
    struct lwc_create c;
    struct lwc_switch s;
    long fd;

    if (make(&c, LWC_MAY_RETURN)) {
        fd = SYS(syscall(SYS_io_uring_setup, 1, &ring));
        if (fd < 0)
            test_skip("io_uring: %s", error_name(-fd));
        CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EOPNOTSUPP);
        CHECK_ERRNO(lwc_create(0, NULL, 0, &c), EOPNOTSUPP);
        test_pass();
    }
    enter(c.fd, 0);
    FAIL("an lwC with io_uring was left");
}

/* A thread with a segment in GS cannot be copied correctly; without it, it can. */
TEST(abi_segments)
{
    struct lwc_create c;

    asm volatile("mov %0, %%gs" ::"r"(0x2b));
    CHECK_ERRNO(lwc_create(LWC_MAY_RETURN, NULL, 0, &c), EOPNOTSUPP);
    asm volatile("mov %0, %%gs" ::"r"(0));
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    enter(c.fd, 0);
}
