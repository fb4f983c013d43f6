/* SPDX-License-Identifier: MIT */
#include "lwc_door.h"

#include <fcntl.h>

/* Where an application that closes "every descriptor up to 255" does not reach. */
enum { HIGH_FD = 1000 };

int lwc_door_open(int given)
{
    struct lwc_abi abi;
    long fd = given >= 0 ? given : sys_open("/dev/lwc", O_RDWR | O_CLOEXEC, 0), high;
    int ret;

    if (fd < 0)
        return (int)fd;
    ret = lwc_door_call((int)fd, LWC_IOC_ABI, &abi);
    if (!ret && abi.abi != LWC_ABI)
        ret = -EPROTONOSUPPORT;
    high = ret ? ret : sys_fcntl((int)fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high == -EINVAL) /* a low limit of descriptors: it stays where it is */
        return (int)fd;
    sys_close((int)fd);
    return (int)high;
}
