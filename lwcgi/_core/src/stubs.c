/* SPDX-License-Identifier: MIT */
#include "stubs.h"

#include <stddef.h>

#include "keep.h"
#include "trace.h"

_Static_assert(offsetof(struct inbox, trace) == 16 && offsetof(struct trace, stubs) == 0 &&
                   TRACE_STUBS == 1024 && TRACE_FORK_STUBS == 32,
               "the assembly below knows these");

/* The kernel compares the address behind the syscall instruction with the
 * range, so none may be its last. A call leaves rcx and r11 free. */
__asm__(".text\n"
        ".balign 64\n"
        ".globl lw_calls_begin, lw_calls_end, lw_stubs, lw_fork_stubs, lw_restorer, sys6\n"
        ".hidden lw_calls_begin, lw_calls_end, lw_stubs, lw_fork_stubs, lw_restorer, sys6\n"
        "lw_calls_begin:\n"

        ".type sys6, @function\n"
        "sys6:\n"
        "  mov %rdi, %rax\n"
        "  mov %rsi, %rdi\n"
        "  mov %rdx, %rsi\n"
        "  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n"
        "  mov %r9, %r8\n"
        "  mov 8(%rsp), %r9\n"
        "  syscall\n"
        "  ret\n"

        ".type lw_restorer, @function\n"
        "lw_restorer:\n"
        "  mov $15, %eax\n" /* rt_sigreturn */
        "  syscall\n"
        "  ud2\n"

        ".balign 32\n"
        "lw_stubs:\n"
        ".set at, 0\n"
        ".rept 1024\n"
        "  .balign 32\n"
        "  syscall\n"
        "  mov keep_inbox(%rip), %r11\n"
        "  mov 16(%r11), %r11\n"
        "  jmp *at(%r11)\n"
        "  .set at, at + 8\n"
        ".endr\n"

        ".balign 32\n"
        "lw_fork_stubs:\n"
        ".rept 32\n"
        "  .balign 16\n"
        "0:\n"
        "  syscall\n"
        "  mov keep_inbox(%rip), %r11\n"
        "  mov 16(%r11), %r11\n"
        "  mov at(%r11), %r11\n"
        "  test %rax, %rax\n"
        "  jz in_fork\n"
        "  jmp *%r11\n"
        "  .set at, at + 8\n"
        "  .skip 48 - (. - 0b), 0x90\n"
        ".endr\n"

        /* A copy of the process, on a copy of the application's stack, whose
         * red zone is in use; all registers but rcx and r11 are to be kept. */
        "in_fork:\n"
        "  lea -128(%rsp), %rsp\n"
        "  push %rbp\n"
        "  mov %rsp, %rbp\n"
        "  push %rax\n"
        "  push %rdx\n"
        "  push %rsi\n"
        "  push %rdi\n"
        "  push %r8\n"
        "  push %r9\n"
        "  push %r10\n"
        "  push %r11\n"
        "  sub $528, %rsp\n"
        "  and $-64, %rsp\n"
        "  fxsave64 (%rsp)\n"
        "  cld\n"
        "  call dispatch_in_fork\n"
        "  fxrstor64 (%rsp)\n"
        "  lea -64(%rbp), %rsp\n"
        "  pop %r11\n"
        "  pop %r10\n"
        "  pop %r9\n"
        "  pop %r8\n"
        "  pop %rdi\n"
        "  pop %rsi\n"
        "  pop %rdx\n"
        "  pop %rax\n"
        "  pop %rbp\n"
        "  lea 128(%rsp), %rsp\n"
        "  jmp *%r11\n"
        "lw_calls_end:\n");
