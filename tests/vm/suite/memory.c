/* SPDX-License-Identifier: MIT */
/* Memory that is copied: each lwC has its own, from the moment of creation. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* The word has 1; each side writes, and neither sees what the other wrote. */
static void copy_is_isolated(volatile long *word)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(*word, 1);
        *word = 2;
        back(&c, 0);
        CHECK_EQ(*word, 2);
        *word = 4;
        back(&c, 0);
        CHECK_EQ(*word, 4);
        finish(&c, 0);
    }
    *word = 3; /* after the creation, before the first entry */
    enter(c.fd, 0);
    CHECK_EQ(*word, 3);
    *word = 5;
    enter(c.fd, 0);
    CHECK_EQ(*word, 5);
    enter(c.fd, 0);
    CHECK_EQ(*word, 5);
}

/* Initialized data is copied. */
TEST(copy_data)
{
    static volatile long word = 1;

    copy_is_isolated(&word);
}

/* Zeroed data is copied. */
TEST(copy_bss)
{
    static volatile long words[4096];

    words[2000] = 1;
    copy_is_isolated(&words[2000]);
}

/* The heap is copied. */
TEST(copy_heap)
{
    long *word = malloc(sizeof(*word));

    *word = 1;
    copy_is_isolated(word);
}

/* The stack is copied. */
TEST(copy_stack)
{
    volatile long word = 1;

    copy_is_isolated(&word);
}

static __thread volatile long thread_word = 1;

static void *copies_its_stack(void *unused)
{
    volatile long word = 1;

    copy_is_isolated(&word);
    copy_is_isolated(&thread_word);
    return unused;
}

/* Thread-local storage is copied, also that of a thread, and the stack of one. */
TEST(copy_thread_local)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, copies_its_stack, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    copy_is_isolated(&thread_word);
}

/* Anonymous mappings are copied: pages that were written, and pages that were not touched. */
TEST(copy_anonymous)
{
    volatile long *words = private_pages(2);

    words[0] = 1;
    copy_is_isolated(words);
    words[0] = 0;
    {
        struct lwc_create c;

        if (make(&c, LWC_MAY_RETURN)) {
            CHECK_EQ(words[600], 0);
            words[600] = 7;
            finish(&c, 0);
        }
        enter(c.fd, 0);
        CHECK_EQ(words[600], 0);
    }
}

/* Private mappings of a file are copied, and the file stays as it is. */
TEST(copy_private_file)
{
    int fd = scratch_file(1);
    volatile long *words =
        (long *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    long word;

    copy_is_isolated(words);
    CHECK_EQ(pread(fd, &word, sizeof(word), 0), sizeof(word));
    CHECK_EQ(word, 1);
}

static bool has_only(const unsigned char *bytes, size_t size, unsigned char value)
{
    return bytes[0] == value && !memcmp(bytes, bytes + 1, size - 1);
}

/* Huge pages are copied, whole and in parts. */
TEST(copy_huge_pages)
{
    unsigned char *p = (void *)MUST(
        mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct lwc_create c;

    p = (void *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));
    if (SYS(madvise(p, 4 * MIB, MADV_HUGEPAGE)) == -EINVAL)
        test_skip("transparent huge pages");
    memset(p, 1, 4 * MIB);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK(has_only(p, 4 * MIB, 1));
        p[MIB] = 2;
        p[2 * MIB] = 2;
        back(&c, 0);
        CHECK_EQ(p[MIB], 2);
        CHECK_EQ(p[MIB + 1], 1);
        CHECK_EQ(p[3 * MIB], 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(has_only(p, 4 * MIB, 1));
    p[3 * MIB] = 3;
    MUST(munmap(p, MIB));
    enter(c.fd, 0);
}

/* Pages of hugetlbfs cannot be shared; they are copied, or the creation is refused unless left out.
 */
TEST(copy_hugetlb)
{
    volatile long *words;
    struct lwc_create c;
    int answer;

    set_number("/proc/sys/vm/nr_hugepages", 4);
    words = (long *)SYS(mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0));
    if ((long)words < 0 && (long)words > -4096)
        test_skip("huge pages: %s", error_name(-(long)words));
    words[0] = 1;
    CHECK_ERRNO(lwc_create(0, SPECS(MEMORY(SHARE, words, 2 * MIB)), &c), EOPNOTSUPP);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, words, 2 * MIB)))) {
        CHECK(!is_mapped(words));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(close(c.fd));
    answer = lwc_create(LWC_MAY_RETURN, NULL, 0, &c);
    if (answer == -EOPNOTSUPP) {
        CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
        return;
    }
    CHECK_OK(answer);
    if (c.event == LWC_ENTERED)
        finish(&c, 0);
    MUST(close(c.fd));
    copy_is_isolated(words);
}

