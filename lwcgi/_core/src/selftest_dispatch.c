/* SPDX-License-Identifier: MIT */
#include "selftest_dispatch.h"

#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "selftest_memory.h"
#include "sys.h"

/* <linux/prctl.h> and <asm/signal.h>, which do not go together with the C
 * library's headers. */
enum { SET_DISPATCH = 59, DISPATCH_OFF = 0, DISPATCH_ON = 1, BLOCK = 1 };
enum { FROM_DISPATCH = 2 /* SYS_USER_DISPATCH */, RESTORER = 0x04000000 };
enum { ANSWER = 4711 };

struct action { /* as the kernel has it */
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* The range: the kernel compares the address behind the instruction, so that
 * neither of the two may be the last of it. */
extern const char dispatch_range[], dispatch_range_end[];
long dispatch_call(long nr, long a, long b, long c, long d, long e);
void dispatch_restorer(void);

__asm__(".text\n"
        ".globl dispatch_range, dispatch_range_end, dispatch_call, dispatch_restorer\n"
        ".hidden dispatch_range, dispatch_range_end, dispatch_call, dispatch_restorer\n"
        "dispatch_range:\n"

        ".type dispatch_call, @function\n"
        "dispatch_call:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  mov %r9, %r8\n"
        "  xor %r9d, %r9d\n"
        "  syscall\n"
        "  ret\n"

        ".type dispatch_restorer, @function\n"
        "dispatch_restorer:\n"
        "  mov $15, %eax\n" /* rt_sigreturn */
        "  syscall\n"
        "  ud2\n"
        "dispatch_range_end:\n");

/* What the handler saw. In the short life of one helper process. */
struct seen {
    int count;
    int code;
    int call;
};

/* The handler finds it here: an argument that survives the signal. */
static long call_outside(volatile struct seen *seen)
{
    return SYS(SYS_getpid, seen, 0, 0, 0, 0, 0);
}

static void see(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    volatile struct seen *seen = (volatile struct seen *)regs[REG_RDI];

    (void)signal;
    seen->count++;
    seen->code = info->si_code;
    seen->call = info->si_syscall;
    regs[REG_RAX] = ANSWER;
}

static int was_seen(void)
{
    volatile struct seen seen = {0};
    long ret = call_outside(&seen);

    return ret == ANSWER && seen.count == 1 && seen.code == FROM_DISPATCH && seen.call == SYS_getpid
               ? 0
               : -SELFTEST_DIFFERS;
}

static int passes_inside(int pid)
{
    volatile struct seen seen = {0};
    long ret = dispatch_call(SYS_getpid, (long)&seen, 0, 0, 0, 0);

    return ret == pid && seen.count == 0 ? 0 : -SELFTEST_DIFFERS;
}

/* Calls of a forked process, from where its parent's are seen, are its own. */
static int is_not_inherited(void)
{
    volatile struct seen seen = {0};
    long pid = dispatch_call(SYS_clone, 0, 0, 0, 0, 0);
    int status = 0;

    if (pid == 0) {
        call_outside(&seen);
        dispatch_call(SYS_exit_group, seen.count, 0, 0, 0, 0);
        __builtin_unreachable();
    }
    if (pid < 0)
        return (int)pid;
    pid = dispatch_call(SYS_wait4, pid, (long)&status, __WALL, 0, 0);
    return pid < 0 ? (int)pid : status == 0 ? 0 : -SELFTEST_DIFFERS;
}

int selftest_dispatch(void)
{
    static const uint8_t selector = BLOCK;
    struct action action = {see, SA_SIGINFO | RESTORER, dispatch_restorer, ~0ull};
    uint64_t mask = ~0ull ^ 1ull << (SIGSYS - 1);
    int pid = sys_getpid();
    long ret = SYS(SYS_rt_sigaction, SIGSYS, &action, 0, sizeof mask, 0, 0);

    if (!ret)
        ret = sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    if (!ret)
        ret = SYS(SYS_prctl, SET_DISPATCH, DISPATCH_ON, dispatch_range,
                  dispatch_range_end - dispatch_range, &selector, 0);
    if (ret)
        return (int)ret;
    ret = was_seen();
    if (!ret)
        ret = passes_inside(pid);
    if (!ret)
        ret = is_not_inherited();
    dispatch_call(SYS_prctl, SET_DISPATCH, DISPATCH_OFF, 0, 0, 0);
    return (int)ret;
}
