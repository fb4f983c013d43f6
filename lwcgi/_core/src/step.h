/* SPDX-License-Identifier: MIT */
/*
 * The steps that keep the promises, by name. In a normal build STEP(X) is
 * nothing. A build with -DLWCGI_MUTATIONS, used by the tests alone, can leave
 * one out, and a contract test must then fail: a step no test misses is either
 * not needed or not tested.
 */
#ifndef LWCGI_STEP_H
#define LWCGI_STEP_H

enum step {
    STEP_WIPE_REQUEST,   /* the inbox is wiped after each request */
    STEP_WIPE_SKIPPED,   /* so is what was read beside a request */
    STEP_HIDE_KEEP,      /* the keep is not inherited */
    STEP_CLOSE_ROOT_FDS, /* a context holds none of the root's descriptors */
    STEP_REOPEN_FILES,   /* files open at the snapshot are the context's own */
    STEP_RESTORE_MASK,   /* the application's signal mask, not the root's */
    STEP_RESTORE_DUMPABLE,
    STEP_LIMIT_MEMORY,
    STEP_DIE_WITH_ROOT,
    STEP_OWN_GROUP, /* signals to its process group stay in the context */
    STEP_KILL_LEFTOVERS,
    STEP_ANSWER_CRASH,   /* 500 for a context that died before its headers */
    STEP_BREAK_ANSWER,   /* a cut answer must not look whole */
    STEP_CUT_CONNECTION, /* close after an abnormal end */
    STEP_TIME_LIMIT,
    STEP_NOTICE_GONE,    /* a client that goes away stops the context */
    STEP_HIDE_ROOT,      /* the root's memory cannot be read through /proc */
    STEP_COPY_HOT,       /* the pages that requests are known to write */
    STEP_FIND_NEW,       /* … and those they are not known to */
    STEP_REFILL_DROPPED, /* … and those that were given back to the kernel */
    STEP_CONFINE,        /* a context under attack gets at no process outside */
    STEP_RESET_WORKER,   /* what a request of `lwc` changed of its worker */
    STEP_NOTE_CALLS,     /* … and what no worker has, by another task */
    STEP_DENY_FILTERS,   /* … in which its root's calls are not filtered */
    STEP_RESTORE_SHARED, /* … and of the files it shares with the snapshot */
    STEP_END_OFFSPRING,  /* … and the contexts it made */
    STEP_CHECK_CALLER,   /* it is the worker that comes to its root */
    STEP_CHECK_LENGTH,   /* … and asks for no more than there is room for */
    STEP_CHECK_BLOCK,    /* … or than there is */
    STEP_HIDE_WORKER,    /* … nor does another at the process it shares with its root */
    STEP_JUDGE_TASKS,    /* … in which it has no thread */
    STEP_RENEW_WORKER,   /* … no memory of it becomes the next one's */
    STEP_RENEW_EXCHANGE, /* … and no page between it and its root */
    STEP_COMPARE_PROC,   /* what was written to /proc/self ends the task */
    STEP_KILL_DETACHED,  /* … and what detached from it does not outlive it */
    STEP_KILL_SHARING,   /* what shares the worker's memory, detached or not */
    STEP_CLOSE_OPENED,   /* descriptors the request opened */
    STEP_RESTORE_SAVED,  /* … and those it closed or replaced */
    STEP_RESTORE_OFFSET, /* … and the files behind those it used */
    STEP_UNMAP_OWN,      /* mappings the request made */
    STEP_RESTORE_BREAK,
    STEP_RESTORE_PROTECTION,
    STEP_COUNT,
};

#ifdef LWCGI_MUTATIONS
extern unsigned char lw_skipped[STEP_COUNT];
#define STEP(name) if (!lw_skipped[STEP_##name])
#else
#define STEP(name)
#endif

#endif
