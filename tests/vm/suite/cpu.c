/* SPDX-License-Identifier: MIT */
/* The processor's state: each lwC finds its own as it left it, and none of another's. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/*
 * ioctl(DOOR, call, argument) with these registers around it; answers its answer.
 * Order: rbx, rbp, r8, r9, r10, r12, r13, r14, r15, flags; then rdi, rsi, rdx.
 */
enum { LOADED = 10, STORED = 13, FLAGS = 9 };
long with_registers(void *argument, const __u64 in[LOADED], __u64 out[STORED], unsigned long call);
asm(".text\n"
    "with_registers:\n"
    "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "    push %rdx\n"
    "    mov %rdi, %rdx\n"
    "    pushq 72(%rsi)\n popf\n"
    "    mov 0(%rsi), %rbx\n mov 8(%rsi), %rbp\n mov 16(%rsi), %r8\n mov 24(%rsi), %r9\n"
    "    mov 32(%rsi), %r10\n mov 40(%rsi), %r12\n mov 48(%rsi), %r13\n mov 56(%rsi), %r14\n"
    "    mov 64(%rsi), %r15\n"
    "    mov %rcx, %rsi\n mov $100, %edi\n mov $16, %eax\n"
    "    syscall\n"
    "    pushf\n pop %rcx\n"
    "    xchg %rax, (%rsp)\n"
    "    mov %rbx, 0(%rax)\n mov %rbp, 8(%rax)\n mov %r8, 16(%rax)\n mov %r9, 24(%rax)\n"
    "    mov %r10, 32(%rax)\n mov %r12, 40(%rax)\n mov %r13, 48(%rax)\n mov %r14, 56(%rax)\n"
    "    mov %r15, 64(%rax)\n mov %rcx, 72(%rax)\n mov %rdi, 80(%rax)\n mov %rsi, 88(%rax)\n"
    "    mov %rdx, 96(%rax)\n"
    "    pop %rax\n"
    "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "    ret\n");

static void check_registers(void *argument, __u64 seed, unsigned long call)
{
    __u64 in[LOADED], out[STORED];

    for (int n = 0; n < FLAGS; n++)
        in[n] = seed * 0x0123456789abcdef + n;
    in[FLAGS] = 0x202 | (seed & 1 ? 0x200001 : 0); /* ID and carry */
    CHECK_OK(with_registers(argument, in, out, call));
    for (int n = 0; n < FLAGS; n++) {
        if (in[n] != out[n])
            FAIL("register %d is %#llx, not %#llx", n, out[n], in[n]);
    }
    CHECK_EQ(out[FLAGS] & 0x200001, in[FLAGS] & 0x200001);
    CHECK_EQ(out[10], DOOR);
    CHECK_EQ(out[11], call);
    CHECK_EQ(out[12], argument);
}

/* Every register that a system call keeps is what it was, in creator and created, each time. */
TEST(registers_are_kept)
{
    struct lwc_create c = {.flags = LWC_MAY_RETURN};
    struct lwc_switch s;

    check_registers(&c, 1, LWC_IOC_CREATE);
    if (c.event == LWC_ENTERED) {
        for (int n = 0; n < 3; n++) {
            s = (struct lwc_switch){.target = c.fd};
            check_registers(&s, 100 + n, LWC_IOC_SWITCH);
        }
        finish(&c, 0);
    }
    for (int n = 0; n < 3; n++) {
        s = (struct lwc_switch){.target = c.fd};
        check_registers(&s, 200 + n, LWC_IOC_SWITCH);
    }
}

/* The extended state that a system call keeps: x87, SSE, AVX, and the rest but protection keys. */
struct extended {
    unsigned char bytes[4096] __attribute__((aligned(64)));
};
enum { FCW = 0, FTW = 4, MXCSR = 24, ST = 32, XMM = 160, XSTATE_BV = 512, YMM = 576 };

/* The same as above for the extended state. */
long with_extended(unsigned long call, void *argument, const struct extended *in,
                   struct extended *out, unsigned int mask);
asm(".text\n"
    "with_extended:\n"
    "    push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "    mov %rsi, %r12\n mov %rcx, %r13\n mov %r8d, %r14d\n mov %rdi, %rsi\n"
    "    mov %rdx, %rcx\n"
    "    mov %r14d, %eax\n xor %edx, %edx\n"
    "    xrstor64 (%rcx)\n"
    "    mov $100, %edi\n mov %r12, %rdx\n mov $16, %eax\n"
    "    syscall\n"
    "    mov %rax, %r15\n"
    "    mov %r14d, %eax\n xor %edx, %edx\n"
    "    xsave64 (%r13)\n"
    "    mov %r15, %rax\n"
    "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n"
    "    ret\n");

static unsigned int extended_mask(void)
{
    unsigned int a, b, c, d;

    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE))
        test_skip("XSAVE");
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a & 0xe7;
}

