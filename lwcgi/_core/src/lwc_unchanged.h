/* SPDX-License-Identifier: MIT */
/*
 * Is the serving task still what it was when its worker was frozen?
 *
 * That it is follows from the calls it made (lwc_calls.h), but for two things: open
 * files that the snapshot shares with each worker, which are put back here; and what
 * is written to files of /proc/self, which is compared. With --verify everything the
 * kernel can be asked is looked at, as a proof that the list of calls is whole.
 */
#ifndef LWCGI_LWC_UNCHANGED_H
#define LWCGI_LWC_UNCHANGED_H

#include <sys/resource.h>

#include "keep.h"
#include "sys.h"

enum {
    UNCHANGED_SIGNALS = 64,
    UNCHANGED_LIMITS = 16, /* RLIM_NLIMITS */
    UNCHANGED_ANSWERS = 24,
    UNCHANGED_CPUS = 1024 / 8,
    UNCHANGED_NAME = 16,
    UNCHANGED_FILES = 4,
    UNCHANGED_TEXT = 256,
};

struct lwc_unchanged {
    struct kernel_sigaction signals[UNCHANGED_SIGNALS];
    struct rlimit limits[UNCHANGED_LIMITS];
    int64_t answers[UNCHANGED_ANSWERS];
    uint64_t places[4]; /* device and inode of the current and of the root directory */
    uint8_t cpus[UNCHANGED_CPUS];
    uint8_t scheduling[64];
    int64_t umask;
    int64_t timer;  /* the number the last timer got */
    int64_t reaped; /* faults of children that were waited for */
};

/* What is changed by writing to files, among so many others: those of /proc/self. */
struct lwc_written {
    int64_t timer_slack;
    char name[UNCHANGED_NAME];
    char text[UNCHANGED_FILES][UNCHANGED_TEXT];
};

struct lwc_proc {
    struct lwc_written was;
    int32_t fd[UNCHANGED_FILES]; /* -1: this kernel has no such file */
};

/* Notes what can be written. Returns 0 or -errno. */
int lwc_unchanged_note_proc(struct lwc_proc *p);

/* Returns NULL, or what has changed. */
const char *lwc_unchanged_proc(const struct lwc_proc *p);

/* Notes what the task is. Returns 0 or -errno. */
int lwc_unchanged_note(struct lwc_unchanged *u);

/* Returns NULL, or what has changed. */
const char *lwc_unchanged_look(struct lwc_unchanged *u);

/* Puts back what of the application's open files a request may have changed. Returns NULL, or what
 * cannot be put back: the task must not serve another request. */
const char *lwc_unchanged_files(const struct frozen *f);

#endif
