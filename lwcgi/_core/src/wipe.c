/* SPDX-License-Identifier: MIT */
#include "wipe.h"

#include <fcntl.h>
#include <string.h>

#include "sys.h"

enum { CHUNK = 4096, LINE = 256 };

static uint64_t hex(const char **s)
{
    uint64_t value = 0;

    for (;; ++*s) {
        if (**s >= '0' && **s <= '9')
            value = value << 4 | (uint64_t)(**s - '0');
        else if (**s >= 'a' && **s <= 'f')
            value = value << 4 | (uint64_t)(**s - 'a' + 10);
        else
            return value;
    }
}

struct area {
    uint64_t start, end;
    int writable;
};

/* A line of smaps: "start-end rw-p …" or "VmFlags: rd wr … wf". */
static void line_of(struct area *a, const char *line)
{
    const char *s = line, *flag;
    uint64_t start = hex(&s);

    if (*s == '-' && s > line) {
        s++;
        a->start = start;
        a->end = hex(&s);
        a->writable = s[2] == 'w' && s[4] == 'p';
        return;
    }
    if (strncmp(line, "VmFlags:", 8) || !a->writable)
        return;
    for (flag = line + 8; *flag; flag++)
        if (flag[0] == ' ' && (!strncmp(flag, " wf", 3) || !strncmp(flag, " dp", 3))) {
            memset((void *)a->start, 0, a->end - a->start);
            return;
        }
}

int wipe_marked(void)
{
    char chunk[CHUNK], line[LINE];
    struct area area = {0};
    long fd = sys_open("/proc/self/smaps", O_RDONLY | O_CLOEXEC, 0), n, i;
    size_t len = 0;

    if (fd < 0)
        return (int)fd;
    while ((n = sys_read((int)fd, chunk, sizeof chunk)) > 0) {
        for (i = 0; i < n; i++) {
            if (chunk[i] != '\n') {
                if (len < LINE - 1)
                    line[len++] = chunk[i];
                continue;
            }
            line[len] = 0;
            len = 0;
            line_of(&area, line);
        }
    }
    sys_close((int)fd);
    return (int)n;
}
