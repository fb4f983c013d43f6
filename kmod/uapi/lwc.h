/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
#ifndef _UAPI_LWC_H
#define _UAPI_LWC_H
/*
 * Light-weight contexts (lwCs) for Linux, after Litton et al., "Light-Weight Contexts: An OS
 * Abstraction for Safety and Performance", OSDI 2016. This header is the contract: the module,
 * the bindings and the tests include it, nobody copies it. Where the paper is silent or can be
 * read in two ways, this header decides; such places begin with "Decided:".
 *
 * 1. The model
 * ============
 *
 * An lwC is an address space, a table of descriptors, and a state of each of its threads: registers,
 * credentials and more. It is not scheduled. A thread is in exactly one lwC; lwSwitch takes it from
 * there into another, at the point where that one was left or created.
 *
 * The calls are ioctls on a descriptor of the device /dev/lwc, the door. The door has no state of
 * its own: whoever may open it may make lwCs of the thread that calls.
 *
 * Decided: an lwC has a state of the thread that made it, and of the threads that it took along:
 * those that were at a safe point, which is in LWC_IOC_SAFEPOINT and nowhere else. Each of them may
 * enter it, at its own point; several may be in it at the same time. To every other thread it is
 * foreign (EPERM). The lwCs of a thread are its group. Threads that were not taken along stay in
 * the address space they were in, and the locks they hold at the time of a copy stay locked in it
 * for ever, as after fork(2). (In the paper all are stopped and copied, wherever they are.)
 *
 * What is per lwC
 *     memory and mappings, brk; descriptors, with their close-on-exec flags, and POSIX record
 *     locks (their owner is the table); attributes the kernel keeps with memory: dumpable, THP,
 *     MDWE, registrations of membarrier(2).
 * What is per lwC and thread
 *     credentials with capabilities and keyrings; registers, FS and GS base, PKRU, extended state;
 *     signal mask, alternate signal stack; what the kernel was told of the thread's memory:
 *     registration of rseq(2), robust list, clear_child_tid.
 *
 * What is not: it stays with the process or the thread, whichever lwC runs. A user who gives an lwC
 * to code he does not trust must deny these, or put them back himself
 *     current and root directory, umask; open file descriptions (a copied descriptor shares
 *     offset, status flags and flock(2) locks with its origin); resource limits, nice, scheduling;
 *     namespaces; seccomp filters, no_new_privs; signal handlers, pending signals; timers, alarms;
 *     parent-death signal, name; System V semaphore undo; I/O permission bits; perf events; tracing;
 *     set_mempolicy(2), set_thread_area(2), personality(2), timer slack, I/O priority; what makes
 *     instructions or calls fail (PR_SET_TSC, ARCH_SET_CPUID, syscall user dispatch) and speculation
 *     controls.
 *
 * 2. Names, rights, lifetime
 * ==========================
 *
 * An lwC is named by a descriptor (anonymous inode "[lwc]", close-on-exec). The lwC the thread was
 * in when it made its first is its root lwC; its well-known descriptor is LWC_FD_ROOT. The lwC that
 * runs is LWC_FD_SELF. Both are accepted wherever a descriptor of an lwC is asked.
 *
 * A descriptor names an lwC and carries a mask: what of that lwC may be reached through it, by
 * LWC_IOC_OVERLAY and LWC_IOC_SYSCALL. Copies of a descriptor (dup(2), a copied table, fork(2),
 * SCM_RIGHTS) are the same open file; they have its mask, and what narrows it narrows it for all of
 * them. The mask is
 *     everything     of the descriptor that LWC_IOC_CREATE and LWC_IOC_CLONE give to the creator
 *     what was said  with LWC_MAY_ACCESS at creation, of the descriptor of its creator that a new
 *                    lwC gets at its first entry
 *     nothing        of all others. LWC_FD_ROOT has none, so that it is no way round a mask.
 *
 * A descriptor by itself gives no right: not to a forked child, not to another thread or process it
 * was passed to (EPERM). What an lwC may do to another is kept by the module:
 *
 *   - the creator may enter, clone, reset, destroy it, reach into it, choose which system calls of
 *     it are refused, and grant others to enter and to reach into it;
 *   - an lwC may grant that on itself;
 *   - each of its threads has rights of its own in it, and as creator the lwC that thread was in;
 *     what is refused to it (LWC_IOC_TRAP), and its destruction, are the same for all;
 *   - the way back up must have been granted: LWC_MAY_RETURN at creation, or LWC_GRANT. Entering
 *     an lwC regains its credentials, memory and descriptors. Likewise LWC_MAY_ACCESS. EACCES
 *     otherwise.
 *
 * To reach into an lwC takes both: the right, and a descriptor whose mask allows what is asked.
 *
 * Decided: close(2) by its creator destroys an lwC, whatever other descriptors name it; those
 * answer ESTALE from then on. In every other lwC close only closes the name. An lwC is also
 * destroyed by leaving it with LWC_DISCARD, and with its last thread: at its exit, however that
 * comes about, and at its execve(2). A thread that is in an lwC when another one destroys it stays
 * in it until it leaves. What a destroyed lwC had created passes to its own creator, or, if it had
 * none, to nobody; LWC_MAY_RETURN and LWC_MAY_ACCESS do not pass with it.
 *
 * Decided: the end of the process is the end of all its lwCs: exit_group(2) in any of them, also a
 * fatal signal. A core dump holds the one that ran. A thread that calls exit(2) in an lwC returns to
 * its root lwC first, where others may be waiting to join it (clear_child_tid, robust list), unless
 * that was destroyed, its tracer may not follow it there, or its state cannot be carried (EOPNOTSUPP).
 *
 * fork(2) in an lwC makes an ordinary process from that lwC, with no lwCs.
 *
 * 3. Signals
 * ==========
 *
 * A signal is delivered to the lwC that runs; its handler must exist in that lwC's memory.
 * Synchronous signals (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS) go to the lwC that caused
 * them. Decided: others reach an lwC only if it was created with LWC_SHARE_SIGNALS, or unblocks
 * them; without the flag an lwC begins with them blocked, and they wait for one that takes them.
 * The signal mask is saved and installed by every switch. SIGKILL and SIGSTOP cannot be blocked.
 *
 * 4. Refusals
 * ===========
 *
 * EOPNOTSUPP is the answer where a state of the thread could not be carried over correctly: it uses
 * io_uring, a user shadow stack, dynamically enabled vector state (AMX), a device that works in its
 * memory (PASID), segments in FS or GS, or is not a 64-bit thread; its memory has mappings that
 * cannot be copied (hugetlbfs, write-combined devices), or LWC_SHARE names some that cannot be
 * shared. Nothing has happened then.
 *
 * Errors that every call can return, in the order in which they are looked for:
 *     ENOTTY      not a call of this ABI
 *     EFAULT      the structure cannot be read or written
 *     EINVAL      unknown flags or kinds, reserved fields that are not zero, counts beyond the
 *                 limits below, a descriptor that does not name an lwC
 *     EOPNOTSUPP  see above
 *     EBADF       the descriptor is not open; LWC_FD_ROOT or LWC_FD_SELF before any lwC was made
 *     EPERM       the calling thread has no state in the lwC
 *     ESTALE      the lwC was destroyed
 *     EACCES      the right was not granted
 * Calls that wait for locks can return EINTR, only where the thread is being killed; others say so.
 *
 * All structures have fixed-width fields, no implicit padding, and sizes that never change under
 * the same number; a new need gets a new number. Results are written only on success. Success is 0.
 */
