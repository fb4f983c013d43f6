/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LWC_LEAVING_H
#define _LWC_LEAVING_H

int lwc_leaving_init(void);
void lwc_leaving_exit(void);

#endif
