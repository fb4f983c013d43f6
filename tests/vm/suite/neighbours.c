/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "neighbours.h"

pid_t attached_tracer(void)
{
    pid_t self = getpid(), tracer;
    char attached;
    int ready[2];

    MUST(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)); /* Yama, where it is */
    MUST(pipe(ready));
    tracer = fork();
    if (!tracer) {
        attached = !ptrace(PTRACE_SEIZE, self, 0, 0);
        write(ready[1], &attached, 1);
        pause();
    }
    CHECK_EQ(read(ready[0], &attached, 1), 1);
    CHECK_EQ(attached, 1);
    MUST(close(ready[0]));
    MUST(close(ready[1]));
    return tracer;
}

void end_tracer(pid_t tracer)
{
    int status;

    MUST(kill(tracer, SIGKILL));
    CHECK_EQ(waitpid(tracer, &status, 0), tracer);
}

void send_descriptor(int socket, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    *head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    CHECK_EQ(sendmsg(socket, &message, 0), 1);
}

int receive_descriptor(int socket)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    int fd;

    CHECK_EQ(recvmsg(socket, &message, 0), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}
