/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "cpu.h"
#include "pages.h"
#include "sys.h"
#include "text.h"

static const uint64_t LAST = 0x7ffffffff000; /* end of user addresses, 47 bits */

static int enroll(struct image *im, uint64_t start, uint64_t end)
{
    int ret = pages_register(im->uffd, start, end);

    return ret ? ret : pages_protect(im->uffd, start, end);
}

int image_is_tracked(const struct mapping *m)
{
    return !(m->flags & (MAP_SHARES | MAP_SPECIAL)) && m->flags & (MAP_READ | MAP_WRITE | MAP_EXEC);
}

long image_list(const struct image *im, struct mapping *to)
{
    long n = maps_read(to, IMAGE_MAPPINGS);
    uint32_t i;

    for (i = 0; i < im->skipped_count && n >= 0; i++)
        n = maps_without(to, n, IMAGE_MAPPINGS, im->skipped[i].start, im->skipped[i].end);
    return n;
}

/* Returns when the holder is ready. */
static int start_holder(struct image *im)
{
    int ends[2];
    char byte;
    long ret = SYS(SYS_pipe2, ends, O_CLOEXEC, 0, 0, 0, 0);

    if (ret)
        return (int)ret;
    im->holder = (int)cpu_holder(sys_getpid());
    sys_close(ends[1]);
    /* The end of file comes when the holder has closed its copy of the other end. */
    if (im->holder > 0)
        sys_read(ends[0], &byte, 1);
    sys_close(ends[0]);
    return im->holder < 0 ? im->holder : 0;
}

int image_arm(struct image *im, const char **what)
{
    long n;
    uint32_t i;
    int ret;

    *what = "userfaultfd";
    im->uffd = pages_open();
    if (im->uffd < 0)
        return im->uffd;
    ret = pages_start(im->uffd);
    if (ret)
        return ret;
    *what = "/proc/self/pagemap";
    im->pagemap = (int)sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    if (im->pagemap < 0)
        return im->pagemap;
    *what = "/proc/self/maps";
    n = image_list(im, im->frozen);
    if (n < 0)
        return (int)n;
    im->count = (uint32_t)n;
    *what = "write-protecting a mapping";
    for (i = 0; i < im->count; i++) {
        if (!image_is_tracked(&im->frozen[i]))
            continue;
        ret = enroll(im, im->frozen[i].start, im->frozen[i].end);
        if (ret)
            return ret;
    }
    *what = "copying the page tables";
    ret = start_holder(im);
    if (ret)
        return ret;
    im->holder_pidfd = (int)sys_pidfd_open(im->holder);
    return im->holder_pidfd < 0 ? im->holder_pidfd : 0;
}

const struct mapping *image_from(const struct image *im, uint64_t at)
{
    uint32_t low = 0, high = im->count;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (im->frozen[mid].end <= at)
            low = mid + 1;
        else
            high = mid;
    }
    return low < im->count ? &im->frozen[low] : NULL;
}

const struct mapping *image_mapping(const struct image *im, uint64_t at)
{
    const struct mapping *m = image_from(im, at);

    return m && m->start <= at ? m : NULL;
}

int image_is_ours(const struct image *im, uint64_t start, uint64_t end)
{
    uint32_t i;

    for (i = 0; i < im->skipped_count; i++)
        if (start < im->skipped[i].end && end > im->skipped[i].start)
            return 1;
    return 0;
}

int image_touches(const struct image *im, uint64_t start, uint64_t end)
{
    const struct mapping *m = image_from(im, start);

    return (m && m->start < end) || image_is_ours(im, start, end);
}

int image_track(struct image *im, uint64_t start, uint64_t end)
{
    return enroll(im, start, end);
}

int image_protect(struct image *im, uint64_t start, uint64_t end)
{
    return pages_protect(im->uffd, start, end);
}

/* Memory without access rights can still be read through /proc. */
static int read_through_proc(const struct image *im, uint64_t start, void *to, size_t len)
{
    char path[40];
    struct text t = {path, path + sizeof path - 1};
    long fd, n = 0;

    text_str(&t, "/proc/");
    text_num(&t, (uint64_t)im->holder);
    text_str(&t, "/mem");
    *t.at = 0;
    fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    while (len) {
        n = sys_pread((int)fd, to, len, (off_t)start);
        if (n <= 0)
            break;
        to = (char *)to + n;
        start += (uint64_t)n;
        len -= (size_t)n;
    }
    sys_close((int)fd);
    return len == 0 ? 0 : n < 0 ? (int)n : -EIO;
}

int image_original(const struct image *im, uint64_t start, void *to, size_t len)
{
    while (len) {
        struct iovec here = {to, len}, there = {(void *)start, len};
        long n = SYS(SYS_process_vm_readv, im->holder, &here, 1, &there, 1, 0);
        if (n == -EFAULT || n == 0)
            return read_through_proc(im, start, to, len);
        if (n < 0)
            return (int)n;
        to = (char *)to + n;
        start += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

long image_written(struct image *im, uint64_t *at, struct page_region *to, size_t room)
{
    return pages_written(im->pagemap, at, LAST, to, room);
}

long image_filled(const struct image *im, uint64_t *at, struct page_region *to, size_t room,
                  int swapped)
{
    return pages_filled(im->pagemap, at, LAST, to, room, swapped);
}

long image_replaced(struct image *im, const struct mapping *m, struct page_region *first)
{
    return pages_replaced(im->pagemap, m->start, m->end, first);
}
