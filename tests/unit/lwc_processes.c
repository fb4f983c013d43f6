/* SPDX-License-Identifier: MIT */
/*
 * The calls of kmod/uapi/lwc.h without the module, to test bindings, model and test programs with:
 * a library to preload, in which each lwC is a process, and a switch wakes one and waits in the
 * other. fork(2) returns twice as LWC_IOC_CREATE does, and copies memory, descriptors and
 * credentials. So the thread has another number in each lwC here; what cannot be had at all:
 * working directory, signal handlers and limits that stay with the thread, errors of the kernel.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <lwc.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX 256
#define NOBODY (-1)
#define MAGIC 0x6c776350726f6373ULL

struct words {
    int caller;
    uint32_t nargs;
    uint64_t args[LWC_MAX_ARGS];
};

struct context {
    uint64_t id;
    pid_t pid;
    int creator, snapshot, credentials, order;
    bool frozen, dead, entered;
    atomic_int turn, ready;
    struct words words;
    bool may[MAX]; /* enter, beside what it has created */
};

struct group {
    pid_t top;
    atomic_int count, running, over;
    uint64_t switches;
    uid_t uid[MAX]; /* credentials, by the number contexts have for them */
    struct context context[MAX];
};

struct name {
    uint64_t magic, group, index;
};

static struct group *group;
static int me = NOBODY;

static struct context *self(void)
{
    return &group->context[me];
}

/* fork(2) in an lwC makes a process without any. */
static bool have_group(void)
{
    return group && self()->pid == (pid_t)syscall(SYS_getpid);
}

static void end_all(int code)
{
    atomic_store(&group->over, 1);
    syscall(SYS_exit_group, code);
}

/* The end of the oldest process, by exit(3) and by _exit(2), is the end of all. */
__attribute__((destructor)) static void leave(void)
{
    if (have_group() && !me)
        atomic_store(&group->over, 1);
}

void _exit(int code)
{
    leave();
    syscall(SYS_exit_group, code);
    __builtin_unreachable();
}

/* One of them has ended by itself: so do all, and the oldest process with its code. */
static void reap(void)
{
    int status;

    for (int i = 0; i < atomic_load(&group->count); i++) {
        struct context *context = &group->context[i];

        if (i == me || waitpid(context->pid, &status, WNOHANG) <= 0 || context->dead)
            continue;
        if (WIFSIGNALED(status)) {
            signal(WTERMSIG(status), SIG_DFL);
            raise(WTERMSIG(status));
        }
        end_all(WEXITSTATUS(status));
    }
    if (atomic_load(&group->over) || (me && kill(group->top, 0) && errno == ESRCH))
        _exit(0);
}

