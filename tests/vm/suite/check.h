/* SPDX-License-Identifier: MIT */
#ifndef SUITE_CHECK_H
#define SUITE_CHECK_H
/*
 * How a test is written and how it fails. A test runs in a process of its own. Whatever it checks,
 * in whichever lwC or process, ends on one page that all of them share: the first failure stands.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

void test_add(struct test *test);

/* At column 0, after a comment of one line that says what must hold. */
#define TEST(name)                                                                                 \
    static void test_##name(void);                                                                 \
    __attribute__((constructor)) static void add_##name(void)                                      \
    {                                                                                              \
        static struct test test = {#name, test_##name, 0};                                         \
        test_add(&test);                                                                           \
    }                                                                                              \
    static void test_##name(void)

/* The test has failed, is skipped (say what is missing), has passed; callable from any lwC. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void test_pass(void);

/* A remark on a line of its own. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

const char *error_name(int error);

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            FAIL("not so: %s", #condition);                                                        \
    } while (0)

#define CHECK_EQ(a, b)                                                                             \
    do {                                                                                           \
        intptr_t a_ = (intptr_t)(a), b_ = (intptr_t)(b);                                           \
        if (a_ != b_)                                                                              \
            FAIL("%s is %ld (%#lx), not %s: %ld (%#lx)", #a, a_, a_, #b, b_, b_);                  \
    } while (0)

/* The call must answer the negative error. */
#define CHECK_ERRNO(call, error)                                                                   \
    do {                                                                                           \
        long answer_ = (call);                                                                     \
        if (answer_ != -(error))                                                                   \
            FAIL("%s: %s, not %s", #call, error_name(-answer_), error_name(error));                \
    } while (0)

/* The call must answer 0. */
#define CHECK_OK(call) CHECK_ERRNO(call, 0)

/* What a call of the C library answers, or the negative errno. */
#define SYS(call)                                                                                  \
    ({                                                                                             \
        long answer__ = (long)(call);                                                              \
        answer__ == -1 ? -(long)errno : answer__;                                                  \
    })

/* A call that prepares something must not fail; its value. */
#define MUST(call)                                                                                 \
    ({                                                                                             \
        long value_ = SYS(call);                                                                   \
        if (value_ < 0 && value_ > -4096)                                                          \
            FAIL("%s: %s", #call, error_name(-value_));                                            \
        value_;                                                                                    \
    })

#endif
