/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "refused.h"
#include "steps.h"
#include "world.h"

long raw(long nr, long a, long b, long c, long d, long e, long f)
{
    register long r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;

    asm volatile("syscall"
                 : "+a"(nr)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return nr;
}

long getpid_by_32_bits(void)
{
    long answer;

    asm volatile("int $0x80" : "=a"(answer) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
    return answer;
}

bool has_32_bits(void)
{
    pid_t pid = fork_process();

    if (!pid)
        _exit(getpid_by_32_bits() == getpid() ? 0 : 1);
    return ending(pid) == 0;
}

void allow(int fd, const int *calls, int count)
{
    unsigned char refused[64];

    memset(refused, 0xff, sizeof(refused));
    for (int n = 0; n < count; n++)
        refused[calls[n] / 8] &= ~(1 << calls[n] % 8);
    CHECK_OK(lwc_trap(fd, LWC_TRAP_SOME, refused));
}

struct lwc_switch answer(int fd, __u64 error, __u64 value)
{
    struct lwc_switch s;

    CHECK_OK(lwc_switch(fd, 0, (const __u64[]){error, value}, 2, &s));
    CHECK_EQ(s.flags, LWC_BY_TRAP);
    CHECK_EQ(s.caller, fd);
    CHECK_EQ(s.nargs, 7);
    return s;
}

struct lwc_switch first_call(int fd)
{
    return answer(fd, 0, 0);
}

__u64 told(int fd, __u64 error, __u64 value)
{
    struct lwc_switch s = answer(fd, error, value);

    CHECK_EQ(s.args[0], TELL);
    return s.args[1];
}
