/* SPDX-License-Identifier: MIT */
/* A reset puts back what a worker has beside memory, and ends the threads that live there. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* A number for all descriptors, their files and flags. */
static __u64 descriptors(void)
{
    __u64 hash = 0;

    for (int fd = 0; fd < 600; fd++) {
        struct stat status;
        int flags = fcntl(fd, F_GETFD);

        if (flags < 0)
            continue;
        MUST(fstat(fd, &status));
        hash = (hash ^ fd) * 0x100000001b3;
        hash = (hash ^ status.st_ino) * 0x100000001b3;
        hash = (hash ^ flags) * 0x100000001b3;
    }
    return hash;
}

/* Descriptors opened, closed, replaced and marked by a worker are as the snapshot had them. */
TEST(reset_descriptors)
{
    int kept = scratch_file(1), closed = scratch_file(1), replaced = scratch_file(1);
    struct lwc_create c;

    MUST(dup3(kept, 150, 0));
    if (make(&c, SNAPSHOT)) {
        __u64 found = descriptors();

        MUST(close(closed));
        MUST(dup3(kept, replaced, O_CLOEXEC));
        MUST(fcntl(150, F_SETFD, FD_CLOEXEC));
        for (int fd = 200; fd < 500; fd += 1 + c.args[0])
            MUST(dup2(kept, fd));
        finish(&c, found);
    }
    MUST(close(kept)); /* the snapshot's own stays open */
    rounds(c.fd, 4);
}

/* A worker may close everything; its next round has it all. */
TEST(reset_closed_descriptors)
{
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        __u64 found = descriptors();

        for (int fd = 0; fd < 200; fd++) {
            if (fd != DOOR)
                close(fd);
        }
        lwc_switch(LWC_FD_ROOT, 0, (__u64[]){found}, 1, &(struct lwc_switch){0});
        FAIL("entered again");
    }
    rounds(c.fd, 3);
}

static int record_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    return SYS(fcntl(fd, F_SETLK, &lock));
}

/* Record locks of a worker are released, and so are those of files it opened itself. */
TEST(reset_releases_locks)
{
    char path[] = "/tmp/suite-lock";
    int fd = scratch_file(1), file = MUST(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct lwc_create c;
    int worker;

    if (SYS(flock(file, LOCK_EX | LOCK_NB)) < 0)
        test_skip("locks of files (FILE_LOCKING)");
    MUST(flock(file, LOCK_UN));
    if (make(&c, SNAPSHOT)) {
        CHECK_OK(record_lock(fd));
        CHECK_OK(SYS(flock(MUST(open(path, O_RDWR)), LOCK_EX | LOCK_NB)));
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        CHECK_ERRNO(record_lock(fd), EAGAIN);
        CHECK_EQ(SYS(flock(file, LOCK_EX | LOCK_NB)), -EAGAIN);
        reset(worker);
        CHECK(EVENTUALLY(SYS(flock(file, LOCK_EX | LOCK_NB)) == 0));
        MUST(flock(file, LOCK_UN));
        CHECK_OK(record_lock(fd));
        MUST(fcntl(fd, F_SETLK, &(struct flock){.l_type = F_UNLCK, .l_len = 1}));
    }
    MUST(unlink(path));
}

/* The other end of a pipe that a worker made comes to its end with the reset. */
TEST(reset_closes_pipes)
{
    struct lwc_create c;
    int worker, fd;
    char byte;

    unlink("/tmp/suite-fifo");
    MUST(mkfifo("/tmp/suite-fifo", 0600));
    fd = MUST(open("/tmp/suite-fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (make(&c, SNAPSHOT)) {
        MUST(open("/tmp/suite-fifo", O_WRONLY));
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        CHECK_EQ(SYS(read(fd, &byte, 1)), -EAGAIN);
        reset(worker);
        CHECK(EVENTUALLY(SYS(read(fd, &byte, 1)) == 0));
    }
    MUST(unlink("/tmp/suite-fifo"));
}

/* The user, groups and capabilities are the snapshot's; the memory is dumpable as it was. */
TEST(reset_credentials)
{
    struct lwc_create c;

    MUST(setgroups(2, (gid_t[]){10, 11}));
    if (make(&c, SNAPSHOT)) {
        gid_t groups[8];

        CHECK_EQ(getuid(), 0);
        CHECK_EQ(geteuid(), 0);
        CHECK_EQ(getegid(), 0);
        CHECK_EQ(getgroups(8, groups), 2);
        CHECK_EQ(line_number("/proc/thread-self/status", "Uid:"), 0);
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        CHECK_EQ(SYS(prctl(PR_GET_KEEPCAPS)), 0);
        MUST(prctl(PR_SET_KEEPCAPS, 1));
        MUST(setgroups(1, (gid_t[]){20}));
        MUST(syscall(SYS_setresgid, 30, 30, 30));
        MUST(syscall(SYS_setresuid, 40, 40, 40));
        finish(&c, 0);
    }
    rounds(c.fd, 4);
    CHECK_EQ(getuid(), 0);
}

/* A snapshot made by somebody else than root gives workers that are not root, every time. */
TEST(reset_to_lower_credentials)
{
    struct lwc_create c, d;

    if (make(&d, LWC_MAY_RETURN)) {
        MUST(syscall(SYS_setresuid, 40, 41, 42));
        if (make(&c, SNAPSHOT)) {
            CHECK_EQ(getuid(), 40);
            CHECK_EQ(geteuid(), 41);
            MUST(syscall(SYS_setresuid, 42, 42, 42));
            finish(&c, 0);
        }
        rounds(c.fd, 3);
        CHECK_EQ(getuid(), 40);
        finish(&d, 0);
    }
    enter(d.fd, 0);
    CHECK_EQ(getuid(), 0);
}

/* What the kernel keeps with memory as a whole is the snapshot's. */
TEST(reset_attributes)
{
    enum { SET_MDWE = 65, GET_MDWE = 66, SET_MERGE = 67, GET_MERGE = 68 };
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1); /* in every worker */
        CHECK(prctl(GET_MDWE, 0, 0, 0, 0) <= 0);
        CHECK(prctl(GET_MERGE, 0, 0, 0, 0) <= 0);
        CHECK_EQ(SYS(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0)), -EPERM);
        MUST(prctl(PR_SET_DUMPABLE, 0));
        MUST(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
        SYS(prctl(SET_MDWE, 1, 0, 0, 0));
        SYS(prctl(SET_MERGE, 1, 0, 0, 0));
        MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
        finish(&c, 0);
    }
    rounds(c.fd, 3);
}