#include <linux/ioctl.h>
#include <linux/types.h>

#define LWC_ABI 1

/* Descriptors that need not be open. */
#define LWC_FD_NONE (-1)
#define LWC_FD_SELF (-10)
#define LWC_FD_ROOT (-11)

#define LWC_MAX_ARGS 8
#define LWC_MAX_SPECS 64

/*
 * LWC_IOC_ABI: what this module speaks.
 *     abi        LWC_ABI
 *     features   bits of LWC_FEATURE_*; a call whose bit is missing answers ENOSYS
 */
#define LWC_FEATURE_OVERLAY (1u << 0)
#define LWC_FEATURE_RESTRICT (1u << 1)
#define LWC_FEATURE_SYSCALL (1u << 2)
#define LWC_FEATURE_TRAP (1u << 3)
#define LWC_FEATURE_THREADS (1u << 4)

struct lwc_abi {
    __u32 abi;
    __u32 features;
};

/*
 * A resource specification: what becomes of a range of the creator's resources.
 *
 * kind    LWC_MEMORY       start, end: addresses, multiples of the page size
 *         LWC_FILES        start, end: descriptors
 *         LWC_CREDENTIALS  start 0, end LWC_ALL
 *         start is the first, end the one after the last; 0 and LWC_ALL mean all.
 * action  LWC_COPY         memory: copy-on-write; descriptors: the same open files under the same
 *                          numbers in a table of its own; credentials: a copy. The default for all
 *                          that no specification names.
 *         LWC_SHARE        memory: both see every write, from now on. Private memory becomes a
 *                          shared mapping in the creator too, once: its threads must not write to
 *                          it during the call. Pages that are not mapped stay so; shared mappings
 *                          are shared in any case. Decided: no part of the mapping the stack
 *                          pointer is in, for two flows of control on one stack destroy each other
 *                          (EINVAL); mappings of devices, huge pages and the kernel cannot be shared
 *                          (EOPNOTSUPP), nor private ones that are locked, have a protection key, or
 *                          are not to be dumped or inherited: that would be lost.
 *                          descriptors: decided: the whole table or nothing (EINVAL for a part of
 *                          it), a Linux table has one owner or several. Closing a descriptor of an
 *                          lwC in a shared table destroys it only if its creator does.
 *                          credentials: a change by one is a change for the other.
 *         LWC_UNMAP        memory, descriptors: not there in the new lwC. EINVAL for credentials.
 * Specifications of one kind must not overlap (EINVAL).
 *
 * LWC_MAY_ACCESS, added to an action in LWC_IOC_CREATE: the new lwC may reach these resources of its
 * creator later, through the descriptor of it that it gets: LWC_COPY of them where that is what it
 * was given, LWC_SHARE too of what it shares or was not given (LWC_UNMAP). EINVAL with
 * LWC_SUSPEND_ONLY: a worker's creator need not be the one that the ranges were meant for.
 */
