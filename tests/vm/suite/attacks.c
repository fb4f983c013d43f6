/* SPDX-License-Identifier: MIT */
/* An lwC that tries to read what was not mapped into it, by every way the kernel offers. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbours.h"
#include "refused.h"
#include "steps.h"
#include "world.h"

static const char secret[] = "a secret of the root lwC, and nobody else's";

/* In pages of its own, in the middle of others, so that a part of a mapping is not mapped. */
static char *hidden(void)
{
    char *pages = private_pages(3);

    strcpy(pages + PAGE, secret);
    return pages + PAGE;
}

static bool is_the_secret(const void *bytes)
{
    return !memcmp(bytes, secret, sizeof(secret));
}

/* It cannot be read, nor written, by an instruction. */
TEST(attack_by_instructions)
{
    char *there = hidden();
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        CHECK_EQ(signal_of_read(there), SIGSEGV);
        CHECK_EQ(signal_of_write(there), SIGSEGV);
        CHECK_EQ(signal_of_read(there - 1), 0);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
    CHECK(is_the_secret(there));
}

static long read_by(const char *path, const void *address, void *bytes)
{
    int fd = open(path, O_RDONLY);
    long count = fd < 0 ? -1 : pread(fd, bytes, sizeof(secret), (uintptr_t)address);

    if (fd >= 0)
        close(fd);
    return count;
}

/* It is not in /proc/PID/mem, under whatever name. */
TEST(attack_by_proc_mem)
{
    char *there = hidden(), bytes[64], of_process[64], of_thread[64];
    struct lwc_create c;

    snprintf(of_process, sizeof(of_process), "/proc/%d/mem", getpid());
    snprintf(of_thread, sizeof(of_thread), "/proc/self/task/%ld/mem", syscall(SYS_gettid));
    CHECK_EQ(read_by("/proc/self/mem", there, bytes), sizeof(secret));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        CHECK_EQ(read_by("/proc/self/mem", there, bytes), -1);
        CHECK_EQ(read_by("/proc/thread-self/mem", there, bytes), -1);
        CHECK_EQ(read_by(of_process, there, bytes), -1);
        CHECK_EQ(read_by(of_thread, there, bytes), -1);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
}

/* A system call that is given its address finds nothing there. */
TEST(attack_by_system_calls)
{
    char *there = hidden(), bytes[64];
    struct iovec here = {bytes, sizeof(secret)}, other = {there, sizeof(secret)};
    struct lwc_create c;
    int pipe[2];

    MUST(pipe2(pipe, O_NONBLOCK));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        CHECK_ERRNO(SYS(write(pipe[1], there, sizeof(secret))), EFAULT);
        CHECK_ERRNO(SYS(vmsplice(pipe[1], &other, 1, 0)), EFAULT);
        CHECK_ERRNO(SYS(process_vm_readv(getpid(), &here, 1, &other, 1, 0)), EFAULT);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
}

/* A core dump of the lwC does not hold it. */
TEST(attack_by_core_dump)
{
    int knob = MUST(open("/proc/sys/kernel/core_pattern", O_WRONLY));
    static const char pattern[] = "/tmp/attack-core";
    char *there = hidden();
    struct stat status;
    struct lwc_create c;
    pid_t pid;
    char *core;
    int fd;

    MUST(write(knob, pattern, sizeof(pattern) - 1));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    pid = fork_process();
    if (!pid) {
        MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
        if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE))))
            __builtin_trap();
        enter(c.fd, 0);
    }
    ending(pid);
    fd = MUST(open(pattern, O_RDONLY));
    MUST(fstat(fd, &status));
    core = (char *)MUST(mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0));
    /* The text of it is in the program too, so it is looked for where it would lie. */
    for (char *at = core; (at = memmem(at, core + status.st_size - at, secret, sizeof(secret)));
         at++)
        CHECK((at - core) % PAGE != 0);
    MUST(munmap(core, status.st_size));
}

static int wakes[2];

/* A thread that stays in the root lwC, where the secret is. */
static void *stays(void *tid)
{
    char byte;

    *(pid_t *)tid = syscall(SYS_gettid);
    MUST(write(wakes[1], "", 1));
    read(wakes[0] + 10, &byte, 1);
    return NULL;
}

