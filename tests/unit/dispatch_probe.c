/* SPDX-License-Identifier: MIT */
/*
 * System calls under syscall user dispatch, without the engine: a child that
 * shares this process's memory and descriptors makes calls through the C
 * library, as an application would; what it was answered, what the trace says
 * of it, and what is left after the undo are compared with what must be.
 *
 *   dispatch_probe          names the cases
 *   dispatch_probe NAME     runs one; 0, or 1 and the line that does not hold
 *   dispatch_probe --cost   nanoseconds of a call that is seen, and of one that is not
 */
#include "dispatch_probe.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch.h"
#include "image.h"
#include "sys.h"
#include "undo.h"
#include "unshare.h"

enum { STACK = 1 << 20, ALTSTACK = 256 * 1024, PAGE = 4096 };

struct open_file {
    int exists, fd_flags, flags;
    off_t offset;
    dev_t dev;
    ino_t ino;
};

static struct open_file files_before[TOP_FD], files_now[TOP_FD];
static struct mapping maps_now[IMAGE_MAPPINGS];
static uint64_t break_before;
static void *stack, *altstack;
static const struct probe_case *running;
char *probe_frozen;

void probe_fail(const char *file, int line, const char *what)
{
    const char *base = strrchr(file, '/');

    dprintf(2, "%s: %s:%d: %s (errno %d; flags %x)\n", running->name, base ? base + 1 : file, line,
            what, errno, keep_inbox->trace->flags);
    _exit(1);
}

struct trace *probe_trace(void)
{
    return keep_inbox->trace;
}

struct keep *probe_keep(void)
{
    return keep_inbox->keep;
}

int probe_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

uint64_t probe_break(void)
{
    return (uint64_t)SYS(SYS_brk, 0, 0, 0, 0, 0, 0);
}

/* The engine's hook; the root's half of it is tested with the engine. */
int rewind_unshare(struct keep *k, struct inbox *in)
{
    long ret = SYS(SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0);

    (void)k;
    if (!ret)
        in->trace->flags |= TRACE_UNSHARED;
    return (int)ret;
}

static void skip(struct image *im, const void *at, size_t len)
{
    im->skipped[im->skipped_count].start = (uint64_t)at - PAGE;
    im->skipped[im->skipped_count].end =
        ((uint64_t)at + len + 2 * PAGE - 1) & ~(uint64_t)(PAGE - 1);
    im->skipped_count++;
}

void probe_inherit(int fd)
{
    struct frozen *f = &keep_inbox->frozen;
    struct own_file *own = &f->files[f->file_count++];
    off_t at = lseek(fd, 0, SEEK_CUR);

    own->fd = fd;
    own->flags = fcntl(fd, F_GETFL);
    own->fd_flags = fcntl(fd, F_GETFD);
    own->offset = at;
    own->reopen = at >= 0;
}

static void move(int from, int to, int flags)
{
    CHECK(from >= 0 && dup3(from, to, flags) == to);
    close(from);
}

static int temporary(void)
{
    char path[] = "/tmp/dispatch-probe-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0 && unlink(path) == 0 && write(fd, "0123456789", 10) == 10);
    return fd;
}