static void fill_extended(struct extended *e, unsigned char seed, unsigned int mask)
{
    memset(e, 0, sizeof(*e));
    *(unsigned short *)(e->bytes + FCW) = 0x037f | (seed & 3) << 10;
    e->bytes[FTW] = 0xff;
    *(unsigned int *)(e->bytes + MXCSR) = 0x1f80 | (seed & 3) << 13;
    for (int n = 0; n < 8; n++) {
        memset(e->bytes + ST + 16 * n, 0x80 | seed, 8);
        e->bytes[ST + 16 * n + 9] = 0x3f;
    }
    memset(e->bytes + XMM, seed, 256);
    if (mask & 4)
        memset(e->bytes + YMM, seed ^ 0x55, 256);
    *(unsigned long *)(e->bytes + XSTATE_BV) = mask;
}

static void check_part(const struct extended *a, const struct extended *b, int at, int size,
                       const char *what)
{
    for (int n = at; n < at + size; n++) {
        if (a->bytes[n] != b->bytes[n])
            FAIL("%s, byte %d: %#x, not %#x", what, n - at, a->bytes[n], b->bytes[n]);
    }
}

static void check_extended(unsigned long call, void *argument, unsigned char seed)
{
    static struct extended in, out;
    unsigned int mask = extended_mask();
    unsigned int sane = 0x1f80;

    fill_extended(&in, seed, mask);
    memset(&out, 0, sizeof(out));
    CHECK_OK(with_extended(call, argument, &in, &out, mask));
    asm volatile("fninit\n ldmxcsr %0" ::"m"(sane));
    fill_extended(&in, seed, mask); /* in the new lwC, too */
    check_part(&out, &in, FCW, 2, "x87 control word");
    check_part(&out, &in, MXCSR, 4, "MXCSR");
    for (int n = 0; n < 8; n++)
        check_part(&out, &in, ST + 16 * n, 10, "x87 register");
    check_part(&out, &in, XMM, 256, "xmm registers");
    if (mask & 4)
        check_part(&out, &in, YMM, 256, "upper halves of ymm registers");
}

/* x87, xmm and ymm registers are what they were, in creator and created, each time. */
TEST(vectors_are_kept)
{
    struct lwc_create c = {.flags = LWC_MAY_RETURN};
    struct lwc_switch s;

    check_extended(LWC_IOC_CREATE, &c, 0x11);
    if (c.event == LWC_ENTERED) {
        for (int n = 0; n < 3; n++) {
            s = (struct lwc_switch){.target = c.fd};
            check_extended(LWC_IOC_SWITCH, &s, 0x32 + n);
        }
        finish(&c, 0);
    }
    for (int n = 0; n < 3; n++) {
        s = (struct lwc_switch){.target = c.fd};
        check_extended(LWC_IOC_SWITCH, &s, 0x23 + n);
    }
}

/* A new thread's state, never saved before, is kept as well; also over a switch of the processor.
 */
