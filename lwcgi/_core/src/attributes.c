/* SPDX-License-Identifier: MIT */
#include "attributes.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/time.h>

#include "sys.h"

/* Newer than the headers of the C library may be. */
enum { MDWE_OF = 66, MEMORY_MERGE_OF = 68, IO_FLUSHER_OF = 58, REGISTRATIONS_OF = 1 << 9 };
enum { CPUID_OF = 0x1011, XCOMP_OF = 0x1022, SHADOW_STACK_OF = 0x5005 };
enum { PAGE = 4096, PATH = 64, SIGNALS = 64, POLICY_NODES = 1024 };
enum { OF_PROCESS = 1 /* IOPRIO_WHO_PROCESS */ };

static void put_value(struct text *t, const char *name, int64_t value)
{
    text_str(t, name);
    text_str(t, ": ");
    note_signed(t, value);
    text_str(t, "\n");
}

/* --- calls that answer with the value ------------------------------------------------- */

static const struct {
    const char *name;
    long nr, a, b;
} ANSWERS[] = {
    {"parent process", SYS_getppid, 0, 0},
    {"session", SYS_getsid, 0, 0},
    {"personality", SYS_personality, 0xffffffff, 0},
    {"I/O priority", SYS_ioprio_get, OF_PROCESS, 0},
    {"membarrier registrations", SYS_membarrier, REGISTRATIONS_OF, 0},
    {"dumpable", SYS_prctl, PR_GET_DUMPABLE, 0},
    {"kept capabilities", SYS_prctl, PR_GET_KEEPCAPS, 0},
    {"securebits", SYS_prctl, PR_GET_SECUREBITS, 0},
    {"timer slack", SYS_prctl, PR_GET_TIMERSLACK, 0},
    {"transparent huge pages disabled", SYS_prctl, PR_GET_THP_DISABLE, 0},
    {"memory-deny-write-execute", SYS_prctl, MDWE_OF, 0},
    {"memory merge", SYS_prctl, MEMORY_MERGE_OF, 0},
    {"I/O flusher", SYS_prctl, IO_FLUSHER_OF, 0},
    {"machine check policy", SYS_prctl, PR_MCE_KILL_GET, 0},
    {"CPUID allowed", SYS_arch_prctl, CPUID_OF, 0},
};

static void note_answers(struct text *t)
{
    unsigned i;

    for (i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++)
        put_value(t, ANSWERS[i].name, SYS(ANSWERS[i].nr, ANSWERS[i].a, ANSWERS[i].b, 0, 0, 0, 0));
}

/* --- calls that fill something in ------------------------------------------------------ */

static const struct {
    const char *name;
    long nr, op;
} WORDS[] = {
    {"death signal", SYS_prctl, PR_GET_PDEATHSIG},
    {"child subreaper", SYS_prctl, PR_GET_CHILD_SUBREAPER},
    {"thread id address", SYS_prctl, PR_GET_TID_ADDRESS},
    {"time stamp counter", SYS_prctl, PR_GET_TSC},
    {"allowed register state", SYS_arch_prctl, XCOMP_OF},
    {"shadow stack", SYS_arch_prctl, SHADOW_STACK_OF},
};

static void note_filled_in(struct text *t)
{
    unsigned i;

    for (i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        uint64_t value = 0;

        SYS(WORDS[i].nr, WORDS[i].op, &value, 0, 0, 0, 0);
        note_words(t, WORDS[i].name, &value, sizeof value);
    }
}

/* "what name: words" */
static void note_named(struct text *t, const char *what, const char *name, const void *words,
                       size_t len)
{
    text_str(t, what);
    text_str(t, " ");
    note_words(t, name, words, len);
}

static void note_signals(struct text *t)
{
    struct {
        uint64_t handler, flags, restorer, mask;
    } action;
    stack_t stack;
    char name[3] = "";
    int sig;

    for (sig = 1; sig <= SIGNALS; sig++) {
        memset(&action, 0, sizeof action);
        SYS(SYS_rt_sigaction, sig, 0, &action, sizeof action.mask, 0, 0);
        name[0] = (char)('0' + sig / 10);
        name[1] = (char)('0' + sig % 10);
        note_named(t, "action for signal", name, &action, sizeof action);
    }
    memset(&stack, 0, sizeof stack);
    SYS(SYS_sigaltstack, 0, &stack, 0, 0, 0, 0);
    note_words(t, "alternate stack", &stack, sizeof stack);
}

