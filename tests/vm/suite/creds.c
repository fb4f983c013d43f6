/* SPDX-License-Identifier: MIT */
/* Credentials: copied or shared; and what stays with the process whichever lwC runs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

#define USER 1234

static unsigned int user(void)
{
    uid_t real, effective, saved;

    MUST(getresuid(&real, &effective, &saved));
    CHECK(real == effective && effective == saved);
    /* What others see of the thread is the same. */
    CHECK_EQ(line_number("/proc/thread-self/status", "Uid:"), real);
    return real;
}

static void become(unsigned int uid)
{
    MUST(syscall(SYS_setresuid, uid, uid, uid));
}

static unsigned long long capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    MUST(syscall(SYS_capget, &head, data));
    return data[0].effective | (unsigned long long)data[1].effective << 32;
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};

    MUST(syscall(SYS_capset, &head, data));
}

/* A user that an lwC becomes it stays, at each entry; its creator is who it was. */
TEST(users_are_separate)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(user(), 0);
        become(USER);
        back(&c, 0);
        CHECK_EQ(user(), USER);
        CHECK_EQ(capabilities(), 0);
        CHECK_EQ(SYS(syscall(SYS_setresuid, 0, 0, 0)), -EPERM);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(user(), 0);
    CHECK(capabilities() != 0);
    enter(c.fd, 0);
    CHECK_EQ(user(), 0);
}

/* What the creator becomes after the creation the new lwC does not. */
TEST(users_are_copied_at_creation)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(user(), 0);
        finish(&c, 0);
    }
    become(USER);
    enter(c.fd, 0);
    CHECK_EQ(user(), USER);
}

/* Groups are credentials. */
TEST(groups_are_separate)
{
    gid_t groups[4] = {0}, now[8];
    struct lwc_create c;

    MUST(setgroups(2, (gid_t[]){10, 11}));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(getgroups(8, now), 2);
        MUST(setgroups(3, (gid_t[]){20, 21, 22}));
        MUST(syscall(SYS_setresgid, 30, 30, 30));
        back(&c, 0);
        CHECK_EQ(getgroups(8, now), 3);
        CHECK_EQ(now[2], 22);
        CHECK_EQ(getegid(), 30);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(getgroups(4, groups), 2);
    CHECK_EQ(groups[1], 11);
    CHECK_EQ(getegid(), 0);
    enter(c.fd, 0);
}

/* Capabilities are credentials. */
TEST(capabilities_are_separate)
{
    unsigned long long all = capabilities();
    struct lwc_create c;

    CHECK(all != 0);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(capabilities(), all);
        drop_capabilities();
        back(&c, 0);
        CHECK_EQ(capabilities(), 0);
        CHECK_EQ(SYS(syscall(SYS_setresuid, USER, USER, USER)), -EPERM);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(capabilities(), all);
    enter(c.fd, 0);
    CHECK_EQ(capabilities(), all);
}

/* Keyrings are credentials. */
TEST(keyrings_are_separate)
{
    enum { SESSION = -3, GET_ID = 0, JOIN = 1 };
    struct lwc_create c;
    long id = SYS(syscall(SYS_keyctl, JOIN, NULL));

    if (id < 0)
        test_skip("keyrings: %s", error_name(-id));
    if (make(&c, LWC_MAY_RETURN)) {
        long own;

        CHECK_EQ(syscall(SYS_keyctl, GET_ID, SESSION, 0), id);
        own = MUST(syscall(SYS_keyctl, JOIN, NULL));
        CHECK(own != id);
        back(&c, 0);
        CHECK_EQ(syscall(SYS_keyctl, GET_ID, SESSION, 0), own);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(syscall(SYS_keyctl, GET_ID, SESSION, 0), id);
    enter(c.fd, 0);
}

static ino_t user_namespace(void)
{
    struct stat status;

    MUST(stat("/proc/thread-self/ns/user", &status));
    return status.st_ino;
}

/* The user namespace is a credential: one that an lwC makes for itself is its own. */
TEST(user_namespaces_are_separate)
{
    ino_t first = user_namespace();
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        long answer = SYS(unshare(CLONE_NEWUSER));
        ino_t own = user_namespace();

        if (answer < 0)
            test_skip("user namespaces: %s", error_name(-answer));
        CHECK(own != first);
        back(&c, 0);
        CHECK_EQ(user_namespace(), own);
        CHECK_EQ(SYS(syscall(SYS_setresuid, USER, USER, USER)), -EINVAL);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(user_namespace(), first);
    MUST(chown("/tmp", 0, 0));
    enter(c.fd, 0);
    CHECK_EQ(user_namespace(), first);
}

/* A child that dropped root cannot open what only root can; its creator can before and after. */
TEST(permissions_follow_the_lwc)
{
    char path[] = "/tmp/suite-XXXXXX";
    struct lwc_create c;

    MUST(close(MUST(mkstemp(path))));
    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        for (int n = 0; n < 3; n++) {
            CHECK_EQ(SYS(open(path, O_RDONLY)), -EACCES);
            back(&c, 0);
        }
        finish(&c, 0);
    }
    for (int n = 0; n < 3; n++) {
        enter(c.fd, 0);
        MUST(close(MUST(open(path, O_RDONLY))));
    }
    MUST(unlink(path));
}