/* Pages that are marked so are zero in the new lwC, or not there, as after fork. */
TEST(copy_heeds_advice_for_fork)
{
    volatile long *wiped = private_pages(1), *left = private_pages(1);
    struct lwc_create c;

    *wiped = *left = 1;
    MUST(madvise((void *)wiped, PAGE, MADV_WIPEONFORK));
    MUST(madvise((void *)left, PAGE, MADV_DONTFORK));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(*wiped, 0);
        CHECK(!is_mapped(left));
        *wiped = 2;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(*wiped, 1);
    CHECK_EQ(*left, 1);
}

/* Protection is copied; a change of it is the lwC's own. */
TEST(copy_protection)
{
    volatile long *words = private_pages(3);
    struct lwc_create c;

    words[0] = words[512] = words[1024] = 1;
    MUST(mprotect((void *)words, PAGE, PROT_NONE));
    MUST(mprotect((char *)words + PAGE, PAGE, PROT_READ));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(signal_of_read(&words[0]), SIGSEGV);
        CHECK_EQ(signal_of_read(&words[512]), 0);
        CHECK_EQ(signal_of_write(&words[512]), SIGSEGV);
        CHECK_EQ(words[512], 1);
        MUST(mprotect((void *)words, 2 * PAGE, PROT_READ | PROT_WRITE));
        CHECK_EQ(words[0], 1);
        words[512] = 2;
        MUST(mprotect((char *)words + 2 * PAGE, PAGE, PROT_NONE));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(signal_of_read(&words[0]), SIGSEGV);
    CHECK_EQ(signal_of_write(&words[512]), SIGSEGV);
    CHECK_EQ(words[512], 1);
    words[1024] = 3;
}

/* What an lwC maps and unmaps its creator does not see, nor the other way round. */
TEST(mappings_are_separate)
{
    volatile long *before = private_pages(1), *both = private_pages(1);
    struct lwc_create c;

    *before = *both = 1;
    if (make(&c, LWC_MAY_RETURN)) {
        volatile long *mine = private_pages(1);

        *mine = 2;
        MUST(munmap((void *)before, PAGE));
        CHECK(!is_mapped((void *)back(&c, (uintptr_t)mine)));
        CHECK_EQ(*mine, 2);
        CHECK_EQ(*both, 1);
        CHECK(!is_mapped(before));
        finish(&c, 0);
    }
    MUST(munmap((void *)both, PAGE));
    CHECK(!is_mapped((void *)enter(c.fd, 0)));
    CHECK_EQ(*before, 1);
    enter(c.fd, (uintptr_t)private_pages(300));
    CHECK(!is_mapped(both));
}

