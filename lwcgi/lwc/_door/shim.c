/* SPDX-License-Identifier: MIT */
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <errno.h>
#include <sys/ioctl.h>
#include "shim.h"

int door_call(int door, unsigned long request, void *structure)
{
    int ret = ioctl(door, request, structure);

    if (ret < 0)
        return -errno;
    /* Success is 0. Something else answers at this descriptor. */
    return ret ? -ENOTTY : 0;
}

int door_create(int door, struct lwc_create *create)
{
    PyGILState_STATE state = PyGILState_Ensure();
    int ret;

    PyOS_BeforeFork();
    ret = door_call(door, LWC_IOC_CREATE, create);
    if (ret == 0 && create->event != LWC_CREATED)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent();
    PyGILState_Release(state);
    return ret;
}
