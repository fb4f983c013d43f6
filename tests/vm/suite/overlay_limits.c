/* SPDX-License-Identifier: MIT */
/* Overlays that are refused: which error, and that nothing has happened. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static char *page_of(volatile long *words, int page)
{
    return (char *)(words + 512 * page);
}

/* An lwC that has written 2 where its creator has 1. */
static int other(volatile long *words, int count)
{
    struct lwc_create c;

    for (int page = 0; page < count; page++)
        words[512 * page] = 1;
    if (make(&c, LWC_MAY_RETURN)) {
        for (int page = 0; page < count; page++)
            words[512 * page] = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    return c.fd;
}

/* Structures and specifications that cannot be read are a fault. */
TEST(overlay_unreadable)
{
    char *page = private_pages(1);
    struct lwc_spec *spec = (struct lwc_spec *)(page + PAGE) - 1;

    CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, NULL), EFAULT);
    CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, page + PAGE - 12), EFAULT);
    CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, (void *)0xffff800000000000), EFAULT);
    *spec = (struct lwc_spec)CREDENTIALS(COPY);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, spec, 2), EFAULT);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, NULL, 1), EFAULT);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, spec, 1), EBADF);
}

/* Flags, reserved fields, and specifications that say nothing sensible are refused. */
TEST(overlay_of_nonsense)
{
    volatile long *words = private_pages(2);
    int fd = other(words, 2);
    const uintptr_t p = (uintptr_t)words;
    const struct lwc_spec bad[] = {
        {0, LWC_COPY, 0, LWC_ALL},
        {4, LWC_COPY, 0, LWC_ALL},
        {LWC_MEMORY, 3, p, p + PAGE},
        {LWC_MEMORY, LWC_COPY | LWC_MAY_ACCESS, p, p + PAGE},
        {LWC_MEMORY, LWC_COPY, p, p},
        {LWC_MEMORY, LWC_COPY, p + 1, p + PAGE},
        {LWC_FILES, LWC_SHARE, 0, 10},
        {LWC_CREDENTIALS, LWC_COPY, 0, 1},
        {LWC_CREDENTIALS, LWC_UNMAP, 0, LWC_ALL},
        /* LWC_UNMAP goes with LWC_FD_SELF only, and the others do not. */
        {LWC_MEMORY, LWC_UNMAP, p, p + PAGE},
        {LWC_FILES, LWC_UNMAP, 200, 300},
    };
    const struct lwc_spec bad_for_self[] = {
        {LWC_MEMORY, LWC_COPY, p, p + PAGE},
        {LWC_MEMORY, LWC_SHARE, p, p + PAGE},
        {LWC_FILES, LWC_COPY, 0, 10},
        {LWC_FILES, LWC_SHARE, 0, LWC_ALL},
        {LWC_CREDENTIALS, LWC_SHARE, 0, LWC_ALL},
        {LWC_CREDENTIALS, LWC_UNMAP, 0, LWC_ALL},
    };

    for (int bit = 0; bit < 32; bit++) {
        struct lwc_overlay flags = {.source = fd, .flags = 1u << bit};
        struct lwc_overlay reserved = {.source = fd, .reserved = 1u << bit};

        CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, &flags), EINVAL);
        CHECK_ERRNO(lwc_call(LWC_IOC_OVERLAY, &reserved), EINVAL);
    }
    for (size_t n = 0; n < sizeof(bad) / sizeof(*bad); n++) {
        if (lwc_overlay(fd, &bad[n], 1) != -EINVAL || lwc_overlay(99, &bad[n], 1) != -EINVAL)
            FAIL("specification %zu is not EINVAL", n);
    }
    for (size_t n = 0; n < sizeof(bad_for_self) / sizeof(*bad_for_self); n++) {
        if (lwc_overlay(LWC_FD_SELF, &bad_for_self[n], 1) != -EINVAL)
            FAIL("specification %zu of oneself is not EINVAL", n);
    }
    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, p, PAGE), MEMORY(COPY, p, 2 * PAGE))), EINVAL);
    CHECK_ERRNO(lwc_overlay(fd, bad, LWC_MAX_SPECS + 1), EINVAL);
    CHECK_EQ(words[0], 1);
    CHECK_OK(lwc_overlay(fd, NULL, 0));
    CHECK_OK(lwc_overlay(LWC_FD_SELF, NULL, 0));
}

