/* SPDX-License-Identifier: MIT */
/* An lwC that is refused system calls tries to make one all the same. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "refused.h"
#include "team.h"
#include "world.h"

/* The kernel looks at half of the register; so does the list. */
TEST(escape_by_high_bits)
{
    static const long high[] = {1l << 32, (long)(~0ul << 32), 0x7fffffffl << 32};
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (int n = 0; n < 3; n++)
            RAW(SYS_getppid | high[n]);
        TELLING(0);
    }
    for (int n = 0; n < 3; n++)
        CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getppid);
    CHECK_EQ(told(c.fd, 0, 0), 0);
}

/* Negative numbers are none of the other entry, and -1 is no call at all. */
TEST(escape_by_negative_numbers)
{
    static const __u32 numbers[] = {0x80000000 | SYS_getppid, 0xfffffffe, 0xc0000000 | SYS_getppid};
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (int n = 0; n < 3; n++)
            RAW((long)numbers[n]);
        TELLING(RAW(-1l));
        TELLING(RAW(0xffffffffl));
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    for (int n = 0; n < 3; n++)
        CHECK_EQ(answer(c.fd, 0, 0).args[0], numbers[n]);
    CHECK_EQ((long)told(c.fd, 0, 0), -ENOSYS);
    CHECK_EQ((long)told(c.fd, 0, 0), -ENOSYS);
}

/* Whatever makes a task or a program is refused with the rest, and makes none. */
TEST(escape_by_new_tasks)
{
    static const int calls[] = {SYS_fork,   SYS_vfork,  SYS_clone,
                                SYS_clone3, SYS_execve, SYS_execveat};
    char *const program[] = {"/lwc-suite", "--list", NULL};
    __u64 clone_arguments[8] = {[4] = SIGCHLD};
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        RAW(SYS_fork);
        RAW(SYS_vfork);
        raw(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
        raw(SYS_clone3, (long)clone_arguments, sizeof(clone_arguments), 0, 0, 0, 0);
        raw(SYS_execve, (long)program[0], (long)program, 0, 0, 0, 0);
        raw(SYS_execveat, AT_FDCWD, (long)program[0], (long)program, 0, 0, 0);
        TELLING(7);
    }
    for (size_t n = 0; n < sizeof(calls) / sizeof(*calls); n++)
        CHECK_EQ(answer(c.fd, EPERM, 0).args[0], calls[n]);
    CHECK_EQ(told(c.fd, EPERM, 0), 7);
    CHECK_ERRNO(SYS(waitpid(-1, NULL, WNOHANG)), ECHILD);
}