/* The break is the lwC's own. */
TEST(break_is_separate)
{
    char *old = (char *)syscall(SYS_brk, 0);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(syscall(SYS_brk, 0), old);
        CHECK_EQ(syscall(SYS_brk, old + 8 * PAGE), old + 8 * PAGE);
        memset(old, 1, 8 * PAGE);
        back(&c, 0);
        CHECK_EQ(syscall(SYS_brk, 0), old + 8 * PAGE);
        CHECK_EQ(old[5 * PAGE], 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(syscall(SYS_brk, 0), old);
    CHECK_EQ(syscall(SYS_brk, old + 4 * PAGE), old + 4 * PAGE);
    CHECK_EQ(old[3 * PAGE], 0);
    enter(c.fd, 0);
}

/* Mappings that were shared stay shared: anonymous ones, of a file, of System V. */
TEST(shared_mappings_stay_shared)
{
    int fd = scratch_file(1), id = MUST(shmget(IPC_PRIVATE, PAGE, 0600));
    volatile long *shared[] = {
        shared_pages(1),
        (long *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)),
        (long *)MUST(shmat(id, NULL, 0)),
    };
    struct lwc_create c;

    MUST(shmctl(id, IPC_RMID, NULL));
    if (make(&c, LWC_MAY_RETURN)) {
        for (int n = 0; n < 3; n++) {
            CHECK_EQ(*shared[n], n + 10);
            *shared[n] = n + 20;
        }
        finish(&c, 0);
    }
    for (int n = 0; n < 3; n++)
        *shared[n] = n + 10;
    enter(c.fd, 0);
    for (int n = 0; n < 3; n++)
        CHECK_EQ(*shared[n], n + 20);
}

struct counting {
    volatile long count; /* in memory that is copied */
    volatile bool *stop; /* in memory that is not */
};

static void *counts(void *argument)
{
    struct counting *counting = argument;

    while (!*counting->stop)
        counting->count++;
    return NULL;
}

/* Another thread stays where it was: it runs on in the creator's memory, not in the copy. */
TEST(threads_stay_in_their_memory)
{
    static struct counting counting;
    struct lwc_create c;
    pthread_t thread;
    long seen;

    counting.stop = shared_pages(1);
    CHECK_EQ(pthread_create(&thread, NULL, counts, &counting), 0);
    CHECK(EVENTUALLY(counting.count > 0));
    if (make(&c, LWC_MAY_RETURN)) {
        long copied = counting.count;

        for (int n = 0; n < 20; n++) {
            short_pause();
            CHECK_EQ(counting.count, copied);
        }
        back(&c, 0);
        CHECK_EQ(counting.count, copied);
        finish(&c, 0);
    }
    seen = counting.count;
    enter(c.fd, 0);
    CHECK(EVENTUALLY(counting.count > seen));
    *counting.stop = true;
    CHECK_EQ(pthread_join(thread, NULL), 0);
    enter(c.fd, 0);
}

/* Attributes that the kernel keeps with memory are copied, and changed for one lwC only. */
TEST(memory_attributes_are_separate)
{
    struct lwc_create c;

    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    MUST(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
        MUST(prctl(PR_SET_DUMPABLE, 0));
        MUST(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
        back(&c, 0);
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
        CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    enter(c.fd, 0);
}

static bool has_segment(int number)
{
    unsigned long entries[8] = {0};

    MUST(syscall(SYS_modify_ldt, 0, entries, sizeof(entries)));
    return entries[number];
}

/* The table of local segments is copied, and changed for one lwC only. */
TEST(local_segments_are_separate)
{
    struct user_desc segment = {.entry_number = 3, .limit = 0xfffff, .seg_32bit = 1};
    struct lwc_create c;

    if (SYS(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment))) < 0)
        test_skip("modify_ldt");
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK(has_segment(3));
        segment.entry_number = 5;
        MUST(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)));
        back(&c, 0);
        CHECK(has_segment(5));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(has_segment(3));
    CHECK(!has_segment(5));
    enter(c.fd, 0);
}

/* The memory of a destroyed lwC is given back at once: what it had mapped can be sealed. */
TEST(destroyed_memory_is_freed)
{
    int fd = MUST(memfd_create("suite", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    struct lwc_create c;

    MUST(ftruncate(fd, PAGE));
    if (make(&c, LWC_MAY_RETURN)) {
        *(char *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) = 1;
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), -EBUSY);
    MUST(close(c.fd));
    CHECK(EVENTUALLY(SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)) == 0));
}
