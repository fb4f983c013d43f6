/* SPDX-License-Identifier: MIT */
#include "lwc_unchanged.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "sys.h"

/* Newer than the headers of the C library may be. */
enum { IO_FLUSHER_OF = 58, CPUID_OF = 0x1011 };
enum { IOPRIO_OF_PROCESS = 1 };

/* --- the task ------------------------------------------------------------------ */

/* Calls that answer with the value. */
static const long ANSWERS[][3] = {
    {SYS_getppid, 0, 0},
    {SYS_getsid, 0, 0},
    {SYS_getpgid, 0, 0},
    {SYS_personality, 0xffffffff, 0},
    {SYS_ioprio_get, IOPRIO_OF_PROCESS, 0},
    {SYS_prctl, PR_GET_NO_NEW_PRIVS, 0},
    {SYS_prctl, PR_GET_SECCOMP, 0},
    {SYS_prctl, PR_MCE_KILL_GET, 0},
    {SYS_prctl, IO_FLUSHER_OF, 0},
    {SYS_prctl, PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS},
    {SYS_prctl, PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH},
    {SYS_prctl, PR_GET_SPECULATION_CTRL, PR_SPEC_L1D_FLUSH},
    {SYS_arch_prctl, CPUID_OF, 0},
};

/* … and such that write an int. */
static const int WORDS[] = {PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER, PR_GET_TSC};

enum { ANSWER_COUNT = sizeof ANSWERS / sizeof *ANSWERS, WORD_COUNT = sizeof WORDS / sizeof *WORDS };
_Static_assert(ANSWER_COUNT + WORD_COUNT <= UNCHANGED_ANSWERS, "there is room for all");

static void ask_all(int64_t answers[UNCHANGED_ANSWERS])
{
    unsigned i;

    for (i = 0; i < ANSWER_COUNT; i++)
        answers[i] = SYS(ANSWERS[i][0], ANSWERS[i][1], ANSWERS[i][2], 0, 0, 0, 0);
    for (i = 0; i < WORD_COUNT; i++) {
        int value = 0;
        SYS(SYS_prctl, WORDS[i], &value, 0, 0, 0, 0);
        answers[ANSWER_COUNT + i] = value;
    }
}

static void actions(struct kernel_sigaction *to)
{
    long sig;

    for (sig = 1; sig <= UNCHANGED_SIGNALS; sig++, to++)
        SYS(SYS_rt_sigaction, sig, 0, to, sizeof to->mask, 0, 0);
}

static void limits(struct rlimit *to)
{
    long what;

    for (what = 0; what < UNCHANGED_LIMITS; what++)
        SYS(SYS_prlimit64, 0, what, 0, to + what, 0, 0);
}

static int64_t umask_of(void)
{
    long mask = SYS(SYS_umask, 077, 0, 0, 0, 0, 0);

    SYS(SYS_umask, mask, 0, 0, 0, 0, 0);
    return mask;
}

static int place(const char *path, uint64_t *to)
{
    struct stat st = {0};
    long ret = SYS(SYS_stat, path, &st, 0, 0, 0, 0);

    to[0] = st.st_dev;
    to[1] = st.st_ino;
    return (int)ret;
}

/* Timers are numbered in the order of their making, those that are gone too. */
static int64_t next_timer(void)
{
    struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
    int number = 0;
    long ret = SYS(SYS_timer_create, CLOCK_MONOTONIC, &nothing, &number, 0, 0, 0);

    if (ret)
        return ret;
    SYS(SYS_timer_delete, number, 0, 0, 0, 0, 0);
    return number;
}

static int is_timer_set(void)
{
    int which;

    for (which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        struct itimerval timer = {0};
        SYS(SYS_getitimer, which, &timer, 0, 0, 0, 0);
        if (timer.it_value.tv_sec || timer.it_value.tv_usec)
            return 1;
    }
    return 0;
}

/* A child that ends has at least written to its own stack. */
static int64_t reaped(void)
{
    struct rusage of;

    SYS(SYS_getrusage, RUSAGE_CHILDREN, &of, 0, 0, 0, 0);
    return of.ru_minflt + of.ru_majflt;
}

static int has_children(void)
{
    siginfo_t info = {0};

    return sys_waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != -ECHILD;
}

static void look_at(struct lwc_unchanged *u)
{
    SYS(SYS_sched_getattr, 0, u->scheduling, sizeof u->scheduling, 0, 0, 0);
    SYS(SYS_sched_getaffinity, 0, sizeof u->cpus, u->cpus, 0, 0, 0);
    ask_all(u->answers);
    actions(u->signals);
    limits(u->limits);
}