/* In the order of their numbers. */
static const char *const LIMITS[] = {
    "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
    "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
};
static const char *const TIMERS[] = {"real", "virtual", "profiling"};

static void note_limits(struct text *t)
{
    struct rlimit limit;
    unsigned what;

    for (what = 0; what < sizeof LIMITS / sizeof *LIMITS; what++) {
        memset(&limit, 0, sizeof limit);
        SYS(SYS_prlimit64, 0, what, 0, &limit, 0, 0);
        note_named(t, "resource limit", LIMITS[what], &limit, sizeof limit);
    }
}

static void note_timers(struct text *t)
{
    struct itimerval timer;
    int which;

    for (which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        memset(&timer, 0, sizeof timer);
        SYS(SYS_getitimer, which, &timer, 0, 0, 0, 0);
        note_named(t, "interval timer", TIMERS[which], &timer, sizeof timer);
    }
}

static void note_scheduling(struct text *t)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t times[3];
        uint32_t utilisation[2];
    } a;
    struct {
        uint64_t policy, nodes[POLICY_NODES / 64];
    } memory;

    memset(&a, 0, sizeof a);
    SYS(SYS_sched_getattr, 0, &a, sizeof a, 0, 0, 0);
    put_value(t, "scheduling policy", a.policy);
    put_value(t, "nice", a.nice);
    put_value(t, "scheduling priority", a.priority);
    note_words(t, "scheduling flags", &a.flags, sizeof a.flags);
    note_words(t, "scheduling times", a.times, sizeof a.times);
    note_words(t, "scheduling utilisation", a.utilisation, sizeof a.utilisation);
    memset(&memory, 0, sizeof memory);
    SYS(SYS_get_mempolicy, &memory.policy, memory.nodes, POLICY_NODES, 0, 0, 0);
    note_words(t, "memory policy", &memory, sizeof memory);
}

static void note_places(struct text *t)
{
    uint64_t robust[2] = {0, 0}, end = (uint64_t)SYS(SYS_brk, 0, 0, 0, 0, 0, 0);

    SYS(SYS_get_robust_list, 0, &robust[0], &robust[1], 0, 0, 0);
    note_words(t, "robust list", robust, sizeof robust);
    note_words(t, "program break", &end, sizeof end);
}

/* Which memory protection keys are in use (pkeys(7)). What nobody has allocated is
 * refused before anything else; no memory is changed, for there is none. */
static void note_keys(struct text *t)
{
    enum { KEYS = 16 };
    const uint64_t beyond = 0x7ffffffff000; /* the end of what processes may map */
    uint64_t used = 0, key;

    for (key = 0; key < KEYS; key++)
        if (SYS(SYS_pkey_mprotect, beyond, PAGE, PROT_NONE, key, 0, 0) == -ENOMEM)
            used |= 1ull << key;
    note_words(t, "protection keys", &used, sizeof used);
}

/* --- what only /proc tells ---------------------------------------------------------------- */

static const char *const STATUS[] = {
    "Name:",
    "Umask:",
    "TracerPid:",
    "Uid:",
    "Gid:",
    "Groups:",
    "VmLck:",
    "VmPin:",
    "THP_enabled:",
    "untag_mask:",
    "Threads:",
    "SigPnd:",
    "ShdPnd:",
    "SigBlk:",
    "SigIgn:",
    "SigCgt:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "CapAmb:",
    "NoNewPrivs:",
    "Seccomp:",
    "Seccomp_filters:",
    "Speculation_Store_Bypass:",
    "SpeculationIndirectBranch:",
    "Cpus_allowed:",
    "Mems_allowed:",
    "x86_Thread_features:",
    "x86_Thread_features_locked:",
};

static int is_state(const char *line)
{
    unsigned i;

    for (i = 0; i < sizeof STATUS / sizeof *STATUS; i++)
        if (!strncmp(line, STATUS[i], strlen(STATUS[i])))
            return 1;
    return 0;
}

static int note_status(struct text *t, char *scratch, size_t room)
{
    /* Nobody tells whether future mappings will be locked (mlockall(2)); of
     * this one it shows in VmLck. */
    long probe = sys_mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    long n = note_read("/proc/self/status", scratch, room);
    const char *line, *end;

    if (probe > 0)
        sys_munmap((void *)probe, PAGE);
    if (n < 0)
        return (int)n;
    for (line = scratch; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (!end)
            break;
        if (is_state(line)) {
            note_flat(t, line, (size_t)(end - line));
            text_str(t, "\n");
        }
    }
    return 0;
}