#define LWC_MEMORY 1u
#define LWC_FILES 2u
#define LWC_CREDENTIALS 3u

#define LWC_COPY 0u
#define LWC_SHARE 1u
#define LWC_UNMAP 2u

#define LWC_MAY_ACCESS (1u << 8)

#define LWC_ALL (~0ULL)

struct lwc_spec {
    __u32 kind;
    __u32 action;
    __u64 start;
    __u64 end;
};

/*
 * LWC_IOC_CREATE: a new lwC from the one that runs. Returns twice: in the creator at once, in the
 * new one when it is entered for the first time.
 *
 * in   flags     LWC_MAY_RETURN      the new lwC may enter its creator
 *                LWC_SAME_RIGHTS     it may enter what its creator may, by grant or as a way back
 *                LWC_SUSPEND_ONLY    a frozen snapshot: it never runs, and can be cloned
 *                LWC_SHARE_SIGNALS   section 3
 *                LWC_TRAP_SYSCALLS   see LWC_IOC_TRAP
 *                LWC_WITH_THREADS    take along the threads that are at a safe point in this lwC
 *      nspecs, specs   number of specifications, at most LWC_MAX_SPECS; address of them
 *      nargs     with LWC_WITH_THREADS: wait until so many other threads are at a safe point, with
 *                the same memory and table; all that are there then are taken along. None of their
 *                stacks may be shared (EINVAL); of credentials each copies or shares its own
 * out  event     LWC_CREATED in the creator, LWC_ENTERED in the new lwC; LWC_TRAPPED where it is
 *                entered by a refused system call of one that it created before it was reset
 *      fd        creator: descriptor of the new lwC. New lwC: descriptor of its creator, or
 *                LWC_FD_NONE if it may not enter it (or its table is full)
 *      caller, nargs, args
 *                new lwC: who entered it, and the arguments, as with LWC_IOC_SWITCH
 *                creator: nargs is the number of other threads that were taken along
 *
 * Errors: EMFILE, ENFILE   no descriptor is free
 *         ENOSPC           the group has as many lwCs as the module parameter max_contexts allows
 *         EDQUOT           their address spaces together would exceed max_bytes
 *         ENOMEM           no memory, or the limits of overcommit
 *         EINVAL           also: ranges that are empty, not aligned, overlap; LWC_SUSPEND_ONLY with
 *                          LWC_SHARE of descriptors or credentials, which would not stay as they are
 *         EFAULT           also: specs
 *         EINTR            a signal came while it waited for threads (SA_RESTART: begun again)
 */