/* In a segment of 32 bits, which any thread can jump to, there is the other entry only. */
TEST(escape_by_a_segment)
{
    struct far {
        __u32 offset;
        __u16 segment;
    } __attribute__((packed)) * there, *again;
    unsigned char *code =
        (unsigned char *)MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    /* mov $20, %eax; int $0x80; ljmp *again */
    static const unsigned char call[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xff, 0x2d};
    static const unsigned char jump[] = {0x41, 0xff, 0xe6}; /* in 64 bits: jmp *%r14 */
    struct lwc_create c;

    if (!has_32_bits())
        test_skip("a kernel with 32-bit system calls");
    there = (struct far *)(code + 64);
    again = (struct far *)(code + 80);
    *there = (struct far){(uintptr_t)code, 0x23};
    *again = (struct far){(uintptr_t)(code + 128), 0x33};
    memcpy(code, call, sizeof(call));
    memcpy(code + sizeof(call), &again, 4);
    memcpy(code + 128, jump, sizeof(jump));
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        register long result asm("rax");

        asm volatile("mov %%rsp, %%r15; lea 1f(%%rip), %%r14; ljmpl *(%1); 1: mov %%r15, %%rsp"
                     : "=r"(result)
                     : "r"(there)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory", "cc");
        TELLING(result);
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    CHECK_EQ(first_call(c.fd).args[0], 20 | LWC_TRAP_COMPAT);
    CHECK_EQ(told(c.fd, 0, 9), 9);
}

static long call_page(unsigned long address, long argument)
{
    return ((long (*)(long))address)(argument);
}

/* What the vsyscall page answers needs no call; it writes into the lwC's own memory only. */
TEST(escape_by_the_vsyscall_page)
{
    char *there = private_pages(1);
    struct lwc_create c;
    pid_t pid = fork_process();

    if (!pid) {
        call_page(0xffffffffff600400, 0);
        _exit(0);
    }
    if (ending(pid))
        test_skip("the vsyscall page");
    if (make_with(&c, LWC_TRAP_SYSCALLS, SPECS(MEMORY(UNMAP, there, PAGE)))) {
        TELLING(call_page(0xffffffffff600400, 0) > 0); /* time */
        TELLING(0);
    }
    CHECK_EQ(told(c.fd, 0, 0), 1);
    CHECK_EQ(told(c.fd, 0, 0), 0);
}

/* What was interrupted in its creator is not gone on with in an lwC: it would be a call of it. */
TEST(escape_by_restarting)
{
    struct pollfd *poll_it = private_pages(1);
    struct lwc_create c;
    int pipes[2];
    pid_t self = getpid(), pid;

    MUST(pipe2(pipes, 0));
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (;;)
            TELLING(RAW(SYS_restart_syscall));
    }
    *poll_it = (struct pollfd){pipes[0], POLLIN, 0};
    pid = fork_process();
    if (!pid) {
        usleep(patience(100000));
        MUST(kill(self, SIGSTOP));
        usleep(patience(10000));
        MUST(kill(self, SIGCONT));
        _exit(0);
    }
    CHECK_EQ(poll(poll_it, 1, patience(500)), 0);
    CHECK_EQ(ending(pid), 0);
    CHECK_EQ((long)told(c.fd, 0, 0), -EINTR);
    CHECK_EQ((long)told(c.fd, 0, 0), -EINTR);
}

/* A forged frame of a signal, from which the kernel loads registers, makes no call. */
TEST(escape_by_a_forged_frame)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        static char stack[8192] __attribute__((aligned(64)));
        struct {
            void *restorer;
            ucontext_t context;
        } *frame = (void *)(stack + 1024 - 8);
        extern char a_call[];

        memset(frame, 0, sizeof(*frame));
        frame->context.uc_mcontext.gregs[REG_RIP] = (long)a_call;
        frame->context.uc_mcontext.gregs[REG_RAX] = SYS_getppid;
        frame->context.uc_mcontext.gregs[REG_RSP] = (long)(stack + 8000);
        frame->context.uc_mcontext.gregs[REG_CSGSFS] = 0x33 | 0x2bl << 48;
        asm volatile("mov %0, %%rsp; mov %1, %%eax; syscall; .globl a_call; a_call: syscall; "
                     "1: mov %2, %%eax; syscall; jmp 1b"
                     :
                     : "r"(&frame->context), "i"(SYS_rt_sigreturn), "i"(TELL));
        __builtin_unreachable();
    }
    s = first_call(c.fd);
    CHECK_EQ(s.args[0], SYS_getppid);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], TELL);
}

/* Has one that has a list make one without; with or without leave for the call it then tries. */
static void escape_by_another(bool leave)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        if (make(&d, LWC_MAY_RETURN))
            back(&d, RAW(SYS_getppid));
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        if (leave)
            CHECK_OK(lwc_switch(d.fd, 0, (const __u64[]){LWC_TRAP_ONCE}, 1, &s));
        TELLING(s.flags == LWC_BY_TRAP && s.args[0] == SYS_getppid);
    }
    ALLOW(c.fd, SYS_ioctl);
    CHECK_EQ(told(c.fd, 0, 0), 1);
}

/* An lwC that is made without a list, by one that has one, makes no call for it. */
TEST(escape_by_a_new_lwc)
{
    escape_by_another(false);
}

/* … not even by its creator's leave. */
TEST(escape_by_letting_through)
{
    escape_by_another(true);
}

