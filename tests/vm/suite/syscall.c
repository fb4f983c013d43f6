/* SPDX-License-Identifier: MIT */
/* System calls made for another lwC. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "performed.h"
#include "refused.h"
#include "steps.h"
#include "world.h"

/* Memory of the kind that is named is the target's, and otherwise the caller's. */
TEST(syscall_in_memory)
{
    char *page = private_pages(1);
    struct lwc_create c;
    int pipe[2];
    char got[8];

    MUST(pipe2(pipe, O_NONBLOCK));
    strcpy(page, "before");
    if (make(&c, LWC_MAY_RETURN)) {
        strcpy(page, "other");
        back(&c, 0);
        CHECK(!strcmp(page, "third"));
        finish(&c, 1);
    }
    enter(c.fd, 0);
    strcpy(page, "mine");
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_write, WORDS(pipe[1], (uintptr_t)page, 6)), 6);
    CHECK_EQ(MUST(read(pipe[0], got, sizeof(got))), 6);
    CHECK(!strcmp(got, "other"));
    CHECK_EQ(for_other(c.fd, IN_FILES, SYS_write, WORDS(pipe[1], (uintptr_t)page, 5)), 5);
    CHECK_EQ(MUST(read(pipe[0], got, sizeof(got))), 5);
    CHECK(!strcmp(got, "mine"));
    MUST(write(pipe[1], "third", 6));
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_read, WORDS(pipe[0], (uintptr_t)page, 6)), 6);
    CHECK(!strcmp(page, "mine"));
    CHECK_EQ(enter(c.fd, 0), 1);
}

/* Mappings are made and undone in the target's memory. */
TEST(syscall_maps_in_memory)
{
    struct lwc_create c;
    long at;

    if (make(&c, LWC_MAY_RETURN)) {
        char *there = (char *)c.args[0];

        for (__u64 word = 1;; word++) {
            there[5] = 'x';
            there = (char *)back(&c, word);
        }
    }
    at = for_other(c.fd, IN_MEMORY, SYS_mmap,
                   WORDS(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(at > 0);
    CHECK(!is_mapped((void *)at));
    CHECK_EQ(enter(c.fd, at), 1);
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_munmap, WORDS(at, 4 * PAGE)), 0);
    CHECK(!is_mapped((void *)at));
}

/* Descriptors are those of the target, also new and closed ones. */
TEST(syscall_in_files)
{
    struct lwc_create c;
    int pipe[2], opened;

    MUST(pipe2(pipe, O_NONBLOCK));
    MUST(dup2(pipe[0], 41));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(fcntl(40, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(fcntl(41, F_GETFD), -1);
        CHECK(fcntl(c.args[0], F_GETFD) >= 0);
        finish(&c, 1);
    }
    CHECK_EQ(for_other(c.fd, IN_FILES, SYS_dup3, WORDS(pipe[1], 40, O_CLOEXEC)), 40);
    CHECK_EQ(fcntl(40, F_GETFD), -1);
    CHECK_EQ(for_other(c.fd, IN_FILES, SYS_close, WORDS(41)), 0);
    CHECK(fcntl(41, F_GETFD) >= 0);
    opened = for_other(c.fd, IN_FILES, SYS_open, WORDS((uintptr_t)"/proc/self/stat", O_RDONLY));
    CHECK(opened >= 0);
    CHECK_EQ(enter(c.fd, opened), 1);
    /* Without the kind it is opened here. */
    opened = for_other(c.fd, IN_MEMORY, SYS_open, WORDS((uintptr_t)"/proc/self/stat", O_RDONLY));
    CHECK(fcntl(opened, F_GETFD) >= 0);
}

/* Credentials are the target's, and only for the call. */
TEST(syscall_in_credentials)
{
    struct lwc_create c;
    struct stat status;
    int fd;

    MUST(mkdir("/tmp/c", 0777));
    MUST(chmod("/tmp/c", 0777));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(setresgid(1001, 1001, 1001));
        MUST(setresuid(1000, 1000, 1000));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(for_other(c.fd, IN_CREDENTIALS, SYS_getuid, WORDS(0)), 1000);
    CHECK_EQ(for_other(c.fd, IN_CREDENTIALS, SYS_getegid, WORDS(0)), 1001);
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_getuid, WORDS(0)), 0);
    fd = for_other(c.fd, IN_CREDENTIALS, SYS_open,
                   WORDS((uintptr_t)"/tmp/c/file", O_CREAT | O_RDWR, 0600));
    MUST(fstat(fd, &status));
    CHECK_EQ(status.st_uid, 1000);
    CHECK_EQ(for_other(c.fd, IN_CREDENTIALS, SYS_chmod, WORDS((uintptr_t)"/tmp/c", 0700)), -EPERM);
    CHECK_EQ(for_other(c.fd, IN_MEMORY | IN_FILES, SYS_chmod, WORDS((uintptr_t)"/tmp/c", 0700)), 0);
    CHECK_EQ(getuid(), 0);
    CHECK_EQ(geteuid(), 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
}

