/* SPDX-License-Identifier: MIT */
#include "call_files.h"

#include <fcntl.h>
#include <string.h>

#include "text.h"

enum {
    HIGH_FD = 900, /* copies are put where an application hardly looks */
    OFD_SETLK = 37,
    OFD_SETLKW = 38,
    DUPFD_CLOEXEC = 1030,
    NEW_USERFAULTFD = 0xaa00, /* of /dev/userfaultfd */
};

_Static_assert((int)TRACE_FDS >= (int)KEEP_MAX_FD, "the root's descriptors fit into the trace");

/* ioctls that only ask: TCGETS, TIOCGWINSZ, FIONREAD, TIOCGPGRP. */
static int is_question(uint64_t request)
{
    return request == 0x5401 || request == 0x5413 || request == 0x541b || request == 0x540f;
}

/* ioctls that return a descriptor: TIOCGPTPEER (openpty(3) makes it), SIOCGSKNS. */
static int is_opening(uint64_t request)
{
    return request == 0x5441 || request == 0x894c;
}

/* ioctls of terminals and of files in general, sockets, block devices, file
 * systems: but for the above, none returns a descriptor. */
static int is_common(uint64_t request)
{
    uint64_t kind = request >> 8 & 0xff;

    return kind == 'T' || kind == 0x89 || kind == 0x12 || kind == 'f' || kind == 0x94;
}

/* The table is the application's alone, or calls go unseen anyway. */
static int is_private(const struct call *c)
{
    return (c->t->flags & (TRACE_UNSHARED | TRACE_BLIND)) != 0;
}

/* Index into frozen.files of a descriptor that is as it was; -1. */
static int inherited(const struct call *c, int fd)
{
    const struct frozen *f = &c->in->frozen;
    int low = 0, high = f->file_count;

    while (low < high) {
        int mid = (low + high) / 2;
        if (f->files[mid].fd < fd)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == f->file_count || f->files[low].fd != fd || trace_has_saved(c->t, fd))
        return -1;
    return low;
}

static int exists(int fd)
{
    return sys_fcntl(fd, F_GETFD, 0) >= 0;
}

/* Where not every descriptor of the application is known: is this the root's? */
static int is_roots(const struct call *c, int fd)
{
    uint32_t i;

    for (i = 0; i < c->t->saved_count; i++)
        if (c->t->saved[i].copy == fd)
            return 1;
    return keep_owns_fd(c->k, fd);
}

static void note(struct trace *t, int fd)
{
    if (fd >= 0 && fd < TRACE_FDS)
        t->roots[fd / 64] |= 1ull << (fd % 64);
}

void call_note_roots(struct call *c)
{
    const struct keep *k = c->k;
    struct trace *t = c->t;
    uint32_t n;
    int i;

    memset(t->roots, 0, sizeof t->roots);
    if (t->flags & TRACE_UNSHARED) { /* the others' numbers may be the application's by now */
        note(t, k->rq.wire);
        note(t, k->cfg.events_fd);
        return;
    }
    for (i = 0; i <= k->top_fd; i++)
        if (k->conns[i].state != CONN_FREE) {
            note(t, i);
            note(t, k->conns[i].stash);
        }
    for (n = 0; n < t->saved_count; n++)
        note(t, t->saved[n].copy);
    for (i = 0; i < KEEP_OWN; i++)
        note(t, k->own[i]);
    for (i = 0; i < k->cfg.listener_count; i++)
        note(t, k->cfg.listeners[i]);
    note(t, k->epoll);
    note(t, k->signals);
    note(t, k->wake);
    note(t, k->cfg.events_fd);
    note(t, k->cfg.access_log_fd);
    note(t, k->cfg.queue_send);
    note(t, k->cfg.queue_recv);
}

int call_knows(const struct call *c, int fd)
{
    if (is_private(c) || trace_has_opened(c->t, fd) || inherited(c, fd) >= 0)
        return 1;
    return c->t->flags & TRACE_FILES && !is_roots(c, fd);
}

static void touch(struct call *c, int fd, int how)
{
    int i = is_private(c) || trace_has_opened(c->t, fd) ? -1 : inherited(c, fd);

    if (i < 0)
        return;
    c->t->files[i] |= (uint8_t)how;
    c->t->files_touched = 1;
}

static enum verdict use(struct call *c, int i, int how)
{
    int fd = (int)c->arg[i];

