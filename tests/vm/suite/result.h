/* SPDX-License-Identifier: MIT */
#ifndef SUITE_RESULT_H
#define SUITE_RESULT_H

/* The one page that all processes and lwCs of a test share with the program that started it. */
struct result {
    int state;
    char message[1000];
};

enum { RUNNING, WRITING, FAILED, SKIPPED, PASSED };

extern struct result *result;

#endif
