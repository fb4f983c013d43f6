/* SPDX-License-Identifier: MIT */
/*
 * Freezes itself as a worker does, changes one thing in the serving child, and
 * prints what verify_compare says before and after it. Compiled and run by
 * test_verify.py; its argument names the change, and without one it lists
 * them. Exits with 77 where this kernel or user cannot make the change.
 */
#include "verify_probe.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keep.h"
#include "sys.h"

enum { CANNOT = 77, WRONG = 1 };

/* What the core would bring along. */
struct inbox *keep_inbox;
void dispatch_in_fork(void);
void dispatch_in_fork(void) {}

/* Found by name in the table of symbols (-rdynamic). */
uint64_t probe_number = 7;
uint64_t probe_zeros[1024];
uint64_t exempt_word = 1;

/* An object of a type of a type, as CPython lays them out. */
static uint64_t type_type[8];
static uint64_t list_type[8];

char *anon, *readonly, *closed, *blank, *from_file, *gone;

struct region *own;

static const char *chosen;

static char *map(size_t pages, int prot, int fd)
{
    /* One more that is inaccessible, so that the kernel joins none. */
    char *at = mmap(NULL, (pages + 1) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0);

    return mmap(at, pages * PAGE, prot, flags, fd, 0);
}

/* For as long as the process `parent` lives. */
void __attribute__((noreturn)) sleep_on(int parent)
{
    sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sys_getppid() != parent)
        sys_exit(0);
    for (;;)
        SYS(SYS_pause, 0, 0, 0, 0, 0, 0);
}

/* --- the worker --------------------------------------------------------------------------- */

static void compare(const char *when)
{
    struct text t = {own->why, own->why + LINE - 1};
    char *verdict;
    int ret;

    text_str(&t, when);
    verdict = t.at;
    text_str(&t, " ? ");
    ret = verify_compare(&own->verify, &t);
    verdict[1] = ret < 0 ? '-' : (char)('0' + ret);
    *t.at++ = '\n';
    sys_write(1, own->why, (size_t)(t.at - own->why));
}

/* The serving child. */
static int child(void *unused)
{
    long ret;

    (void)unused;
    sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    sys_setpgid(0, 0);
    if (verify_record_child(&own->verify))
        sys_exit(WRONG);
    compare("before");
    ret = make_change(chosen);
    if (ret < 0)
        sys_exit(ret == -EINVAL || ret == -EPERM || ret == -ENOSYS || ret == -EACCES ||
                         ret == -ENXIO
                     ? CANNOT
                     : WRONG);
    compare("after");
    sys_exit(0);
}

static int is_own(const void *arg, int fd)
{
    (void)arg;
    return fd == FILE_OWN || fd <= 2;
}

static void set_up(struct verify_setup *s, int holder)
{
    memset(s, 0, sizeof *s);
    s->holder = holder;
    s->without[s->without_count].start = (uint64_t)own;
    s->without[s->without_count++].end = (uint64_t)own + sizeof *own;
    s->exempt[s->exempt_count].start = (uint64_t)&exempt_word;
    s->exempt[s->exempt_count++].end = (uint64_t)(&exempt_word + 1);
    s->is_own_fd = is_own;
    s->python_type = (uint64_t)type_type;
}

/* On a stack that is no part of the image, as the worker's is. */
static int root(void *unused)
{
    struct verify_setup setup;
    siginfo_t info = {0};
    int self = sys_getpid();
    long holder = sys_clone(SIGCHLD, NULL), pid;

    (void)unused;
    if (holder == 0)
        sleep_on(self);
    set_up(&setup, (int)holder);
    if (holder < 0 || verify_record(&own->verify, &setup))
        sys_exit(WRONG);
    pid = clone(child, own->child_stack + STACK, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
    if (pid < 0)
        sys_exit(WRONG);
    sys_waitid(P_PID, (int)pid, &info, WEXITED);
    sys_exit(info.si_code == CLD_EXITED ? info.si_status : WRONG);
}

static void make_image(void)
{
    char path[] = "/tmp/verify-probe-XXXXXX";
    int fd = mkstemp(path), page;
    uint64_t *object;

    unlink(path);
    for (page = 0; page < 4; page++)
        if (write(fd, path, sizeof path) < 0 || lseek(fd, (page + 1) * PAGE, SEEK_SET) < 0)
            exit(WRONG);
    dup2(fd, FILE_A);
    dup2(open("/dev/zero", O_RDWR), FILE_OWN);
    dup2(open("/proc/self/exe", O_RDONLY), FILE_B);
    close_range(3, FILE_A - 1, 0);
    anon = map(4, PROT_READ | PROT_WRITE, -1);
    readonly = map(1, PROT_READ | PROT_WRITE, -1);
    closed = map(1, PROT_READ | PROT_WRITE, -1);
    blank = map(2, PROT_READ | PROT_WRITE, -1);
    from_file = map(4, PROT_READ | PROT_WRITE, FILE_A);
    gone = map(1, PROT_READ | PROT_WRITE, -1);
    memset(anon, 'a', PAGE);
    readonly[0] = closed[0] = from_file[PAGE] = gone[0] = 'b';
    mprotect(readonly, PAGE, PROT_READ);
    mprotect(closed, PAGE, PROT_NONE);
    type_type[1] = list_type[1] = (uint64_t)type_type;
    list_type[3] = (uint64_t)"list_of_ours";
    list_type[4] = 40;
    object = (uint64_t *)(anon + PAGE);
    object[0] = 1;
    object[1] = (uint64_t)list_type;
}

int main(int argc, char **argv)
{
    int status;
    pid_t pid;

    if (argc < 2) {
        list_changes();
        return 0;
    }
    chosen = argv[1];
    own = mmap(NULL, sizeof *own, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    make_image();
    signal(SIGUSR2, SIG_IGN);
    /* We are stopped, and our memory with us, until the worker ends. */
    pid =
        clone(root, own->root_stack + STACK, CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, NULL);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
        return WRONG;
    return WEXITSTATUS(status);
}
