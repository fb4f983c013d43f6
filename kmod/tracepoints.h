/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_TRACEPOINTS_H
#define _LWC_TRACEPOINTS_H

int lwc_tracepoint_register(const char *name, void *probe);
void lwc_tracepoint_unregister(const char *name, void *probe);

#endif