int lwc_unchanged_note(struct lwc_unchanged *u)
{
    int ret;

    memset(u, 0, sizeof *u);
    look_at(u);
    ret = place(".", u->places);
    /* A directory that is gone has no place; it stays so. */
    if (!ret || ret == -ENOENT || ret == -EACCES)
        ret = place("/", u->places + 2);
    u->umask = umask_of();
    u->reaped = reaped();
    u->timer = next_timer();
    return ret ? ret : u->timer < 0 ? (int)u->timer : 0;
}

/* --- what is written to /proc/self ------------------------------------------------ */

static void read_all(const struct lwc_proc *p, struct lwc_written *now)
{
    int i;

    memset(now, 0, sizeof *now);
    now->timer_slack = SYS(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, 0);
    SYS(SYS_prctl, PR_GET_NAME, now->name, 0, 0, 0, 0);
    for (i = 0; i < UNCHANGED_FILES; i++)
        if (p->fd[i] >= 0)
            sys_pread(p->fd[i], now->text[i], sizeof now->text[i], 0);
}

int lwc_unchanged_note_proc(struct lwc_proc *p)
{
    static const char *const files[UNCHANGED_FILES] = {
        "/proc/self/oom_score_adj", "/proc/self/loginuid",
        /* The label itself is in the credentials, which are the lwC's own. */
        "/proc/self/attr/apparmor/exec", "/proc/self/attr/apparmor/prev"};
    int i;

    for (i = 0; i < UNCHANGED_FILES; i++) {
        p->fd[i] = (int)sys_open(files[i], O_RDONLY | O_CLOEXEC, 0);
        if (p->fd[i] < 0 && p->fd[i] != -ENOENT)
            return p->fd[i];
    }
    read_all(p, &p->was);
    return 0;
}

const char *lwc_unchanged_proc(const struct lwc_proc *p)
{
    struct lwc_written now;

    read_all(p, &now);
    return memcmp(&now, &p->was, sizeof now) ? "name, timer slack, or files of /proc/self" : NULL;
}

/* --- the application's files ---------------------------------------------------- */

static int has_record_owner(int fd)
{
    struct {
        int type, pid;
    } owner = {0, 0};

    sys_fcntl(fd, F_GETOWN_EX, (long)&owner);
    return owner.pid || sys_fcntl(fd, F_GETSIG, 0) > 0;
}

/* Offset, flags and locks belong to the open file, which the worker's descriptor
 * shares with this one. Returns 0 where they are as they were, or are again. */
static int put_back(const struct own_file *own)
{
    struct flock whole = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    long flags = sys_fcntl(own->fd, F_GETFL, 0);
    /* What is not to be changed does not come back as it was given to open(2). */
    const int settable = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK;

    if (flags < 0 || has_record_owner(own->fd))
        return -1;
    if ((flags ^ own->flags) & settable && sys_fcntl(own->fd, F_SETFL, own->flags))
        return -1;
    if (own->flags & O_PATH || !own->reopen)
        return 0;
    SYS(SYS_flock, own->fd, LOCK_UN, 0, 0, 0, 0);
    sys_fcntl(own->fd, F_OFD_SETLK, (long)&whole); /* where it cannot be locked it is not */
    if (own->offset < 0)
        return 0;
    if (sys_fcntl(own->fd, F_GETLEASE, 0) != F_UNLCK)
        return -1;
    if (sys_lseek(own->fd, 0, SEEK_CUR) != own->offset)
        return sys_lseek(own->fd, own->offset, SEEK_SET) != own->offset;
    return 0;
}

const char *lwc_unchanged_files(const struct frozen *f)
{
    uint64_t pending = 0;
    int i;

    for (i = 0; i < f->file_count; i++)
        if (put_back(&f->files[i]))
            return "files";
    /* Signals are sent to oneself by calls that are not noted. All are blocked here, so what came
     * and was not taken waits. */
    SYS(SYS_rt_sigpending, &pending, sizeof pending, 0, 0, 0, 0);
    return pending ? "pending signals" : NULL;
}

/* --- all of it ------------------------------------------------------------------- */

const char *lwc_unchanged_look(struct lwc_unchanged *u)
{
    struct lwc_unchanged now;

    if (has_children() || reaped() != u->reaped)
        return "processes";
    memcpy(&now, u, sizeof now);
    look_at(&now);
    if (memcmp(now.signals, u->signals, sizeof now.signals))
        return "signal handlers";
    if (memcmp(now.limits, u->limits, sizeof now.limits))
        return "limits";
    if (memcmp(now.answers, u->answers, sizeof now.answers))
        return "attributes";
    if (memcmp(now.scheduling, u->scheduling, sizeof now.scheduling) ||
        memcmp(now.cpus, u->cpus, sizeof now.cpus))
        return "scheduling";
    place(".", now.places);
    place("/", now.places + 2);
    if (memcmp(now.places, u->places, sizeof now.places))
        return "directories";
    if (umask_of() != u->umask)
        return "umask";
    if (is_timer_set() || next_timer() != ++u->timer)
        return "timers";
    return NULL;
}
