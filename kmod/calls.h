/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system calls that can be made for another lwC: what they do depends on memory, descriptors
 * and credentials alone, they return, and make no task. docs/lwc.md lists them too; a test
 * compares.
 *
 * Not here, though they look alike: ioctl (it would reach the door), calls that set the signal mask
 * while they wait (ppoll, pselect6, epoll_pwait), futex and whatever else keeps a note with the
 * thread of an address in memory, calls that change credentials or the working directory.
 */
#ifndef _LWC_CALLS_H
#define _LWC_CALLS_H

/* clang-format off */
#define LWC_CALLS(X)                                                                              \
    /* descriptors */                                                                             \
    X(read) X(write) X(pread64) X(pwrite64) X(readv) X(writev) X(preadv) X(pwritev) X(preadv2)    \
    X(pwritev2) X(lseek) X(close) X(close_range) X(dup) X(dup2) X(dup3) X(fcntl) X(flock)         \
    X(fsync) X(fdatasync) X(sync_file_range) X(syncfs) X(ftruncate) X(fallocate) X(fadvise64)     \
    X(readahead) X(fstat) X(fstatfs) X(fchmod) X(fchown) X(getdents64) X(sendfile) X(splice)      \
    X(tee) X(vmsplice) X(copy_file_range) X(pipe) X(pipe2) X(eventfd) X(eventfd2)                 \
    X(memfd_create) X(timerfd_create) X(timerfd_settime) X(timerfd_gettime) X(poll) X(select)     \
    X(epoll_create) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(inotify_init1)                  \
    X(inotify_add_watch) X(inotify_rm_watch) X(fgetxattr) X(fsetxattr) X(flistxattr)              \
    X(fremovexattr)                                                                               \
    /* names of files */                                                                          \
    X(open) X(openat) X(openat2) X(creat) X(stat) X(lstat) X(newfstatat) X(statx) X(statfs)       \
    X(access) X(faccessat) X(faccessat2) X(readlink) X(readlinkat) X(truncate) X(mkdir)           \
    X(mkdirat) X(rmdir) X(mknod) X(mknodat) X(unlink) X(unlinkat) X(rename) X(renameat)           \
    X(renameat2) X(link) X(linkat) X(symlink) X(symlinkat) X(chmod) X(fchmodat) X(chown)          \
    X(lchown) X(fchownat) X(utime) X(utimes) X(futimesat) X(utimensat) X(getxattr) X(lgetxattr)   \
    X(setxattr) X(lsetxattr) X(listxattr) X(llistxattr) X(removexattr) X(lremovexattr)            \
    /* sockets */                                                                                 \
    X(socket) X(socketpair) X(bind) X(listen) X(accept) X(accept4) X(connect) X(getsockname)      \
    X(getpeername) X(sendto) X(recvfrom) X(sendmsg) X(recvmsg) X(sendmmsg) X(recvmmsg)            \
    X(shutdown) X(setsockopt) X(getsockopt)                                                       \
    /* memory */                                                                                  \
    X(mmap) X(munmap) X(mprotect) X(mremap) X(madvise) X(msync) X(mincore) X(brk) X(mlock)        \
    X(mlock2) X(munlock)                                                                          \
    /* what is asked of credentials and the clock */                                              \
    X(getuid) X(geteuid) X(getgid) X(getegid) X(getresuid) X(getresgid) X(getgroups)    \
    X(clock_gettime) X(clock_getres) X(gettimeofday) X(time) X(nanosleep) X(clock_nanosleep)      \
    X(getrandom) X(uname) X(sysinfo) X(getcwd) X(getpid) X(getppid) X(gettid)
/* clang-format on */

#endif