/* Of a worker of a snapshot that was made in an lwC with a list, that list holds. */
TEST(escape_by_a_worker)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        int worker;

        CHECK_OK(lwc_create(LWC_SUSPEND_ONLY | LWC_MAY_RETURN, NULL, 0, &d));
        if (d.event == LWC_ENTERED)
            back(&d, RAW(SYS_getppid));
        CHECK_OK(lwc_trap(d.fd, LWC_TRAP_NONE, NULL));
        worker = clone_of(d.fd);
        CHECK_OK(lwc_trap(worker, LWC_TRAP_NONE, NULL));
        CHECK_OK(lwc_switch(worker, 0, (const __u64[]){0}, 1, &s));
        TELLING(s.flags == LWC_BY_TRAP && s.args[0] == SYS_getppid);
    }
    ALLOW(c.fd, SYS_ioctl);
    CHECK_EQ(told(c.fd, 0, 0), 1);
}

/* With its creator destroyed an lwC is refused what that one was, whoever it passed to. */
TEST(escape_by_losing_the_creator)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        if (make(&d, 0)) {
            for (;;)
                TELLING(RAW(SYS_getppid));
        }
        CHECK_OK(lwc_trap(d.fd, LWC_TRAP_NONE, NULL));
        lwc_switch(d.fd, LWC_DISCARD, NULL, 0, &s);
        FAIL("discarded, and back");
    }
    ALLOW(c.fd, SYS_ioctl);
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.flags, LWC_BY_TRAP);
    CHECK_EQ(s.args[0], SYS_getppid);
    CHECK_OK(lwc_trap(s.caller, LWC_TRAP_NONE, NULL)); /* no more than its own list */
    CHECK_EQ(told(s.caller, 0, 5), 5);
    CHECK_EQ(answer(s.caller, 0, 0).args[0], SYS_getppid);
}

/* A creator that waits for an answer itself gives none: the call fails, and the lwC goes on. */
TEST(escape_into_one_that_waits)
{
    struct lwc_create c, d;
    struct lwc_switch s;
    __u64 fd;

    if (make_with(&c, LWC_TRAP_SYSCALLS | LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        if (make_with(&d, LWC_SAME_RIGHTS, SPECS(SHARED_FILES))) {
            __u64 got = RAW(SYS_getppid);

            lwc_switch(LWC_FD_ROOT, 0, &got, 1, &s);
        }
        ALLOW(d.fd, SYS_ioctl);
        CHECK_OK(lwc_grant(d.fd, LWC_FD_ROOT, LWC_MAY_ENTER));
        TELLING(d.fd);
        FAIL("answered");
    }
    ALLOW(c.fd, SYS_ioctl);
    fd = told(c.fd, 0, 0);
    CHECK_EQ((long)enter(fd, 0), -EPERM);
}

static volatile int *refused_first, *allowed_later; /* shared by all lwCs */

static void ask_together(struct member *m)
{
    __u64 word = m->number;
    struct lwc_switch s;

    if (m->inside) {
        for (;;)
            TELLING(RAW(SYS_getppid));
    }
    CHECK_OK(lwc_switch(m->fd, 0, &word, 1, &s));
    for (int round = 0; round < 100; round++) {
        CHECK_EQ(s.flags, LWC_BY_TRAP);
        CHECK_EQ(s.args[0], SYS_getppid);
        CHECK_EQ(told(m->fd, 0, 100 * m->number + round), 100 * m->number + round);
        s = answer(m->fd, 0, 0);
    }
    meet(refused_first, MOST_MEMBERS);
    if (m->number == 0)
        ALLOW(m->fd, SYS_getppid);
    meet(allowed_later, MOST_MEMBERS);
    CHECK_EQ(told(m->fd, 0, 1), 1);
    CHECK_EQ(told(m->fd, 0, 0), getppid());
}

/* Threads of one lwC are refused the same, and each has answers of its own. */
TEST(trap_of_several_threads)
{
    refused_first = shared_pages(1);
    allowed_later = refused_first + 1;
    team(MOST_MEMBERS, LWC_TRAP_SYSCALLS, ask_together);
}