TEST(vectors_are_kept_over_processors)
{
    struct lwc_create c = {.flags = LWC_MAY_RETURN};
    struct lwc_switch s;
    cpu_set_t cpus;

    check_extended(LWC_IOC_CREATE, &c, 0x11);
    for (int n = 0; n < 20; n++) {
        CPU_ZERO(&cpus);
        CPU_SET((n + (c.event == LWC_ENTERED)) % 2, &cpus);
        sched_setaffinity(0, sizeof(cpus), &cpus);
        s = (struct lwc_switch){.target = c.fd};
        check_extended(LWC_IOC_SWITCH, &s, 0x40 + n + 20 * (c.event == LWC_ENTERED));
    }
    if (c.event == LWC_ENTERED)
        FAIL("entered more often than left");
}

static inline long raw(long number, long a, long b, long c)
{
    asm volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return number;
}

/* The base of FS is the lwC's own. No function may be called while it points nowhere. */
TEST(fs_base_is_kept)
{
    struct lwc_create c;
    struct lwc_switch s = {0};
    unsigned long old, now = 0;
    long answer;

    raw(SYS_arch_prctl, ARCH_GET_FS, (long)&old, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        raw(SYS_arch_prctl, ARCH_GET_FS, (long)&now, 0);
        CHECK_EQ(now, old);
        s.target = c.fd;
        raw(SYS_arch_prctl, ARCH_SET_FS, 0x123456000, 0);
        answer = raw(SYS_ioctl, DOOR, LWC_IOC_SWITCH, (long)&s);
        raw(SYS_arch_prctl, ARCH_GET_FS, (long)&now, 0);
        raw(SYS_arch_prctl, ARCH_SET_FS, old, 0);
        CHECK_OK(answer);
        CHECK_EQ(now, 0x123456000);
        finish(&c, 0);
    }
    s.target = c.fd;
    answer = raw(SYS_ioctl, DOOR, LWC_IOC_SWITCH, (long)&s);
    raw(SYS_arch_prctl, ARCH_GET_FS, (long)&now, 0);
    raw(SYS_arch_prctl, ARCH_SET_FS, old, 0);
    CHECK_OK(answer);
    CHECK_EQ(now, old);
    enter(c.fd, 0);
}

/* The base of GS is the lwC's own, however it was set. */
TEST(gs_base_is_kept)
{
    bool by_instruction = getauxval(AT_HWCAP2) & 2;
    struct lwc_create c;
    unsigned long now;

    MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1000));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
        CHECK_EQ(now, 0x1000);
        MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x2000));
        back(&c, 0);
        MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
        CHECK_EQ(now, 0x2000);
        if (by_instruction)
            asm volatile("wrgsbase %0" ::"r"(0x2222000ul));
        back(&c, 0);
        MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
        CHECK_EQ(now, by_instruction ? 0x2222000 : 0x2000);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
    CHECK_EQ(now, 0x1000);
    if (by_instruction)
        asm volatile("wrgsbase %0" ::"r"(0x1111000ul));
    enter(c.fd, 0);
    MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &now));
    CHECK_EQ(now, by_instruction ? 0x1111000 : 0x1000);
    enter(c.fd, 0);
}

/* Rights by protection key are the lwC's own, and so is which keys are in use. */
TEST(protection_keys_are_kept)
{
    volatile char *page = private_pages(1);
    int key = SYS(pkey_alloc(0, PKEY_DISABLE_WRITE));
    struct lwc_create c;
    int other;

    if (key < 0)
        test_skip("protection keys: %s", error_name(-key));
    MUST(pkey_mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE, key));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(pkey_get(key), PKEY_DISABLE_WRITE);
        pkey_set(key, 0);
        *page = 1;
        other = MUST(pkey_alloc(0, PKEY_DISABLE_ACCESS));
        CHECK(other != key);
        back(&c, other);
        CHECK_EQ(pkey_get(key), 0);
        CHECK_EQ(pkey_get(other), PKEY_DISABLE_ACCESS);
        *page = 2;
        MUST(pkey_mprotect((void *)page, PAGE, PROT_READ, other));
        CHECK_EQ(signal_of_read(page), SIGSEGV);
        finish(&c, 0);
    }
    pkey_set(key, PKEY_DISABLE_ACCESS);
    other = enter(c.fd, 0);
    CHECK_EQ(pkey_get(key), PKEY_DISABLE_ACCESS);
    CHECK_EQ(signal_of_read(page), SIGSEGV);
    CHECK_EQ(SYS(pkey_mprotect((void *)page, PAGE, PROT_READ, other)), -EINVAL);
    pkey_set(key, PKEY_DISABLE_WRITE);
    enter(c.fd, 0);
    CHECK_EQ(*page, 0);
    CHECK_EQ(signal_of_write(page), SIGSEGV);
}