#define LWC_MAY_RETURN (1u << 0)
#define LWC_SAME_RIGHTS (1u << 1)
#define LWC_SUSPEND_ONLY (1u << 2)
#define LWC_SHARE_SIGNALS (1u << 3)
#define LWC_TRAP_SYSCALLS (1u << 4)
#define LWC_WITH_THREADS (1u << 5)

#define LWC_CREATED 0u
#define LWC_ENTERED 1u
#define LWC_TRAPPED 2u

struct lwc_create {
    __u32 flags;
    __u32 nspecs;
    __u64 specs;
    __u32 event;
    __s32 fd;
    __s32 caller;
    __u32 nargs;
    __u64 args[LWC_MAX_ARGS];
};

/*
 * LWC_IOC_SWITCH: leave the lwC that runs, enter another. Returns when this one is entered again.
 *
 * in   target    descriptor of the lwC to enter
 *      flags     LWC_DISCARD: this lwC is destroyed. The root lwC can be, too
 *      nargs, args   words for the target
 * out  caller    descriptor, in the table of the lwC entered, of the lwC that entered it; one that
 *                the table has already, or a new one; LWC_FD_NONE if it was discarded, may not be
 *                entered from here, or the table is full
 *      nargs, args   its words; the rest of args is zero
 *      flags         LWC_BY_TRAP: it did not call, one of its system calls was refused
 *                    (LWC_IOC_TRAP). Only the module says so; ignored when given
 *
 * The structure lies in the memory of the lwC that called, and is written when it is entered
 * again. If it cannot be written then, the call fails there with EFAULT, in the lwC entered.
 *
 * Errors: EBUSY   the target runs already (it is this lwC)
 *         EPERM   also: the thread is traced by who has not CAP_SYS_PTRACE, and would get other
 *                 credentials, or memory that is not dumpable from one that is
 *         EROFS   the target is a snapshot
 *         ENOTRECOVERABLE  the target is a worker whose reset failed half-way
 *         ENOMEM  no memory
 */
#define LWC_DISCARD (1u << 0)
#define LWC_BY_TRAP (1u << 1)

struct lwc_switch {
    __s32 target;
    __u32 flags;
    __u32 nargs;
    __s32 caller;
    __u64 args[LWC_MAX_ARGS];
};

/*
 * LWC_IOC_CLONE: a worker, a copy-on-write copy of a snapshot in all three kinds of resources. When
 * it is first entered it returns from the LWC_IOC_CREATE that made the snapshot. It has the
 * snapshot's rights; its creator is the caller, which must be the snapshot's creator (EACCES). Of
 * the threads the snapshot took along, a worker has the state of the one that calls.
 *
 * in   snapshot, flags (0)
 * out  fd
 *
 * Decided: a worker begins with transparent huge pages switched off (prctl(2) PR_GET_THP_DISABLE
 * answers 1): it is put back page by page.
 *
 * Errors: as LWC_IOC_CREATE; EINVAL: not a snapshot.
 */
