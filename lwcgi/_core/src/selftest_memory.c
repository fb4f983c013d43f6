/* SPDX-License-Identifier: MIT */
#include "selftest_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "pages.h"
#include "sys.h"

enum { READ = PROT_READ, WRITE = PROT_READ | PROT_WRITE, RUN = PROT_READ | PROT_EXEC };
enum { OF_FILE = 1, GROWS = 2, HEAP = 4 };
enum { UNTOUCHED, LOOKED_AT, WRITTEN };
enum { TASK_STACK = 16384, BYTES = 256, OFFSET = 123 };

struct kind {
    const char *name;
    int prot;
    int source;
    int past; /* what happened to it before it is write-protected */
};

/* Places in the table. */
enum { A_WRITABLE = 0, A_READABLE = 3 };

static const struct kind KINDS[SAMPLE_KINDS] = {
    {"anonymous memory", WRITE, 0, WRITTEN},
    {"anonymous memory never touched", WRITE, 0, UNTOUCHED},
    {"anonymous memory only read", WRITE, 0, LOOKED_AT},
    {"read-only anonymous memory", READ, 0, WRITTEN},
    {"the heap", WRITE, HEAP, WRITTEN},
    {"a stack", WRITE, GROWS, WRITTEN},
    {"a private file mapping", WRITE, OF_FILE, LOOKED_AT},
    {"a private file mapping never touched", WRITE, OF_FILE, UNTOUCHED},
    {"a private file mapping that was written", WRITE, OF_FILE, WRITTEN},
    {"a read-only file mapping", READ, OF_FILE, LOOKED_AT},
    {"a read-only file mapping that was written", READ, OF_FILE, WRITTEN},
    {"program text", RUN, OF_FILE, LOOKED_AT},
};

const char *sample_kind(int kind)
{
    return KINDS[kind].name;
}

/* --- ways to write ----------------------------------------------------------- */

static int one(long n)
{
    return n == 1 ? 0 : n < 0 ? (int)n : -EIO;
}

static int store(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    (void)t;
    (void)s;
    *(volatile uint8_t *)at = value;
    return 0;
}

static int by_read(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    int ret = one(sys_write(t->pipe[1], &value, 1));

    (void)s;
    if (!ret)
        ret = one(sys_read(t->pipe[0], at, 1));
    if (ret)
        sys_read(t->pipe[0], &value, 1); /* not for the next to find */
    return ret;
}

static int by_pread(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    (void)s;
    return one(sys_pread(t->bytes, at, 1, value));
}

static int by_writev(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    struct iovec from = {&value, 1}, to = {at, 1};

    (void)s;
    return one(SYS(SYS_process_vm_writev, t->pid, &from, 1, &to, 1, 0));
}

static int by_mem(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    (void)s;
    return one(sys_pwrite(t->mem, &value, 1, (off_t)at));
}

static int by_access(const struct tools *t, const struct sample *s, uint8_t *at, uint8_t value)
{
    void *page = (void *)((uint64_t)at & ~(uint64_t)(SAMPLE_PAGE - 1));
    long ret = sys_mprotect(page, SAMPLE_PAGE, WRITE);

    if (ret)
        return (int)ret;
    store(t, s, at, value);
    return (int)sys_mprotect(page, SAMPLE_PAGE, s->kind->prot);
}

static int (*const WAYS[SAMPLE_WAYS])(const struct tools *, const struct sample *, uint8_t *,
                                      uint8_t) = {store,     by_read, by_pread,
                                                  by_writev, by_mem,  by_access};

int way_sure(void)
{
    return SAMPLE_WAYS - 1;
}

int way_leads(const struct tools *t, const struct sample *s, int way)
{
    return s->kind->prot & PROT_WRITE ? t->leads_to_writable[way] : t->leads_to_others[way];
}

int way_write(const struct tools *t, const struct sample *s, int way, uint8_t value)
{
    uint8_t *at = sample_victim(s) + OFFSET;
    int ret = WAYS[way](t, s, at, value);

    if (ret)
        return ret;
    return *(volatile uint8_t *)at == value ? 0 : -SELFTEST_DIFFERS;
}

uint64_t faults(void)
{
    struct rusage used = {0};

    SYS(SYS_getrusage, RUSAGE_THREAD, &used, 0, 0, 0, 0);
    return (uint64_t)used.ru_minflt + (uint64_t)used.ru_majflt;
}

/* --- samples ----------------------------------------------------------------- */

static long map(const struct tools *t, int prot, int source)
{
    int flags = MAP_PRIVATE | (source & OF_FILE ? 0 : MAP_ANONYMOUS);
    long end;

    if (!(source & HEAP))
        return SYS(SYS_mmap, 0, SAMPLE_LEN, prot,
                   flags | (source & GROWS ? MAP_GROWSDOWN | MAP_STACK : 0),
                   source & OF_FILE ? t->file : -1, 0);
    end = (SYS(SYS_brk, 0, 0, 0, 0, 0, 0) + SAMPLE_PAGE - 1) & -(long)SAMPLE_PAGE;
    return SYS(SYS_brk, end + SAMPLE_LEN, 0, 0, 0, 0, 0) == end + SAMPLE_LEN ? end : -ENOMEM;
}

