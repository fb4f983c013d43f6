/* SPDX-License-Identifier: MIT */
/*
 * The processor's side of the frozen point: registers, stacks, and tasks that
 * start on a stack of ours. x86-64 only.
 */
#ifndef LWCGI_CPU_H
#define LWCGI_CPU_H

#include <stdint.h>

enum { CPU_XSAVE_ROOM = 16384 };

/* What cpu_freeze saved: the registers a called function must preserve
 * (System V ABI), segment bases, and everything XSAVE knows. The offsets are
 * written into cpu.c. */
struct cpu {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip, fs, gs;
    uint64_t unused[6];
    uint8_t xsave[CPU_XSAVE_ROOM] __attribute__((aligned(64)));
};

/* The size of this processor's XSAVE area in bytes; more than CPU_XSAVE_ROOM
 * cannot be frozen. */
uint32_t cpu_xsave_size(void);

/* Saves the caller's state in `c` and goes on in fn(arg) on another stack.
 * Returns what fn returns, and again for each cpu_thaw, with its value. */
int cpu_freeze(struct cpu *c, void *stack_top, int (*fn)(void *), void *arg);
void __attribute__((noreturn)) cpu_thaw(const struct cpu *c, int value);

/* Leaves the present stack for good. */
void __attribute__((noreturn)) cpu_leave(void *stack_top, void (*fn)(void *), void *arg);

/* Starts fn(arg) in a new task on a stack of its own (clone(2)); fn must not
 * return. With CLONE_PIDFD, *pidfd is one for it before it runs. Returns its
 * pid, or -errno. */
long cpu_clone(unsigned long flags, void *stack_top, int *pidfd, int *child_tid, void (*fn)(void *),
               void *arg);

/* Forks a process that touches nothing, not even its stack, and only ends when
 * its parent `root` does. Its descriptors are closed once it may be read by the
 * descendants of `root`. Returns its pid, or -errno. */
long cpu_holder(int root);

#endif