static void wake(atomic_int *word)
{
    atomic_store(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void wait_for(atomic_int *word)
{
    struct timespec soon = {.tv_nsec = 10 * 1000 * 1000};

    while (!atomic_load(word)) {
        syscall(SYS_futex, word, FUTEX_WAIT, 0, &soon, NULL, 0);
        reap();
    }
    atomic_store(word, 0);
}

static void save_credentials(void)
{
    group->uid[self()->credentials] = geteuid();
}

static void install_credentials(void)
{
    uid_t uid = group->uid[self()->credentials];

    if (uid != geteuid()) {
        syscall(SYS_setresuid, -1, 0, -1);
        syscall(SYS_setresuid, -1, uid, -1);
    }
}

static bool read_name(int fd, struct name *name)
{
    return pread(fd, name, sizeof(*name), 0) == sizeof(*name) && name->magic == MAGIC;
}

static int make_name(int index)
{
    struct name name = {MAGIC, (uint64_t)group->top, (uint64_t)index};
    int fd = memfd_create("[lwc]", MFD_CLOEXEC);

    if (pwrite(fd, &name, sizeof(name), 0) != sizeof(name))
        return LWC_FD_NONE;
    return fd;
}

static int find_name(int index)
{
    struct name name;

    for (int fd = 0; fd < 1024; fd++)
        if (read_name(fd, &name) && name.group == (uint64_t)group->top &&
            name.index == (uint64_t)index)
            return fd;
    return make_name(index);
}

static int look_up(int fd, int *index)
{
    struct name name;

    if (fd == LWC_FD_SELF || fd == LWC_FD_ROOT) {
        if (!have_group())
            return EBADF;
        *index = fd == LWC_FD_SELF ? me : 0;
    } else {
        if (fcntl(fd, F_GETFD) < 0)
            return EBADF;
        if (!read_name(fd, &name))
            return EINVAL;
        if (!have_group() || name.group != (uint64_t)group->top)
            return EPERM;
        *index = (int)name.index;
    }
    return group->context[*index].dead ? ESTALE : 0;
}

static bool may_enter(int index)
{
    return index == me || self()->may[index] || group->context[index].creator == me;
}

static void destroy(int index)
{
    struct context *gone = &group->context[index];

    gone->dead = true;
    for (int i = 0; i < atomic_load(&group->count); i++)
        if (group->context[i].creator == index)
            group->context[i].creator = gone->creator;
    if (index && index != me)
        kill(gone->pid, SIGKILL);
}

static int arrive(struct words *words)
{
    wait_for(&self()->turn);
    atomic_store(&group->running, me);
    self()->entered = true;
    install_credentials();
    *words = self()->words;
    if (words->caller == NOBODY || !may_enter(words->caller))
        return LWC_FD_NONE;
    return find_name(words->caller);
}

static int new_context(int creator)
{
    int index = atomic_load(&group->count);
    struct context *context = &group->context[index];

    if (index == MAX)
        return NOBODY;
    memset(context, 0, sizeof(*context));
    context->id = ((uint64_t)group->top << 16) + (uint64_t)index + 1;
    context->creator = creator;
    context->snapshot = NOBODY;
    context->credentials = index;
    atomic_store(&group->count, index + 1);
    return index;
}

static bool start_group(void)
{
    group = mmap(NULL, sizeof(*group), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (group == MAP_FAILED)
        return false;
    group->top = (pid_t)syscall(SYS_getpid);
    me = new_context(NOBODY);
    self()->pid = group->top;
    self()->entered = true;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return true;
}

static bool overlaps(const struct lwc_spec *one, const struct lwc_spec *other)
{
    return one->kind == other->kind && one->start < other->end && other->start < one->end;
}

static bool is_valid(const struct lwc_spec *spec)
{
    bool all = spec->start == 0 && spec->end == LWC_ALL;

    if (spec->action > LWC_UNMAP || spec->start >= spec->end)
        return false;
    if (spec->kind == LWC_MEMORY)
        return all || !((spec->start | spec->end) & 4095);
    if (spec->kind == LWC_FILES)
        return spec->action != LWC_SHARE || all;
    return spec->kind == LWC_CREDENTIALS && all && spec->action != LWC_UNMAP;
}

static void share_range(uintptr_t start, uintptr_t end)
{
    int fd = memfd_create("shared", MFD_CLOEXEC);
    size_t size = end - start;

    if (write(fd, (void *)start, size) == (ssize_t)size)
        mmap((void *)start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    close(fd);
}

/* Private memory becomes shared; what is not mapped or shared already stays. */
static void share_memory(const struct lwc_spec *spec)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t found[64][2], start, end;
    char line[512], mode[5];
    int count = 0;

    while (count < 64 && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 && mode[3] == 'p' &&
            start < spec->end && end > spec->start) {
            found[count][0] = start > spec->start ? start : spec->start;
            found[count++][1] = end < spec->end ? end : spec->end;
        }
    fclose(maps);
    while (count--)
        share_range(found[count][0], found[count][1]);
}

static void drop(const struct lwc_spec *spec)
{
    if (spec->kind == LWC_MEMORY)
        munmap((void *)spec->start, spec->end - spec->start);
    else
        close_range((unsigned)spec->start, spec->end > ~0U ? ~0U : (unsigned)spec->end - 1, 0);
}

/* A snapshot never comes back from here but in the processes that it makes. */
static void be_snapshot(void)
{
    for (;;) {
        wait_for(&self()->turn);
        int order = self()->order;

        if (group->context[order].pid) /* from before a reset */
            waitpid(group->context[order].pid, NULL, 0);
        if (fork() == 0) {
            me = order;
            self()->pid = getpid();
            save_credentials();
            wake(&self()->ready);
            return;
        }
    }
}

static void have_copied(int snapshot, int index)
{
    struct context *worker = &group->context[index];

    group->context[snapshot].order = index;
    wake(&group->context[snapshot].turn);
    wait_for(&worker->ready);
}

static int call_create(struct lwc_create *create)
{
    const struct lwc_spec *specs = (const void *)create->specs;
    const uint32_t known = LWC_MAY_RETURN | LWC_SAME_RIGHTS | LWC_SUSPEND_ONLY | LWC_SHARE_SIGNALS;
    bool share_files = false;
    int creator, index;
    struct words words;

    if (create->flags & LWC_TRAP_SYSCALLS)
        return ENOSYS;
    if (create->flags & ~known || create->nspecs > LWC_MAX_SPECS)
        return EINVAL;
    for (uint32_t i = 0; i < create->nspecs; i++) {
        if (!is_valid(&specs[i]))
            return EINVAL;
        for (uint32_t k = 0; k < i; k++)
            if (overlaps(&specs[i], &specs[k]))
                return EINVAL;
        if (create->flags & LWC_SUSPEND_ONLY && specs[i].kind != LWC_MEMORY &&
            specs[i].action == LWC_SHARE)
            return EINVAL;
    }
    if (!have_group() && !start_group())
        return ENOMEM;
    creator = me;
    index = new_context(creator);
    if (index == NOBODY)
        return ENOSPC;
    struct context *context = &group->context[index];

    save_credentials();
    group->uid[index] = group->uid[self()->credentials];
    if (create->flags & LWC_SAME_RIGHTS)
        memcpy(context->may, self()->may, sizeof(context->may));
    context->may[creator] |= create->flags & LWC_MAY_RETURN;
    context->frozen = create->flags & LWC_SUSPEND_ONLY;
    for (uint32_t i = 0; i < create->nspecs; i++) {
        if (specs[i].action != LWC_SHARE)
            continue;
        if (specs[i].kind == LWC_MEMORY)
            share_memory(&specs[i]);
        else if (specs[i].kind == LWC_FILES)
            share_files = true;
        else
            context->credentials = self()->credentials;
    }
    /* Not seen by the C library, which does not matter as long as there is one thread. */
    pid_t pid = share_files ? (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) : fork();

    if (pid) {
        context->pid = pid;
        create->event = LWC_CREATED;
        create->fd = make_name(index);
        return 0;
    }
    me = index;
    self()->pid = (pid_t)syscall(SYS_getpid);
    for (uint32_t i = 0; i < create->nspecs; i++)
        if (specs[i].action == LWC_UNMAP)
            drop(&specs[i]);
    if (self()->frozen)
        be_snapshot();
    create->caller = arrive(&words);
    create->event = LWC_ENTERED;
    creator = self()->creator;
    create->fd = creator != NOBODY && self()->may[creator] ? find_name(creator) : LWC_FD_NONE;
    create->nargs = words.nargs;
    memcpy(create->args, words.args, sizeof(words.args));
    return 0;
}

static int call_switch(struct lwc_switch *to)
{
    int target, err;
    struct words words = {.nargs = to->nargs};

    if (to->flags & ~LWC_DISCARD || to->nargs > LWC_MAX_ARGS)
        return EINVAL;
    if ((err = look_up(to->target, &target)))
        return err;
    if (!may_enter(target))
        return EACCES;
    if (target == me)
        return EBUSY;
    if (group->context[target].frozen)
        return EROFS;
    words.caller = to->flags & LWC_DISCARD ? NOBODY : me;
    memcpy(words.args, to->args, sizeof(uint64_t) * to->nargs);
    group->context[target].words = words;
    group->switches++;
    save_credentials();
    if (to->flags & LWC_DISCARD)
        destroy(me);
    wake(&group->context[target].turn);
    if (self()->dead && me)
        _exit(0);
    to->caller = arrive(&words);
    to->nargs = words.nargs;
    memcpy(to->args, words.args, sizeof(words.args));
    return 0;
}

static int call_clone(struct lwc_clone *clone)
{
    int snapshot, index, err;

    if (clone->flags || clone->reserved)
        return EINVAL;
    if ((err = look_up(clone->snapshot, &snapshot)))
        return err;
    if (group->context[snapshot].creator != me)
        return EACCES;
    if (!group->context[snapshot].frozen)
        return EINVAL;
    index = new_context(me);
    if (index == NOBODY)
        return ENOSPC;
    group->context[index].snapshot = snapshot;
    memcpy(group->context[index].may, group->context[snapshot].may, sizeof(self()->may));
    have_copied(snapshot, index);
    clone->fd = make_name(index);
    return 0;
}

static int call_reset(struct lwc_reset *reset)
{
    int worker, err;

    if (reset->flags)
        return EINVAL;
    if ((err = look_up(reset->worker, &worker)))
        return err;
    struct context *context = &group->context[worker];

    if (context->snapshot == NOBODY)
        return EINVAL;
    if (context->creator != me)
        return EACCES;
    if (group->context[context->snapshot].dead)
        return ESTALE;
    context->dead = true; /* while there is no process */
    kill(context->pid, SIGKILL);
    have_copied(context->snapshot, worker);
    context->dead = context->entered = false;
    reset->pages_copied = 1;
    return 0;
}

static int call_grant(const struct lwc_grant *grant)
{
    int target, holder, err;

    if (grant->rights & ~LWC_MAY_ENTER || grant->reserved)
        return EINVAL;
    if ((err = look_up(grant->target, &target)) || (err = look_up(grant->holder, &holder)))
        return err;
    if (target != me && group->context[target].creator != me)
        return EACCES;
    group->context[holder].may[target] = grant->rights;
    return 0;
}

static int call_info(struct lwc_info *info)
{
    int index, err;

    if (info->flags)
        return EINVAL;
    if ((err = look_up(info->fd, &index)))
        return err;
    const struct context *all = group->context, *one = &all[index];

    info->id = one->id;
    info->creator = one->creator == NOBODY ? 0 : all[one->creator].id;
    info->snapshot = one->snapshot == NOBODY ? 0 : all[one->snapshot].id;
    info->state = (index == me ? LWC_IS_RUNNING : 0) | (index == 0 ? LWC_IS_ROOT : 0) |
                  (one->frozen ? LWC_IS_SNAPSHOT : 0) |
                  (one->snapshot != NOBODY ? LWC_IS_WORKER : 0) |
                  (one->entered ? LWC_IS_ENTERED : 0);
    info->contexts = 0;
    for (int i = 0; i < atomic_load(&group->count); i++)
        info->contexts += !all[i].dead;
    info->switches = group->switches;
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    void *argument;
    int err;

    va_start(list, request);
    argument = va_arg(list, void *);
    va_end(list);
    switch (request) {
    case LWC_IOC_ABI:
        *(struct lwc_abi *)argument = (struct lwc_abi){LWC_ABI, 0};
        err = 0;
        break;
    case LWC_IOC_CREATE:
        err = call_create(argument);
        break;
    case LWC_IOC_SWITCH:
        err = call_switch(argument);
        break;
    case LWC_IOC_CLONE:
        err = call_clone(argument);
        break;
    case LWC_IOC_RESET:
        err = call_reset(argument);
        break;
    case LWC_IOC_GRANT:
        err = call_grant(argument);
        break;
    case LWC_IOC_INFO:
        err = call_info(argument);
        break;
    default:
        return (int)syscall(SYS_ioctl, fd, request, argument);
    }
    errno = err;
    return err ? -1 : 0;
}

int close(int fd)
{
    struct name name;

    if (group && have_group() && read_name(fd, &name) && name.group == (uint64_t)group->top &&
        group->context[name.index].creator == me && !group->context[name.index].dead)
        destroy((int)name.index);
    return (int)syscall(SYS_close, fd);
}

static int open_instead(const char *path, int flags, mode_t mode)
{
    if (!strcmp(path, "/dev/lwc"))
        path = "/dev/null";
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
    return open_instead(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
