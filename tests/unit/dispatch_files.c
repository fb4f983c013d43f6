/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatch_probe.h"

#define FAILS(call, with) ((call) == -1 && errno == (with))

static void leaves_open(void)
{
    char c;
    int pair[2], fd = open("/dev/null", O_RDWR);

    CHECK(fd >= 0 && read(fd, &c, 1) == 0 && dup(fd) >= 0 && dup2(fd, 200) == 200);
    CHECK(fcntl(fd, F_DUPFD, 300) == 300 && fcntl(fd, F_DUPFD_CLOEXEC, 300) == 301);
    CHECK(pipe(pair) == 0 && write(pair[1], "x", 1) == 1 && read(pair[0], &c, 1) == 1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && write(pair[1], "x", 1) == 1);
    CHECK(eventfd(0, 0) >= 0 && epoll_create1(0) >= 0 && memfd_create("m", 0) >= 0);
    CHECK(close(fd) == 0 && FAILS(close(fd), EBADF));
    CHECK(probe_trace()->opened_count > 8);
}

static void closes_inherited(void)
{
    char c;

    CHECK(close(FILE_FD) == 0 && FAILS(close(FILE_FD), EBADF) &&
          FAILS(read(FILE_FD, &c, 1), EBADF));
    CHECK(close(PLAIN_FD) == 0);
    CHECK(dup2(1, FILE_FD) == FILE_FD && dup2(1, SPARE_FD) == SPARE_FD);
    CHECK(fcntl(SPARE_FD, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(probe_trace()->saved_count == 3);
}

static void failing_replacement(void)
{
    char c;

    CHECK(syscall(SYS_dup3, 1, FILE_FD, 0x7000) == -1 && errno == EINVAL);
    CHECK(read(FILE_FD, &c, 1) == 1 && c == '5');
    CHECK(FAILS(dup2(250, FILE_FD), EBADF) && read(FILE_FD, &c, 1) == 1 && c == '6');
}

/* The same where not all that the application opened is known. */
static void failing_replacement_unknown(void)
{
    probe_trace()->flags |= TRACE_FILES;
    failing_replacement();
}

static void uses_of_inherited(void)
{
    CHECK(lseek(FILE_FD, 0, SEEK_SET) == 0 && write(FILE_FD, "AB", 2) == 2);
    CHECK(fcntl(SPARE_FD, F_SETFL, O_APPEND) == 0 && flock(SPARE_FD, LOCK_EX) == 0);
    CHECK(fcntl(PLAIN_FD, F_SETFL, O_NONBLOCK) == 0 && fcntl(PLAIN_FD, F_SETFD, 0) == 0);
}

/* A copy shares the offset and the flags of what it is a copy of. */
static void uses_of_copy(void)
{
    int a = dup(FILE_FD), b = fcntl(SPARE_FD, F_DUPFD, 0);

    CHECK(a >= 0 && b >= 0 && lseek(a, 1, SEEK_SET) == 1 && fcntl(b, F_SETFL, O_APPEND) == 0);
    CHECK(close(a) == 0);
}

/* … and so does that of a forked process. */
static void uses_in_fork(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(lseek(FILE_FD, 1, SEEK_SET) == 1 && fcntl(SPARE_FD, F_SETFL, O_APPEND) == 0 ? 0 : 1);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void names_roots(void)
{
    static const int roots[] = {ROOT_FD, ROOT_CONN, ROOT_STASH, ROOT_EPOLL, ROOT_PIDFD};
    struct epoll_event e = {.events = EPOLLIN};
    unsigned i;
    int n, ep = epoll_create1(0);
    char c;

    for (i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        int fd = roots[i];
        CHECK(FAILS(read(fd, &c, 1), EBADF) && FAILS(write(fd, "x", 1), EBADF));
        CHECK(FAILS(pread(fd, &c, 1, 0), EBADF) && FAILS(close(fd), EBADF));
        CHECK(FAILS(dup(fd), EBADF) && FAILS(dup2(fd, 200), EBADF));
        CHECK(FAILS(fcntl(fd, F_DUPFD, 0), EBADF) && FAILS(fcntl(fd, F_SETFD, 0), EBADF));
        CHECK(FAILS(dup2(1, fd), EBUSY) && FAILS(ioctl(fd, FIONBIO, &n), EBADF));
        CHECK(FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), EBADF));
        CHECK(FAILS(epoll_wait(fd, &e, 1, 0), EBADF));
        CHECK(FAILS(epoll_pwait(fd, &e, 1, 0, NULL), EBADF));
        CHECK(FAILS(send(fd, "x", 1, 0), EBADF) && FAILS(accept(fd, NULL, NULL), EBADF));
        CHECK(mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EBADF);
        CHECK(FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), EBADF));
        CHECK(FAILS(syscall(SYS_pidfd_getfd, fd, 0, 0), EBADF));
    }
}