struct lwc_clone {
    __s32 snapshot;
    __u32 flags;
    __s32 fd;
    __u32 reserved;
};

/*
 * LWC_IOC_RESET: make a worker again what its snapshot is: memory, mappings, descriptors,
 * credentials, and everything else that is per lwC. Its next entry is a first one. Other threads
 * of the process that live in the worker's memory are ended. Shared memory, files and what section
 * 1 names stay as they are. The cost is that of the pages it has ever changed: those stay private to
 * it, so that its next run does not fault on them, and are copied back every time. A worker that has
 * gathered too many (pages_private) is destroyed, and another cloned.
 *
 * What is not its state stays: rights it was granted; lwCs it created, with LWC_MAY_RETURN and what it
 * granted them, so that they may enter the worker it has become; what a thread keeps (section 1);
 * processes it forked; and handles on its memory that others got: an open /proc/PID/mem, userfaultfd
 * with the marks it left, contexts of io_setup(2). Against code that is not trusted these must be
 * denied (seccomp), or the worker destroyed and another cloned.
 *
 * in   worker, flags (0)
 * out  pages_copied     written back from the snapshot
 *      pages_checked    page table entries looked at
 *      pages_private    that the worker holds now for itself
 *      mappings         undone: removed, put back, protected anew
 *
 * Errors: EINVAL   not a worker
 *         EACCES   the caller is not its creator; also a worker that would reset itself
 *         EBUSY    another process shares its memory (vfork, CLONE_VM), or a thread of its does not end
 *         ESTALE   also: its snapshot was destroyed
 *         ENOTRECOVERABLE
 *                  what was done to it cannot be undone (mappings sealed by mseal(2), local descriptors
 *                  of modify_ldt(2)), or an earlier reset failed half-way: it can only be destroyed,
 *                  and cloned anew
 *         ENOMEM   no memory; as above, it can only be destroyed
 */
struct lwc_reset {
    __s32 worker;
    __u32 flags;
    __u64 pages_copied;
    __u64 pages_checked;
    __u64 pages_private;
    __u64 mappings;
};

/*
 * LWC_IOC_GRANT: say what one lwC may do to another. Allowed to the target itself and to its creator.
 *
 * in   target, holder
 *      rights    LWC_MAY_ENTER, LWC_MAY_ACCESS, both, or 0; what is not named is taken back (the
 *                creator's own cannot be taken)
 *
 * Errors: ENOMEM
 */
#define LWC_MAY_ENTER (1u << 0)

struct lwc_grant {
    __s32 target;
    __s32 holder;
    __u32 rights;
    __u32 reserved;
};

/*
 * LWC_IOC_INFO: about an lwC of this group, and the group. No right is needed.
 *
 * in   fd, flags (0)
 * out  id            of the lwC, unique in the life of the module, never 0
 *      creator       id, 0 for none
 *      snapshot      id of the snapshot a worker was cloned from, 0 for none
 *      state         bits of LWC_IS_*
 *      contexts      lwCs of the group, the root included
 *      pages_private that a worker holds for itself since its first reset
 *      switches      of the group
 *      bytes         of address space, all lwCs of the group but the one that runs
 */
#define LWC_IS_RUNNING (1u << 0)
#define LWC_IS_ROOT (1u << 1)
#define LWC_IS_SNAPSHOT (1u << 2)
#define LWC_IS_WORKER (1u << 3)
#define LWC_IS_ENTERED (1u << 4) /* has been entered since it was created or reset */

struct lwc_info {
    __s32 fd;
    __u32 flags;
    __u64 id;
    __u64 creator;
    __u64 snapshot;
    __u32 state;
    __u32 contexts;
    __u64 pages_private;
    __u64 switches;
    __u64 bytes;
};