static void move_to(int cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    MUST(sched_setaffinity(0, sizeof(cpus), &cpus));
}

static int cpu_by_call(void)
{
    unsigned int cpu;

    MUST(syscall(SYS_getcpu, &cpu, NULL, NULL));
    return cpu;
}

static int cpu_by_rseq(void)
{
    struct rseq *area = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

    CHECK_EQ(area->cpu_id_start, area->cpu_id);
    return *(volatile unsigned int *)&area->cpu_id;
}

/* The processor's number in the rseq area is right after every switch, wherever the thread was. */
TEST(rseq_knows_the_processor)
{
    struct lwc_create c;

    if (!__rseq_size)
        test_skip("rseq (registered by the C library)");
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        test_skip("a second processor");
    move_to(0);
    if (make(&c, LWC_MAY_RETURN)) {
        for (__u64 cpu = c.args[0];; cpu = back(&c, 0)) {
            CHECK_EQ(cpu_by_rseq(), cpu);
            CHECK_EQ(sched_getcpu(), cpu);
            CHECK_EQ(cpu_by_call(), cpu);
            move_to(!cpu);
            CHECK_EQ(cpu_by_rseq(), !cpu);
        }
    }
    for (int n = 0; n < 200; n++) {
        int cpu = (n / 2) % 2;

        move_to(cpu);
        CHECK_EQ(cpu_by_rseq(), cpu);
        enter(c.fd, cpu);
        CHECK_EQ(cpu_by_rseq(), !cpu);
        CHECK_EQ(sched_getcpu(), !cpu);
        CHECK_EQ(cpu_by_call(), !cpu);
    }
}

static long membarrier(int command)
{
    return SYS(syscall(SYS_membarrier, command, 0, 0));
}

/* A registration for membarrier is copied with the memory, and made for one lwC only. */
TEST(membarrier_registrations_are_kept)
{
    struct lwc_create c;

    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), EPERM);
    CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
        CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), EPERM);
        CHECK_OK(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE));
        back(&c, 0);
        CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
    CHECK_ERRNO(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), EPERM);
    enter(c.fd, 0);
}

/* A reset puts registers of every kind back to what they were when the snapshot was made. */
TEST(reset_vectors)
{
    struct lwc_create c = {.flags = SNAPSHOT};
    struct lwc_switch s;

    check_extended(LWC_IOC_CREATE, &c, 0x11);
    if (c.event == LWC_ENTERED) {
        s = (struct lwc_switch){.target = c.fd, .nargs = 1};
        check_extended(LWC_IOC_SWITCH, &s, 0x32);
        FAIL("entered again");
    }
    rounds(c.fd, 3);
}

/* A reset puts the registers back that the creation kept. */
TEST(reset_registers)
{
    struct lwc_create c = {.flags = SNAPSHOT};
    struct lwc_switch s;

    check_registers(&c, 1, LWC_IOC_CREATE);
    if (c.event == LWC_ENTERED) {
        s = (struct lwc_switch){.target = c.fd, .nargs = 1};
        check_registers(&s, 2, LWC_IOC_SWITCH);
        FAIL("entered again");
    }
    rounds(c.fd, 3);
}