/* What does not name an lwC that may be reached into is no source. */
TEST(overlay_of_nobody)
{
    volatile long *words = private_pages(1);
    const struct lwc_spec spec = MEMORY(COPY, words, PAGE);
    int file = MUST(open("/dev/null", O_RDONLY)), fd, dup_fd;
    pid_t pid;

    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, NULL, 0), EBADF);
    CHECK_ERRNO(lwc_overlay(LWC_FD_ROOT, &spec, 1), EBADF);
    fd = other(words, 1);
    CHECK_ERRNO(lwc_overlay(99, &spec, 1), EBADF);
    CHECK_ERRNO(lwc_overlay(LWC_FD_NONE, &spec, 1), EBADF);
    CHECK_ERRNO(lwc_overlay(file, &spec, 1), EINVAL);
    CHECK_ERRNO(lwc_overlay(DOOR, &spec, 1), EINVAL);
    pid = fork_process();
    if (pid == 0) {
        CHECK_ERRNO(lwc_overlay(fd, &spec, 1), EPERM);
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    /* Not by the name of the root either, which is oneself here. */
    CHECK_ERRNO(lwc_overlay(LWC_FD_ROOT, &spec, 1), EBUSY);
    dup_fd = MUST(dup(fd));
    MUST(close(fd));
    CHECK_ERRNO(lwc_overlay(dup_fd, &spec, 1), ESTALE);
    CHECK_EQ(words[0], 1);
}

/* Oneself by another name than LWC_FD_SELF is no source, whatever was granted. */
TEST(overlay_of_oneself)
{
    volatile long *words = private_pages(1);
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        int fd = back(&c, 0);

        CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, words, PAGE))), EBUSY);
        CHECK_OK(lwc_grant(LWC_FD_SELF, LWC_FD_SELF, LWC_MAY_ACCESS));
        CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, words, PAGE))), EBUSY);
        CHECK_ERRNO(lwc_overlay(fd, SPECS(SHARED_FILES, SHARED_CREDENTIALS)), EBUSY);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    enter(c.fd, c.fd);
}

/* A snapshot's memory, descriptors and credentials can be copied, and not shared. */
TEST(overlay_of_snapshots)
{
    volatile long *words = private_pages(2);
    struct lwc_create c;

    words[0] = 1;
    MUST(dup2(2, 200));
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(words[0], 1);
        finish(&c, words[512]);
    }
    words[0] = 2;
    MUST(close(200));
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, words, PAGE))), EROFS);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE), SHARED_FILES)), EROFS);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(SHARED_CREDENTIALS)), EROFS);
    CHECK_EQ(words[0], 2);
    CHECK_OK(lwc_overlay(
        c.fd, SPECS(MEMORY(COPY, words, 2 * PAGE), FILES(COPY, 200, 201), CREDENTIALS(COPY))));
    CHECK_EQ(words[0], 1);
    MUST(fcntl(200, F_GETFD));
    words[512] = 5;
    rounds(c.fd, 3);
}

/* The mapping that the caller's stack is in stays, whole; what else was named, too. */
TEST(overlay_of_the_stack)
{
    volatile long *words = private_pages(1);
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0) & -PAGE;
    int fd = other(words, 1);

    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, stack, PAGE))), EINVAL);
    CHECK_ERRNO(
        lwc_overlay(fd, SPECS(MEMORY(COPY, words, PAGE), MEMORY(COPY, stack - 2 * PAGE, PAGE))),
        EINVAL);
    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(SHARE, stack, PAGE))), EINVAL);
    CHECK_ERRNO(lwc_overlay(fd, SPECS({LWC_MEMORY, LWC_COPY, 0, LWC_ALL})), EINVAL);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, stack, PAGE))), EINVAL);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, SPECS({LWC_MEMORY, LWC_UNMAP, 0, LWC_ALL})), EINVAL);
    CHECK_EQ(words[0], 1);
}

/* The kernel's mappings are copied whole, and not in parts. */
TEST(overlay_of_the_kernels_mappings)
{
    volatile long *words = private_pages(1);
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR), end = vdso;
    int fd = other(words, 1);

    if (!vdso)
        test_skip("a vDSO");
    while (is_mapped((void *)end))
        end += PAGE;
    if (end - vdso > PAGE) {
        CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, words, PAGE), MEMORY(COPY, vdso, PAGE))),
                    EOPNOTSUPP);
        CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, words, PAGE),
                                                   MEMORY(UNMAP, vdso + PAGE, PAGE))),
                    EOPNOTSUPP);
    }
    CHECK_EQ(words[0], 1);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, vdso, end - vdso))));
    CHECK(milliseconds() > 0); /* by the vDSO */
}

/* Mappings of huge pages cannot be copied; in the caller they are replaced, whole ones only. */
TEST(overlay_of_hugetlbfs)
{
    volatile long *words = private_pages(1);
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    struct lwc_create c;
    char *p;
    int fd;

    set_number("/proc/sys/vm/nr_hugepages", 4);
    fd = other(words, 1);
    if (make(&c, LWC_MAY_RETURN)) {
        long answer = SYS(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, flags, -1, 0));

        if (answer < 0 && answer > -4096)
            test_skip("huge pages");
        finish(&c, answer);
    }
    p = (char *)enter(c.fd, 0);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE), MEMORY(COPY, p, 2 * MIB))),
                EOPNOTSUPP);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(SHARE, p, 2 * MIB))), EOPNOTSUPP);
    p = (char *)MUST(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, flags, -1, 0));
    p[0] = 1;
    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, p + PAGE, PAGE))), EOPNOTSUPP);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, p, PAGE))), EOPNOTSUPP);
    CHECK_EQ(p[0], 1);
    CHECK_EQ(words[0], 1);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, p, 2 * MIB))));
    CHECK(!is_mapped(p));
}

