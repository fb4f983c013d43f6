/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_DEVICE_H
#define _LWC_DEVICE_H

int lwc_device_init(void);
void lwc_device_exit(void);

#endif
