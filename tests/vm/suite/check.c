/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "result.h"

struct result *result;

static void end(int state, const char *message, int code)
{
    int running = RUNNING;

    if (__atomic_compare_exchange_n(&result->state, &running, WRITING, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
        strncpy(result->message, message, sizeof(result->message) - 1);
        __atomic_store_n(&result->state, state, __ATOMIC_RELEASE);
    }
    _exit(code);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char words[sizeof(result->message)], message[sizeof(words) + 64];
    const char *slash = strrchr(file, '/');
    va_list list;

    va_start(list, format);
    vsnprintf(words, sizeof(words), format, list);
    va_end(list);
    snprintf(message, sizeof(message), "%s:%d: %s", slash ? slash + 1 : file, line, words);
    end(FAILED, message, 1);
    __builtin_unreachable();
}

void test_skip(const char *format, ...)
{
    char message[sizeof(result->message)];
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    end(SKIPPED, message, 0);
    __builtin_unreachable();
}

void test_pass(void)
{
    end(PASSED, "", 0);
    __builtin_unreachable();
}

void note(const char *format, ...)
{
    char words[256], text[sizeof(words) + 3];
    va_list list;

    va_start(list, format);
    vsnprintf(words, sizeof(words), format, list);
    va_end(list);
    if (write(1, text, snprintf(text, sizeof(text), "# %s\n", words)) < 0)
        FAIL("stdout: %s", error_name(errno));
}

const char *error_name(int error)
{
    const char *name = strerrorname_np(error);

    return name ? name : "no error";
}
