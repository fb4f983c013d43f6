/* SPDX-License-Identifier: MIT */
/* Specifications of memory: ranges that are left out of the new lwC, or shared with it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* A mapping that is left out is not there: to touch it is a fault. */
TEST(unmap_whole)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    words[0] = words[2000] = 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, words, 4 * PAGE)))) {
        for (int page = 0; page < 4; page++) {
            CHECK(!is_mapped(words + 512 * page));
            CHECK_EQ(signal_of_read(words + 512 * page), SIGSEGV);
        }
        finish(&c, 0);
    }
    CHECK_EQ(words[2000], 1);
    words[0] = 2;
    enter(c.fd, 0);
    CHECK_EQ(words[0], 2);
}

/* A part in the middle of a mapping is left out, and the parts around it are copied. */
TEST(unmap_middle)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    for (int page = 0; page < 4; page++)
        words[512 * page] = page + 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, words + 512, 2 * PAGE)))) {
        CHECK_EQ(words[0], 1);
        CHECK_EQ(signal_of_write(&words[512]), SIGSEGV);
        CHECK_EQ(signal_of_read(&words[1024 + 511]), SIGSEGV);
        CHECK_EQ(words[1536], 4);
        words[1536] = 5;
        /* The hole can be filled. */
        MUST(mmap((char *)words + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
        CHECK_EQ(words[1024], 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int page = 0; page < 4; page++)
        CHECK_EQ(words[512 * page], page + 1);
}

/* A part of a file's mapping is left out; what remains is at its right place in the file. */
TEST(unmap_part_of_a_file)
{
    int fd = scratch_file(4);
    volatile long *words =
        (long *)MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    struct lwc_create c;

    words[1024 + 1] = 77;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, words, 2 * PAGE)))) {
        CHECK(!is_mapped(words));
        CHECK_EQ(words[1024], 2 * PAGE + 1);
        CHECK_EQ(words[1024 + 1], 77);
        CHECK_EQ(words[1536], 3 * PAGE + 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[0], 1);
}

/* Shared mappings can be left out, too. */
TEST(unmap_shared)
{
    volatile long *words = shared_pages(2);
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, words, PAGE)))) {
        CHECK_EQ(signal_of_read(words), SIGSEGV);
        words[512] = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[512], 2);
}

/* Memory that is shared keeps its content; both see every write, and a copy's copy does, too. */
TEST(share_anonymous)
{
    volatile long *words = private_pages(4);
    struct lwc_create c, d;

    words[0] = 1;
    words[1536] = 4;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 4 * PAGE)))) {
        CHECK_EQ(words[0], 10); /* written after the creation */
        CHECK_EQ(words[512], 0);
        CHECK_EQ(words[1536], 4);
        words[512] = 2;
        if (make(&d, LWC_MAY_RETURN)) {
            words[1024] = 3;
            finish(&d, 0);
        }
        enter(d.fd, 0);
        CHECK_EQ(words[1024], 3);
        back(&c, 0);
        CHECK_EQ(words[0], 11);
        finish(&c, 0);
    }
    CHECK_EQ(words[0], 1);
    CHECK_EQ(words[1536], 4);
    words[0] = 10;
    enter(c.fd, 0);
    CHECK_EQ(words[512], 2);
    CHECK_EQ(words[1024], 3);
    words[0] = 11;
    enter(c.fd, 0);
}

/* What was shared once is a shared mapping in the creator, and can be shared again. */
TEST(share_twice)
{
    volatile long *words = private_pages(2);
    struct lwc_create c, d;
    pid_t pid;

    words[0] = 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 2 * PAGE)))) {
        words[512] += 1;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    if (make_with(&d, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 2 * PAGE)))) {
        words[512] += 1;
        finish(&d, 0);
    }
    enter(d.fd, 0);
    pid = fork_process();
    if (pid == 0) {
        words[512] += 1;
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    CHECK_EQ(words[512], 3);
    MUST(close(c.fd));
    MUST(close(d.fd));
    CHECK_EQ(words[512], 3);
    CHECK_EQ(words[0], 1);
}