static void open_files(struct keep *k)
{
    int pair[2], i;

    for (i = 0; i < 3; i++)
        probe_inherit(i);
    move(temporary(), FILE_FD, 0);
    CHECK(lseek(FILE_FD, OFFSET, SEEK_SET) == OFFSET);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    move(pair[0], PLAIN_FD, O_CLOEXEC);
    close(pair[1]);
    move(temporary(), SPARE_FD, 0);
    for (i = FILE_FD; i <= SPARE_FD; i++)
        probe_inherit(i);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    move(pair[0], ROOT_FD, O_CLOEXEC);
    move(pair[1], ROOT_CONN, O_CLOEXEC);
    move(memfd_create("stash", MFD_CLOEXEC), ROOT_STASH, O_CLOEXEC);
    CHECK(write(ROOT_STASH, "another request", 15) == 15);
    move((int)sys_epoll_create(0), ROOT_EPOLL, O_CLOEXEC);
    move((int)sys_pidfd_open(getpid()), ROOT_PIDFD, O_CLOEXEC);
    k->cfg.listener_count = 1;
    k->cfg.listeners[0] = ROOT_FD;
    k->conns[ROOT_CONN].state = CONN_READING;
    k->conns[ROOT_CONN].stash = ROOT_STASH;
    k->top_fd = ROOT_CONN;
    k->epoll = ROOT_EPOLL;
    k->own[0] = ROOT_PIDFD;
    for (i = ROOT_REST; i < ROOT_END; i++)
        move(eventfd(0, EFD_CLOEXEC), i, O_CLOEXEC);
    k->signals = ROOT_REST;
    k->wake = ROOT_REST + 1;
    k->cfg.events_fd = ROOT_REST + 2;
    k->cfg.access_log_fd = ROOT_REST + 3;
    k->cfg.queue_send = ROOT_REST + 4;
    k->cfg.queue_recv = ROOT_REST + 5;
    k->rq.wire = -1;
}

static void *map(size_t len, int flags)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

    CHECK(at != MAP_FAILED);
    return at;
}

static void set_up(void)
{
    static const struct lw_settings cfg = {.engine = ENGINE_REWIND,
                                           .max_params = 4096,
                                           .events_fd = -1,
                                           .access_log_fd = -1,
                                           .queue_send = -1,
                                           .queue_recv = -1};
    struct image *im;
    struct keep *k;
    int i;

    CHECK(close_range(3, ~0u, 0) == 0);
    CHECK(keep_map(&cfg) == 0);
    k = keep_inbox->keep;
    im = (struct image *)keep_map_guarded(sizeof *im, MAP_PRIVATE);
    keep_inbox->trace = (struct trace *)keep_map_guarded(sizeof(struct trace), MAP_PRIVATE);
    im->uffd = im->pagemap = -1;
    k->image = im;
    skip(im, k, k->size);
    skip(im, keep_inbox, keep_inbox->size);
    skip(im, im, sizeof *im);
    skip(im, keep_inbox->trace, sizeof(struct trace));
    stack = map(STACK, MAP_NORESERVE);
    altstack = map(ALTSTACK, 0);
    map(PAGE, 0); /* a neighbour, so that what is mapped next stands alone */
    probe_frozen = map(FROZEN_PAGES * PAGE, 0);
    for (i = 0; i < FROZEN_PAGES; i++)
        probe_frozen[i * PAGE] = (char)(i + 1);
    open_files(k);
}

static void look(struct open_file *f)
{
    struct stat st;
    int fd;

    memset(f, 0, TOP_FD * sizeof *f);
    for (fd = 0; fd < TOP_FD; fd++, f++) {
        f->fd_flags = fcntl(fd, F_GETFD);
        f->exists = f->fd_flags >= 0;
        if (!f->exists || fstat(fd, &st))
            continue;
        f->flags = fcntl(fd, F_GETFL);
        f->offset = fd > 2 ? lseek(fd, 0, SEEK_CUR) : 0;
        f->dev = st.st_dev;
        f->ino = st.st_ino;
    }
}

