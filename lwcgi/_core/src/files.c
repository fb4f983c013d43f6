/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "sys.h"

/* "/proc/self/fd/N": opening it makes a new open file description. */
static void fd_path(char path[32], int fd)
{
    static const char prefix[] = "/proc/self/fd/";
    char digits[12];
    int len = 0;

    memcpy(path, prefix, sizeof prefix - 1);
    path += sizeof prefix - 1;
    do {
        digits[len++] = (char)('0' + fd % 10);
        fd /= 10;
    } while (fd);
    while (len)
        *path++ = digits[--len];
    *path = 0;
}

int files_reopen_one(const struct own_file *f)
{
    char path[32];
    long fd, ret;
    int cloexec = f->fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0;

    fd_path(path, f->fd);
    /* A pipe without a reader would block a plain open: never wait here. */
    fd = sys_open(path, f->flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (fd < 0)
        return (int)fd;
    ret = sys_dup3((int)fd, f->fd, cloexec);
    sys_close((int)fd);
    if (ret >= 0 && !(f->flags & (O_NONBLOCK | O_PATH)))
        ret = sys_fcntl(f->fd, F_SETFL, f->flags);
    if (ret >= 0 && f->offset > 0)
        ret = sys_lseek(f->fd, f->offset, SEEK_SET);
    return ret < 0 ? (int)ret : 0;
}

int files_record(struct frozen *f, const int *fds, int count, int *bad)
{
    struct stat st;
    long ret;
    int i;

    if (count > KEEP_MAX_FILES)
        return -EMFILE;
    for (i = 0; i < count; i++) {
        struct own_file *own = &f->files[i];
        *bad = own->fd = fds[i];
        ret = sys_fstat(own->fd, &st);
        if (ret)
            return (int)ret;
        own->flags = (int)sys_fcntl(own->fd, F_GETFL, 0);
        /* How it came to be, not how to open it through its link in /proc. */
        own->flags &= ~(S_ISREG(st.st_mode) ? O_NOFOLLOW | O_TMPFILE : O_NOFOLLOW);
        own->fd_flags = (int)sys_fcntl(own->fd, F_GETFD, 0);
        own->offset = S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode)
                          ? sys_lseek(own->fd, 0, SEEK_CUR)
                          : -1;
        /* Sockets and the kernel's anonymous objects have no name to open;
         * the gate let them pass only because the operator said so. */
        own->reopen = S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode) ||
                      S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode);
        ret = own->reopen ? files_reopen_one(own) : 0;
        if (ret)
            return (int)ret;
    }
    f->file_count = count;
    return 0;
}

int files_reopen(const struct frozen *f, int *bad)
{
    int i, ret;

    for (i = 0; i < f->file_count; i++) {
        *bad = f->files[i].fd;
        ret = f->files[i].reopen ? files_reopen_one(&f->files[i]) : 0;
        if (ret)
            return ret;
    }
    return 0;
}

/* Closes first..last but for `spare`. */
static int close_span(unsigned first, unsigned last, unsigned spare)
{
    long ret = 0;

    if (first > last)
        return 0;
    if (spare < first || spare > last)
        return (int)sys_close_range(first, last);
    if (spare > first)
        ret = sys_close_range(first, spare - 1);
    if (!ret && spare < last)
        ret = sys_close_range(spare + 1, last);
    return (int)ret;
}

int files_close_others(const struct frozen *f, int spare)
{
    unsigned from = 0;
    int i, ret;

    for (i = 0; i < f->file_count; i++) {
        unsigned fd = (unsigned)f->files[i].fd;
        ret = fd > from ? close_span(from, fd - 1, (unsigned)spare) : 0;
        if (ret)
            return ret;
        from = fd + 1;
    }
    return close_span(from, ~0u, (unsigned)spare);
}

/* The smallest descriptor of a list that is at least `from`; -1 where there is none. */
static int next_of(const int *list, int count, int from)
{
    int i, best = -1;

    for (i = 0; i < count; i++)
        if (list[i] >= from && (best < 0 || list[i] < best))
            best = list[i];
    return best;
}

int files_close_except(const struct frozen *f, const int *list, int count, const int *spare,
                       int spares)
{
    int from = 0, i = 0, stop, ret;

    for (;;) {
        int a = next_of(list, count, from), b = next_of(spare, spares, from);
        while (i < f->file_count && f->files[i].fd < from)
            i++;
        stop = i < f->file_count ? f->files[i].fd : -1;
        if (a >= 0 && (stop < 0 || a < stop))
            stop = a;
        if (b >= 0 && (stop < 0 || b < stop))
            stop = b;
        if (stop < 0)
            return (int)sys_close_range((unsigned)from, ~0u);
        ret = stop > from ? (int)sys_close_range((unsigned)from, (unsigned)stop - 1) : 0;
        if (ret)
            return ret;
        from = stop + 1;
    }
}

static int is_known(const struct keep *k, const struct frozen *f, int fd)
{
    int i;

    for (i = 0; i < f->file_count; i++)
        if (f->files[i].fd == fd)
            return 1;
    return keep_owns_fd(k, fd);
}

struct entry {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

static int number(const char *s)
{
    int n = 0;

    if (*s < '0' || *s > '9')
        return -1;
    for (; *s >= '0' && *s <= '9'; s++)
        n = n * 10 + (*s - '0');
    return n;
}

static int close_it(struct keep *k, int fd)
{
    (void)k;
    return (int)sys_close(fd);
}

int files_close_leaked(struct keep *k, const struct frozen *f)
{
    return files_with_unknown(k, f, close_it);
}

int files_with_unknown(struct keep *k, const struct frozen *f, int (*deal)(struct keep *, int))
{
    _Alignas(8) char buf[4096];
    long dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    long n, at;
    int found = 0;

    if (dir < 0)
        return (int)dir;
    while ((n = sys_getdents64((int)dir, buf, sizeof buf)) > 0) {
        for (at = 0; at < n;) {
            struct entry *e = (struct entry *)(buf + at);
            int fd = number(e->name);
            if (fd >= 0 && fd != dir && !is_known(k, f, fd)) {
                deal(k, fd);
                found++;
            }
            at += e->len;
        }
    }
    sys_close((int)dir);
    return n < 0 ? (int)n : found;
}
