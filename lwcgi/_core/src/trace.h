/* SPDX-License-Identifier: MIT */
/*
 * What the request under way has asked of the kernel, written down by the
 * handler of its system calls (dispatch.c) so that it can be undone by name.
 *
 * The trace lies beside the keep, outside the image, and is inherited by
 * processes the application forks: the stubs they return through read it.
 */
#ifndef LWCGI_TRACE_H
#define LWCGI_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum trace_flag {
    TRACE_TASK = 1,       /* state of the task changed: a new task serves the next request */
    TRACE_WHOLE = 2,      /* state of the whole memory changed for good: a new worker */
    TRACE_SCAN = 4,       /* others may have written to memory: the fault counter is no proof */
    TRACE_MAPS = 8,       /* the list of mappings is not complete: compare them all */
    TRACE_FILES = 16,     /* the list of descriptors is not complete: enumerate them */
    TRACE_CHILDREN = 32,  /* tasks were started: what is left of them is killed */
    TRACE_BLIND = 64,     /* calls went unseen */
    TRACE_UNSHARED = 256, /* the child has a descriptor table of its own */
};

enum {
    TRACE_RANGES = 128,     /* of each kind */
    TRACE_OPENED = 128,     /* more set TRACE_FILES */
    TRACE_SAVED = 32,       /* more set TRACE_WHOLE */
    TRACE_STUBS = 1024,     /* call sites of the application; a power of two */
    TRACE_FORK_STUBS = 32,  /* … of those that fork */
    TRACE_INHERITED = 1024, /* as many as KEEP_MAX_FILES */
    TRACE_FDS = 65536,      /* as many as KEEP_MAX_FD */
};

struct range {
    uint64_t start;
    uint64_t end; /* first byte behind it */
};

struct ranges {
    uint32_t count;
    uint32_t lost; /* there were more: the list is not complete */
    struct range at[TRACE_RANGES];
};

/* A descriptor of the application that the request closed or replaced, and
 * the copy that was put away before. */
struct saved_file {
    int32_t fd;
    int32_t copy;
};

/* How much of an inherited file's state the request may have changed. */
enum { FILE_MOVED = 1 /* its offset */, FILE_CHANGED = 2 /* flags, locks, owner */ };

struct trace {
    /* Return addresses of the call sites that a stub stands for; 0 = free. Each
     * is assigned once, so that no call can disturb another's. The stubs know
     * that these lie first. */
    uint64_t stubs[TRACE_STUBS + TRACE_FORK_STUBS];
    size_t size;
    uint32_t stub_count;
    uint32_t flags;       /* enum trace_flag */
    int32_t why;          /* number of the first call that costs more than an undo in place; -1 */
    int32_t death_signal; /* what the application set with PR_SET_PDEATHSIG */
    uint64_t traps;       /* calls seen in this request */
    uint64_t brk;         /* the break now */
    uint64_t frozen_brk;
    uint64_t proc_dev; /* st_dev of /proc */
    /* What the application believes of its alternate stack and of SIGSYS. */
    uint64_t altstack_sp;
    uint64_t altstack_size;
    int32_t altstack_flags;
    int32_t sigsys_blocked;
    struct ranges own;       /* mapped by the request: unmap */
    struct ranges dropped;   /* of the snapshot, given back to the kernel: refill */
    struct ranges protected; /* of the snapshot, mprotect: protect as before */
    uint32_t opened_count;
    uint32_t saved_count;
    uint32_t files_touched; /* any of files[] is set */
    uint32_t unused;
    int32_t opened[TRACE_OPENED];
    struct saved_file saved[TRACE_SAVED];
    uint8_t files[TRACE_INHERITED]; /* FILE_*, by index into frozen.files */
    /* The root's descriptors by number, noted where a copy of the process cannot
     * know them otherwise: it has no keep. */
    uint64_t roots[TRACE_FDS / 64];
};

/* Forgets the request. Stubs stay. */
void trace_reset(struct trace *t);

/* The call `nr` sets `flags`. */
void trace_flag(struct trace *t, uint32_t flags, long nr);

/* Descriptors the request opened. */
void trace_opened(struct trace *t, int fd);
void trace_closed(struct trace *t, int fd);
int trace_has_opened(const struct trace *t, int fd);
int trace_has_saved(const struct trace *t, int fd);

/* Adds to a list; where it is full, marks it as not complete. Neighbours are
 * joined. */
void ranges_add(struct ranges *r, uint64_t start, uint64_t end);
/* Takes start..end out of the list; what is left of a range stays. */
void ranges_remove(struct ranges *r, uint64_t start, uint64_t end);
/* All of start..end lies in the list. */
int ranges_cover(const struct ranges *r, uint64_t start, uint64_t end);

#endif