/* Credentials that are shared change for both, whoever changes them. */
TEST(shared_credentials_are_one)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS))) {
        MUST(syscall(SYS_setresgid, 30, 30, 30));
        back(&c, 0);
        CHECK_EQ(user(), USER);
        CHECK_EQ(getegid(), 30);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(getegid(), 30);
    become(USER);
    enter(c.fd, 0);
    CHECK_EQ(user(), USER);
}

/* Three lwCs, two of which share their credentials: the third has its own throughout. */
TEST(shared_credentials_of_some)
{
    struct lwc_create shared, own, c;

    if (make_with(&shared, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS))) {
        if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS))) {
            become(USER);
            finish(&c, 0);
        }
        back(&shared, 0);
        enter(c.fd, 0);
        CHECK_EQ(user(), USER);
        finish(&shared, 0);
    }
    if (make(&own, LWC_MAY_RETURN)) {
        for (;;) {
            CHECK_EQ(user(), 0);
            back(&own, 0);
        }
    }
    enter(shared.fd, 0);
    enter(own.fd, 0);
    enter(shared.fd, 0);
    CHECK_EQ(user(), USER);
    enter(own.fd, 0);
    CHECK_EQ(user(), USER);
    MUST(close(shared.fd));
    enter(own.fd, 0);
    CHECK_EQ(user(), USER);
}

/* A change of credentials in one lwC leaves the other's memory dumpable, and its own as it was. */
TEST(dumpable_stays_with_the_memory)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        MUST(prctl(PR_SET_DUMPABLE, 1));
        back(&c, 0);
        CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
        become(USER);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    enter(c.fd, 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
}

/* The signal for the parent's death is the thread's, and no change of credentials clears it. */
TEST(parent_death_signal_stays)
{
    struct lwc_create c;
    int signal = 0;

    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1));
        back(&c, 0);
        MUST(prctl(PR_GET_PDEATHSIG, &signal));
        CHECK_EQ(signal, SIGUSR2);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(prctl(PR_GET_PDEATHSIG, &signal));
    CHECK_EQ(signal, SIGUSR1);
    MUST(prctl(PR_SET_PDEATHSIG, SIGUSR2));
    enter(c.fd, 0);
    MUST(prctl(PR_GET_PDEATHSIG, &signal));
    CHECK_EQ(signal, SIGUSR2);
}

/* Working directory, umask, limits and no_new_privs are the process's: a change is for all. */
TEST(process_state_is_not_per_lwc)
{
    char folder[64];
    struct rlimit limit;
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        MUST(chdir("/proc"));
        umask(071);
        MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){4321, 4321}));
        MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(getcwd(folder, sizeof(folder)) && !strcmp(folder, "/proc"));
    CHECK_EQ(umask(0), 071);
    MUST(getrlimit(RLIMIT_CORE, &limit));
    CHECK_EQ(limit.rlim_cur, 4321);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

/* A file's owner is who the lwC was that made it. */
TEST(files_belong_to_the_user_of_the_lwc)
{
    char path[] = "/tmp/suite-XXXXXX";
    struct lwc_create c;
    struct stat status;
    int fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        become(USER);
        fd = MUST(mkstemp(path));
        MUST(unlink(path));
        finish(&c, fd);
    }
    fd = enter(c.fd, 0);
    MUST(fstat(fd, &status));
    CHECK_EQ(status.st_uid, USER);
    fd = MUST(mkstemp(path));
    MUST(unlink(path));
    MUST(fstat(fd, &status));
    CHECK_EQ(status.st_uid, 0);
}