static unsigned long mask(void)
{
    unsigned long now;

    MUST(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof(now)));
    return now;
}

/* The signal mask is the one the worker began with. */
TEST(reset_signal_mask)
{
    struct lwc_create c;

    if (make(&c, SNAPSHOT | LWC_SHARE_SIGNALS)) {
        unsigned long found = mask(), other = 1 << c.args[0];

        CHECK_EQ(found, 0);
        MUST(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &other, NULL, sizeof(other)));
        finish(&c, found);
    }
    rounds(c.fd, 4);
    if (make(&c, SNAPSHOT)) {
        unsigned long found = mask(), none = 0;

        CHECK(found != 0);
        MUST(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none)));
        finish(&c, found);
    }
    rounds(c.fd, 4);
    CHECK_EQ(mask(), 0);
}

/* The alternate stack is the snapshot's. */
TEST(reset_alternate_stack)
{
    char *stacks = private_pages(32);
    struct lwc_create c;

    MUST(sigaltstack(&(stack_t){.ss_sp = stacks, .ss_size = 16 * PAGE}, NULL));
    if (make(&c, SNAPSHOT)) {
        stack_t now;

        MUST(sigaltstack(NULL, &now));
        CHECK_EQ(now.ss_sp, stacks);
        CHECK_EQ(now.ss_size, 16 * PAGE);
        CHECK_EQ(now.ss_flags, 0);
        now.ss_sp = stacks + 16 * PAGE;
        if (c.args[0] & 1)
            now.ss_flags = SS_DISABLE;
        MUST(sigaltstack(&now, NULL));
        finish(&c, 0);
    }
    rounds(c.fd, 4);
}

/* Rounding modes, and the rest of the control words, are the snapshot's. */
TEST(reset_control_words)
{
    struct lwc_create c;
    unsigned int mxcsr = 0x3f80;
    unsigned short x87 = 0x077f;

    asm volatile("ldmxcsr %0\n fldcw %1" ::"m"(mxcsr), "m"(x87));
    if (make(&c, SNAPSHOT)) {
        asm volatile("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr), "=m"(x87));
        CHECK_EQ(mxcsr & 0x6000, 0x2000);
        CHECK_EQ(x87 & 0x0c00, 0x0400);
        mxcsr = 0x5f80;
        x87 = 0x0b7f;
        asm volatile("ldmxcsr %0\n fldcw %1" ::"m"(mxcsr), "m"(x87));
        finish(&c, 0);
    }
    rounds(c.fd, 3);
}

static inline long raw(long number, long a, long b, long c)
{
    asm volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return number;
}

/* The bases of FS and GS are the snapshot's. */
TEST(reset_segment_bases)
{
    struct lwc_create c;
    unsigned long fs, old, now;

    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1000));
    MUST(syscall(SYS_arch_prctl, ARCH_GET_FS, &old));
    c = (struct lwc_create){.flags = SNAPSHOT};
    CHECK_OK(raw(SYS_ioctl, DOOR, LWC_IOC_CREATE, (long)&c));
    if (c.event == LWC_ENTERED) {
        struct lwc_switch s = {.target = c.fd, .nargs = 1, .args = {1}};

        raw(SYS_arch_prctl, ARCH_GET_FS, (long)&fs, 0);
        raw(SYS_arch_prctl, ARCH_SET_FS, old, 0);
        CHECK_EQ(fs, old);
        MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
        CHECK_EQ(now, 0x1000);
        MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x2000));
        raw(SYS_arch_prctl, ARCH_SET_FS, 0x123456000, 0);
        raw(SYS_ioctl, DOOR, LWC_IOC_SWITCH, (long)&s);
        raw(SYS_arch_prctl, ARCH_SET_FS, old, 0);
        FAIL("entered again");
    }
    rounds(c.fd, 3);
}

