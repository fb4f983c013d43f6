/* SPDX-License-Identifier: MIT */
#include "verify_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sys.h"

enum { LIST = 4096, INFO = 4096, PATH = 64, LOCK_OWNER = 4 };

struct entry { /* struct linux_dirent64 (getdents64(2)) */
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

/* "lock:\t1: POSIX  ADVISORY  WRITE 4711 fe:01:123 0 EOF": neither its place
 * in a list nor the process that took it is part of the state. */
static void put_lock(struct text *t, const char *s, const char *end)
{
    int field = 0;

    text_str(t, ", lock");
    while (s < end) {
        const char *start;

        while (s < end && (*s == ' ' || *s == '\t'))
            s++;
        start = s;
        while (s < end && *s != ' ' && *s != '\t')
            s++;
        /* Fields 0 and 1 are "lock:" and the place. */
        if (s > start && field > 1 && field != LOCK_OWNER + 1) {
            text_str(t, " ");
            note_flat(t, start, (size_t)(s - start));
        }
        field++;
    }
}

/* Which a call has told. */
static int is_known(const char *s)
{
    return !strncmp(s, "pos:", 4) || !strncmp(s, "flags:", 6) || !strncmp(s, "ino:", 4);
}

/* mnt_id, locks, and what this kind of file has beside (proc(5)). */
static int put_info(struct text *t, int fd)
{
    char path[PATH], info[INFO];
    struct text p = {path, path + PATH - 1};
    const char *s = info;
    long n;

    text_str(&p, "/proc/self/fdinfo/");
    text_num(&p, (uint64_t)fd);
    *p.at = 0;
    n = note_read(path, info, sizeof info);
    if (n < 0)
        return (int)n;
    while (*s) {
        const char *end = strchr(s, '\n');

        if (!end)
            end = s + strlen(s);
        if (!strncmp(s, "lock:", 5)) {
            put_lock(t, s, end);
        } else if (!is_known(s)) {
            text_str(t, ", ");
            note_flat(t, s, (size_t)(end - s));
        }
        s = *end ? end + 1 : end;
    }
    return 0;
}

static int put_file(struct text *t, int fd)
{
    struct f_owner_ex owner = {0, 0};
    struct stat st;
    long ret = sys_fstat(fd, &st);

    if (ret)
        return (int)ret;
    text_num(t, (uint64_t)fd);
    text_str(t, ": device ");
    text_num(t, major(st.st_dev));
    text_str(t, ":");
    text_num(t, minor(st.st_dev));
    text_str(t, " inode ");
    text_num(t, st.st_ino);
    text_str(t, " kind ");
    note_hex(t, st.st_mode & S_IFMT);
    text_str(t, ", F_GETFL 0x");
    note_hex(t, (uint64_t)sys_fcntl(fd, F_GETFL, 0));
    text_str(t, ", F_GETFD ");
    note_signed(t, sys_fcntl(fd, F_GETFD, 0));
    text_str(t, ", offset ");
    note_signed(t, sys_lseek(fd, 0, SEEK_CUR));
    sys_fcntl(fd, F_GETOWN_EX, (long)&owner);
    text_str(t, ", owner ");
    note_signed(t, owner.pid);
    text_str(t, ", signal ");
    note_signed(t, sys_fcntl(fd, F_GETSIG, 0));
    text_str(t, ", lease ");
    note_signed(t, sys_fcntl(fd, F_GETLEASE, 0));
    ret = put_info(t, fd);
    text_str(t, "\n");
    return (int)ret;
}

static int fd_of(const char *name)
{
    int fd = 0;

    if (*name < '0' || *name > '9')
        return -1; /* . and .. */
    for (; *name; name++)
        fd = fd * 10 + (*name - '0');
    return fd;
}

static int note_listed(struct note *n, const char *list, long len, int dir, verify_own_fd *is_own,
                       const void *arg)
{
    const struct entry *e;
    long at;
    int ret;

    for (at = 0; at < len; at += e->len) {
        int fd;

        e = (const void *)(list + at);
        fd = fd_of(e->name);
        if (fd < 0 || fd == dir || is_own(arg, fd))
            continue;
        ret = put_file(&n->t, fd);
        if (ret)
            return ret;
    }
    return 0;
}

int descriptors_note(struct note *n, verify_own_fd *is_own, const void *arg)
{
    char list[LIST] __attribute__((aligned(8)));
    long dir = sys_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), len;
    int ret = 0;

    if (dir < 0)
        return (int)dir;
    while (!ret && (len = sys_getdents64((int)dir, list, sizeof list)) != 0)
        ret = len < 0 ? (int)len : note_listed(n, list, len, (int)dir, is_own, arg);
    sys_close((int)dir);
    return ret ? ret : note_is_cut(n) ? -E2BIG : 0;
}
