/* SPDX-License-Identifier: MIT */
#ifndef SUITE_COUNTS_H
#define SUITE_COUNTS_H

enum count {
    COUNT_ROOTS,    /* page-table roots loaded for another address space */
    COUNT_FAULTS,   /* page faults */
    COUNT_SWITCHES, /* by the scheduler */
    COUNTS
};

extern const char *const count_names[COUNTS];

/* Opens the counters of processor 0 (perf_event_open(2)). */
void counts_open(void);

/* Begins to count, from 0. */
void counts_start(void);

/* Ends it; what[] is what has happened since. */
void counts_stop(long what[COUNTS]);

#endif