    if (!call_knows(c, fd))
        return call_answer(c, -EBADF);
    if (how)
        touch(c, fd, how);
    return CALL_LET;
}

enum verdict call_uses(struct call *c, int i)
{
    return use(c, i, 0);
}

enum verdict call_moves(struct call *c, int i)
{
    return use(c, i, FILE_MOVED);
}

enum verdict call_changes(struct call *c, int i)
{
    return use(c, i, FILE_CHANGED);
}

enum verdict call_opens(struct call *c)
{
    call_make(c);
    if (c->result >= 0 && !is_private(c))
        trace_opened(c->t, (int)c->result);
    return CALL_ANSWERED;
}

/* A copy shares offset, flags and locks with what it is a copy of. */
static enum verdict copies(struct call *c)
{
    touch(c, (int)c->arg[0], FILE_CHANGED);
    return call_opens(c);
}

enum verdict call_opens_of(struct call *c)
{
    if (!call_knows(c, (int)c->arg[0]))
        return call_answer(c, -EBADF);
    return c->nr == SYS_dup ? copies(c) : call_opens(c);
}

enum verdict call_opens_pair(struct call *c, const int *pair)
{
    call_make(c);
    if (c->result == 0 && !is_private(c)) {
        trace_opened(c->t, pair[0]);
        trace_opened(c->t, pair[1]);
    }
    return CALL_ANSWERED;
}

/* --- opening by path ------------------------------------------------------------ */

static int ends_in(const char *s, size_t len, const char *end)
{
    size_t n = strlen(end);

    return len >= n && memcmp(s + len - n, end, n) == 0;
}

/* A file of /proc was opened for writing: what is written there changes the
 * task, or memory behind everybody's back. */
static void opened_proc(struct call *c, int fd)
{
    char path[40], target[256];
    struct text t = {path, path + sizeof path - 1};
    long n;

    text_str(&t, "/proc/self/fd/");
    text_num(&t, (uint64_t)fd);
    *t.at = 0;
    n = SYS(SYS_readlink, path, target, sizeof target, 0, 0, 0);
    if (n < 0 || ends_in(target, (size_t)n, "/coredump_filter") ||
        ends_in(target, (size_t)n, "/clear_refs") ||
        /* given to all that share the memory, so to the root and its next child */
        ends_in(target, (size_t)n, "/oom_score_adj") || ends_in(target, (size_t)n, "/oom_adj"))
        trace_flag(c->t, TRACE_WHOLE, c->nr);
    else
        trace_flag(c->t, TRACE_TASK | TRACE_SCAN, c->nr);
}

/* A FIFO is waited for; the application's signals must reach it meanwhile. */
static int may_wait(int dir, const char *path, uint64_t flags)
{
    struct stat st;

    return !(flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) &&
           SYS(SYS_newfstatat, dir, path, &st, 0, 0, 0) == 0 && S_ISFIFO(st.st_mode);
}

enum verdict call_opens_path(struct call *c)
{
    int has_dir = c->nr == SYS_openat || c->nr == SYS_openat2;
    int dir = has_dir ? (int)c->arg[0] : AT_FDCWD;
    const char *path = (const char *)c->arg[has_dir];
    uint64_t flags;
    struct stat st;

    switch (c->nr) {
    case SYS_open:
        flags = c->arg[1];
        break;
    case SYS_openat:
        flags = c->arg[2];
        break;
    case SYS_creat:
        flags = O_CREAT | O_WRONLY | O_TRUNC;
        break;
    default:
        if (c->arg[3] < 24 || call_reads(c, &flags, c->arg[2], sizeof flags)) /* struct open_how */
            return call_make(c); /* the kernel says what is wrong */
    }
    if (may_wait(dir, path, flags))
        return call_let(c, TRACE_FILES);
    call_opens(c);
    if (c->result >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH) &&
        sys_fstat((int)c->result, &st) == 0 && st.st_dev == c->t->proc_dev)
        opened_proc(c, (int)c->result);
    return CALL_ANSWERED;
}

/* --- closing and replacing ------------------------------------------------------ */