/*
 * LWC_IOC_OVERLAY: map resources of another lwC into the one that runs, in place of what is there.
 *
 * in   source, flags (0), nspecs, specs
 *
 *      LWC_MEMORY       the range becomes what it is in the source, also where that has nothing.
 *                       Copies are made as by fork(2): not locked, without what MADV_DONTFORK
 *                       excludes, empty where MADV_WIPEONFORK says so
 *          LWC_COPY     copy-on-write
 *          LWC_SHARE    both see every write; as with LWC_IOC_CREATE private memory of the source
 *                       becomes a shared mapping in it, with the same exceptions
 *      LWC_FILES        a descriptor that already is what it becomes is not closed
 *          LWC_COPY     each descriptor of the range becomes what it is in the source: the same open
 *                       file with its close-on-exec flag, or closed
 *          LWC_SHARE    the whole table: it is that of the source from now on, and what the caller
 *                       had is closed, unless others share it. That destroys the source, too, if
 *                       it is the caller's and has no descriptor of itself under the same number
 *      LWC_CREDENTIALS  those of the caller are put aside, once, for as long as it has others
 *          LWC_COPY     those of the source, as they are now
 *          LWC_SHARE    a change by one is a change for the other
 *
 * Undone with the source LWC_FD_SELF: LWC_UNMAP unmaps memory and closes descriptors, LWC_COPY of
 * LWC_CREDENTIALS puts back what was put aside (nothing happens where nothing was). What memory and
 * descriptors were before is not kept. No other action goes with LWC_FD_SELF, and LWC_UNMAP with no
 * other source (EINVAL).
 *
 * Decided: no part of the mapping that the caller's stack pointer is in (EINVAL). What is wrong is
 * found before anything is changed; after ENOMEM and EINTR, and where other threads change what was
 * looked at, a part of the specifications may have been carried out.
 *
 * Errors: EACCES  the right, or the mask of the descriptor
 *         EBUSY   the source is the lwC that runs, by another name than LWC_FD_SELF; also where
 *                 another thread is about to open a descriptor of the range
 *         EMFILE  a descriptor beyond the caller's RLIMIT_NOFILE
 *         ENOMEM  no memory, RLIMIT_AS, the number of mappings, or the limits of overcommit
 *         EOPNOTSUPP  also: a part of a mapping that cannot be divided, of huge pages or the kernel
 *         EPERM   also: the thread is traced, as with LWC_IOC_SWITCH; mseal(2) protects what is there
 *         EROFS   LWC_SHARE, and the source is a snapshot
 *         ENOTRECOVERABLE  as with LWC_IOC_SWITCH
 */
struct lwc_overlay {
    __s32 source;
    __u32 flags;
    __u32 nspecs;
    __u32 reserved;
    __u64 specs;
};

/*
 * LWC_IOC_RESTRICT: narrow the mask of a descriptor; it is never widened. Whoever has the descriptor
 * may do it.
 *
 * in   fd
 *      flags       LWC_RESTRICT_COPY: the mask of fd stays, a new descriptor gets the narrow one
 *      nspecs, specs   what remains allowed; the action is the most that is allowed (LWC_SHARE
 *                  allows LWC_COPY too). LWC_UNMAP is not one (EINVAL)
 * out  restricted  the new descriptor, close-on-exec; LWC_FD_NONE without the flag
 *
 * Errors: EACCES  more than is allowed now
 *         EINVAL  also: LWC_FD_SELF, LWC_FD_ROOT
 *         EMFILE, ENFILE, ENOMEM
 */
#define LWC_RESTRICT_COPY (1u << 0)

struct lwc_restrict {
    __s32 fd;
    __u32 flags;
    __u32 nspecs;
    __s32 restricted;
    __u64 specs;
};