/* Pages that were not touched stay so: sharing them costs no memory, and they are zero. */
TEST(share_keeps_holes)
{
    enum { PAGES = 4096 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;
    long before;

    words[0] = 1;
    before = line_number("/proc/self/status", "RssShmem:");
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, PAGES * PAGE)))) {
        CHECK_EQ(words[512 * (PAGES - 1)], 0);
        words[512 * (PAGES - 1)] = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[512 * (PAGES - 1)], 2);
    CHECK(line_number("/proc/self/status", "RssShmem:") - before < 1024);
}

/* Only what is named is shared: the rest of its mapping stays private. */
TEST(share_middle)
{
    volatile long *words = private_pages(4);
    struct lwc_create c;

    for (int page = 0; page < 4; page++)
        words[512 * page] = page + 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words + 512, 2 * PAGE)))) {
        for (int page = 0; page < 4; page++) {
            CHECK_EQ(words[512 * page], page + 1);
            words[512 * page] = page + 11;
        }
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[0], 1);
    CHECK_EQ(words[512], 12);
    CHECK_EQ(words[1024], 13);
    CHECK_EQ(words[1536], 4);
}

/* A range may span several mappings and gaps; each keeps its protection. */
TEST(share_several_mappings)
{
    volatile long *words = private_pages(6);
    struct lwc_create c;

    for (int page = 0; page < 6; page++)
        words[512 * page] = page + 1;
    MUST(munmap((char *)words + 2 * PAGE, PAGE));
    MUST(mprotect((char *)words + 3 * PAGE, PAGE, PROT_READ));
    MUST(mprotect((char *)words + 4 * PAGE, PAGE, PROT_NONE));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 6 * PAGE)))) {
        words[0] = 21;
        CHECK(!is_mapped(&words[1024]));
        CHECK_EQ(words[1536], 4);
        CHECK_EQ(signal_of_write(&words[1536]), SIGSEGV);
        CHECK_EQ(signal_of_read(&words[2048]), SIGSEGV);
        MUST(mprotect((char *)words + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE));
        CHECK_EQ(words[2048], 5);
        words[2048] = 25;
        words[2560] = 26;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[0], 21);
    CHECK(!is_mapped(&words[1024]));
    CHECK_EQ(signal_of_write(&words[1536]), SIGSEGV);
    CHECK_EQ(signal_of_read(&words[2048]), SIGSEGV);
    MUST(mprotect((char *)words + 4 * PAGE, PAGE, PROT_READ));
    CHECK_EQ(words[2048], 25);
    CHECK_EQ(words[2560], 26);
}

/* A private mapping of a file is shared with the changes it has; the file stays as it is. */
TEST(share_private_file)
{
    int fd = scratch_file(3);
    volatile long *words =
        (long *)MUST(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    struct lwc_create c;
    long word;

    words[512] = 77;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 3 * PAGE)))) {
        CHECK_EQ(words[0], 1);
        CHECK_EQ(words[1], 9);
        CHECK_EQ(words[512], 77);
        CHECK_EQ(words[1024], 2 * PAGE + 1);
        words[0] = 78;
        words[512] = 79;
        words[1025] = 80;
        finish(&c, 0);
    }
    CHECK_EQ(words[0], 1);
    enter(c.fd, 0);
    CHECK_EQ(words[0], 78);
    CHECK_EQ(words[512], 79);
    CHECK_EQ(words[1024], 2 * PAGE + 1);
    CHECK_EQ(words[1025], 80);
    for (int page = 0; page < 3; page++) {
        CHECK_EQ(pread(fd, &word, sizeof(word), page * PAGE), sizeof(word));
        CHECK_EQ(word, page * PAGE + 1);
    }
}

/* Data and the heap can be shared as any private memory can. */
TEST(share_data)
{
    static volatile long words[1536] __attribute__((aligned(4096)));
    struct lwc_create c;

    words[600] = 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, words, 2 * PAGE)))) {
        CHECK_EQ(words[600], 1);
        words[600] = 2;
        words[1100] = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(words[600], 2);
    CHECK_EQ(words[1100], 0);
}