/* Puts a copy of an inherited descriptor away. Returns 0 or -errno. */
static int save(struct call *c, int fd)
{
    struct trace *t = c->t;
    long copy;

    if (t->saved_count == TRACE_SAVED) {
        trace_flag(t, TRACE_WHOLE, c->nr);
        return 0;
    }
    copy = sys_fcntl(fd, DUPFD_CLOEXEC, HIGH_FD);
    if (copy == -EINVAL || copy == -EMFILE)
        copy = sys_fcntl(fd, DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return (int)copy;
    t->saved[t->saved_count].fd = fd;
    t->saved[t->saved_count].copy = (int)copy;
    t->saved_count++;
    return 0;
}

/* It was not replaced after all. */
static void unsave(struct trace *t, uint32_t count)
{
    while (t->saved_count > count)
        sys_close(t->saved[--t->saved_count].copy);
}

static enum verdict close_known(struct call *c, int fd)
{
    int ret;

    if (trace_has_opened(c->t, fd)) {
        trace_closed(c->t, fd);
    } else if (inherited(c, fd) >= 0) {
        ret = save(c, fd);
        if (ret)
            return call_answer(c, ret);
    }
    return call_answer(c, sys_close(fd));
}

enum verdict call_closes(struct call *c)
{
    int fd = (int)c->arg[0];

    if (is_private(c))
        return CALL_LET;
    return call_knows(c, fd) ? close_known(c, fd) : call_answer(c, -EBADF);
}

enum verdict call_closes_range(struct call *c)
{
    enum { CLOEXEC = 4, UNSHARE = 2 };
    const struct frozen *f = &c->in->frozen;
    uint64_t first = (unsigned)c->arg[0], last = (unsigned)c->arg[1], flags = c->arg[2];
    uint32_t i;
    int n;

    if (is_private(c) || first > last || flags & ~(uint64_t)(CLOEXEC | UNSHARE))
        return CALL_LET;
    for (i = c->t->opened_count; i-- > 0;) {
        int fd = c->t->opened[i];
        if ((unsigned)fd < first || (unsigned)fd > last)
            continue;
        if (flags & CLOEXEC) {
            sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
        } else {
            trace_closed(c->t, fd);
            sys_close(fd);
        }
    }
    for (n = 0; n < f->file_count; n++) {
        int fd = f->files[n].fd;
        if ((unsigned)fd < first || (unsigned)fd > last || inherited(c, fd) < 0)
            continue;
        if (flags & CLOEXEC) {
            touch(c, fd, FILE_CHANGED);
            sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
        } else {
            close_known(c, fd);
        }
    }
    if (c->t->flags & TRACE_FILES && !(flags & CLOEXEC))
        trace_flag(c->t, TRACE_TASK, c->nr); /* some may be left that it must not find again */
    return call_answer(c, 0);
}

enum verdict call_duplicates_to(struct call *c)
{
    int from = (int)c->arg[0], to = (int)c->arg[1], ret;
    uint32_t saved = c->t->saved_count;
    enum verdict v;

    if (is_private(c))
        return CALL_LET;
    if (!call_knows(c, from))
        return call_answer(c, -EBADF);
    if (from == to || to < 0)
        return CALL_LET;
    if (!trace_has_opened(c->t, to)) {
        if (inherited(c, to) >= 0) {
            ret = save(c, to);
            if (ret)
                return call_answer(c, ret);
        } else if (!(c->t->flags & TRACE_FILES) ? exists(to) : is_roots(c, to)) {
            /* In use by the root: as if another thread were just opening it. */
            return call_answer(c, -EBUSY);
        }
    }
    v = copies(c);
    if (c->result < 0)
        unsave(c->t, saved);
    return v;
}

enum verdict call_fcntl(struct call *c)
{
    switch ((unsigned)c->arg[1]) {
    case F_DUPFD:
    case DUPFD_CLOEXEC:
        if (!call_knows(c, (int)c->arg[0]))
            return call_answer(c, -EBADF);
        return copies(c);
    case F_GETFD:
    case F_GETFL:
    case F_GETLK:
    case F_GETOWN:
    case F_GETSIG:
        return call_uses(c, 0);
    default:
        return call_changes(c, 0);
    }
}

enum verdict call_ioctl(struct call *c)
{
    uint64_t request = (unsigned)c->arg[1];

    if (request == NEW_USERFAULTFD)
        return call_answer(c, -EPERM);
    if (is_opening(request))
        return call_opens_of(c);
    if (is_question(request))
        return call_uses(c, 0);
    if (!is_common(request))
        c->t->flags |= TRACE_FILES; /* its result may be a descriptor */
    return call_changes(c, 0);
}