/*
 * LWC_IOC_SYSCALL: perform a system call as another lwC would, and come back.
 *
 * in   target, nr, args
 *      mask    decided: the kinds of resources (bit 1 << kind) taken from the target (the paper can
 *              be read as the opposite; its programs use it so); the rest is the caller's. The mask
 *              of the descriptor must allow LWC_SHARE of all of each kind
 * out  result  of the call, or its negative errno
 *
 * docs/lwc.md lists the calls that can be made: those that depend on memory, descriptors and
 * credentials alone, return, and make no task. What else they use is the caller's: directory, limits,
 * protection keys. Descriptors of lwCs that they close are names only. The thread stays in the caller:
 * a signal ends the wait of a call that can be interrupted, and is delivered when the caller's memory
 * is back. Where the interrupted call would be begun again (SA_RESTART, or no handler), this one is;
 * where that takes a note of how far it had come (nanosleep(2), poll(2)), the result is -EINTR. Others
 * see the thread (/proc) with the memory and descriptors it works with, and the caller's credentials;
 * tracers and the audit log see this call only. What other threads destroy stays until its end.
 *
 * Errors: ENOSYS  not one of them. EINTR  a signal came before anything was done
 *         EACCES  the right, or the mask; or the call is refused to the caller (LWC_IOC_TRAP)
 *         EBUSY   the target is the lwC that runs
 *         EINVAL  also: mask is 0
 *         EOPNOTSUPP  also: the thread has a seccomp(2) filter, which would not see the call
 *         EPERM   also: traced, as LWC_IOC_SWITCH; memory dumpable (at first) of which the caller's is not
 *         EROFS   the target is a snapshot
 *         ENOTRECOVERABLE  as with LWC_IOC_SWITCH
 */
struct lwc_syscall {
    __s32 target;
    __u32 mask;
    __u64 nr;
    __u64 args[6];
    __s64 result;
};

/*
 * LWC_IOC_TRAP: which system calls of an lwC created with LWC_TRAP_SYSCALLS are refused; at first all.
 *
 * A refused call is skipped. It becomes a switch to the creator, whether that may be entered or not,
 * with LWC_BY_TRAP, args[0] the number of the call and args[1..6] its arguments. Who enters the lwC
 * again gives the result: args[0] an errno, 0 for none, and args[1] what the call returns then; or has
 * it made once more: LWC_TRAP_AGAIN, it runs if it is not refused any longer; LWC_TRAP_ONCE, it runs
 * though it is refused, unless another call comes first, but not what the creator is refused as well.
 * Where the creator is gone, waits for an answer itself, or cannot be entered, it fails with EPERM.
 *
 * in   fd
 *      mode    LWC_TRAP_NONE, LWC_TRAP_ALL, or LWC_TRAP_SOME
 *      calls   LWC_TRAP_SOME: address of 64 bytes, in which bit n % 8 of byte n / 8 refuses call n
 *
 * Decided: refused whatever the mode are calls by which code would reach past its lwC: ptrace,
 * process_vm_readv, process_vm_writev, process_madvise, pidfd_getfd, perf_event_open; io_uring_setup,
 * io_uring_enter, io_uring_register; numbers from 512 on and all calls by a 32-bit entry (int 0x80),
 * which are told with LWC_TRAP_COMPAT. (-1 is no number, and answers ENOSYS.) Never refused are
 * rt_sigreturn, which also sets signal mask and alternate stack, restart_syscall, which goes on with
 * what was interrupted, and what vDSO and vsyscall page answer without a call. What fork, vfork,
 * clone, clone3 make, and what follows execve and execveat, is no lwC and is refused nothing: who lets
 * these calls through gives that up. An lwC that is made in one with LWC_TRAP_SYSCALLS has it too, and
 * is refused what its creator is, now and later. Workers begin with what their snapshot is refused.
 *
 * Errors: EACCES  the caller is not its creator
 *         EINVAL  also: it was created without LWC_TRAP_SYSCALLS; EFAULT also: calls
 */
#define LWC_TRAP_NONE 0u
#define LWC_TRAP_ALL 1u
#define LWC_TRAP_SOME 2u
#define LWC_TRAP_COMPAT (1ULL << 32) /* in args[0], beside the number: by a 32-bit entry */
#define LWC_TRAP_AGAIN (~0ULL)
#define LWC_TRAP_ONCE (~1ULL)