/* Where both share their credentials the target's are the caller's. */
TEST(syscall_in_shared_credentials)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS)))
        finish(&c, 0);
    MUST(setresuid(1000, 1000, 0));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_getuid, WORDS(0)), 1000);
    CHECK_EQ(getuid(), 1000);
}

/* A shared table is the same for both. */
TEST(syscall_in_shared_files)
{
    struct lwc_create c;
    int fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES)))
        finish(&c, 0);
    fd = for_other(c.fd, IN_FILES, SYS_dup, WORDS(DOOR));
    CHECK_EQ(MUST(fcntl(fd, F_GETFD)), 0);
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_close, WORDS(fd)), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

/* Closing descriptors of lwCs for another destroys none, be it the target itself. */
TEST(syscall_closes_names)
{
    struct lwc_create c, d;

    if (make(&c, 0) || make(&d, LWC_MAY_RETURN))
        FAIL("entered");
    CHECK_EQ(for_other(d.fd, IN_FILES, SYS_close, WORDS(c.fd)), 0);
    CHECK_EQ(info(c.fd).contexts, 3);
    CHECK_EQ(for_other(d.fd, IN_FILES, SYS_close, WORDS(DOOR)), 0);
    CHECK_EQ(for_other(d.fd, IN_FILES, SYS_close, WORDS(DOOR)), -EBADF);
    CHECK_EQ(info(c.fd).contexts, 3);
}

/* The door itself may be closed meanwhile. */
TEST(syscall_closes_the_door)
{
    struct lwc_create c;
    __s64 result;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES)))
        FAIL("entered");
    CHECK_OK(lwc_syscall(c.fd, IN_FILES, SYS_close, WORDS(DOOR), &result));
    CHECK_EQ(result, 0);
    CHECK_EQ(fcntl(DOOR, F_GETFD), -1);
}

/* All errors of the call, in their order. */
TEST(syscall_errors)
{
    static const long unsupported[] = {
        SYS_ioctl,           SYS_fork,       SYS_vfork,  SYS_clone, SYS_clone3,
        SYS_execve,          SYS_exit,       SYS_setuid, SYS_prctl, SYS_io_uring_enter,
        SYS_ptrace,          SYS_exit_group, SYS_ppoll,  SYS_chdir, SYS_rt_sigreturn,
        SYS_restart_syscall, SYS_seccomp,    511,        512,       1 << 30,
    };
    struct lwc_create c, d, snapshot;
    __s64 result;
    int stale;

    CHECK_ERRNO(lwc_syscall(LWC_FD_SELF, IN_MEMORY, SYS_getuid, WORDS(0), &result), EBADF);
    if (make(&c, 0) || make(&d, 0) || make(&snapshot, SNAPSHOT))
        FAIL("entered");
    for (size_t n = 0; n < sizeof(unsupported) / sizeof(*unsupported); n++)
        CHECK_ERRNO(lwc_syscall(c.fd, IN_MEMORY, unsupported[n], WORDS(0), &result), ENOSYS);
    CHECK_EQ((int)result, JUNK_WORD);
    CHECK_ERRNO(lwc_syscall(c.fd, 0, SYS_getuid, WORDS(0), &result), EINVAL);
    CHECK_ERRNO(lwc_syscall(c.fd, 1, SYS_getuid, WORDS(0), &result), EINVAL);
    CHECK_ERRNO(lwc_syscall(c.fd, IN_ALL << 1, SYS_getuid, WORDS(0), &result), EINVAL);
    CHECK_ERRNO(lwc_syscall(DOOR, IN_ALL, SYS_getuid, WORDS(0), &result), EINVAL);
    CHECK_ERRNO(lwc_syscall(99, IN_ALL, SYS_getuid, WORDS(0), &result), EBADF);
    CHECK_ERRNO(lwc_syscall(LWC_FD_SELF, IN_ALL, SYS_getuid, WORDS(0), &result), EBUSY);
    CHECK_ERRNO(lwc_syscall(LWC_FD_ROOT, IN_ALL, SYS_getuid, WORDS(0), &result), EBUSY);
    CHECK_ERRNO(lwc_syscall(snapshot.fd, IN_ALL, SYS_getuid, WORDS(0), &result), EROFS);
    stale = MUST(dup(d.fd));
    MUST(close(d.fd));
    CHECK_ERRNO(lwc_syscall(stale, IN_ALL, SYS_getuid, WORDS(0), &result), ESTALE);
}