/* Rights by protection key, and which keys are in use, are the snapshot's. */
TEST(reset_protection_keys)
{
    int key = SYS(pkey_alloc(0, PKEY_DISABLE_WRITE));
    volatile long *words = private_pages(2);
    struct lwc_create c;

    if (key < 0)
        test_skip("protection keys: %s", error_name(-key));
    words[0] = 1;
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();
        int other = MUST(pkey_alloc(0, 0));

        CHECK_EQ(pkey_get(key), PKEY_DISABLE_WRITE);
        CHECK_EQ(words[0], 1);
        pkey_set(key, 0);
        words[0] = 2;
        MUST(pkey_mprotect((void *)words, PAGE, PROT_READ | PROT_WRITE, other));
        if (c.args[0] & 1)
            MUST(pkey_free(key));
        pkey_set(other, PKEY_DISABLE_ACCESS);
        finish(&c, found ^ other);
    }
    rounds(c.fd, 4);
}

/* A child process that a worker left behind lives on, with its own memory. */
TEST(reset_leaves_processes)
{
    static volatile int value = 1;
    volatile int *told = shared_pages(1);
    struct lwc_create c;
    int ends[2], worker;
    char byte;

    MUST(pipe(ends));
    if (make(&c, SNAPSHOT)) {
        pid_t pid;

        CHECK_EQ(value, 1);
        value = 2;
        pid = fork_process();
        if (pid == 0) {
            CHECK_EQ(read(ends[0], &byte, 1), 1);
            *told = value;
            _exit(7);
        }
        finish(&c, pid);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        pid_t pid = enter(worker, 0);

        reset(worker);
        *told = 0;
        CHECK_EQ(write(ends[1], "", 1), 1);
        CHECK_EQ(ending(pid), 7);
        CHECK_EQ(*told, 2);
    }
}

/* Working directory and umask belong to the process: no reset changes them. */
TEST(reset_leaves_the_process)
{
    struct lwc_create c;

    if (make(&c, SNAPSHOT)) {
        umask(c.args[0]);
        finish(&c, 0);
    }
    rounds(c.fd, 4);
    CHECK_EQ(umask(0), 3);
}

static bool has_segment(int number)
{
    unsigned long entries[8] = {0};

    MUST(syscall(SYS_modify_ldt, 0, entries, sizeof(entries)));
    return entries[number];
}

/* A worker that changed its table of local segments cannot be reset; one cloned anew has the old.
 */
TEST(reset_local_segments)
{
    struct user_desc segment = {.entry_number = 3, .limit = 0xfffff, .seg_32bit = 1};
    struct lwc_create c;

    if (SYS(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment))) < 0)
        test_skip("modify_ldt");
    if (make(&c, SNAPSHOT)) {
        CHECK(has_segment(3));
        CHECK(!has_segment(5));
        segment.entry_number = c.args[0];
        if (c.args[0])
            MUST(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)));
        finish(&c, 0);
    }
    for (__u64 number = 0; number < 6; number += 5) {
        int worker = clone_of(c.fd);
        struct lwc_reset r;

        enter(worker, number);
        CHECK_ERRNO(lwc_reset(worker, &r), number ? ENOTRECOVERABLE : 0);
        MUST(close(worker));
    }
    rounds(c.fd, 1);
}

/* Contexts of asynchronous input and output belong to the memory: a worker's are gone. */
TEST(reset_asynchronous_io)
{
    long before = number("/proc/sys/fs/aio-nr");
    struct lwc_create c;

    if (before < 0)
        test_skip("asynchronous I/O");
    if (make(&c, SNAPSHOT)) {
        __u64 found = mappings();
        unsigned long context = 0;

        MUST(syscall(SYS_io_setup, 16, &context));
        finish(&c, found);
    }
    for (int n = 0; n < 3; n++) {
        rounds(c.fd, 4);
        CHECK(EVENTUALLY(number("/proc/sys/fs/aio-nr") == before));
    }
}