struct lwc_trap {
    __s32 fd;
    __u32 mode;
    __u64 calls;
};

/*
 * LWC_IOC_SAFEPOINT: wait at a safe point until another thread in the same lwC makes one with
 * LWC_WITH_THREADS. Returns like LWC_IOC_CREATE: in the lwC where the thread is, when the new one has
 * been made; in the new one when this thread enters it for the first time. A creation that fails
 * leaves it waiting.
 *
 * in   flags     (0)
 * out  event     LWC_CREATED, LWC_ENTERED, LWC_TRAPPED. From here on as struct lwc_create
 *      fd        LWC_CREATED: the number of the new lwC's descriptor in the table that the threads
 *                share. LWC_ENTERED: descriptor of the creator, or LWC_FD_NONE
 *      caller, nargs, args   LWC_ENTERED: as with LWC_IOC_SWITCH
 *
 * Errors: EINTR   a signal came, and the thread was not taken along (SA_RESTART: begun again)
 *         ENOMEM, ENOSPC, EDQUOT  as LWC_IOC_CREATE
 */
struct lwc_safepoint {
    __u32 flags;
    __u32 reserved;
    __u32 event;
    __s32 fd;
    __s32 caller;
    __u32 nargs;
    __u64 args[LWC_MAX_ARGS];
};

#define LWC_IOC_MAGIC 0xB7
#define LWC_IOC_ABI _IOR(LWC_IOC_MAGIC, 0, struct lwc_abi)
#define LWC_IOC_CREATE _IOWR(LWC_IOC_MAGIC, 1, struct lwc_create)
#define LWC_IOC_SWITCH _IOWR(LWC_IOC_MAGIC, 2, struct lwc_switch)
#define LWC_IOC_CLONE _IOWR(LWC_IOC_MAGIC, 3, struct lwc_clone)
#define LWC_IOC_RESET _IOWR(LWC_IOC_MAGIC, 4, struct lwc_reset)
#define LWC_IOC_GRANT _IOW(LWC_IOC_MAGIC, 5, struct lwc_grant)
#define LWC_IOC_INFO _IOWR(LWC_IOC_MAGIC, 6, struct lwc_info)
#define LWC_IOC_OVERLAY _IOW(LWC_IOC_MAGIC, 7, struct lwc_overlay)
#define LWC_IOC_RESTRICT _IOWR(LWC_IOC_MAGIC, 8, struct lwc_restrict)
#define LWC_IOC_SYSCALL _IOWR(LWC_IOC_MAGIC, 9, struct lwc_syscall)
#define LWC_IOC_TRAP _IOW(LWC_IOC_MAGIC, 10, struct lwc_trap)
#define LWC_IOC_SAFEPOINT _IOWR(LWC_IOC_MAGIC, 11, struct lwc_safepoint)

/* The sizes are part of the contract; lwcgi/lwc and the tests assert the same numbers. */
#define LWC_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
LWC_ASSERT_SIZE(lwc_abi, 8);
LWC_ASSERT_SIZE(lwc_spec, 24);
LWC_ASSERT_SIZE(lwc_create, 96);
LWC_ASSERT_SIZE(lwc_switch, 80);
LWC_ASSERT_SIZE(lwc_clone, 16);
LWC_ASSERT_SIZE(lwc_reset, 40);
LWC_ASSERT_SIZE(lwc_grant, 16);
LWC_ASSERT_SIZE(lwc_info, 64);
LWC_ASSERT_SIZE(lwc_overlay, 24);
LWC_ASSERT_SIZE(lwc_restrict, 24);
LWC_ASSERT_SIZE(lwc_syscall, 72);
LWC_ASSERT_SIZE(lwc_trap, 16);
LWC_ASSERT_SIZE(lwc_safepoint, 88);

#endif