static void names_roots_unknown(void)
{
    probe_trace()->flags |= TRACE_FILES;
    names_roots();
}

static void closes_all(void)
{
    CHECK(open("/dev/null", O_RDONLY) >= 0);
    CHECK(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && close_range(3, ~0u, 0) == 0);
    CHECK(!probe_is_open(FILE_FD) && !probe_is_open(SPARE_FD));
    CHECK(probe_is_open(2));
}

static void inherit_many(void)
{
    int fd;

    for (fd = MANY_FD; fd < MANY_FD + 40; fd++) {
        CHECK(dup2(SPARE_FD, fd) == fd);
        probe_inherit(fd);
    }
}

static void closes_many(void)
{
    int fd;

    for (fd = MANY_FD; fd < MANY_FD + 40; fd++)
        CHECK(close(fd) == 0 && !probe_is_open(fd));
}

static void opens_many(void)
{
    int i, fd, top = 0;

    for (i = 0; i < TRACE_OPENED + 20; i++) {
        fd = open("/dev/null", O_RDONLY);
        CHECK(fd >= 0);
        top = fd > top ? fd : top;
    }
    CHECK(close(top) == 0 && !probe_is_open(top));
}

/* glibc makes the second end with an ioctl. */
static void pseudo_terminal(void)
{
    int master, slave;
    char c;

    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    CHECK(write(slave, "x", 1) == 1 && read(master, &c, 1) == 1 && c == 'x');
}

/* Calls whose result looks like a descriptor and is none. */
static void no_descriptors(void)
{
    CHECK(syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= -1);
    CHECK(syscall(SYS_bpf, 0xffff, NULL, 0) == -1);
    CHECK(probe_trace()->opened_count == 0);
}

static char fifo[] = "/tmp/dispatch-probe-fifo-XXXXXX/f";

static void make_fifo(void)
{
    char *slash = strrchr(fifo, '/');

    *slash = 0;
    CHECK(mkdtemp(fifo));
    *slash = '/';
    CHECK(mkfifo(fifo, 0600) == 0);
}

static void remove_fifo(void)
{
    unlink(fifo);
    *strrchr(fifo, '/') = 0;
    rmdir(fifo);
}

static void on_alarm(int number)
{
    (void)number;
}

static void waits_for_fifo(void)
{
    struct sigaction a = {.sa_handler = on_alarm};
    struct itimerval soon = {.it_value.tv_usec = 20000};

    CHECK(sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(FAILS(open(fifo, O_RDONLY), EINTR));
}

static void writes_memory_file(void)
{
    CHECK(open("/proc/self/mem", O_RDONLY) >= 0 && probe_trace()->flags == 0);
    CHECK(open("/proc/self/mem", O_RDWR) >= 0);
}

static void writes_dump_filter(void)
{
    CHECK(open("/proc/self/coredump_filter", O_WRONLY) >= 0);
}

/* The kernel gives it to all that share the memory: to the root as well. */
static void writes_oom_score(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);

    CHECK(fd >= 0 && write(fd, "500", 3) == 3);
}

