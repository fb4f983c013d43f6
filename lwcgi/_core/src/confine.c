/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>

#include "step.h"
#include "sys.h"
#include "task.h"

enum {
    ABI_REFER = 2, /* Linux 5.19: a domain can leave renaming alone */
    ABI_SCOPE = 6, /* Linux 6.12: it can refuse signals, and need not be about files */
};

/* <linux/landlock.h>, which older systems have without the last of these. */
enum {
    ASK_VERSION = 1,
    RULE_PATH_BENEATH = 1,
    MAKE_BLOCK = 1 << 11,
    REFER = 1 << 13,
    SCOPE_SIGNAL = 1 << 1,
};

struct ruleset {
    uint64_t files;
    uint64_t net;
    uint64_t scoped;
};

enum { FILES_ONLY = sizeof(uint64_t) };

struct __attribute__((packed)) path_beneath {
    uint64_t allowed;
    int32_t parent;
};

static long create_ruleset(const struct ruleset *r, size_t size, unsigned flags)
{
    return SYS(SYS_landlock_create_ruleset, r, size, flags, 0, 0, 0);
}

/* The least that makes a domain. Where it must be about files, about two rights
 * that everything below the root directory has. Returns a descriptor or -errno. */
static int make_ruleset(void)
{
    const struct ruleset files = {.files = REFER | MAKE_BLOCK}, signals = {.scoped = SCOPE_SIGNAL};
    struct path_beneath everything = {.allowed = REFER | MAKE_BLOCK};
    long abi = create_ruleset(NULL, 0, ASK_VERSION), made, ret;

    if (abi < ABI_REFER)
        return abi < 0 ? (int)abi : -ENOSYS;
    if (abi >= ABI_SCOPE)
        return (int)create_ruleset(&signals, sizeof signals, 0);
    ret = sys_open("/", O_PATH | O_CLOEXEC, 0);
    if (ret < 0)
        return (int)ret;
    everything.parent = (int)ret;
    made = create_ruleset(&files, FILES_ONLY, 0);
    if (made >= 0) {
        ret = SYS(SYS_landlock_add_rule, made, RULE_PATH_BENEATH, &everything, 0, 0, 0);
        if (ret)
            sys_close((int)made);
    }
    sys_close(everything.parent);
    return made < 0 ? (int)made : ret ? (int)ret : (int)made;
}

int confine_prepare(struct keep *k)
{
    int ret = (int)sys_prctl(PR_SET_NO_NEW_PRIVS, 1);

    if (!ret)
        ret = k->own[OWN_RULESET] = make_ruleset();
    return ret < 0 ? ret : 0;
}

static int enter(int ruleset)
{
    /* Of a thread that a fork hook of C has started the domain would not be.
     * This call does nothing but tell whether there is one. */
    if (SYS(SYS_unshare, CLONE_VM, 0, 0, 0, 0, 0))
        return -EBUSY;
    return (int)SYS(SYS_landlock_restrict_self, ruleset, 0, 0, 0, 0, 0);
}

int confine_enter(int ruleset)
{
    STEP(CONFINE)
        return enter(ruleset);
    return 0;
}

/* What reads nothing of another process, but needs the right to read it all. */
static long look_at(int pid)
{
    void *head;
    size_t len;

    return SYS(SYS_get_robust_list, pid, &head, &len, 0, 0, 0);
}

/* In a process of its own. Returns an errno, as an exit code can carry it. */
static int tried(int parent)
{
    int ruleset, could, ret = (int)sys_prctl(PR_SET_NO_NEW_PRIVS, 1);

    if (ret)
        return -ret;
    ruleset = make_ruleset();
    if (ruleset < 0)
        return -ruleset;
    could = look_at(parent) == 0;
    ret = enter(ruleset);
    if (ret)
        return -ret;
    return could && look_at(parent) != -EPERM ? EOPNOTSUPP : 0;
}

int confine_try(void)
{
    struct ending how;
    int parent = sys_getpid(), ret;
    long pid = sys_clone(SIGCHLD, NULL);

    if (pid == 0)
        sys_exit(tried(parent));
    if (pid < 0)
        return (int)pid;
    ret = task_reap((int)pid, &how);
    if (ret)
        return ret;
    return how.code == CLD_EXITED ? -how.status : -ENOSYS;
}