/* Of a thread that stayed behind it may be read where nothing is refused; not past a trap. */
TEST(attack_by_way_of_a_thread)
{
    char *there = hidden(), *bytes = private_pages(1);
    struct iovec *here = private_pages(1), *other = here + 1;
    struct lwc_create c;
    pthread_t thread;
    int waits[2];
    pid_t tid;
    char byte;

    MUST(pipe2(wakes, 0));
    MUST(pipe2(waits, 0));
    MUST(dup2(waits[0], wakes[0] + 10));
    MUST(-pthread_create(&thread, NULL, stays, &tid));
    MUST(read(wakes[0], &byte, 1));
    *here = (struct iovec){bytes, sizeof(secret)};
    *other = (struct iovec){there, sizeof(secret)};
    if (make_with(&c, LWC_TRAP_SYSCALLS, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        raw(SYS_process_vm_readv, tid, (long)here, 1, (long)other, 1, 0);
        TELLING(is_the_secret(bytes));
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    CHECK_EQ(first_call(c.fd).args[0], SYS_process_vm_readv);
    CHECK_EQ(told(c.fd, EPERM, 0), 0);
    MUST(write(waits[1], "", 1));
    MUST(-pthread_join(thread, NULL));
}

/* What a process that traces this one, stopped, reads there, by a page they share; or the negative
 * errno. */
static long what_a_tracer_reads(const char *there, long *answer)
{
    pid_t self = getpid(), tracer;

    *answer = 1;
    tracer = fork();
    if (!tracer) {
        long word;

        *answer = SYS(ptrace(PTRACE_ATTACH, self, 0, 0));
        if (!*answer)
            waitpid(self, NULL, __WALL);
        errno = 0;
        word = ptrace(PTRACE_PEEKDATA, self, there, 0);
        if (!*answer)
            *answer = errno ? -errno : word;
        ptrace(PTRACE_DETACH, self, 0, 0);
        _exit(0);
    }
    ending(tracer);
    return *answer;
}

/* A tracer reads no memory of an lwC that is not mapped there. */
TEST(attack_by_peeking)
{
    long *answer = shared_pages(1);
    char *there = hidden();
    struct lwc_create c;

    MUST(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)); /* Yama, where it is */
    CHECK_EQ(what_a_tracer_reads(there, answer), *(long *)there);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        CHECK_EQ(what_a_tracer_reads(there, answer), -EIO);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
}

/* A tracer that attached in an lwC does not come along into memory that hides from tracers. */
TEST(attack_by_a_tracer)
{
    char *there = hidden();
    struct lwc_create c;
    struct lwc_switch s;

    MUST(setresuid(1000, 1000, 1000));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        pid_t tracer = attached_tracer();

        CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EPERM);
        end_tracer(tracer);
        finish(&c, 1);
    }
    MUST(prctl(PR_SET_DUMPABLE, 0));
    CHECK_EQ(enter(c.fd, 0), 1);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
}

/* Who is traced makes no call with credentials, or in memory, that the tracer may not follow into.
 */
TEST(attack_by_a_tracer_of_calls)
{
    const __u64 none[6] = {0};
    struct lwc_create user, hiding;
    pid_t tracer;
    __s64 result;

    if (make(&hiding, LWC_MAY_RETURN)) {
        MUST(prctl(PR_SET_DUMPABLE, 0));
        finish(&hiding, 0);
    }
    enter(hiding.fd, 0);
    if (make(&user, 0)) /* of root, as it stays */
        FAIL("entered");
    MUST(setresuid(1000, 1000, 1000));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    tracer = attached_tracer();
    CHECK_ERRNO(lwc_syscall(user.fd, 1u << LWC_CREDENTIALS, SYS_getuid, none, &result), EPERM);
    CHECK_ERRNO(lwc_syscall(hiding.fd, 1u << LWC_MEMORY, SYS_getuid, none, &result), EPERM);
    CHECK_OK(lwc_syscall(user.fd, 1u << LWC_MEMORY, SYS_getuid, none, &result));
    end_tracer(tracer);
    CHECK_OK(lwc_syscall(user.fd, 1u << LWC_CREDENTIALS, SYS_getuid, none, &result));
    CHECK_EQ(result, 0);
}

/* Nor does it map such memory where the tracer can read it. */
TEST(attack_by_a_tracer_of_overlays)
{
    char *there = hidden();
    struct lwc_create c;
    pid_t tracer;

    MUST(setresuid(1000, 1000, 1000));
    MUST(prctl(PR_SET_DUMPABLE, 1));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(prctl(PR_SET_DUMPABLE, 0));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    tracer = attached_tracer();
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, there, PAGE))), EPERM);
    end_tracer(tracer);
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, there, PAGE))));
}