/* Where the kernel believes program, arguments and environment to be; a
 * process can move them (prctl(2), PR_SET_MM). */
static int note_layout(struct text *t, char *scratch, size_t room)
{
    static const uint64_t fields = 7ull << 26 | 127ull << 45; /* numbered as in proc(5) */
    long n = note_read("/proc/self/stat", scratch, room);
    const char *s;
    int field = 2;

    if (n < 0)
        return (int)n;
    s = strrchr(scratch, ')');
    if (!s)
        return -EINVAL;
    text_str(t, "memory layout:");
    for (s++; *s; s++) {
        if (*s == ' ')
            field++;
        if (field < 64 && fields >> field & 1)
            note_flat(t, s, 1);
    }
    text_str(t, "\n");
    return 0;
}

static const char *const FILES[] = {
    "/proc/self/coredump_filter", "/proc/self/oom_score_adj", "/proc/self/timers",
    "/proc/self/cgroup",          "/proc/self/loginuid",      "/proc/self/attr/current",
    "/proc/self/timens_offsets",
};

static void note_files(struct text *t, char *scratch, size_t room)
{
    unsigned i;

    for (i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        long n = note_read(FILES[i], scratch, room);

        text_str(t, FILES[i]);
        text_str(t, ": ");
        if (n < 0)
            note_signed(t, n); /* this kernel has none, always */
        else
            note_flat(t, scratch, (size_t)n);
        text_str(t, "\n");
    }
}

static const char *const NAMESPACES[] = {
    "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children",
    "user",   "uts",
};

static void note_namespaces(struct text *t)
{
    char path[PATH], target[PATH];
    unsigned i;

    for (i = 0; i < sizeof NAMESPACES / sizeof *NAMESPACES; i++) {
        struct text p = {path, path + PATH - 1};
        long n;

        text_str(&p, "/proc/self/ns/");
        text_str(&p, NAMESPACES[i]);
        *p.at = 0;
        n = SYS(SYS_readlink, path, target, sizeof target, 0, 0, 0);
        text_str(t, "namespace ");
        text_str(t, NAMESPACES[i]);
        text_str(t, ": ");
        if (n < 0)
            note_signed(t, n);
        else
            note_flat(t, target, (size_t)n);
        text_str(t, "\n");
    }
}

static void note_directories(struct text *t)
{
    static const char *const names[] = {"/proc/self/cwd", "/", "/proc/self/exe"};
    unsigned i;

    for (i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat st;
        long ret = SYS(SYS_newfstatat, AT_FDCWD, names[i], &st, 0, 0, 0);

        text_str(t, names[i]);
        text_str(t, ": ");
        if (ret) {
            note_signed(t, ret);
        } else {
            text_num(t, major(st.st_dev));
            text_str(t, ":");
            text_num(t, minor(st.st_dev));
            text_str(t, " inode ");
            text_num(t, st.st_ino);
        }
        text_str(t, "\n");
    }
}

static void note_group(struct text *t)
{
    long group = SYS(SYS_getpgid, 0, 0, 0, 0, 0, 0);

    /* Each process is the leader of its own. */
    text_str(t, "process group: ");
    if (group == sys_getpid())
        text_str(t, "its own");
    else
        note_signed(t, group);
    text_str(t, "\n");
}

int attributes_note(struct note *n, char *scratch, size_t room)
{
    struct text *t = &n->t;
    int ret = note_status(t, scratch, room);
    long len;

    if (!ret)
        ret = note_layout(t, scratch, room);
    if (ret)
        return ret;
    note_directories(t);
    note_group(t);
    note_answers(t);
    note_filled_in(t);
    note_signals(t);
    note_limits(t);
    note_timers(t);
    note_scheduling(t);
    note_places(t);
    note_keys(t);
    note_files(t, scratch, room);
    note_namespaces(t);
    len = note_read("/proc/self/auxv", scratch, room);
    note_words(t, "auxiliary vector", scratch, len < 0 ? 0 : (size_t)len);
    len = note_read("/proc/thread-self/children", scratch, room);
    text_str(t, "children: ");
    note_flat(t, scratch, len < 0 ? 0 : (size_t)len);
    text_str(t, "\n");
    return note_is_cut(n) ? -E2BIG : 0;
}