/* The right is needed, and a descriptor whose mask allows all of the kind. */
TEST(syscall_needs_the_right)
{
    struct lwc_restrict narrow = {.flags = LWC_RESTRICT_COPY};
    const struct lwc_spec files = SHARED_FILES;
    struct lwc_create c, d;
    __s64 result;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_ERRNO(lwc_syscall(c.fd, IN_MEMORY, SYS_getuid, WORDS(0), &result), EACCES);
        CHECK_ERRNO(lwc_syscall(LWC_FD_ROOT, IN_MEMORY, SYS_getuid, WORDS(0), &result), EACCES);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
    narrow.fd = c.fd;
    narrow.nspecs = 1;
    narrow.specs = (uintptr_t)&files;
    CHECK_OK(lwc_call(LWC_IOC_RESTRICT, &narrow));
    CHECK_EQ(for_other(narrow.restricted, IN_FILES, SYS_dup, WORDS(DOOR)) >= 0, true);
    CHECK_ERRNO(lwc_syscall(narrow.restricted, IN_MEMORY, SYS_getuid, WORDS(0), &result), EACCES);
    CHECK_ERRNO(lwc_syscall(narrow.restricted, IN_ALL, SYS_getuid, WORDS(0), &result), EACCES);
    if (make_with(&d, LWC_MAY_RETURN,
                  SPECS({LWC_FILES, LWC_UNMAP | LWC_MAY_ACCESS, 200, LWC_ALL},
                        {LWC_CREDENTIALS, LWC_SHARE | LWC_MAY_ACCESS, 0, LWC_ALL}))) {
        CHECK_ERRNO(lwc_syscall(d.fd, IN_FILES, SYS_getuid, WORDS(0), &result), EACCES);
        CHECK_EQ(for_other(d.fd, IN_CREDENTIALS, SYS_getuid, WORDS(0)), 0);
        finish(&d, 2);
    }
    CHECK_EQ(enter(d.fd, 0), 2);
}

/* A thread with a seccomp filter is refused: the filter would not see the call. */
TEST(syscall_past_no_filter)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    struct lwc_create c;
    __s64 result;

    if (make(&c, 0))
        FAIL("entered");
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_getuid, WORDS(0)), 0);
    if (SYS(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) == -ENOSYS)
        test_skip("seccomp");
    CHECK_ERRNO(lwc_syscall(c.fd, IN_ALL, SYS_getuid, WORDS(0), &result), EOPNOTSUPP);
}

/* What is refused to an lwC it does not get by way of another. */
TEST(syscall_past_no_trap)
{
    struct lwc_create c, d;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        __s64 result = 0;

        if (make(&d, 0))
            FAIL("entered");
        TELLING(lwc_syscall(d.fd, IN_CREDENTIALS, SYS_getppid, WORDS(0), &result));
        TELLING(lwc_syscall(d.fd, IN_CREDENTIALS, SYS_getpid, WORDS(0), &result));
        TELLING(result);
    }
    ALLOW(c.fd, SYS_ioctl, SYS_getpid);
    CHECK_EQ((long)told(c.fd, 0, 0), -EACCES);
    CHECK_EQ(told(c.fd, 0, 0), 0);
    CHECK_EQ(told(c.fd, 0, 0), getpid());
}

static volatile int alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void alarm_soon(int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval soon = {{0, 0}, {0, 100000}};

    MUST(sigaction(SIGALRM, &action, NULL));
    MUST(setitimer(ITIMER_REAL, &soon, NULL));
}

/* A call that waits ends when a signal comes, which is taken in the caller. */
TEST(syscall_interrupted)
{
    struct timespec second = {1, 0}, *there = private_pages(1);
    struct pollfd *poll_there = private_pages(1);
    struct lwc_create c;
    int pipe[2];
    __s64 result;

    MUST(pipe2(pipe, 0));
    *there = second;
    *poll_there = (struct pollfd){pipe[0], POLLIN, 0};
    if (make(&c, LWC_MAY_RETURN))
        FAIL("entered");
    alarm_soon(0);
    CHECK_ERRNO(lwc_syscall(c.fd, IN_ALL, SYS_read, WORDS(pipe[0], (uintptr_t)there, 1), &result),
                EINTR);
    CHECK_EQ(alarms, 1);
    alarm_soon(0);
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_nanosleep, WORDS((uintptr_t)there, (uintptr_t)there)),
             -EINTR);
    CHECK_EQ(alarms, 2);
    CHECK_EQ(there->tv_sec, 1); /* what remains was written there, not here */
    alarm_soon(SA_RESTART);
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_poll, WORDS((uintptr_t)poll_there, 1, 1000)), -EINTR);
    CHECK_EQ(alarms, 3);
}

