/* SPDX-License-Identifier: MIT */
/*
 * lwc-suite --list                 the names of the tests
 * lwc-suite [--long] [name...]     runs all, or the named ones; the long ones only if told to
 * lwc-suite --bench ROUNDS         prints what things cost
 *
 * One line per test: TEST name ok ms, TEST name FAIL file:line: message, TEST name SKIP reason.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "check.h"
#include "result.h"
#include "steps.h"
#include "world.h"

static struct test *tests, **last = &tests;

void test_add(struct test *test)
{
    *last = test;
    last = &test->next;
}

/* What tests may change and every test finds as it was. */
static struct knob {
    const char *path;
    char value[256];
} knobs[] = {
    {PARAMETERS "max_contexts", ""},        {PARAMETERS "max_bytes", ""},
    {"/proc/sys/vm/overcommit_memory", ""}, {"/proc/sys/vm/nr_hugepages", ""},
    {"/proc/sys/vm/max_map_count", ""},     {"/proc/sys/fs/file-max", ""},
    {"/proc/sys/kernel/core_pattern", ""},  {"/sys/kernel/mm/ksm/run", ""},
};

static void read_knob(const char *path, char value[256])
{
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? 0 : read(fd, value, 255);

    value[length > 0 ? length : 0] = 0;
    if (fd >= 0)
        close(fd);
}

static void save_knobs(void)
{
    for (size_t i = 0; i < sizeof(knobs) / sizeof(*knobs); i++)
        read_knob(knobs[i].path, knobs[i].value);
}

static void restore_knobs(void)
{
    char now[256];

    for (size_t i = 0; i < sizeof(knobs) / sizeof(*knobs); i++) {
        int fd;

        read_knob(knobs[i].path, now);
        if (!strcmp(now, knobs[i].value))
            continue;
        fd = open(knobs[i].path, O_WRONLY);
        if (fd < 0 || write(fd, knobs[i].value, strlen(knobs[i].value)) < 0)
            printf("# %s cannot be set back\n", knobs[i].path);
        close(fd);
    }
}

_Noreturn static void in_process(const struct test *test)
{
    struct lwc_info self;
    sigset_t none;
    int door;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    door = MUST(open("/dev/lwc", O_RDWR | O_CLOEXEC));
    MUST(dup3(door, DOOR, O_CLOEXEC));
    MUST(close(door));
    test->run();
    if (lwc_info(LWC_FD_SELF, &self) == 0 && !(self.state & LWC_IS_ROOT))
        FAIL("the test ended in another lwC than its root");
    test_pass();
}

static bool ended(pid_t pid, long until, int *status)
{
    long failed = 0;
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (milliseconds() < until) {
        if (waitpid(pid, status, WNOHANG) == pid)
            return true;
        if (result->state == FAILED) {
            if (!failed)
                failed = milliseconds();
            else if (milliseconds() - failed > 200)
                return false;
        }
        sigtimedwait(&child, NULL, &(struct timespec){.tv_nsec = 20000000});
    }
    return false;
}

/* Ends what is left of a test's session; false if something cannot be ended. */
static bool clear(pid_t pid)
{
    long until = milliseconds() + patience(5000);

    do {
        bool none = kill(-pid, SIGKILL) < 0;

        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (none)
            return true;
        short_pause();
    } while (milliseconds() < until);
    return false;
}

/* Runs a test, prints its line; true unless it failed. */
static bool run(const struct test *test)
{
    bool is_long = !strncmp(test->name, "long_", 5);
    long start = milliseconds(), limit = patience(is_long ? 300000 : 20000);
    struct live before = live();
    int status = 0;
    pid_t pid;

    memset(result, 0, sizeof(*result));
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        in_process(test);
    if (pid < 0) {
        printf("TEST %s FAIL main.c:%d: fork: %s\n", test->name, __LINE__, error_name(errno));
        return false;
    }
    if (!ended(pid, start + limit, &status) && result->state != FAILED) {
        result->state = FAILED;
        sprintf(result->message, "main.c:%d: not done in %ld s", __LINE__, limit / 1000);
    } else if (result->state == RUNNING || result->state == WRITING) {
        result->state = FAILED;
        sprintf(result->message, "main.c:%d: the process ended by itself: %s %d", __LINE__,
                WIFSIGNALED(status) ? "signal" : "code",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (!clear(pid) && result->state == PASSED) {
        result->state = FAILED;
        sprintf(result->message, "main.c:%d: its processes cannot be ended", __LINE__);
    }
    restore_knobs();
    if (result->state == PASSED && !dies_down_to(before)) {
        result->state = FAILED;
        sprintf(result->message, "main.c:%d: left %ld lwCs and %ld groups", __LINE__,
                live().contexts - before.contexts, live().groups - before.groups);
    }
    if (result->state == PASSED)
        printf("TEST %s ok %ld\n", test->name, milliseconds() - start);
    else
        printf("TEST %s %s %s\n", test->name, result->state == FAILED ? "FAIL" : "SKIP",
               result->message);
    return result->state != FAILED;
}

static bool named(const struct test *test, char **names)
{
    for (; *names; names++) {
        if (!strcmp(test->name, *names))
            return true;
    }
    return false;
}

static bool known(const char *name)
{
    for (const struct test *test = tests; test; test = test->next) {
        if (!strcmp(test->name, name))
            return true;
    }
    return false;
}

static void list(void)
{
    for (const struct test *test = tests; test; test = test->next)
        printf("%s\n", test->name);
}

int main(int argc, char **argv)
{
    char **names = argv + 1;
    bool with_long = false, good = true;
    sigset_t child;

    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list();
        return 0;
    }
    result = (void *)mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (argc == 3 && !strcmp(argv[1], "--bench"))
        return bench(atoi(argv[2]));
    if (*names && !strcmp(*names, "--long")) {
        with_long = true;
        names++;
    }
    for (char **name = names; *name; name++) {
        if (!known(*name)) {
            fprintf(stderr, "lwc-suite: there is no test %s\n", *name);
            return 2;
        }
    }

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    save_knobs();
    for (const struct test *test = tests; test; test = test->next) {
        if (*names ? named(test, names) : with_long || strncmp(test->name, "long_", 5))
            good &= run(test);
        fflush(stdout);
    }
    return !good;
}