/* What mseal(2) protects in the caller stays. */
TEST(overlay_of_sealed_memory)
{
    volatile long *words = private_pages(3);
    int fd = other(words, 3);
    long answer = SYS(syscall(462 /* mseal */, page_of(words, 1), PAGE, 0));

    if (answer == -ENOSYS)
        test_skip("mseal");
    CHECK_EQ(answer, 0);
    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, words, 3 * PAGE))), EPERM);
    CHECK_ERRNO(lwc_overlay(LWC_FD_SELF, SPECS(MEMORY(UNMAP, words, 3 * PAGE))), EPERM);
    for (int page = 0; page < 3; page++)
        CHECK_EQ(words[512 * page], 1);
    CHECK_OK(lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, 2), PAGE))));
    CHECK_EQ(words[1024], 2);
}

/* More address space than the caller's limit allows is not mapped. */
TEST(overlay_beyond_rlimit_as)
{
    struct rlimit before;
    struct lwc_create c;
    long size;
    char *p;

    if (make(&c, LWC_MAY_RETURN)) {
        p = private_pages(1024);
        p[5 * PAGE] = 5;
        finish(&c, (uintptr_t)p);
    }
    p = (char *)enter(c.fd, 0);
    MUST(getrlimit(RLIMIT_AS, &before));
    size = line_number("/proc/self/status", "VmSize:") * 1024;
    MUST(setrlimit(RLIMIT_AS, &(struct rlimit){size + 512 * PAGE, before.rlim_max}));
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, 1024 * PAGE))), ENOMEM);
    CHECK(!is_mapped(p));
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, 100 * PAGE))));
    MUST(setrlimit(RLIMIT_AS, &before));
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, 1024 * PAGE))));
    CHECK_EQ(p[5 * PAGE], 5);
}

/* Where memory is not overcommitted, there is no more than there is. */
TEST(overlay_beyond_commitment)
{
    long available = line_number("/proc/meminfo", "MemTotal:") * 1024;
    struct lwc_create c;
    char *p;

    if (make(&c, LWC_MAY_RETURN)) {
        p = private_pages(available / PAGE);
        p[0] = 1;
        finish(&c, (uintptr_t)p);
    }
    p = (char *)enter(c.fd, 0);
    set_number("/proc/sys/vm/overcommit_memory", 2);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, available & -PAGE))), ENOMEM);
    CHECK(!is_mapped(p));
    set_number("/proc/sys/vm/overcommit_memory", 1);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, available & -PAGE))));
    CHECK_EQ(p[0], 1);
}

/* The number of mappings has its limit, here as elsewhere. */
TEST(overlay_beyond_max_map_count)
{
    long most = number("/proc/sys/vm/max_map_count");
    const size_t size = 200 * PAGE;
    struct lwc_create c;
    char *p;

    if (make(&c, LWC_MAY_RETURN)) {
        p = private_pages(200);
        for (int page = 0; page < 200; page += 2)
            MUST(mprotect(p + page * PAGE, PAGE, PROT_READ));
        finish(&c, (uintptr_t)p);
    }
    p = (char *)enter(c.fd, 0);
    set_number("/proc/sys/vm/max_map_count", 100);
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, size))), ENOMEM);
    set_number("/proc/sys/vm/max_map_count", most);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, p, size))));
    CHECK_EQ(p[199 * PAGE], 0);
}

/* A worker whose reset failed is no source either. */
TEST(overlay_of_a_broken_worker)
{
    struct user_desc segment = {.entry_number = 3, .limit = 0xfffff, .seg_32bit = 1};
    volatile long *words = private_pages(1);
    struct lwc_create c;
    struct lwc_reset r;
    int worker;

    if (make(&c, SNAPSHOT)) {
        long answer = SYS(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)));

        words[0] = 1;
        finish(&c, answer >= 0);
    }
    worker = clone_of(c.fd);
    if (!enter(worker, 0))
        test_skip("modify_ldt");
    CHECK_OK(lwc_overlay(worker, SPECS(MEMORY(COPY, words, PAGE))));
    CHECK_EQ(words[0], 1);
    words[0] = 2;
    CHECK_ERRNO(lwc_reset(worker, &r), ENOTRECOVERABLE);
    CHECK_ERRNO(lwc_overlay(worker, SPECS(MEMORY(COPY, words, PAGE))), ENOTRECOVERABLE);
    CHECK_ERRNO(lwc_overlay(worker, SPECS(FILES(COPY, 200, 300), CREDENTIALS(COPY))),
                ENOTRECOVERABLE);
    CHECK_EQ(words[0], 2);
}
