/* SPDX-License-Identifier: MIT */
/*
 * The calls of the kernel module (kmod/uapi/lwc.h), without the C library.
 * Each returns 0 or -errno.
 */
#ifndef LWCGI_LWC_DOOR_H
#define LWCGI_LWC_DOOR_H

#include <lwc.h>

#include "sys.h"

/* Opens /dev/lwc, at a high descriptor; where it is open already, as `given` >= 0,
 * moves it there. Returns it, or -errno: -EPROTONOSUPPORT where the module speaks
 * another version of the contract. */
int lwc_door_open(int given);

static inline int lwc_door_call(int door, unsigned long request, void *structure)
{
    return (int)SYS(SYS_ioctl, door, request, structure, 0, 0, 0);
}

/* Returns twice, in two memories: see the contract. */
static inline int lwc_door_create(int door, struct lwc_create *create)
{
    return lwc_door_call(door, LWC_IOC_CREATE, create);
}

static inline int lwc_door_switch(int door, struct lwc_switch *with)
{
    return lwc_door_call(door, LWC_IOC_SWITCH, with);
}

/* Returns the worker's descriptor, or -errno. */
static inline int lwc_door_clone(int door, int snapshot)
{
    struct lwc_clone wanted = {.snapshot = snapshot};
    int ret = lwc_door_call(door, LWC_IOC_CLONE, &wanted);

    return ret ? ret : wanted.fd;
}

#endif