static void receives(void)
{
    char buf[1], control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {buf, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *h;
    int pair[2], fd;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    m.msg_controllen = sizeof control;
    h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &(int){FILE_FD}, sizeof(int));
    CHECK(sendmsg(pair[0], &m, 0) == 1 && recvmsg(pair[1], &m, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    CHECK(fd != FILE_FD && pread(fd, buf, 1, 0) == 1 && buf[0] == '0');
}

/* What a copy of the process holds. */
static void roots_stay_behind(int opened)
{
    pid_t pid = fork();
    int status;

    CHECK(pid >= 0);
    if (pid == 0) {
        int fd;
        for (fd = ROOT_FD; fd < ROOT_END; fd++)
            if (probe_is_open(fd))
                _exit(fd);
        _exit(probe_is_open(FILE_FD) && probe_is_open(opened) ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    errno = WEXITSTATUS(status); /* shown where it does not hold */
    CHECK(status == 0);
}

static void forks(void)
{
    roots_stay_behind(open("/dev/null", O_RDONLY));
}

static void forks_after_receiving(void)
{
    const struct trace *t = probe_trace();
    int fd;

    receives();
    roots_stay_behind(open("/dev/null", O_RDONLY));
    for (fd = 0; fd < TOP_FD; fd++)
        CHECK((int)(t->roots[fd / 64] >> fd % 64 & 1) == keep_owns_fd(probe_keep(), fd));
}

/* Attempts to learn what the kernel has, with pointers to nothing. */
static void wild_pointers(void)
{
    void *wild = (void *)8;
    struct msghdr *none = wild;

    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0L), EINVAL));
    CHECK(FAILS(syscall(SYS_openat2, AT_FDCWD, "/", wild, 24L), EFAULT));
    CHECK(FAILS(recvmsg(PLAIN_FD, none, MSG_DONTWAIT), EFAULT));
}

enum { FORKED = TRACE_TASK | TRACE_SCAN | TRACE_CHILDREN };

const struct probe_case cases_files[] = {
    {"leaves_open", leaves_open, .flags = 0},
    {"closes_inherited", closes_inherited, .flags = 0},
    {"failing_replacement", failing_replacement, .flags = 0},
    {"failing_replacement_unknown", failing_replacement_unknown, .flags = TRACE_FILES},
    {"uses_of_inherited", uses_of_inherited, .flags = 0},
    {"uses_of_copy", uses_of_copy, .flags = 0},
    {"uses_in_fork", uses_in_fork, .flags = FORKED},
    {"names_roots", names_roots, .flags = 0, .may = TRACE_FILES},
    {"names_roots_unknown", names_roots_unknown, .flags = TRACE_FILES},
    {"closes_all", closes_all, .flags = 0},
    {"closes_many", closes_many, .flags = TRACE_WHOLE, .how = NO_UNDO, .before = inherit_many},
    {"opens_many", opens_many, .flags = TRACE_FILES},
    {"pseudo_terminal", pseudo_terminal, .flags = 0},
    {"no_descriptors", no_descriptors, .flags = 0, .may = TRACE_TASK | TRACE_FILES},
    {"waits_for_fifo", waits_for_fifo, .flags = TRACE_TASK | TRACE_FILES, .before = make_fifo,
     .after = remove_fifo},
    {"writes_memory_file", writes_memory_file, .flags = TRACE_TASK | TRACE_SCAN},
    {"writes_dump_filter", writes_dump_filter, .flags = TRACE_WHOLE},
    {"writes_oom_score", writes_oom_score, .flags = TRACE_WHOLE},
    {"receives", receives, .flags = TRACE_FILES},
    {"forks", forks, .flags = FORKED},
    {"forks_after_receiving", forks_after_receiving, .flags = FORKED | TRACE_FILES},
    {"wild_pointers_files", wild_pointers, .flags = 0, .may = TRACE_FILES},
    {.name = NULL},
};
