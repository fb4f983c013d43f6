/* SPDX-License-Identifier: MIT */
/* A reset puts pages back that the kernel moved to swap, dropped, or merged. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static bool is_swapped(const volatile void *address)
{
    int fd = MUST(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    uint64_t entry;

    CHECK_EQ(pread(fd, &entry, sizeof(entry), (uintptr_t)address / PAGE * sizeof(entry)),
             sizeof(entry));
    close(fd);
    return entry >> 62 & 1;
}

/* Pages that went to swap, the snapshot's, the worker's or both, are put back. */
TEST(reset_swapped_pages)
{
    enum { PAGES = 64, PAGEOUT = 21 };
    volatile long *words = private_pages(PAGES);
    volatile int *swapped = shared_pages(1);
    struct lwc_create c;

    if (number("/proc/swaps") == -ENOENT || line_number("/proc/meminfo", "SwapTotal:") == 0)
        test_skip("swap");
    for (int page = 0; page < PAGES / 2; page++)
        words[512 * page] = page + 1;
    MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
    if (make(&c, SNAPSHOT)) {
        int step = c.args[0] + 1;

        for (int page = 0; page < PAGES; page += step)
            CHECK_EQ(words[512 * page], page < PAGES / 2 ? page + 1 : 0);
        for (int page = 0; page < PAGES; page += 2 * step)
            words[512 * page] = 1000;
        MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
        for (int page = 0; page < PAGES; page++)
            *swapped += is_swapped(&words[512 * page]);
        for (int page = 0; page < PAGES; page += 3)
            words[512 * page] += 2000;
        finish(&c, 0);
    }
    rounds(c.fd, 8);
    if (!*swapped)
        test_skip("swap that takes pages on demand (MADV_PAGEOUT)");
}

/*
 * Pages that came back from swap only to be read: what lies in swap is what the worker wrote, and
 * must not come back in the next round, when memory is short again.
 */
TEST(reset_clean_swapped_pages)
{
    enum { PAGES = 16, PAGEOUT = 21 };
    volatile long *words = private_pages(PAGES);
    volatile int *swapped = shared_pages(1);
    struct lwc_create c;

    if (line_number("/proc/meminfo", "SwapTotal:") <= 0)
        test_skip("swap");
    for (int page = 0; page < PAGES; page++)
        words[512 * page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
        for (int page = 0; page < PAGES; page++) {
            CHECK_EQ(words[512 * page], page + 1);
            words[512 * page] = 77;
        }
        MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
        for (int page = 0; page < PAGES; page++) {
            *swapped += is_swapped(&words[512 * page]);
            CHECK_EQ(words[512 * page], 77);
        }
        finish(&c, 0);
    }
    rounds(c.fd, 5);
    if (!*swapped)
        test_skip("swap that takes pages on demand (MADV_PAGEOUT)");
}

/*
 * Pages given back lazily, which the kernel may take at any time: after the reset they have the
 * snapshot's content, also when memory is short then.
 */
TEST(reset_lazily_given_back_pages)
{
    enum { PAGES = 16, PAGEOUT = 21 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;

    for (int page = 0; page < PAGES; page++)
        words[512 * page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        MUST(madvise((void *)words, PAGES * PAGE, PAGEOUT));
        for (int page = 0; page < PAGES; page++) {
            CHECK_EQ(words[512 * page], page + 1);
            words[512 * page] = 77;
        }
        MUST(madvise((void *)words, PAGES * PAGE, MADV_FREE));
        finish(&c, 0);
    }
    rounds(c.fd, 5);
}

/* Pages that the kernel merged because they were the same are put back. */
TEST(reset_merged_pages)
{
    enum { PAGES = 32 };
    volatile long *words = private_pages(PAGES);
    struct lwc_create c;

    if (number("/sys/kernel/mm/ksm/run") < 0)
        test_skip("KSM");
    set_number("/sys/kernel/mm/ksm/sleep_millisecs", 1);
    set_number("/sys/kernel/mm/ksm/pages_to_scan", 10000);
    set_number("/sys/kernel/mm/ksm/run", 1);
    for (int page = 0; page < PAGES; page++)
        words[512 * page] = page + 1;
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();

        for (int page = 0; page < PAGES; page++) {
            CHECK_EQ(words[512 * page], page + 1);
            words[512 * page] = 100;
        }
        if (SYS(madvise((void *)words, PAGES * PAGE, MADV_MERGEABLE)) == -EINVAL)
            test_skip("KSM");
        CHECK(EVENTUALLY(number("/sys/kernel/mm/ksm/pages_sharing") > PAGES / 2));
        for (int page = c.args[0]; page < PAGES; page += 4)
            words[512 * page + 1] = 101;
        finish(&c, found);
    }
    rounds(c.fd, 4);
}
