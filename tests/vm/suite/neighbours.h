/* SPDX-License-Identifier: MIT */
#ifndef SUITE_NEIGHBOURS_H
#define SUITE_NEIGHBOURS_H
/* What other processes do to a test. */
#include <sys/types.h>

/* A process of the same user that has attached to the calling thread; and its end. */
pid_t attached_tracer(void);
void end_tracer(pid_t tracer);

/* A descriptor through a socket (SCM_RIGHTS). */
void send_descriptor(int socket, int fd);
int receive_descriptor(int socket);

#endif
