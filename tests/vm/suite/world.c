/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

long milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void short_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

long patience(long milliseconds)
{
    return access("/sys/kernel/debug/kmemleak", F_OK) ? milliseconds : 10 * milliseconds;
}

void *private_pages(size_t count)
{
    /* With a gap on both sides: a mapping never grows into its neighbour. */
    char *p =
        (char *)MUST(mmap(NULL, (count + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    MUST(mprotect(p + PAGE, count * PAGE, PROT_READ | PROT_WRITE));
    SYS(madvise(p + PAGE, count * PAGE, MADV_NOHUGEPAGE));
    return p + PAGE;
}

void *shared_pages(size_t count)
{
    return (void *)MUST(
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

int scratch_file(size_t pages)
{
    char name[] = "/tmp/suite-XXXXXX";
    int fd = MUST(mkostemp(name, O_CLOEXEC));
    long words[PAGE / sizeof(long)];

    MUST(unlink(name));
    for (size_t page = 0; page < pages; page++) {
        for (size_t i = 0; i < PAGE / sizeof(long); i++)
            words[i] = page * PAGE + i * sizeof(long) + 1;
        CHECK_EQ(write(fd, words, PAGE), PAGE);
    }
    return fd;
}

long number(const char *path)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (fd < 0)
        return -errno;
    length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0)
        return -EIO;
    text[length] = 0;
    return strtol(text, NULL, 10);
}

void set_number(const char *path, long value)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", value);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, text, length) != length)
        FAIL("%s: cannot write %ld: %s", path, value, error_name(errno));
    close(fd);
}

long line_number(const char *path, const char *begin)
{
    FILE *file = fopen(path, "re");
    char line[512];
    long value = -1;

    if (!file)
        return -1;
    while (value < 0 && fgets(line, sizeof(line), file)) {
        if (!strncmp(line, begin, strlen(begin)))
            value = strtol(line + strlen(begin), NULL, 10);
    }
    fclose(file);
    return value;
}

pid_t fork_process(void)
{
    return MUST(fork());
}

int ending(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, __WALL) != pid)
        CHECK_EQ(errno, EINTR);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int signal_of(volatile char *address, bool writes)
{
    pid_t pid = fork_process();
    int end;

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        if (writes)
            *address = 1;
        else
            (void)*address;
        _exit(0);
    }
    end = ending(pid);
    return end > 128 ? end - 128 : end;
}

int signal_of_read(const volatile void *address)
{
    return signal_of((volatile char *)address, false);
}

int signal_of_write(volatile void *address)
{
    return signal_of(address, true);
}

bool is_mapped(const volatile void *address)
{
    unsigned char there;

    return !mincore((void *)((uintptr_t)address & -PAGE), PAGE, &there);
}

static uint64_t mix(uint64_t hash, const char *line)
{
    for (; *line; line++) {
        if (!strncmp(line, " sd", 3)) /* soft-dirty: a matter of time */
            line += 3;
        if (*line)
            hash = (hash ^ (unsigned char)*line) * 0x100000001b3;
    }
    return hash;
}

uint64_t mappings(void)
{
    /* Without the C library's buffers, which would be mappings, too. */
    static char text[PAGE + 1];
    int fd = MUST(open("/proc/thread-self/smaps", O_RDONLY | O_CLOEXEC));
    uint64_t hash = 0xcbf29ce484222325;
    size_t held = 0;
    ssize_t got;

    while ((got = read(fd, text + held, PAGE - held)) > 0) {
        char *line = text, *end;

        text[held + got] = 0;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            if (line[0] < 'A' || line[0] > 'Z' || !strncmp(line, "VmFlags", 7))
                hash = mix(hash, line);
        }
        held = strlen(line);
        memmove(text, line, held);
    }
    MUST(close(fd));
    return hash;
}

struct live live(void)
{
    return (struct live){number(PARAMETERS "live_contexts"), number(PARAMETERS "live_groups")};
}

bool dies_down_to(struct live before)
{
    return EVENTUALLY(live().contexts <= before.contexts && live().groups <= before.groups);
}