static void live(uint8_t *at, int past)
{
    int i;

    for (i = 0; i < SAMPLE_PAGES; i++) {
        volatile uint8_t *byte = at + i * SAMPLE_PAGE + OFFSET;
        if (past == LOOKED_AT)
            (void)*byte;
        else if (past == WRITTEN)
            *byte = (uint8_t)(i + 1);
    }
}

int sample_protect(const struct tools *t, const struct sample *s)
{
    return pages_protect(t->uffd, (uint64_t)s->at, (uint64_t)s->at + SAMPLE_LEN);
}

static int map_sample(const struct tools *t, int kind, struct sample *s)
{
    const struct kind *k = &KINDS[kind];
    long at = map(t, k->past == WRITTEN ? WRITE : k->prot, k->source), ret = 0;

    if (at < 0 && at > -SELFTEST_DIFFERS)
        return (int)at;
    *s = (struct sample){k, (uint8_t *)at};
    live(s->at, k->past);
    if (k->past == WRITTEN && k->prot != WRITE)
        ret = sys_mprotect(s->at, SAMPLE_LEN, k->prot);
    if (ret)
        sample_drop(s);
    return (int)ret;
}

int sample_make(const struct tools *t, int kind, struct sample *s)
{
    int ret = map_sample(t, kind, s);

    if (ret)
        return ret;
    ret = pages_register(t->uffd, (uint64_t)s->at, (uint64_t)s->at + SAMPLE_LEN);
    if (!ret)
        ret = sample_protect(t, s);
    if (ret)
        sample_drop(s);
    return ret;
}

void sample_drop(const struct sample *s)
{
    if (s->kind->source & HEAP)
        SYS(SYS_brk, s->at, 0, 0, 0, 0, 0);
    else
        sys_munmap(s->at, SAMPLE_LEN);
}

uint8_t *sample_victim(const struct sample *s)
{
    return s->at + SAMPLE_VICTIM * SAMPLE_PAGE;
}

int sample_ground(const struct tools *t, const struct sample *s, uint8_t *page)
{
    long n = SAMPLE_PAGE;

    if (s->kind->source & OF_FILE)
        n = sys_pread(t->file, page, SAMPLE_PAGE, SAMPLE_VICTIM * SAMPLE_PAGE);
    else
        memset(page, 0, SAMPLE_PAGE);
    return n == SAMPLE_PAGE ? 0 : n < 0 ? (int)n : -EIO;
}

/* --- tools ------------------------------------------------------------------- */

static int open_bytes(void)
{
    uint8_t all[BYTES];
    long fd = sys_memfd_create("bytes", 1 /* MFD_CLOEXEC */), n;
    int i;

    if (fd < 0)
        return (int)fd;
    for (i = 0; i < BYTES; i++)
        all[i] = (uint8_t)i;
    n = sys_write((int)fd, all, BYTES);
    return n == BYTES ? (int)fd : n < 0 ? (int)n : -EIO;
}

/* What is refused to this process, by its container or by the kernel
 * (proc_mem.force_override), an application cannot do either. */
static int find_ways(const struct tools *t, int kind, uint8_t *leads)
{
    struct sample s;
    int way, ret = map_sample(t, kind, &s);

    if (ret)
        return ret;
    for (way = 0; way < SAMPLE_WAYS; way++)
        leads[way] =
            (s.kind->prot & PROT_WRITE || WAYS[way] != store) && way_write(t, &s, way, 1) == 0;
    sample_drop(&s);
    return leads[way_sure()] ? 0 : -EACCES;
}

int tools_open(struct tools *t, const char *file)
{
    long stack = sys_mmap(NULL, TASK_STACK, WRITE, MAP_PRIVATE | MAP_ANONYMOUS), ret;

    if (stack < 0 && stack > -SELFTEST_DIFFERS)
        return (int)stack;
    t->stack_top = (uint8_t *)stack + TASK_STACK;
    t->pid = sys_getpid();
    t->bytes = open_bytes();
    if (t->bytes < 0)
        return t->bytes;
    ret = SYS(SYS_pipe2, t->pipe, O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0);
    if (ret)
        return (int)ret;
    t->file = (int)sys_open(file, O_RDONLY | O_CLOEXEC, 0);
    if (t->file < 0)
        return t->file;
    t->pagemap = (int)sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    if (t->pagemap < 0)
        return t->pagemap;
    t->mem = (int)sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
    ret = find_ways(t, A_WRITABLE, t->leads_to_writable);
    return (int)(ret ? ret : find_ways(t, A_READABLE, t->leads_to_others));
}