static int child(void *arg)
{
    const struct probe_case *c = arg;

    keep_inbox->pid = (int)SYS(SYS_getpid, 0, 0, 0, 0, 0, 0);
    CHECK(dispatch_on(altstack, ALTSTACK) == 0);
    c->run();
    SYS(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    return 0;
}

static int serve(const struct probe_case *c)
{
    int status = 0;
    pid_t pid = clone(child, (char *)stack + STACK, CLONE_VM | CLONE_FILES | SIGCHLD, (void *)c);

    CHECK(pid > 0);
    /* Not through the C library: the child may have left its locks taken. */
    CHECK(SYS(SYS_wait4, pid, &status, __WALL, 0, 0, 0) == pid);
    return status;
}

static void undo_twice(const struct probe_case *c)
{
    struct image *im = keep_inbox->keep->image;
    int i, fd;
    long n;

    for (i = 0; i < 2; i++) {
        CHECK(undo_descriptors(keep_inbox) == 0);
        CHECK(undo_mappings(keep_inbox->keep, keep_inbox) == 0);
        CHECK(undo_protection(keep_inbox->keep, keep_inbox) == 0);
    }
    look(files_now);
    for (fd = 0; fd < TOP_FD; fd++)
        if (memcmp(&files_before[fd], &files_now[fd], sizeof files_now[fd]) != 0 &&
            /* Where the list of those opened is not complete, the engine looks for leaked ones. */
            !(c->flags & TRACE_FILES && files_now[fd].exists && !files_before[fd].exists)) {
            dprintf(2, "descriptor %d: %s -> %s, offset %ld -> %ld, flags %x -> %x\n", fd,
                    files_before[fd].exists ? "open" : "closed",
                    files_now[fd].exists ? "open" : "closed", (long)files_before[fd].offset,
                    (long)files_now[fd].offset, (unsigned)files_before[fd].flags,
                    (unsigned)files_now[fd].flags);
            CHECK(!"descriptors are as they were");
        }
    CHECK(probe_break() == break_before);
    if (c->how & MAPS_LEFT)
        return;
    n = image_list(im, maps_now);
    CHECK(n == im->count);
    CHECK(memcmp(maps_now, im->frozen, (size_t)n * sizeof maps_now[0]) == 0);
}

static void run(const struct probe_case *c)
{
    struct trace *t;
    struct image *im;
    int status;

    running = c;
    set_up();
    if (c->before)
        c->before();
    t = keep_inbox->trace;
    im = keep_inbox->keep->image;
    CHECK(dispatch_install(t) == 0);
    t->frozen_brk = break_before = probe_break();
    trace_reset(t);
    look(files_before);
    im->count = (uint32_t)image_list(im, im->frozen);
    status = serve(c);
    if (c->how & ENDS) {
        CHECK(status == c->status);
    } else if (status != 0) {
        dprintf(2, "%s: the child ended with status %x\n", c->name, (unsigned)status);
        _exit(1);
    }
    if ((t->flags & ~c->may) != c->flags)
        dprintf(2, "expected flags %x, perhaps %x\n", c->flags, c->may);
    CHECK((t->flags & ~c->may) == c->flags);
    if (c->after)
        c->after();
    if (!(c->how & NO_UNDO))
        undo_twice(c);
    _exit(0);
}

static void cost(void)
{
    enum { ROUNDS = 200000 };
    uint64_t seen = now_ns(), direct;
    int i;

    for (i = 0; i < ROUNDS; i++)
        syscall(SYS_getppid);
    seen = now_ns() - seen;
    direct = now_ns();
    for (i = 0; i < ROUNDS; i++)
        SYS(SYS_getppid, 0, 0, 0, 0, 0, 0);
    direct = now_ns() - direct;
    dprintf(1, "%lu ns seen, %lu ns direct\n", seen / ROUNDS, direct / ROUNDS);
}

int main(int argc, char **argv)
{
    static const struct probe_case costs = {.name = "--cost", .run = cost};
    const struct probe_case *all[] = {cases_files, cases_memory, cases_task, NULL}, **list, *c;

    if (argc == 2 && strcmp(argv[1], costs.name) == 0)
        run(&costs);
    for (list = all; *list; list++)
        for (c = *list; c->name; c++)
            if (argc < 2)
                puts(c->name);
            else if (strcmp(argv[1], c->name) == 0)
                run(c);
    return argc < 2 ? 0 : 2;
}