/* Huge pages can be shared, in parts also. */
TEST(share_huge_pages)
{
    unsigned char *p = (void *)MUST(
        mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct lwc_create c;

    p = (void *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
    if (SYS(madvise(p, 4 * MIB, MADV_HUGEPAGE)) == -EINVAL)
        test_skip("transparent huge pages");
    memset(p, 1, 4 * MIB);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(SHARE, p + MIB, 2 * MIB)))) {
        CHECK_EQ(p[0], 1);
        CHECK_EQ(p[2 * MIB], 1);
        memset(p, 2, 4 * MIB);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(p[MIB - 1], 1);
    CHECK_EQ(p[MIB], 2);
    CHECK_EQ(p[3 * MIB - 1], 2);
    CHECK_EQ(p[3 * MIB], 1);
}

static void *shares_its_stack(void *unused)
{
    char here;
    uintptr_t page = (uintptr_t)&here & -PAGE;
    struct lwc_create c;

    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, page, PAGE)), &c), EINVAL);
    /* Nor a part that no function uses right now. */
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, page - 2 * PAGE, PAGE)), &c), EINVAL);
    return unused;
}

/* The stack that the thread runs on cannot be shared, be it the first or another one. */
TEST(share_own_stack)
{
    struct lwc_create c;
    pthread_t thread;

    shares_its_stack(NULL);
    CHECK_EQ(pthread_create(&thread, NULL, shares_its_stack, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_ERRNO(lwc_create(0, SPECS({LWC_MEMORY, LWC_SHARE, 0, LWC_ALL}), &c), EINVAL);
}

/* Mappings of the kernel cannot be shared; then what was named before them is still private. */
TEST(share_of_the_kernels_mappings)
{
    volatile long *words = private_pages(1);
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    struct lwc_create c;
    pid_t pid;

    if (!vdso)
        test_skip("a vDSO");
    *words = 1;
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, vdso, PAGE)), &c), EOPNOTSUPP);
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, words, PAGE), MEMORY(SHARE, vdso, PAGE)), &c),
                EOPNOTSUPP);
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, vdso, PAGE), MEMORY(SHARE, words, PAGE)), &c),
                EOPNOTSUPP);
    pid = fork_process();
    if (pid == 0) {
        *words = 2;
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    CHECK_EQ(*words, 1);
}

/* Several specifications, unsorted, hold at the same time. */
TEST(ranges_together)
{
    volatile long *words = private_pages(8);
    struct lwc_create c;

    for (int page = 0; page < 8; page++)
        words[512 * page] = 1;
    if (make_with(&c, LWC_MAY_RETURN,
                  SPECS(MEMORY(UNMAP, words + 512 * 6, PAGE), MEMORY(SHARE, words + 512 * 4, PAGE),
                        MEMORY(COPY, words + 512 * 2, PAGE), MEMORY(UNMAP, words, PAGE),
                        SHARED_FILES, MEMORY(SHARE, words + 512, PAGE)))) {
        static const char mapped[] = "01111101";

        for (int page = 0; page < 8; page++) {
            CHECK_EQ(is_mapped(words + 512 * page), mapped[page] == '1');
            if (mapped[page] == '1')
                words[512 * page] = 2;
        }
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int page = 0; page < 8; page++)
        CHECK_EQ(words[512 * page], page == 1 || page == 4 ? 2 : 1);
}

/* What a snapshot leaves out its workers have not; what it shares they share, and no reset undoes.
 */
TEST(ranges_of_snapshots)
{
    volatile long *words = private_pages(3);
    struct lwc_create c;
    int one, two;

    words[0] = words[512] = words[1024] = 1;
    if (make_with(&c, SNAPSHOT,
                  SPECS(MEMORY(UNMAP, words, PAGE), MEMORY(SHARE, words + 512, PAGE)))) {
        CHECK(!is_mapped(words));
        words[512] += 1;
        words[1024] += 1;
        CHECK_EQ(words[1024], 2);
        finish(&c, words[512]);
    }
    words[512] = 10;
    one = clone_of(c.fd);
    two = clone_of(c.fd);
    CHECK_EQ(enter(one, 0), 11);
    CHECK_EQ(enter(two, 0), 12);
    reset(one);
    CHECK_EQ(enter(one, 0), 13);
    CHECK_EQ(words[512], 13);
    CHECK_EQ(words[1024], 1);
}
