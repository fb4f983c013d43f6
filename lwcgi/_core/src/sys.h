/* SPDX-License-Identifier: MIT */
/*
 * System calls without the C library: each returns the kernel's own answer,
 * a negative errno on failure.
 *
 * The root shares its memory with the application or is copied into every
 * context. A libc wrapper would write errno into memory that belongs to the
 * snapshot, so the root goes straight to the kernel.
 */
#ifndef LWCGI_SYS_H
#define LWCGI_SYS_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

struct kernel_sigaction { /* as rt_sigaction(2) wants it on x86-64 */
    void *handler;
    uint64_t flags;
    void *restorer;
    uint64_t mask;
};

/* In stubs.c: the one place of the core from which calls are made. */
long sys6(long nr, long a, long b, long c, long d, long e, long f)
    __attribute__((visibility("hidden")));

#define SYS(nr, a, b, c, d, e, f)                                                                  \
    sys6(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline long sys_read(int fd, void *buf, size_t len)
{
    return SYS(SYS_read, fd, buf, len, 0, 0, 0);
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
    return SYS(SYS_write, fd, buf, len, 0, 0, 0);
}

static inline long sys_pread(int fd, void *buf, size_t len, off_t at)
{
    return SYS(SYS_pread64, fd, buf, len, at, 0, 0);
}

static inline long sys_pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return SYS(SYS_pwrite64, fd, buf, len, at, 0, 0);
}

static inline long sys_open(const char *path, int flags, int mode)
{
    return SYS(SYS_open, path, flags, mode, 0, 0, 0);
}

static inline long sys_close(int fd)
{
    return SYS(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_close_range(unsigned first, unsigned last)
{
    return SYS(SYS_close_range, first, last, 0, 0, 0, 0);
}

static inline long sys_dup3(int from, int to, int flags)
{
    return SYS(SYS_dup3, from, to, flags, 0, 0, 0);
}

static inline long sys_fcntl(int fd, int cmd, long arg)
{
    return SYS(SYS_fcntl, fd, cmd, arg, 0, 0, 0);
}

static inline long sys_lseek(int fd, off_t to, int whence)
{
    return SYS(SYS_lseek, fd, to, whence, 0, 0, 0);
}

static inline long sys_fstat(int fd, struct stat *st)
{
    return SYS(SYS_fstat, fd, st, 0, 0, 0, 0);
}

static inline long sys_getdents64(int fd, void *buf, size_t len)
{
    return SYS(SYS_getdents64, fd, buf, len, 0, 0, 0);
}

static inline long sys_memfd_create(const char *name, unsigned flags)
{
    return SYS(SYS_memfd_create, name, flags, 0, 0, 0, 0);
}

static inline long sys_eventfd(unsigned count, int flags)
{
    return SYS(SYS_eventfd2, count, flags, 0, 0, 0, 0);
}

static inline long sys_signalfd(const uint64_t *mask, int flags)
{
    return SYS(SYS_signalfd4, -1, mask, sizeof *mask, flags, 0, 0);
}

static inline long sys_sigprocmask(int how, const uint64_t *set, uint64_t *old)
{
    return SYS(SYS_rt_sigprocmask, how, set, old, sizeof *set, 0, 0);
}

static inline long sys_socketpair(int domain, int type, int pair[2])
{
    return SYS(SYS_socketpair, domain, type, 0, pair, 0, 0);
}

static inline long sys_accept4(int fd, int flags)
{
    return SYS(SYS_accept4, fd, 0, 0, flags, 0, 0);
}

static inline long sys_recv(int fd, void *buf, size_t len, int flags)
{
    return SYS(SYS_recvfrom, fd, buf, len, flags, 0, 0);
}

static inline long sys_send(int fd, const void *buf, size_t len, int flags)
{
    return SYS(SYS_sendto, fd, buf, len, flags, 0, 0);
}

static inline long sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return SYS(SYS_recvmsg, fd, msg, flags, 0, 0, 0);
}

static inline long sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return SYS(SYS_sendmsg, fd, msg, flags, 0, 0, 0);
}

static inline long sys_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
    return SYS(SYS_getsockopt, fd, level, name, val, len, 0);
}

static inline long sys_getpeername(int fd, void *address, socklen_t *len)
{
    return SYS(SYS_getpeername, fd, address, len, 0, 0, 0);
}

static inline long sys_poll(struct pollfd *fds, unsigned n, int timeout_ms)
{
    return SYS(SYS_poll, fds, n, timeout_ms, 0, 0, 0);
}

static inline long sys_epoll_create(int flags)
{
    return SYS(SYS_epoll_create1, flags, 0, 0, 0, 0, 0);
}

static inline long sys_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
    return SYS(SYS_epoll_ctl, ep, op, fd, ev, 0, 0);
}

static inline long sys_epoll_wait(int ep, struct epoll_event *evs, int n, int timeout_ms)
{
    return SYS(SYS_epoll_wait, ep, evs, n, timeout_ms, 0, 0);
}

static inline long sys_mmap(void *at, size_t len, int prot, int flags)
{
    return SYS(SYS_mmap, at, len, prot, flags, -1, 0);
}

static inline long sys_munmap(void *at, size_t len)
{
    return SYS(SYS_munmap, at, len, 0, 0, 0, 0);
}

static inline long sys_mprotect(void *at, size_t len, int prot)
{
    return SYS(SYS_mprotect, at, len, prot, 0, 0, 0);
}

static inline long sys_madvise(void *at, size_t len, int advice)
{
    return SYS(SYS_madvise, at, len, advice, 0, 0, 0);
}

static inline long sys_prctl(int op, unsigned long a)
{
    return SYS(SYS_prctl, op, a, 0, 0, 0, 0);
}

static inline long sys_setrlimit(int what, const struct rlimit *lim)
{
    return SYS(SYS_prlimit64, 0, what, lim, 0, 0, 0);
}

static inline int sys_getpid(void)
{
    return (int)SYS(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getppid(void)
{
    return (int)SYS(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getsid(int pid)
{
    return (int)SYS(SYS_getsid, pid, 0, 0, 0, 0, 0);
}

static inline long sys_setpgid(int pid, int group)
{
    return SYS(SYS_setpgid, pid, group, 0, 0, 0, 0);
}

static inline long sys_shutdown(int fd, int how)
{
    return SYS(SYS_shutdown, fd, how, 0, 0, 0, 0);
}

static inline long sys_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
    return SYS(SYS_setsockopt, fd, level, name, val, len, 0);
}

static inline long sys_pidfd_open(int pid)
{
    return SYS(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
}

static inline long sys_pidfd_send_signal(int pidfd, int sig)
{
    return SYS(SYS_pidfd_send_signal, pidfd, sig, 0, 0, 0, 0);
}

static inline long sys_kill(int pid, int sig)
{
    return SYS(SYS_kill, pid, sig, 0, 0, 0, 0);
}

static inline long sys_waitid(int type, int id, siginfo_t *info, int options)
{
    return SYS(SYS_waitid, type, id, info, options, 0, 0);
}

/* clone(2) without a new stack: returns twice, like fork. */
static inline long sys_clone(unsigned long flags, int *child_tid)
{
    return SYS(SYS_clone, flags, 0, 0, child_tid, 0, 0);
}

static inline long sys_sched_yield(void)
{
    return SYS(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

static inline void __attribute__((noreturn)) sys_exit(int code)
{
    for (;;)
        SYS(SYS_exit_group, code, 0, 0, 0, 0, 0);
}

/* Nanoseconds of CLOCK_MONOTONIC; the vDSO call writes nothing but its result. */
static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