/* With SA_RESTART, or without a handler, a read is begun again. */
TEST(syscall_restarted)
{
    char *page = private_pages(1);
    struct lwc_create c;
    int pipe[2];
    pid_t pid;

    MUST(pipe2(pipe, 0));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(*page, 'y');
        finish(&c, 1);
    }
    alarm_soon(SA_RESTART);
    pid = fork_process();
    if (!pid) {
        usleep(patience(300000));
        MUST(write(pipe[1], "y", 1));
        _exit(0);
    }
    CHECK_EQ(for_other(c.fd, IN_ALL, SYS_read, WORDS(pipe[0], (uintptr_t)page, 1)), 1);
    CHECK_EQ(alarms, 1);
    CHECK_EQ(*page, 0);
    CHECK_EQ(ending(pid), 0);
    CHECK_EQ(enter(c.fd, 0), 1);
}

/* Who is killed in a call for another leaves nothing. */
TEST(syscall_killed)
{
    struct live before = live();

    for (int round = 0; round < 10; round++) {
        pid_t pid = fork_process();

        if (!pid) {
            struct lwc_create c;
            int pipe[2];

            MUST(pipe2(pipe, 0));
            if (make(&c, LWC_MAY_RETURN))
                FAIL("entered");
            for_other(c.fd, round % 2 ? IN_ALL : IN_MEMORY, SYS_read,
                      WORDS(pipe[0], (uintptr_t)&pipe, 1));
            FAIL("read");
        }
        usleep(3000 * (round + 1));
        MUST(kill(pid, SIGKILL));
        CHECK_EQ(ending(pid), 128 + SIGKILL);
    }
    CHECK(dies_down_to(before));
}

/* Meanwhile others see the credentials of the caller, and are refused what they were. */
TEST(syscall_seen_from_outside)
{
    struct lwc_create c;
    int pipe[2];
    pid_t pid;

    MUST(pipe2(pipe, 0));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(setresuid(1000, 1000, 1000));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    pid = fork_process();
    if (!pid) {
        char path[64], byte;

        snprintf(path, sizeof(path), "/proc/%d/environ", getppid());
        usleep(patience(100000));
        MUST(setresuid(1000, 1000, 1000));
        byte = open(path, O_RDONLY) < 0 && errno == EACCES ? 'y' : 'n';
        MUST(write(pipe[1], &byte, 1));
        _exit(0);
    }
    CHECK_EQ(for_other(c.fd, IN_CREDENTIALS, SYS_read, WORDS(pipe[0], (uintptr_t)pipe, 1)), 1);
    CHECK_EQ(*(char *)pipe, 'y');
    CHECK_EQ(ending(pid), 0);
}

/* The reference monitor: it looks at each call of the lwC, and makes those it allows as the lwC. */
TEST(syscall_of_a_monitor)
{
    char *path = private_pages(1), *bytes = private_pages(1);
    struct lwc_create c;
    struct lwc_switch s;
    int allowed = 0;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        long fd, count;

        strcpy(path, "/etc/shadow");
        TELLING(raw(SYS_open, (long)path, O_RDONLY, 0, 0, 0, 0));
        strcpy(path, "/proc/self/comm");
        fd = raw(SYS_open, (long)path, O_RDONLY, 0, 0, 0, 0);
        count = raw(SYS_read, fd, (long)bytes, 100, 0, 0, 0);
        TELLING(bytes[count - 1] == '\n' ? count : -1);
    }
    s = first_call(c.fd);
    for (;;) {
        __u64 error = EACCES, value = 0;
        char name[32] = "";
        int pipe[2];

        if (s.args[0] == TELL && (long)s.args[1] == -EACCES)
            error = 0;
        else if (s.args[0] == TELL)
            break;
        if (s.args[0] == SYS_open) {
            MUST(pipe2(pipe, 0));
            CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_write, WORDS(pipe[1], s.args[1], 31)), 31);
            MUST(read(pipe[0], name, 31));
            MUST(close(pipe[0]));
            MUST(close(pipe[1]));
        }
        if (s.args[0] == SYS_read || !strcmp(name, "/proc/self/comm")) {
            value = for_other(c.fd, IN_MEMORY | IN_FILES, s.args[0], s.args + 1);
            error = 0;
            allowed++;
        }
        s = answer(c.fd, error, value);
    }
    CHECK_EQ(allowed, 2);
    CHECK((long)s.args[1] > 1);
}
