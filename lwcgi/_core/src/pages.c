/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "sys.h"

/* Newer than the headers of Debian 12; see <linux/userfaultfd.h> and
 * <linux/fs.h> of Linux 6.7. */
static const long USER_MODE_ONLY = 1;
static const unsigned long NEW_FROM_DEVICE = _IO(0xAA, 0x00);
static const uint64_t WP_UNPOPULATED = 1ull << 13, WP_ASYNC = 1ull << 15;
enum {
    IS_WPALLOWED = 1 << 0,
    IS_WRITTEN = 1 << 1,
    IS_FILE = 1 << 2,
    IS_PRESENT = 1 << 3,
    IS_SWAPPED = 1 << 4,
    IS_ZERO = 1 << 5,
};

struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static const unsigned long PAGEMAP_SCAN_CALL = _IOWR('f', 16, struct scan);

static long control(int fd, unsigned long request, void *arg)
{
    return SYS(SYS_ioctl, fd, request, arg, 0, 0, 0);
}

int pages_open(void)
{
    long flags = O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY;
    long fd = SYS(SYS_userfaultfd, flags, 0, 0, 0, 0, 0), dev, ret;

    if (fd >= 0)
        return (int)fd;
    /* Where a container's profile blocks the call, the device may be there. */
    dev = sys_open("/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
    if (dev < 0)
        return (int)fd;
    ret = SYS(SYS_ioctl, dev, NEW_FROM_DEVICE, flags, 0, 0, 0);
    sys_close((int)dev);
    return (int)(ret >= 0 ? ret : fd);
}

int pages_start(int uffd)
{
    struct uffdio_api api = {.api = UFFD_API, .features = WP_ASYNC | WP_UNPOPULATED};

    return (int)control(uffd, UFFDIO_API, &api);
}

int pages_register(int uffd, uint64_t start, uint64_t end)
{
    struct uffdio_register r = {.range = {start, end - start}, .mode = UFFDIO_REGISTER_MODE_WP};

    return (int)control(uffd, UFFDIO_REGISTER, &r);
}

int pages_protect(int uffd, uint64_t start, uint64_t end)
{
    struct uffdio_writeprotect w = {.range = {start, end - start},
                                    .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    long ret;

    do
        ret = control(uffd, UFFDIO_WRITEPROTECT, &w);
    while (ret == -EAGAIN || ret == -EINTR);
    return (int)ret;
}

static long scan(int pagemap, struct scan *s)
{
    long n;

    s->size = sizeof *s;
    do
        n = control(pagemap, PAGEMAP_SCAN_CALL, s);
    while (n == -EINTR);
    return n;
}

long pages_written(int pagemap, uint64_t *at, uint64_t end, struct page_region *to, size_t room)
{
    /* Without PM_SCAN_CHECK_WPASYNC: between may lie mappings that are not registered. */
    struct scan s = {.start = *at,
                     .end = end,
                     .vec = (uint64_t)to,
                     .vec_len = room,
                     .category_mask = IS_WRITTEN | IS_WPALLOWED,
                     .return_mask = IS_WRITTEN};
    long n = scan(pagemap, &s);

    *at = s.walk_end >= end ? 0 : s.walk_end;
    return n;
}

long pages_filled(int pagemap, uint64_t *at, uint64_t end, struct page_region *to, size_t room,
                  int swapped)
{
    struct scan s = {.start = *at,
                     .end = end,
                     .vec = (uint64_t)to,
                     .vec_len = room,
                     .category_inverted = IS_FILE | IS_ZERO,
                     .category_mask = IS_WPALLOWED | IS_FILE | IS_ZERO,
                     .category_anyof_mask = IS_PRESENT | (swapped ? IS_SWAPPED : 0u),
                     .return_mask = IS_WPALLOWED};
    long n = scan(pagemap, &s);

    *at = s.walk_end >= end ? 0 : s.walk_end;
    return n;
}

long pages_replaced(int pagemap, uint64_t start, uint64_t end, struct page_region *first)
{
    struct scan s = {.start = start,
                     .end = end,
                     .vec = (uint64_t)first,
                     .vec_len = 1,
                     .category_inverted = IS_WPALLOWED,
                     .category_mask = IS_WPALLOWED,
                     .return_mask = IS_WPALLOWED};

    return scan(pagemap, &s);
}
